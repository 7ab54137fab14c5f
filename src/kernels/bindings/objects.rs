//! Python objects of which there may be many, made so that a want of memory is an error: PyO3's own constructors panic.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};
use pyo3::{ffi, intern};
use std::ffi::c_longlong;

/// A class of tuples that have nothing but what is in them.
pub(super) struct TupleClass(Py<PyType>);

impl TupleClass {
    pub(super) fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        let (py, tuple) = (class.py(), class.py().get_type::<PyTuple>());
        for size in [intern!(py, "__basicsize__"), intern!(py, "__itemsize__")] {
            if !class.is_subclass(&tuple)? || !class.getattr(size)?.eq(tuple.getattr(size)?)? {
                return Err(PyTypeError::new_err(format!("{} is no class of tuples, or has more than those", class.name()?)));
            }
        }
        Ok(TupleClass(class.clone().unbind()))
    }

    pub(super) fn instance<'py, const N: usize>(&self, py: Python<'py>, items: [Bound<'py, PyAny>; N]) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the class is one of tuples, of their layout: what is allocated, or null with an exception set, is a tuple of N
        // empty places.
        unsafe { filled(py, ffi::PyType_GenericAlloc(self.0.as_ptr().cast(), N as ffi::Py_ssize_t), items) }
    }
}

pub(super) fn float(py: Python<'_>, number: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: it returns a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyFloat_FromDouble(number)) }
}

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
    // SAFETY: PyTuple_New returns a new tuple of N empty places, or null with an exception set.
    unsafe { filled(py, ffi::PyTuple_New(N as ffi::Py_ssize_t), items) }
}

/// # Safety
///
/// The tuple is new and has N empty places, or is null and an exception is set.
unsafe fn filled<'py, const N: usize>(
    py: Python<'py>,
    tuple: *mut ffi::PyObject,
    items: [Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: as above; nobody else has the tuple yet, so PyTuple_SetItem, which takes the reference that `into_ptr` gives up,
    // cannot fail.
    unsafe {
        let tuple = Bound::from_owned_ptr_or_err(py, tuple)?;
        for (place, item) in (0..).zip(items) {
            ffi::PyTuple_SetItem(tuple.as_ptr(), place, item.into_ptr());
        }
        Ok(tuple)
    }
}
