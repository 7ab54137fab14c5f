//! What was found, told as matches.

use super::objects::{float, TupleClass};
use crate::verify::{estimated_scores, scores};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyType};

/// The classes of a match and of the matches of a look-up, and what agreement says.
#[pyclass(frozen, module = "neardup._kernels")]
pub(super) struct Matcher {
    one: TupleClass,
    many: Py<PyType>,
    slots: usize,
}

#[pymethods]
impl Matcher {
    /// `one` is a class of tuples, `many` of lists; of lean signatures so many slots, 0 of verification hashes.
    #[new]
    fn new(one: &Bound<'_, PyType>, many: &Bound<'_, PyType>, slots: usize) -> PyResult<Self> {
        Ok(Matcher { one: TupleClass::new(one)?, many: many.clone().unbind(), slots })
    }

    /// What was found of a document of `size` shingles, (id, agreement, size) each, and whether its look-up was truncated.
    fn matches<'py>(&self, py: Python<'py>, size: u32, answer: (Bound<'py, PyList>, bool)) -> PyResult<Bound<'py, PyList>> {
        let (hits, truncated) = answer;
        let found = hits.iter().map(|hit| {
            let (id, agreement, other) = hit.extract::<(Bound<'py, PyAny>, u32, u32)>()?;
            Ok((id, (agreement, other)))
        });
        self.told(py, size, found, truncated)
    }
}

impl Matcher {
    pub(super) fn told<'py>(
        &self,
        py: Python<'py>,
        size: u32,
        found: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, (u32, u32))>>,
        truncated: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let matches = self.many.bind(py).call0()?.cast_into::<PyList>()?;
        if truncated {
            matches.setattr(intern!(py, "truncated"), true)?;
        }
        for one in found {
            let (id, (agreement, other)) = one?;
            let exact = self.slots == 0;
            let (similarity, containment) =
                if exact { scores(agreement, size, other) } else { estimated_scores(agreement, self.slots, size, other) };
            let exact = PyBool::new(py, exact).to_owned().into_any();
            matches.append(self.one.instance(py, [id, float(py, similarity)?, float(py, containment)?, exact])?)?;
        }
        Ok(matches)
    }
}
