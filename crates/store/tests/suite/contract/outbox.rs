//! Promises about claims, attempts and dead letters.

use std::sync::{Arc, Mutex};

use reflexarc_delivery::{DeadLetterCause, Decision, Delivery};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, StateChange};
use reflexarc_store::{
    ClaimLimit, DeliveryRecord, DeliveryStatus, EndedAttempt, MAX_LISTED, PageLimits, Store,
};

use super::Backend;
use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, incoming, incoming_of, send};

pub(super) fn a_claim_lasts_for_its_lease_or_until_a_restart(backend: &dyn Backend) {
    let store = backend.open();
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1)], vec![]),
            at(0),
        )
        .unwrap();
    assert_eq!(store.claim("other", at(0), LEASE, 10).unwrap(), []);
    let claimed = store.claim("t", at(0), LEASE, 10).unwrap();
    assert_eq!((claimed.len(), claimed[0].attempt), (1, 1));
    assert_eq!(store.claim("t", at(59), LEASE, 10).unwrap(), []);
    assert_eq!(store.next_due("t").unwrap(), Some(at(60)));
    assert_eq!(store.claim("t", at(60), LEASE, 10).unwrap(), claimed);
    assert_eq!(store.release_claims(at(61)).unwrap(), 1);
    assert_eq!(store.claim("t", at(61), LEASE, 10).unwrap(), claimed);
}

pub(super) fn claims_are_bounded_in_bytes(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |id: usize, eni| {
        let large = Action::send("t", Json::from("x".repeat(10_000)));
        let accepted = store.accept(
            incoming_of(&id.to_string(), eni),
            evaluation("r", vec![large], vec![]),
            at(0),
        );
        assert_eq!(accepted.unwrap().deliveries.len(), 1);
    };
    let claim = |bytes| {
        let limit = ClaimLimit {
            deliveries: 100,
            run: 100,
            bytes,
            retries_first: false,
            sends_alone: false,
        };
        let claimed = store.submit_claim("t", at(1), LEASE, limit).wait().unwrap();
        let sizes: Vec<usize> = claimed.runs.iter().flatten().map(Delivery::bytes).collect();
        assert!(sizes.iter().all(|size| (10_000..12_000).contains(size)));
        sizes.len()
    };
    for (id, eni) in ["eni-1", "eni-2", "", "eni-3"].iter().enumerate() {
        accept(id, eni);
    }
    // The last one may go beyond it; one is taken whatever its size.
    assert_eq!(claim(25_000), 3);
    assert_eq!(claim(0), 1);
    assert_eq!(claim(usize::MAX), 0);
    // A run.
    for id in 10..15 {
        accept(id, "eni-9");
    }
    assert_eq!(claim(25_000), 3);
}

pub(super) fn attempts_that_end_together_are_settled_as_if_alone(backend: &dyn Backend) {
    let store = backend.open();
    let actions = vec![send("t", 1); 4];
    let accepted = store.accept(incoming("1"), evaluation("r", actions, vec![]), at(0));
    let ids = accepted.unwrap().deliveries;
    let decisions = [
        Decision::Delivered,
        Decision::RetryAt(at(90)),
        dead_letter("no"),
        Decision::Delivered,
    ];
    let claimed = store.claim("t", at(1), LEASE, 4).unwrap();
    let ended = claimed.into_iter().zip(decisions);
    let ended = ended.map(|(delivery, decision)| EndedAttempt {
        delivery,
        outcome: attempt("sent"),
        decision,
    });
    let settled = store.submit_settle_together(Arc::new(ended.collect()), at(2));
    let settled = settled.wait().unwrap();
    assert_eq!(settled.len(), 4);
    let letters = settled.iter().map(|one| one.dead_letter.is_some());
    assert_eq!(letters.collect::<Vec<_>>(), [false, false, true, false]);
    let status = |id| {
        let (record, attempts) = store.delivery(id).unwrap().unwrap();
        assert_eq!(attempts.len(), 1);
        record.status
    };
    let expected = [
        DeliveryStatus::Delivered,
        DeliveryStatus::Pending,
        DeliveryStatus::Dead,
        DeliveryStatus::Delivered,
    ];
    assert_eq!(ids.into_iter().map(status).collect::<Vec<_>>(), expected);
    assert_eq!(store.next_due("t").unwrap(), Some(at(90)));
}

pub(super) fn a_retry_keeps_its_due_time_over_a_restart(backend: &dyn Backend) {
    let store = backend.open();
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1)], vec![]),
            at(0),
        )
        .unwrap();
    let delivery = store.claim("t", at(0), LEASE, 10).unwrap().remove(0);
    store
        .settle(
            delivery,
            attempt("failed"),
            Decision::RetryAt(at(100)),
            at(2),
        )
        .unwrap();
    assert_eq!(store.release_claims(at(3)).unwrap(), 0);
    assert_eq!(store.claim("t", at(99), LEASE, 10).unwrap(), []);
    assert_eq!(store.claim("t", at(100), LEASE, 10).unwrap()[0].attempt, 2);
}

/// Times are read before what waits for the writer: what was written since lies in the future.
pub(super) fn a_release_by_a_time_read_before_hastens_no_retry(backend: &dyn Backend) {
    type Release = fn(&dyn Store);
    let releases: [Release; 2] = [
        |store| assert_eq!(store.release_claims(at(2)), Ok(0)),
        |store| assert_eq!(store.submit_release_claims("t", at(2)).wait(), Ok(0)),
    ];
    for (id, release) in ["1", "2"].into_iter().zip(releases) {
        let store = backend.open();
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        store.accept(incoming(id), evaluation, at(0)).unwrap();
        let delivery = store.claim("t", at(2), LEASE, 10).unwrap().remove(0);
        let retry = Decision::RetryAt(at(30));
        store
            .settle(delivery.clone(), attempt("failed"), retry, at(3))
            .unwrap();
        release(&*store);
        assert_eq!(store.claim("t", at(29), LEASE, 10).unwrap(), []);
        assert_eq!(store.claim("t", at(30), LEASE, 10).unwrap().len(), 1);
        assert!(store.cancel(delivery.id, at(31)).unwrap());
    }
}

pub(super) fn a_retry_is_due_after_the_clock_was_set_back(backend: &dyn Backend) {
    let store = backend.open();
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1)], vec![]),
            at(1_000_000),
        )
        .unwrap();
    let delivery = store
        .claim("t", at(1_000_000), LEASE, 10)
        .unwrap()
        .remove(0);
    store
        .settle(
            delivery,
            attempt("failed"),
            Decision::RetryAt(at(1_000_005)),
            at(1_000_000),
        )
        .unwrap();
    assert_eq!(store.claim("t", at(0), LEASE, 10).unwrap().len(), 1);
}

pub(super) fn a_delivery_ends_delivered_dead_or_cancelled(backend: &dyn Backend) {
    let store = backend.open();
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1), send("t", 2), send("t", 3)], vec![]),
            at(0),
        )
        .unwrap();
    let mut claimed = store.claim("t", at(0), LEASE, 10).unwrap();
    let (cancelled, dead, good) = (claimed.remove(0), claimed.remove(0), claimed.remove(0));
    store
        .settle(
            good.clone(),
            attempt("delivered"),
            Decision::Delivered,
            at(3),
        )
        .unwrap();
    store
        .settle(dead.clone(), attempt("refused"), dead_letter("no"), at(4))
        .unwrap();
    assert!(
        store.cancel(cancelled.id, at(5)).unwrap() && !store.cancel(cancelled.id, at(5)).unwrap()
    );
    // It was cancelled while it was being sent, and failed: it stays cancelled.
    store
        .settle(
            cancelled.clone(),
            attempt("failed"),
            Decision::RetryAt(at(6)),
            at(6),
        )
        .unwrap();
    let status = |id| store.delivery(id).unwrap().unwrap().0.status;
    assert_eq!(
        [status(good.id), status(dead.id), status(cancelled.id)],
        [
            DeliveryStatus::Delivered,
            DeliveryStatus::Dead,
            DeliveryStatus::Cancelled
        ]
    );
}

pub(super) fn a_redriven_delivery_starts_again_and_can_be_dropped(backend: &dyn Backend) {
    let store = backend.open();
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1), send("t", 2)], vec![]),
            at(0),
        )
        .unwrap();
    let mut claimed = store.claim("t", at(0), LEASE, 10).unwrap();
    let (dead, good) = (claimed.remove(0), claimed.remove(0));
    let delivered = attempt("delivered");
    store
        .settle(good.clone(), delivered, Decision::Delivered, at(3))
        .unwrap();
    let refused = dead_letter("no");
    store
        .settle(dead.clone(), attempt("refused"), refused, at(4))
        .unwrap();

    assert!(store.redrive(dead.id, at(500)).unwrap() && !store.redrive(good.id, at(500)).unwrap());
    let again = store.claim("t", at(500), LEASE, 10).unwrap().remove(0);
    assert_eq!(
        (again.id, again.attempt, again.queued_at, again.created),
        (dead.id, 1, at(500), at(0))
    );
    store
        .settle(again, attempt("refused"), dead_letter("still no"), at(501))
        .unwrap();
    let (entry, attempts) = store.delivery(dead.id).unwrap().unwrap();
    assert_eq!(entry.reason.as_deref(), Some("still no"));
    assert_eq!(
        attempts
            .iter()
            .map(|attempt| (attempt.number, attempt.outcome.as_str()))
            .collect::<Vec<_>>(),
        [(1, "refused"), (2, "refused")]
    );
    assert_eq!(attempts[0].answer, "the response");
    assert!(store.drop_dead_letter(dead.id, at(502)).unwrap());
    assert_eq!(
        store.deliveries(DeliveryStatus::Dead, None, 10).unwrap(),
        []
    );
}

/// Rules with state, with pending deliveries, with both, and with neither any more.
pub(super) fn rules_in_use_have_state_or_pending_deliveries(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.rules_in_use().unwrap(), []);
    let entry = |key: &str| StateChange::Set {
        key: key.into(),
        value: Json::from(1),
        expires: None,
    };
    let accept = |id: &str, rule: &str, actions, changes| {
        let evaluation = evaluation(rule, actions, changes);
        store.accept(incoming(id), evaluation, at(0)).unwrap();
    };
    accept(
        "1",
        "both",
        vec![send("t", 1), send("u", 2)],
        vec![entry("a"), entry("b")],
    );
    accept("2", "state", vec![], vec![entry("a")]);
    accept("3", "waits", vec![send("u", 1)], vec![]);
    accept("4", "done", vec![send("t", 1)], vec![]);
    for delivery in store.claim("t", at(0), LEASE, 10).unwrap() {
        store
            .settle(delivery, attempt("delivered"), Decision::Delivered, at(1))
            .unwrap();
    }
    let used = store.rules_in_use().unwrap();
    let used: Vec<_> = used
        .iter()
        .map(|used| (used.rule.as_str(), used.pending, used.entries))
        .collect();
    assert_eq!(used, [("both", 1, 2), ("state", 0, 1), ("waits", 1, 0)]);
    assert_eq!(store.forget_rule("both").unwrap(), 2);
    assert_eq!(store.forget_rule("unknown").unwrap(), 0);
    let used = store.rules_in_use().unwrap();
    let entries: Vec<_> = used.iter().map(|used| used.entries).collect();
    assert_eq!(entries, [0, 1, 0]);
}

/// Whatever the cause, each dead letter is reported once, after its commit.
pub(super) fn every_dead_letter_is_reported_once(backend: &dyn Backend) {
    let store = backend.open();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let observed = reports.clone();
    store.observe_dead_letters(Arc::new(move |report| {
        observed.lock().unwrap().push(report.clone());
    }));
    let to = |target: &str, count: usize| (0..count).map(|_| send(target, 7)).collect();
    let accept = |id: &str, actions| {
        let evaluation = evaluation("r", actions, vec![]);
        store.accept(incoming(id), evaluation, at(0)).unwrap();
    };
    let causes = [
        DeadLetterCause::Refused,
        DeadLetterCause::Misconfigured,
        DeadLetterCause::Exhausted,
        DeadLetterCause::Expired,
    ];
    accept("1", to("t", causes.len() + 2));
    let mut claimed = store.claim("t", at(0), LEASE, 10).unwrap();
    for cause in causes {
        let decision = Decision::DeadLetter {
            cause,
            reason: "no".into(),
        };
        let delivery = claimed.pop().unwrap();
        store
            .settle(delivery, attempt("failed"), decision, at(1))
            .unwrap();
        let report = reports.lock().unwrap().pop().unwrap();
        assert_eq!((report.target.as_str(), report.cause), ("t", cause));
        assert_eq!((report.reason.as_str(), report.count), ("no", 1));
        let letter = &report.letters[0];
        assert_eq!((letter.rule.as_str(), letter.event.id.as_str()), ("r", "1"));
    }
    // Neither a cancelled delivery nor a delivered one is a dead letter.
    let (cancelled, delivered) = (claimed.pop().unwrap(), claimed.pop().unwrap());
    store.cancel(cancelled.id, at(2)).unwrap();
    store
        .settle(cancelled, attempt("failed"), dead_letter("no"), at(3))
        .unwrap();
    store
        .settle(delivered, attempt("delivered"), Decision::Delivered, at(3))
        .unwrap();
    assert_eq!(reports.lock().unwrap().len(), 0);

    accept("2", to("gone", MAX_LISTED + 5));
    let count = store
        .dead_letter_target("gone", "unknown".into(), at(4))
        .unwrap();
    assert_eq!(count, MAX_LISTED as u64 + 5);
    let report = reports.lock().unwrap().pop().unwrap();
    assert_eq!(report.cause, DeadLetterCause::UnknownTarget);
    assert_eq!((report.count, report.letters.len()), (count, MAX_LISTED));
    store
        .dead_letter_target("gone", "unknown".into(), at(5))
        .unwrap();
    assert_eq!(reports.lock().unwrap().len(), 0, "there are none left");
    assert_eq!(
        store.dead_letter_counts().unwrap(),
        [("gone".to_owned(), count), ("t".to_owned(), 4)]
    );
    let newest = store.newest_dead_letters(2).unwrap();
    assert_eq!(newest.len(), 2);
    assert!(newest.iter().all(|record| record.delivery.target == "gone"));
}

pub(super) fn pages_have_every_delivery_once_and_are_bounded(backend: &dyn Backend) {
    let store = backend.open();
    for number in 0..10 {
        let large = Action::send("t", "x".repeat(1_000));
        let actions = vec![send("t", number), large];
        let event = incoming(&number.to_string());
        // Several of them at the same time.
        let accepted = store.accept(event, evaluation("r", actions, vec![]), at(number / 4));
        assert_eq!(accepted.unwrap().deliveries.len(), 2);
    }
    let expected = store.deliveries(DeliveryStatus::Pending, None, 99).unwrap();
    for (deliveries, bytes) in [
        (1, 1 << 20),
        (7, 1 << 20),
        (20, 1 << 20),
        (99, 1),
        (99, 2_500),
    ] {
        let limits = PageLimits {
            rows: deliveries,
            bytes,
        };
        let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = store.delivery_page(DeliveryStatus::Pending, None, after, limits);
            let page = page.unwrap();
            let sizes = page.deliveries.iter();
            let size: usize = sizes
                .map(|one| one.delivery.action.to_json().to_string().len())
                .sum();
            assert!(
                page.deliveries.len() == 1 || size <= bytes,
                "{size} of {bytes}"
            );
            assert!((1..=deliveries).contains(&page.deliveries.len()));
            listed.extend(page.deliveries);
            pages += 1;
            // Through its text, as clients have it.
            after = page.next.map(|next| next.to_string().parse().unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "{limits:?}");
        assert!(pages >= 20_usize.div_ceil(deliveries));
    }
    // What leaves the list between two pages does not move the others.
    let limits = PageLimits {
        rows: 5,
        bytes: 1 << 20,
    };
    let first = store
        .delivery_page(DeliveryStatus::Pending, None, None, limits)
        .unwrap();
    for one in &first.deliveries {
        assert!(store.cancel(one.delivery.id, at(9)).unwrap());
    }
    let second = store.delivery_page(DeliveryStatus::Pending, None, first.next, limits);
    let ids = |records: &[DeliveryRecord]| -> Vec<_> {
        let ids = records.iter().map(|record| record.delivery.id);
        ids.collect()
    };
    assert_eq!(ids(&second.unwrap().deliveries), ids(&expected[5..10]));
    let none = store
        .delivery_page(DeliveryStatus::Dead, None, None, limits)
        .unwrap();
    assert!(none.deliveries.is_empty() && none.next.is_none());
}
