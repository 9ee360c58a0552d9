//! The Python classes about time windows: `Deadline`, `MatchFiring` and `DueEvaluation`.

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyIterator, PyTuple};
use reflexarc::{DueEvaluation, FiringReason, MatchFiring};
use reflexarc_event::Json;

use crate::action::{PyAction, PyCancellation};
use crate::action_pickle;
use crate::convert;
use crate::evaluation_effects::PyEffects;
use crate::evaluation_pickle::{self, EffectsRow};
use crate::event::PyEvent;
use crate::failure::PyFailure;
use crate::repr::{Fields, repr};
use crate::timestamp::to_datetime;

/// A time at which a rule with a time window reacts, unless an event comes that changes it.
///
/// It can be unpacked: `at, rule, key = deadline`.
#[pyclass(name = "Deadline", module = "reflexarc", frozen, eq, hash)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyDeadline {
    pub(crate) at: Timestamp,
    pub(crate) rule: String,
    /// As JSON.
    pub(crate) key: String,
}

/// The match of a time window that made a rule react.
#[pyclass(name = "MatchFiring", module = "reflexarc", frozen, eq)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PyMatchFiring {
    pub(crate) rule: String,
    pub(crate) firing: MatchFiring,
}

/// What rules did because a deadline has passed.
#[pyclass(name = "DueEvaluation", module = "reflexarc", frozen)]
pub(crate) struct PyDueEvaluation {
    deadline: PyDeadline,
    effects: PyEffects,
}

/// The key of a match, which is JSON, as rules see it.
pub(crate) fn key_to_python<'py>(py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    match Json::parse(key) {
        // The only key of a rule without `by`.
        Ok(Json::Array(values)) if values.is_empty() => convert::to_python(py, &Json::from("")),
        Ok(key) => convert::to_python(py, &key),
        Err(_) => convert::to_python(py, &Json::from(key)),
    }
}

#[pymethods]
impl PyDeadline {
    /// The time, in UTC.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        to_datetime(py, self.at)
    }

    /// The name of the rule.
    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }

    /// The key: the value at the path of `by`, for several paths a list, "" without `by`.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        key_to_python(py, &self.key)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let fields = (self.at(py)?, self.rule(), self.key(py)?);
        PyIterator::from_object(fields.into_pyobject(py)?.as_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "Deadline").value("at", self.at(py)?.as_any())?;
        let fields = fields.text("rule", &self.rule)?;
        Ok(fields.value("key", &self.key(py)?)?.finish())
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
        let arguments = (this.at.to_string(), &this.rule, &this.key);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(at: &str, rule: String, key: String) -> PyResult<Self> {
        let at = at.parse();
        let at = at.map_err(|_| PyValueError::new_err("not a pickled Deadline"))?;
        Ok(Self { at, rule, key })
    }
}

#[pymethods]
impl PyMatchFiring {
    /// The name of the rule.
    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }

    /// Why it reacted: "fired" if the match is complete or its time has passed, "resolved" if
    /// what it had reported is over.
    #[getter]
    fn reason(&self) -> &'static str {
        match self.firing.reason {
            FiringReason::Resolved => "resolved",
            _ => "fired",
        }
    }

    /// The key: the value at the path of `by`, for several paths a list, "" without `by`.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.firing.key)
    }

    /// The time of the opening event.
    #[getter]
    fn opened<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        to_datetime(py, self.firing.opened)
    }

    /// The end of the time that was waited; `None` where an event completed the match.
    #[getter]
    fn deadline<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let deadline = self.firing.deadline;
        deadline.map(|at| to_datetime(py, at)).transpose()
    }

    /// The number of events of the match.
    #[getter]
    fn count(&self) -> u64 {
        self.firing.count
    }

    /// Whether one of its events came later than `grace` allows.
    #[getter]
    fn late(&self) -> bool {
        self.firing.late
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "MatchFiring").text("rule", &self.rule)?;
        let fields = fields.text("reason", self.reason())?;
        let fields = fields.value("key", &self.key(py)?)?;
        Ok(fields.number("count", self.firing.count).finish())
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
        let firing = action_pickle::pickled_firing(&this.firing).to_string();
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, (&this.rule, firing).into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(rule: String, firing: &str) -> PyResult<Self> {
        let firing = Json::parse(firing).ok();
        let firing = firing.and_then(|json| action_pickle::unpickled_firing(&json));
        let firing = firing.ok_or_else(|| PyValueError::new_err("not a pickled MatchFiring"))?;
        Ok(Self { rule, firing })
    }
}

impl PyDueEvaluation {
    pub(crate) fn new(py: Python<'_>, due: DueEvaluation) -> PyResult<Self> {
        Ok(Self {
            effects: PyEffects::new(py, due.evaluation, None)?,
            deadline: PyDeadline {
                at: due.at,
                rule: due.rule,
                key: due.key,
            },
        })
    }

    pub(crate) fn effects(&self) -> &PyEffects {
        &self.effects
    }
}

#[pymethods]
impl PyDueEvaluation {
    /// The deadline, in UTC, and the time at which rules saw it.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        self.deadline.at(py)
    }

    /// The name of the rule that the deadline belongs to.
    #[getter]
    fn rule(&self) -> &str {
        &self.deadline.rule
    }

    /// The key: the value at the path of `by`, for several paths a list, "" without `by`.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.deadline.key(py)
    }

    /// The actions to deliver, in order; one with `after` so much later than `at`.
    #[getter]
    fn actions(&self, py: Python<'_>) -> Vec<Py<PyAction>> {
        self.effects.actions(py)
    }

    /// What scripts gave to `cancel`, in order, to be applied before `actions` are added to what
    /// waits.
    #[getter]
    fn cancelled(&self) -> Vec<PyCancellation> {
        self.effects.cancelled.clone()
    }

    /// The matches that fired or were resolved, in order: that of the deadline, then those of
    /// rules that matched what it emitted.
    #[getter]
    fn firings(&self) -> Vec<PyMatchFiring> {
        self.effects.firings.clone()
    }

    /// Failed reactions. One that fails at its deadline runs once more.
    #[getter]
    fn failures(&self) -> Vec<PyFailure> {
        self.effects.failures.clone()
    }

    /// The events that scripts gave to `emit`, in order.
    #[getter]
    fn emitted(&self) -> Vec<PyEvent> {
        self.effects.emitted().collect()
    }

    /// The lines that scripts logged, in order.
    #[getter]
    fn log(&self) -> Vec<String> {
        self.effects.log.clone()
    }

    /// The reason for each rule that was skipped or suppressed.
    #[getter]
    fn skipped(&self, py: Python<'_>) -> Py<PyDict> {
        self.effects.skipped.clone_ref(py)
    }

    /// What did not stop a rule but may not be as intended; a list for each rule with any.
    #[getter]
    fn notes(&self, py: Python<'_>) -> Py<PyDict> {
        self.effects.notes.clone_ref(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (rule, key) = (repr(py, &self.deadline.rule)?, self.key(py)?.repr()?);
        let (at, count) = (self.deadline.at, self.effects.count());
        Ok(format!(
            "<DueEvaluation {at} of rule {rule}, key {key}: {count}>"
        ))
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
        let effects = evaluation_pickle::pickled(py, &this.effects)?;
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, (this.deadline.clone(), effects).into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(deadline: &Bound<'_, PyDeadline>, effects: EffectsRow) -> Self {
        Self {
            deadline: deadline.get().clone(),
            effects: evaluation_pickle::unpickled(effects),
        }
    }
}
