//! What a pickled `Evaluation` or `DueEvaluation` consists of.

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::action::{PyAction, PyCancellation};
use crate::evaluation_effects::PyEffects;
use crate::event::PyEvent;
use crate::failure::PyFailure;
use crate::rule_reaction::RuleReaction;
use crate::time_window::PyMatchFiring;

/// A rule that reacted, with its event and match.
type ReactionRow = (String, Option<Py<PyEvent>>, Option<Py<PyMatchFiring>>);

/// Matched rules, actions, cancellations, emitted events, rules with the other event that they
/// reacted to, firings, reactions, failures, log, and the dicts of what was skipped and of notes.
pub(crate) type EffectsRow = (
    Vec<String>,
    Vec<Py<PyAction>>,
    Vec<Py<PyCancellation>>,
    Vec<Py<PyEvent>>,
    Vec<(String, Py<PyEvent>)>,
    Vec<Py<PyMatchFiring>>,
    Vec<ReactionRow>,
    Vec<Py<PyFailure>>,
    Vec<String>,
    Py<PyDict>,
    Py<PyDict>,
);

/// The effects as values that pickle.
pub(crate) fn pickled(py: Python<'_>, effects: &PyEffects) -> PyResult<EffectsRow> {
    let event = |event: &reflexarc_event::Event| {
        let event = event.clone();
        Py::new(py, PyEvent { event })
    };
    let emitted = effects.emitted.iter().map(event);
    let other = effects.other_events.iter();
    let other = other.map(|(rule, other)| Ok((rule.clone(), event(other)?)));
    let reactions = effects.reactions.iter().map(|reaction| {
        let of = reaction.event.as_ref().map(event).transpose()?;
        let firing = reaction.firing.clone().map(|firing| Py::new(py, firing));
        Ok((reaction.rule.clone(), of, firing.transpose()?))
    });
    Ok((
        effects.matched.clone(),
        effects.actions(py),
        objects(py, &effects.cancelled)?,
        emitted.collect::<PyResult<_>>()?,
        other.collect::<PyResult<_>>()?,
        objects(py, &effects.firings)?,
        reactions.collect::<PyResult<_>>()?,
        objects(py, &effects.failures)?,
        effects.log.clone(),
        effects.skipped.clone_ref(py),
        effects.notes.clone_ref(py),
    ))
}

/// The effects of a pickle.
pub(crate) fn unpickled(row: EffectsRow) -> PyEffects {
    let (
        matched,
        actions,
        cancelled,
        emitted,
        other,
        firings,
        reactions,
        failures,
        log,
        skipped,
        notes,
    ) = row;
    let other = other.into_iter();
    let reactions = reactions.into_iter();
    let reactions = reactions.map(|(rule, event, firing)| RuleReaction {
        rule,
        event: event.map(|event| event.get().event.clone()),
        firing: firing.map(|firing| firing.get().clone()),
    });
    PyEffects {
        matched,
        actions,
        cancelled: cancelled.iter().map(|one| one.get().clone()).collect(),
        emitted: emitted.iter().map(|one| one.get().event.clone()).collect(),
        other_events: other
            .map(|(rule, event)| (rule, event.get().event.clone()))
            .collect(),
        reactions: reactions.collect(),
        firings: firings.iter().map(|one| one.get().clone()).collect(),
        failures: failures.iter().map(|one| one.get().clone()).collect(),
        log,
        skipped,
        notes,
    }
}

/// Python objects of values.
fn objects<T>(py: Python<'_>, values: &[T]) -> PyResult<Vec<Py<T>>>
where
    T: PyClass + Clone + Into<PyClassInitializer<T>>,
{
    values
        .iter()
        .map(|value| Py::new(py, value.clone()))
        .collect()
}
