//! How much one page and one step look at, in stores that have more than that.

use reflexarc::Evaluation;
use reflexarc_store::{
    AuditFilter, AuditLimits, AuditOutcome, AuditVia, BulkChange, DeliveryFilter, DeliveryStatus,
    EventFilter, MAX_COUNTED_DELIVERIES, MAX_SUMMARY_EVALUATION, NewAuditEntry, PageLimits,
    SqliteStore, Store,
};
use rusqlite::Connection;

use crate::samples::{
    LEASE, at, attempt, dead_letter, evaluation, incoming, incoming_of, open, send,
};

const LIMITS: PageLimits = PageLimits {
    rows: 100,
    bytes: 1 << 20,
};

/// Copies the first entry of the archive to so many positions, a second apart.
fn copy_entries(store: &SqliteStore, last: i64) {
    let sql = "INSERT INTO archive
        SELECT n.seq, source, id, kind, resource, received + n.seq * 1000000, size, body,
               evaluation, NULL, entry
        FROM archive AS a,
             (WITH RECURSIVE n (seq) AS (SELECT 2 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?1)
              SELECT seq FROM n) AS n
        WHERE a.seq = 1";
    let direct = Connection::open(store.path()).unwrap();
    direct.execute(sql, [last]).unwrap();
}

/// Copies the first delivery so often, with the time at which it finished a microsecond apart.
fn copy_deliveries(store: &SqliteStore, count: i64) {
    let direct = Connection::open(store.path()).unwrap();
    direct
        .execute_batch("CREATE TEMP TABLE first AS SELECT * FROM delivery LIMIT 1")
        .unwrap();
    let columns = "seq, source, event, resource, rule, target, action, created, status, since,
                   due, set_at, reason";
    let sql = format!(
        "INSERT INTO delivery (id, finished, {columns})
         SELECT CAST(x'00' || printf('%015d', n.number) AS BLOB), finished + n.number, {columns}
         FROM first,
              (WITH RECURSIVE n (number) AS
                   (SELECT 1 UNION ALL SELECT number + 1 FROM n WHERE number < ?1)
               SELECT number FROM n) AS n"
    );
    direct.execute(&sql, [count]).unwrap();
}

/// Reads pages until the end: how many there were, and how many entries were in them.
fn pages(store: &dyn Store, filter: &EventFilter) -> (usize, usize) {
    let (mut pages, mut found, mut before) = (0, 0, None);
    loop {
        let page = store.entry_page(filter, before, LIMITS).unwrap();
        pages += 1;
        found += page.entries.len();
        assert_eq!(page.next.is_some(), page.searched_until.is_some());
        before = page.next;
        if before.is_none() {
            return (pages, found);
        }
    }
}

#[test]
fn a_search_for_events_ends_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let plain = Evaluation::default();
    store.accept(incoming("1"), plain, at(0)).unwrap();
    copy_entries(&store, 40_000);
    let named = |name: &str| EventFilter {
        name: Some(name.to_owned()),
        ..EventFilter::default()
    };
    let page = store.entry_page(&named("none"), None, LIMITS).unwrap();
    assert_eq!(page.entries, []);
    // The newest 16,384.
    assert_eq!(page.next, Some(40_000 - 16_383));
    assert_eq!(page.searched_until, Some(at(40_000 - 16_383)));
    assert_eq!(pages(&store, &named("none")), (3, 0));
    // By time it goes on from there too.
    let in_time = EventFilter {
        from: Some(at(10_000)),
        until: Some(at(35_000)),
        ..named("none")
    };
    let page = store.entry_page(&in_time, None, LIMITS).unwrap();
    assert_eq!(page.searched_until, Some(at(34_999 - 16_383)));
    assert_eq!(pages(&store, &in_time), (2, 0));
    // Most pages are full before.
    let all = store.entry_page(&EventFilter::default(), None, LIMITS);
    assert_eq!(all.unwrap().entries.len(), LIMITS.rows);
}

#[test]
fn a_search_for_a_rule_unpacks_so_many_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let evaluated = evaluation("r", vec![], vec![]);
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    copy_entries(&store, 5_000);
    let of_rule = |rule: &str| EventFilter {
        rule: Some(rule.to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(pages(&store, &of_rule("none")), (3, 0));
    let page = store.entry_page(&of_rule("none"), None, LIMITS).unwrap();
    assert_eq!(page.next, Some(5_000 - 2_047));
    // Also those whose texts are long: 8 MiB.
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut evaluated = evaluation("r", vec![], vec![]);
    evaluated.rules[0].log = vec!["x".repeat(100_000)];
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    copy_entries(&store, 200);
    let page = store.entry_page(&of_rule("none"), None, LIMITS).unwrap();
    let looked_at = 201 - page.next.unwrap();
    assert!((80..90).contains(&looked_at), "{looked_at}");
}

#[test]
fn a_summary_reads_no_large_evaluation_and_counts_some_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut evaluated = evaluation("r", vec![send("t", 1)], vec![]);
    evaluated.rules[0].log = vec!["x".repeat(MAX_SUMMARY_EVALUATION)];
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    let more = i64::try_from(MAX_COUNTED_DELIVERIES).unwrap();
    copy_deliveries(&store, more);
    let all = EventFilter::default();
    let page = store.entry_page(&all, None, LIMITS).unwrap();
    assert_eq!(page.entries[0].rules, None);
    let counted = vec![(DeliveryStatus::Pending, MAX_COUNTED_DELIVERIES)];
    assert_eq!(page.entries[0].deliveries, counted);
    // It is searched nevertheless.
    let of_rule = EventFilter {
        rule: Some("r".into()),
        ..all
    };
    let page = store.entry_page(&of_rule, None, LIMITS).unwrap();
    assert_eq!(page.entries[0].rules, Some(vec!["r".to_owned()]));
}

#[test]
fn a_search_for_dead_letters_ends_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..2 {
        let evaluated = evaluation("r", vec![send("t", 1)], vec![]);
        let event = incoming_of(&number.to_string(), "");
        store.accept(event, evaluated, at(0)).unwrap();
        let delivery = store.claim("t", at(1), LEASE, 1).unwrap().remove(0);
        let second = if number == 0 { 1 } else { 1_000 };
        let reason = if number == 0 { "usual" } else { "rare" };
        store
            .settle(
                delivery,
                attempt("refused"),
                dead_letter(reason),
                at(second),
            )
            .unwrap();
        if number == 0 {
            copy_deliveries(&store, 75_000);
        }
    }
    let rare = DeliveryFilter {
        reason: Some("RARE".into()),
        ..DeliveryFilter::of(DeliveryStatus::Dead)
    };
    let first = store.filtered_page(&rare, false, None, LIMITS).unwrap();
    assert_eq!(first.deliveries, []);
    let second = store.filtered_page(&rare, false, first.next, LIMITS);
    let second = second.unwrap();
    assert_eq!((second.deliveries.len(), second.next), (1, None));
    // Found at once from the other end; what is left may be others.
    let newest = store.filtered_page(&rare, true, None, LIMITS).unwrap();
    assert_eq!(newest.deliveries, second.deliveries);
    assert!(newest.next.is_some());
    assert_eq!(store.count_deliveries(&rare, 9), Ok(1));
    // A step of a change searches as far, and changes no more than 1,000.
    let drop = BulkChange::Drop;
    let step = store.change_matching(drop, &rare, None, 9, at(2_000));
    let step = step.unwrap();
    assert_eq!(step.changed, 0);
    let step = store.change_matching(drop, &rare, step.next, 9, at(2_000));
    assert_eq!(step.unwrap().changed, 1);
    let all = DeliveryFilter::of(DeliveryStatus::Dead);
    let step = store.change_matching(drop, &all, None, usize::MAX, at(2_000));
    assert_eq!(step.unwrap().changed, 1_000);
}

/// There are many deliveries between two that are pending: a step looks at so many.
#[test]
fn a_step_passes_over_what_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let accept = |id: &str| {
        let evaluated = evaluation("r", vec![send("t", 1)], vec![]);
        let accepted = store.accept(incoming_of(id, ""), evaluated, at(0));
        accepted.unwrap().deliveries[0]
    };
    accept("1");
    copy_deliveries(&store, 10_000);
    let sql = "UPDATE delivery SET status = 1, finished = 1 WHERE id NOT IN
               ((SELECT max(id) FROM delivery), (SELECT min(id) FROM delivery))";
    let direct = Connection::open(store.path()).unwrap();
    assert_eq!(direct.execute(sql, ()), Ok(9_999));
    let filter = DeliveryFilter::of(DeliveryStatus::Pending);
    let (mut steps, mut after) = (Vec::new(), None);
    loop {
        let step = store.change_matching(BulkChange::Cancel, &filter, after, 100, at(1));
        let step = step.unwrap();
        steps.push(step.changed);
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(steps, [1, 0, 1]);
}

#[test]
fn the_number_of_records_of_operators_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let entry = NewAuditEntry {
        at: at(0),
        by: "me".into(),
        via: AuditVia::Command,
        operation: "drop".into(),
        subject: String::new(),
        details: "{}".into(),
        command: String::new(),
        outcome: AuditOutcome::Done,
        count: 1,
        message: String::new(),
    };
    let append = || store.append_audit(entry.clone()).unwrap();
    let first = append();
    let direct = Connection::open(store.path()).unwrap();
    let entries = i64::try_from(AuditLimits::LIMITS.entries).unwrap();
    let sql = "UPDATE audit SET id = ?1 WHERE id = ?2";
    assert_eq!(direct.execute(sql, (first + entries, first)), Ok(1));
    append();
    let count = |store: &dyn Store| {
        let page = store.audit_page(&AuditFilter::default(), None, 9);
        page.unwrap().len()
    };
    assert_eq!(count(&store), 2);
    assert_eq!(direct.execute(sql, (2, first + entries)), Ok(1));
    // The one with number 2 is one too many.
    assert_eq!(append(), first + entries + 2);
    assert_eq!(count(&store), 2);
}

#[test]
fn unknown_values_in_records_of_operators_are_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let entry = |by: &str| NewAuditEntry {
        at: at(0),
        by: by.into(),
        via: AuditVia::Console,
        operation: "drop".into(),
        subject: String::new(),
        details: "{}".into(),
        command: String::new(),
        outcome: AuditOutcome::Done,
        count: 1,
        message: String::new(),
    };
    let damaged = store.append_audit(entry("me")).unwrap();
    store.append_audit(entry("you")).unwrap();
    let direct = Connection::open(store.path()).unwrap();
    let sql = "UPDATE audit SET via = 'robot', outcome = '' WHERE id = ?1";
    assert_eq!(direct.execute(sql, [damaged]), Ok(1));
    let page = store.audit_page(&AuditFilter::default(), None, 9).unwrap();
    let shown: Vec<_> = page.iter().map(|one| (one.via, one.outcome)).collect();
    assert_eq!(
        shown,
        [
            (AuditVia::Console, AuditOutcome::Done),
            (AuditVia::Unknown, AuditOutcome::Unknown),
        ]
    );
}
