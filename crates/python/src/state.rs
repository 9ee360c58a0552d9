//! The Python class `State`.

use std::sync::Arc;

use jiff::Timestamp;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, MemoryState, State as _};

use crate::convert::{self, ValuePath};
use crate::error::{EventError, StateError, catch_panics};
use crate::timestamp::timestamp_or_now;

/// The state of rules between events; immutable.
///
/// Args:
///     entries: for each rule a dict of keys and JSON values, which never expire.
///
/// >>> state = State({"failed": {"count": 2}})
/// >>> state.get("failed", "count")
/// 2
#[pyclass(name = "State", module = "reflexarc", frozen)]
#[derive(Debug, Clone, Default)]
pub(crate) struct PyState {
    // Shared: evaluating an event without changes of state returns the same state without a copy.
    pub(crate) state: Arc<MemoryState>,
}

#[pymethods]
impl PyState {
    #[new]
    #[pyo3(signature = (entries = None))]
    fn new(entries: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        catch_panics(|| {
            let mut state = MemoryState::new();
            for (rule, entries) in entries.into_iter().flatten() {
                let rule: String = rule
                    .extract()
                    .map_err(|_| StateError::new_err("the names of rules must be strings"))?;
                let entries = entries.cast::<PyDict>().map_err(|_| {
                    StateError::new_err(format!("the entries of rule {rule:?} must be a dict"))
                })?;
                for (key, value) in entries {
                    let key: String = key
                        .extract()
                        .map_err(|_| StateError::new_err("the keys of entries must be strings"))?;
                    let value = json(value)?;
                    state.insert(rule.as_str(), key, Entry::new(value));
                }
            }
            Ok(Self {
                state: Arc::new(state),
            })
        })
    }

    /// The value of `rule` at `key`, or `default` if there is none or it has expired by `now`
    /// (by default the current time).
    #[pyo3(signature = (rule, key, default = None, *, now = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        rule: &str,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
        now: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| match self.state.get(rule, key, timestamp_or_now(now)?) {
            Some(entry) => convert::to_python(py, &entry.value),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
        })
    }

    /// All entries that have not expired by `now` (by default the current time), by rule.
    #[pyo3(signature = (*, now = None))]
    fn to_dict<'py>(
        &self,
        py: Python<'py>,
        now: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        catch_panics(|| {
            let rules = PyDict::new(py);
            for (rule, key, entry) in self.state.entries(timestamp_or_now(now)?) {
                let entries = if let Some(entries) = rules.get_item(rule)? {
                    entries.cast_into::<PyDict>()?
                } else {
                    let entries = PyDict::new(py);
                    rules.set_item(rule, &entries)?;
                    entries
                };
                entries.set_item(key, convert::to_python(py, &entry.value)?)?;
            }
            Ok(rules)
        })
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.state == other.state
    }

    fn __repr__(&self) -> String {
        format!(
            "<State: {} entries>",
            self.state.entries(Timestamp::MIN).count()
        )
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
        let py = slf.py();
        let state = &slf.get().state;
        let rows = state.entries(Timestamp::MIN).map(|(rule, key, entry)| {
            let expires = entry.expires.map(|at| at.to_string());
            (rule, key, entry.value.to_string(), expires)
        });
        let rows = PyList::new(py, rows.collect::<Vec<_>>())?;
        Ok((
            slf.get_type().getattr("_rebuild")?,
            PyTuple::new(py, [rows])?,
        ))
    }

    #[staticmethod]
    fn _rebuild(rows: Vec<(String, String, String, Option<String>)>) -> PyResult<Self> {
        catch_panics(|| {
            let mut state = MemoryState::new();
            for (rule, key, value, expires) in rows {
                let value =
                    Json::parse(value).map_err(|error| StateError::new_err(error.to_string()))?;
                let expires = expires.map(|at| at.parse()).transpose();
                let expires =
                    expires.map_err(|error: jiff::Error| StateError::new_err(error.to_string()))?;
                let mut entry = Entry::new(value);
                entry.expires = expires;
                state.insert(rule, key, entry);
            }
            Ok(Self {
                state: Arc::new(state),
            })
        })
    }
}

fn json(value: Bound<'_, PyAny>) -> PyResult<Json> {
    convert::to_json(&value, &ValuePath::Root).map_err(|error| {
        if error.is_instance_of::<EventError>(value.py()) {
            StateError::new_err(
                error
                    .value(value.py())
                    .to_string()
                    .replacen("event", "value", 1),
            )
        } else {
            error
        }
    })
}
