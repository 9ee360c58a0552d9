//! The Python class `Failure`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reflexarc::Failure;

use crate::repr::Fields;

/// A failed reaction.
#[pyclass(name = "Failure", module = "reflexarc", frozen, eq, hash, get_all)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyFailure {
    /// The name of the rule.
    rule: String,
    /// The number of `emit` calls between the event and the derived event that the rule
    /// matched.
    hop: usize,
    /// What failed, with line and column of the rule file if it is the script.
    message: String,
}

impl PyFailure {
    /// Rule and message, for a table.
    pub(crate) fn cells(&self) -> [String; 2] {
        [self.rule.clone(), self.message.clone()]
    }
}

impl From<&Failure> for PyFailure {
    fn from(failure: &Failure) -> Self {
        Self {
            rule: failure.rule.clone(),
            hop: failure.hop,
            message: failure.message.clone(),
        }
    }
}

#[pymethods]
impl PyFailure {
    fn __str__(&self) -> String {
        format!("{}: {}", self.rule, self.message)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "Failure").text("rule", &self.rule)?;
        let fields = fields.number("hop", self.hop as u64);
        Ok(fields.text("message", &self.message)?.finish())
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get();
        let arguments = (&this.rule, this.hop, &this.message);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(rule: String, hop: usize, message: String) -> Self {
        Self { rule, hop, message }
    }
}
