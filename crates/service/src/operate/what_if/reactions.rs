//! What the reaction of an edited rule does in place of that of the rule in effect.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc::{
    Evaluation, FailureCause, InvalidFiles, Matched, NoState, ReactionBudget, Rule, RuleSet,
};
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::Action;

use super::{ChangedEvent, WhatIfLimits};
use crate::intake::stopwatch::ThreadStopwatch;

/// What the reactions of both versions of a rule do with events, each evaluated on an empty state
/// at the time at which it was accepted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReactionChanges {
    /// How many events that both versions match were evaluated with both.
    pub compared: u64,
    /// How many that both match were not: beyond [`WhatIfLimits::reactions`] or
    /// [`WhatIfLimits::reaction_time`].
    pub left_out: u64,
    /// How many of the compared ones have other effects.
    pub changed: u64,
    /// The first of these, the newest first.
    pub examples: Vec<ReactionExample>,
    /// What the edited version does with the first events that only it matches.
    pub newly: Vec<ReactionExample>,
}

/// What both versions of a rule do with one event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReactionExample {
    /// The event.
    pub event: ChangedEvent,
    /// What the rule in effect does; nothing if it does not match the event.
    pub before: Outcome,
    /// What the edited one does.
    pub after: Outcome,
}

/// The effects of a reaction, beginning with the first that the other version does not have.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// At most [`WhatIfLimits::effects`] of them.
    pub effects: Vec<ReactionEffect>,
    /// How many further ones there are.
    pub left_out: usize,
}

/// What a reaction does, except changes of the state and lines of its log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ReactionEffect {
    /// An action, as [`Action::to_json`] writes it.
    Action(Json),
    /// An emitted event.
    Emit(Json),
    /// Waiting actions of this name are cancelled.
    Cancel(String),
    /// It fails with this message, and has no effects.
    Failure(String),
}

/// Evaluates events with two versions of a rule, as long as its limits allow.
pub(super) struct Reactions<'a> {
    /// The version before and after; the first is missing if there is no such rule.
    sets: [Option<RuleSet>; 2],
    /// The name of the file of both.
    file: String,
    limits: &'a WhatIfLimits,
    evaluated: usize,
    spent: Duration,
    found: ReactionChanges,
}

/// The time that is left of a comparison.
struct TimeLeft {
    began: Instant,
    left: Duration,
}

impl<'a> Reactions<'a> {
    /// The rule in effect, compiled by itself, and the set of the edited one.
    pub(super) fn new(
        current: Option<&Rule>,
        edited: &RuleSet,
        file: String,
        limits: &'a WhatIfLimits,
    ) -> Result<Self, InvalidFiles> {
        let before = current.map(|rule| {
            let files = [(file.as_str(), rule.text())];
            RuleSet::compile_with_tables(files, edited.tables())
        });
        Ok(Self {
            sets: [before.transpose()?, Some(edited.clone())],
            file,
            limits,
            evaluated: 0,
            spent: Duration::ZERO,
            found: ReactionChanges::default(),
        })
    }

    /// Compares what both versions do with an event that both match.
    pub(super) fn compare(
        &mut self,
        native: &NativeEvent,
        [before, after]: [&Matched; 2],
        at: Timestamp,
        event: impl FnOnce() -> ChangedEvent,
    ) {
        let effects = self.is_within_limits().then(|| {
            let before = self.effects(0, native, before, at)?;
            Some((before, self.effects(1, native, after, at)?))
        });
        let Some((before, after)) = effects.flatten() else {
            self.found.left_out += 1;
            return;
        };
        self.found.compared += 1;
        let is_same = |(a, b): &(&ReactionEffect, &ReactionEffect)| a.is_same(b, &self.file);
        let same = before.iter().zip(&after).take_while(is_same).count();
        if same == before.len() && same == after.len() {
            return;
        }
        self.found.changed += 1;
        if self.found.examples.len() < self.limits.examples {
            self.found.examples.push(ReactionExample {
                event: event(),
                before: self.outcome(before, same),
                after: self.outcome(after, same),
            });
        }
    }

    /// Records what the edited version does with an event that only it matches.
    pub(super) fn add_newly(
        &mut self,
        native: &NativeEvent,
        matched: &Matched,
        at: Timestamp,
        event: impl FnOnce() -> ChangedEvent,
    ) {
        if self.found.newly.len() >= self.limits.examples || !self.is_within_limits() {
            return;
        }
        if let Some(after) = self.effects(1, native, matched, at) {
            self.found.newly.push(ReactionExample {
                event: event(),
                before: Outcome::default(),
                after: self.outcome(after, 0),
            });
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> ReactionChanges {
        self.found
    }

    /// Whether one more event may be evaluated; counts it.
    fn is_within_limits(&mut self) -> bool {
        let is_within =
            self.evaluated < self.limits.reactions && self.spent < self.limits.reaction_time;
        self.evaluated += usize::from(is_within);
        is_within
    }

    /// What one version does; `None` if its time ended.
    fn effects(
        &mut self,
        version: usize,
        native: &NativeEvent,
        matched: &Matched,
        at: Timestamp,
    ) -> Option<Vec<ReactionEffect>> {
        let rules = self.sets.get(version)?.as_ref()?;
        let time = TimeLeft {
            began: Instant::now(),
            left: self.limits.reaction_time.saturating_sub(self.spent),
        };
        let watch = ThreadStopwatch::start();
        let stopwatch = || watch.elapsed();
        // What matched is passed on, because a disabled rule of a set would match nothing.
        let evaluation =
            rules.evaluate_within(native, matched, &NoState, at, Some(&stopwatch), &time);
        self.spent += time.began.elapsed();
        effects(evaluation)
    }

    /// The effects after those that both versions have.
    fn outcome(&self, effects: Vec<ReactionEffect>, same: usize) -> Outcome {
        let count = effects.len().saturating_sub(same);
        let effects = effects.into_iter().skip(same).take(self.limits.effects);
        let effects: Vec<_> = effects.collect();
        Outcome {
            left_out: count - effects.len(),
            effects,
        }
    }
}

impl ReactionEffect {
    /// Whether it is the same, wherever in the file of the rule.
    fn is_same(&self, other: &Self, file: &str) -> bool {
        match (self, other) {
            // An edit moves the lines below it, and what fails there is the same failure.
            (Self::Failure(one), Self::Failure(other)) => {
                without_location(one, file) == without_location(other, file)
            }
            _ => self == other,
        }
    }
}

impl ReactionBudget for TimeLeft {
    fn begin(&self, _: &Rule) -> Result<(), String> {
        if self.began.elapsed() < self.left {
            Ok(())
        } else {
            Err("the time of the comparison ended".to_owned())
        }
    }

    fn end(&self, _: &Rule, _: reflexarc::EffectSize) {}
}

/// What an evaluation does, in order; `None` if the time ended.
fn effects(evaluation: Evaluation) -> Option<Vec<ReactionEffect>> {
    let failures = &evaluation.failures;
    if failures.iter().any(|one| one.cause == FailureCause::Budget) {
        return None;
    }
    let mut effects = Vec::new();
    for run in evaluation.rules {
        effects.extend(run.cancelled.into_iter().map(ReactionEffect::Cancel));
        let actions = run.actions.iter().map(Action::to_json);
        effects.extend(actions.map(ReactionEffect::Action));
        let emitted = run.emitted.iter().map(|event| event.tree().clone());
        effects.extend(emitted.map(ReactionEffect::Emit));
    }
    let failures = evaluation.failures.into_iter();
    effects.extend(failures.map(|one| ReactionEffect::Failure(one.message)));
    Some(effects)
}

/// A message without `FILE:LINE:COLUMN: ` at its beginning.
fn without_location<'a>(message: &'a str, file: &str) -> &'a str {
    let number = |text: &'a str| {
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        digits.strip_prefix(':')
    };
    let rest = message.strip_prefix(file);
    let rest = rest.and_then(|rest| rest.strip_prefix(':'));
    let rest = rest.and_then(number).and_then(number);
    rest.map_or(message, str::trim_start)
}

#[cfg(test)]
mod tests;
