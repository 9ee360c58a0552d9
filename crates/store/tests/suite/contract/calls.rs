//! Calls and their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Action, CallAnswer, OwnCode};
use reflexarc_store::{
    Accepted, AttemptOutcome, DeliveryStatus, EntryKind, NewEntry, Retention, Store,
    TimeTransaction, WaitingCall, WithdrawnCall,
};

use super::Backend;
use crate::samples::{
    ALL, LEASE, at, attempt, call, dead_letter, evaluation, incoming, incoming_of, send,
};

pub(super) fn ok() -> CallAnswer {
    CallAnswer::ok(200, Json::object([("TotalCount", 1_i64.into())]))
}

/// An evaluation of rule `rule` with this key and one action.
pub(super) fn of_key(rule: &str, key: Option<&str>, action: Action) -> Evaluation {
    let mut evaluation = evaluation(rule, vec![action], vec![]);
    evaluation.rules[0].key = key.map(Json::from);
    evaluation
}

pub(super) fn accept(store: &dyn Store, id: &str, evaluation: Evaluation, second: i64) -> Accepted {
    store.accept(incoming(id), evaluation, at(second)).unwrap()
}

/// One call to target `t`, of no order.
pub(super) fn accept_call(store: &dyn Store, id: &str, rule: &str, second: i64) -> DeliveryId {
    let evaluation = evaluation(rule, vec![call("t", "Delete")], vec![]);
    let accepted = store.accept(incoming_of(id, ""), evaluation, at(second));
    accepted.unwrap().deliveries[0]
}

pub(super) fn claim_one(store: &dyn Store, second: i64) -> Delivery {
    let claimed = store.claim("t", at(second), LEASE, 1).unwrap();
    claimed.into_iter().next().expect("one is due")
}

/// Settles a call with an answer, in a transaction of its own.
pub(super) fn answer(
    store: &dyn Store,
    id: DeliveryId,
    with: Option<AttemptOutcome>,
    answer: CallAnswer,
    second: i64,
) -> Option<WaitingCall> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
        let settled = transaction.settle_call(id, with.as_ref(), &answer, at(second))?;
        sender.send(settled).unwrap();
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
    receiver.recv().unwrap()
}

pub(super) fn withdrawn(store: &dyn Store) -> Vec<WithdrawnCall> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
        sender.send(transaction.withdrawn_calls(100)?).unwrap();
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
    let calls = receiver.recv().unwrap();
    assert_eq!(store.has_withdrawn_calls(), Ok(!calls.is_empty()));
    calls
}

fn codes(store: &dyn Store) -> Vec<(DeliveryId, OwnCode)> {
    let calls = withdrawn(store).into_iter();
    calls.map(|call| (call.id, call.code)).collect()
}

/// The status of a delivery, why it ended, and the number of its attempts.
fn status(store: &dyn Store, id: DeliveryId) -> (DeliveryStatus, Option<String>, usize) {
    let (record, attempts) = store.delivery(id).unwrap().unwrap();
    (record.status, record.reason, attempts.len())
}

pub(super) fn a_call_has_exactly_one_answer(backend: &dyn Backend) {
    let store = backend.open();
    let id = accept_call(&*store, "1", "r", 0);
    // Like every other delivery that waits.
    let depths = store.queue_depths(at(1)).unwrap();
    assert_eq!((depths.len(), depths[0].waiting), (1, 1));
    assert_eq!(store.unattempted(at(1)), Ok(vec![("t".to_owned(), 1)]));
    assert_eq!(store.rules_in_use().unwrap()[0].pending, 1);
    let claimed = claim_one(&*store, 0);
    assert_eq!((claimed.id, &claimed.action), (id, &call("t", "Delete")));
    let retry = Decision::RetryAt(at(2));
    store
        .settle(claimed, attempt("throttled"), retry, at(1))
        .unwrap();
    assert_eq!(status(&*store, id), (DeliveryStatus::Pending, None, 1));
    drop(store);
    let store = &*backend.open();
    assert_eq!(claim_one(store, 2).attempt, 2);
    let waiting = answer(store, id, Some(attempt("answered")), ok(), 3).unwrap();
    assert_eq!((waiting.delivery.id, waiting.hop), (id, 1));
    assert_eq!(status(store, id), (DeliveryStatus::Answered, None, 2));
    assert!(answer(store, id, None, ok(), 4).is_none());
    // An attempt whose claim had expired, and that came too late: the trace shows it.
    assert!(answer(store, id, Some(attempt("answered")), ok(), 4).is_none());
    assert_eq!(status(store, id), (DeliveryStatus::Answered, None, 3));
    assert_eq!(store.cancel(id, at(5)), Ok(false));
    assert_eq!(store.queue_depths(at(5)), Ok(vec![]));
    // Not ok: the delivery says why.
    let refused = accept_call(store, "2", "r", 5);
    let refusal = CallAnswer::refused(404, "NotFound", "no such interface", Json::Null);
    assert!(answer(store, refused, Some(attempt("answered")), refusal, 6).is_some());
    let reason = Some("NotFound: no such interface".to_owned());
    assert_eq!(
        status(store, refused),
        (DeliveryStatus::Answered, reason, 1)
    );
    let unknown = DeliveryId::from([7; 16]);
    assert!(answer(store, unknown, None, ok(), 7).is_none());
    let listed = store.deliveries(DeliveryStatus::Answered, Some("t"), 9);
    let listed = listed.unwrap().into_iter();
    assert_eq!(
        listed.map(|one| one.delivery.id).collect::<Vec<_>>(),
        [id, refused]
    );
}

pub(super) fn a_call_keeps_the_event_that_its_rule_saw(backend: &dyn Backend) {
    let store = &*backend.open();
    let text = concat!(
        r#"{"specversion":"1.0","id":"1","source":"acs.ecs","type":"ecs:Disk:Stalled","#,
        r#""data":{"diskId":"d-1"}}"#
    );
    let received = Event::from_json(text).unwrap();
    let event = reflexarc_store::Incoming::new(received).unwrap();
    let native = event.native.bytes().to_owned();
    assert_ne!(native, text.as_bytes());
    let emitted = Event::from_json(r#"{"name":"emitted"}"#).unwrap();
    let mut evaluation = evaluation("r", vec![call("t", "A"), call("t", "B")], vec![]);
    let mut second = evaluation.rules[0].clone();
    (second.hop, second.event) = (3, Some(emitted));
    evaluation.rules.push(second);
    let calls = store.accept(event, evaluation, at(0)).unwrap().deliveries;
    let seen = |id| {
        let call = answer(store, id, None, ok(), 1).unwrap();
        let event = call.event.map(|event| event.bytes().to_owned());
        (event, call.hop)
    };
    assert_eq!(seen(calls[0]), (Some(native.clone()), 1));
    assert_eq!(seen(calls[1]), (Some(native), 1));
    let emitted = br#"{"name":"emitted"}"#.to_vec();
    assert_eq!(seen(calls[2]), (Some(emitted), 4));
    // An entry that is about no event, such as the firing of `absent_for`, and that of an answer.
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
        let mut effects = evaluation_of_answer();
        effects.rules[0].hop = 2;
        let about = incoming("1");
        let entry = NewEntry {
            kind: EntryKind::Answer,
            at: at(2),
            identity: about.identity,
            event: about.name,
            resource: String::new(),
            detail: ok().to_json(),
        };
        let added = transaction.add(entry, &effects, at(2))?;
        sender.send(added.deliveries[0]).unwrap();
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
    assert_eq!(seen(receiver.recv().unwrap()), (None, 3));
    assert_eq!(
        store.find("1").unwrap().last().unwrap().entry,
        EntryKind::Answer
    );
}

fn evaluation_of_answer() -> Evaluation {
    evaluation("r", vec![call("t", "C")], vec![])
}

pub(super) fn the_next_of_a_key_goes_when_a_call_has_ended(backend: &dyn Backend) {
    let store = &*backend.open();
    let of = |action| of_key("r", Some("a"), action);
    let ids: Vec<_> = (0..4)
        .map(|number| accept(store, &format!("{number}"), of(call("t", "A")), 0).deliveries[0])
        .collect();
    accept(store, "last", of(send("t", 1)), 0);
    assert_eq!(claim_one(store, 0).id, ids[0]);
    assert_eq!(store.claim("t", at(1), LEASE, 9).unwrap(), []);
    assert!(answer(store, ids[0], None, ok(), 1).unwrap().next_is_due);
    assert_eq!(claim_one(store, 1).id, ids[1]);
    assert!(answer(store, ids[1], None, ok(), 1).unwrap().next_is_due);
    // One that is withdrawn lets it go at once.
    assert_eq!(store.cancel(ids[2], at(2)), Ok(true));
    assert_eq!(claim_one(store, 2).id, ids[3]);
    assert!(!answer(store, ids[2], None, ok(), 3).unwrap().next_is_due);
    let unknown = answer(store, ids[3], None, ok(), 3).unwrap();
    assert!(unknown.next_is_due);
    assert!(!claim_one(store, 3).action.is_call());
}

pub(super) fn a_waiting_call_is_withdrawn_and_never_cancelled(backend: &dyn Backend) {
    let store = &*backend.open();
    let named = |id: &str, second| {
        let action = call("t", "A")
            .with_key("k")
            .with_after(SignedDuration::from_secs(60));
        let evaluation = of_key("r", Some("a"), action);
        accept(store, id, evaluation, second).deliveries[0]
    };
    let first = named("1", 0);
    let second = named("2", 1);
    assert_eq!(status(store, first).0, DeliveryStatus::Withdrawn);
    let mut cancelling = evaluation("r", vec![], vec![]);
    cancelling.rules[0].key = Some(Json::from("a"));
    cancelling.rules[0].cancelled = vec!["k".into()];
    accept(store, "3", cancelling, 2);
    let third = named("4", 3);
    assert_eq!(store.cancel(third, at(4)), Ok(true));
    assert_eq!(store.cancel(third, at(4)), Ok(false));
    let fourth = named("5", 5);
    let code = OwnCode::NotAllowed;
    let withdraw = |reason: &str| {
        let reply = store.submit_withdraw_call(fourth, code, reason.into(), at(6));
        reply.wait().unwrap()
    };
    assert!(withdraw("no") && !withdraw("again"));
    let reasons = [
        (first, OwnCode::Cancelled, format!("replaced by {second}")),
        (second, OwnCode::Cancelled, "cancelled by rule r".to_owned()),
        (
            third,
            OwnCode::Cancelled,
            "cancelled by an operator".to_owned(),
        ),
        (fourth, code, "no".to_owned()),
    ];
    let calls = withdrawn(store).into_iter();
    let calls: Vec<_> = calls
        .map(|call| (call.id, call.code, call.reason))
        .collect();
    assert_eq!(calls, reasons, "in the order in which they were withdrawn");
    assert_eq!(
        store.claim("t", at(1_000), LEASE, 9).unwrap(),
        [],
        "none is sent"
    );
    for (id, code, reason) in reasons {
        let own = CallAnswer::own(code, reason.as_str());
        let why = Some(own.summary());
        assert_eq!(
            status(store, id),
            (DeliveryStatus::Withdrawn, why.clone(), 0)
        );
        assert!(answer(store, id, None, own.clone(), 7).is_some());
        assert!(answer(store, id, None, own, 7).is_none());
        assert_eq!(status(store, id), (DeliveryStatus::Answered, why, 0));
    }
    assert_eq!(codes(store), []);
    let cancelled = store.deliveries(DeliveryStatus::Cancelled, None, 9);
    assert_eq!(cancelled.unwrap(), []);
}

pub(super) fn a_call_that_is_being_sent_is_withdrawn_without_an_answer(backend: &dyn Backend) {
    let mut store = backend.open();
    let sending = |store: &dyn Store, id: &str, second| {
        let id = accept_call(store, id, "r", second);
        let claimed = claim_one(store, second);
        assert_eq!(claimed.id, id);
        assert_eq!(store.cancel(id, at(second)), Ok(true));
        assert_eq!(store.cancel(id, at(second)), Ok(false), "again");
        assert_eq!(status(store, id).0, DeliveryStatus::Pending);
        assert_eq!(codes(store), []);
        claimed
    };
    // The answer of the API is the answer.
    let answered = sending(&*store, "1", 0).id;
    let settled = answer(&*store, answered, Some(attempt("answered")), ok(), 1);
    assert!(settled.is_some());
    assert_eq!(
        status(&*store, answered),
        (DeliveryStatus::Answered, None, 1)
    );
    assert_eq!(codes(&*store), []);
    // A failed attempt is the last one.
    let failing = sending(&*store, "2", 2);
    let id = failing.id;
    let retry = Decision::RetryAt(at(3));
    store
        .settle(failing, attempt("failed"), retry, at(3))
        .unwrap();
    assert_eq!(codes(&*store), [(id, OwnCode::Cancelled)]);
    assert!(answer(&*store, id, None, ok(), 3).is_some());
    // It was released without an attempt.
    let released = sending(&*store, "3", 4).id;
    let reply = store.submit_release(vec![released], at(5));
    assert_eq!(reply.wait(), Ok(1));
    assert_eq!(codes(&*store), [(released, OwnCode::Cancelled)]);
    assert!(answer(&*store, released, None, ok(), 5).is_some());
    // Its claim has expired.
    let expired = sending(&*store, "4", 6).id;
    assert_eq!(store.claim("t", at(66), LEASE, 9).unwrap(), []);
    assert_eq!(codes(&*store), [(expired, OwnCode::Cancelled)]);
    assert!(answer(&*store, expired, None, ok(), 66).is_some());
    // Its process was killed.
    let killed = sending(&*store, "5", 67).id;
    drop(store);
    store = backend.open();
    assert_eq!(store.release_claims(at(68)), Ok(1));
    assert_eq!(codes(&*store), [(killed, OwnCode::Cancelled)]);
    assert_eq!(store.claim("t", at(999), LEASE, 9).unwrap(), []);
}

pub(super) fn calls_expire_by_when_they_were_due(backend: &dyn Backend) {
    let store = &*backend.open();
    let expire = |target, before, now| {
        let expired = store.submit_expire_calls(target, at(before), at(now));
        expired.wait().unwrap()
    };
    let failing = accept_call(store, "1", "r", 0);
    let claimed = claim_one(store, 0);
    let retry = Decision::RetryAt(at(1_000));
    store
        .settle(claimed, attempt("failed"), retry, at(1))
        .unwrap();
    let sending = accept_call(store, "2", "r", 0);
    assert_eq!(claim_one(store, 2).id, sending);
    let waiting = accept_call(store, "3", "r", 3);
    let delayed = call("t", "A").with_after(SignedDuration::from_secs(100));
    let delayed = accept(store, "4", of_key("r", None, delayed), 0).deliveries[0];
    assert_eq!((expire("t", 0, 10), expire("u", 100, 10)), (0, 0));
    assert_eq!(expire("t", 1, 10), 1, "not what is being sent");
    let reason = "it could not be sent in time; the last attempt: the response";
    let call = &withdrawn(store)[0];
    assert_eq!((call.id, call.code), (failing, OwnCode::Expired));
    assert_eq!(call.reason, reason);
    assert_eq!(expire("t", 4, 10), 1);
    assert_eq!(codes(store)[1..], [(waiting, OwnCode::Expired)], "in order");
    assert_eq!(withdrawn(store)[1].reason, "it was not sent in time");
    assert_eq!(expire("t", 100, 61), 0);
    // After its claim, what was being sent has ended.
    assert_eq!(expire("t", 100, 62), 1);
    assert_eq!(codes(store)[2..], [(sending, OwnCode::Expired)]);
    assert_eq!(expire("t", 101, 110), 1);
    assert_eq!(codes(store)[3..], [(delayed, OwnCode::Expired)]);
    // With the clock.
    let shifted = accept_call(store, "5", "r", 200);
    let work = Box::new(|transaction: &mut dyn TimeTransaction| {
        transaction.shift_times(SignedDuration::from_secs(86_400))?;
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
    assert_eq!(expire("t", 86_600, 86_600), 0);
    let claimed = claim_one(store, 86_600);
    assert_eq!((claimed.id, claimed.queued_at), (shifted, at(86_600)));
    store.submit_release_claims("t", at(86_601)).wait().unwrap();
    assert_eq!(expire("t", 86_601, 86_601), 1);
}

/// A call that is being sent is not sent again because the clock was set.
pub(super) fn waiting_calls_move_with_the_clock(backend: &dyn Backend) {
    let store = &*backend.open();
    let shift = |seconds| {
        let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
            transaction.shift_times(SignedDuration::from_secs(seconds))?;
            Ok(None)
        });
        store.submit_time(work).wait().unwrap();
    };
    let sending = accept_call(store, "1", "r", 0);
    claim_one(store, 0);
    let failing = accept_call(store, "2", "r", 0);
    let retry = Decision::RetryAt(at(50));
    store
        .settle(claim_one(store, 1), attempt("failed"), retry, at(1))
        .unwrap();
    let delayed = call("t", "A").with_after(SignedDuration::from_secs(40));
    let delayed = accept(store, "3", of_key("r", None, delayed), 0).deliveries[0];
    let message = accept(store, "4", of_key("r", None, send("u", 1)), 0).deliveries[0];
    let due = |id| store.delivery(id).unwrap().unwrap().0.due;
    for offset in [86_400, -200_000] {
        let before = [sending, failing, delayed].map(due);
        shift(offset);
        let after = [sending, failing, delayed].map(due);
        for (before, after) in before.into_iter().zip(after) {
            assert_eq!(after, before + SignedDuration::from_secs(offset));
        }
    }
    assert_eq!(due(message), at(0));
    let now = 86_400 - 200_000;
    assert_eq!(store.claim("t", at(now + 2), LEASE, 9).unwrap(), []);
    assert_eq!(claim_one(store, now + 40).id, delayed);
    assert_eq!(claim_one(store, now + 50).id, failing);
    assert_eq!(claim_one(store, now + 60).id, sending);
}

pub(super) fn calls_of_rules_that_are_gone_are_withdrawn(backend: &dyn Backend) {
    let store = &*backend.open();
    let live = accept_call(store, "1", "live", 0);
    let gone = accept_call(store, "2", "gone", 0);
    let delayed = call("t", "A").with_after(SignedDuration::from_secs(100));
    let delayed = accept(store, "3", of_key("gone too", None, delayed), 0).deliveries[0];
    accept(store, "4", of_key("gone", None, send("t", 1)), 0);
    let withdraw = || {
        let live = vec!["live".to_owned(), "other".to_owned()];
        let reply = store.submit_withdraw_calls_of_other_rules(live, at(1));
        reply.wait().unwrap()
    };
    assert_eq!((withdraw(), withdraw()), (2, 0));
    let code = OwnCode::RuleGone;
    assert_eq!(codes(store), [(gone, code), (delayed, code)]);
    assert_eq!(
        withdrawn(store)[0].reason,
        "rule gone was removed or disabled"
    );
    let claimed = store.claim("t", at(1), LEASE, 9).unwrap();
    assert_eq!((claimed.len(), claimed[0].id), (2, live), "no message");
}

pub(super) fn calls_of_an_unknown_target_are_answered(backend: &dyn Backend) {
    let store = &*backend.open();
    let waiting = accept_call(store, "1", "r", 0);
    assert_eq!(claim_one(store, 0).id, waiting);
    let other = accept_call(store, "2", "r", 0);
    assert_eq!(store.dead_letter_target("t", "gone".into(), at(1)), Ok(0));
    assert_eq!(codes(store), [(other, OwnCode::Undelivered)]);
    assert_eq!(status(store, waiting).0, DeliveryStatus::Pending);
    store.submit_release_claims("t", at(2)).wait().unwrap();
    let code = OwnCode::Undelivered;
    assert_eq!(codes(store), [(other, code), (waiting, code)]);
    let message = accept(store, "3", of_key("r", None, send("t", 1)), 3).deliveries[0];
    let call = accept_call(store, "4", "r", 3);
    assert_eq!(store.dead_letter_target("t", "gone".into(), at(4)), Ok(1));
    assert_eq!(status(store, message).0, DeliveryStatus::Dead);
    assert_eq!(status(store, call).0, DeliveryStatus::Withdrawn);
    assert_eq!(withdrawn(store)[2].reason, "gone");
}

pub(super) fn withdrawn_calls_are_observed(backend: &dyn Backend) {
    let store = &*backend.open();
    let observed = Arc::new(AtomicUsize::new(0));
    let count = observed.clone();
    store.observe_withdrawn_calls(Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let seen = || observed.swap(0, Ordering::Relaxed);
    let id = accept_call(store, "1", "r", 0);
    assert_eq!(seen(), 0);
    store.cancel(id, at(1)).unwrap();
    assert_eq!(seen(), 1);
    answer(store, id, None, ok(), 2);
    assert_eq!(seen(), 0);
    // By an event, before its reply.
    let named = of_key("r", None, call("t", "A").with_key("k"));
    accept(store, "2", named.clone(), 3);
    accept(store, "3", named, 4);
    assert_eq!(seen(), 1);
}

pub(super) fn calls_are_not_replayed_or_redriven(backend: &dyn Backend) {
    let store = &*backend.open();
    let both = || evaluation("r", vec![call("t", "A"), send("t", 1)], vec![]);
    let live = accept(store, "1", both(), 0).deliveries;
    let archived = store.find("1").unwrap().remove(0);
    let name = "monday".to_owned();
    let replayed = store.accept_replay(&archived, incoming("1"), both(), name, at(1));
    let replayed = replayed.unwrap();
    assert_eq!((replayed.deliveries.len(), replayed.calls), (1, 1));
    let (record, _) = store.delivery(replayed.deliveries[0]).unwrap().unwrap();
    assert_eq!(record.delivery.action, send("t", 1));
    assert!(answer(store, live[0], None, ok(), 2).is_some());
    assert_eq!(store.redrive(live[0], at(3)), Ok(false));
    assert_eq!(store.drop_dead_letter(live[0], at(3)), Ok(false));
    assert_eq!(status(store, live[0]).0, DeliveryStatus::Answered);
}

pub(super) fn events_of_waiting_calls_are_kept(backend: &dyn Backend) {
    let store = &*backend.open();
    let retention = Retention {
        age: SignedDuration::from_secs(10),
        ..Retention::default()
    };
    let removed = |second| store.prune(&retention, at(second)).unwrap().events;
    let id = accept_call(store, "1", "r", 0);
    assert_eq!(removed(1_000), 0);
    assert_eq!(store.cancel(id, at(1_001)), Ok(true));
    assert_eq!(removed(2_000), 0);
    assert!(answer(store, id, None, ok(), 2_001).is_some());
    assert_eq!(removed(2_002), 1);
    assert_eq!(store.delivery(id).unwrap(), None);
    assert_eq!(store.deliveries_of(1, ALL).unwrap().deliveries, []);
}

/// A target that took calls, and is of another type after a reload.
pub(super) fn a_call_that_was_sent_as_a_message_is_answered(backend: &dyn Backend) {
    let store = &*backend.open();
    let decisions = [
        (Decision::Delivered, OwnCode::OutcomeUnknown),
        (dead_letter("no"), OwnCode::Undelivered),
    ];
    for (number, (decision, code)) in decisions.into_iter().enumerate() {
        let id = accept_call(store, &number.to_string(), "r", 0);
        let claimed = claim_one(store, 0);
        let settled = store.submit_settle(claimed, attempt("delivered"), decision, at(1));
        assert!(settled.wait().unwrap().dead_letter.is_none());
        assert_eq!(codes(store)[number], (id, code));
        assert_eq!(status(store, id).2, 1);
    }
}
