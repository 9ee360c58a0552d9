//! The Python class `RuleSet`.

use std::borrow::Cow;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyMapping, PyString, PyTuple};
use reflexarc::{MemoryState, RuleSet, Tables};
use reflexarc_diagnostic::{FileDiagnostics, InvalidFiles};
use reflexarc_event::NativeEvent;
use reflexarc_pattern::Pattern;

use crate::action::PyAction;
use crate::batch_argument;
use crate::batch_evaluation::{BatchEvaluator, BatchOptions};
use crate::call_answer::AnswerArguments;
use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::error::{PatternError, RuleError, catch_panics, exception_with, os_error};
use crate::evaluation::PyEvaluation;
use crate::evaluation_clock::EvaluationClock;
use crate::evaluation_iterator::PyEvaluationIterator;
use crate::evaluation_run::EvaluationRun;
use crate::evaluation_source::EvaluationSource;
use crate::event;
use crate::event_matcher::EventMatcher;
use crate::explanation::PyExplanation;
use crate::html;
use crate::on_error::{OnError, SkippedItems};
use crate::pattern::PyPattern;
use crate::rule::PyRule;
use crate::rule_set_source::{EventRow, Row, RuleSetSource};
use crate::rule_test::PyRuleTest;
use crate::state::PyState;
use crate::time_window::key_to_python;
use crate::timestamp::timestamp_or_now;

/// Rules compiled together; immutable, can be shared between threads.
///
/// Events of Alibaba Cloud in known envelopes are converted to the native ECS form, with canonical
/// values, before they are matched; a notification that contains one event is that event.
///
/// Args:
///     patterns: a mapping of ids to patterns, for rules without reactions. `RuleSet.load` and
///         `RuleSet.from_rules` read rule files.
///     dialect: the dialect of patterns in text or dict form.
///
/// Raises:
///     PatternError: if a pattern is invalid; `diagnostics[…].source` is its id.
///
/// >>> rules = RuleSet({"failed": 'content.result == "failed"', "any": "content.result exists"})
/// >>> rules.matching('{"content": {"result": "failed"}}')
/// ['any', 'failed']
/// >>> len(rules), "failed" in rules, list(rules)
/// (2, True, ['any', 'failed'])
#[pyclass(name = "RuleSet", module = "reflexarc", frozen)]
pub(crate) struct PyRuleSet {
    pub(crate) rules: RuleSet,
    matcher: EventMatcher,
    /// The names of the rules, in order.
    ids: Vec<Py<PyString>>,
    /// Whether any rule has a time window.
    has_windows: bool,
    source: RuleSetSource,
}

/// A rule, and the key of a match of it.
type MatchKey<'py> = (String, Bound<'py, PyAny>);

#[pymethods]
impl PyRuleSet {
    #[new]
    #[pyo3(signature = (patterns, *, dialect = "reflexarc"))]
    fn new(patterns: &Bound<'_, PyAny>, dialect: &str) -> PyResult<Self> {
        catch_panics(|| {
            let dialect = crate::pattern::read_dialect(dialect)?;
            let mapping = patterns.cast::<PyMapping>().map_err(|_| {
                PyTypeError::new_err(
                    "expected a mapping of ids to patterns; use RuleSet.load to read rule files",
                )
            })?;
            let mut read = Vec::new();
            for item in mapping.items()?.iter() {
                let (id, pattern): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
                let id: String = id
                    .extract()
                    .map_err(|_| PyTypeError::new_err("the ids of rules must be strings"))?;
                let pattern = PyPattern::parse_argument(&pattern, dialect, &id)?;
                read.push((id, pattern));
            }
            Self::of_patterns(patterns.py(), read)
        })
    }

    /// Read and compile a folder of rule files, recursively, or one file, with the lookup tables
    /// in the folder `tables` beside them.
    ///
    /// Raises:
    ///     FileNotFoundError: if the path does not exist.
    ///     RuleError: if a file is invalid, with the diagnostics of all files.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        catch_panics(|| {
            fs::metadata(&path).map_err(|error| os_error(&error, &path))?;
            let rules = py
                .detach(|| RuleSet::load(&path))
                .map_err(|found| rule_error(py, &found))?;
            let files = rules.rules();
            let files = files.map(|rule| (rule.file().to_owned(), rule.text().to_owned()));
            let tables = rules.tables().files();
            let tables = tables.map(|(file, text)| (file.to_owned(), text.to_owned()));
            let source = RuleSetSource::Files {
                rules: files.collect(),
                tables: tables.collect(),
            };
            Ok(Self::of(py, rules, source))
        })
    }

    /// Compile rule files from a mapping of rule names to TOML text.
    ///
    /// Args:
    ///     rules: the rules.
    ///     tables: the lookup tables by name, each as CSV text with a header, or as rows: an
    ///         iterable of mappings of column names to values.
    ///
    /// Raises:
    ///     RuleError: if a rule or table is invalid, with the diagnostics of all of them.
    ///
    /// >>> rules = RuleSet.from_rules({"failed": '''
    /// ... when = 'content.result == "failed"'
    /// ... then = 'notify("ops", `look at ${event.content.eniId}`)'
    /// ... '''})
    /// >>> rules.evaluate({"content": {"result": "failed", "eniId": "eni-1"}}).actions[0].text
    /// 'look at eni-1'
    ///
    /// >>> attach = '''
    /// ... when = "ip exists"
    /// ... lookup = { vswitch = { table = "vswitches", key = "ip" } }
    /// ... then = 'notify("ops", `attached in ${lookup.vswitch?.id}`)'
    /// ... '''
    /// >>> tables = {"vswitches": [{"cidr": "10.0.0.0/8", "id": "vsw-1"}]}
    /// >>> rules = RuleSet.from_rules({"attach": attach}, tables=tables)
    /// >>> rules.evaluate({"ip": "10.1.2.3"}).actions[0].text
    /// 'attached in vsw-1'
    #[staticmethod]
    #[pyo3(signature = (rules, *, tables = None))]
    fn from_rules(rules: &Bound<'_, PyAny>, tables: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        catch_panics(|| {
            let py = rules.py();
            let mapping = rules.cast::<PyMapping>().map_err(|_| {
                PyTypeError::new_err("expected a mapping of rule names to the text of rule files")
            })?;
            let mut files = Vec::new();
            for item in mapping.items()?.iter() {
                let (name, text): (String, String) = item.extract().map_err(|_| {
                    PyTypeError::new_err("rule names and rule files must be strings")
                })?;
                files.push((format!("{name}.toml"), text));
            }
            let tables = tables.map_or_else(|| Ok(Vec::new()), table_files)?;
            Self::of_files(py, files, tables)
        })
    }

    /// The ids of the rules that match the event, in order.
    ///
    /// Args:
    ///     event: the event.
    ///     default: a function that replaces values without a JSON form, as for `Event`.
    ///
    /// Raises:
    ///     EventError: if it is not an event.
    ///     UndecidedError: if it cannot be compared with some rules, which the message names.
    #[pyo3(signature = (event, *, default = None))]
    fn matching<'py>(
        &self,
        event: &Bound<'py, PyAny>,
        default: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        catch_panics(|| {
            let root = ValuePath::event(default);
            let ids = self.matcher.matching(&self.rules, event, &root)?;
            self.names(event.py(), &ids)
        })
    }

    /// The ids of the matching rules for each of many events, in order.
    ///
    /// `events` is an iterable of events, NDJSON as bytes, or the path of an NDJSON file; a `str`
    /// is a path. Blank lines of NDJSON are ignored. A file is read in chunks. Text is matched on
    /// all cores without the interpreter lock, and Ctrl-C interrupts it.
    ///
    /// Args:
    ///     events: the events.
    ///     default: a function of a value without a JSON form that returns another one.
    ///     on_error: for an item that is not an event, or cannot be compared with some rules:
    ///         "raise" its error, "collect" it in place of the ids, or "skip" the item, so that
    ///         the result is shorter. How many were skipped is logged as a warning.
    ///
    /// Raises:
    ///     EventError: for the first item that is not an event; the message has the number of the
    ///         line (from 1) or item (from 0).
    ///     UndecidedError: for the first event that cannot be compared with some rules.
    ///     OSError: if the file cannot be read.
    ///
    /// >>> rules = RuleSet({"a": "x == 1"})
    /// >>> rules.matching_many(b'{"x": 1}\n{"x": 2}\n')
    /// [['a'], []]
    /// >>> matched = rules.matching_many(b'{"x": 1}\n{"x": \n', on_error="collect")
    /// >>> matched[0], isinstance(matched[1], EventError)
    /// (['a'], True)
    #[pyo3(signature = (events, *, default = None, on_error = "raise"))]
    fn matching_many<'py>(
        &self,
        events: &Bound<'py, PyAny>,
        default: Option<&Bound<'py, PyAny>>,
        on_error: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        catch_panics(|| {
            let py = events.py();
            let on_error = OnError::read(on_error)?;
            let list = PyList::empty(py);
            let mut skipped = SkippedItems::default();
            batch_argument::matching(
                &self.rules,
                events,
                &ValuePath::event(default),
                on_error,
                |event, root| self.matcher.matching(&self.rules, event, root),
                |matched| match matched {
                    Ok(ids) => list.append(self.names(py, &ids)?),
                    Err(error) if on_error == OnError::Collect => list.append(error.into_value(py)),
                    Err(error) => {
                        skipped.add(error);
                        Ok(())
                    }
                },
            )?;
            skipped.log(py)?;
            Ok(list)
        })
    }

    /// Evaluate an event: match the rules and run their reactions. Nothing is delivered.
    ///
    /// The deadlines of rules with a time window up to `now` fire first, each at its own time, as
    /// if `fire_due` had been called when they came.
    ///
    /// The same event, state and time always give the same evaluation.
    ///
    /// Args:
    ///     event: the event.
    ///     state: the state before the event, by default empty. It is not changed; the state after
    ///         the event is `Evaluation.state`.
    ///     now: the time, an aware datetime; by default the current time.
    ///     advance: fire the deadlines up to `now` first. If false, they are left for
    ///         `RuleSet.fire_due`. For rules without a time window it makes no difference.
    ///     strict: raise an exception if a reaction fails, instead of adding it to
    ///         `Evaluation.failures`.
    ///     default: a function that replaces values without a JSON form, as for `Event`.
    ///
    /// Raises:
    ///     EventError: if it is not an event.
    ///     ReactionError: if `strict` is true and a reaction failed.
    ///     ValueError: if `now` has no time zone.
    #[pyo3(signature = (
        event, *, state = None, now = None, advance = true, strict = false, default = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn evaluate(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        state: Option<&Bound<'_, PyState>>,
        now: Option<&Bound<'_, PyAny>>,
        advance: bool,
        strict: bool,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyEvaluation> {
        catch_panics(|| {
            let event = event::to_native_event(event, &ValuePath::event(default))?;
            let state = state.map_or_else(Default::default, |state| state.get().state.clone());
            let now = timestamp_or_now(now)?;
            let done = self.run(py, event, state, now, advance);
            done.finish(py, &self.rules, strict)
        })
    }

    /// Evaluate many events in order, each with the state that the one before it left. Nothing
    /// is delivered. The result is an iterator; its `state` is that after the last evaluation
    /// which it returned.
    ///
    /// Events are read in batches, of up to 512 events or 512 KiB of text, without the interpreter
    /// lock while they are evaluated. Where scripts take long, reactions of a batch run on all
    /// cores; those that read state which an earlier event changed run again in their turn, so that
    /// the results are those of `evaluate` for one event after the other. For a live source, whose
    /// events must not wait for others, use `evaluate` or `Automation`.
    ///
    /// Args:
    ///     events: an iterable of events, NDJSON as bytes, or the path of an NDJSON file; a `str`
    ///         is a path. Blank lines of NDJSON are ignored.
    ///     state: the state before the first event, by default empty.
    ///     clock: the time of each evaluation: "now", or "event" for the event's own time, as
    ///         `reflexarc run` does it. An event without a time then has that of the first event
    ///         with one.
    ///     now: with the clock "now", the time of all evaluations, an aware datetime; by default
    ///         the current time when a batch begins.
    ///     advance: fire the deadlines up to the time of an event before it.
    ///     strict: a failed reaction is an error of its event, which then changes no state, instead
    ///         of being in `Evaluation.failures`.
    ///     default: a function of a value without a JSON form that returns another one.
    ///     on_error: for an item that is not an event: "raise" its error, after which the iterator
    ///         ends; "collect" it, so that the iterator returns the exception in place of an
    ///         evaluation; or "skip" the item. How many were skipped is logged as a warning.
    ///
    /// Raises:
    ///     ValueError: if an argument is invalid.
    ///     OSError: if the file cannot be read.
    ///     EventError: while iterating, for an item that is not an event; the message has the
    ///         number of the line (from 1) or item (from 0).
    ///     ReactionError: while iterating, if `strict` is true and a reaction failed.
    ///
    /// >>> rules = RuleSet.from_rules({"again": '''
    /// ... when = 'result == "failed"'
    /// ... then = 'if add("n", 1) == 2 { notify("ops", `${event.eni} failed again`) }'
    /// ... '''})
    /// >>> events = [{"result": "failed", "eni": "eni-1"}, {"eni": "eni-2"}, {"result": "failed"}]
    /// >>> evaluations = rules.evaluate_many(events)
    /// >>> [len(evaluation.actions) for evaluation in evaluations]
    /// [0, 0, 1]
    /// >>> evaluations.state.get("again", "n")
    /// 2
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[pyo3(signature = (
        events, *, state = None, clock = "now", now = None, advance = true, strict = false,
        default = None, on_error = "raise"
    ))]
    fn evaluate_many(
        &self,
        py: Python<'_>,
        events: &Bound<'_, PyAny>,
        state: Option<Py<PyState>>,
        clock: &str,
        now: Option<&Bound<'_, PyAny>>,
        advance: bool,
        strict: bool,
        default: Option<Py<PyAny>>,
        on_error: &str,
    ) -> PyResult<PyEvaluationIterator> {
        catch_panics(|| {
            let on_error = OnError::read(on_error)?;
            let clock = EvaluationClock::read(clock, now)?;
            let options = BatchOptions {
                advance,
                strict,
                goes_on: on_error != OnError::Raise,
            };
            let state = state.map_or_else(|| Py::new(py, PyState::default()), Ok)?;
            let before = state.get().state.clone();
            let (rules, has_windows) = (self.rules.clone(), self.has_windows);
            let evaluator = BatchEvaluator::new(rules, has_windows, clock, options, before);
            let source = EvaluationSource::new(events, default)?;
            Ok(PyEvaluationIterator::new(
                source, evaluator, on_error, state,
            ))
        })
    }

    /// Fire the deadlines of rules with a time window up to `now`, without an event: the
    /// earliest first, each at its own time. Nothing is delivered.
    ///
    /// Call it when the first deadline of `State.due()` has come. It also begins what rules with
    /// `absent_for` wait for before any event.
    ///
    /// Args:
    ///     state: the state before. It is not changed; the state after is `Evaluation.state`.
    ///     now: the time, an aware datetime; by default the current time.
    ///     strict: raise an exception if a reaction fails, instead of adding it to
    ///         `Evaluation.failures`.
    ///
    /// Raises:
    ///     ReactionError: if `strict` is true and a reaction failed.
    ///     ValueError: if `now` has no time zone.
    ///
    /// A detach that does not end within half an hour; `grace` gives its end ten seconds more:
    ///
    /// >>> rules = RuleSet.from_rules({"stuck": '''
    /// ... when = 'status == "Detaching"'
    /// ... by = "eniId"
    /// ... not_followed_by = { when = 'status == "Available"', within = "30m" }
    /// ... then = 'notify("network-team", `${key}: ${(now - opened) / 60000} minutes`)'
    /// ... '''})
    /// >>> from datetime import datetime, timedelta, timezone
    /// >>> now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
    /// >>> state = rules.evaluate({"status": "Detaching", "eniId": "eni-1"}, now=now).state
    /// >>> state.pending("stuck")
    /// ['eni-1']
    /// >>> evaluation = rules.fire_due(state, now + timedelta(hours=1))
    /// >>> [fired.at.isoformat() for fired in evaluation.fired]
    /// ['2026-11-25T08:30:10+00:00']
    /// >>> evaluation.actions[0].text
    /// 'eni-1: 30 minutes'
    /// >>> evaluation.state.pending("stuck")
    /// []
    #[pyo3(signature = (state, now = None, *, strict = false))]
    fn fire_due(
        &self,
        py: Python<'_>,
        state: &Bound<'_, PyState>,
        now: Option<&Bound<'_, PyAny>>,
        strict: bool,
    ) -> PyResult<PyEvaluation> {
        catch_panics(|| {
            let state = state.get().state.clone();
            let now = timestamp_or_now(now)?;
            let done = py.detach(|| {
                let mut done = EvaluationRun::new(state);
                done.fire_due(&self.rules, self.has_windows, now);
                done
            });
            done.finish(py, &self.rules, strict)
        })
    }

    /// Process the answer to a call, an action of the kind "call": run the script `answered` of
    /// the rule that called, and the rules that match what it emits. Nothing is called or
    /// delivered.
    ///
    /// The deadlines up to `now` fire first, as for `evaluate`. If the rule is gone or disabled, or
    /// has no such script, the answer has no effects.
    ///
    /// Args:
    ///     call: the action. It remembers the event and key that it came of, also when it was
    ///         pickled meanwhile.
    ///     body: the document of the response: a value with a JSON form, JSON text as bytes, or a
    ///         text. A response of an Alibaba Cloud SDK, or its body, is taken as it is, with its
    ///         status.
    ///     ok: whether the operation succeeded; by default, whether there is neither a `code` nor
    ///         a `message`, and no status of an error.
    ///     status: the HTTP status; by default 200 if the operation succeeded, else none.
    ///     code: the error code of the API, by default the status; or one of our own, such as
    ///         "OutcomeUnknown" after a timeout and "Cancelled" for a call that the rule cancelled.
    ///     message: the error message.
    ///     state: the state before, by default empty. It is not changed; the state after is
    ///         `Evaluation.state`.
    ///     now: the time, an aware datetime; by default the current time.
    ///     advance: fire the deadlines up to `now` first.
    ///     strict: raise an exception if a reaction fails, instead of adding it to
    ///         `Evaluation.failures`.
    ///
    /// Raises:
    ///     ValueError: if the action is not a call, or the answer contradicts itself: it is ok and
    ///         has a code, or is not ok and has neither a code nor a status.
    ///     EventError: if the body has no JSON form.
    ///     ReactionError: if `strict` is true and a reaction failed.
    ///
    /// >>> rules = RuleSet.from_rules({"start": '''
    /// ... when = 'status == "Stopped"'
    /// ... then = 'call("ecs", "StartInstance", #{ InstanceId: event.id })'
    /// ... answered = 'if !answer.ok { notify("ops", `${event.id}: ${answer.code}`) }'
    /// ... '''})
    /// >>> evaluation = rules.evaluate({"status": "Stopped", "id": "i-1"})
    /// >>> call = evaluation.actions[0]
    /// >>> call.kind, call.operation, call.parameters
    /// ('call', 'StartInstance', {'InstanceId': 'i-1'})
    /// >>> rules.answer(call, code="Throttling", state=evaluation.state).actions[0].text
    /// 'i-1: Throttling'
    /// >>> rules.answer(call, body={"RequestId": "8B2A"}, state=evaluation.state).actions
    /// []
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[pyo3(signature = (
        call, *, body = None, ok = None, status = None, code = None, message = None,
        state = None, now = None, advance = true, strict = false
    ))]
    fn answer(
        &self,
        py: Python<'_>,
        call: &Bound<'_, PyAction>,
        body: Option<&Bound<'_, PyAny>>,
        ok: Option<bool>,
        status: Option<u16>,
        code: Option<String>,
        message: Option<String>,
        state: Option<&Bound<'_, PyState>>,
        now: Option<&Bound<'_, PyAny>>,
        advance: bool,
        strict: bool,
    ) -> PyResult<PyEvaluation> {
        catch_panics(|| {
            let answer = AnswerArguments {
                body,
                ok,
                status,
                code,
                message,
            };
            let id = call.get().delivery_origin().id;
            let call = call.get().answered(answer.read()?);
            let call = call.ok_or_else(|| {
                PyValueError::new_err("the action is no call: its kind is not \"call\"")
            })?;
            let state = state.map_or_else(Default::default, |state| state.get().state.clone());
            let now = timestamp_or_now(now)?;
            let done = py.detach(|| {
                let mut done = EvaluationRun::new(state);
                if advance {
                    done.fire_due(&self.rules, self.has_windows, now);
                }
                done.answer(&self.rules, &call, now);
                done
            });
            let evaluation = done.finish(py, &self.rules, strict)?;
            evaluation.set_answered(id);
            Ok(evaluation)
        })
    }

    /// Close the matches in a state that these rules cannot continue, because a rule or its
    /// time window was removed or changed. Returns the state after that, and rule and key of each.
    ///
    /// For programs that load rules again. Without it, such a match ends in silence at its
    /// deadline, and counts against `max_pending` until then. The other matches go on.
    ///
    /// >>> text = '''
    /// ... when = 'status == "Detaching"'
    /// ... by = "eniId"
    /// ... not_followed_by = { when = 'status == "Available"', within = "30m" }
    /// ... notify = ["network-team"]
    /// ... '''
    /// >>> before = RuleSet.from_rules({"stuck": text})
    /// >>> state = before.evaluate({"status": "Detaching", "eniId": "eni-1"}).state
    /// >>> after = RuleSet.from_rules({"stuck": text.replace("30m", "1h")})
    /// >>> state, closed = after.close_other_matches(state)
    /// >>> closed, state.pending("stuck")
    /// ([('stuck', 'eni-1')], [])
    fn close_other_matches<'py>(
        &self,
        py: Python<'py>,
        state: &Bound<'py, PyState>,
    ) -> PyResult<(PyState, Vec<MatchKey<'py>>)> {
        catch_panics(|| {
            let mut state = state.get().clone();
            let closed = py.detach(|| {
                let state = Arc::make_mut(&mut state.state);
                self.rules.close_other_matches(state)
            });
            let closed = closed.into_iter().map(|(rule, key)| {
                let key = key_to_python(py, &key)?;
                Ok((rule, key))
            });
            let closed = closed.collect::<PyResult<_>>()?;
            Ok((state, closed))
        })
    }

    /// Explain why a rule matches an event or does not.
    ///
    /// Raises:
    ///     KeyError: if the rule is unknown.
    ///     EventError: if it is not an event.
    #[pyo3(signature = (event, rule, *, default = None))]
    fn explain(
        &self,
        event: &Bound<'_, PyAny>,
        rule: &str,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyExplanation> {
        catch_panics(|| {
            let event = event::to_native_event(event, &ValuePath::event(default))?;
            let explanation = PyExplanation::of_rule(&self.rules, &event, rule);
            explanation.ok_or_else(|| PyKeyError::new_err(rule.to_owned()))
        })
    }

    /// Run the tests in the rule files whose name or rule name contains `filter`.
    #[pyo3(signature = (filter = ""))]
    fn test(&self, py: Python<'_>, filter: &str) -> PyResult<Vec<PyRuleTest>> {
        catch_panics(|| {
            Ok(py
                .detach(|| self.rules.test(filter))
                .iter()
                .flat_map(PyRuleTest::of)
                .collect())
        })
    }

    /// The SHA-256, in hexadecimal, of the names and texts of the rules and lookup tables: sets
    /// with the same hash evaluate every event alike.
    #[getter]
    fn content_hash(&self) -> String {
        self.rules.hash()
    }

    /// The names of the rules, in order.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Vec<Py<PyString>> {
        self.ids.iter().map(|id| id.clone_ref(py)).collect()
    }

    /// Diagnostics about valid rules that are probably not as intended.
    #[getter]
    fn warnings(&self) -> Vec<PyDiagnostic> {
        self.rules
            .warnings()
            .iter()
            .flat_map(diagnostics_of)
            .collect()
    }

    fn __len__(&self) -> usize {
        self.rules.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyIterator::from_object(PyTuple::new(py, &self.ids)?.as_any())
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> bool {
        id.extract::<Cow<'_, str>>()
            .is_ok_and(|id| self.rules.get(&id).is_some())
    }

    fn __getitem__(&self, py: Python<'_>, id: &str) -> PyResult<PyRule> {
        let rule = self
            .rules
            .get(id)
            .ok_or_else(|| PyKeyError::new_err(id.to_owned()))?;
        PyRule::new(py, rule)
    }

    fn __repr__(&self) -> String {
        format!("<RuleSet: {}>", self.counted())
    }

    fn _repr_html_(&self) -> String {
        let rows = self.rules.rules().map(|rule| {
            let disabled = if rule.enabled() { "" } else { " (disabled)" };
            vec![
                rule.name().to_owned() + disabled,
                rule.level().lowercase().to_owned(),
                rule.pattern().to_expression(),
                rule.window_description().unwrap_or_default(),
                rule.description().to_owned(),
            ]
        });
        let header = ["rule", "level", "when", "time window", "description"];
        let caption = self.counted();
        html::table(&caption, &header, &rows.collect::<Vec<_>>())
    }

    /// Rule sets are equal if they have the same files, or the same patterns with the same
    /// ids.
    fn __eq__(&self, other: &Self) -> bool {
        self.source == other.source
    }

    fn __hash__(&self) -> u64 {
        // Names are enough: equal sets have equal names, and sets with equal names are rare.
        let mut hasher = DefaultHasher::new();
        self.rules
            .rules()
            .for_each(|rule| rule.name().hash(&mut hasher));
        hasher.finish()
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
        let rebuild = slf.get_type().getattr(intern!(slf.py(), "_rebuild"))?;
        Ok((
            rebuild,
            slf.get().source.pickled(slf.py(), &slf.get().rules)?,
        ))
    }

    #[staticmethod]
    fn _rebuild(
        py: Python<'_>,
        kind: &str,
        rows: Vec<Row>,
        events: Vec<EventRow>,
    ) -> PyResult<Self> {
        catch_panics(|| match RuleSetSource::unpickled(py, kind, rows)? {
            RuleSetSource::Files { rules, tables } => {
                let set = Self::of_files(py, rules, tables)?;
                let events = events
                    .into_iter()
                    .map(|(file, name, bytes)| ((file, name), bytes))
                    .collect();
                Ok(Self {
                    rules: set.rules.with_event_files(events),
                    ..set
                })
            }
            RuleSetSource::Patterns(patterns) => Self::of_patterns(py, patterns),
        })
    }
}

impl PyRuleSet {
    /// Fires what is due by `now`, if `advance`, and evaluates an event.
    pub(crate) fn run(
        &self,
        py: Python<'_>,
        event: NativeEvent,
        state: Arc<MemoryState>,
        now: Timestamp,
        advance: bool,
    ) -> EvaluationRun {
        // Scripts may run for long and need nothing of Python.
        py.detach(|| {
            let mut done = EvaluationRun::new(state);
            if advance {
                done.fire_due(&self.rules, self.has_windows, now);
            }
            done.evaluate(&self.rules, event, now);
            done
        })
    }

    /// `1 rule`, `2 rules`.
    fn counted(&self) -> String {
        let count = self.rules.len();
        format!("{count} rule{}", if count == 1 { "" } else { "s" })
    }

    fn of_patterns(py: Python<'_>, patterns: Vec<(String, Pattern)>) -> PyResult<Self> {
        let rules = RuleSet::from_patterns(patterns.iter().cloned())
            .map_err(|error| exception_with::<PatternError>(py, error.to_string(), Vec::new()))?;
        Ok(Self::of(py, rules, RuleSetSource::Patterns(patterns)))
    }

    fn of_files(
        py: Python<'_>,
        files: Vec<(String, String)>,
        tables: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let rules = py.detach(|| {
            let parsed = Tables::parse(tables.iter().cloned())?;
            RuleSet::compile_with_tables(files.iter().cloned(), &parsed)
        });
        let rules = rules.map_err(|found| rule_error(py, &found))?;
        let source = RuleSetSource::Files {
            rules: files,
            tables,
        };
        Ok(Self::of(py, rules, source))
    }

    fn of(py: Python<'_>, rules: RuleSet, source: RuleSetSource) -> Self {
        let ids = rules
            .rules()
            .map(|rule| PyString::new(py, rule.name()).unbind())
            .collect();
        let has_windows = rules.rules().any(|rule| rule.window().is_some());
        Self {
            matcher: EventMatcher::new(py, &rules),
            rules,
            ids,
            has_windows,
            source,
        }
    }

    fn names<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, ids.iter().map(|id| self.ids[*id as usize].bind(py)))
    }
}

/// The files of lookup tables: CSV texts, and rows as NDJSON.
fn table_files(tables: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let expected = "expected a mapping of table names to CSV text or to rows";
    let mapping = tables
        .cast::<PyMapping>()
        .map_err(|_| PyTypeError::new_err(expected))?;
    let mut files = Vec::new();
    for item in mapping.items()?.iter() {
        let (name, table): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let name: String = name
            .extract()
            .map_err(|_| PyTypeError::new_err("the names of tables must be strings"))?;
        if let Ok(text) = table.extract::<String>() {
            files.push((format!("{name}.csv"), text));
            continue;
        }
        // A mapping is iterable, but its keys are no rows.
        let rows = table.try_iter();
        let rows = rows.ok().filter(|_| table.cast::<PyMapping>().is_err());
        let mut text = String::new();
        for (number, row) in rows
            .ok_or_else(|| PyTypeError::new_err(expected))?
            .enumerate()
        {
            let row = convert::to_json(&row?, &ValuePath::Root);
            let row = row.map_err(|error| {
                let error = error.value(tables.py());
                PyTypeError::new_err(format!("row {number} of the table `{name}`: {error}"))
            })?;
            text.push_str(&row.to_string());
            text.push('\n');
        }
        files.push((format!("{name}.ndjson"), text));
    }
    Ok(files)
}

fn rule_error(py: Python<'_>, error: &InvalidFiles) -> PyErr {
    let diagnostics = error.files().iter().flat_map(diagnostics_of).collect();
    exception_with::<RuleError>(py, error.to_string(), diagnostics)
}

/// The diagnostics of a file.
pub(crate) fn diagnostics_of(file: &FileDiagnostics) -> impl Iterator<Item = PyDiagnostic> {
    file.diagnostics
        .iter()
        .map(|diagnostic| PyDiagnostic::new(&file.name, &file.text, diagnostic))
}
