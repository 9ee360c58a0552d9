//! Nodes that write and deliver at the same time, compared with one after the other: what was
//! accepted is applied to a map in the order of the archive.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc::Evaluation;
use reflexarc_delivery::Decision;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, StateChange};
use reflexarc_store::{
    Accepted, DeliveryFilter, DeliveryStatus, PostgresStore, Reply, StateReader, Store, StoreError,
};

use crate::samples::{LEASE, at, attempt, evaluation, incoming_of, send};
use crate::server::Schema;

const RULE: &str = "r";

/// What an event does with the state of the rule, which is a number for each key.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add { key: u8, number: i64 },
    Copy { from: u8, to: u8 },
    Remove { key: u8 },
    Send { key: u8 },
}

/// An event: its id, which others may have too, and what it does.
#[derive(Debug, Clone)]
struct Program {
    id: u8,
    steps: Vec<Step>,
}

impl Program {
    fn resource(&self) -> String {
        format!("eni-{}", self.id % 3)
    }
}

fn program() -> impl Strategy<Value = Program> {
    let key = || 0..4_u8;
    let step = prop_oneof![
        4 => (key(), 1..100_i64).prop_map(|(key, number)| Step::Add { key, number }),
        2 => (key(), key()).prop_map(|(from, to)| Step::Copy { from, to }),
        1 => key().prop_map(|key| Step::Remove { key }),
        3 => key().prop_map(|key| Step::Send { key }),
    ];
    (0..60_u8, vec(step, 1..5)).prop_map(|(id, steps)| Program { id, steps })
}

/// What each node posts: batches of events.
fn nodes() -> impl Strategy<Value = Vec<Vec<Vec<Program>>>> {
    vec(vec(vec(program(), 1..5), 1..12), 2..5)
}

/// What an event sets a key to; `None` removes it.
type Changes = BTreeMap<u8, Option<i64>>;

/// Runs a program: the numbers that it sends and its changes, given the state before it.
fn run<E>(
    steps: &[Step],
    read: impl Fn(u8) -> Result<Option<i64>, E>,
) -> Result<(Vec<i64>, Changes), E> {
    let mut changes = Changes::new();
    let mut sent = Vec::new();
    for step in steps {
        let value = |key: u8| changes.get(&key).map_or_else(|| read(key), |set| Ok(*set));
        match *step {
            Step::Add { key, number } => {
                let sum = value(key)?.unwrap_or(0) + number;
                changes.insert(key, Some(sum));
            }
            Step::Copy { from, to } => {
                let copied = value(from)?;
                changes.insert(to, copied);
            }
            Step::Remove { key } => {
                changes.insert(key, None);
            }
            Step::Send { key } => sent.push(value(key)?.unwrap_or(-1)),
        }
    }
    Ok((sent, changes))
}

fn evaluate(program: &Program, state: &dyn StateReader) -> Result<Evaluation, StoreError> {
    let (sent, changes) = run(&program.steps, |key| {
        let entry = state.read_entry(RULE, &key.to_string(), at(1))?;
        Ok::<_, StoreError>(entry.and_then(|entry| entry.value.as_i64()))
    })?;
    let actions = sent.into_iter().map(|number| send("t", number)).collect();
    let change = |(key, value): (u8, Option<i64>)| match value {
        Some(value) => StateChange::Set {
            key: key.to_string(),
            value: Json::from(value),
            expires: None,
        },
        None => StateChange::Remove {
            key: key.to_string(),
        },
    };
    Ok(evaluation(
        RULE,
        actions,
        changes.into_iter().map(change).collect(),
    ))
}

fn submit(store: &PostgresStore, batch: &[Program]) -> Reply<Vec<Accepted>> {
    let (reply, receiver) = Reply::channel();
    let events = batch.iter().cloned().map(|program| {
        let incoming = incoming_of(&format!("event-{}", program.id), &program.resource());
        let evaluate: reflexarc_store::EvaluateInTransaction =
            Box::new(move |state, _, _| evaluate(&program, state));
        (incoming, evaluate)
    });
    store.accept_together(events.collect(), at(1), Box::new(()), reply);
    receiver
}

/// What a receiver got: the position of the event, its resource, and the number.
type Received = (i64, String, i64);

fn pending(store: &PostgresStore) -> u64 {
    let filter = DeliveryFilter::of(DeliveryStatus::Pending);
    store.count_deliveries(&filter, 1).unwrap()
}

/// Delivers until all nodes have accepted what they had, and nothing is left.
fn deliver(store: &PostgresStore, writers: &AtomicUsize, received: &Mutex<Vec<Received>>) {
    let began = Instant::now();
    loop {
        let are_done = writers.load(Ordering::SeqCst) == 0;
        let claimed = store.claim("t", at(2), LEASE, 4).unwrap();
        if claimed.is_empty() && are_done && pending(store) == 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not delivered");
        for delivery in claimed {
            let Action::Send { payload, .. } = &delivery.action else {
                panic!("{delivery:?} is not what was sent");
            };
            let number = payload.as_i64().unwrap();
            let seq = delivery.id.position();
            received
                .lock()
                .unwrap()
                .push((seq, delivery.resource.clone(), number));
            let sent = attempt("sent");
            let settled = store.submit_settle(delivery, sent, Decision::Delivered, at(2));
            settled.wait().unwrap();
        }
    }
}

fn compare(nodes: &[Vec<Vec<Program>>]) {
    let Some(schema) = Schema::new() else { return };
    let stores: Vec<_> = nodes.iter().map(|_| schema.connect().unwrap()).collect();
    let writers = AtomicUsize::new(nodes.len());
    let received = Mutex::new(Vec::new());
    let accepted: Vec<(&Program, Accepted)> = std::thread::scope(|scope| {
        let accepting = nodes.iter().zip(&stores).map(|(batches, store)| {
            let writers = &writers;
            scope.spawn(move || {
                let replies: Vec<_> = batches.iter().map(|batch| submit(store, batch)).collect();
                let accepted = replies.into_iter().map(|reply| reply.wait().unwrap());
                let accepted: Vec<_> = batches.iter().flatten().zip(accepted.flatten()).collect();
                writers.fetch_sub(1, Ordering::SeqCst);
                accepted
            })
        });
        let accepting: Vec<_> = accepting.collect();
        for store in &stores {
            let (writers, received) = (&writers, &received);
            scope.spawn(move || deliver(store, writers, received));
        }
        let accepted = accepting.into_iter().flat_map(|one| one.join().unwrap());
        accepted.collect()
    });

    // Each id was accepted once, and its copies have the position of the first.
    let mut first = BTreeMap::new();
    for (program, accepted) in accepted.iter().filter(|(_, accepted)| !accepted.duplicate) {
        assert_eq!(first.insert(program.id, accepted.seq), None, "{program:?}");
    }
    for (program, accepted) in &accepted {
        assert_eq!(first[&program.id], accepted.seq, "{program:?}");
    }

    // One after the other.
    let mut order: Vec<_> = accepted.iter().filter(|(_, one)| !one.duplicate).collect();
    order.sort_by_key(|(_, accepted)| accepted.seq);
    let mut state = BTreeMap::new();
    let mut expected = BTreeMap::<String, Vec<(i64, i64)>>::new();
    for (position, (program, accepted)) in order.into_iter().enumerate() {
        assert_eq!(accepted.seq, i64::try_from(position).unwrap() + 1);
        let read = |key: u8| Ok::<_, StoreError>(state.get(&key).copied());
        let (sent, changes) = run(&program.steps, read).unwrap();
        let sent = sent.into_iter().map(|number| (accepted.seq, number));
        expected.entry(program.resource()).or_default().extend(sent);
        for (key, value) in changes {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
    }
    let kept = stores[0].state(at(1)).unwrap().into_iter();
    let kept: BTreeMap<u8, i64> = kept
        .map(|(_, key, value)| (key.parse().unwrap(), value.parse().unwrap()))
        .collect();
    assert_eq!(kept, state);

    // Each resource's deliveries arrived once, and in that order.
    let mut arrived = BTreeMap::<String, Vec<(i64, i64)>>::new();
    for (seq, resource, number) in received.into_inner().unwrap() {
        let short = resource.rsplit('/').next().unwrap().to_owned();
        arrived.entry(short).or_default().push((seq, number));
    }
    expected.retain(|_, sent| !sent.is_empty());
    assert_eq!(arrived, expected);
}

#[test]
fn many_writers_are_like_one_after_the_other() {
    let cases = std::env::var("PROPTEST_CASES").map_or(5, |cases| cases.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        // Each case is a schema; what fails is mostly not found again in a smaller one.
        max_shrink_iters: 20,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let compared = runner.run(&nodes(), |nodes| {
        compare(&nodes);
        Ok(())
    });
    compared.unwrap();
}
