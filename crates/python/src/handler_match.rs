//! The Python class `Match`.

use jiff::Timestamp;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString, PyTuple};

use crate::action::PyAction;
use crate::evaluation::PyEvaluation;
use crate::pattern::PyPattern;
use crate::time_window::PyMatchFiring;
use crate::timestamp::to_datetime;

/// Why a handler runs.
#[pyclass(name = "Match", module = "reflexarc", frozen)]
pub(crate) struct PyMatch {
    pub(crate) at: MatchTime,
    pub(crate) evaluation: Py<PyEvaluation>,
    pub(crate) pattern: Py<PyPattern>,
    pub(crate) rule: Option<Py<PyString>>,
    pub(crate) firing: Option<PyMatchFiring>,
    pub(crate) item: Option<Py<PyAny>>,
}

/// The time of an evaluation.
pub(crate) enum MatchTime {
    /// A `datetime` of the program.
    Given(Py<PyDateTime>),
    /// The present time, which few handlers look at.
    Now(Timestamp),
}

impl MatchTime {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Given(at) => Self::Given(at.clone_ref(py)),
            Self::Now(now) => Self::Now(*now),
        }
    }
}

#[pymethods]
impl PyMatch {
    #[new]
    #[pyo3(signature = (at, evaluation, pattern, rule = None, firing = None, item = None))]
    fn new(
        at: Py<PyDateTime>,
        evaluation: Py<PyEvaluation>,
        pattern: Py<PyPattern>,
        rule: Option<Py<PyString>>,
        firing: Option<&Bound<'_, PyMatchFiring>>,
        item: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            at: MatchTime::Given(at),
            evaluation,
            pattern,
            rule,
            firing: firing.map(|firing| firing.get().clone()),
            item,
        }
    }

    /// The time of the evaluation: now, or of a deadline its own time.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        match &self.at {
            MatchTime::Given(at) => Ok(at.bind(py).clone()),
            MatchTime::Now(now) => to_datetime(py, *now),
        }
    }

    /// The evaluation of the event or deadline, whose actions are not delivered yet.
    #[getter]
    fn evaluation(&self, py: Python<'_>) -> Py<PyEvaluation> {
        self.evaluation.clone_ref(py)
    }

    /// The pattern that the event matches: that of the rule, or of the handler.
    #[getter]
    fn pattern(&self, py: Python<'_>) -> Py<PyPattern> {
        self.pattern.clone_ref(py)
    }

    /// The rule that reacted; `None` for a handler of a pattern.
    #[getter]
    fn rule(&self, py: Python<'_>) -> Option<Py<PyString>> {
        self.rule.as_ref().map(|rule| rule.clone_ref(py))
    }

    /// The match of the rule's time window; `None` without one.
    #[getter]
    fn firing(&self) -> Option<PyMatchFiring> {
        self.firing.clone()
    }

    /// What the source yielded: the `Message`, text or dict; `None` where only time has
    /// passed.
    #[getter]
    fn item(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.item.as_ref().map(|item| item.clone_ref(py))
    }

    /// The actions of the rule; none for a handler of a pattern.
    #[getter]
    fn actions(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAction>>> {
        let Some(rule) = &self.rule else {
            return Ok(Vec::new());
        };
        let rule = rule.bind(py).to_cow()?;
        let mut actions = self.evaluation.get().actions(py);
        actions.retain(|action| action.get().rule == rule);
        Ok(actions)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let of = match &self.rule {
            Some(rule) => rule.bind(py).repr()?,
            None => self.pattern.bind(py).repr()?,
        };
        let at = self.at(py)?.call_method0("isoformat")?;
        Ok(format!("<Match of {of} at {at}>"))
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
        let (py, this) = (slf.py(), slf.get());
        let arguments = (
            this.at(py)?,
            this.evaluation(py),
            this.pattern(py),
            this.rule(py),
            this.firing(),
            this.item(py),
        );
        Ok((slf.get_type().into_any(), arguments.into_pyobject(py)?))
    }

    // A program may keep the match in its item.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.item)
    }
}
