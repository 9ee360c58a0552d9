//! The contract of [`Store`]: what every backend promises, run on each of them.
//!
//! A backend adds itself with `contract_tests!` at the end of this file. A promise is a function
//! over a [`Backend`], listed in the macro.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::{DeadLetterCause, Decision};
use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_store::{DeliveryStatus, MAX_LISTED, Retention, Selection, Store};

use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, incoming, open, send};

/// A place for one store. Opening it again, after the store was dropped, finds what was stored.
trait Backend {
    fn open(&self) -> Box<dyn Store>;
}

/// A SQLite file in a folder of its own.
struct Sqlite(tempfile::TempDir);

impl Backend for Sqlite {
    fn open(&self) -> Box<dyn Store> {
        Box::new(open(self.0.path()))
    }
}

/// Runs every promise on a new backend.
macro_rules! contract_tests {
    ($module:ident, $backend:expr, [$($promise:ident,)*]) => {
        mod $module {
            use super::*;

            $(
                #[test]
                fn $promise() {
                    super::$promise(&$backend);
                }
            )*
        }
    };
}

/// The promises, each once: a backend that leaves one out does not compile.
macro_rules! every_promise {
    ($module:ident, $backend:expr) => {
        contract_tests!(
            $module,
            $backend,
            [
                accepting_stores_event_state_and_deliveries,
                a_duplicate_does_nothing_and_after_the_window_is_new,
                copies_agree_in_source_id_name_resource_and_time,
                a_claim_lasts_for_its_lease_or_until_a_restart,
                a_retry_keeps_its_due_time_over_a_restart,
                a_retry_is_due_after_the_clock_was_set_back,
                a_delivery_ends_delivered_dead_or_cancelled,
                a_redriven_delivery_starts_again_and_can_be_dropped,
                pruning_removes_old_events_without_open_deliveries,
                pruning_by_size_removes_the_oldest_events,
                the_archive_is_walked_in_order_across_pages,
                every_dead_letter_is_reported_once,
            ]
        );
    };
}

every_promise!(sqlite, Sqlite(tempfile::tempdir().unwrap()));

fn accepting_stores_event_state_and_deliveries(backend: &dyn Backend) {
    let store = backend.open();
    let change = StateChange::Set {
        key: "count".into(),
        value: Json::from(3),
        expires: None,
    };
    let accepted = store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1), send("u", 2)], vec![change]),
            at(0),
        )
        .unwrap();
    assert_eq!((accepted.duplicate, accepted.deliveries.len()), (false, 2));
    assert_eq!(accepted.targets, ["t", "u"]);
    let expected = incoming("1").deliveries(
        &evaluation("r", vec![send("t", 1), send("u", 2)], vec![]),
        at(0),
    );
    assert_eq!(
        expected
            .iter()
            .map(|delivery| delivery.id)
            .collect::<Vec<_>>(),
        accepted.deliveries
    );

    drop(store);
    let store = backend.open();
    let found = store.find("1").unwrap();
    assert_eq!(found[0].event.bytes(), incoming("1").native.bytes());
    assert_eq!(
        (found[0].name.source.as_str(), found[0].received),
        ("acs.ecs", at(0))
    );
    let evaluation_json = found[0].evaluation.as_ref().unwrap();
    assert_eq!(
        evaluation_json.get("rules").unwrap().elements()[0]
            .get("log")
            .unwrap()
            .to_string(),
        r#"["a line"]"#
    );
    assert_eq!(
        store.state(at(0)).unwrap(),
        [("r".to_owned(), "count".to_owned(), "3".to_owned())]
    );
    let pending = store.deliveries(DeliveryStatus::Pending, None, 10).unwrap();
    assert_eq!(
        pending
            .iter()
            .map(|entry| entry.delivery.id)
            .collect::<std::collections::BTreeSet<_>>(),
        accepted.deliveries.iter().copied().collect()
    );
}

fn a_duplicate_does_nothing_and_after_the_window_is_new(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |second| {
        store
            .accept(
                incoming("1"),
                evaluation("r", vec![send("t", 1)], vec![]),
                at(second),
            )
            .unwrap()
    };
    let first = accept(0);
    let copy = accept(86_399);
    assert_eq!(
        (copy.duplicate, copy.seq, copy.deliveries.len()),
        (true, first.seq, 0)
    );
    let late = accept(86_401);
    // The archive has it twice; the delivery id is derived from the event, so there is one.
    assert_eq!((late.duplicate, late.deliveries.len()), (false, 0));
    assert_eq!(store.find("1").unwrap().len(), 2);
    assert_eq!(
        store
            .deliveries(DeliveryStatus::Pending, None, 10)
            .unwrap()
            .len(),
        1
    );
}

fn copies_agree_in_source_id_name_resource_and_time(backend: &dyn Backend) {
    let store = backend.open();
    let accept = |text: &str| {
        let event = reflexarc_event::Event::from_json(text).unwrap();
        let incoming = reflexarc_store::Incoming::new(event).unwrap();
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        let accepted = store.accept(incoming, evaluation, at(0)).unwrap();
        // An event that is accepted is also delivered, though others have its source and id.
        assert_eq!(accepted.deliveries.len(), usize::from(!accepted.duplicate));
        accepted.duplicate
    };
    let event = |id: &str, name: &str, resource: &str, time: &str| {
        format!(
            r#"{{"id":"{id}","product":"ECS","name":"{name}","resourceId":"{resource}",
                "eventTime":"20190409T{time}+0800"}}"#
        )
    };
    let rows = [
        (event("A", "Disk:New", "d-1", "121826.922"), false, "first"),
        (event("A", "Disk:New", "d-1", "121826.922"), true, "a copy"),
        (event("A", "Disk:Old", "d-1", "121826.922"), false, "name"),
        (
            event("A", "Disk:New", "d-2", "121826.922"),
            false,
            "resource",
        ),
        (event("A", "Disk:New", "d-1", "121827.922"), false, "time"),
        (event("B", "Disk:New", "d-1", "121826.922"), false, "id"),
        (
            event("8B****A5", "Disk:New", "d-1", "121826.922"),
            false,
            "masked",
        ),
        (
            event("8B****A5", "Disk:New", "d-2", "121826.922"),
            false,
            "masked, resource",
        ),
        (
            event("8B****A5", "Disk:New", "d-2", "121826.922"),
            true,
            "masked, a copy",
        ),
        (
            r#"{"id":"7","product":"ECS"}"#.to_owned(),
            false,
            "few fields",
        ),
        (r#"{"id":"7","product":"VPC"}"#.to_owned(), false, "source"),
        // The same event by way of EventBridge, whose source is spelled otherwise.
        (
            r#"{"id":"7","source":"acs.ecs"}"#.to_owned(),
            true,
            "source of EventBridge",
        ),
        (
            r#"{"specversion":"1.0","id":"A","source":"acs.ecs","type":"ecs:Disk:New",
                "subject":"d-1","time":"2019-04-09T12:18:26.922+08:00","data":{}}"#
                .to_owned(),
            true,
            "a copy in another envelope",
        ),
        (r#"{"kind":"tick"}"#.to_owned(), false, "no id"),
        (r#"{"kind":"tick"}"#.to_owned(), false, "no id, again"),
    ];
    for (text, duplicate, case) in rows {
        assert_eq!(accept(&text), duplicate, "{case}");
    }
}

fn a_claim_lasts_for_its_lease_or_until_a_restart(backend: &dyn Backend) {
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

fn a_retry_keeps_its_due_time_over_a_restart(backend: &dyn Backend) {
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

fn a_retry_is_due_after_the_clock_was_set_back(backend: &dyn Backend) {
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

fn a_delivery_ends_delivered_dead_or_cancelled(backend: &dyn Backend) {
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

fn a_redriven_delivery_starts_again_and_can_be_dropped(backend: &dyn Backend) {
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

fn pruning_removes_old_events_without_open_deliveries(backend: &dyn Backend) {
    let store = backend.open();
    for (id, second) in [("old", 0), ("waiting", 1), ("young", 5_000)] {
        store
            .accept(
                incoming(id),
                evaluation("r", vec![send(id, 1)], vec![]),
                at(second),
            )
            .unwrap();
    }
    let done = store.claim("old", at(2), LEASE, 1).unwrap().remove(0);
    store
        .settle(
            done.clone(),
            attempt("delivered"),
            Decision::Delivered,
            at(2),
        )
        .unwrap();
    let keep = Retention {
        age: SignedDuration::from_secs(3_000),
        bytes: None,
    };
    assert_eq!(store.prune(&keep, at(5_000)).unwrap(), 1);
    let left = |name| store.find(name).unwrap().len();
    assert_eq!([left("old"), left("waiting"), left("young")], [0, 1, 1]);
    assert_eq!(store.delivery(done.id).unwrap(), None);
}

fn pruning_by_size_removes_the_oldest_events(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..3_000 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    let before = store.used_bytes().unwrap();
    let keep = Retention {
        age: SignedDuration::from_hours(1_000_000),
        bytes: Some(before / 2),
    };
    let gone = store.prune(&keep, at(3_000)).unwrap();
    assert!(store.used_bytes().unwrap() <= before / 2, "{gone} went");
    assert!(
        gone >= 1_000
            && store.find("2999").unwrap().len() == 1
            && store.find("0").unwrap().is_empty(),
        "{gone} went"
    );
}

fn the_archive_is_walked_in_order_across_pages(backend: &dyn Backend) {
    let store = backend.open();
    for id in 0..600 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    let mut ids = Vec::new();
    let wanted = Selection {
        from: Some(at(10)),
        to: Some(at(590)),
        id: None,
    };
    store
        .walk(&wanted, &mut |event| {
            ids.push(event.unwrap().name.id.parse::<i64>().unwrap());
            ids.len() < 570
        })
        .unwrap();
    assert_eq!(ids, (10..580).collect::<Vec<_>>());
    let verdict = store.verify_archive().unwrap();
    assert_eq!((verdict.events, verdict.damaged.len()), (600, 0));
}

/// Whatever the cause, each dead letter is reported once, after its commit.
fn every_dead_letter_is_reported_once(backend: &dyn Backend) {
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
