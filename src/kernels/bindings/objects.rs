//! Python objects of which there may be many, made so that a want of memory is an error: PyO3's own constructors panic.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};
use std::ffi::{c_longlong, c_void};
use std::ptr::null_mut;

/// A class of tuples, of which `tuple.__new__` makes instances: quicker than to ask it by its name.
pub(super) struct TupleClass {
    class: Py<PyType>,
    new: ffi::newfunc,
}

impl TupleClass {
    pub(super) fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        if !class.is_subclass_of::<PyTuple>()? {
            return Err(PyTypeError::new_err(format!("{} is no class of tuples", class.name()?)));
        }
        let tuple = class.py().get_type::<PyTuple>();
        // SAFETY: the slot of a type of Python's own that has instances is a function of this kind, and not null.
        let new = unsafe { std::mem::transmute::<*mut c_void, ffi::newfunc>(ffi::PyType_GetSlot(tuple.as_type_ptr(), ffi::Py_tp_new)) };
        Ok(TupleClass { class: class.clone().unbind(), new })
    }

    pub(super) fn instance<'py, const N: usize>(&self, py: Python<'py>, items: [Bound<'py, PyAny>; N]) -> PyResult<Bound<'py, PyAny>> {
        let arguments = tuple(py, [tuple(py, items)?])?;
        // SAFETY: of a class that is one of tuples and a tuple of arguments it returns a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, (self.new)(self.class.as_ptr().cast(), arguments.as_ptr(), null_mut())) }
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
