//! The Python class `State`.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyList, PyTuple};
use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_reaction::{Entry, MemoryState, State as _, StateChange};

use crate::convert::{self, ValuePath};
use crate::error::{EventError, StateError, catch_panics};
use crate::state_file::{self, PyStateFile};
use crate::state_pickle::{self, EntryRow, MatchRows};
use crate::time_window::{PyDeadline, key_to_python};
use crate::timestamp::{timestamp_or_now, to_datetime};

/// The state of rules between events; immutable.
///
/// It has the entries that reactions write, and the matches of rules with a time window: what they
/// have seen, what they wait for and until when, with the events that they need. Pickles and
/// comparisons include the matches.
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

    /// All entries that have not expired by `now` (by default the current time), by rule. What
    /// rules with a time window wait for is in `pending` and `due`.
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

    /// The deadlines of rules with a time window up to `now`, in the order in which they fire;
    /// without `now` all of them. The first is when `RuleSet.fire_due` has something to do next.
    ///
    /// >>> rules = RuleSet.from_rules({"stuck": '''
    /// ... when = 'status == "Detaching"'
    /// ... by = "eniId"
    /// ... not_followed_by = { when = 'status == "Available"', within = "30m" }
    /// ... notify = ["network-team"]
    /// ... '''})
    /// >>> from datetime import datetime, timezone
    /// >>> now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
    /// >>> state = rules.evaluate({"status": "Detaching", "eniId": "eni-1"}, now=now).state
    /// >>> [(at.isoformat(), rule, key) for at, rule, key in state.due()]
    /// [('2026-11-25T08:30:10+00:00', 'stuck', 'eni-1')]
    #[pyo3(signature = (now = None))]
    fn due(&self, now: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<PyDeadline>> {
        catch_panics(|| {
            let now = now.map_or(Ok(Timestamp::MAX), |now| timestamp_or_now(Some(now)))?;
            let matches = self.state.matches();
            let reached = matches.clock();
            // What has expired does not fire any more.
            let due = self
                .state
                .due(now)
                .filter(|(_, rule, key)| matches.get(rule, key, reached).is_some());
            let due = due.map(|(at, rule, key)| PyDeadline {
                at,
                rule: rule.to_owned(),
                key: key.to_owned(),
            });
            Ok(due.collect())
        })
    }

    /// The keys for which a rule with a time window waits for something, in order; of all rules,
    /// by rule, if none is given.
    ///
    /// A key is the value at the path of `by`, for several paths a list, and "" for a rule without
    /// `by`.
    ///
    /// Args:
    ///     rule: the name of a rule.
    ///     now: an aware datetime; by default the time that the state has reached.
    #[pyo3(signature = (rule = None, *, now = None))]
    pub(crate) fn pending<'py>(
        &self,
        py: Python<'py>,
        rule: Option<&str>,
        now: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| {
            let reached = self.state.matches().clock();
            let now = now.map_or(Ok(reached), |now| timestamp_or_now(Some(now)))?;
            let keys = |rule: &str| {
                let keys = RuleSet::pending(rule, &self.state, now);
                let keys = keys.map(|key| key_to_python(py, key));
                PyList::new(py, keys.collect::<PyResult<Vec<_>>>()?)
            };
            if let Some(rule) = rule {
                return Ok(keys(rule)?.into_any());
            }
            let rules = PyDict::new(py);
            for rule in self.state.rules_with_matches() {
                let keys = keys(rule)?;
                if !keys.is_empty() {
                    rules.set_item(rule, keys)?;
                }
            }
            Ok(rules.into_any())
        })
    }

    /// The latest time that was reached by evaluating an event with `advance`, or by firing
    /// deadlines, in UTC; `None` if rules with a time window have seen none. To these rules an
    /// event with an earlier `now` happens at this time.
    #[getter]
    fn clock<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let clock = self.state.matches().clock();
        let clock = (clock > Timestamp::MIN).then_some(clock);
        clock.map(|clock| to_datetime(py, clock)).transpose()
    }

    /// The earliest deadline of a rule with a time window, in UTC; `None` if none waits. Unlike
    /// the first of `due()`, it costs the same however many there are.
    #[getter]
    fn next_due<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let due = self.state.next_due();
        due.map(|due| to_datetime(py, due)).transpose()
    }

    /// The state with other entries of `rule`: those in `changes` are set, and those whose value is
    /// `None` removed.
    fn _with_entries(&self, rule: &str, changes: &Bound<'_, PyDict>) -> PyResult<Self> {
        catch_panics(|| {
            let mut read = Vec::with_capacity(changes.len());
            for (key, value) in changes {
                let key: String = key.extract()?;
                read.push(if value.is_none() {
                    StateChange::Remove { key }
                } else {
                    let value = json(value)?;
                    let expires = None;
                    StateChange::Set {
                        key,
                        value,
                        expires,
                    }
                });
            }
            let mut state = self.state.clone();
            Arc::make_mut(&mut state).apply(rule, &read);
            Ok(Self { state })
        })
    }

    /// The state as one line of JSON, with the times at which entries expire, the matches of
    /// rules with a time window, their events and the time that was reached; `from_json` makes
    /// an equal state of it.
    ///
    /// >>> State({"failed": {"count": 2}}).to_json()
    /// '{"format":"reflexarc-state","version":1,"entries":{"failed":{"count":{"value":2}}}}'
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        catch_panics(|| Ok(py.detach(|| self.state.to_json())))
    }

    /// The state of a text that `to_json` made, by this version or an earlier one.
    ///
    /// Raises:
    ///     StateError: if the text is another one, or of a later version.
    ///
    /// >>> state = State({"failed": {"count": 2}})
    /// >>> State.from_json(state.to_json()) == state
    /// True
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        catch_panics(|| {
            let read = py.detach(|| MemoryState::from_json(text));
            let state = read.map_err(|error| StateError::new_err(error.to_string()))?;
            Ok(Self {
                state: Arc::new(state),
            })
        })
    }

    /// Write the JSON of the state to a file, in place of what it had. After a crash the file
    /// has either the old text or the new one.
    ///
    /// Raises:
    ///     OSError: if it cannot be written.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        catch_panics(|| {
            py.detach(|| {
                let mut text = self.state.to_json();
                text.push('\n');
                state_file::write_file(&path, &text)
            })
        })
    }

    /// Read a file that `save` wrote.
    ///
    /// Raises:
    ///     StateError: if the file has another text.
    ///     OSError: if it cannot be read; FileNotFoundError if it is missing.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        catch_panics(|| {
            let read = py.detach(|| -> PyResult<_> {
                let text = state_file::read_file(&path)?;
                MemoryState::from_json(&text)
                    .map_err(|error| StateError::new_err(format!("{}: {error}", path.display())))
            });
            Ok(Self {
                state: Arc::new(read?),
            })
        })
    }

    /// Open the SQLite file that keeps a state, or create it. Its tables are those of the
    /// service, which can go on with the state, as a program can with that of a service that has
    /// stopped.
    ///
    /// Raises:
    ///     StateError: if a service runs with the file, another program has it open, or it is not
    ///         such a file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<PyStateFile> {
        catch_panics(|| PyStateFile::open(py, path))
    }

    /// The state without the entries and matches that have expired by `now` (by default the
    /// current time). Rules never see what has expired, but it takes memory: a program that runs
    /// for long removes it from time to time.
    ///
    /// >>> state = State({"failed": {"count": 2}})
    /// >>> state.without_expired() == state
    /// True
    #[pyo3(signature = (*, now = None))]
    fn without_expired(&self, now: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        catch_panics(|| {
            let now = timestamp_or_now(now)?;
            let mut state = self.state.clone();
            Arc::make_mut(&mut state).remove_expired(now);
            Ok(Self { state })
        })
    }

    /// States are equal if they have the same entries and matches, and have reached the same time.
    fn __eq__(&self, other: &Self) -> bool {
        self.state == other.state
    }

    fn __repr__(&self) -> String {
        let entries = self.state.entries(Timestamp::MIN).count();
        let rules = self.state.rules_with_matches();
        let matches = rules.flat_map(|rule| self.state.matches_of(rule, Timestamp::MIN));
        match matches.count() {
            0 => format!("<State: {entries} entries>"),
            1 => format!("<State: {entries} entries, 1 match>"),
            matches => format!("<State: {entries} entries, {matches} matches>"),
        }
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
        Ok((rebuild, state_pickle::pickled(slf.py(), &slf.get().state)?))
    }

    #[staticmethod]
    #[pyo3(signature = (entries, matches = None))]
    fn _rebuild(entries: Vec<EntryRow>, matches: Option<MatchRows>) -> PyResult<Self> {
        catch_panics(|| {
            let state = Arc::new(state_pickle::unpickled(entries, matches)?);
            Ok(Self { state })
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
