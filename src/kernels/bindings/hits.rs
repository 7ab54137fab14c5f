//! What look-ups found, on its way to Python.

use super::ids::IdList;
use super::matcher::Matcher;
use super::objects;
use crate::room::{self, Roomy};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList};
use std::ops::Range;

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

    /// All of them, of one look-up of a document of `size` shingles, which may be truncated, as matches.
    pub(super) fn matches<'py>(&self, matcher: &Bound<'py, Matcher>, size: u32, truncated: bool) -> PyResult<Bound<'py, PyList>> {
        self.room?;
        let py = matcher.py();
        let found = self.columns.iter().enumerate().map(|(place, &scored)| Ok((self.ids.object(py, place)?, scored)));
        matcher.get().told(py, size, found, truncated)
    }

    /// Those of each look-up, and whether it was truncated.
    pub(super) fn each<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.room?;
        let mut start = 0;
        let answer = |&(end, truncated): &(usize, bool)| {
            let found = self.tuples(py, std::mem::replace(&mut start, end)..end)?;
            objects::tuple(py, [found.into_any(), PyBool::new(py, truncated).to_owned().into_any()])
        };
        objects::list(py, self.ends.iter().map(answer))
    }

    /// The first of each look-up; None where it found nothing.
    pub(super) fn first_of_each<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.room?;
        let mut start = 0;
        let first = |&(end, _): &(usize, bool)| {
            let start = std::mem::replace(&mut start, end);
            if start < end {
                self.tuple(py, start)
            } else {
                Ok(py.None().into_bound(py))
            }
        };
        objects::list(py, self.ends.iter().map(first))
    }

    fn tuples<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        self.room?;
        objects::list(py, range.map(|place| self.tuple(py, place)))
    }

    /// The id of a match, its agreement and its size.
    fn tuple<'py>(&self, py: Python<'py>, place: usize) -> PyResult<Bound<'py, PyAny>> {
        let (agreement, size) = self.columns[place];
        objects::tuple(py, [self.ids.object(py, place)?, objects::integer(py, agreement.into())?, objects::integer(py, size.into())?])
    }
}
