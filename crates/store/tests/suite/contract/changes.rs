//! How many changes calls may make, and which of them may have been sent.

use jiff::SignedDuration;
use reflexarc_delivery::{ChangeLimit, Decision, DeliveryId};
use reflexarc_reaction::{CallAnswer, OwnCode};
use reflexarc_store::ChangeReservation::{LimitReached, Reserved, SentBefore, Withdrawn};
use reflexarc_store::{ChangePeriod, ChangeReservation, Store, TargetPause, TimeTransaction};

use super::Backend;
use super::calls::{accept_call, answer, claim_one, ok, withdrawn};
use crate::samples::{at, attempt};

const LIMIT: ChangeLimit = ChangeLimit {
    per_minute: 2,
    per_day: 4,
};
const PER_MINUTE: ChangeReservation = LimitReached {
    per: ChangePeriod::Minute,
};
const PER_DAY: ChangeReservation = LimitReached {
    per: ChangePeriod::Day,
};

fn reserve(store: &dyn Store, id: DeliveryId, second: i64) -> ChangeReservation {
    let reserved = store.submit_reserve_change("t", id, LIMIT, at(second));
    reserved.wait().unwrap()
}

/// A new change of `t`, which is answered if it may be sent.
fn change(store: &dyn Store, second: i64) -> ChangeReservation {
    let number = store.newest_event().unwrap();
    let id = accept_call(store, &format!("{second} {number:?}"), "r", second);
    let reserved = reserve(store, id, second);
    assert!(answer(store, id, None, ok(), second).is_some());
    reserved
}

fn shift(store: &dyn Store, seconds: i64) {
    let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
        transaction.shift_times(SignedDuration::from_secs(seconds))?;
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
}

fn stops(store: &dyn Store) -> Vec<(String, i64, ChangePeriod, u32)> {
    let stops = store.change_stops().unwrap().into_iter();
    stops
        .map(|(target, stop)| (target, stop.since.as_second(), stop.per, stop.limit))
        .collect()
}

pub(super) fn a_change_counts_once_and_is_closed_by_a_retry(backend: &dyn Backend) {
    let store = backend.open();
    let id = accept_call(&*store, "1", "r", 0);
    for second in 0..5 {
        let claimed = claim_one(&*store, second);
        assert_eq!(reserve(&*store, id, second), Reserved);
        let retry = Decision::RetryAt(at(second + 1));
        store
            .settle(claimed, attempt("throttled"), retry, at(second))
            .unwrap();
    }
    // An attempt without a known outcome leaves it open.
    let claimed = claim_one(&*store, 5);
    assert_eq!(reserve(&*store, id, 5), Reserved);
    assert_eq!(reserve(&*store, id, 5), SentBefore);
    let retry = Decision::RetryAt(at(6));
    store
        .settle(claimed, attempt("unknown"), retry, at(5))
        .unwrap();
    assert_eq!(reserve(&*store, id, 6), SentBefore);
    // So does a crash.
    drop(store);
    let store = &*backend.open();
    store.release_claims(at(6)).unwrap();
    assert_eq!(reserve(store, id, 6), SentBefore);
    assert!(answer(store, id, Some(attempt("answered")), ok(), 7).is_some());
    assert_eq!((change(store, 8), change(store, 9)), (Reserved, PER_MINUTE));
}

pub(super) fn a_target_stops_at_its_limit_until_it_is_resumed(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(
        (change(&*store, 0), change(&*store, 1)),
        (Reserved, Reserved)
    );
    assert_eq!(stops(&*store), []);
    assert_eq!(change(&*store, 59), PER_MINUTE);
    let minute = |since| {
        let since = at(since).as_second();
        ("t".to_owned(), since, ChangePeriod::Minute, 2)
    };
    assert_eq!(stops(&*store), [minute(59)]);
    drop(store);
    let store = &*backend.open();
    // Time does not end it, nor does a pause.
    assert_eq!(change(store, 1_000_000), PER_MINUTE);
    let pause = TargetPause {
        since: at(0),
        by: "me".into(),
        reason: None,
    };
    store.set_pause("t", Some(pause)).unwrap();
    assert_eq!(stops(store), [minute(59)]);
    store.set_pause("t", None).unwrap();
    assert_eq!(stops(store), []);
    let resumed = 1_000_010;
    assert_eq!(change(store, resumed), Reserved, "it counts from the start");
    assert_eq!(change(store, resumed), Reserved);
    assert_eq!(change(store, resumed + 60), Reserved, "a minute later");
    assert_eq!(change(store, resumed + 60), Reserved);
    assert_eq!(change(store, resumed + 86_399), PER_DAY);
    store.set_pause("t", None).unwrap();
    // Another target has a count of its own.
    let id = accept_call(store, "other", "r", resumed);
    let other = store.submit_reserve_change("u", id, LIMIT, at(resumed));
    assert_eq!(other.wait(), Ok(Reserved));
}

pub(super) fn a_change_that_may_have_been_sent_is_not_denied(backend: &dyn Backend) {
    let store = &*backend.open();
    let id = accept_call(store, "1", "r", 0);
    claim_one(store, 0);
    assert_eq!(reserve(store, id, 0), Reserved);
    assert_eq!(change(store, 1), Reserved);
    assert_eq!(change(store, 2), PER_MINUTE);
    // Its process was killed: it may have been executed, whatever stands against it now.
    store.release_claims(at(3)).unwrap();
    assert_eq!(reserve(store, id, 3), SentBefore);
    let expired = store.submit_expire_calls("t", at(1), at(4));
    assert_eq!(expired.wait(), Ok(1));
    let call = withdrawn(store).remove(0);
    assert_eq!(call.code, OwnCode::OutcomeUnknown);
    assert!(
        call.reason.contains("Expired: it was not sent in time"),
        "{call:?}"
    );
    assert!(answer(store, id, None, ok(), 5).is_some());
    // An answer that says so is not given either, unless it is that of an attempt.
    store.set_pause("t", None).unwrap();
    for (with, expected) in [
        (None, OwnCode::OutcomeUnknown),
        (Some(attempt("failed")), OwnCode::RuleGone),
    ] {
        let id = accept_call(store, &format!("{expected}"), "r", 6);
        assert_eq!(reserve(store, id, 6), Reserved);
        let gone = CallAnswer::own(OwnCode::RuleGone, "it is gone");
        let settled = answer(store, id, with, gone, 6).unwrap();
        assert_eq!(settled.answer.own_code(), Some(expected));
        assert!(settled.answer.message.ends_with("it is gone"));
    }
    // Old ones are removed, unless their outcome is not known.
    let open = accept_call(store, "open", "r", 100);
    assert_eq!(reserve(store, open, 100), Reserved);
    let retention = reflexarc_store::Retention::default();
    store.prune(&retention, at(100 + 86_400)).unwrap();
    assert_eq!(reserve(store, open, 100 + 86_400), SentBefore);
}

pub(super) fn what_was_cancelled_before_it_was_sent_is_not_sent(backend: &dyn Backend) {
    let store = &*backend.open();
    let id = accept_call(store, "1", "r", 0);
    claim_one(store, 0);
    assert_eq!(store.cancel(id, at(0)), Ok(true));
    assert_eq!(reserve(store, id, 0), Withdrawn);
    store.submit_release(vec![id], at(0)).wait().unwrap();
    assert_eq!(withdrawn(store)[0].code, OwnCode::Cancelled);
    assert!(answer(store, id, None, ok(), 0).is_some());
    assert_eq!(reserve(store, id, 0), Withdrawn);
    // One that was sent, and is cancelled before it is sent again.
    let sent = accept_call(store, "2", "r", 1);
    let claimed = claim_one(store, 1);
    assert_eq!(reserve(store, sent, 1), Reserved);
    let retry = Decision::RetryAt(at(2));
    store
        .settle(claimed, attempt("unknown"), retry, at(1))
        .unwrap();
    claim_one(store, 2);
    assert_eq!(store.cancel(sent, at(2)), Ok(true));
    assert_eq!(reserve(store, sent, 2), Withdrawn);
    store.submit_release(vec![sent], at(2)).wait().unwrap();
    assert_eq!(withdrawn(store)[0].code, OwnCode::OutcomeUnknown);
}

pub(super) fn the_clock_does_not_open_the_limit(backend: &dyn Backend) {
    let store = &*backend.open();
    assert_eq!((change(store, 0), change(store, 1)), (Reserved, Reserved));
    // Set forwards by a day, and back by two.
    shift(store, 86_400);
    assert_eq!(change(store, 86_402), PER_MINUTE);
    store.set_pause("t", None).unwrap();
    assert_eq!(change(store, 86_402), Reserved);
    shift(store, -2 * 86_400);
    assert_eq!(change(store, -86_397), Reserved);
    assert_eq!(change(store, -86_396), PER_MINUTE);
    // Set back while nothing ran: what was done is not in the past.
    store.set_pause("t", None).unwrap();
    assert_eq!((change(store, 0), change(store, 0)), (Reserved, Reserved));
    assert_eq!(change(store, -3_600), PER_MINUTE);
}
