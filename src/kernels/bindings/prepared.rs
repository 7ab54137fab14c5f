//! One document on its way to be looked up, without arrays in between.

use super::rows::{RowArrays, Rows};
use super::signing::RecipeArgs;
use super::{in_rows, Utf8};
use crate::band::fingerprint;
use crate::batch::sign_one;
use crate::lookup::Row;
use crate::minhash::{keys_of, lean_masks, lean_signatures, row_order, Value};
use crate::path::Path;
use crate::sign::{Document, Recipe, Signer};
use crate::verify::set_hash;
use numpy::{Element, PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
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
    pub(super) size: u32,
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
    /// The most that is taken for a number of distinct shingles, where only that is known of them.
    most: u64,
    rows: usize,
    /// The slots of all bands, one band after the other.
    order: Vec<usize>,
    num_perm: usize,
    /// Of lean signatures; empty where documents keep their verification hashes.
    masks: Vec<u64>,
    idle: Mutex<Vec<Signer>>,
}

#[pymethods]
impl Preparation {
    #[new]
    fn new(recipe: RecipeArgs, bands: usize, rows: usize) -> PyResult<Self> {
        let (path, num_perm) = (recipe.check()?, recipe.num_perm);
        if bands * rows > num_perm {
            return Err(PyValueError::new_err(format!("{bands} bands of {rows} rows need {} slots, there are {num_perm}", bands * rows)));
        }
        let masks = if recipe.verification { Vec::new() } else { lean_masks(num_perm) };
        let (most, recipe) = if recipe.slots.is_none() { (u32::MAX as u64, Some(recipe.recipe()?.0)) } else { (1, None) };
        let mut order = row_order(num_perm);
        order.truncate(bands * rows);
        Ok(Preparation { recipe, path, most, rows, order, num_perm, masks, idle: Mutex::default() })
    }

    /// A document: a text, or the first of `neardup.Signatures`.
    pub(super) fn prepare(&self, document: &Bound<'_, PyAny>) -> PyResult<Prepared> {
        self.prepare_for(document, |_| ())
    }
}

impl Preparation {
    /// The same for one who is told its fingerprints before the rest is done.
    pub(super) fn prepare_for(&self, document: &Bound<'_, PyAny>, told: impl Fn(&[u32]) + Send) -> PyResult<Prepared> {
        match document.cast::<PyString>() {
            Ok(text) => self.text(text, told),
            Err(_) => self.signature(document, told),
        }
    }

    fn text(&self, text: &Bound<'_, PyString>, told: impl Fn(&[u32]) + Send) -> PyResult<Prepared> {
        let py = text.py();
        let text = Utf8::new(text)?;
        let bytes = text.bytes()?;
        let Some(recipe) = &self.recipe else { return Err(PyValueError::new_err("a text, where signatures are taken")) };
        py.detach(|| {
            // Never waited for: in a forked child nobody might let go of it.
            let mut signer = self.idle.try_lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
            let mut values = vec![0; self.num_perm];
            let (count, hashes) = sign_one(recipe, Document::Text(bytes), &mut signer, self.path, &mut values)?;
            // What a large document needed is given back.
            if let (true, Ok(mut idle)) = (bytes.len() <= LARGE, self.idle.try_lock()) {
                idle.push(signer);
            }
            Ok(self.prepared(&values, count, hashes, told))
        })
    }

    fn signature(&self, signatures: &Bound<'_, PyAny>, told: impl Fn(&[u32])) -> PyResult<Prepared> {
        let py = signatures.py();
        let (values, counts) = (signatures.getattr(intern!(py, "values"))?, signatures.getattr(intern!(py, "counts"))?);
        // SAFETY: the GIL is held as long as the copy of it is made, and nothing in between lets another thread write.
        let count = unsafe { counts.cast::<PyArray1<u64>>()?.as_slice()?.first().copied() };
        let hashes = if self.masks.is_empty() { first_hashes(signatures)? } else { Vec::new() };
        match values.cast::<PyArray2<u32>>() {
            Ok(values) => self.first(values, count, hashes, told),
            Err(_) => self.first(values.cast::<PyArray2<u64>>()?, count, hashes, told),
        }
    }

    fn first<V: Value + Element>(
        &self,
        values: &Bound<'_, PyArray2<V>>,
        count: Option<u64>,
        hashes: Vec<u32>,
        told: impl Fn(&[u32]),
    ) -> PyResult<Prepared> {
        in_rows(values)?;
        // SAFETY: the GIL is held as long as they are read, and nothing in between lets another thread write.
        let values = unsafe { values.as_slice()? }.get(..self.num_perm);
        let first = values.zip(count).map(|(values, count)| self.prepared(values, count, hashes, told));
        first.ok_or_else(|| PyValueError::new_err("no signature of so many slots"))
    }

    /// A document of so many distinct shingles by its slots, and its verification hashes where it keeps them.
    fn prepared<V: Value>(&self, values: &[V], count: u64, hashes: Vec<u32>, told: impl Fn(&[u32])) -> Prepared {
        let ordered: Vec<V> = self.order.iter().map(|&slot| values[slot].to_le()).collect();
        let keys: Vec<u64> = keys_of(&ordered, self.rows).collect();
        let fingerprints: Vec<u32> = keys.iter().map(|&key| fingerprint(key)).collect();
        told(&fingerprints);
        // As StoreBatch counts.
        let (size, evidence) = if self.masks.is_empty() {
            (hashes.len() as u32, hashes)
        } else {
            let mut evidence = vec![0; self.num_perm.div_ceil(4)];
            lean_signatures(values, &self.masks, &mut evidence, self.path);
            (count.min(self.most) as u32, evidence)
        };
        Prepared { fingerprints, set_hash: set_hash(&evidence, &keys), size, evidence }
    }
}

/// The verification hashes of the first of some signatures.
fn first_hashes(signatures: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let py = signatures.py();
    let (hashes, offsets) = (signatures.call_method0(intern!(py, "require_hashes"))?, signatures.getattr(intern!(py, "offsets"))?);
    // SAFETY: the GIL is held as long as they are read, and nothing in between lets another thread write.
    let (hashes, offsets) = unsafe { (hashes.cast::<PyArray1<u32>>()?.as_slice()?, offsets.cast::<PyArray1<u64>>()?.as_slice()?) };
    let own = match offsets {
        [start, stop, ..] => hashes.get(*start as usize..*stop as usize),
        _ => None,
    };
    own.map(<[u32]>::to_vec).ok_or_else(|| PyValueError::new_err(format!("no offsets of a document among {} hashes", hashes.len())))
}
