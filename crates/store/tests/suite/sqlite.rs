//! What only a store in a SQLite file does: damage, other programs' files, migrations, a full file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::{DeadLetterCause, Decision};
use reflexarc_event::Json;
use reflexarc_reaction::StateChange;
use reflexarc_store::{
    Archived, AttemptOutcome, AuditFilter, ClaimLimit, DamagedEvent, DeliveryFilter,
    DeliveryStatus, Retention, Selection, Store, StoreError,
};

use crate::samples::{
    ALL, LEASE, at, attempt, call, dead_letter, evaluation, incoming, incoming_of, open, send,
    try_open,
};

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
        dead_letters: None,
    };
    assert_eq!(
        store.prune(&keep, at(accepted)).unwrap().events,
        accepted.unsigned_abs()
    );
    store
        .accept(incoming("after"), Evaluation::default(), at(0))
        .unwrap();
}

#[test]
fn a_truncated_or_foreign_file_is_refused_unchanged() {
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

    let mut damaged = whole.clone();
    damaged[100..4_096].fill(0xA5);
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

/// Damage of one event, in its body or in another column, is reported by its position.
#[test]
fn damaged_events_do_not_end_a_walk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for id in 1..=5 {
        store
            .accept(incoming(&id.to_string()), Evaluation::default(), at(id))
            .unwrap();
    }
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let damage = "UPDATE archive SET body = substr(body, 1, 20) WHERE seq = 2;
                  UPDATE archive SET source = CAST(x'ff' AS TEXT) WHERE seq = 3;
                  UPDATE archive SET size = size + 1 WHERE seq = 4;";
    direct.execute_batch(damage).unwrap();
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    let visit = &mut |event: Result<Archived, DamagedEvent>| {
        match event {
            Ok(event) => whole.push(event.seq),
            Err(event) => damaged.push(event.seq),
        }
        true
    };
    store.walk(&Selection::default(), visit).unwrap();
    assert_eq!((whole, damaged), (vec![1, 5], vec![2, 3, 4]));
    assert_eq!(store.verify_archive().unwrap().damaged.len(), 3);
}

#[test]
fn a_store_of_an_earlier_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let entries = ["a", "b"].map(|key| StateChange::Set {
        key: key.into(),
        value: Json::from(1),
        expires: None,
    });
    let evaluated = evaluation("r", vec![send("t", 1)], entries.into());
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    let path = store.path().to_owned();
    drop(store);
    let old = format!(
        "{} ALTER TABLE delivery DROP COLUMN taken; PRAGMA user_version = 1;",
        to_version_3()
    );
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(&old)
        .unwrap();
    let store = open(folder.path());
    assert_eq!(store.rules_in_use().unwrap()[0].entries, 2);
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

/// The fingerprints of events that version 5 has stored are found, and no event is read for that.
#[test]
fn copies_of_events_of_version_5_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for id in ["1", "2"] {
        store
            .accept(incoming(id), Evaluation::default(), at(0))
            .unwrap();
    }
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let to_version_5 = "
        INSERT INTO seen (fingerprint, seq, at) SELECT fingerprint, seq, received FROM archive;
        UPDATE archive SET fingerprint = NULL, body = x'00';
        ALTER TABLE archive DROP COLUMN fingerprint;
        PRAGMA user_version = 5;";
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_6).unwrap();
    direct.execute_batch(to_version_5).unwrap();
    drop(direct);

    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    let accept = |id: &str, second| {
        let accepted = store.accept(incoming(id), Evaluation::default(), at(second));
        let accepted = accepted.unwrap();
        (accepted.duplicate, accepted.seq)
    };
    assert_eq!(accept("1", 60), (true, 1));
    assert_eq!(accept("2", 86_399), (true, 2));
    assert_eq!(accept("3", 86_399), (false, 3));
    assert_eq!(accept("1", 86_400), (false, 4));
    assert_eq!(accept("1", 86_401), (true, 4));
}

/// Makes a store of schema version 3 from one of this version.
fn to_version_3() -> String {
    format!("{TO_VERSION_6} {TO_VERSION_3}")
}

/// Makes a store of schema version 9 from one of this version.
const TO_VERSION_9: &str = "
    DROP TABLE audit;
    DROP INDEX delivery_dead;
    DROP INDEX delivery_dead_target;
    DROP INDEX delivery_dead_rule;
    CREATE INDEX delivery_dead ON delivery (finished) WHERE status = 2;
    PRAGMA user_version = 9;";

/// Dead letters of version 9 are found by all filters, and what operators do is recorded.
#[test]
fn a_store_of_version_9_gets_filters_and_records_of_operators() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let evaluated = evaluation("r", vec![send("t", 1)], vec![]);
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    let delivery = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    let id = delivery.id;
    store
        .settle(delivery, attempt("refused"), dead_letter("no"), at(1))
        .unwrap();
    let path = store.path().to_owned();
    let new = indexes_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_9).unwrap();
    assert_ne!(indexes_of(&path), new);
    drop(direct);

    let store = open(folder.path());
    assert_eq!(indexes_of(&path), new);
    let all = DeliveryFilter::of(DeliveryStatus::Dead);
    for filter in [
        DeliveryFilter {
            target: Some("t".into()),
            ..all.clone()
        },
        DeliveryFilter {
            rule: Some("r".into()),
            ..all.clone()
        },
        DeliveryFilter {
            reason: Some("N".into()),
            ..all
        },
    ] {
        let page = store.filtered_page(&filter, true, None, ALL).unwrap();
        assert_eq!(page.deliveries[0].delivery.id, id, "{filter:?}");
    }
    assert_eq!(
        store.audit_page(&AuditFilter::default(), None, 9),
        Ok(vec![])
    );
}

/// The definitions of all indexes and tables.
fn indexes_of(path: &Path) -> Vec<String> {
    let direct = rusqlite::Connection::open(path).unwrap();
    let mut statement = direct
        .prepare("SELECT coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Makes a store of schema version 8 from one of this version.
const TO_VERSION_8: &str = "
    DROP TABLE audit;
    DROP INDEX delivery_dead;
    DROP INDEX delivery_dead_target;
    DROP INDEX delivery_dead_rule;
    CREATE INDEX delivery_dead ON delivery (finished) WHERE status = 2;
    DROP TABLE incident;
    DROP INDEX delivery_by_incident;
    ALTER TABLE delivery DROP COLUMN incident;
    ALTER TABLE kept_match DROP COLUMN incident;
    DROP TABLE silence;
    DROP TABLE withheld;
    PRAGMA user_version = 8;";

/// What has fired in a store of version 8 has no incident; what fires next has one.
#[test]
fn stores_of_version_8_get_incidents() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |store: &dyn Store, id: &str| {
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        let accepted = store.accept(incoming_of(id, "eni-1"), evaluation, at(0));
        accepted.unwrap().deliveries[0]
    };
    let first = accept(&store, "1");
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_8).unwrap();
    drop(direct);

    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    assert_eq!(store.delivery(first).unwrap().unwrap().0.incident, None);
    let filter = reflexarc_store::IncidentFilter::default();
    assert_eq!(store.incidents(&filter, None, 10).unwrap(), []);
    accept(&store, "2");
}

/// Makes a store of schema version 7 from one of this version.
const TO_VERSION_7: &str = "
    DROP TABLE audit;
    DROP INDEX delivery_dead;
    DROP INDEX delivery_dead_target;
    DROP INDEX delivery_dead_rule;
    CREATE INDEX delivery_dead ON delivery (finished) WHERE status = 2;
    DROP TABLE incident;
    DROP INDEX delivery_by_incident;
    ALTER TABLE delivery DROP COLUMN incident;
    ALTER TABLE kept_match DROP COLUMN incident;
    DROP TABLE silence;
    DROP TABLE withheld;
    DROP TABLE waiting_call;
    DROP TABLE change;
    DROP TABLE change_stop;
    PRAGMA user_version = 7;";

/// Makes a store of schema version 6 from one of this version.
const TO_VERSION_6: &str = "
    DROP TABLE audit;
    DROP INDEX delivery_dead;
    DROP INDEX delivery_dead_target;
    DROP INDEX delivery_dead_rule;
    CREATE INDEX delivery_dead ON delivery (finished) WHERE status = 2;
    DROP TABLE incident;
    DROP INDEX delivery_by_incident;
    ALTER TABLE delivery DROP COLUMN incident;
    DROP TABLE silence;
    DROP TABLE withheld;
    DROP TABLE waiting_call;
    DROP TABLE change;
    DROP TABLE change_stop;
    DROP INDEX delivery_named;
    ALTER TABLE delivery DROP COLUMN scope;
    ALTER TABLE delivery DROP COLUMN firing;
    ALTER TABLE delivery DROP COLUMN delay;
    ALTER TABLE delivery DROP COLUMN delay_key;
    ALTER TABLE delivery DROP COLUMN digest;
    ALTER TABLE attempt DROP COLUMN digest;
    ALTER TABLE archive DROP COLUMN entry;
    DROP TABLE newest_entry;
    DROP TABLE kept_match;
    DROP TABLE match_rule;
    DROP TABLE kept_event;
    PRAGMA user_version = 6;";

/// Makes a store of schema version 3 from one of version 6.
const TO_VERSION_3: &str = "
    UPDATE archive SET fingerprint = NULL;
    ALTER TABLE archive DROP COLUMN fingerprint;
    DROP TRIGGER state_added;
    DROP TRIGGER state_removed;
    DROP TABLE state_count;
    DROP TABLE target;
    DROP TABLE call;
    DROP INDEX delivery_claimable;
    DROP INDEX delivery_order;
    DROP INDEX delivery_failed;
    ALTER TABLE delivery DROP COLUMN number;
    ALTER TABLE delivery DROP COLUMN order_key;
    ALTER TABLE delivery DROP COLUMN head;
    ALTER TABLE delivery DROP COLUMN failed;
    ALTER TABLE delivery DROP COLUMN retry;
    ALTER TABLE attempt DROP COLUMN folded;
    ALTER TABLE attempt DROP COLUMN last;
    CREATE INDEX delivery_due ON delivery (target, due) WHERE status = 0;
    CREATE INDEX attempt_by_target ON attempt (target, started);
    PRAGMA user_version = 3;";

/// The names of indexes and tables, and the columns of the tables.
fn schema_of(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT type || ' ' || name || ' ' || coalesce(
                   (SELECT group_concat(name) FROM
                        (SELECT name FROM pragma_table_info(master.name) ORDER BY name)), sql)
               FROM sqlite_master AS master WHERE sql IS NOT NULL ORDER BY 1";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Deliveries of version 3 get the order that they would have in this one.
#[test]
fn pending_deliveries_of_version_3_are_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |store: &dyn Store, id: &str, eni: &str, second| {
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        let accepted = store.accept(incoming_of(id, eni), evaluation, at(second));
        accepted.unwrap().deliveries[0]
    };
    let [failing, second, third] = ["1", "2", "3"].map(|id| accept(&store, id, "eni-1", 0));
    let claimed = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    let retry = Decision::RetryAt(at(40));
    store
        .settle(claimed, attempt("failed"), retry, at(0))
        .unwrap();
    let [first, behind] = ["4", "5"].map(|id| accept(&store, id, "eni-2", 0));
    let without = accept(&store, "6", "", 0);
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(&to_version_3()).unwrap();
    drop(direct);

    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    let ids = |second, limit| -> BTreeSet<_> {
        let claimed = store.claim("t", at(second), LEASE, limit).unwrap();
        claimed.iter().map(|delivery| delivery.id).collect()
    };
    // As many as may be sent, so that none is taken along.
    assert_eq!(ids(39, 2), [first, without].into());
    assert_eq!(ids(59, 1), [failing].into());
    assert_eq!(ids(60, 1), [second].into());
    let waits = |id| store.delivery(id).unwrap().unwrap().0.waits;
    assert!(waits(third) && waits(behind));
}

/// What version 6 has stored has no key, and new deliveries go on in the order of their resource.
#[test]
fn deliveries_of_version_6_have_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |store: &dyn Store, id: &str| {
        let evaluation = evaluation("r", vec![send("t", 1)], vec![]);
        store.accept(incoming(id), evaluation, at(0)).unwrap();
    };
    accept(&store, "1");
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_6).unwrap();
    drop(direct);

    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    accept(&store, "2");
    let claimed = store.claim("t", at(0), LEASE, 1).unwrap();
    assert_eq!(
        (claimed[0].event.id.as_str(), claimed[0].key.as_deref()),
        ("1", None)
    );
    assert_eq!(claimed[0].phase, reflexarc_delivery::Phase::Event);
    assert!(
        store.claim("t", at(0), LEASE, 1).unwrap().is_empty(),
        "it waits for the first"
    );
}

/// A store of version 7 takes calls, and what it had goes on.
#[test]
fn a_store_of_version_7_takes_calls() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |store: &dyn Store, id: &str, action| {
        let evaluation = evaluation("r", vec![action], vec![]);
        store.accept(incoming(id), evaluation, at(0)).unwrap();
    };
    accept(&store, "1", send("t", 1));
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_7).unwrap();
    assert_ne!(schema_of(&path), new);
    drop(direct);

    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    accept(&store, "2", call("t", "Describe"));
    let first = store.claim("t", at(0), LEASE, 1).unwrap().remove(0);
    assert!(!first.action.is_call());
    let delivered = Decision::Delivered;
    store
        .settle(first, attempt("delivered"), delivered, at(1))
        .unwrap();
    let claimed = store.claim("t", at(1), LEASE, 9).unwrap();
    assert!(claimed[0].action.is_call());
}

#[test]
fn a_store_of_version_8_gets_silences() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let path = store.path().to_owned();
    let new = schema_of(&path);
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch(TO_VERSION_8).unwrap();
    assert_ne!(schema_of(&path), new);
    drop(direct);
    let store = open(folder.path());
    assert_eq!(schema_of(&path), new);
    assert_eq!(store.silences(false, at(0), 9), Ok(vec![]));
    assert_eq!(store.next_release(), Ok(None));
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
            .contains("has schema version 99, but this program supports versions up to 10"),
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

/// A claim as that of a queue.
const EIGHT: ClaimLimit = ClaimLimit {
    deliveries: 8,
    run: 8,
    bytes: usize::MAX,
    retries_first: false,
    sends_alone: false,
};

/// What a target that is down costs others: acceptance while its queue claims, with a backlog of
/// retries that are due later. `REFLEXARC_BACKLOG=100000` for the figures of RESULTS.md.
#[test]
fn events_are_accepted_beside_the_backlog_of_a_target() {
    let backlog = std::env::var("REFLEXARC_BACKLOG").ok();
    let backlog: i64 = backlog.and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for event in 0..backlog / 1_000 {
        let actions = (0..1_000).map(|number| send("dead", number)).collect();
        let evaluation = evaluation("r", actions, vec![]);
        let id = format!("backlog-{event}");
        store.accept(incoming(&id), evaluation, at(0)).unwrap();
    }
    // All of them are claimed: due when their claims end.
    let claimed = store.claim("dead", at(0), LEASE, 1_000_000).unwrap();
    assert_eq!(i64::try_from(claimed.len()).unwrap(), backlog);
    let mut times = Vec::new();
    for event in 0..200 {
        let begun = std::time::Instant::now();
        let claim = store.submit_claim("dead", at(1), LEASE, EIGHT);
        let evaluation = evaluation("r", vec![send("other", 1)], vec![]);
        let id = format!("other-{event}");
        store.accept(incoming(&id), evaluation, at(1)).unwrap();
        times.push(begun.elapsed());
        assert!(claim.wait().unwrap().runs.is_empty());
    }
    times.sort();
    println!(
        "{backlog} waiting: p50 {:?}, p99 {:?}",
        times[100], times[198]
    );
    let found = store.claim("other", at(1), LEASE, 1_000).unwrap();
    assert_eq!(found.len(), 200);
}
