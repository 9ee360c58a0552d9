//! The effects of all rules on one event or deadline.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use reflexarc::Evaluation;
use reflexarc_event::{Event, NativeEvent};

use crate::action::{OriginEvent, PyAction, PyCancellation};
use crate::action_origin::ActionOrigin;
use crate::event::PyEvent;
use crate::failure::PyFailure;
use crate::logging;
use crate::rule_reaction::{Contents, RuleReaction};
use crate::time_window::PyMatchFiring;

/// The effects of all rules on one event or deadline.
pub(crate) struct PyEffects {
    pub(crate) matched: Vec<String>,
    pub(crate) actions: Vec<Py<PyAction>>,
    pub(crate) cancelled: Vec<PyCancellation>,
    pub(crate) emitted: Vec<Event>,
    /// The rules that reacted to another event than the evaluated one, each with that event: one
    /// that was emitted, or that of a match whose time has come.
    pub(crate) other_events: Vec<(String, Event)>,
    pub(crate) firings: Vec<PyMatchFiring>,
    pub(crate) reactions: Vec<RuleReaction>,
    pub(crate) failures: Vec<PyFailure>,
    pub(crate) log: Vec<String>,
    pub(crate) skipped: Py<PyDict>,
    pub(crate) notes: Py<PyDict>,
}

impl PyEffects {
    /// The effects of rules on `event`; `None` where a time has come.
    // Moves the texts of the evaluation: a copy of each costs as much as many scripts.
    pub(crate) fn new(
        py: Python<'_>,
        evaluation: Evaluation,
        event: Option<&NativeEvent>,
    ) -> PyResult<Self> {
        logging::log(py, &evaluation)?;
        let (skipped, notes) = (PyDict::new(py), PyDict::new(py));
        let mut matched: Vec<String> = Vec::with_capacity(evaluation.rules.len());
        let (mut actions, mut firings, mut log) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cancelled, mut reactions) = (Vec::new(), Vec::new());
        let (mut emitted, mut other_events) = (Vec::new(), Vec::new());
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for effects in evaluation.rules {
            let remarks: Vec<String> = effects.remarks().map(str::to_owned).collect();
            let firing = effects.firing.map(|firing| PyMatchFiring {
                rule: effects.rule.clone(),
                firing,
            });
            if let Some(reason) = &effects.skipped {
                skipped.set_item(&effects.rule, reason)?;
            }
            if !remarks.is_empty() {
                add_notes(&notes, &effects.rule, remarks)?;
            }
            for key in effects.cancelled {
                let cancellation = PyCancellation {
                    rule: effects.rule.clone(),
                    key,
                    scope: effects.key.clone(),
                };
                remove_cancelled(&mut actions, &cancellation);
                cancelled.push(cancellation);
            }
            let origin = effects.event.as_ref().or(event.map(NativeEvent::event));
            if effects.skipped.is_none() {
                reactions.push(RuleReaction {
                    rule: effects.rule.clone(),
                    event: origin.cloned(),
                    firing: firing.clone(),
                });
            }
            for action in effects.actions {
                // What is delivered needs it no more: only calls keep it for their answer.
                let answered_event = origin.filter(|_| action.is_call());
                let answered_event = answered_event.cloned().map(OriginEvent);
                // What a rule emits has no id that receivers could know.
                let evaluated = event.map(NativeEvent::event).or(effects.event.as_ref());
                let number = counts.entry(effects.rule.clone()).or_default();
                let delivery = ActionOrigin::new(evaluated.cloned(), *number);
                *number += 1;
                let action = PyAction {
                    rule: effects.rule.clone(),
                    event: answered_event,
                    origin: delivery,
                    hop: effects.hop,
                    causes: effects.causes.clone(),
                    labels: effects.labels.clone(),
                    firing: firing.clone(),
                    scope: effects.key.clone(),
                    action,
                };
                if let Some(replaced) = action.name() {
                    remove_cancelled(&mut actions, &replaced);
                }
                actions.push(Py::new(py, action)?);
            }
            firings.extend(firing);
            emitted.extend(effects.emitted);
            if let Some(event) = effects.event {
                other_events.push((effects.rule.clone(), event));
            }
            log.extend(effects.log);
            // A rule with a time window has effects for each key of the event, and also where a
            // reaction failed: the change of the match. It matched once, or failed.
            let failures = &evaluation.failures;
            let is_known = matched.last() == Some(&effects.rule)
                || failures
                    .iter()
                    .any(|failure| failure.hop == 0 && failure.rule == effects.rule);
            if effects.hop > 0 || !is_known {
                matched.push(effects.rule);
            }
        }
        Ok(Self {
            matched,
            actions,
            cancelled,
            emitted,
            other_events,
            firings,
            reactions,
            failures: evaluation.failures.iter().map(PyFailure::from).collect(),
            log,
            skipped: skipped.unbind(),
            notes: notes.unbind(),
        })
    }

    pub(crate) fn contents(&self, contents: &mut Contents) {
        let has_actions = !self.actions.is_empty() || !self.cancelled.is_empty();
        contents.add(Contents::ACTIONS, has_actions);
        contents.add(Contents::FAILURES, !self.failures.is_empty());
        contents.add(Contents::LOG, !self.log.is_empty());
        contents.add(Contents::REACTIONS, !self.reactions.is_empty());
    }

    pub(crate) fn actions(&self, py: Python<'_>) -> Vec<Py<PyAction>> {
        let actions = self.actions.iter();
        actions.map(|action| action.clone_ref(py)).collect()
    }

    /// The other event that a rule reacted to first.
    pub(crate) fn other_event(&self, rule: &str) -> Option<&Event> {
        let mut other = self.other_events.iter();
        other.find(|(name, _)| name == rule).map(|(_, event)| event)
    }

    pub(crate) fn emitted(&self) -> impl Iterator<Item = PyEvent> {
        let events = self.emitted.iter().cloned();
        events.map(|event| PyEvent { event })
    }

    /// How many actions and failures there are, in words.
    pub(crate) fn count(&self) -> String {
        count(self.actions.len(), self.failures.len())
    }
}

/// `1 action, 2 failures`.
pub(crate) fn count(actions: usize, failures: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}, {}",
        count(actions, "action"),
        count(failures, "failure")
    )
}

/// Adds the notes of a rule to those that it has: it has some for each key of an event.
fn add_notes(notes: &Bound<'_, PyDict>, rule: &str, new: Vec<String>) -> PyResult<()> {
    let Some(known) = notes.get_item(rule)? else {
        return notes.set_item(rule, new);
    };
    let known = known.cast::<PyList>()?;
    new.into_iter().try_for_each(|note| known.append(note))
}

/// Removes the actions that a cancellation is about.
pub(crate) fn remove_cancelled(actions: &mut Vec<Py<PyAction>>, cancelled: &PyCancellation) {
    actions.retain(|action| action.get().name().as_ref() != Some(cancelled));
}
