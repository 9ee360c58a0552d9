//! The Python class `Receipt`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use reflexarc::CallAnswer;
use reflexarc_delivery::{DeadLetterCause, DirectOutcome, Dispatched};
use reflexarc_event::Json;

use crate::action::PyAction;
use crate::convert;
use crate::repr::Fields;

/// What became of an action that was delivered.
#[pyclass(name = "Receipt", module = "reflexarc", frozen, eq)]
#[derive(Debug)]
pub(crate) struct PyReceipt {
    action: Py<PyAction>,
    attempts: u32,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Delivered { response: String },
    Answered(CallAnswer),
    Undeliverable { cause: String, error: String },
}

impl PyReceipt {
    pub(crate) fn new(action: Py<PyAction>, dispatched: Dispatched) -> Self {
        let outcome = match dispatched.outcome {
            DirectOutcome::Delivered { response } => Outcome::Delivered { response },
            DirectOutcome::Answered(answer) => Outcome::Answered(answer),
            DirectOutcome::Undeliverable { cause, reason } => Outcome::Undeliverable {
                cause: DeadLetterCause::as_str(cause).to_owned(),
                error: reason,
            },
        };
        Self {
            action,
            attempts: dispatched.attempts,
            outcome,
        }
    }
}

impl PartialEq for PyReceipt {
    fn eq(&self, other: &Self) -> bool {
        *self.action.get() == *other.action.get()
            && self.attempts == other.attempts
            && self.outcome == other.outcome
    }
}

#[pymethods]
impl PyReceipt {
    /// The action.
    #[getter]
    fn action(&self, py: Python<'_>) -> Py<PyAction> {
        self.action.clone_ref(py)
    }

    /// The name of the target.
    #[getter]
    fn target(&self) -> &str {
        self.action.get().action.target()
    }

    /// "delivered" if the receiver accepted it, "answered" if the call has an answer, which may
    /// be an error, and "undeliverable" if it will not be tried again.
    #[getter]
    fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Delivered { .. } => "delivered",
            Outcome::Answered(_) => "answered",
            Outcome::Undeliverable { .. } => "undeliverable",
        }
    }

    /// How many attempts were made; a message that was merged with others counts as one.
    #[getter]
    fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why it is undeliverable, or the error of the answer; `None` for neither. Secrets of the
    /// configuration are redacted.
    #[getter]
    fn error(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Undeliverable { error, .. } => Some(error.clone()),
            Outcome::Answered(answer) if !answer.ok => Some(answer.summary()),
            Outcome::Answered(_) | Outcome::Delivered { .. } => None,
        }
    }

    /// The kind of reason why it is undeliverable: "unknown_target", "refused" by the receiver,
    /// "misconfigured", "exhausted" after the last retry, or "expired"; `None` for others.
    #[getter]
    fn cause(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Undeliverable { cause, .. } => Some(cause),
            Outcome::Answered(_) | Outcome::Delivered { .. } => None,
        }
    }

    /// What the receiver responded, shortened; `None` unless it was delivered.
    #[getter]
    fn response(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Delivered { response } => Some(response),
            Outcome::Answered(_) | Outcome::Undeliverable { .. } => None,
        }
    }

    /// The answer to a call as the arguments of `RuleSet.answer`: `body`, `ok`, and where there
    /// is one `status`, `code` and `message`; `None` for other actions.
    ///
    /// `rules.answer(receipt.action, **receipt.answer, state=state)` gives it to the rule.
    #[getter]
    fn answer<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Outcome::Answered(answer) = &self.outcome else {
            return Ok(None);
        };
        let arguments = PyDict::new(py);
        arguments.set_item("body", convert::to_python(py, &answer.body)?)?;
        arguments.set_item("ok", answer.ok)?;
        if let Some(status) = answer.status {
            arguments.set_item("status", status)?;
        }
        if !answer.ok {
            arguments.set_item("code", &answer.code)?;
            arguments.set_item("message", &answer.message)?;
        }
        Ok(Some(arguments))
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
        let (py, receipt) = (slf.py(), slf.get());
        let rebuild = slf.get_type().getattr("_rebuild")?;
        let outcome = receipt.outcome.to_json().to_string();
        let arguments = (receipt.action(py), receipt.attempts, outcome);
        Ok((rebuild, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(action: Py<PyAction>, attempts: u32, outcome: &str) -> PyResult<Self> {
        let json = Json::parse(outcome).ok();
        let outcome = json.and_then(|json| Outcome::from_json(&json));
        Ok(Self {
            action,
            attempts,
            outcome: outcome.ok_or_else(|| PyValueError::new_err("not a pickled Receipt"))?,
        })
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "Receipt").text("target", self.target())?;
        let fields = fields.text("status", self.status())?;
        Ok(fields.optional("error", self.error().as_deref())?.finish())
    }
}

impl Outcome {
    fn to_json(&self) -> Json {
        match self {
            Self::Delivered { response } => Json::object([("response", response.as_str().into())]),
            Self::Answered(answer) => Json::object([("answer", answer.to_json())]),
            Self::Undeliverable { cause, error } => Json::object([
                ("cause", cause.as_str().into()),
                ("error", error.as_str().into()),
            ]),
        }
    }

    fn from_json(json: &Json) -> Option<Self> {
        let text = |key| Some(json.get(key)?.as_str()?.to_owned());
        if let Some(answer) = json.get("answer") {
            return CallAnswer::from_json(answer).map(Self::Answered);
        }
        if let Some(response) = text("response") {
            return Some(Self::Delivered { response });
        }
        Some(Self::Undeliverable {
            cause: text("cause")?,
            error: text("error")?,
        })
    }
}
