//! What rules with a time window wait for during a run, and `--until`: how far a run goes on after
//! its last event.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{DueEvaluation, Evaluation, Rule, RuleSet, WindowKind};
use reflexarc_reaction::{MemoryState, State as _, StateChange};

use crate::exit::Failure;

/// The most deadlines that fire after the last event: rules may emit what they wait for.
const MAX_FIRINGS: u64 = 1_000_000;

/// How much earlier than what was reached the first event is that is reported: more than the delays
/// of senders, for which windows wait.
const REPORTED_LATENESS: SignedDuration = SignedDuration::from_mins(1);

/// The value of `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UntilArg {
    /// `end`: the last deadline of what has begun.
    End,
    /// A time.
    At(Timestamp),
}

/// A deadline that has passed, and what the rules did.
#[derive(Debug)]
pub(super) struct Firing {
    /// The deadline.
    pub(super) at: Timestamp,
    pub(super) rule: String,
    /// The key of the match, as JSON.
    pub(super) key: String,
    pub(super) evaluation: Evaluation,
}

/// The time that a run has reached.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The latest time of an evaluation or an event; it never steps back.
    pub(super) reached: Option<Timestamp>,
    /// Whether rules have begun to wait for a first event.
    pub(super) is_armed: bool,
    /// Whether an event that is late was reported.
    has_reported: bool,
}

/// The deadlines that fire after the last event.
pub(super) struct Remaining {
    until: UntilArg,
    /// With `end`, deadline, rule and key of those that may fire, in that order.
    open: BTreeSet<(Timestamp, String, String)>,
    fired: u64,
    max: u64,
}

impl FromStr for UntilArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "end" => Ok(Self::End),
            time => time.parse().map(Self::At).map_err(|_| {
                "expected end, or a time with offset such as 2026-11-25T08:00:00Z".to_owned()
            }),
        }
    }
}

impl Progress {
    /// Notes that a time was reached.
    pub(super) fn reach(&mut self, time: Timestamp) {
        self.reached = self.reached.max(Some(time));
    }

    /// The time that was reached, for the first event that is much earlier. Unsorted recordings are
    /// not evaluated as they happened, and that would else be seen only by the times of firings.
    pub(super) fn report_late(&mut self, time: Timestamp) -> Option<Timestamp> {
        let reached = self.reached?;
        let is_late = reached.duration_since(time) > REPORTED_LATENESS;
        let is_first = is_late && !self.has_reported;
        self.has_reported |= is_late;
        is_first.then_some(reached)
    }
}

impl Remaining {
    /// What is still due after the last event, which came at `reached`.
    ///
    /// # Errors
    /// If the time of `until` is before that.
    pub(super) fn new(
        until: UntilArg,
        reached: Option<Timestamp>,
        rules: &RuleSet,
        state: &MemoryState,
    ) -> Result<Self, Failure> {
        if let (UntilArg::At(until), Some(last)) = (until, reached)
            && until < last
        {
            return Err(Failure::Usage(format!(
                "invalid --until {until}: it is before the last event, at {last}"
            )));
        }
        let mut remaining = Self {
            until,
            open: BTreeSet::new(),
            fired: 0,
            max: MAX_FIRINGS,
        };
        if until == UntilArg::End {
            for (at, rule, key) in state.due(Timestamp::MAX) {
                remaining.add(rules, at, rule, key);
            }
        }
        Ok(remaining)
    }

    /// The time up to which a run goes on.
    pub(super) fn end(&self) -> Timestamp {
        match self.until {
            UntilArg::At(until) => until,
            UntilArg::End => Timestamp::MAX,
        }
    }

    /// Fires the next deadline, if it is not after `limit`, and applies the changes to the state.
    ///
    /// # Errors
    /// If there were too many.
    pub(super) fn fire_next(
        &mut self,
        rules: &RuleSet,
        state: &mut MemoryState,
        limit: Option<Timestamp>,
    ) -> Result<Option<Firing>, Failure> {
        let end = self.end();
        let limit = limit.map_or(end, |limit| limit.min(end));
        let firing = match self.until {
            UntilArg::At(_) => rules.fire_next(state, limit).map(Firing::from),
            UntilArg::End => self.fire_open(rules, state, limit),
        };
        let Some(firing) = firing else {
            return Ok(None);
        };
        self.fired += 1;
        if self.fired > self.max {
            return Err(Failure::Runtime(format!(
                "--until: stopped at {} after {} deadlines; choose an earlier time, or check \
                 whether a rule emits what it waits for",
                firing.at, self.max
            )));
        }
        Ok(Some(firing))
    }

    /// Fires the next of the open deadlines, if it is not after `limit`.
    // Not `RuleSet::fire_next`, for which those of `absent_for` come first where they are earlier:
    // skipping 100,000 of them for each of 100,000 others would take minutes.
    fn fire_open(
        &mut self,
        rules: &RuleSet,
        state: &mut MemoryState,
        limit: Timestamp,
    ) -> Option<Firing> {
        while self.open.first().is_some_and(|(at, ..)| *at <= limit)
            && let Some((at, rule, key)) = self.open.pop_first()
        {
            let kept = state.matches().get(&rule, &key, at);
            // A firing in between may have moved the deadline, which was added again then.
            if kept.and_then(|kept| kept.due) != Some(at) {
                continue;
            }
            state.advance(at);
            let evaluation = rules.fire(&rule, &key, state, at);
            for (name, changes) in evaluation.changes() {
                state.apply(name, changes);
                for change in changes {
                    if let StateChange::SetMatch { key, kept, .. } = change
                        && let Some(due) = kept.due
                    {
                        self.add(rules, due, name, key);
                    }
                }
            }
            return Some(Firing {
                at,
                rule,
                key,
                evaluation,
            });
        }
        None
    }

    fn add(&mut self, rules: &RuleSet, at: Timestamp, rule: &str, key: &str) {
        // That no event came after the last one of a recording says nothing.
        let window = rules.get(rule).and_then(Rule::window);
        if window != Some(WindowKind::AbsentFor) {
            self.open.insert((at, rule.to_owned(), key.to_owned()));
        }
    }
}

/// How many matches of each rule wait for something at a time, if any do.
pub(super) fn pending(state: &MemoryState, now: Timestamp) -> BTreeMap<String, u64> {
    let rules = state.rules_with_matches();
    let counts = rules.map(|rule| {
        let pending = RuleSet::pending(rule, state, now).count();
        (rule.to_owned(), pending as u64)
    });
    counts.filter(|(_, pending)| *pending > 0).collect()
}

impl From<DueEvaluation> for Firing {
    fn from(due: DueEvaluation) -> Self {
        Self {
            at: due.at,
            rule: due.rule,
            key: due.key,
            evaluation: due.evaluation,
        }
    }
}

#[cfg(test)]
mod tests {
    use reflexarc::{NativeEvent, event_time};

    use super::*;

    /// Rules that wait, after one event for each of `keys`.
    fn waiting(keys: u64) -> (RuleSet, MemoryState) {
        let rules = RuleSet::compile([(
            "open.toml",
            "when = 'id exists'\nby = 'id'\n\
             not_followed_by = { when = 'closed exists', within = '1m' }\nthen = 'log(key)'",
        )]);
        let rules = rules.expect("the rule is valid");
        let mut state = MemoryState::new();
        for id in 0..keys {
            let event = format!(r#"{{"id": {id}, "time": "2026-11-25T08:00:00Z"}}"#);
            let event = NativeEvent::from_json(event).expect("an event");
            let now = event_time(&event).expect("a time");
            rules.evaluate_in_time(&event, &mut state, now, &mut |_| ());
        }
        (rules, state)
    }

    #[test]
    fn deadlines_beyond_the_limit_are_an_error() {
        for until in [UntilArg::End, UntilArg::At(Timestamp::MAX)] {
            let (rules, mut state) = waiting(5);
            let remaining = Remaining::new(until, None, &rules, &state);
            let mut remaining = remaining.expect("no event is later");
            remaining.max = 3;
            for _ in 0..3 {
                let fired = remaining.fire_next(&rules, &mut state, None);
                assert!(fired.expect("it is within the limit").is_some());
            }
            let error = remaining.fire_next(&rules, &mut state, None);
            let error = error.expect_err("it is the fourth").to_string();
            assert!(error.contains("after 3 deadlines"), "{error}");
        }
    }

    #[test]
    fn texts_that_are_not_times_are_errors() {
        assert_eq!("end".parse(), Ok(UntilArg::End));
        for text in ["", "End", "now", "2026-11-25", "10m"] {
            assert!(text.parse::<UntilArg>().is_err(), "{text}");
        }
    }
}
