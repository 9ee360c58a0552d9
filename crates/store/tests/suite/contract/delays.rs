//! Promises about delayed actions, and about those that have a key.

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::{Decision, DeliveryId};
use reflexarc_event::Json;
use reflexarc_reaction::Action;
use reflexarc_store::{Accepted, DeliveryStatus, Selection, Store};

use super::Backend;
use crate::samples::{LEASE, at, attempt, evaluation, incoming, incoming_of, send};

/// An action for `t` so many seconds later.
fn delayed(seconds: i64, key: Option<&str>) -> Action {
    let action = send("t", seconds).with_after(SignedDuration::from_secs(seconds));
    match key {
        Some(key) => action.with_key(key),
        None => action,
    }
}

/// An evaluation of rule `rule` with this key.
fn of_key(rule: &str, key: Option<&str>, cancelled: &[&str], actions: Vec<Action>) -> Evaluation {
    let mut evaluation = evaluation(rule, actions, vec![]);
    evaluation.rules[0].key = key.map(Json::from);
    evaluation.rules[0].cancelled = cancelled.iter().map(ToString::to_string).collect();
    evaluation
}

fn accept(store: &dyn Store, id: &str, evaluation: Evaluation, second: i64) -> Accepted {
    store.accept(incoming(id), evaluation, at(second)).unwrap()
}

fn claim(store: &dyn Store, second: i64) -> Vec<DeliveryId> {
    let claimed = store.claim("t", at(second), LEASE, 99).unwrap();
    claimed.iter().map(|delivery| delivery.id).collect()
}

/// The status of a delivery, and why it ended.
fn status(store: &dyn Store, id: DeliveryId) -> (DeliveryStatus, Option<String>) {
    let (record, _) = store.delivery(id).unwrap().unwrap();
    (record.status, record.reason)
}

/// The notes of the stored evaluation of the event with this id.
fn notes(store: &dyn Store, id: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let selection = Selection {
        id: Some(id.to_owned()),
        ..Selection::default()
    };
    let visit = &mut |archived: Result<reflexarc_store::Archived, _>| {
        let evaluation = archived.unwrap().evaluation.unwrap();
        let rules = evaluation.get("rules").unwrap().elements().iter();
        let texts = rules.flat_map(|rule| rule.get("notes").unwrap().elements());
        notes.extend(texts.map(|note| note.as_str().unwrap().to_owned()));
        true
    };
    store.walk(&selection, visit).unwrap();
    notes
}

pub(super) fn a_delayed_delivery_is_due_later_without_an_order(backend: &dyn Backend) {
    let store = backend.open();
    let first = accept(
        &*store,
        "1",
        of_key("r", None, &[], vec![delayed(900, None)]),
        0,
    );
    let first = first.deliveries[0];
    assert_eq!(store.next_due("t"), Ok(Some(at(900))));
    // What comes meanwhile of the same resource does not wait for it, nor the other way round.
    let meanwhile = accept(
        &*store,
        "2",
        evaluation("r", vec![send("t", 1)], vec![]),
        10,
    );
    assert_eq!(claim(&*store, 10), meanwhile.deliveries);
    assert_eq!(claim(&*store, 59), []);
    drop(store);
    let store = backend.open();
    assert_eq!(store.release_claims(at(60)), Ok(1), "the other one");
    assert_eq!(claim(&*store, 899), meanwhile.deliveries);
    let claimed = store.claim("t", at(900), LEASE, 9).unwrap();
    assert_eq!((claimed.len(), claimed[0].id), (1, first));
    let (created, queued_at) = (claimed[0].created, claimed[0].queued_at);
    assert_eq!(
        (created, queued_at),
        (at(0), at(900)),
        "ages count from when it was due"
    );
    assert_eq!(claimed[0].action, delayed(900, None));
}

pub(super) fn a_delayed_delivery_is_not_late_before_it_is_due(backend: &dyn Backend) {
    let store = &*backend.open();
    accept(
        store,
        "1",
        of_key("r", None, &[], vec![delayed(900, None)]),
        0,
    );
    let depth = |second| {
        let depths = store.queue_depths(at(second)).unwrap();
        let [depth] = &depths[..] else {
            panic!("{depths:?}")
        };
        (depth.waiting, depth.delayed, depth.oldest)
    };
    assert_eq!(depth(899), (0, 1, None));
    assert_eq!(store.unattempted(at(899)), Ok(vec![]));
    assert_eq!(depth(900), (1, 0, Some(at(900))));
    assert_eq!(store.unattempted(at(900)), Ok(vec![("t".to_owned(), 1)]));
    accept(store, "2", evaluation("r", vec![send("t", 1)], vec![]), 100);
    assert_eq!(depth(899), (1, 1, Some(at(100))));
    assert_eq!(depth(900), (2, 0, Some(at(100))));
}

pub(super) fn a_name_belongs_to_rule_and_key(backend: &dyn Backend) {
    let store = &*backend.open();
    let names = [
        ("r", Some("eni-1"), "k"),
        ("r", Some("eni-2"), "k"),
        ("r", None, "k"),
        ("s", Some("eni-1"), "k"),
        ("r", Some("eni-1"), "l"),
    ];
    let mut waiting = Vec::new();
    for (number, (rule, key, name)) in names.into_iter().enumerate() {
        let evaluation = of_key(rule, key, &[], vec![delayed(60, Some(name))]);
        let id = number.to_string();
        waiting.push(accept(store, &id, evaluation, 0).deliveries[0]);
    }
    for (number, (rule, key, name)) in names.into_iter().enumerate() {
        let evaluation = of_key(rule, key, &[name, "other"], vec![]);
        accept(store, &format!("cancel {number}"), evaluation, 1);
        let reason = Some(format!("cancelled by rule {rule}"));
        assert_eq!(
            status(store, waiting[number]),
            (DeliveryStatus::Cancelled, reason)
        );
        for later in &waiting[number + 1..] {
            assert_eq!(status(store, *later), (DeliveryStatus::Pending, None));
        }
        assert_eq!(notes(store, &format!("cancel {number}")), [""; 0]);
    }
    assert_eq!(claim(store, 100), []);
}

pub(super) fn a_later_action_replaces_one_of_its_name(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = |seconds| of_key("r", Some("a"), &[], vec![delayed(seconds, Some("k"))]);
    let first = accept(store, "1", named(60), 0).deliveries[0];
    let second = accept(store, "2", named(90), 10).deliveries[0];
    let replaced = |by: DeliveryId| (DeliveryStatus::Cancelled, Some(format!("replaced by {by}")));
    assert_eq!(status(store, first), replaced(second));
    assert_eq!(claim(store, 99), []);
    // Without a delay, too.
    let at_once = of_key("r", Some("a"), &[], vec![send("t", 1).with_key("k")]);
    let third = accept(store, "3", at_once, 20).deliveries[0];
    assert_eq!(status(store, second), replaced(third));
    assert_eq!(claim(store, 20), [third]);
    // What one evaluation cancels comes before its actions, and after those of earlier effects.
    let mut evaluation = named(60);
    let again = of_key("r", Some("a"), &["k"], vec![delayed(70, Some("k"))]);
    evaluation.rules.extend(again.rules);
    let deliveries = accept(store, "4", evaluation, 30).deliveries;
    let cancelled = Some("cancelled by rule r".to_owned());
    assert_eq!(
        status(store, deliveries[0]),
        (DeliveryStatus::Cancelled, cancelled)
    );
    // The third was cancelled too, although it was being sent.
    assert_eq!(status(store, third).0, DeliveryStatus::Cancelled);
    assert_eq!(claim(store, 200), [deliveries[1]]);
}

pub(super) fn what_is_being_sent_is_not_stopped_but_recorded(backend: &dyn Backend) {
    let store = &*backend.open();
    let cancel = || of_key("r", Some("a"), &["k"], vec![]);
    let named = |key| of_key("r", Some("a"), &[], vec![delayed(10, Some(key))]);
    let failing = accept(store, "1", named("k"), 0).deliveries[0];
    let replaced = accept(store, "2", named("l"), 0).deliveries[0];
    let claimed = store.claim("t", at(10), LEASE, 9).unwrap();
    assert_eq!(claimed.len(), 2);
    accept(store, "3", cancel(), 11);
    let new = accept(store, "4", named("l"), 12).deliveries[0];
    assert_eq!(status(store, failing).0, DeliveryStatus::Cancelled);
    assert_eq!(
        notes(store, "3"),
        [format!(
            "cancel: `k`: delivery {failing} to t is being sent and cannot be stopped; \
             it is not tried again"
        )]
    );
    let note = format!("key: `l`: delivery {replaced} to t is being sent and cannot be replaced");
    assert!(notes(store, "4")[0].starts_with(&note));
    // A failed attempt is the last one; a successful one counts.
    let decisions = [Decision::RetryAt(at(20)), Decision::Delivered];
    for (delivery, decision) in claimed.into_iter().zip(decisions) {
        store
            .settle(delivery, attempt("failed"), decision, at(13))
            .unwrap();
    }
    assert_eq!(status(store, failing).0, DeliveryStatus::Cancelled);
    assert_eq!(status(store, replaced).0, DeliveryStatus::Delivered);
    assert_eq!(claim(store, 100), [new]);
    // After its claim has expired, nothing is being sent.
    accept(store, "5", of_key("r", Some("a"), &["l"], vec![]), 161);
    assert_eq!(notes(store, "5"), [""; 0]);
    assert_eq!(status(store, new).0, DeliveryStatus::Cancelled);
}

pub(super) fn a_retry_is_cancelled_and_lets_the_next_one_go(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = of_key("r", Some("a"), &[], vec![send("t", 1).with_key("k")]);
    let first = accept(store, "1", named, 0).deliveries[0];
    let behind = of_key("r", Some("a"), &[], vec![send("t", 2)]);
    let behind = accept(store, "2", behind, 0).deliveries[0];
    let claimed = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    assert_eq!(claimed.id, first);
    let retry = Decision::RetryAt(at(40));
    store
        .settle(claimed, attempt("failed"), retry, at(1))
        .unwrap();
    assert_eq!(claim(store, 2), []);
    accept(store, "3", of_key("r", Some("a"), &["k"], vec![]), 3);
    assert_eq!(claim(store, 3), [behind]);
    assert_eq!(notes(store, "3"), [""; 0]);
}

pub(super) fn a_delay_is_not_shorter_where_the_clock_was_set_back(backend: &dyn Backend) {
    let store = &*backend.open();
    let hour = 3_600;
    accept(
        store,
        "1",
        of_key("r", None, &[], vec![delayed(900, None)]),
        hour,
    );
    let retried = accept(
        store,
        "2",
        evaluation("r", vec![send("t", 1)], vec![]),
        hour,
    );
    // An hour back: the retry is due by the new clock, and the delay ends when it is said to.
    assert_eq!(claim(store, 0), retried.deliveries);
    assert_eq!(store.release_claims(at(1)), Ok(1));
    assert_eq!(claim(store, hour + 899), retried.deliveries);
    let claimed = store.claim("t", at(hour + 900), LEASE, 9).unwrap();
    assert_eq!((claimed.len(), claimed[0].queued_at), (1, at(hour + 900)));
    // One that was being sent is due again at once.
    assert_eq!(store.release_claims(at(10)), Ok(2));
    assert_eq!(claim(store, 10).len(), 2);
}

pub(super) fn delays_are_shifted_when_the_clock_is_set(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = |seconds| of_key("r", None, &[], vec![delayed(seconds, None)]);
    let failing = accept(store, "1", named(10), 0).deliveries[0];
    let claimed = store.claim("t", at(10), LEASE, 9).unwrap().remove(0);
    let retry = Decision::RetryAt(at(100));
    store
        .settle(claimed, attempt("failed"), retry, at(10))
        .unwrap();
    let waiting = accept(store, "2", named(900), 10).deliveries[0];
    let other = accept(store, "3", evaluation("r", vec![send("u", 1)], vec![]), 10);
    let shift = |seconds| {
        let work = Box::new(
            move |transaction: &mut dyn reflexarc_store::TimeTransaction| {
                let shifted = transaction.shift_times(SignedDuration::from_secs(seconds))?;
                assert_eq!(shifted, (0, 1));
                Ok(None)
            },
        );
        store.submit_time(work).wait().unwrap();
    };
    let due = |id| store.delivery(id).unwrap().unwrap().0.due;
    shift(90_000);
    assert_eq!(
        (due(waiting), due(failing)),
        (at(90_910), at(100)),
        "a retry is not delayed"
    );
    assert_eq!(claim(store, 90_000), [failing]);
    shift(-100_000);
    assert_eq!(due(waiting), at(-9_090));
    assert_eq!(due(other.deliveries[0]), at(10));
    let claimed = store.claim("t", at(-9_090), LEASE, 9).unwrap();
    let claimed = claimed
        .iter()
        .find(|delivery| delivery.id == waiting)
        .unwrap();
    assert_eq!(claimed.queued_at, at(-9_090));
}

pub(super) fn a_replay_delays_from_its_time_and_names_its_own(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = || of_key("r", Some("a"), &[], vec![delayed(60, Some("k"))]);
    let cancel = || of_key("r", Some("a"), &["k"], vec![]);
    let events = [("1", named()), ("2", cancel()), ("3", named())];
    let mut live = Vec::new();
    for (id, evaluation) in events.clone() {
        live.extend(accept(store, id, evaluation, 0).deliveries);
    }
    let replay = |second| {
        let mut accepted = (Vec::new(), 0);
        for (id, evaluation) in events.clone() {
            let archived = store.find(id).unwrap().remove(0);
            let name = "monday".to_owned();
            let added = store
                .accept_replay(&archived, incoming(id), evaluation, name, at(second))
                .unwrap();
            accepted.0.extend(added.deliveries);
            accepted.1 += added.repeated;
        }
        accepted
    };
    let (replayed, repeated) = replay(10);
    assert_eq!((replayed.len(), repeated), (2, 0));
    let pending = |id| status(store, id).0 == DeliveryStatus::Pending;
    // The live one goes on waiting, and of the replay the last one.
    let all = || {
        live.iter()
            .chain(&replayed)
            .map(|id| pending(*id))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(), [false, true, false, true]);
    assert_eq!(replay(20), (vec![], 2), "repeated, it changes nothing");
    assert_eq!(all(), [false, true, false, true]);
    assert_eq!(claim(store, 60), [live[1]]);
    assert_eq!(claim(store, 69), []);
    // What is live cancels what was replayed as well.
    accept(store, "4", cancel(), 69);
    assert!(!pending(replayed[1]));
}

pub(super) fn a_redriven_delivery_is_due_at_once_and_keeps_its_name(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = of_key("r", Some("a"), &[], vec![delayed(60, Some("k"))]);
    let id = accept(store, "1", named, 0).deliveries[0];
    assert_eq!(store.dead_letter_target("t", "gone".into(), at(1)), Ok(1));
    assert_eq!(store.redrive(id, at(2)), Ok(true));
    assert_eq!(store.next_due("t"), Ok(Some(at(2))));
    assert_eq!(store.queue_depths(at(2)).unwrap()[0].delayed, 0);
    accept(store, "2", of_key("r", Some("a"), &["k"], vec![]), 3);
    assert_eq!(status(store, id).0, DeliveryStatus::Cancelled);
}

pub(super) fn events_of_delayed_deliveries_are_kept(backend: &dyn Backend) {
    let store = &*backend.open();
    let later = of_key("r", None, &[], vec![delayed(86_400, None)]);
    store.accept(incoming_of("1", ""), later, at(0)).unwrap();
    let retention = reflexarc_store::Retention {
        age: SignedDuration::from_secs(10),
        ..reflexarc_store::Retention::default()
    };
    assert_eq!(store.prune(&retention, at(1_000)).unwrap().events, 0);
    let claimed = store.claim("t", at(86_400), LEASE, 9).unwrap().remove(0);
    store
        .settle(
            claimed,
            attempt("delivered"),
            Decision::Delivered,
            at(86_401),
        )
        .unwrap();
    assert_eq!(store.prune(&retention, at(90_000)).unwrap().events, 1);
}
