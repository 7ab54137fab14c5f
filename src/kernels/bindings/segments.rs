//! An index on disk: its segments, and what is made of arrays to write them.

use super::hits::Hits;
use super::ids::{id_bytes, IdList, PackedIds};
use super::matcher::Matcher;
use super::prepared::Preparation;
use super::rows::{Batch, RowArrays, Rows};
use super::{cut, Array1};
use crate::mapped::{self, Checked, Mapped, Unread};
use crate::segment::{id_fingerprint, sorted_run as sort, Removed};
use crate::segments::{Found, Place, Segments};
use crate::store::Refused;
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::fs::File;
use std::sync::{Arc, RwLock};

pyo3::create_exception!(neardup._kernels, DamageError, PyValueError, "A block of a file is not what was written: folder, number, byte.");

fn raised(unread: Unread) -> PyErr {
    match unread {
        Unread::Damage { file: (folder, number), offset } => DamageError::new_err((folder, number, offset)),
        Unread::NoRoom(no_room) => no_room.into(),
    }
}

fn refused(refused: Refused) -> PyErr {
    match refused {
        Refused::Known(place) => PyValueError::new_err(format!("document {place} is in the tail already")),
        Refused::NoRoom(no_room) => no_room.into(),
    }
}

/// The checksums of the blocks of some bytes.
#[pyfunction]
pub(super) fn block_checksums<'py>(py: Python<'py>, data: PyReadonlyArray1<'py, u8>) -> PyResult<Array1<'py, u64>> {
    let data = data.as_slice()?;
    Ok(py.detach(|| mapped::checksums(data)).into_pyarray(py))
}

/// Ids as they are stored: their bytes one after another, and where each ends.
#[pyfunction]
pub(super) fn pack_ids<'py>(py: Python<'py>, ids: &Bound<'py, PyList>) -> PyResult<(Array1<'py, u8>, Array1<'py, u64>)> {
    let PackedIds { bytes, ends } = PackedIds::of(ids)?;
    Ok((bytes.into_pyarray(py), ends.into_pyarray(py)))
}

/// The ids that were packed so.
#[pyfunction]
pub(super) fn unpack_ids<'py>(
    py: Python<'py>,
    bytes: PyReadonlyArray1<'py, u8>,
    offsets: PyReadonlyArray1<'py, u64>,
) -> PyResult<Bound<'py, PyList>> {
    let mut ids = IdList::default();
    cut(bytes.as_slice()?, offsets.as_slice()?)?.into_iter().for_each(|id| ids.push(id));
    ids.list(py, 0..ids.len())
}

/// What a run finds each packed id by.
#[pyfunction]
pub(super) fn id_fingerprints<'py>(
    py: Python<'py>,
    bytes: PyReadonlyArray1<'py, u8>,
    offsets: PyReadonlyArray1<'py, u64>,
    seed: u64,
) -> PyResult<Array1<'py, u32>> {
    let ids = cut(bytes.as_slice()?, offsets.as_slice()?)?;
    Ok(py.detach(|| ids.into_iter().map(|id| id_fingerprint(id, seed)).collect::<Vec<_>>()).into_pyarray(py))
}

type SortedArrays<'py> = (Array1<'py, u32>, Array1<'py, u8>, Array1<'py, u32>);

/// A run: numbers sorted by fingerprint, those of one fingerprint by their set hash mixed with the band where there is one.
#[pyfunction]
#[pyo3(signature = (fingerprints, set_hashes=None, band=0))]
pub(super) fn sorted_run<'py>(
    py: Python<'py>,
    fingerprints: PyReadonlyArray1<'py, u32>,
    set_hashes: Option<PyReadonlyArray1<'py, u64>>,
    band: u64,
) -> PyResult<SortedArrays<'py>> {
    let fingerprints = fingerprints.as_slice()?;
    let set_hashes = set_hashes.as_ref().map(|hashes| hashes.as_slice()).transpose()?;
    if set_hashes.is_some_and(|hashes| hashes.len() != fingerprints.len()) {
        return Err(PyValueError::new_err("as many set hashes as fingerprints"));
    }
    let sorted = py.detach(|| match set_hashes {
        Some(hashes) => sort(fingerprints, |number| crate::hash::mix64(hashes[number as usize] ^ band)),
        None => sort(fingerprints, u64::from),
    });
    Ok((sorted.directory.into_pyarray(py), sorted.tags.into_pyarray(py), sorted.numbers.into_pyarray(py)))
}

/// A file: its path, the bytes that are checksummed, and where its columns are.
type FileArgs = (std::path::PathBuf, usize, Vec<(usize, usize)>);

/// A file of documents and the segment derived from it, mapped.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct Segment(Arc<crate::segment::Segment>);

#[pymethods]
impl Segment {
    #[new]
    fn new(number: u64, documents: FileArgs, segment: FileArgs, bands: usize, slots: usize, id_seed: u64) -> PyResult<Self> {
        let open = |folder, (path, data, _): &FileArgs| Mapped::open((folder, number), &File::open(path)?, *data);
        let documents = (open("documents", &documents)?, &*documents.2);
        let segment = (open("segments", &segment)?, &*segment.2);
        let segment = crate::segment::Segment::open(documents, segment, bands, slots, id_seed).map_err(raised)?;
        Ok(Segment(Arc::new(segment)))
    }

    /// Whether entries have the very size and evidence of entries of another segment, pair by pair.
    fn same_sets<'py>(
        &self,
        py: Python<'py>,
        entries: PyReadonlyArray1<'py, u32>,
        other: &Segment,
        others: PyReadonlyArray1<'py, u32>,
    ) -> PyResult<Array1<'py, bool>> {
        let (entries, others) = (entries.as_slice()?, others.as_slice()?);
        let same = |(&a, &b): (&u32, &u32)| Ok(self.0.sized_evidence(a)? == other.0.sized_evidence(b)?);
        let same: Vec<bool> = py.detach(|| entries.iter().zip(others).map(same).collect::<Checked<_>>()).map_err(raised)?;
        Ok(same.into_pyarray(py))
    }
}

/// Note the documents of an entry that was found.
fn note(hits: &mut Hits, index: &Segments, found: &Found) -> Checked<()> {
    index.members(found.entry, |id| hits.push(id, (found.agreement, found.size)))
}

/// The rows of some documents.
fn rows_of(index: &Segments, documents: &[Place], bands: usize, slots: usize) -> Checked<Rows> {
    let (mut rows, mut tail) = (Rows::default(), None);
    for &document in documents {
        let Some(entry) = index.entry(document)? else {
            rows.push_empty(bands, slots);
            continue;
        };
        let row = index.row(entry)?;
        if index.is_tail(entry) {
            let all =
                tail.get_or_insert_with(|| index.tail.table.fingerprints(0..index.tail.table.len() as u32, 1).expect("a tail is small"));
            rows.push(row, &all[entry.1 as usize * bands..][..bands]);
        } else {
            rows.push(row, &index.fingerprints(entry.0 as usize, &[entry.1])?);
        }
    }
    Ok(rows)
}

/// Segments, and a tail in memory: an index on disk as it is searched. Safe to use from many threads; each call is atomic.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct SegmentTable {
    index: RwLock<Segments>,
    bands: usize,
    slots: usize,
}

#[pymethods]
impl SegmentTable {
    #[new]
    fn new(bands: usize, bucket_limit: usize, slots: usize) -> Self {
        SegmentTable { index: RwLock::new(Segments::new(bands, bucket_limit, slots)), bands, slots }
    }

    /// Put segments, each with its removed documents, in the place of some; the tail is empty then if they hold what it held.
    #[pyo3(signature = (first, last, segments, *, tail))]
    fn replace<'py>(
        &self,
        py: Python<'py>,
        first: usize,
        last: usize,
        segments: Vec<(PyRef<'py, Segment>, PyReadonlyArray1<'py, u32>)>,
        tail: bool,
    ) -> PyResult<()> {
        let mut with_removed = Vec::new();
        for (segment, documents) in &segments {
            let mut removed = Removed::default();
            for &document in documents.as_slice()? {
                if document as usize >= segment.0.documents() {
                    return Err(PyIndexError::new_err(format!("document {document} of {}", segment.0.documents())));
                }
                removed.insert(&segment.0, document).map_err(raised)?;
            }
            with_removed.push((segment.0.clone(), removed));
        }
        py.detach(|| self.index.write().unwrap().replace(first, last, with_removed, tail));
        Ok(())
    }

    /// Whether nobody is at work on it. Asked in a forked child, which has one thread: what another one of its parent was at work
    /// on is never let go of there, and stays in memory, since it may be half changed.
    fn idle(slf: Bound<'_, Self>) -> bool {
        let idle = slf.get().index.try_write().is_ok();
        if !idle {
            std::mem::forget(slf);
        }
        idle
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.index.read().unwrap().len())
    }

    /// Where the document of this id is: the place of its segment, or of the tail after them, and its number there.
    fn find(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Option<Place>> {
        let id = id_bytes(id)?;
        py.detach(|| self.index.read().unwrap().find(&id)).map_err(raised)
    }

    /// The same of a document that is to be removed: damage that its removal would meet is met now.
    fn removable(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Option<Place>> {
        let id = id_bytes(id)?;
        py.detach(|| self.index.read().unwrap().removable(&id)).map_err(raised)
    }

    /// The place of the first of some ids that is there.
    fn first_found<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyList>) -> PyResult<Option<usize>> {
        let ids = PackedIds::of(ids)?;
        let ids = ids.slices()?;
        py.detach(|| {
            let index = self.index.read().unwrap();
            for (i, id) in ids.iter().enumerate() {
                if index.find(id)?.is_some() {
                    return Ok(Some(i));
                }
            }
            Ok(None)
        })
        .map_err(raised)
    }

    /// Add documents, none of which is there, to the tail.
    fn add<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyList>, batch: Batch<'py>) -> PyResult<()> {
        let rows = batch.rows(self.bands, self.slots)?;
        let ids = PackedIds::of(ids)?;
        let ids = ids.slices()?;
        if ids.len() != rows.len() {
            return Err(PyValueError::new_err(format!("{} ids and {} documents", ids.len(), rows.len())));
        }
        py.detach(|| self.index.write().unwrap().tail.add(&ids, &rows, 1)).map_err(refused)
    }

    /// Remove a document. Whether it was there.
    fn remove(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id_bytes(id)?;
        py.detach(|| self.index.write().unwrap().remove(&id)).map_err(raised)
    }

    /// Give a document another content, in the tail. Whether it was there.
    fn update<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>, batch: Batch<'py>) -> PyResult<bool> {
        let rows = batch.rows(self.bands, self.slots)?;
        let [row] = rows[..] else { return Err(PyValueError::new_err(format!("one id and {} documents", rows.len()))) };
        let id = id_bytes(id)?;
        py.detach(|| self.index.write().unwrap().update(&id, row)).map_err(raised)?.map_err(refused)
    }

    /// What one document matches.
    fn look_up<'py>(
        &self,
        preparation: &Preparation,
        document: &Bound<'py, PyAny>,
        threshold: f64,
        matcher: &Bound<'py, Matcher>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (py, document) = (document.py(), preparation.prepare(document)?);
        let row = document.row(self.bands, self.slots)?;
        let look_up = || {
            let (index, mut hits) = (self.index.read().unwrap(), Hits::default());
            let mut answers = index.query(&[row], threshold, 1)?;
            let answer = answers.pop().expect("an answer a row");
            answer.found.iter().try_for_each(|found| note(&mut hits, &index, found))?;
            Ok((hits, answer.truncated))
        };
        let (hits, truncated) = py.detach(look_up).map_err(raised)?;
        hits.matches(matcher, document.size, truncated)
    }

    /// What each document of the batch matches, (id, agreement, size), and whether its look-up was truncated.
    fn query<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64, threads: usize) -> PyResult<Bound<'py, PyList>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let look_up = || {
            let (index, mut hits) = (self.index.read().unwrap(), Hits::default());
            for answer in index.query(&rows, threshold, threads)? {
                answer.found.iter().try_for_each(|found| note(&mut hits, &index, found))?;
                hits.end(answer.truncated);
            }
            Ok(hits)
        };
        py.detach(look_up).map_err(raised)?.each(py)
    }

    /// Of all that each document matches, whatever the length of a bucket, the nearest, and of equals the first.
    fn nearest<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64, threads: usize) -> PyResult<Bound<'py, PyList>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let look_up = || {
            let (index, mut hits) = (self.index.read().unwrap(), Hits::default());
            for one in index.nearest(&rows, threshold, threads)? {
                if let Some(one) = one {
                    let mut first = None;
                    index.members(one.entry, |id| {
                        first.get_or_insert_with(|| id.to_vec());
                    })?;
                    hits.push(&first.unwrap_or_default(), (one.agreement, one.size));
                }
                hits.end(false);
            }
            Ok(hits)
        };
        py.detach(look_up).map_err(raised)?.first_of_each(py)
    }

    /// How many places there are: segments, and the tail.
    fn places(&self, py: Python<'_>) -> usize {
        py.detach(|| self.index.read().unwrap().segments.len() + 1)
    }

    /// How many documents there are at a place, removed ones too; none where there is no such place.
    fn many(&self, py: Python<'_>, place: usize) -> u32 {
        py.detach(|| {
            let index = self.index.read().unwrap();
            if place > index.segments.len() {
                0
            } else {
                index.documents(place)
            }
        })
    }

    /// Words of evidence that the tail keeps.
    fn tail_words(&self, py: Python<'_>) -> usize {
        py.detach(|| self.index.read().unwrap().tail.table.nbytes()[1] / 4)
    }

    /// All ids, in order of insertion.
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut ids = IdList::default();
        py.detach(|| {
            let index = self.index.read().unwrap();
            for place in 0..=index.segments.len() as u32 {
                for document in there(&index, place, 0, u32::MAX) {
                    ids.push(index.id(document)?);
                }
            }
            Ok(())
        })
        .map_err(raised)?;
        ids.list(py, 0..ids.len())
    }

    /// The documents of a range at a place that were not removed: their ids, and their rows.
    fn documents<'py>(&self, py: Python<'py>, place: u32, start: u32, stop: u32) -> PyResult<(Bound<'py, PyList>, RowArrays<'py>)> {
        let mut ids = IdList::default();
        let taken = py
            .detach(|| {
                let index = self.index.read().unwrap();
                let documents: Vec<Place> = there(&index, place, start, stop).collect();
                for &document in &documents {
                    ids.push(index.id(document)?);
                }
                rows_of(&index, &documents, self.bands, self.slots)
            })
            .map_err(raised)?;
        Ok((ids.list(py, 0..ids.len())?, taken.arrays(py, self.bands)?))
    }

    /// The rows of some documents; or the place of the first id that is not there.
    fn stored<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        let ids = PackedIds::of(ids)?;
        let ids = ids.slices()?;
        let taken = py
            .detach(|| {
                let index = self.index.read().unwrap();
                let mut documents = Vec::with_capacity(ids.len());
                for (i, id) in ids.iter().enumerate() {
                    let Some(document) = index.find(id)? else { return Ok(Err(i)) };
                    documents.push(document);
                }
                Ok(Ok(rows_of(&index, &documents, self.bands, self.slots)?))
            })
            .map_err(raised)?;
        match taken {
            Ok(taken) => Ok(taken.arrays(py, self.bands)?.into_pyobject(py)?.into_any()),
            Err(place) => Ok(place.into_pyobject(py)?.into_any()),
        }
    }

    /// The buckets that more than `limit` shingle sets share: band, how many, and the id of one.
    fn heavy<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<(usize, usize, Bound<'py, PyAny>)>> {
        let (mut ids, mut heavy) = (IdList::default(), Vec::new());
        py.detach(|| {
            let index = self.index.read().unwrap();
            for band in 0..self.bands {
                for (members, first) in index.heavy(band, limit)? {
                    heavy.push((band, members, ids.len()));
                    index.members(first, |id| ids.push(id))?;
                }
            }
            Ok(())
        })
        .map_err(raised)?;
        heavy.into_iter().map(|(band, members, place)| Ok((band, members, ids.object(py, place)?))).collect()
    }
}

fn there(index: &Segments, place: u32, start: u32, stop: u32) -> impl Iterator<Item = Place> + '_ {
    let stop = if place as usize > index.segments.len() { start } else { stop.min(index.documents(place as usize)) };
    (start..stop).map(move |document| (place, document)).filter(|&d| index.is_there(d))
}
