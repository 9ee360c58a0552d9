use proptest::prelude::*;
use reflexarc_reaction::MemoryState;

use super::*;
use crate::window::naive::{self, Event as NaiveEvent};
use crate::window::{Ending, Firing, FiringKind, Micros, Roles, Seen};
use crate::{FiringReason, event_time};

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

#[derive(Debug, Clone)]
struct Arrived {
    at: i64,
    late: i64,
    letters: String,
    key: u8,
    value: u8,
}

#[derive(Debug, Clone)]
struct Scenario {
    rule: usize,
    events: Vec<Arrived>,
    /// After how many events the rules and the state are read again, as by a restart.
    restarts: Vec<bool>,
    /// Whether a script with some opening position fails, or is held back.
    failing: Vec<bool>,
    rest: i64,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let event = (
        prop_oneof![3 => 0..4_i64, 1 => 0..40_i64],
        prop_oneof![3 => Just(0), 1 => 0..30_i64],
        "(A|B|C|AB|AC|BC|U|AU){1}",
        0..3_u8,
        0..3_u8,
    );
    let flags = || prop::collection::vec(any::<bool>(), 24);
    let events = prop::collection::vec(event, 0..24);
    (0..RULES.len(), events, flags(), flags(), 0..100_i64).prop_map(
        |(rule, events, restarts, failing, rest)| {
            let mut at = 1_000;
            let events = events.into_iter().map(|(step, late, letters, key, value)| {
                at += step;
                Arrived {
                    at,
                    late,
                    letters,
                    key,
                    value,
                }
            });
            Scenario {
                rule,
                events: events.collect(),
                restarts,
                failing,
                rest,
            }
        },
    )
}

fn rules(scenario: &Scenario) -> RuleSet {
    let (name, window) = RULES[scenario.rule];
    // TOML puts what follows `[[followed_by]]` inside of it.
    let text = format!(
        "when = 'letters contains \"A\"'\nby = 'key'\n\
         then = 'if events.len() > 0 && events[0].fails {{ throw \"failed\" }}'\n{window}\n"
    );
    RuleSet::compile([(format!("{name}.toml"), text)]).unwrap()
}

fn event(scenario: &Scenario, number: usize, arrived: &Arrived) -> NativeEvent {
    let time = Timestamp::from_second(arrived.at - arrived.late).unwrap();
    let fails = scenario.failing[number] && number % 3 == 0;
    let Arrived {
        letters,
        key,
        value,
        ..
    } = arrived;
    NativeEvent::from_json(format!(
        r#"{{"eventTime": "{time}", "letters": "{letters}", "key": {key}, "value": {value},
            "fails": {fails}, "number": {number}}}"#
    ))
    .unwrap()
}

/// Time, key, whether it was resolved, opening time, count and whether it failed.
type Happened = (i64, String, bool, i64, u64, bool);

fn incremental(scenario: &Scenario) -> Vec<Happened> {
    let mut rules = rules(scenario);
    let mut state = MemoryState::new();
    let mut happened = Vec::new();
    let mut add = |at: Timestamp, key: Option<&str>, evaluation: &Evaluation| {
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
    for (number, arrived) in scenario.events.iter().enumerate() {
        let at = now(arrived.at);
        let event = event(scenario, number, arrived);
        let mut fired = Vec::new();
        let evaluation = rules.evaluate_in_time(&event, &mut state, at, &mut |due| fired.push(due));
        for due in fired {
            add(due.at, Some(&due.key), &due.evaluation);
        }
        add(at, Some(&arrived.key.to_string()), &evaluation);
        if scenario.restarts[number] {
            rules = self::rules(scenario);
            assert_eq!(rules.close_other_matches(&mut state), Vec::new());
        }
    }
    let end = scenario.events.last().map_or(1_000, |last| last.at) + scenario.rest;
    for due in rules.fire_due(&mut state, now(end)) {
        add(due.at, Some(&due.key), &due.evaluation);
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
        .map(|(number, arrived)| (arrived, event(scenario, number, arrived)))
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
                scenario.failing[number] && number % 3 == 0
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

proptest! {
    #[test]
    fn rule_sets_in_time_equal_the_naive_twin(scenario in scenario()) {
        prop_assert_eq!(incremental(&scenario), expected(&scenario));
    }
}
