//! Promises that nothing which was accepted is lost, whatever the ids of events are.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::Decision;
use reflexarc_event::Event;
use reflexarc_store::{
    Accepted, DeliveryStatus, EvaluateInTransaction, Incoming, Reply, Retention, Selection, Store,
};

use super::Backend;
use crate::samples::{ALL, LEASE, at, attempt, dead_letter, evaluation, incoming, send};

/// One arrival of an event: its members as JSON, and when it comes.
#[derive(Debug, Clone)]
struct Arrival {
    members: Vec<(&'static str, &'static str)>,
    seconds_later: i64,
    /// Actions of two rules.
    actions: [usize; 2],
}

/// What a naive reading of the definition says about a member: the text, or the digits.
fn naive_text(value: &str) -> Option<String> {
    match value {
        "\"\"" | "null" | "true" | "{}" | "[]" => None,
        text => Some(text.trim_matches('"').to_owned()),
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    // Few values, so that the same come again; "7" and 7 are one id.
    let ids = vec![
        "\"8B2A***A5\"",
        "\"A\"",
        "7",
        "\"7\"",
        "7.0",
        "\"\"",
        "null",
        "true",
        "{}",
        "[]",
        "",
    ];
    let member = |key: &'static str, values: Vec<&'static str>| {
        select(values).prop_map(move |value| (key, value))
    };
    let members = (
        member("id", ids),
        member("name", vec!["\"T\"", "\"U\"", "1", ""]),
        member("resourceId", vec!["\"eni-1\"", "\"eni-2\"", "5", ""]),
        member(
            "eventTime",
            vec!["\"20190409T121826.922+0800\"", "1554783506922", ""],
        ),
        member("source", vec!["\"acs.ecs\"", "\"s\"", ""]),
    );
    // The window is a day: most copies come within it, some just before its end or after it.
    let steps = select(vec![0, 0, 1, 3_600, 86_399, 86_400, 90_000]);
    (members, steps, [0..3_usize, 0..3_usize]).prop_map(|(members, seconds_later, actions)| {
        let (id, name, resource, time, source) = members;
        let members = [id, name, resource, time, source]
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        Arrival {
            members: members.collect(),
            seconds_later,
            actions,
        }
    })
}

/// Each action of each accepted event becomes a delivery of its own, and each delivery ends
/// delivered or as a dead letter: none is merged with another, none is left.
pub(super) fn every_action_of_every_accepted_event_ends(backend: &dyn Backend) {
    let cases = backend.cases(12);
    // One store for all cases, so that later cases meet the ids of earlier ones.
    let store = backend.open();
    let clock = std::cell::Cell::new(0);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let property = |arrivals: Vec<Arrival>| {
        // Beyond the window of the case before.
        clock.set(clock.get() + 200_000);
        let mut seen: BTreeMap<Vec<Option<String>>, i64> = BTreeMap::new();
        let (mut expected, mut accepted) = (Vec::new(), Vec::new());
        for arrival in &arrivals {
            clock.set(clock.get() + arrival.seconds_later);
            let now = clock.get();
            let member = |key: &str| {
                let member = arrival.members.iter().find(|(known, _)| *known == key);
                member.and_then(|(_, value)| naive_text(value))
            };
            let mut identity = ["id", "name", "resourceId", "source"].map(member).to_vec();
            // Both spellings are the same instant.
            identity.push(member("eventTime").map(|_| String::new()));
            let is_copy =
                identity[0].is_some() && seen.get(&identity).is_some_and(|at| now - at < 86_400);
            let outcome = accept(&*store, arrival, now);
            prop_assert_eq!(outcome.duplicate, is_copy, "{:?}", arrival);
            if !is_copy {
                seen.insert(identity, now);
                expected.push(arrival.actions.iter().sum::<usize>());
                accepted.push(outcome);
            }
        }
        let created: Vec<usize> = accepted
            .iter()
            .map(|event| event.deliveries.len())
            .collect();
        prop_assert_eq!(&created, &expected);
        let ended = deliver_all(&*store, clock.get());
        prop_assert_eq!(ended, expected.iter().sum::<usize>());
        for event in &accepted {
            // Looked up one by one: by its id, and from its event.
            let found = store.deliveries_of(event.seq, ALL).unwrap();
            prop_assert_eq!(found.deliveries.len(), event.deliveries.len());
            for id in &event.deliveries {
                let (record, attempts) = store.delivery(*id).unwrap().unwrap();
                prop_assert_eq!((record.seq, attempts.len()), (event.seq, 1));
                let ends = [DeliveryStatus::Delivered, DeliveryStatus::Dead];
                prop_assert!(ends.contains(&record.status));
            }
        }
        Ok(())
    };
    TestRunner::new(config)
        .run(&vec(arrival(), 1..24), property)
        .unwrap();
}

fn accept(store: &dyn Store, arrival: &Arrival, now: i64) -> Accepted {
    let members = arrival
        .members
        .iter()
        .map(|(key, value)| format!("\"{key}\": {value}"));
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
    let mut result = Evaluation::default();
    for (rule, count) in ["r", "s"].into_iter().zip(arrival.actions) {
        let mut effects = RuleEffects::new(rule);
        effects.actions = vec![send("t", 1); count];
        result.rules.push(effects);
    }
    let evaluate: EvaluateInTransaction = Box::new(move |_, _, _| Ok(result));
    let (reply, receiver) = Reply::channel();
    store.accept_together(vec![(incoming, evaluate)], at(now), Box::new(()), reply);
    receiver.wait().unwrap().remove(0)
}

/// Delivers what is due, every third to the dead letters. Returns how many there were.
fn deliver_all(store: &dyn Store, now: i64) -> usize {
    let mut ended = 0;
    loop {
        let claimed = store.claim("t", at(now), LEASE, 1_000).unwrap();
        if claimed.is_empty() {
            return ended;
        }
        let mut replies = Vec::new();
        for delivery in claimed {
            let decision = match ended % 3 {
                0 => dead_letter("no"),
                _ => Decision::Delivered,
            };
            ended += 1;
            replies.push(store.submit_settle(delivery, attempt("sent"), decision, at(now)));
        }
        for reply in replies {
            reply.wait().unwrap();
        }
    }
}

/// An archive that was pruned whole may count from 1 again.
pub(super) fn positions_that_come_again_give_other_ids(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |second| {
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        store.accept(incoming("1"), evaluation, at(second)).unwrap()
    };
    let first = accept(0);
    assert_eq!(deliver_all(&*store, 0), 1);
    assert!(store.drop_dead_letter(first.deliveries[0], at(1)).unwrap());
    let all = Retention {
        age: SignedDuration::ZERO,
        bytes: None,
        dead_letters: None,
    };
    assert_eq!(store.prune(&all, at(100_000)).unwrap().events, 1);
    let second = accept(100_000);
    assert_eq!((second.duplicate, second.deliveries.len()), (false, 1));
    assert_ne!(second.deliveries, first.deliveries);
}

pub(super) fn a_replay_repeated_under_its_name_adds_nothing(backend: &dyn Backend) {
    let store = backend.open();
    let result = || evaluation("r", vec![send("t", 1), send("t", 1)], vec![]);
    let original = store.accept(incoming("1"), result(), at(0)).unwrap();
    let mut archived = None;
    let visit = &mut |event: Result<_, _>| {
        archived = event.ok();
        false
    };
    store.walk(&Selection::default(), visit).unwrap();
    let archived = archived.unwrap();
    let replay = |name: &str| {
        let name = name.to_owned();
        let replay = store.accept_replay(&archived, incoming("1"), result(), name, at(5));
        replay.unwrap()
    };
    let first = replay("monday");
    assert_eq!((first.deliveries.len(), first.repeated), (2, 0));
    assert!(!first.deliveries.contains(&original.deliveries[0]));
    let again = replay("monday");
    assert_eq!((again.deliveries.len(), again.repeated), (0, 2));
    let other = replay("tuesday");
    assert_eq!((other.deliveries.len(), other.repeated), (2, 0));
    assert_eq!(deliver_all(&*store, 5), 6);
}
