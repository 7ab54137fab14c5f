//! Ids on their way into a store and out of it.

use super::{names, objects, Utf8};
use crate::room::{self, NoRoom, Roomy};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::ops::Range;

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
            return objects::integer(py, (folded >> 1) as i64 ^ -((folded & 1) as i64));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::from_bytes(py, text.as_bytes())?.into_any()),
            // Lone surrogates.
            Err(_) => Self::decoded(py, bytes),
        }
    }

    fn decoded<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let copy = |own: &mut [u8]| {
            own.copy_from_slice(bytes);
            Ok(())
        };
        names().decode.bind(py).call1((PyBytes::new_with(py, bytes.len(), copy)?, &names().utf_8, &names().surrogatepass))
    }

    pub(super) fn list<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        self.whole()?;
        objects::list(py, range.map(|place| self.object(py, place)))
    }

    pub(super) fn whole(&self) -> Roomy<()> {
        self.missing.map_or(Ok(()), Err)
    }
}
