//! Evaluating a deadline or the answer to a call, on the thread of the store's writer.

use jiff::Timestamp;
use reflexarc::{AnsweredCall, Evaluation, Failure, RuleSet};

use super::stopwatch::ThreadStopwatch;
use super::worker::catch_panic;
use crate::store::{DueMatch, StateReader, StoreError, StoredState};

/// Runs what is due of a match, at its deadline.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn fire(
    rules: &RuleSet,
    due: &DueMatch,
    state: &dyn StateReader,
) -> Result<Evaluation, StoreError> {
    let stored = StoredState::new(state);
    let watch = ThreadStopwatch::start();
    let stopwatch = || watch.elapsed();
    let DueMatch { at, rule, key } = due;
    let fired = catch_panic(|| rules.fire_timed(rule, key, &stored, *at, &stopwatch));
    let evaluation = fired.unwrap_or_else(|| panicked(due));
    stored.into_reads()?;
    Ok(evaluation)
}

/// Runs what a rule does with the answer to its call.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn answer(
    rules: &RuleSet,
    call: &AnsweredCall,
    state: &dyn StateReader,
    now: Timestamp,
) -> Result<Evaluation, StoreError> {
    let stored = StoredState::new(state);
    let watch = ThreadStopwatch::start();
    let stopwatch = || watch.elapsed();
    let answered = catch_panic(|| rules.answer_timed(call, &stored, now, &stopwatch));
    stored.into_reads()?;
    Ok(answered.unwrap_or_else(|| {
        let mut evaluation = Evaluation::default();
        let message = "internal error while an answer was processed";
        let failure = Failure::new(call.rule.as_str(), message);
        evaluation.failures.push(failure);
        evaluation
    }))
}

/// What rules wait for before any event, begun at `now`.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn arm(
    rules: &RuleSet,
    state: &dyn StateReader,
    now: Timestamp,
) -> Result<Evaluation, StoreError> {
    let stored = StoredState::new(state);
    // On the thread of the writer, which would end with a panic.
    let armed = catch_panic(|| rules.armed(&stored, now));
    stored.into_reads()?;
    armed.ok_or_else(|| StoreError::Failed("internal error while rules begin to wait".to_owned()))
}

/// The match is closed: it would panic again and again, and hold up all deadlines after it.
fn panicked(due: &DueMatch) -> Evaluation {
    let mut effects = reflexarc::RuleEffects::new(due.rule.as_str());
    let key = due.key.clone();
    effects
        .changes
        .push(reflexarc::StateChange::RemoveMatch { key });
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    let message = format!(
        "internal error at the deadline of {}; the match was closed",
        due.key
    );
    let failure = Failure::new(due.rule.as_str(), message);
    evaluation.failures.push(failure);
    evaluation
}
