//! The handlers of an automation: evaluating an event, and finding those that are to run for it.

use std::collections::HashMap;

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString};
use reflexarc::RuleSet;
use reflexarc_event::{Event, NativeEvent};

use crate::batch_matching::MatchError;
use crate::error::{PatternError, catch_panics, exception_with};
use crate::evaluation::PyEvaluation;
use crate::event::{self, PyEvent};
use crate::handler_match::{MatchTime, PyMatch};
use crate::pattern::PyPattern;
use crate::rules::PyRuleSet;
use crate::state::PyState;
use crate::time_window::PyMatchFiring;
use crate::timestamp::timestamp_or_now;

/// Rules with the handlers of an automation; immutable.
///
/// Args:
///     rules: the rules.
///     handlers: the handlers in their order, each with the name of the rule that it handles, or
///         `None`; the pattern of that rule, or its own; and the function.
#[pyclass(name = "_HandlerTable", module = "reflexarc", frozen)]
pub(crate) struct PyHandlerTable {
    rules: Py<PyRuleSet>,
    handlers: Vec<Handler>,
    /// The places in `handlers` of those of each rule.
    of_rules: HashMap<String, Vec<usize>>,
    /// The places of those with a pattern of their own.
    of_patterns: Vec<usize>,
    /// The patterns of `of_patterns`, in the same order; `None` without any.
    patterns: Option<RuleSet>,
}

struct Handler {
    rule: Option<Py<PyString>>,
    /// Whether the rule has a time window, so that it reacts only with a firing.
    needs_firing: bool,
    pattern: Py<PyPattern>,
    function: Py<PyAny>,
}

/// A handler of Python: the name of its rule, the pattern, the function.
type HandlerRow = (Option<Py<PyString>>, Py<PyPattern>, Py<PyAny>);

/// A handler that is to run: the function and its arguments.
type Call = (Py<PyAny>, Py<PyEvent>, Py<PyMatch>);

/// An evaluation, what it has, and the handlers that are to run.
type Evaluated = (Py<PyEvaluation>, u8, Vec<Call>);

/// The handlers that are to run for one evaluation, each with its place.
struct Calls<'a, 'py> {
    table: &'a PyHandlerTable,
    evaluation: &'a Bound<'py, PyEvaluation>,
    at: MatchTime,
    item: Option<&'a Bound<'py, PyAny>>,
    found: Vec<(usize, Call)>,
}

#[pymethods]
impl PyHandlerTable {
    #[new]
    fn new(py: Python<'_>, rules: Py<PyRuleSet>, handlers: Vec<HandlerRow>) -> PyResult<Self> {
        catch_panics(|| {
            let mut table = Self {
                rules,
                handlers: Vec::with_capacity(handlers.len()),
                of_rules: HashMap::new(),
                of_patterns: Vec::new(),
                patterns: None,
            };
            let mut patterns = Vec::new();
            for (place, (rule, pattern, function)) in handlers.into_iter().enumerate() {
                let mut needs_firing = false;
                if let Some(rule) = &rule {
                    let name = rule.bind(py).to_cow()?.into_owned();
                    let known = table.rules.get().rules.get(&name);
                    needs_firing = known.is_some_and(|rule| rule.window().is_some());
                    table.of_rules.entry(name).or_default().push(place);
                } else {
                    // A rule set has its rules in the order of their names.
                    let name = format!("{:010}", patterns.len());
                    patterns.push((name, pattern.get().pattern.clone()));
                    table.of_patterns.push(place);
                }
                table.handlers.push(Handler {
                    rule,
                    needs_firing,
                    pattern,
                    function,
                });
            }
            if !patterns.is_empty() {
                let patterns = RuleSet::from_patterns(patterns).map_err(|error| {
                    exception_with::<PatternError>(py, error.to_string(), Vec::new())
                })?;
                table.patterns = Some(patterns);
            }
            Ok(table)
        })
    }

    /// Evaluate an event, as `RuleSet.evaluate` does. Returns the evaluation, what it has as
    /// bits (`Evaluation._contents`), and the handlers that are to run, each with its arguments;
    /// `None` for a document that does not contain exactly one valid event.
    #[pyo3(signature = (event, item, state, now = None, advance = true))]
    fn evaluate(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        item: &Bound<'_, PyAny>,
        state: &Bound<'_, PyState>,
        now: Option<&Bound<'_, PyDateTime>>,
        advance: bool,
    ) -> PyResult<Option<Evaluated>> {
        catch_panics(|| {
            let Some(event) = event::read_single(event)? else {
                return Ok(None);
            };
            // Before rules react: an event that cannot be compared must have no effects.
            let matched = self.matched(&event)?;
            let time = timestamp_or_now(now.map(Bound::as_any))?;
            let (rules, state) = (self.rules.get(), state.get().state.clone());
            let done = rules.run(py, event.clone(), state, time, advance);
            let evaluation = Bound::new(py, done.finish(py, &rules.rules, false)?)?;
            let at = match now {
                Some(now) => MatchTime::Given(now.clone().unbind()),
                None => MatchTime::Now(time),
            };
            let mut calls = Calls::new(self, &evaluation, at, Some(item));
            calls.add_of_rules()?;
            calls.add_of_patterns(event.event(), matched)?;
            calls.add_of_emitted()?;
            let calls = calls.finish();
            let contents = evaluation.get().contents();
            Ok(Some((evaluation.unbind(), contents.0, calls)))
        })
    }

    /// The handlers that are to run for deadlines that have fired `at` a time.
    fn calls(
        &self,
        evaluation: &Bound<'_, PyEvaluation>,
        at: Py<PyDateTime>,
    ) -> PyResult<Vec<Call>> {
        catch_panics(|| {
            let mut calls = Calls::new(self, evaluation, MatchTime::Given(at), None);
            calls.add_of_rules()?;
            calls.add_of_emitted()?;
            Ok(calls.finish())
        })
    }

    // Handlers are functions of the program, which often refer to its automation.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut handlers = self.handlers.iter();
        handlers.try_for_each(|handler| visit.call(&handler.function))
    }
}

impl PyHandlerTable {
    /// The places of the handlers with a pattern that matches an event.
    fn matched(&self, event: &NativeEvent) -> Result<Vec<usize>, MatchError> {
        let Some(patterns) = &self.patterns else {
            return Ok(Vec::new());
        };
        let matched = patterns.matching(event);
        let undecided = matched.undecided().map(|id| self.place(id));
        let undecided: Vec<_> = undecided.map(|place| self.source(place)).collect();
        if !undecided.is_empty() {
            let patterns = undecided.join(", ");
            return Err(MatchError::UndecidedHandlers { patterns });
        }
        Ok(matched.ids().iter().map(|id| self.place(*id)).collect())
    }

    fn place(&self, pattern: u32) -> usize {
        self.of_patterns[pattern as usize]
    }

    fn source(&self, place: usize) -> String {
        format!("`{}`", self.handlers[place].pattern.get().pattern.source())
    }
}

impl<'a, 'py> Calls<'a, 'py> {
    fn new(
        table: &'a PyHandlerTable,
        evaluation: &'a Bound<'py, PyEvaluation>,
        at: MatchTime,
        item: Option<&'a Bound<'py, PyAny>>,
    ) -> Self {
        Self {
            table,
            evaluation,
            at,
            item,
            found: Vec::new(),
        }
    }

    /// Adds the handlers of rules that reacted.
    fn add_of_rules(&mut self) -> PyResult<()> {
        let table = self.table;
        for reaction in self.evaluation.get().reactions() {
            let Some(places) = table.of_rules.get(&reaction.rule) else {
                continue;
            };
            for place in places {
                // Without a firing, the event only became part of a match.
                if reaction.firing.is_none() && table.handlers[*place].needs_firing {
                    continue;
                }
                let event = match &reaction.event {
                    Some(event) => event.clone(),
                    // The rule waited for what has never come.
                    None => Event::from_json("{}").map_err(event::event_error)?,
                };
                self.add(*place, event, reaction.firing.clone())?;
            }
        }
        Ok(())
    }

    /// Adds the handlers with a pattern that an event that was emitted matches.
    fn add_of_emitted(&mut self) -> PyResult<()> {
        let table = self.table;
        if table.patterns.is_some() {
            for emitted in self.evaluation.get().emitted_events() {
                let native = NativeEvent::new(emitted.clone()).map_err(event::event_error)?;
                self.add_of_patterns(native.event(), table.matched(&native)?)?;
            }
        }
        Ok(())
    }

    /// Adds the handlers with a pattern that an event matches.
    fn add_of_patterns(&mut self, event: &Event, places: Vec<usize>) -> PyResult<()> {
        let mut places = places.into_iter();
        places.try_for_each(|place| self.add(place, event.clone(), None))
    }

    fn add(&mut self, place: usize, event: Event, firing: Option<PyMatchFiring>) -> PyResult<()> {
        let py = self.evaluation.py();
        let handler = &self.table.handlers[place];
        let found = PyMatch {
            at: self.at.clone_ref(py),
            evaluation: self.evaluation.clone().unbind(),
            pattern: handler.pattern.clone_ref(py),
            rule: handler.rule.as_ref().map(|rule| rule.clone_ref(py)),
            firing,
            item: self.item.map(|item| item.clone().unbind()),
        };
        let event = Py::new(py, PyEvent { event })?;
        let call = (handler.function.clone_ref(py), event, Py::new(py, found)?);
        self.found.push((place, call));
        Ok(())
    }

    /// The calls, in the order in which handlers were added.
    fn finish(mut self) -> Vec<Call> {
        // Stable: a handler runs for one event after another as they came.
        self.found.sort_by_key(|(place, _)| *place);
        self.found.into_iter().map(|(_, call)| call).collect()
    }
}
