//! Scenarios of events in time, made from bytes, for which a rule set and the naive twin must
//! agree.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a scenario that fails must stop"
)]

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::MemoryState;

use crate::window::naive::{self, Event as NaiveEvent};
use crate::window::{Ending, Firing, FiringKind, Micros, Roles, Seen};
use crate::{Evaluation, FiringReason, RuleSet, event_time};

const SECOND: Micros = 1_000_000;

/// A rule with a window, whose events have one of three keys and a set of letters.
const RULES: [(&str, &str); 9] = [
    ("count", "count = { at_least = 3, within = '10s' }"),
    ("every", "count = { at_least = 2, every = '10s' }"),
    (
        "distinct",
        "count = { at_least = 2, within = '20s', distinct = 'value', quiet = '15s' }\n\
         resolved = 'log(\"over\")'",
    ),
    (
        "sequence",
        "until = 'letters contains \"U\"'\n\
         [[followed_by]]\nwhen = 'letters contains \"B\"'\nwithin = '10s'\n\
         [[followed_by]]\nwhen = 'letters contains \"C\"'\nwithin = '5s'",
    ),
    (
        "absence",
        "not_followed_by = { when = 'letters contains \"B\"', within = '10s' }\n\
         resolved = 'log(\"over\")'\nsettle = '5s'\ngrace = '2s'",
    ),
    (
        "restarted",
        "not_followed_by = { when = 'letters contains \"B\"', within = '10s', restart = true }",
    ),
    (
        "silence",
        "absent_for = '15s'\nexpect = [0, 1, 2]\nresolved = 'log(\"over\")'",
    ),
    ("batch", "batch = { within = '20s', idle = '6s', max = 4 }"),
    (
        "immediate",
        "not_followed_by = { when = 'letters contains \"B\"', within = '1s' }\ngrace = '0s'",
    ),
];

/// The letters that events may have: opening ones have A, the steps after it B and C.
const LETTERS: [&str; 8] = ["A", "B", "C", "AB", "AC", "BC", "U", "AU"];

#[derive(Debug, Clone)]
struct Arrived {
    at: i64,
    late: i64,
    letters: &'static str,
    key: u8,
    value: u8,
    /// Whether the reaction to a match that it opens fails.
    fails: bool,
    /// Whether rules and state are read again after it, as by a restart.
    restart: bool,
}

/// Events of one rule, in the order of their arrival.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    rule: usize,
    events: Vec<Arrived>,
    /// Seconds after the last event.
    rest: i64,
}

impl Scenario {
    /// A scenario of at most 24 events.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (rule, rest) = (bytes.first(), bytes.get(1));
        let mut at = 1_000;
        let events = bytes.get(2..).unwrap_or_default().chunks_exact(4).take(24);
        let events = events.map(|bytes| {
            let (step, late) = (i64::from(bytes[0] % 32), i64::from(bytes[1] % 64));
            // Often at the time of the one before, sometimes much later; most are on time.
            at += if step < 24 { step % 4 } else { step * 2 - 40 };
            Arrived {
                at,
                late: if late < 40 { 0 } else { late - 34 },
                letters: LETTERS[usize::from(bytes[2] % 8)],
                key: bytes[2] / 8 % 3,
                value: bytes[3] % 3,
                fails: bytes[3] / 4 % 8 == 0,
                restart: bytes[3] / 32 % 4 == 0,
            }
        });
        Self {
            rule: usize::from(rule.copied().unwrap_or(0)) % RULES.len(),
            events: events.collect(),
            rest: i64::from(rest.copied().unwrap_or(0)) % 100,
        }
    }

    /// What the rule set does, and what it should do.
    pub(crate) fn happened(&self) -> (Vec<Happened>, Vec<Happened>) {
        (incremental(self, None), expected(self))
    }

    /// What happens where the clock is set by `offset` seconds before an event, and where it is
    /// not, each with the times of the latter. The events have no times of their own.
    #[cfg(test)]
    pub(crate) fn happened_under_clocks(
        mut self,
        before: usize,
        offset: i64,
    ) -> (Vec<Happened>, Vec<Happened>) {
        // Aligned windows are those of the clock, whatever it says.
        if RULES[self.rule].0 == "every" {
            self.rule += 1;
        }
        for arrived in &mut self.events {
            arrived.late = NO_TIME;
        }
        let plain = incremental(&self, None);
        let set = incremental(&self, Some((before, offset)));
        // When a match opened is shown as it was then.
        let comparable = |happened: Vec<Happened>| {
            let happened = happened.into_iter();
            let mut happened: Vec<_> = happened
                .map(|(at, key, resolved, _, count, failed)| (at, key, resolved, 0, count, failed))
                .collect();
            happened.sort();
            happened
        };
        (comparable(set), comparable(plain))
    }
}

/// An event without a time of its own.
#[cfg(test)]
const NO_TIME: i64 = -1;

fn rules(scenario: &Scenario) -> RuleSet {
    let (name, window) = RULES[scenario.rule];
    // TOML puts what follows `[[followed_by]]` inside of it.
    let text = format!(
        "when = 'letters contains \"A\"'\nby = 'key'\n\
         then = 'if events.len() > 0 && events[0].fails {{ throw \"failed\" }}'\n{window}\n"
    );
    RuleSet::compile([(format!("{name}.toml"), text)]).unwrap()
}

fn event(number: usize, arrived: &Arrived) -> NativeEvent {
    let time = Timestamp::from_second(arrived.at - arrived.late).unwrap();
    let name = if arrived.late < 0 {
        "noTime"
    } else {
        "eventTime"
    };
    let Arrived {
        letters,
        key,
        value,
        fails,
        ..
    } = arrived;
    NativeEvent::from_json(format!(
        r#"{{"{name}": "{time}", "letters": "{letters}", "key": {key}, "value": {value},
            "fails": {fails}, "number": {number}}}"#
    ))
    .unwrap()
}

/// Time, key, whether it was resolved, opening time, count and whether it failed.
pub(crate) type Happened = (i64, String, bool, i64, u64, bool);

/// What happens, by the clock as it was at the start; before an event it may be set.
fn incremental(scenario: &Scenario, clock: Option<(usize, i64)>) -> Vec<Happened> {
    let mut rules = rules(scenario);
    let mut state = MemoryState::new();
    let mut happened = Vec::new();
    let mut add = |at: Timestamp, key: Option<&str>, evaluation: &Evaluation, offset: i64| {
        let at = at - SignedDuration::from_secs(offset);
        for effects in &evaluation.rules {
            if let Some(firing) = &effects.firing {
                happened.push((
                    at.as_second(),
                    firing.key.to_string(),
                    firing.reason == FiringReason::Resolved,
                    firing.opened.as_second(),
                    firing.count,
                    false,
                ));
            }
        }
        for failure in &evaluation.failures {
            assert!(failure.message.ends_with("failed"), "{failure:?}");
            let key = key.unwrap_or_default().to_owned();
            happened.push((at.as_second(), key, false, 0, 0, true));
        }
    };
    let now = |second: i64| Timestamp::from_second(second).unwrap();
    let mut offset = 0;
    for (number, arrived) in scenario.events.iter().enumerate() {
        if let Some((before, by)) = clock
            && before == number
        {
            for due in rules.fire_due(&mut state, now(arrived.at)) {
                add(due.at, Some(&due.key), &due.evaluation, offset);
            }
            state.set_clock(SignedDuration::from_secs(by));
            offset = by;
        }
        let at = now(arrived.at + offset);
        let event = event(number, arrived);
        let mut fired = Vec::new();
        let evaluation = rules.evaluate_in_time(&event, &mut state, at, &mut |due| fired.push(due));
        for due in fired {
            add(due.at, Some(&due.key), &due.evaluation, offset);
        }
        add(at, Some(&arrived.key.to_string()), &evaluation, offset);
        if arrived.restart {
            rules = self::rules(scenario);
            assert_eq!(rules.close_other_matches(&mut state), Vec::new());
        }
    }
    let end = scenario.events.last().map_or(1_000, |last| last.at) + scenario.rest;
    for due in rules.fire_due(&mut state, now(end + offset)) {
        add(due.at, Some(&due.key), &due.evaluation, offset);
    }
    happened.sort();
    happened
}

fn expected(scenario: &Scenario) -> Vec<Happened> {
    let rules = rules(scenario);
    let rule = rules.rules().next().unwrap();
    let window = rule.window.as_ref().unwrap();
    let mut happened = Vec::new();
    let events = scenario.events.iter().enumerate();
    let events: Vec<_> = events
        .map(|(number, arrived)| (arrived, event(number, arrived)))
        .collect();
    let end = scenario.events.last().map_or(1_000, |last| last.at) + scenario.rest;
    for key in 0..3_u8 {
        let of_key: Vec<NaiveEvent> = events
            .iter()
            .enumerate()
            .map(|(number, (arrived, event))| {
                let mut roles = Roles::default();
                if arrived.letters.contains('A') {
                    roles = roles.and(Roles::OPENING);
                }
                for (step, _) in window.steps.iter().enumerate() {
                    if arrived.letters.contains(["B", "C"][step]) {
                        roles = roles.and(Roles::step(step));
                    }
                }
                if window.until.is_some() && arrived.letters.contains('U') {
                    roles = roles.and(Roles::UNTIL);
                }
                // Late events of all keys count for the time to settle.
                let is_mine = arrived.key == key;
                NaiveEvent {
                    seen: Seen {
                        time: event_time(event).unwrap().as_microsecond(),
                        position: u64::try_from(number).unwrap(),
                        at: arrived.at * SECOND,
                    },
                    roles: if is_mine { roles } else { Roles::default() },
                    value: window.distinct.is_some().then(|| arrived.value.to_string()),
                    is_relevant: !roles.is_empty(),
                }
            })
            .collect();
        let ending = |firing: &Firing| {
            let fails = firing.events.first().is_some_and(|position| {
                let number = usize::try_from(*position).unwrap();
                scenario.events[number].fails
            });
            if fails {
                Ending::Failed
            } else {
                Ending::Completed
            }
        };
        for (at, firing) in naive::firings(&window.window, &of_key, end * SECOND, &ending) {
            let at = at / SECOND;
            let resolved = firing.kind == FiringKind::Resolve;
            let opened = firing.opening.time / SECOND;
            let failed = !resolved && ending(&firing) == Ending::Failed;
            happened.push(if failed {
                (at, key.to_string(), false, 0, 0, true)
            } else {
                (at, key.to_string(), resolved, opened, firing.count, false)
            });
        }
    }
    happened.sort();
    happened
}
