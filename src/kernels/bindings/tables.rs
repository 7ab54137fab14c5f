//! The table in memory.

use super::joins::WeightTable;
use super::prepared::Prepared;
use super::{cut, names, Array1, Array2, Utf8};
use crate::room::{self, NoRoom, Roomy};
use crate::store::{Refused, Store};
use crate::table::{Found, Row, Table};
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use std::ops::Range;
use std::sync::RwLock;

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
        let fingerprints = self.fingerprints.as_slice()?.chunks_exact(bands);
        let rows = fingerprints.zip(set_hashes).zip(sizes).zip(evidence);
        Ok(room::collected(rows.map(|(((fingerprints, &set_hash), &size), evidence)| Row { fingerprints, set_hash, size, evidence }))?)
    }
}

/// An id as the table keeps it: the UTF-8 of a string; of an integer, after a byte that UTF-8 has not, as few as there may be.
pub(super) fn id_bytes(id: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut bytes = Vec::new();
    push_id(id, &mut bytes)?;
    Ok(bytes)
}

fn push_id(id: &Bound<'_, PyAny>, bytes: &mut Vec<u8>) -> PyResult<()> {
    if let Ok(text) = id.cast::<PyString>() {
        let (text, bytes) = (Utf8::new(text)?, bytes);
        room::double(bytes, text.bytes()?.len())?;
        bytes.extend_from_slice(text.bytes()?);
        return Ok(());
    }
    let number: i64 = id.extract()?;
    let folded = ((number << 1) ^ (number >> 63)) as u64;
    bytes.push(INTEGER);
    bytes.extend_from_slice(&folded.to_le_bytes()[..8 - folded.leading_zeros() as usize / 8]);
    Ok(())
}

/// Ids one after another, and where each ends.
#[derive(Default)]
pub(super) struct PackedIds {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<u64>,
}

impl PackedIds {
    pub(super) fn of(ids: &Bound<'_, PyList>) -> PyResult<Self> {
        let mut packed = PackedIds::default();
        room::reserve(&mut packed.bytes, 8 * ids.len())?;
        room::reserve(&mut packed.ends, ids.len())?;
        for id in ids {
            push_id(&id, &mut packed.bytes)?;
            packed.ends.push(packed.bytes.len() as u64);
        }
        Ok(packed)
    }

    pub(super) fn slices(&self) -> Roomy<Vec<&[u8]>> {
        let mut start = 0;
        room::collected(self.ends.iter().map(|&end| &self.bytes[std::mem::replace(&mut start, end as usize)..end as usize]))
    }
}

const INTEGER: u8 = 0xFF;

/// Ids on their way to Python, taken from the table while its lock is held.
#[derive(Default)]
pub(super) struct IdList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// What there was no room for: that is told when they are asked for.
    missing: Option<NoRoom>,
}

impl IdList {
    pub(super) fn push(&mut self, id: &[u8]) {
        if self.missing.is_some() {
            return;
        }
        match room::double(&mut self.bytes, id.len()).and_then(|()| room::double(&mut self.ends, 1)) {
            Ok(()) => {
                self.bytes.extend_from_slice(id);
                self.ends.push(self.bytes.len());
            }
            Err(no_room) => self.missing = Some(no_room),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn object<'py>(&self, py: Python<'py>, place: usize) -> PyResult<Bound<'py, PyAny>> {
        self.whole()?;
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        let bytes = &self.bytes[start..self.ends[place]];
        if let Some((&INTEGER, bytes)) = bytes.split_first() {
            let mut folded = [0; 8];
            // Of more bytes than an integer has there is none; UTF-8 has not got the first, and its decoder says so.
            match folded.get_mut(..bytes.len()) {
                Some(low) => low.copy_from_slice(bytes),
                None => return Self::decoded(py, &[INTEGER]),
            }
            let folded = u64::from_le_bytes(folded);
            return Ok(((folded >> 1) as i64 ^ -((folded & 1) as i64)).into_pyobject(py)?.into_any());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any()),
            // Lone surrogates.
            Err(_) => Self::decoded(py, bytes),
        }
    }

    fn decoded<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        names().decode.bind(py).call1((PyBytes::new(py, bytes), &names().utf_8, &names().surrogatepass))
    }

    pub(super) fn list<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        self.whole()?;
        let list = PyList::empty(py);
        for place in range {
            list.append(self.object(py, place)?)?;
        }
        Ok(list)
    }

    fn whole(&self) -> Roomy<()> {
        self.missing.map_or(Ok(()), Err)
    }
}

/// The documents that a look-up found: their ids, agreements and sizes.
#[derive(Default)]
pub(super) struct Hits {
    ids: IdList,
    columns: Vec<(u32, u32)>,
}

impl Hits {
    fn push(&mut self, store: &Store, found: &Found) {
        for document in store.ids.members(found.entry) {
            self.ids.push(store.ids.id(document));
            self.columns.push((found.agreement, found.size));
        }
    }

    fn tuples<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        let tuples = PyList::empty(py);
        for i in range {
            tuples.append((self.ids.object(py, i)?, self.columns[i].0, self.columns[i].1))?;
        }
        Ok(tuples)
    }
}

/// The id of a document, its agreement and size; None where there is no such document.
pub(super) type Nearest<'py> = Option<(Bound<'py, PyAny>, u32, u32)>;

/// Of each document the agreement and size of the nearest, which takes the next id.
pub(super) fn nearest_tuples<'py>(
    py: Python<'py>,
    ids: &IdList,
    found: impl Iterator<Item = Option<(u32, u32)>>,
) -> PyResult<Vec<Nearest<'py>>> {
    ids.whole()?;
    let mut places = 0..ids.len();
    let mut named = |(agreement, size)| Ok((ids.object(py, places.next().expect("an id each"))?, agreement, size));
    found.map(|one| one.map(&mut named).transpose()).collect()
}

/// A bucket table whose entries have documents, known by their ids. Safe to use from many threads; each call is atomic.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct DocumentTable {
    store: RwLock<Store>,
    bands: usize,
    slots: usize,
}

#[pymethods]
impl DocumentTable {
    #[new]
    #[pyo3(signature = (bands, bucket_limit, slots, sample=0))]
    fn new(bands: usize, bucket_limit: usize, slots: usize, sample: u32) -> PyResult<Self> {
        if sample > 0 && (bands, slots) != (1, 0) {
            return Err(PyValueError::new_err(format!("a table of samples has one band and no slots, not {bands} and {slots}")));
        }
        let table = if sample > 0 { Table::of_samples(sample, bucket_limit) } else { Table::new(bands, bucket_limit, slots) };
        Ok(DocumentTable { store: RwLock::new(Store::new(table)), bands, slots })
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
        ids.list(py, 0..ids.ends.len())
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
            answer.iter().flat_map(|answer| &answer.found).for_each(|found| hits.push(&store, found));
            Ok::<_, NoRoom>(answer.map(drop))
        })?;
        done.map(|()| hits.tuples(py, 0..hits.columns.len())).transpose()
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

    /// What one document matches, (id, agreement, size), and whether its look-up was truncated.
    fn look_up<'py>(&self, py: Python<'py>, document: &Prepared, threshold: f64) -> PyResult<(Bound<'py, PyList>, bool)> {
        let row = document.row(self.bands, self.slots)?;
        let (hits, truncated) = py.detach(|| {
            let (store, mut hits) = (self.store.read().unwrap(), Hits::default());
            let answer = store.table.query(row, threshold);
            answer.found.iter().for_each(|found| hits.push(&store, found));
            (hits, answer.truncated)
        });
        Ok((hits.tuples(py, 0..hits.columns.len())?, truncated))
    }

    /// What each document of the batch matches, (id, agreement, size), and whether its look-up was truncated.
    ///
    /// Of `readings`, how much was read rightly of each, only what may reach a corrected similarity too.
    #[allow(clippy::type_complexity)]
    #[pyo3(signature = (batch, threshold, threads, readings=None))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        batch: Batch<'py>,
        threshold: f64,
        threads: usize,
        readings: Option<(PyReadonlyArray1<'py, f64>, f64, u64)>,
    ) -> PyResult<Vec<(Bound<'py, PyList>, bool)>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let readings =
            readings.as_ref().map(|(legible, corrected, number)| Ok::<_, PyErr>((legible.as_slice()?, *corrected, *number))).transpose()?;
        if let Some((legible, _, _)) = readings.filter(|(legible, _, _)| self.slots > 0 || legible.len() != rows.len()) {
            return Err(PyValueError::new_err(format!("{} readings, {} documents and {} slots", legible.len(), rows.len(), self.slots)));
        }
        let (hits, ends) = py.detach(|| {
            let store = self.store.read().unwrap();
            let (mut hits, mut ends) = (Hits::default(), Vec::with_capacity(rows.len()));
            let answers = match readings {
                Some((legible, corrected, number)) => store.table.query_readings(&rows, threshold, legible, (corrected, number), threads),
                None => store.table.query_many(&rows, threshold, threads),
            };
            for answer in answers {
                answer.found.iter().for_each(|found| hits.push(&store, found));
                ends.push((hits.columns.len(), answer.truncated));
            }
            (hits, ends)
        });
        let mut start = 0;
        ends.into_iter().map(|(end, truncated)| Ok((hits.tuples(py, std::mem::replace(&mut start, end)..end)?, truncated))).collect()
    }

    /// Learn how much of each document was read rightly: the share of its hashes that weigh 1, over that of the clearest.
    fn read_by(&self, py: Python<'_>, known: &WeightTable, clearest: f64, least: f64, number: u64, threads: usize) -> PyResult<()> {
        py.detach(|| self.store.write().unwrap().table.read_by(&known.0, clearest, least, number, threads));
        Ok(())
    }

    /// Of all that each document matches, whatever the length of a bucket, the nearest, and of equals the first.
    fn nearest<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64, threads: usize) -> PyResult<Vec<Nearest<'py>>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let (ids, found) = py.detach(|| {
            let store = self.store.read().unwrap();
            let (found, mut ids) = (store.table.nearest(&rows, threshold, threads), IdList::default());
            for one in found.iter().flatten() {
                ids.push(store.ids.members(one.entry).next().map_or(&[], |document| store.ids.id(document)));
            }
            (ids, found)
        });
        nearest_tuples(py, &ids, found.into_iter().map(|one| one.map(|one| (one.agreement, one.size))))
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

    fn push_entry(&mut self, store: &Store, entry: Option<u32>, fingerprints: &[u32], bands: usize, slots: usize) {
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
