//! The table in memory.

use super::hits::Hits;
use super::ids::{id_bytes, IdList, PackedIds};
use super::joins::WeightTable;
use super::matcher::Matcher;
use super::prepared::Preparation;
use super::rows::{Batch, RowArrays, Rows};
use super::Array1;
use crate::lookup::Found;
use crate::room::NoRoom;
use crate::store::{Refused, Store};
use crate::table::Table;
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::RwLock;

/// Note the documents of an entry that was found.
fn note(hits: &mut Hits, store: &Store, found: &Found) {
    store.ids.members(found.entry).for_each(|document| hits.push(store.ids.id(document), (found.agreement, found.size)));
}

/// A bucket table whose entries have documents, known by their ids. Safe to use from many threads; each call is atomic.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct DocumentTable {
    store: RwLock<Store>,
    bands: usize,
    slots: usize,
    /// Whether a look-up takes a millisecond at most to find and compare its candidates: the interpreter lets a thread run longer
    /// before it asks it to let another. Those of many threads, if each let go of it for a microsecond, take longer than in turns.
    brief: bool,
}

/// Slots of lean signatures that are found and compared in a millisecond.
const BRIEF: usize = 1 << 22;

#[pymethods]
impl DocumentTable {
    #[new]
    #[pyo3(signature = (bands, bucket_limit, slots, sample=0))]
    fn new(bands: usize, bucket_limit: usize, slots: usize, sample: u32) -> PyResult<Self> {
        if sample > 0 && (bands, slots) != (1, 0) {
            return Err(PyValueError::new_err(format!("a table of samples has one band and no slots, not {bands} and {slots}")));
        }
        let table = if sample > 0 { Table::of_samples(sample, bucket_limit) } else { Table::new(bands, bucket_limit, slots) };
        let brief = slots > 0 && bucket_limit.saturating_mul(bands).saturating_mul(slots) <= BRIEF;
        Ok(DocumentTable { store: RwLock::new(Store::new(table)), bands, slots, brief })
    }

    /// Whether nobody is at work on it. Asked in a forked child, which has one thread: what another one of its parent was at work
    /// on is never let go of there, and stays in memory, since it may be half changed.
    fn idle(slf: Bound<'_, Self>) -> bool {
        let idle = slf.get().store.try_write().is_ok();
        if !idle {
            std::mem::forget(slf);
        }
        idle
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.store.read().unwrap().ids.len())
    }

    fn __contains__(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> bool {
        // What cannot be an id is not there.
        id_bytes(id).is_ok_and(|id| py.detach(|| self.store.read().unwrap().ids.find(&id).is_some()))
    }

    /// All ids, in order of insertion.
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut ids = IdList::default();
        py.detach(|| {
            let store = self.store.read().unwrap();
            store.ids.iter().for_each(|document| ids.push(store.ids.id(document)));
        });
        ids.list(py, 0..ids.len())
    }

    /// Add documents; or the place of the first whose id is there already, and nothing was added.
    fn add<'py>(&self, py: Python<'py>, ids: &Bound<'py, PyList>, batch: Batch<'py>, threads: usize) -> PyResult<Option<usize>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let ids = PackedIds::of(ids)?;
        let ids = ids.slices()?;
        if ids.len() != rows.len() {
            return Err(PyValueError::new_err(format!("{} ids and {} documents", ids.len(), rows.len())));
        }
        match py.detach(|| self.store.write().unwrap().add(&ids, &rows, threads)) {
            Ok(()) => Ok(None),
            Err(Refused::Known(place)) => Ok(Some(place)),
            Err(Refused::NoRoom(no_room)) => Err(no_room.into()),
        }
    }

    /// Add one document, or what it matches, and nothing was added; None when its id is there already.
    fn add_unless_match<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        batch: Batch<'py>,
        threshold: f64,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let [row] = rows[..] else { return Err(PyValueError::new_err(format!("one id and {} documents", rows.len()))) };
        let (id, mut hits) = (id_bytes(id)?, Hits::default());
        let done = py.detach(|| {
            let mut store = self.store.write().unwrap();
            let answer = store.add_unless_match(&id, row, threshold)?;
            answer.iter().flat_map(|answer| &answer.found).for_each(|found| note(&mut hits, &store, found));
            Ok::<_, NoRoom>(answer.map(drop))
        })?;
        done.map(|()| hits.all(py)).transpose()
    }

    /// Remove a document. Whether it was there.
    fn remove(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id_bytes(id)?;
        Ok(py.detach(|| self.store.write().unwrap().remove(&id)))
    }

    /// Give a document another content. Whether it was there.
    fn replace<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>, batch: Batch<'py>) -> PyResult<bool> {
        let rows = batch.rows(self.bands, self.slots)?;
        let [row] = rows[..] else { return Err(PyValueError::new_err(format!("one id and {} documents", rows.len()))) };
        let id = id_bytes(id)?;
        Ok(py.detach(|| self.store.write().unwrap().replace(&id, row))?)
    }

    /// What one document matches.
    fn look_up<'py>(
        &self,
        preparation: &Preparation,
        document: &Bound<'py, PyAny>,
        threshold: f64,
        matcher: &Bound<'py, Matcher>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = document.py();
        let ahead = |fingerprints: &[u32]| self.store.try_read().iter().for_each(|store| store.table.ahead(fingerprints));
        let document = preparation.prepare_for(document, ahead)?;
        let row = document.row(self.bands, self.slots)?;
        let look_up = |store: &Store| {
            let (answer, mut hits) = (store.look_up(row, threshold)?, Hits::default());
            answer.found.iter().for_each(|found| note(&mut hits, store, found));
            Ok::<_, NoRoom>((hits, answer.truncated))
        };
        let at_hand = if self.brief { self.store.try_read().ok() } else { None };
        let (hits, truncated) = match at_hand {
            Some(store) => look_up(&store)?,
            None => py.detach(|| look_up(&self.store.read().unwrap()))?,
        };
        hits.matches(matcher, document.size, truncated)
    }

    /// What each document of the batch matches, (id, agreement, size), and whether its look-up was truncated.
    ///
    /// Of `readings`, how much was read rightly of each, only what may reach a corrected similarity too.
    #[pyo3(signature = (batch, threshold, threads, readings=None))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        batch: Batch<'py>,
        threshold: f64,
        threads: usize,
        readings: Option<(PyReadonlyArray1<'py, f64>, f64, u64)>,
    ) -> PyResult<Bound<'py, PyList>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let readings =
            readings.as_ref().map(|(legible, corrected, number)| Ok::<_, PyErr>((legible.as_slice()?, *corrected, *number))).transpose()?;
        if let Some((legible, _, _)) = readings.filter(|(legible, _, _)| self.slots > 0 || legible.len() != rows.len()) {
            return Err(PyValueError::new_err(format!("{} readings, {} documents and {} slots", legible.len(), rows.len(), self.slots)));
        }
        let hits = py.detach(|| {
            let (store, mut hits) = (self.store.read().unwrap(), Hits::default());
            let answers = match readings {
                Some((legible, corrected, number)) => store.table.query_readings(&rows, threshold, legible, (corrected, number), threads),
                None => store.table.query_many(&rows, threshold, threads),
            };
            for answer in answers? {
                answer.found.iter().for_each(|found| note(&mut hits, &store, found));
                hits.end(answer.truncated);
            }
            Ok::<_, NoRoom>(hits)
        })?;
        hits.each(py)
    }

    /// Learn how much of each document was read rightly: the share of its hashes that weigh 1, over that of the clearest.
    fn read_by(&self, py: Python<'_>, known: &WeightTable, clearest: f64, least: f64, number: u64, threads: usize) -> PyResult<()> {
        py.detach(|| self.store.write().unwrap().table.read_by(&known.0, clearest, least, number, threads));
        Ok(())
    }

    /// Of all that each document matches, whatever the length of a bucket, the nearest, and of equals the first.
    fn nearest<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64, threads: usize) -> PyResult<Bound<'py, PyList>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let hits = py.detach(|| {
            let (store, mut hits) = (self.store.read().unwrap(), Hits::default());
            for one in store.table.nearest(&rows, threshold, threads)? {
                if let Some(one) = one {
                    let first = store.ids.members(one.entry).next();
                    hits.push(first.map_or(&[], |document| store.ids.id(document)), (one.agreement, one.size));
                }
                hits.end(false);
            }
            Ok::<_, NoRoom>(hits)
        })?;
        hits.first_of_each(py)
    }

    /// What a document is verified by; None when it is not there.
    fn evidence<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Array1<'py, u32>>> {
        let id = id_bytes(id)?;
        let evidence = py.detach(|| {
            let store = self.store.read().unwrap();
            let document = store.ids.find(&id)?;
            Some(store.ids.entry(document).map_or_else(Vec::new, |entry| store.table.evidence(entry).to_vec()))
        });
        Ok(evidence.map(|evidence| evidence.into_pyarray(py)))
    }

    /// A document's row; None when it is not there.
    fn stored<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<RowArrays<'py>>> {
        let id = id_bytes(id)?;
        let taken = py.detach(|| {
            let store = self.store.read().unwrap();
            let entry = store.ids.entry(store.ids.find(&id)?);
            let fingerprints = entry.map_or(Ok(Vec::new()), |e| store.table.fingerprints(e..e + 1, 1));
            let mut taken = Rows::default();
            Some(fingerprints.map(|fingerprints| {
                taken.push_entry(&store, entry, &fingerprints, self.bands, self.slots);
                taken
            }))
        });
        taken.map(|taken| taken?.arrays(py, self.bands)).transpose()
    }

    /// All documents in order of insertion: their ids, and their rows.
    fn documents<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, RowArrays<'py>)> {
        let (mut ids, mut taken) = (IdList::default(), Rows::default());
        py.detach(|| {
            let store = self.store.read().unwrap();
            let fingerprints = store.table.fingerprints(0..store.table.len() as u32, 1)?;
            for document in store.ids.iter() {
                let entry = store.ids.entry(document);
                ids.push(store.ids.id(document));
                let row = entry.map_or(0, |entry| entry as usize * self.bands);
                taken.push_entry(&store, entry, fingerprints.get(row..row + self.bands).unwrap_or(&[]), self.bands, self.slots);
            }
            Ok::<_, NoRoom>(())
        })?;
        Ok((ids.list(py, 0..ids.len())?, taken.arrays(py, self.bands)?))
    }

    /// The verification hashes of the first sets in order of insertion, about so many, and how many each has.
    fn first<'py>(&self, py: Python<'py>, hashes: usize) -> (Array1<'py, u32>, Array1<'py, u32>) {
        let (evidence, sizes) = py.detach(|| {
            let store = self.store.read().unwrap();
            let (mut evidence, mut sizes, mut seen) = (Vec::new(), Vec::new(), vec![false; store.table.len()]);
            for entry in store.ids.iter().filter_map(|document| store.ids.entry(document)) {
                if evidence.len() >= hashes {
                    break;
                }
                if !std::mem::replace(&mut seen[entry as usize], true) {
                    evidence.extend_from_slice(store.table.evidence(entry));
                    sizes.push(store.table.size(entry));
                }
            }
            (evidence, sizes)
        });
        (evidence.into_pyarray(py), sizes.into_pyarray(py))
    }

    /// The buckets that more than `limit` shingle sets share: band, how many, and the id of one.
    fn heavy<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<(usize, usize, Bound<'py, PyAny>)>> {
        let (mut ids, mut heavy) = (IdList::default(), Vec::new());
        py.detach(|| {
            let store = self.store.read().unwrap();
            for band in 0..self.bands {
                for fingerprint in store.table.heavy(band, limit) {
                    let mut members = Vec::new();
                    store.table.bucket(band, fingerprint, usize::MAX, |entry| members.push((store.table.set_hash(entry), entry)));
                    let first = members.iter().min().expect("a heavy bucket has members").1;
                    heavy.push((band, members.len()));
                    ids.push(store.ids.id(store.ids.members(first).next().expect("a living entry has documents")));
                }
            }
        });
        heavy.into_iter().enumerate().map(|(i, (band, members))| Ok((band, members, ids.object(py, i)?))).collect()
    }

    /// Bytes of memory: postings, evidence, entries, ids.
    fn nbytes(&self, py: Python<'_>) -> [usize; 4] {
        py.detach(|| {
            let store = self.store.read().unwrap();
            let [postings, evidence, entries] = store.table.nbytes();
            [postings, evidence, entries, store.ids.nbytes()]
        })
    }
}
