//! The Python class `RuleSet`.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyMapping, PyString, PyTuple};
use reflexarc::RuleSet;
use reflexarc_diagnostic::{FileDiagnostics, InvalidFiles};
use reflexarc_pattern::{Fields, Pattern};

use crate::batch_argument;
use crate::batch_matching::{self, RuleIds};
use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::dict_walk::DictWalk;
use crate::error::{PatternError, ReactionError, RuleError, catch_panics, exception_with};
use crate::evaluation::PyEvaluation;
use crate::event::{self, EventArgument};
use crate::explanation::PyExplanation;
use crate::native_dict::is_native;
use crate::pattern::{PyPattern, with_scratch};
use crate::rule::PyRule;
use crate::rule_set_source::{EventRow, Row, RuleSetSource};
use crate::rule_test::PyRuleTest;
use crate::state::PyState;
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
    rules: RuleSet,
    walk: DictWalk,
    /// The names of the rules, in order.
    ids: Vec<Py<PyString>>,
    source: RuleSetSource,
}

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

    /// Read and compile a folder of rule files, recursively, or one file.
    ///
    /// Raises:
    ///     RuleError: if a file is invalid, with the diagnostics of all files.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        catch_panics(|| {
            let rules = py
                .detach(|| RuleSet::load(&path))
                .map_err(|found| rule_error(py, &found))?;
            let files = rules
                .rules()
                .map(|rule| (rule.file().to_owned(), rule.text().to_owned()))
                .collect();
            Ok(Self::of(py, rules, RuleSetSource::Files(files)))
        })
    }

    /// Compile rule files from a mapping of rule names to TOML text.
    ///
    /// Raises:
    ///     RuleError: if a rule is invalid, with the diagnostics of all rules.
    ///
    /// >>> rules = RuleSet.from_rules({"failed": '''
    /// ... when = 'content.result == "failed"'
    /// ... then = 'notify("ops", `look at ${event.content.eniId}`)'
    /// ... '''})
    /// >>> rules.evaluate({"content": {"result": "failed", "eniId": "eni-1"}}).actions[0].text
    /// 'look at eni-1'
    #[staticmethod]
    fn from_rules(rules: &Bound<'_, PyAny>) -> PyResult<Self> {
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
            Self::of_files(py, files)
        })
    }

    /// The ids of the rules that match the event, in order.
    ///
    /// Raises:
    ///     EventError: if it is not an event.
    ///     UndecidedError: if it cannot be compared with some rules, which the message names.
    fn matching<'py>(&self, event: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        catch_panics(|| self.names(event.py(), &self.matching_ids(event)?))
    }

    /// The ids of the matching rules for each of many events, in order.
    ///
    /// `events` is an iterable of events, NDJSON as bytes, or the path of an NDJSON file; a `str`
    /// is a path. Blank lines of NDJSON are ignored. A file is read in chunks. Text is matched on
    /// all cores without the interpreter lock, and Ctrl-C interrupts it.
    ///
    /// Raises:
    ///     EventError: for the first item that is not an event; the message has the number of the
    ///         line (from 1) or item (from 0).
    ///     UndecidedError: for the first event that cannot be compared with some rules.
    ///     OSError: if the file cannot be read.
    ///
    /// >>> RuleSet({"a": "x == 1"}).matching_many(b'{"x": 1}\n{"x": 2}\n')
    /// [['a'], []]
    fn matching_many<'py>(&self, events: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        catch_panics(|| {
            let py = events.py();
            let list = PyList::empty(py);
            batch_argument::matching(
                &self.rules,
                events,
                |event| self.matching_ids(event),
                |ids| list.append(self.names(py, &ids)?),
            )?;
            Ok(list)
        })
    }

    /// Evaluate an event: match the rules and run their reactions. Nothing is delivered.
    ///
    /// The same event, state and time always give the same evaluation.
    ///
    /// Args:
    ///     event: the event.
    ///     state: the state before the event, by default empty. It is not changed; the state after
    ///         the event is `Evaluation.state`.
    ///     now: the time, an aware datetime; by default the current time.
    ///     strict: raise an exception if a reaction fails, instead of adding it to
    ///         `Evaluation.failures`.
    ///
    /// Raises:
    ///     EventError: if it is not an event.
    ///     ReactionError: if `strict` is true and a reaction failed.
    ///     ValueError: if `now` has no time zone.
    #[pyo3(signature = (event, *, state = None, now = None, strict = false))]
    fn evaluate(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        state: Option<&Bound<'_, PyState>>,
        now: Option<&Bound<'_, PyAny>>,
        strict: bool,
    ) -> PyResult<PyEvaluation> {
        catch_panics(|| {
            let event = event::to_native_event(event)?;
            let state = state.map_or_else(Default::default, |state| state.get().state.clone());
            let now = timestamp_or_now(now)?;
            // Scripts may run for long and need nothing of Python.
            let evaluation = py.detach(|| self.rules.evaluate(&event, &*state, now));
            if let (true, Some(failure)) = (strict, evaluation.failures.first()) {
                return Err(ReactionError::new_err(format!(
                    "rule {:?}: {}",
                    failure.rule, failure.message
                )));
            }
            PyEvaluation::new(py, evaluation, &state)
        })
    }

    /// Explain why a rule matches an event or does not.
    ///
    /// Raises:
    ///     KeyError: if the rule is unknown.
    ///     EventError: if it is not an event.
    fn explain(&self, event: &Bound<'_, PyAny>, rule: &str) -> PyResult<PyExplanation> {
        catch_panics(|| {
            let event = event::to_native_event(event)?;
            let explanation = self.rules.explain(&event, rule);
            explanation
                .map(Into::into)
                .ok_or_else(|| PyKeyError::new_err(rule.to_owned()))
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

    /// The names of the rules, in order.
    #[getter]
    fn ids(&self, py: Python<'_>) -> Vec<Py<PyString>> {
        self.ids.iter().map(|id| id.clone_ref(py)).collect()
    }

    /// Diagnostics about valid rules that are probably not as intended.
    #[getter]
    fn warnings(&self) -> Vec<PyDiagnostic> {
        self.rules.warnings().iter().flat_map(diagnostics).collect()
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
        format!(
            "<RuleSet: {} rule{}>",
            self.rules.len(),
            if self.rules.len() == 1 { "" } else { "s" }
        )
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
            RuleSetSource::Files(files) => {
                let set = Self::of_files(py, files)?;
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
    fn of_patterns(py: Python<'_>, patterns: Vec<(String, Pattern)>) -> PyResult<Self> {
        let rules = RuleSet::from_patterns(patterns.iter().cloned())
            .map_err(|error| exception_with::<PatternError>(py, error.to_string(), Vec::new()))?;
        Ok(Self::of(py, rules, RuleSetSource::Patterns(patterns)))
    }

    fn of_files(py: Python<'_>, files: Vec<(String, String)>) -> PyResult<Self> {
        let rules =
            RuleSet::compile(files.iter().cloned()).map_err(|found| rule_error(py, &found))?;
        Ok(Self::of(py, rules, RuleSetSource::Files(files)))
    }

    fn of(py: Python<'_>, rules: RuleSet, source: RuleSetSource) -> Self {
        let ids = rules
            .rules()
            .map(|rule| PyString::new(py, rule.name()).unbind())
            .collect();
        let walk = DictWalk::new(py, rules.matcher().paths());
        Self {
            rules,
            walk,
            ids,
            source,
        }
    }

    fn matching_ids(&self, event: &Bound<'_, PyAny>) -> PyResult<RuleIds> {
        let mapping = match EventArgument::new(event)? {
            EventArgument::Bytes(bytes) => {
                return Ok(batch_matching::matching_text(&self.rules, &bytes)?);
            }
            EventArgument::Mapping(mapping) => mapping,
        };
        // Walking in place is only right for events in native form: the paths of rules do not lead
        // through an envelope. Other dicts are converted to text, which the engine normalises.
        if self.walk.is_possible() && is_native(&mapping)? {
            return with_scratch(|scratch| {
                let mut ids = RuleIds::new();
                let visit = |fields: &mut Fields<'_>| self.walk.fields(&mapping, fields);
                self.rules
                    .matcher()
                    .matching_fields(visit, scratch, &mut ids)?;
                let undecided = scratch.undecided();
                Ok(batch_matching::decided(&self.rules, ids, undecided)?)
            });
        }
        let text = convert::to_json(&mapping, &ValuePath::Root)?.to_string();
        Ok(batch_matching::matching_text(&self.rules, text.as_bytes())?)
    }

    fn names<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, ids.iter().map(|id| self.ids[*id as usize].bind(py)))
    }
}

fn rule_error(py: Python<'_>, error: &InvalidFiles) -> PyErr {
    let diagnostics = error.files().iter().flat_map(diagnostics).collect();
    exception_with::<RuleError>(py, error.to_string(), diagnostics)
}

fn diagnostics(file: &FileDiagnostics) -> impl Iterator<Item = PyDiagnostic> {
    file.diagnostics
        .iter()
        .map(|diagnostic| PyDiagnostic::new(&file.name, &file.text, diagnostic))
}
