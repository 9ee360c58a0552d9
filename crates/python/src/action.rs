//! The Python classes `Action` and `Cancellation`.

use std::collections::BTreeMap;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyTuple};
use reflexarc::{AnsweredCall, CallAnswer};
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::{Action, Message};

use crate::action_new::{self, Waiting};
use crate::action_origin::ActionOrigin;
use crate::action_pickle;
use crate::convert::{self, ValuePath};
use crate::repr::Fields;
use crate::time_window::PyMatchFiring;
use crate::timestamp::to_timedelta;

/// An action: something to deliver to a target.
#[pyclass(name = "Action", module = "reflexarc", frozen, eq)]
#[derive(Debug, Clone)]
pub(crate) struct PyAction {
    /// The rule that returned the action.
    pub(crate) rule: String,
    /// The number of `emit` calls and answers that led from the event to it.
    pub(crate) hop: usize,
    /// The rules whose `emit` calls led to it, first to last.
    pub(crate) causes: Vec<String>,
    /// The labels of the rule.
    pub(crate) labels: BTreeMap<String, String>,
    /// The match of a time window that made the rule react.
    pub(crate) firing: Option<PyMatchFiring>,
    /// The key of the event or match, by the rule's `by`.
    pub(crate) scope: Option<Json>,
    /// The event that a call goes back to with its answer; `None` for other actions.
    pub(crate) event: Option<OriginEvent>,
    /// By which its delivery is known; no part of what makes actions equal.
    pub(crate) origin: ActionOrigin,
    pub(crate) action: Action,
}

impl PartialEq for PyAction {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
            && self.hop == other.hop
            && self.causes == other.causes
            && self.labels == other.labels
            && self.firing == other.firing
            && self.scope == other.scope
            && self.event == other.event
            && self.action == other.action
    }
}

/// The event of a call. Two are equal if their bytes are.
#[derive(Debug, Clone)]
pub(crate) struct OriginEvent(pub(crate) Event);

impl PartialEq for OriginEvent {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
}

/// What a script gave to `cancel`: a name, under which actions wait for their time.
#[pyclass(name = "Cancellation", module = "reflexarc", frozen, eq)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyCancellation {
    pub(crate) rule: String,
    pub(crate) key: String,
    pub(crate) scope: Option<Json>,
}

impl PyAction {
    /// Title and text of a message, a document, or the operation and parameters of a call.
    pub(crate) fn summary(&self) -> String {
        match &self.action {
            Action::Notify { message, .. } if message.title.is_empty() => message.text.clone(),
            Action::Notify { message, .. } => format!("{}: {}", message.title, message.text),
            Action::Send { payload, .. } => payload.to_string(),
            Action::Call {
                operation,
                parameters,
                ..
            } => format!("{operation} {parameters}"),
        }
    }

    /// The name under which it waits.
    pub(crate) fn name(&self) -> Option<PyCancellation> {
        self.action.key().map(|key| PyCancellation {
            rule: self.rule.clone(),
            key: key.to_owned(),
            scope: self.scope.clone(),
        })
    }

    /// The call with its answer; `None` if it is no call.
    pub(crate) fn answered(&self, answer: CallAnswer) -> Option<AnsweredCall> {
        let Action::Call {
            target,
            operation,
            parameters,
            ..
        } = &self.action
        else {
            return None;
        };
        // It was converted when it was evaluated.
        let event = self
            .event
            .clone()
            .map(|OriginEvent(event)| NativeEvent::as_is(event));
        let (rule, parameters) = (&*self.rule, parameters.clone());
        let call = AnsweredCall::new(rule, event, target, operation, parameters, answer);
        Some(call.with_key(self.scope.clone()).with_hop(self.hop + 1))
    }

    fn message(&self) -> Option<&reflexarc_reaction::Message> {
        match &self.action {
            Action::Notify { message, .. } => Some(message),
            Action::Send { .. } | Action::Call { .. } => None,
        }
    }
}

#[pymethods]
impl PyAction {
    /// A message to people, for a handler to return.
    ///
    /// Args:
    ///     target: the name of the target.
    ///     text: the text.
    ///     title: the title, one line.
    ///     level: the severity level.
    ///     at: the people to mention.
    ///     link: a link to further information.
    ///     after: how much later to deliver it.
    ///     key: a name; another action with it, of the same `rule`, takes the place of this one
    ///         while it waits.
    ///     rule: the name of a rule to show as the one that returned it.
    ///
    /// >>> Action.notify("ops", "look at eni-1", level="critical").text
    /// 'look at eni-1'
    #[staticmethod]
    #[pyo3(signature = (
        target, text, *, title = "", level = "info", at = Vec::new(), link = None,
        after = None, key = None, rule = "handler"
    ))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn notify(
        target: String,
        text: String,
        title: &str,
        level: &str,
        at: Vec<String>,
        link: Option<String>,
        after: Option<Duration>,
        key: Option<String>,
        rule: &str,
    ) -> PyResult<Self> {
        let message = Message::new(text).with_title(title).with_at(at);
        let mut message = message.with_level(action_new::level(level)?);
        message.link = link;
        Waiting { after, key, rule }.of(Action::notify(target, message))
    }

    /// A JSON document to a machine, for a handler to return.
    ///
    /// Args:
    ///     target: the name of the target.
    ///     payload: the document, a value with a JSON form.
    ///     after, key, rule: as for `notify`.
    ///
    /// Raises:
    ///     EventError: if the document has no JSON form; the message has the path.
    ///
    /// >>> Action.send("inventory", {"eni": "eni-1"}).payload
    /// {'eni': 'eni-1'}
    #[staticmethod]
    #[pyo3(signature = (target, payload, *, after = None, key = None, rule = "handler"))]
    fn send(
        target: String,
        payload: &Bound<'_, PyAny>,
        after: Option<Duration>,
        key: Option<String>,
        rule: &str,
    ) -> PyResult<Self> {
        let payload = convert::to_json(payload, &ValuePath::Named("payload"))?;
        Waiting { after, key, rule }.of(Action::send(target, payload))
    }

    /// "notify" for a message to people, "send" for a JSON document, "call" for a call of an
    /// API.
    #[getter]
    pub(crate) fn kind(&self) -> &'static str {
        match &self.action {
            Action::Notify { .. } => "notify",
            Action::Send { .. } => "send",
            Action::Call { .. } => "call",
        }
    }

    /// The id under which it is delivered, by which receivers recognise copies: the same each
    /// time an event with an id is evaluated, and after pickling.
    #[getter]
    fn id(&self) -> String {
        self.delivery_origin().id.to_string()
    }

    /// The rule that returned the action.
    #[getter]
    pub(crate) fn rule(&self) -> &str {
        &self.rule
    }

    /// The number of `emit` calls and answers that led from the event to it.
    #[getter]
    fn hop(&self) -> usize {
        self.hop
    }

    /// The rules whose `emit` calls led to it, first to last.
    #[getter]
    fn causes(&self) -> Vec<String> {
        self.causes.clone()
    }

    /// The labels of the rule.
    #[getter]
    fn labels(&self) -> BTreeMap<String, String> {
        self.labels.clone()
    }

    /// The match of a time window that made the rule react; `None` for a rule without one.
    #[getter]
    fn firing(&self) -> Option<PyMatchFiring> {
        self.firing.clone()
    }

    /// The name of the target.
    #[getter]
    pub(crate) fn target(&self) -> &str {
        self.action.target()
    }

    /// The title of a message; `None` for others.
    #[getter]
    fn title(&self) -> Option<&str> {
        self.message().map(|message| message.title.as_str())
    }

    /// The text of a message; `None` for others.
    #[getter]
    fn text(&self) -> Option<&str> {
        self.message().map(|message| message.text.as_str())
    }

    /// The severity level of a message; `None` for others.
    #[getter]
    fn level(&self) -> Option<&'static str> {
        self.message().map(|message| message.level.lowercase())
    }

    /// The people that a message mentions.
    #[getter]
    fn at(&self) -> Vec<String> {
        self.message()
            .map_or_else(Vec::new, |message| message.at.clone())
    }

    /// The link of a message to further information.
    #[getter]
    fn link(&self) -> Option<&str> {
        self.message().and_then(|message| message.link.as_deref())
    }

    /// The document as Python values; `None` for others.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.action {
            Action::Send { payload, .. } => convert::to_python(py, payload),
            Action::Notify { .. } | Action::Call { .. } => Ok(py.None().into_bound(py)),
        }
    }

    /// The operation of a call, as its target names it; `None` for others.
    #[getter]
    fn operation(&self) -> Option<&str> {
        match &self.action {
            Action::Call { operation, .. } => Some(operation),
            Action::Notify { .. } | Action::Send { .. } => None,
        }
    }

    /// The parameters of a call as a dict; `None` for others.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.action {
            Action::Call { parameters, .. } => convert::to_python(py, parameters),
            Action::Notify { .. } | Action::Send { .. } => Ok(py.None().into_bound(py)),
        }
    }

    /// How much later the action is to be delivered; `None` for at once.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDelta>>> {
        let after = self.action.after();
        after.map(|after| to_timedelta(py, after)).transpose()
    }

    /// The name under which the rule cancels and replaces the action while it waits; `None` for
    /// none.
    #[getter]
    fn key(&self) -> Option<&str> {
        self.action.key()
    }

    /// The key of the event or match, to which `key` belongs: the value at the path of the
    /// rule's `by`, for several paths a list; `None` without one.
    #[getter]
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        scope_to_python(py, self.scope.as_ref())
    }

    /// The action as a dict: `rule`, `labels` unless there are none, `target`, the fields of its
    /// kind, and `after` (as text) and `key` if it has them.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut json = self.action.to_flat_json();
        if let Json::Object(members) = &mut json {
            if !self.labels.is_empty() {
                members.insert(0, ("labels".to_owned(), Json::texts(&self.labels)));
            }
            members.insert(0, ("rule".to_owned(), Json::from(self.rule.as_str())));
        }
        convert::to_python(py, &json)
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
        let rebuild = slf.get_type().getattr("_rebuild")?;
        let text = action_pickle::pickled(slf.get()).to_string();
        Ok((rebuild, PyTuple::new(slf.py(), [text])?))
    }

    #[staticmethod]
    fn _rebuild(text: &str) -> PyResult<Self> {
        let action = Json::parse(text).ok();
        let action = action.and_then(|json| action_pickle::unpickled(&json));
        action.ok_or_else(|| PyValueError::new_err("not a pickled Action"))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "Action")
            .text("rule", &self.rule)?
            .text("kind", self.kind())?
            .text("target", self.target())?
            .optional("level", self.level())?
            .optional("title", self.title().filter(|title| !title.is_empty()))?
            .optional("text", self.text())?
            .optional("operation", self.operation())?;
        let fields = match &self.action {
            Action::Send { .. } => fields.value("payload", &self.payload(py)?)?,
            Action::Call { .. } => fields.value("parameters", &self.parameters(py)?)?,
            Action::Notify { .. } => fields,
        };
        Ok(fields.optional("key", self.key())?.finish())
    }
}

#[pymethods]
impl PyCancellation {
    /// The rule whose script called `cancel`.
    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }

    /// The name: the `key` of actions.
    #[getter]
    fn key(&self) -> &str {
        &self.key
    }

    /// The key of the event or match, to which the name belongs: the value at the path of the
    /// rule's `by`, for several paths a list; `None` without one.
    #[getter]
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        scope_to_python(py, self.scope.as_ref())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "Cancellation").text("rule", &self.rule)?;
        let fields = fields.text("key", &self.key)?;
        let fields = match &self.scope {
            Some(_) => fields.value("scope", &self.scope(py)?)?,
            None => fields,
        };
        Ok(fields.finish())
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
        let scope = this.scope.as_ref().map(Json::to_string);
        let rebuild = slf.get_type().getattr("_rebuild")?;
        let arguments = (&this.rule, &this.key, scope);
        Ok((rebuild, arguments.into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(rule: String, key: String, scope: Option<String>) -> PyResult<Self> {
        let scope = scope.map(Json::parse).transpose();
        let scope = scope.map_err(|_| PyValueError::new_err("not a pickled Cancellation"))?;
        Ok(Self { rule, key, scope })
    }
}

fn scope_to_python<'py>(py: Python<'py>, scope: Option<&Json>) -> PyResult<Bound<'py, PyAny>> {
    match scope {
        Some(scope) => convert::to_python(py, scope),
        None => Ok(py.None().into_bound(py)),
    }
}
