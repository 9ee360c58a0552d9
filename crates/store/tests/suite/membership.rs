//! Nodes that share a store: which of them are live, and what those do that are not.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::{DeadLetterCause, Decision, Delivery};
use reflexarc_reaction::{KeptMatch, StateChange};
use reflexarc_store::{
    AttemptOutcome, ClaimLimit, DeliveryStatus, EntryKind, NewNode, Node, NodeSetup, NodeState,
    Note, PostgresStore, Sender, Store, TimeWork,
};

use crate::contract::timeline::entry;
use crate::samples::{LEASE, at, evaluation, incoming_of, send};
use crate::server::Schema;

fn accept(store: &PostgresStore, id: &str) {
    let evaluation = evaluation("r", vec![send("t", 1)], Vec::new());
    store
        .accept(incoming_of(id, ""), evaluation, at(1))
        .unwrap();
}

/// A store that has joined as a node with these rules.
fn node(schema: &Schema, name: &str, rules: &str) -> PostgresStore {
    let store = schema.connect().unwrap();
    store.join(&new_node(name, rules)).unwrap();
    store
}

fn new_node(name: &str, rules: &str) -> NewNode {
    NewNode {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        setup: setup(rules),
    }
}

fn setup(rules: &str) -> NodeSetup {
    NodeSetup {
        rules: rules.to_owned(),
        targets: "targets".to_owned(),
    }
}

/// Declares a node lost that another one sees under this name.
fn declare_lost(by: &PostgresStore, name: &str) {
    let nodes = by.nodes().unwrap();
    let node = nodes.iter().find(|node| node.name == name);
    assert!(by.declare_lost(node.unwrap()).unwrap());
}

#[test]
fn nodes_see_each_other() {
    let Some(schema) = Schema::new() else { return };
    let a = node(&schema, "a", "old");
    let b = node(&schema, "b", "old");
    let seen = b.beat(&setup("new")).unwrap().unwrap();
    let names = |nodes: &[Node]| -> Vec<(String, String, &'static str)> {
        let one = |node: &Node| {
            let rules = node.setup.rules.clone();
            (node.name.clone(), rules, node.state.as_str())
        };
        nodes.iter().map(one).collect()
    };
    let of = |name: &str, rules: &str, state| (name.to_owned(), rules.to_owned(), state);
    assert_eq!(
        names(&seen.nodes),
        [of("a", "old", "live"), of("b", "new", "live")]
    );
    assert_eq!(seen.own, Some(seen.nodes[1].number));
    assert_eq!((seen.nodes[0].beats, seen.nodes[1].beats), (0, 1));
    let wall = Timestamp::now();
    assert!(seen.time.duration_until(wall).abs() < SignedDuration::from_mins(5));
    assert!(seen.nodes[1].joined <= seen.nodes[1].seen && seen.nodes[1].seen <= seen.time);
    // One that has beaten since it was looked at works.
    let before = a.nodes().unwrap();
    b.beat(&setup("new")).unwrap();
    assert!(!a.declare_lost(&before[1]).unwrap());
    assert!(b.beat(&setup("new")).unwrap().unwrap().own.is_some());
    declare_lost(&a, "b");
    assert_eq!(b.beat(&setup("new")).unwrap().unwrap().own, None);
    b.join(&new_node("b", "new")).unwrap();
    let again = b.beat(&setup("new")).unwrap().unwrap();
    let number = again.own.unwrap();
    assert!(number > seen.own.unwrap());
    // It is listed until its claims are released, and for a while after.
    a.release_claims(at(1)).unwrap();
    assert_eq!(
        names(&a.nodes().unwrap()),
        [
            of("a", "old", "live"),
            of("b", "new", "lost"),
            of("b", "new", "live")
        ]
    );
}

/// Nodes read their clocks before they write, and the clocks differ: what another node wrote may lie
/// in the future. A claim of a live node holds whatever the time.
#[test]
fn a_node_with_an_earlier_clock_leaves_claims_of_live_nodes_alone() {
    type Release = fn(&PostgresStore);
    let releases: [(&str, Release); 3] = [
        ("a node begins or is gone", |b| {
            assert_eq!(b.release_claims(at(2)), Ok(0));
        }),
        ("a target is removed", |b| {
            assert_eq!(b.submit_release_claims("t", at(2)).wait(), Ok(0));
        }),
        ("a clock is set back", |b| {
            b.claim("other", at(1_000_000), LEASE, 1).unwrap();
            b.claim("other", at(2), LEASE, 1).unwrap();
        }),
    ];
    for (name, release) in releases {
        for ahead in [1, 60, 86_400] {
            let Some(schema) = Schema::new() else { return };
            let (a, b) = (node(&schema, "a", ""), node(&schema, "b", ""));
            accept(&a, "1");
            accept(&a, "2");
            let claimed = a.claim("t", at(2 + ahead), LEASE, 1).unwrap();
            release(&b);
            let left = b.claim("t", at(3), LEASE, 9).unwrap();
            assert_eq!((claimed.len(), left.len()), (1, 1), "{name}, {ahead} s");
            assert_ne!(claimed[0].id, left[0].id, "{name}, {ahead} s");
        }
    }
}

#[test]
fn a_lost_node_claims_nothing_and_its_claims_are_released() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (node(&schema, "a", ""), node(&schema, "b", ""));
    for id in ["1", "2", "3", "4", "5"] {
        accept(&a, id);
    }
    let mut claimed = a.claim("t", at(2), LEASE, 3).unwrap();
    let [delivered, failed, dead] = &mut claimed[..] else {
        panic!("{claimed:?}")
    };
    assert_eq!(b.claim("t", at(2), LEASE, 1).unwrap().len(), 1);
    // Those of live nodes stay.
    assert_eq!(b.release_claims(at(3)).unwrap(), 0);
    declare_lost(&b, "a");
    assert_eq!(b.release_claims(at(3)).unwrap(), 3);
    assert_eq!(a.claim("t", at(4), LEASE, 9).unwrap(), []);
    let taken_over = b.claim("t", at(4), LEASE, 9).unwrap();
    assert_eq!(taken_over.len(), 4);
    // The lost node goes on: what was delivered is, but all else is up to the other.
    let attempt = |outcome| AttemptOutcome {
        started: at(2),
        took: SignedDuration::from_secs(1),
        outcome,
        answer: String::new(),
        delivered_parts: Vec::new(),
    };
    a.join(&new_node("a", "")).unwrap();
    let settle = |delivery: &Delivery, decision| {
        let outcome = if matches!(decision, Decision::Delivered) {
            "delivered"
        } else {
            "failed"
        };
        a.settle(delivery.clone(), attempt(outcome), decision, at(5))
            .unwrap();
    };
    settle(delivered, Decision::Delivered);
    settle(failed, Decision::RetryAt(at(6)));
    settle(
        dead,
        Decision::DeadLetter {
            cause: DeadLetterCause::Refused,
            reason: "gave up".to_owned(),
        },
    );
    let status = |delivery: &Delivery| a.delivery(delivery.id).unwrap().unwrap().0.status;
    assert_eq!(status(delivered), DeliveryStatus::Delivered);
    assert_eq!(status(failed), DeliveryStatus::Pending);
    assert_eq!(status(dead), DeliveryStatus::Pending);
    assert_eq!(a.claim("t", at(7), LEASE, 9).unwrap(), []);
    let released = a.submit_release(vec![failed.id], at(7)).wait().unwrap();
    assert_eq!(released, 0, "the claim of another node");
    // Its attempts are known all the same.
    assert_eq!(a.delivery(failed.id).unwrap().unwrap().1.len(), 1);
    for delivery in taken_over {
        b.settle(delivery, attempt("delivered"), Decision::Delivered, at(8))
            .unwrap();
    }
    assert_eq!(status(dead), DeliveryStatus::Delivered);
}

#[test]
fn claims_of_a_node_that_leaves_are_released_by_the_next_one() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (node(&schema, "a", ""), node(&schema, "b", ""));
    let lock = a.lock_exclusive().unwrap();
    accept(&a, "1");
    assert_eq!(a.claim("t", at(2), LEASE, 1).unwrap().len(), 1);
    let (sender, notes) = mpsc::channel();
    b.observe_notes(Arc::new(move |note| sender.send(note).unwrap()));
    drop(lock);
    let note = notes.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(note, Note::Changed);
    let states: Vec<_> = b.nodes().unwrap().iter().map(|node| node.state).collect();
    assert_eq!(states, [NodeState::Left, NodeState::Live]);
    assert_eq!(b.release_claims(at(3)).unwrap(), 1);
    assert_eq!(b.nodes().unwrap().len(), 1);
    assert_eq!(b.claim("t", at(3), LEASE, 1).unwrap().len(), 1);
}

#[test]
fn only_one_node_sends_to_a_target_that_is_paced() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (node(&schema, "a", ""), node(&schema, "b", ""));
    for id in ["1", "2", "3"] {
        accept(&a, id);
    }
    let claim = |store: &PostgresStore| {
        let limit = ClaimLimit {
            deliveries: 1,
            run: 1,
            bytes: usize::MAX,
            retries_first: false,
            sends_alone: true,
        };
        let claimed = store.submit_claim("t", at(2), LEASE, limit).wait().unwrap();
        (claimed.runs.len(), claimed.sender)
    };
    let call = |store: &PostgresStore, second| {
        let call = store.submit_call("t", at(second), at(0)).wait();
        call.map_err(|error| error.to_string())
    };
    assert_eq!(claim(&a), (1, Sender::TakenOver));
    assert_eq!(claim(&b), (0, Sender::Other));
    assert_eq!(claim(&a), (1, Sender::Own));
    assert_eq!(call(&a, 3), Ok(()));
    let refused = Err("another node sends to t now".to_owned());
    assert_eq!(call(&b, 4), refused);
    declare_lost(&b, "a");
    assert_eq!(call(&a, 4), refused, "it may have been taken over");
    assert_eq!(claim(&a), (0, Sender::Other));
    assert_eq!(claim(&b), (1, Sender::TakenOver));
    let calls = b.submit_recent_calls("t", at(0), at(9)).wait().unwrap();
    assert_eq!(calls, [at(9)], "a call whose end is not known");
    a.join(&new_node("a", "")).unwrap();
    assert_eq!(claim(&a), (0, Sender::Other));
    assert_eq!(call(&a, 10), refused);
    assert_eq!(call(&b, 10), Ok(()));
}

#[test]
fn a_node_leaves_windows_to_others_that_it_does_not_know() {
    let Some(schema) = Schema::new() else { return };
    let (a, b) = (node(&schema, "a", "old"), node(&schema, "b", "old"));
    let work: TimeWork = Box::new(|transaction| {
        let matches = [("r", 1, "k1", 10), ("r", 2, "k2", 20), ("s", 3, "k3", 30)];
        for (number, (rule, window, key, second)) in matches.into_iter().enumerate() {
            let mut kept = KeptMatch::new("{}");
            kept.window = window;
            kept.due = Some(at(second));
            kept.is_pending = true;
            let change = StateChange::SetMatch {
                key: format!("\"{key}\""),
                kept,
                event: None,
            };
            let entry = entry(EntryKind::Reload, 1, &number.to_string());
            let evaluation = evaluation(rule, Vec::new(), vec![change]);
            transaction.add(entry, &evaluation, at(1))?;
        }
        Ok(None)
    });
    a.submit_time(work).wait().unwrap();
    let due = |store: &PostgresStore, limit: usize, windows: &'static [u64]| {
        let (sender, found) = mpsc::channel();
        let work: TimeWork = Box::new(move |transaction| {
            let live = |_: &str, window| windows.contains(&window);
            let due = transaction.due(at(60), limit, &live)?.into_iter();
            let due: Vec<String> = due.map(|due| due.rule).collect();
            sender.send(due).unwrap();
            Ok(None)
        });
        store.submit_time(work).wait().unwrap();
        found.recv().unwrap()
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(due(&a, 1, &[1]), ["r"]);
    assert_eq!(due(&a, 1, &[3]), ["s"]);
    assert_eq!(due(&a, 9, &[2, 3]), ["r", "s"]);
    assert_eq!(due(&a, 9, &[4]), none);
    // Who runs what.
    let others = |store: &PostgresStore, hash: &'static str| {
        let (sender, found) = mpsc::channel();
        let work: TimeWork = Box::new(move |transaction| {
            let others = (
                transaction.has_other_rules(hash)?,
                transaction.others_worked()?.is_some(),
            );
            sender.send(others).unwrap();
            Ok(None)
        });
        store.submit_time(work).wait().unwrap();
        found.recv().unwrap()
    };
    assert_eq!(others(&a, "old"), (false, true));
    assert_eq!(others(&a, "new"), (true, true));
    a.beat(&setup("new")).unwrap();
    assert_eq!(others(&b, "old"), (true, true));
    declare_lost(&b, "a");
    assert_eq!(others(&b, "old"), (false, true));
}
