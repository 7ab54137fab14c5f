//! What look-ups found, on its way to Python.

use super::ids::IdList;
use crate::room::{self, Roomy};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::ops::Range;

/// The id of a match, its agreement and its size.
pub(super) type Hit<'py> = (Bound<'py, PyAny>, u32, u32);
/// The matches of one look-up, and whether it was truncated.
pub(super) type Answered<'py> = (Bound<'py, PyList>, bool);

/// Documents that were found, one look-up after another: their ids, agreements and sizes.
pub(super) struct Hits {
    ids: IdList,
    columns: Vec<(u32, u32)>,
    /// Where each look-up ends, and whether it was truncated.
    ends: Vec<(usize, bool)>,
    /// Whether there was room for all; that is told when they are asked for.
    room: Roomy<()>,
}

impl Default for Hits {
    fn default() -> Self {
        Hits { ids: IdList::default(), columns: Vec::new(), ends: Vec::new(), room: Ok(()) }
    }
}

impl Hits {
    pub(super) fn push(&mut self, id: &[u8], (agreement, size): (u32, u32)) {
        self.ids.push(id);
        room::push(&mut self.columns, (agreement, size), &mut self.room);
    }

    /// No more of one look-up.
    pub(super) fn end(&mut self, truncated: bool) {
        room::push(&mut self.ends, (self.columns.len(), truncated), &mut self.room);
    }

    /// All of them, of one look-up.
    pub(super) fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.tuples(py, 0..self.columns.len())
    }

    /// Those of each look-up.
    pub(super) fn each<'py>(&self, py: Python<'py>) -> PyResult<Vec<Answered<'py>>> {
        self.room?;
        let mut start = 0;
        let answer = |&(end, truncated): &(usize, bool)| Ok((self.tuples(py, std::mem::replace(&mut start, end)..end)?, truncated));
        self.ends.iter().map(answer).collect()
    }

    /// The first of each look-up; None where it found nothing.
    pub(super) fn first_of_each<'py>(&self, py: Python<'py>) -> PyResult<Vec<Option<Hit<'py>>>> {
        self.room?;
        let mut start = 0;
        let first = |&(end, _): &(usize, bool)| {
            let start = std::mem::replace(&mut start, end);
            (start < end).then(|| self.tuple(py, start)).transpose()
        };
        self.ends.iter().map(first).collect()
    }

    fn tuples<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        self.room?;
        let tuples = PyList::empty(py);
        for place in range {
            tuples.append(self.tuple(py, place)?)?;
        }
        Ok(tuples)
    }

    fn tuple<'py>(&self, py: Python<'py>, place: usize) -> PyResult<Hit<'py>> {
        let (agreement, size) = self.columns[place];
        Ok((self.ids.object(py, place)?, agreement, size))
    }
}
