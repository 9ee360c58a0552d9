//! What happens because time passes: deadlines of matches, in their order.

#[cfg(any(test, fuzzing))]
pub(crate) mod scenario;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::{MemoryState, State, StateChange, Stopwatch};

use super::RuleSet;
use super::evaluation::{Matched, Watch};
use crate::coverage::ExecutedLines;
use crate::rule::Rule;
use crate::{Evaluation, RuleEffects, evaluate};

/// A deadline that has passed, and what rules did because of it.
///
/// ```
/// use reflexarc::{MemoryState, NativeEvent, RuleSet, event_time};
///
/// let rules = RuleSet::compile([("stuck.toml", r#"
///     when = 'content.operation == "Detach" and content.result == "accepted"'
///     by = "content.eniId"
///     not_followed_by = { when = 'content.result == "success"', within = "30m" }
///     notify = ["network-team"]
/// "#)])?;
/// let event = NativeEvent::from_json(r#"{
///     "eventTime": "2026-11-25T08:00:00Z",
///     "content": {"operation": "Detach", "result": "accepted", "eniId": "eni-1"}
/// }"#)?;
/// let (mut state, now) = (MemoryState::new(), event_time(&event).ok_or("no time")?);
/// rules.evaluate_in_time(&event, &mut state, now, &mut |_| ());
///
/// let fired = rules.fire_due(&mut state, "2026-11-25T09:00:00Z".parse()?);
/// assert_eq!(fired[0].at.to_string(), "2026-11-25T08:30:10Z", "10 seconds of grace");
/// assert_eq!((fired[0].rule.as_str(), fired[0].key.as_str()), ("stuck", "\"eni-1\""));
/// assert_eq!(fired[0].evaluation.actions().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DueEvaluation {
    /// The deadline.
    pub at: Timestamp,
    /// The name of the rule.
    pub rule: String,
    /// The key of the match, as JSON.
    pub key: String,
    /// What the rules did.
    pub evaluation: Evaluation,
}

/// What a program needs to know of the window of a rule to keep its matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveWindow {
    /// As [`KeptMatch::window`](reflexarc_reaction::KeptMatch::window) of its matches.
    pub fingerprint: u64,
    /// How long matches that were due wait after a time in which nothing fired deadlines.
    pub settle: SignedDuration,
    /// How many keys may wait.
    pub max_pending: usize,
}

impl RuleSet {
    /// Evaluates an event at `now` after the deadlines up to then, and applies the changes to the
    /// state. `each` gets what the deadlines led to, in their order.
    ///
    /// Where [`RuleSet::evaluate`] is one step of a program that keeps state itself, this is all of
    /// it for a state in memory.
    pub fn evaluate_in_time(
        &self,
        event: &NativeEvent,
        state: &mut MemoryState,
        now: Timestamp,
        each: &mut dyn FnMut(DueEvaluation),
    ) -> Evaluation {
        self.fire_due_to(state, now, each);
        let evaluation = self.evaluate(event, state, now);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        evaluation
    }

    /// Runs what is due by `now`, the earliest deadline first, and applies the changes to the
    /// state. Each deadline is evaluated at its own time.
    pub fn fire_due(&self, state: &mut MemoryState, now: Timestamp) -> Vec<DueEvaluation> {
        let mut fired = Vec::new();
        self.fire_due_to(state, now, &mut |due| fired.push(due));
        fired
    }

    /// As [`RuleSet::fire_due`], one by one.
    pub fn fire_due_to(
        &self,
        state: &mut MemoryState,
        now: Timestamp,
        each: &mut dyn FnMut(DueEvaluation),
    ) {
        self.arm(state, now);
        while let Some(due) = self.fire_next(state, now) {
            each(due);
        }
        state.advance(now);
    }

    /// Runs the earliest deadline if it is `now` or before, and applies the changes to the state.
    pub fn fire_next(&self, state: &mut MemoryState, now: Timestamp) -> Option<DueEvaluation> {
        self.fire_next_watched(state, now, Watch::default())
    }

    /// As [`RuleSet::fire_next`], recording the lines of scripts that ran.
    pub(crate) fn fire_next_traced(
        &self,
        state: &mut MemoryState,
        now: Timestamp,
        trace: &ExecutedLines,
    ) -> Option<DueEvaluation> {
        let watch = Watch {
            trace: Some(trace),
            ..Watch::default()
        };
        self.fire_next_watched(state, now, watch)
    }

    fn fire_next_watched(
        &self,
        state: &mut MemoryState,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Option<DueEvaluation> {
        // What has expired is not due.
        state.remove_expired_matches(now);
        let (at, rule, key) = state.due(now).next()?;
        let (rule, key) = (rule.to_owned(), key.to_owned());
        // At its own time: what it does must not depend on when it is noticed.
        state.advance(at);
        let evaluation = self.fire_watched(&rule, &key, state, at, watch);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        Some(DueEvaluation {
            at,
            rule,
            key,
            evaluation,
        })
    }

    /// Runs what is due at `now` of the match of `rule` at `key`, which is JSON. A match that the
    /// rules have no window for is closed; one that is due later now is kept until then.
    pub fn fire(&self, rule: &str, key: &str, state: &dyn State, now: Timestamp) -> Evaluation {
        self.fire_watched(rule, key, state, now, Watch::default())
    }

    /// As [`RuleSet::fire`], with a deadline for each script.
    //
    // Without a budget: one that refused a reaction here would lose an alert because many are due
    // at once, which is when it matters most. Who fires decides how fast.
    pub fn fire_timed(
        &self,
        rule: &str,
        key: &str,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Stopwatch<'_>,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch: Some(stopwatch),
            ..Watch::default()
        };
        self.fire_watched(rule, key, state, now, watch)
    }

    fn fire_watched(
        &self,
        name: &str,
        key: &str,
        state: &dyn State,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Evaluation {
        let matching = |event: &NativeEvent| match watch.budget {
            None => self.found(&self.matching(event)),
            Some(budget) => self.found(&self.matching_within(event, budget)),
        };
        let context = self.context(&matching, state, now, watch);
        // A disabled rule reacts to nothing, and not to time either.
        let is_active = |rule: &&Rule| rule.enabled || self.inner.is_test;
        let rule = self.get(name).filter(is_active);
        if let Some(rule) = rule.filter(|rule| rule.window.is_some()) {
            return evaluate::fire(rule, key, &context);
        }
        let mut effects = RuleEffects::new(name);
        let key = key.to_owned();
        effects.changes.push(StateChange::RemoveMatch { key });
        let note = "closed: the rule has no window, or is disabled";
        effects.steps.push(note.to_owned());
        let mut evaluation = Evaluation::default();
        evaluation.rules.push(effects);
        evaluation
    }

    /// Begins what rules wait for before any event: `absent_for` waits from when its rule is first
    /// seen, and for each key that it expects. What has begun is left as it is.
    pub fn arm(&self, state: &mut MemoryState, now: Timestamp) {
        let now = now.max(state.matches().clock());
        for position in &self.inner.armed {
            let Some(rule) = self.inner.rules.get(*position) else {
                continue;
            };
            let changes = evaluate::arm(rule, state, now);
            state.apply(rule.name(), &changes);
        }
    }

    /// The changes that [`RuleSet::arm`] makes, for a program that keeps state itself.
    ///
    /// ```
    /// use reflexarc::{NoState, RuleSet, StateChange, Timestamp};
    ///
    /// let rules = RuleSet::compile([("silence.toml", r#"
    ///     when = 'product == "ECS"'
    ///     absent_for = "24h"
    ///     notify = ["network-team"]
    /// "#)])?;
    /// let armed = rules.armed(&NoState, Timestamp::UNIX_EPOCH);
    /// assert!(matches!(armed.rules[0].changes[0], StateChange::SetMatch { .. }));
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn armed(&self, state: &dyn State, now: Timestamp) -> Evaluation {
        let now = now.max(state.matches().clock());
        let mut evaluation = Evaluation::default();
        for position in &self.inner.armed {
            let Some(rule) = self.inner.rules.get(*position) else {
                continue;
            };
            let mut effects = RuleEffects::new(rule.name());
            effects.changes = evaluate::arm(rule, state, now);
            if !effects.changes.is_empty() {
                evaluation.rules.push(effects);
            }
        }
        evaluation
    }

    /// The window of an enabled rule: what identifies its matches, and how long they wait after a
    /// restart. `None` if no rule has that name, or it has no window or is disabled.
    pub fn live_window(&self, rule: &str) -> Option<LiveWindow> {
        let rule = self.get(rule).filter(|rule| rule.enabled)?;
        let window = rule.window.as_ref()?;
        Some(LiveWindow {
            fingerprint: window.fingerprint(),
            settle: SignedDuration::from_micros(window.window.settle),
            max_pending: window.max_pending,
        })
    }

    /// Whether an enabled rule has a window.
    pub fn has_windows(&self) -> bool {
        let mut rules = self.inner.rules.iter();
        rules.any(|rule| rule.enabled && rule.window.is_some())
    }

    /// Whether one of the rules that match has a window: then what they do depends on the position
    /// of the event, and cannot be found out ahead.
    pub fn matches_window(&self, matched: &Matched) -> bool {
        !matched.has_no_steps()
            || self
                .matched_rules(matched)
                .any(|rule| rule.window.is_some())
    }

    /// Moves the deadlines up to `now` to `settle` after it, and returns how many. Called after a
    /// time in which nothing fired deadlines: what closes the matches may have been sent meanwhile,
    /// and the repeats of senders come first.
    ///
    /// ```
    /// use reflexarc::{MemoryState, NativeEvent, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("stuck.toml", r#"
    ///     when = 'op == "Detach"'
    ///     by = "eni"
    ///     not_followed_by = { when = 'op == "Detached"', within = "30m" }
    ///     notify = ["network-team"]
    /// "#)])?;
    /// let event = NativeEvent::from_json(r#"{"op": "Detach", "eni": "eni-1"}"#)?;
    /// let (mut state, start) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// rules.evaluate_in_time(&event, &mut state, start, &mut |_| ());
    ///
    /// let later = "1970-01-01T05:00:00Z".parse()?;
    /// assert_eq!(rules.postpone_due(&mut state, later), 1);
    /// assert!(rules.fire_due(&mut state, later).is_empty());
    /// assert_eq!(rules.fire_due(&mut state, "1970-01-01T05:01:00Z".parse()?).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn postpone_due(&self, state: &mut MemoryState, now: Timestamp) -> usize {
        let due = state.due(now);
        let due: Vec<_> = due
            .map(|(_, rule, key)| (rule.to_owned(), key.to_owned()))
            .collect();
        let mut count = 0;
        for (name, key) in due {
            let rule = self.get(&name);
            let change = rule.and_then(|rule| evaluate::postpone(rule, &key, state, now));
            count += usize::from(change.is_some());
            state.apply(&name, change.as_slice());
        }
        count
    }

    /// Closes the matches of windows that this set does not have, has otherwise, or has disabled,
    /// and returns the rule and the key of each. Called when these rules take the place of others.
    pub fn close_other_matches(&self, state: &mut MemoryState) -> Vec<(String, String)> {
        let mut closed = Vec::new();
        let names: Vec<String> = state.rules_with_matches().map(str::to_owned).collect();
        for name in names {
            let rule = self.get(&name);
            let keys = state.matches_of(&name, Timestamp::MIN);
            let is_other = |key: &str| {
                rule.is_none_or(|rule| {
                    !rule.enabled || !evaluate::has_match(rule, key, state, Timestamp::MIN)
                })
            };
            let keys: Vec<String> = keys
                .map(|(key, _)| key.to_owned())
                .filter(|key| is_other(key))
                .collect();
            for key in keys {
                let change = StateChange::RemoveMatch { key: key.clone() };
                state.apply(&name, &[change]);
                closed.push((name.clone(), key));
            }
        }
        closed
    }

    /// The keys of `rule` that wait for something at `now`, as JSON, in order.
    pub fn pending<'s>(
        rule: &str,
        state: &'s MemoryState,
        now: Timestamp,
    ) -> impl Iterator<Item = &'s str> {
        let matches = state.matches_of(rule, now);
        matches
            .filter(|(_, kept)| kept.is_pending)
            .map(|(key, _)| key)
    }
}
