use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::{DeadLetterCause, Decision};
use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_service::StoreError;
use reflexarc_service::store::{AttemptOutcome, DeliveryStatus, MAX_LISTED, Retention, Selection};

use crate::samples::{at, evaluation, incoming, open, send, try_open};

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn attempt(outcome: &'static str) -> AttemptOutcome {
    AttemptOutcome {
        started: at(1),
        took: SignedDuration::from_millis(5),
        outcome,
        answer: "the response".into(),
        delivered_parts: Vec::new(),
    }
}

#[test]
fn accepting_stores_event_state_and_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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
    let store = open(folder.path());
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

#[test]
fn a_duplicate_does_nothing_and_after_the_window_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn copies_agree_in_source_id_name_resource_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |text: &str| {
        let event = reflexarc_event::Event::from_json(text).unwrap();
        let incoming = reflexarc_service::Incoming::new(event).unwrap();
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

#[test]
fn a_claim_lasts_for_its_lease_or_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn a_retry_keeps_its_due_time_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn a_retry_is_due_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn a_delivery_ends_delivered_dead_or_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

fn dead_letter(reason: &str) -> Decision {
    Decision::DeadLetter {
        cause: DeadLetterCause::Refused,
        reason: reason.into(),
    }
}

#[test]
fn a_redriven_delivery_starts_again_and_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn pruning_removes_old_events_without_open_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn pruning_by_size_removes_the_oldest_events() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn the_archive_is_walked_in_order_across_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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
        .walk(&wanted, |event| {
            ids.push(event.name.id.parse::<i64>().unwrap());
            ids.len() < 570
        })
        .unwrap();
    assert_eq!(ids, (10..580).collect::<Vec<_>>());
    let verdict = store.verify_archive().unwrap();
    assert_eq!((verdict.events, verdict.damaged.len()), (600, 0));
}

#[test]
fn a_full_store_accepts_again_after_pruning() {
    let folder = tempfile::tempdir().unwrap();
    let store = try_open(folder.path(), Some(400_000)).unwrap();
    let mut accepted = 0;
    let error = loop {
        match store.accept(
            incoming(&accepted.to_string()),
            Evaluation::default(),
            at(accepted),
        ) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::Full);
    assert!(accepted > 100);
    assert_eq!(
        store.verify_archive().unwrap().events,
        accepted.unsigned_abs()
    );
    assert!(store.find(&accepted.to_string()).unwrap().is_empty());
    let keep = Retention {
        age: SignedDuration::ZERO,
        bytes: None,
    };
    assert_eq!(
        store.prune(&keep, at(accepted)).unwrap(),
        accepted.unsigned_abs()
    );
    store
        .accept(incoming("after"), Evaluation::default(), at(0))
        .unwrap();
}

#[test]
fn a_damaged_store_is_refused_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(folder.path());
    for id in 0..500 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();

    let last_page = whole.len() - 4_096;
    let mut damaged = whole.clone();
    damaged[last_page..].fill(0xA5);
    let truncated = &whole[..whole.len() - 5_000];
    for bytes in [&damaged[..], truncated] {
        std::fs::write(&path, bytes).unwrap();
        let error = try_open(folder.path(), None).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("store.db is damaged and was left as it is"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    std::fs::write(&path, "some notes, not a database at all").unwrap();
    let error = try_open(folder.path(), None).map(drop).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Foreign { .. } | StoreError::Corrupt { .. }
        ),
        "{error}"
    );
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"some notes, not a database at all"
    );

    std::fs::write(&path, &whole).unwrap();
    assert_eq!(open(folder.path()).verify_archive().unwrap().events, 500);
}

#[test]
fn an_unopenable_log_is_not_reported_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store
        .accept(incoming("1"), Evaluation::default(), at(0))
        .unwrap();
    let path = store.path().to_owned();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    // Not even root can open a folder as a file.
    std::fs::create_dir(folder.path().join("store.db-wal")).unwrap();
    let error = try_open(folder.path(), None).map(drop).unwrap_err();
    assert!(
        matches!(error, StoreError::NotWritable { path: Some(_), .. }),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_of_an_earlier_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1)], vec![]),
            at(0),
        )
        .unwrap();
    let path = store.path().to_owned();
    drop(store);
    let old = "ALTER TABLE delivery DROP COLUMN taken; PRAGMA user_version = 1;";
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(old)
        .unwrap();
    let store = open(folder.path());
    let delivery = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    let part = AttemptOutcome {
        delivered_parts: vec!["a".into()],
        ..attempt("partly")
    };
    store
        .settle(delivery, part, Decision::NextPart, at(1))
        .unwrap();
    drop(store);
    let again = open(folder.path())
        .claim("t", at(1), LEASE, 1)
        .unwrap()
        .remove(0);
    assert_eq!(
        (again.delivered_parts, again.attempt),
        (vec!["a".to_owned()], 1)
    );
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(
        try_open(folder.path(), None).map(drop),
        Err(StoreError::Foreign { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_marked_file_without_tables_is_opened_as_new() {
    let folder = tempfile::tempdir().unwrap();
    // What earlier versions left behind when they were stopped while creating a store.
    rusqlite::Connection::open(folder.path().join("store.db"))
        .unwrap()
        .execute_batch("PRAGMA application_id = 0x72617263")
        .unwrap();
    let store = open(folder.path());
    let accepted = store.accept(incoming("1"), Evaluation::default(), at(0));
    assert!(!accepted.unwrap().duplicate);
    drop(store);
    assert_eq!(open(folder.path()).find("1").unwrap().len(), 1);
}

#[test]
fn an_interrupted_creation_is_rolled_back_and_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let journal = folder.path().join("store.db-journal");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let batch = "BEGIN IMMEDIATE; CREATE TABLE archive (seq); PRAGMA application_id = 0x72617263";
    connection.execute_batch(batch).unwrap();
    let mut header = std::fs::read(&journal).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    drop(connection);
    // The state between the write of the pages and the removal of the journal, whose header is
    // completed before the pages are written.
    header[..8].copy_from_slice(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7");
    std::fs::write(&journal, header).unwrap();

    let store = open(folder.path());
    let accepted = store.accept(incoming("1"), Evaluation::default(), at(0));
    assert!(!accepted.unwrap().duplicate);
    assert!(!journal.exists());
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let error = try_open(folder.path(), None).map(drop).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has schema version 99, but this program supports versions up to 3"),
        "{error}"
    );
}

#[test]
fn an_unreadable_delivery_does_not_block_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let poisoned = store
        .accept(
            incoming("1"),
            evaluation("r", vec![send("t", 1)], vec![]),
            at(0),
        )
        .unwrap()
        .deliveries[0];
    store
        .accept(
            incoming("2"),
            evaluation("r", vec![send("t", 2)], vec![]),
            at(1),
        )
        .unwrap();
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let sql = "UPDATE delivery SET action = 'nonsense' WHERE id = ?1";
    assert_eq!(direct.execute(sql, [poisoned.as_bytes()]).unwrap(), 1);
    let claimed = store.claim("t", at(2), LEASE, 10).unwrap();
    assert_eq!(
        claimed
            .iter()
            .map(|delivery| delivery.action.clone())
            .collect::<Vec<_>>(),
        [send("t", 2)]
    );
    let dead: i64 = direct
        .query_row(
            "SELECT count(*) FROM delivery WHERE status = 2",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(dead, 1);
}

/// Whatever the cause, each dead letter is reported once, after its commit.
#[test]
fn every_dead_letter_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
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

#[test]
fn unreadable_deliveries_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
    store.accept(incoming("1"), evaluation, at(0)).unwrap();
    rusqlite::Connection::open(store.path())
        .unwrap()
        .execute("UPDATE delivery SET action = '{}'", [])
        .unwrap();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let observed = reports.clone();
    store.observe_dead_letters(Arc::new(move |report| {
        observed.lock().unwrap().push(report.clone());
    }));
    assert!(store.claim("t", at(0), LEASE, 10).unwrap().is_empty());
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].cause, DeadLetterCause::Unreadable);
    assert_eq!(reports[0].letters[0].rule, "r");
}
