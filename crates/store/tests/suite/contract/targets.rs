//! Promises about what is kept of attempts, calls and targets.

use jiff::SignedDuration;
use reflexarc_delivery::{Decision, Delivery, DeliveryId};
use reflexarc_store::{AttemptOutcome, Store, TargetPause};

use super::Backend;
use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, incoming, send};

/// However many attempts there are, the first five and the last four are kept, and the others are
/// counted.
pub(super) fn attempts_after_the_tenth_are_folded(backend: &dyn Backend) {
    let store = backend.open();
    let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
    let id = store
        .accept(incoming("1"), evaluation, at(0))
        .unwrap()
        .deliveries[0];
    for number in 1..=40_u32 {
        let second = i64::from(number);
        let delivery = store.claim("t", at(second), LEASE, 1).unwrap().remove(0);
        assert_eq!(delivery.attempt, number);
        let outcome = AttemptOutcome {
            started: at(second),
            answer: format!("answer {number}"),
            ..attempt("failed")
        };
        let retry = Decision::RetryAt(at(second + 1));
        store.settle(delivery, outcome, retry, at(second)).unwrap();
        let (_, attempts) = store.delivery(id).unwrap().unwrap();
        assert!(attempts.len() <= 10, "{number}");
        // Each attempt is in one of them.
        let counts = attempts.iter();
        let counts = counts.map(|one| one.folded.map_or(1, |folded| folded.count));
        assert_eq!(counts.sum::<u32>(), number);
        let last = attempts.last().unwrap();
        assert_eq!((last.number, last.started), (number, at(second)));
    }
    let (_, attempts) = store.delivery(id).unwrap().unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 37, 38, 39, 40]);
    let folded = &attempts[5];
    assert_eq!(
        (folded.started, folded.answer.as_str()),
        (at(6), "answer 36")
    );
    let (count, last) = folded
        .folded
        .map(|folded| (folded.count, folded.last))
        .unwrap();
    assert_eq!((count, last), (31, at(36)));
}

pub(super) fn digests_are_kept_with_deliveries_and_attempts(backend: &dyn Backend) {
    let store = &*backend.open();
    let evaluation = evaluation("r", vec![send("t", 1); 2], vec![]);
    let accepted = store.accept(incoming("1"), evaluation, at(0)).unwrap();
    let digest = Some(DeliveryId::from([0xff; 16]));
    let [first, second] = accepted.deliveries[..] else {
        panic!("two deliveries")
    };
    let delivery = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    assert_eq!((delivery.id, delivery.digest), (first, None));
    store.submit_digest(vec![first], digest).wait().unwrap();
    // As if the process had been killed.
    store.release_claims(at(1)).unwrap();
    let delivery = store.claim("t", at(1), LEASE, 1).unwrap().remove(0);
    assert_eq!((delivery.id, delivery.digest), (first, digest));
    let retry = Decision::RetryAt(at(2));
    store
        .settle(delivery.clone(), attempt("failed"), retry, at(1))
        .unwrap();
    let alone = Delivery {
        digest: None,
        ..delivery
    };
    store
        .settle(alone, attempt("refused"), dead_letter("no"), at(2))
        .unwrap();
    let (record, attempts) = store.delivery(first).unwrap().unwrap();
    let digests: Vec<_> = attempts.iter().map(|attempt| attempt.digest).collect();
    assert_eq!(
        (record.delivery.digest, digests),
        (digest, vec![digest, None])
    );
    // A new series begins alone.
    assert!(store.redrive(first, at(3)).unwrap());
    let (record, _) = store.delivery(first).unwrap().unwrap();
    assert_eq!(record.delivery.digest, None);
    let (record, _) = store.delivery(second).unwrap().unwrap();
    assert_eq!(record.delivery.digest, None);
}

pub(super) fn recent_calls_are_kept_over_a_kill(backend: &dyn Backend) {
    let calls = |store: &dyn Store, since, now| {
        let calls = store.submit_recent_calls("t", at(since), at(now)).wait();
        calls.unwrap()
    };
    let store = &*backend.open();
    for second in [0, 10, 20] {
        store
            .submit_call("t", at(second), at(second - 15))
            .wait()
            .unwrap();
        store
            .submit_call_end("t", at(second), at(second + 1))
            .wait()
            .unwrap();
    }
    store.submit_call("other", at(20), at(0)).wait().unwrap();
    // That of second 0 was forgotten with the one of second 20.
    assert_eq!(calls(store, 0, 30), [at(11), at(21)]);
    assert_eq!(calls(store, 12, 30), [at(21)]);
    // Killed during a call: it has ended by the time of the next process.
    store.submit_call("t", at(31), at(0)).wait().unwrap();
    assert_eq!(calls(store, 12, 33), [at(21), at(33)]);
    assert_eq!(calls(store, 12, 40), [at(21), at(33)]);
    assert_eq!(calls(store, 34, 40), []);
}

pub(super) fn pauses_are_kept(backend: &dyn Backend) {
    let pause = |second, reason: Option<&str>| TargetPause {
        since: at(second),
        by: "ops".into(),
        reason: reason.map(str::to_owned),
    };
    let store = backend.open();
    assert_eq!(store.paused_targets(), Ok(vec![]));
    store.set_pause("a", Some(pause(1, None))).unwrap();
    store.set_pause("b", Some(pause(2, Some("moved")))).unwrap();
    store.set_pause("c", None).unwrap();
    // Beside other settings of the target.
    let wait = SignedDuration::from_secs(5);
    assert_eq!(store.submit_order_wait("a", wait, at(3)).wait(), Ok(false));
    drop(store);
    let store = backend.open();
    let paused = [
        ("a".to_owned(), pause(1, None)),
        ("b".to_owned(), pause(2, Some("moved"))),
    ];
    assert_eq!(store.paused_targets().unwrap(), paused);
    store.set_pause("a", None).unwrap();
    assert_eq!(store.paused_targets().unwrap(), paused[1..]);
}
