//! Delayed actions of a caller that keeps them in memory.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::{Evaluation, Failure, RuleEffects, RuleSetLimits};

/// The actions that wait until they are due, on a clock that the caller has: those with an `after`.
/// A store has an outbox instead.
///
/// ```
/// use reflexarc::{DelayedActions, MemoryState, NativeEvent, RuleSet, Timestamp};
///
/// let rules = RuleSet::compile([("failed.toml", r#"
///     when = 'result exists'
///     by = "eni"
///     then = '''
///     if event.result == "success" { cancel("manager"); return; }
///     notify("manager", #{ text: event.eni, after: "15m", key: "manager" });
///     '''
/// "#)])?;
/// let (mut delayed, state) = (DelayedActions::default(), MemoryState::new());
/// let mut evaluate = |json: &str, now: &str| {
///     let (event, now) = (NativeEvent::from_json(json)?, now.parse()?);
///     let mut evaluation = rules.evaluate(&event, &state, now);
///     delayed.hold(&mut evaluation, now);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// };
/// evaluate(r#"{"result": "failed", "eni": "eni-1"}"#, "2026-11-25T08:00:00Z")?;
/// evaluate(r#"{"result": "failed", "eni": "eni-2"}"#, "2026-11-25T08:05:00Z")?;
/// evaluate(r#"{"result": "success", "eni": "eni-1"}"#, "2026-11-25T08:10:00Z")?;
///
/// assert_eq!(delayed.len(), 1);
/// let due = delayed.take_due(Timestamp::MAX).ok_or("nothing waits")?;
/// assert_eq!(due.at.to_string(), "2026-11-25T08:20:00Z");
/// assert_eq!(due.effects.actions[0].target(), "manager");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DelayedActions {
    /// By when they are due; of one time, in the order of their evaluations.
    waiting: BTreeMap<Place, DelayedAction>,
    named: HashMap<Name, Place>,
    /// How many there were.
    count: u64,
    bytes: usize,
    max_bytes: usize,
}

/// An action that was delayed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DelayedAction {
    /// When it is due.
    pub at: Timestamp,
    /// What the rule did, with this action alone, and without changes of state and log.
    pub effects: RuleEffects,
    bytes: usize,
}

type Place = (Timestamp, u64);

/// The rule, its key as JSON, and the name of the action.
type Name = (String, Option<String>, String);

impl DelayedActions {
    /// None, which may have this many bytes.
    pub fn within(max_bytes: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            named: HashMap::new(),
            count: 0,
            bytes: 0,
            max_bytes,
        }
    }

    /// Cancels what an evaluation at `now` cancels and replaces, and keeps the actions that it
    /// delays. They stay in the evaluation; what there is no room for becomes a failure there.
    /// Returns what was cancelled, in that order: a call is answered all the same.
    pub fn hold(&mut self, evaluation: &mut Evaluation, now: Timestamp) -> Vec<DelayedAction> {
        let is_idle = |effects: &RuleEffects| {
            let is_plain = |action: &Action| action.after().is_none() && action.key().is_none();
            effects.cancelled.is_empty() && effects.actions.iter().all(is_plain)
        };
        // Nearly all evaluations.
        if evaluation.rules.iter().all(is_idle) {
            return Vec::new();
        }
        let mut cancelled = Vec::new();
        for effects in &mut evaluation.rules {
            let scope = effects.key.as_ref().map(Json::to_string);
            let name = |key: &str| (effects.rule.clone(), scope.clone(), key.to_owned());
            for key in &effects.cancelled {
                cancelled.extend(self.cancel(&name(key)));
            }
            let mut left_out = Vec::new();
            for (index, action) in effects.actions.iter().enumerate() {
                let named = action.key().map(name);
                if let Some(named) = &named {
                    cancelled.extend(self.cancel(named));
                }
                let Some(after) = action.after() else {
                    continue;
                };
                let at = now.saturating_add(after).unwrap_or(Timestamp::MAX);
                let one = single(effects, action);
                let event = one.event.as_ref().map_or(0, |event| event.bytes().len());
                let text = action.to_json().to_string().len();
                let bytes = size_of::<DelayedAction>() + text + event;
                if self.bytes.saturating_add(bytes) > self.max_bytes {
                    left_out.push(index);
                    continue;
                }
                let place = (at, self.count);
                self.count += 1;
                self.bytes += bytes;
                self.named.extend(named.map(|named| (named, place)));
                let delayed = DelayedAction {
                    at,
                    effects: one,
                    bytes,
                };
                self.waiting.insert(place, delayed);
            }
            for index in left_out.into_iter().rev() {
                effects.actions.remove(index);
                let mut failure = Failure::new(
                    &effects.rule,
                    format!(
                        "after: the delayed actions have more than {} bytes",
                        self.max_bytes
                    ),
                );
                failure.hop = effects.hop;
                evaluation.failures.push(failure);
            }
        }
        cancelled
    }

    /// When the first one is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first one, if it is due at `now`.
    pub fn take_due(&mut self, now: Timestamp) -> Option<DelayedAction> {
        let first = self.waiting.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let delayed = first.remove();
        self.forget(&delayed);
        Some(delayed)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those that wait, in the order in which they are due.
    pub fn iter(&self) -> impl Iterator<Item = &DelayedAction> {
        self.waiting.values()
    }

    /// Removes the first one that fits.
    pub(crate) fn remove_first(&mut self, fits: impl Fn(&Action) -> bool) -> Option<DelayedAction> {
        let mut waiting = self.waiting.iter();
        let is_it = |delayed: &DelayedAction| delayed.effects.actions.iter().any(&fits);
        let place = waiting.find_map(|(place, delayed)| is_it(delayed).then_some(*place))?;
        self.remove(place)
    }

    fn cancel(&mut self, name: &Name) -> Option<DelayedAction> {
        let place = self.named.get(name).copied()?;
        self.remove(place)
    }

    fn remove(&mut self, place: Place) -> Option<DelayedAction> {
        let removed = self.waiting.remove(&place)?;
        self.forget(&removed);
        Some(removed)
    }

    fn forget(&mut self, delayed: &DelayedAction) {
        self.bytes = self.bytes.saturating_sub(delayed.bytes);
        let effects = &delayed.effects;
        if let Some(key) = effects.actions.first().and_then(Action::key) {
            let scope = effects.key.as_ref().map(Json::to_string);
            let name = (effects.rule.clone(), scope, key.to_owned());
            self.named.remove(&name);
        }
    }
}

impl Default for DelayedActions {
    /// Within [`RuleSetLimits::delayed_bytes`].
    fn default() -> Self {
        Self::within(RuleSetLimits::DEFAULT.delayed_bytes)
    }
}

/// What a rule did, with one of its actions alone.
pub(crate) fn single(effects: &RuleEffects, action: &Action) -> RuleEffects {
    RuleEffects {
        labels: effects.labels.clone(),
        hop: effects.hop,
        causes: effects.causes.clone(),
        event: effects.event.clone(),
        firing: effects.firing.clone(),
        key: effects.key.clone(),
        actions: vec![action.clone()],
        ..RuleEffects::new(&effects.rule)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// Seconds of `after`, and a name.
    type Given = (Option<i64>, Option<u8>);

    /// An evaluation of rule `r`: its key, what it cancels, and its actions.
    fn run() -> impl Strategy<Value = (Option<i64>, Vec<u8>, Vec<Given>)> {
        let action = (option::weighted(0.8, 1..40_i64), option::of(0..2_u8));
        (option::of(0..2_i64), vec(0..2_u8, 0..2), vec(action, 0..3))
    }

    /// A delayed action of the list: when it is due, its number, key and name.
    type Listed = (i64, usize, Option<i64>, Option<u8>);

    proptest! {
        /// Each is taken once, when it is due, unless the list has it cancelled.
        #[test]
        fn delayed_actions_are_those_of_a_list(runs in vec((0..20_i64, run()), 1..30)) {
            let mut delayed = DelayedActions::default();
            let (mut list, mut taken, mut expected) = (Vec::<Listed>::new(), vec![], vec![]);
            let (mut now, mut number) = (0, 0);
            let end = (100_i64, (None, vec![], vec![]));
            for (pause, (key, cancelled, actions)) in runs.into_iter().chain([end]) {
                now += pause;
                let at = Timestamp::from_second(now).unwrap();
                while let Some(due) = delayed.take_due(at) {
                    let payload = due.effects.actions[0].to_json().get("send").unwrap().clone();
                    taken.push((due.at.as_second(), payload.to_string()));
                }
                list.sort_unstable();
                let due = list.iter().take_while(|(due, ..)| *due <= now);
                expected.extend(due.map(|(due, number, ..)| (*due, number.to_string())));
                list.retain(|(due, ..)| *due > now);
                prop_assert_eq!(&taken, &expected);
                prop_assert_eq!(delayed.len(), list.len());

                let mut held: Vec<usize> = list.iter().map(|(_, number, ..)| *number).collect();
                let mut effects = RuleEffects::new("r");
                effects.key = key.map(Json::from);
                effects.cancelled = cancelled.iter().map(u8::to_string).collect();
                list.retain(|(_, _, of, name)| {
                    *of != key || !cancelled.iter().any(|one| Some(*one) == *name)
                });
                for (after, name) in actions {
                    number += 1;
                    let mut action = Action::send("t", i64::try_from(number).unwrap());
                    if let Some(name) = name {
                        action = action.with_key(name.to_string());
                        list.retain(|(_, _, of, known)| (*of, *known) != (key, Some(name)));
                    }
                    if let Some(after) = after {
                        action = action.with_after(SignedDuration::from_secs(after));
                        list.push((now + after, number, key, name));
                        held.push(number);
                    }
                    effects.actions.push(action);
                }
                let mut evaluation = Evaluation::default();
                evaluation.rules.push(effects);
                let returned = delayed.hold(&mut evaluation, at).into_iter();
                let returned = returned.map(|cancelled| {
                    let payload = cancelled.effects.actions[0].to_json();
                    payload.get("send").unwrap().to_string()
                });
                // What the list has lost; in the order in which it came to wait.
                let mut returned: Vec<String> = returned.collect();
                returned.sort_by_key(|number| number.parse::<usize>().unwrap());
                held.sort_unstable();
                let is_gone = |number: &&usize| list.iter().all(|(_, other, ..)| other != *number);
                let gone: Vec<String> = held.iter().filter(is_gone).map(usize::to_string).collect();
                prop_assert_eq!(returned, gone);
                prop_assert_eq!(&evaluation.failures, &[]);
            }
            prop_assert!(delayed.is_empty() && delayed.bytes == 0 && delayed.named.is_empty());
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_a_failure() {
        let action = Action::send("t", 1).with_after(SignedDuration::from_secs(1));
        let bytes = size_of::<DelayedAction>() + action.to_json().to_string().len();
        let mut effects = RuleEffects::new("r");
        effects.actions = vec![action.clone(), Action::send("t", 2), action.with_key("k")];
        let mut evaluation = Evaluation::default();
        evaluation.rules.push(effects);
        let mut delayed = DelayedActions::within(bytes);
        delayed.hold(&mut evaluation, Timestamp::UNIX_EPOCH);
        assert_eq!(delayed.len(), 1);
        assert_eq!(evaluation.rules[0].actions.len(), 2);
        let message = format!("after: the delayed actions have more than {bytes} bytes");
        assert_eq!(evaluation.failures[0].message, message);
    }
}
