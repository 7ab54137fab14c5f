//! Joins of a whole corpus.

use super::Array1;
use crate::bar::{Bar, Measure};
use crate::join::{self, Bounds, Buckets};
use crate::prefix::{self, Enough, Required};
use crate::room::{self, NoRoom, Roomy};
use crate::sets::{Edge, Sets};
use crate::weigh::{self, Weights};
use numpy::{IntoPyArray, PyReadonlyArray1, PyReadwriteArray1, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

/// Pairs of sets by number, the earlier first, and how many hashes they share.
type Edges<'py> = (Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u32>);
/// The members and ends of the buckets of a band.
type BucketArrays<'py> = (PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, u32>);

fn columns<'py>(py: Python<'py>, edges: &[Edge]) -> PyResult<Edges<'py>> {
    let column = |of: fn(&Edge) -> u32| Ok::<_, NoRoom>(room::collected(edges.iter().map(of))?.into_pyarray(py));
    Ok((column(|e| e.earlier)?, column(|e| e.later)?, column(|e| e.both)?))
}

/// The verification hashes of sets: all of them, where those of each begin, and how many they are.
#[derive(FromPyObject)]
pub(super) struct SetArrays<'py>(PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u32>);

impl SetArrays<'_> {
    /// Sets that are all there.
    fn sets(&self) -> PyResult<Sets<'_>> {
        self.some_sets()?.whole().ok_or_else(|| PyIndexError::new_err("sets that are empty"))
    }

    /// Sets of which empty ones are not there, and are not asked for.
    fn some_sets(&self) -> PyResult<Sets<'_>> {
        let (starts, sizes) = (self.1.as_slice()?, self.2.as_slice()?);
        Sets::new(self.0.as_slice()?, starts, sizes).ok_or_else(|| PyIndexError::new_err("sets that lie outside the verification hashes"))
    }
}

fn all<'a>(bands: &'a [BucketArrays], sets: usize) -> PyResult<Vec<Buckets<'a>>> {
    let fit = |(members, ends): &'a BucketArrays| {
        Buckets::new(members.as_slice()?, ends.as_slice()?, sets)
            .ok_or_else(|| PyIndexError::new_err(format!("buckets whose ends do not fit, or with members beyond {sets} sets")))
    };
    bands.iter().map(fit).collect()
}

/// The buckets of a band, of two or more sets: their members, ascending, and where each bucket ends.
#[pyfunction]
pub(super) fn buckets<'py>(
    py: Python<'py>,
    fingerprints: PyReadonlyArray1<'py, u32>,
    places: PyReadonlyArray1<'py, i64>,
) -> PyResult<(Array1<'py, u32>, Array1<'py, u32>)> {
    let (column, places) = (fingerprints.as_slice()?, places.as_slice()?);
    if places.iter().any(|&place| place < 0 || place as usize >= column.len()) {
        return Err(PyIndexError::new_err(format!("places beyond {} documents", column.len())));
    }
    let (members, ends) = py.detach(|| join::buckets(places.iter().map(|&place| column[place as usize])))?;
    Ok((members.into_pyarray(py), ends.into_pyarray(py)))
}

fn check_roles(roles: usize, sets: usize) -> PyResult<()> {
    if roles == sets {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("{roles} roles for {sets} sets")))
}

fn within((crowd, most): (u64, u64)) -> Bounds {
    Bounds { crowd, most }
}

/// With how many later sets each shares a bucket that is joined pair by pair.
#[pyfunction]
pub(super) fn partners<'py>(
    py: Python<'py>,
    bands: Vec<BucketArrays<'py>>,
    roles: PyReadonlyArray1<'py, u8>,
    bounds: (u64, u64),
) -> PyResult<Array1<'py, u64>> {
    let (bands, roles) = (all(&bands, roles.len())?, roles.as_slice()?);
    Ok(py.detach(|| join::partners(&bands, roles, within(bounds)))?.into_pyarray(py))
}

/// The pairs of sets that share a bucket that is joined pair by pair and may match, the earlier of them within `range`.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub(super) fn candidates<'py>(
    py: Python<'py>,
    bands: Vec<BucketArrays<'py>>,
    roles: PyReadonlyArray1<'py, u8>,
    sizes: PyReadonlyArray1<'py, u32>,
    threshold: f64,
    range: (u32, u32),
    bounds: (u64, u64),
    threads: usize,
) -> PyResult<Array1<'py, u64>> {
    let (bands, sizes, roles) = (all(&bands, roles.len())?, sizes.as_slice()?, roles.as_slice()?);
    check_roles(roles.len(), sizes.len())?;
    Ok(py.detach(|| join::candidates(&bands, roles, sizes, threshold, range.0..range.1, within(bounds), threads))?.into_pyarray(py))
}

/// The buckets of the verification hashes below `sample`, of each the sets that have it.
#[pyfunction]
pub(super) fn sampled_buckets<'py>(py: Python<'py>, sets: SetArrays<'py>, sample: u32) -> PyResult<(Array1<'py, u32>, Array1<'py, u32>)> {
    let sets = sets.sets()?;
    let (members, ends) = py.detach(|| join::sampled_buckets(sets, sample))?;
    Ok((members.into_pyarray(py), ends.into_pyarray(py)))
}

/// Those of some pairs that match: by their Jaccard similarity, by how much of the smaller is in the larger, or, as lean
/// signatures of some slots, by an estimate.
#[pyfunction]
#[pyo3(signature = (pairs, sets, threshold, threads, overlap=false, slots=0))]
pub(super) fn compare<'py>(
    py: Python<'py>,
    pairs: PyReadonlyArray1<'py, u64>,
    sets: SetArrays<'py>,
    threshold: f64,
    threads: usize,
    overlap: bool,
    slots: usize,
) -> PyResult<Edges<'py>> {
    let (pairs, sets) = (pairs.as_slice()?, sets.some_sets()?);
    let bar = if overlap { Bar::by(Measure::Overlap, threshold) } else { Bar::new(threshold, slots) };
    let edges = py.detach(|| join::compare(pairs, sets, bar, threads))?;
    columns(py, &edges.ok_or_else(no_such_set)?)
}

/// Those of some pairs that may be readings of one text.
#[pyfunction]
pub(super) fn compare_readings<'py>(
    py: Python<'py>,
    pairs: PyReadonlyArray1<'py, u64>,
    sets: SetArrays<'py>,
    legible: PyReadonlyArray1<'py, f64>,
    least: f64,
    corrected: f64,
    threads: usize,
) -> PyResult<Edges<'py>> {
    let (pairs, sets, legible) = (pairs.as_slice()?, sets.some_sets()?, legible.as_slice()?);
    let edges = py.detach(|| join::compare_readings(pairs, sets, legible, least, corrected, threads))?;
    columns(py, &edges.ok_or_else(no_such_set)?)
}

/// What matches require but a Jaccard similarity.
#[derive(FromPyObject)]
pub(super) enum RequiredArrays<'py> {
    /// How much of each set was read rightly, and a corrected similarity.
    Readings(PyReadonlyArray1<'py, f64>, f64),
    /// What hashes and each set weigh, and a similarity by weight.
    Weighed(PyRef<'py, WeightTable>, PyReadonlyArray1<'py, u64>, f64),
    /// How much of the smaller is in the larger, instead of the Jaccard similarity.
    #[pyo3(transparent)]
    Overlap(f64),
}

/// Do something with what matches must reach.
fn with_required<R>(
    required: Option<RequiredArrays>,
    sets: usize,
    threshold: f64,
    work: impl FnOnce(Bar, Option<Required>) -> R,
) -> PyResult<R> {
    let bar = Bar::new(threshold, 0);
    let (required, many) = match &required {
        None => return Ok(work(bar, None)),
        Some(RequiredArrays::Overlap(threshold)) => return Ok(work(Bar::by(Measure::Overlap, *threshold), None)),
        Some(RequiredArrays::Readings(legible, corrected)) => (Required::readings(legible.as_slice()?, *corrected), legible.len()),
        Some(RequiredArrays::Weighed(weights, totals, threshold)) => {
            (Required::Weighed { weights: &weights.0, totals: totals.as_slice()?, threshold: *threshold }, totals.len())
        }
    };
    if many != sets {
        return Err(PyValueError::new_err(format!("what {many} sets require, for {sets} sets")));
    }
    Ok(work(bar, Some(required)))
}

/// Do something that may take long, and asks now and then whether it is to end: for an interrupt, say. Python tells its main thread
/// alone of those, so that only the thread that waits for the work asks.
fn unless_interrupted<R: Send>(py: Python<'_>, work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Roomy<R> + Send) -> PyResult<R> {
    let (asking, begin, next, raised) = (thread::current().id(), Instant::now(), AtomicU64::new(PAUSE), OnceLock::new());
    let ends = || {
        if thread::current().id() == asking && begin.elapsed().as_millis() as u64 >= next.load(Ordering::Relaxed) {
            if let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) {
                let _ = raised.set(error);
            }
            next.store(begin.elapsed().as_millis() as u64 + PAUSE, Ordering::Relaxed);
        }
        raised.get().is_some()
    };
    let done = py.detach(|| work(&ends));
    match raised.into_inner() {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}

/// Milliseconds after which signals are looked for again.
const PAUSE: u64 = 50;

/// The crowded buckets of each band: of their members those that have a role, and where each ends.
#[pyfunction]
pub(super) fn crowds<'py>(
    py: Python<'py>,
    bands: Vec<BucketArrays<'py>>,
    roles: PyReadonlyArray1<'py, u8>,
    bounds: (u64, u64),
) -> PyResult<Vec<(Array1<'py, u32>, Array1<'py, u32>)>> {
    let (bands, roles) = (all(&bands, roles.len())?, roles.as_slice()?);
    let found = py.detach(|| join::crowds(&bands, roles, within(bounds)))?;
    Ok(found.into_iter().map(|(members, ends)| (members.into_pyarray(py), ends.into_pyarray(py))).collect())
}

/// The matches of sets that share a bucket; some of them, where there are more than `most`.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
#[pyo3(signature = (bands, roles, sets, threshold, threads, required=None, most=u64::MAX))]
pub(super) fn crowd_join<'py>(
    py: Python<'py>,
    bands: Vec<BucketArrays<'py>>,
    roles: PyReadonlyArray1<'py, u8>,
    sets: SetArrays<'py>,
    threshold: f64,
    threads: usize,
    required: Option<RequiredArrays<'py>>,
    most: u64,
) -> PyResult<Edges<'py>> {
    let (bands, sets, roles) = (all(&bands, roles.len())?, sets.sets()?, roles.as_slice()?);
    check_roles(roles.len(), sets.len())?;
    let edges = with_required(required, sets.len(), threshold, |bar, required| {
        unless_interrupted(py, |ends| join::crowd_join(&bands, roles, sets, bar, threads, required, &Enough::new(most, ends)))
    })??;
    columns(py, &edges)
}

/// All matches; some of them, where there are more than `most`.
#[pyfunction]
#[pyo3(signature = (roles, sets, threshold, threads, required=None, most=u64::MAX))]
pub(super) fn prefix_join<'py>(
    py: Python<'py>,
    roles: PyReadonlyArray1<'py, u8>,
    sets: SetArrays<'py>,
    threshold: f64,
    threads: usize,
    required: Option<RequiredArrays<'py>>,
    most: u64,
) -> PyResult<Edges<'py>> {
    let (sets, roles) = (sets.sets()?, roles.as_slice()?);
    check_roles(roles.len(), sets.len())?;
    let members = room::gathered((0u32..).zip(roles).filter(|(_, &role)| role != 0).map(|(set, _)| set))?;
    let edges = with_required(required, sets.len(), threshold, |bar, required| {
        unless_interrupted(py, |ends| prefix::prefix_join(&members, roles, sets, bar, threads, required, &Enough::new(most, ends)))
    })??;
    columns(py, &edges)
}

/// Which of some sets share a bucket with an earlier one of them.
#[pyfunction]
pub(super) fn preceded<'py>(
    py: Python<'py>,
    bands: Vec<BucketArrays<'py>>,
    among: PyReadonlyArray1<'py, bool>,
) -> PyResult<Array1<'py, bool>> {
    let (bands, among) = (all(&bands, among.len())?, among.as_slice()?);
    Ok(py.detach(|| join::preceded(&bands, among))?.into_pyarray(py))
}

fn no_such_set() -> PyErr {
    PyIndexError::new_err("edges that name sets that there are not, or not the earlier first")
}

/// What is kept of `sets` sets between which there are edges.
#[pyfunction]
pub(super) fn first_independent_set<'py>(
    py: Python<'py>,
    sets: usize,
    earlier: PyReadonlyArray1<'py, u32>,
    later: PyReadonlyArray1<'py, u32>,
) -> PyResult<Array1<'py, bool>> {
    let (earlier, later) = (earlier.as_slice()?, later.as_slice()?);
    let kept = py.detach(|| join::first_independent_set(sets, earlier, later))?;
    Ok(kept.ok_or_else(no_such_set)?.into_pyarray(py))
}

/// Go on with that over edges in order of their later ends, a bit for each set.
#[pyfunction]
pub(super) fn keep_first(
    py: Python<'_>,
    mut kept: PyReadwriteArray1<'_, u8>,
    earlier: PyReadonlyArray1<'_, u64>,
    later: PyReadonlyArray1<'_, u64>,
) -> PyResult<()> {
    let (kept, earlier, later) = (kept.as_slice_mut()?, earlier.as_slice()?, later.as_slice()?);
    py.detach(|| join::keep_first(kept, earlier, later)).ok_or_else(no_such_set)
}

/// The first set in the component of each.
#[pyfunction]
pub(super) fn components<'py>(
    py: Python<'py>,
    sets: usize,
    a: PyReadonlyArray1<'py, u32>,
    b: PyReadonlyArray1<'py, u32>,
) -> PyResult<Array1<'py, u32>> {
    let (a, b) = (a.as_slice()?, b.as_slice()?);
    let labels = py.detach(|| join::components(sets, a, b))?;
    Ok(labels.ok_or_else(no_such_set)?.into_pyarray(py))
}

/// How many verification hashes the sets of each pair share.
#[pyfunction]
pub(super) fn intersections<'py>(
    py: Python<'py>,
    sets: SetArrays<'py>,
    a: PyReadonlyArray1<'py, u32>,
    b: PyReadonlyArray1<'py, u32>,
    threads: usize,
) -> PyResult<Array1<'py, u32>> {
    let (sets, a, b) = (sets.some_sets()?, a.as_slice()?, b.as_slice()?);
    if a.len() != b.len() || !a.iter().chain(b).all(|&set| sets.has(set)) {
        return Err(no_such_set());
    }
    Ok(py.detach(|| join::intersections(sets, a, b, threads))?.into_pyarray(py))
}

/// The weights of some hashes, and of all others.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct WeightTable(pub(super) Weights);

#[pymethods]
impl WeightTable {
    #[new]
    fn new(hashes: PyReadonlyArray1<'_, u32>, weights: PyReadonlyArray1<'_, u16>, rest: u16) -> PyResult<Self> {
        let weights = Weights::new(hashes.as_slice()?, weights.as_slice()?, rest)?;
        Ok(WeightTable(weights.ok_or_else(|| PyValueError::new_err("weights of hashes that do not ascend, or are not as many"))?))
    }

    /// What one set weighs.
    fn total(&self, set: PyReadonlyArray1<'_, u32>) -> PyResult<u64> {
        Ok(self.0.total(set.as_slice()?))
    }

    /// What the hashes weigh that two sets share.
    fn shared(&self, a: PyReadonlyArray1<'_, u32>, b: PyReadonlyArray1<'_, u32>) -> PyResult<u64> {
        Ok(self.0.shared(a.as_slice()?, b.as_slice()?))
    }

    /// For another process, what it was made of.
    fn __getnewargs__<'py>(&self, py: Python<'py>) -> (Array1<'py, u32>, Array1<'py, u16>, u16) {
        let (hashes, weights, rest) = self.0.parts();
        (hashes.to_vec().into_pyarray(py), weights.to_vec().into_pyarray(py), rest)
    }
}

/// What each set weighs.
#[pyfunction]
pub(super) fn total_weights<'py>(
    py: Python<'py>,
    sets: SetArrays<'py>,
    weights: &WeightTable,
    threads: usize,
) -> PyResult<Array1<'py, u64>> {
    let (sets, weights) = (sets.sets()?, &weights.0);
    Ok(py.detach(|| weigh::totals(sets, weights, threads))?.into_pyarray(py))
}

/// What the hashes weigh that the sets of each pair share.
#[pyfunction]
pub(super) fn shared_weights<'py>(
    py: Python<'py>,
    sets: SetArrays<'py>,
    a: PyReadonlyArray1<'py, u32>,
    b: PyReadonlyArray1<'py, u32>,
    weights: &WeightTable,
    threads: usize,
) -> PyResult<Array1<'py, u64>> {
    let (sets, a, b, weights) = (sets.some_sets()?, a.as_slice()?, b.as_slice()?, &weights.0);
    if a.len() != b.len() || !a.iter().chain(b).all(|&set| sets.has(set)) {
        return Err(no_such_set());
    }
    Ok(py.detach(|| weigh::shared(sets, a, b, weights, threads))?.into_pyarray(py))
}
