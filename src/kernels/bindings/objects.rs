//! Python objects of which there may be many, made so that a want of memory is an error: PyO3's own constructors panic.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::ffi::c_longlong;

pub(super) fn integer(py: Python<'_>, number: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: it returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(number as c_longlong)) }
}

pub(super) fn list<'py>(py: Python<'py>, items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: it returns a new reference, or null with an exception set; what it refers to is a list.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(0))?.cast_into_unchecked::<PyList>() };
    for item in items {
        list.append(item?)?;
    }
    Ok(list)
}

pub(super) fn tuple<'py, const N: usize>(py: Python<'py>, items: [Bound<'py, PyAny>; N]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: PyTuple_New returns a new reference, or null with an exception set. The tuple has N places, which are empty, and
    // nobody else has it yet: PyTuple_SetItem takes the reference that `into_ptr` gives up, and cannot fail.
    unsafe {
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(N as ffi::Py_ssize_t))?.cast_into_unchecked::<PyTuple>();
        for (place, item) in (0..).zip(items) {
            ffi::PyTuple_SetItem(tuple.as_ptr(), place, item.into_ptr());
        }
        Ok(tuple.into_any())
    }
}
