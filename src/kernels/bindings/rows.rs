//! Documents on their way into an index and out of it, as flat arrays.

use super::{cut, rows_of, Array1, Array2};
use crate::lookup::Row;
use crate::room::{self, NoRoom};
use crate::store::Store;
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A batch of documents for the table: fingerprints of their band keys, set hashes, sizes, and evidence by offsets.
pub(super) struct Batch<'py> {
    fingerprints: PyReadonlyArray2<'py, u32>,
    set_hashes: PyReadonlyArray1<'py, u64>,
    sizes: PyReadonlyArray1<'py, u32>,
    evidence: PyReadonlyArray1<'py, u32>,
    offsets: PyReadonlyArray1<'py, u64>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Batch<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let tuple = object.cast::<PyTuple>()?;
        Ok(Batch {
            fingerprints: tuple.get_item(0)?.extract()?,
            set_hashes: tuple.get_item(1)?.extract()?,
            sizes: tuple.get_item(2)?.extract()?,
            evidence: tuple.get_item(3)?.extract()?,
            offsets: tuple.get_item(4)?.extract()?,
        })
    }
}

impl Batch<'_> {
    pub(super) fn rows(&self, bands: usize, slots: usize) -> PyResult<Vec<Row<'_>>> {
        let evidence = cut(self.evidence.as_slice()?, self.offsets.as_slice()?)?;
        let (set_hashes, sizes) = (self.set_hashes.as_slice()?, self.sizes.as_slice()?);
        let n = evidence.len();
        let words = slots.div_ceil(4);
        let fits = |(evidence, &size): (&&[u32], &u32)| evidence.len() == if slots == 0 { size as usize } else { words };
        if self.fingerprints.shape() != [n, bands] || [set_hashes.len(), sizes.len()] != [n, n] || !evidence.iter().zip(sizes).all(fits) {
            return Err(PyValueError::new_err(format!(
                "a batch of {n} documents with fingerprints of shape {:?} and {} words of evidence, the table has {} bands and {} slots",
                self.fingerprints.shape(),
                self.evidence.len(),
                bands,
                slots
            )));
        }
        let fingerprints = rows_of(&self.fingerprints)?.chunks_exact(bands);
        let rows = fingerprints.zip(set_hashes).zip(sizes).zip(evidence);
        Ok(room::collected(rows.map(|(((fingerprints, &set_hash), &size), evidence)| Row { fingerprints, set_hash, size, evidence }))?)
    }
}

pub(super) type RowArrays<'py> = (Array2<'py, u32>, Array1<'py, u64>, Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u64>);

/// Documents taken out of an index, as another may take them in.
#[derive(Default)]
pub(super) struct Rows {
    fingerprints: Vec<u32>,
    set_hashes: Vec<u64>,
    sizes: Vec<u32>,
    evidence: Vec<u32>,
    ends: Vec<u64>,
    /// What there was no room for: that is told when they are asked for.
    missing: Option<NoRoom>,
}

impl Rows {
    /// A document by its set hash, its size and its evidence.
    pub(super) fn push(&mut self, (set_hash, size, evidence): (u64, u32, &[u32]), fingerprints: &[u32]) {
        if self.missing.is_some() {
            return;
        }
        let room = room::double(&mut self.set_hashes, 1)
            .and_then(|()| room::double(&mut self.sizes, 1))
            .and_then(|()| room::double(&mut self.fingerprints, fingerprints.len()))
            .and_then(|()| room::double(&mut self.evidence, evidence.len()))
            .and_then(|()| room::double(&mut self.ends, 1));
        if let Err(no_room) = room {
            self.missing = Some(no_room);
            return;
        }
        self.set_hashes.push(set_hash);
        self.sizes.push(size);
        self.fingerprints.extend_from_slice(fingerprints);
        self.evidence.extend_from_slice(evidence);
        self.ends.push(self.evidence.len() as u64);
    }

    /// A document without shingles; a lean signature has its words even so.
    pub(super) fn push_empty(&mut self, bands: usize, slots: usize) {
        self.push((0, 0, &vec![0; slots.div_ceil(4)]), &vec![0; bands]);
    }

    pub(super) fn push_entry(&mut self, store: &Store, entry: Option<u32>, fingerprints: &[u32], bands: usize, slots: usize) {
        match entry {
            Some(e) => self.push((store.table.set_hash(e), store.table.size(e), store.table.evidence(e)), fingerprints),
            None => self.push_empty(bands, slots),
        }
    }

    pub(super) fn arrays<'py>(self, py: Python<'py>, bands: usize) -> PyResult<RowArrays<'py>> {
        self.missing.map_or(Ok(()), Err)?;
        let (n, mut offsets) = (self.sizes.len(), Vec::new());
        room::reserve(&mut offsets, n + 1)?;
        offsets.extend(std::iter::once(0).chain(self.ends));
        Ok((
            self.fingerprints.into_pyarray(py).reshape([n, bands])?,
            self.set_hashes.into_pyarray(py),
            self.sizes.into_pyarray(py),
            self.evidence.into_pyarray(py),
            offsets.into_pyarray(py),
        ))
    }
}
