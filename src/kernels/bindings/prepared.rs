//! One document on its way to be looked up, without arrays in between.

use super::rows::{RowArrays, Rows};
use super::signing::RecipeArgs;
use super::Utf8;
use crate::band::fingerprint;
use crate::lookup::Row;
use crate::minhash::{band_keys, lean_masks, lean_signatures, row_order, Value};
use crate::path::Path;
use crate::sign::{Document, Recipe, Signer};
use crate::verify::set_hash;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Mutex;

/// Bytes of a text whose working memory is not kept.
const LARGE: usize = 1 << 20;

/// What a store takes of one document.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct Prepared {
    fingerprints: Vec<u32>,
    set_hash: u64,
    /// Its distinct shingles.
    #[pyo3(get)]
    size: u32,
    evidence: Vec<u32>,
}

impl Prepared {
    pub(super) fn row(&self, bands: usize, slots: usize) -> PyResult<Row<'_>> {
        let words = if slots == 0 { self.size as usize } else { slots.div_ceil(4) };
        if (self.fingerprints.len(), self.evidence.len()) != (bands, words) {
            return Err(PyValueError::new_err(format!(
                "a document of {} fingerprints and {} words of evidence, the table has {bands} bands and {slots} slots",
                self.fingerprints.len(),
                self.evidence.len(),
            )));
        }
        Ok(Row { fingerprints: &self.fingerprints, set_hash: self.set_hash, size: self.size, evidence: &self.evidence })
    }
}

#[pymethods]
impl Prepared {
    /// The same as a batch of one.
    fn arrays<'py>(&self, py: Python<'py>) -> PyResult<RowArrays<'py>> {
        let mut rows = Rows::default();
        rows.push((self.set_hash, self.size, &self.evidence), &self.fingerprints);
        rows.arrays(py, self.fingerprints.len())
    }
}

/// How documents are signed, cut into bands and shortened, with working memory for it.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct Preparation {
    /// How texts are signed; None where that is not done here, but signatures come.
    recipe: Option<Recipe>,
    path: Path,
    bands: usize,
    rows: usize,
    order: Vec<usize>,
    /// Of lean signatures; empty where documents keep their verification hashes.
    masks: Vec<u64>,
    idle: Mutex<Vec<Signer>>,
}

impl Preparation {
    fn prepared<V: Value>(&self, values: &[V], size: u32, hashes: Vec<u32>) -> Prepared {
        let mut keys = vec![0; self.bands];
        band_keys(values, &self.order, self.bands, self.rows, &mut keys);
        let mut evidence = hashes;
        if !self.masks.is_empty() {
            evidence = vec![0; values.len().div_ceil(4)];
            lean_signatures(values, &self.masks, &mut evidence, self.path);
        }
        let fingerprints = keys.iter().map(|&key| fingerprint(key)).collect();
        Prepared { fingerprints, set_hash: set_hash(&evidence, &keys), size, evidence }
    }
}

#[pymethods]
impl Preparation {
    #[new]
    fn new(recipe: RecipeArgs, bands: usize, rows: usize) -> PyResult<Self> {
        let path = recipe.check()?;
        let num_perm = recipe.num_perm;
        if bands * rows > num_perm {
            return Err(PyValueError::new_err(format!("{bands} bands of {rows} rows need {} slots, there are {num_perm}", bands * rows)));
        }
        let masks = if recipe.verification { Vec::new() } else { lean_masks(num_perm) };
        let recipe = if recipe.slots.is_none() { Some(recipe.recipe()?.0) } else { None };
        Ok(Preparation { order: row_order(num_perm), recipe, path, bands, rows, masks, idle: Mutex::default() })
    }

    /// A text.
    fn text(&self, py: Python<'_>, text: &Bound<'_, PyString>) -> PyResult<Prepared> {
        let text = Utf8::new(text)?;
        let bytes = text.bytes()?;
        let Some(recipe) = &self.recipe else { return Err(PyValueError::new_err("a text, where signatures are taken")) };
        py.detach(|| {
            // Never waited for: in a forked child nobody might let go of it.
            let mut signer = self.idle.try_lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
            let mut values = vec![0; self.order.len()];
            let (count, hashes) = signer.sign(recipe, Document::Text(bytes), self.path, &mut values)?;
            // What a large document needed is given back.
            if let (true, Ok(mut idle)) = (bytes.len() <= LARGE, self.idle.try_lock()) {
                idle.push(signer);
            }
            // As StoreBatch counts.
            let size = if self.masks.is_empty() { hashes.len() as u32 } else { count.min(u32::MAX as u64) as u32 };
            Ok(self.prepared(&values, size, hashes))
        })
    }

    /// The first of some signatures: its slots, its count of distinct shingles, and, by offsets, its verification hashes.
    fn signature<'py>(
        &self,
        values: &Bound<'py, PyAny>,
        counts: &Bound<'py, PyArray1<u64>>,
        offsets: &Bound<'py, PyAny>,
        hashes: Option<&Bound<'py, PyArray1<u32>>>,
    ) -> PyResult<Prepared> {
        // SAFETY: the GIL is held as long as they are read, and nothing in between lets another thread write.
        unsafe {
            match values.cast::<PyArray2<u32>>() {
                Ok(values) => self.first(values.as_slice()?, counts, offsets, hashes),
                Err(_) => self.first(values.cast::<PyArray2<u64>>()?.as_slice()?, counts, offsets, hashes),
            }
        }
    }
}

impl Preparation {
    fn first<'py, V: Value>(
        &self,
        values: &[V],
        counts: &Bound<'py, PyArray1<u64>>,
        offsets: &Bound<'py, PyAny>,
        hashes: Option<&Bound<'py, PyArray1<u32>>>,
    ) -> PyResult<Prepared> {
        // SAFETY: the GIL is held as long as they are read, and nothing in between lets another thread write.
        let counts = unsafe { counts.as_slice()? };
        let (Some(values), Some(&count)) = (values.get(..self.order.len()), counts.first()) else {
            return Err(PyValueError::new_err(format!("{} slots of {} documents", values.len(), counts.len())));
        };
        if !self.masks.is_empty() {
            return Ok(self.prepared(values, count.min(u32::MAX as u64) as u32, Vec::new()));
        }
        let offsets = offsets.cast::<PyArray1<u64>>()?;
        // SAFETY: as above.
        let (offsets, hashes) = unsafe { (offsets.as_slice()?, hashes.map_or(Ok(&[][..]), |hashes| hashes.as_slice())?) };
        let own = match offsets {
            [start, stop, ..] => hashes.get(*start as usize..*stop as usize),
            _ => None,
        };
        let Some(own) = own else { return Err(PyValueError::new_err(format!("no offsets of a document among {} hashes", hashes.len()))) };
        Ok(self.prepared(values, own.len() as u32, own.to_vec()))
    }
}
