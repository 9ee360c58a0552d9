//! Promises about records of what operators do.

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_store::{
    AuditEntry, AuditFilter, AuditLimits, AuditOutcome, AuditVia, NewAuditEntry, Retention, Store,
};

use super::Backend;
use crate::samples::at;

/// Operator, operation, from, until.
type Wanted = (
    Option<String>,
    Option<String>,
    Option<Timestamp>,
    Option<Timestamp>,
);

fn entry(by: usize, operation: usize, second: i64) -> NewAuditEntry {
    NewAuditEntry {
        at: at(second),
        by: format!("b{by}"),
        via: AuditVia::ALL[by % AuditVia::ALL.len()],
        operation: format!("o{operation}"),
        subject: format!("target t{operation}"),
        details: format!(r#"{{"target":"t{operation}"}}"#),
        command: format!("reflexarc dlq drop --all --target t{operation}"),
        outcome: AuditOutcome::Done,
        count: second.unsigned_abs(),
        message: "a message".into(),
    }
}

fn runner(backend: &dyn Backend) -> TestRunner {
    TestRunner::new(Config {
        cases: backend.cases(100),
        failure_persistence: None,
        ..Config::default()
    })
}

/// Lists of records are those of a list in memory, whatever the clock was.
pub(super) fn records_of_operators_are_those_of_the_naive_list(backend: &dyn Backend) {
    let store = backend.open();
    let tuple = (0..3_usize, 0..3_usize, 0..12_i64);
    let all = vec(tuple, 80)
        .new_tree(&mut runner(backend))
        .unwrap()
        .current();
    let mut ids = Vec::new();
    for &(by, operation, second) in &all {
        ids.push(store.append_audit(entry(by, operation, second)).unwrap());
    }
    assert!(ids.is_sorted());
    // Also after a restart.
    drop(store);
    let store = backend.open();
    let name = |letter: &'static str| {
        let number = prop::option::of(0..4_usize);
        number.prop_map(move |number| number.map(|number| format!("{letter}{number}")))
    };
    let time = || prop::option::of((0..13_i64).prop_map(at));
    let filters = (name("b"), name("o"), time(), time());
    let run = |((by, operation, from, until), limit): (Wanted, usize)| {
        let mut wanted = Vec::new();
        for (id, &(one, other, second)) in ids.iter().zip(&all).rev() {
            let new = entry(one, other, second);
            let is_wanted = by.as_ref().is_none_or(|by| *by == new.by)
                && operation.as_ref().is_none_or(|name| *name == new.operation)
                && from.is_none_or(|from| new.at >= from)
                && until.is_none_or(|until| new.at < until);
            if is_wanted {
                wanted.push((*id, new));
            }
        }
        let filter = AuditFilter {
            by,
            operation,
            from,
            until,
        };
        let (mut found, mut before): (Vec<AuditEntry>, Option<i64>) = (Vec::new(), None);
        loop {
            let page = store.audit_page(&filter, before, limit).unwrap();
            prop_assert!(page.len() <= limit);
            let is_last = page.len() < limit;
            found.extend(page);
            before = found.last().map(|last| last.id);
            if is_last {
                break;
            }
        }
        prop_assert_eq!(found.len(), wanted.len(), "{:?}", filter);
        for (found, (id, new)) in found.into_iter().zip(wanted) {
            prop_assert_eq!((found.id, found.finished), (id, Some(new.at)));
            let read = NewAuditEntry {
                at: found.at,
                by: found.by,
                via: found.via,
                operation: found.operation,
                subject: found.subject,
                details: found.details,
                command: found.command,
                outcome: found.outcome,
                count: found.count,
                message: found.message,
            };
            prop_assert_eq!(read, new);
        }
        Ok(())
    };
    runner(backend).run(&(filters, 1..30_usize), run).unwrap();
}

/// An operation has begun until it ends, also over a restart.
pub(super) fn an_operation_has_begun_until_it_ends(backend: &dyn Backend) {
    let store = backend.open();
    let begun = NewAuditEntry {
        outcome: AuditOutcome::Begun,
        count: 0,
        ..entry(1, 1, 5)
    };
    let id = store.append_audit(begun).unwrap();
    drop(store);
    let store = backend.open();
    let read = |store: &dyn Store| {
        let mut page = store.audit_page(&AuditFilter::default(), None, 9).unwrap();
        assert_eq!(page.len(), 1);
        let entry = page.remove(0);
        (entry.outcome, entry.count, entry.message, entry.finished)
    };
    let message = "a message".to_owned();
    assert_eq!(read(&*store), (AuditOutcome::Begun, 0, message, None));
    // How far it is.
    let begun = AuditOutcome::Begun;
    assert_eq!(store.finish_audit(id, begun, 3, "", at(6)), Ok(true));
    assert_eq!(read(&*store), (begun, 3, String::new(), None));
    let failed = AuditOutcome::Failed;
    assert_eq!(store.finish_audit(id, failed, 7, "full", at(8)), Ok(true));
    assert_eq!(read(&*store), (failed, 7, "full".to_owned(), Some(at(8))));
    assert_eq!(store.finish_audit(id + 1, failed, 0, "", at(9)), Ok(false));
}

/// Each text is cut to its limit, at a letter; parameters stay JSON.
pub(super) fn texts_of_records_are_bounded(backend: &dyn Backend) {
    const LIMITS: AuditLimits = AuditLimits::LIMITS;
    let store = backend.open();
    let append = |more: usize| {
        let text = |limit: usize| "ü".repeat(limit / 2 + more);
        let id = store.append_audit(NewAuditEntry {
            by: text(LIMITS.name),
            operation: text(LIMITS.name),
            subject: text(LIMITS.subject),
            details: format!("\"{}\"", "x".repeat(LIMITS.details - 2 + more)),
            command: text(LIMITS.command),
            message: text(LIMITS.message),
            ..entry(0, 0, 0)
        });
        let page = store.audit_page(&AuditFilter::default(), None, 1);
        let entry = page.unwrap().remove(0);
        assert_eq!(id, Ok(entry.id));
        entry
    };
    let whole = append(0);
    let longest = |limit: usize| "ü".repeat(limit / 2);
    assert_eq!(whole.by, longest(LIMITS.name));
    assert_eq!(whole.operation, longest(LIMITS.name));
    assert_eq!(whole.subject, longest(LIMITS.subject));
    assert_eq!(whole.details.len(), LIMITS.details);
    assert_eq!(whole.command, longest(LIMITS.command));
    assert_eq!(whole.message, longest(LIMITS.message));
    let cut = append(1);
    let is_cut = |text: &str, limit: usize| {
        text.len() <= limit && text.len() > limit - 4 && text.ends_with("ü…")
    };
    assert!(is_cut(&cut.by, LIMITS.name), "{}", cut.by);
    assert!(is_cut(&cut.operation, LIMITS.name));
    assert!(is_cut(&cut.subject, LIMITS.subject));
    let left_out = format!(r#"{{"left_out_bytes":{}}}"#, LIMITS.details + 1);
    assert_eq!(cut.details, left_out);
    assert!(is_cut(&cut.command, LIMITS.command));
    assert!(is_cut(&cut.message, LIMITS.message));
    let message = "ü".repeat(LIMITS.message);
    let done = AuditOutcome::Done;
    assert_eq!(
        store.finish_audit(cut.id, done, 1, &message, at(1)),
        Ok(true)
    );
    let page = store.audit_page(&AuditFilter::default(), None, 1).unwrap();
    assert!(is_cut(&page[0].message, LIMITS.message));
}

/// Records are kept for as long as dead letters, and no number is given twice.
pub(super) fn records_are_kept_as_long_as_dead_letters(backend: &dyn Backend) {
    let store = backend.open();
    let retention = |events, letters: Option<i64>| Retention {
        age: SignedDuration::from_secs(events),
        bytes: None,
        dead_letters: letters.map(SignedDuration::from_secs),
    };
    let mut last = 0;
    for second in 0..300 {
        last = store.append_audit(entry(0, 0, second)).unwrap();
    }
    let left = |store: &dyn Store| {
        let page = store.audit_page(&AuditFilter::default(), None, 1_000);
        page.unwrap().len()
    };
    for (retention, expected) in [
        (retention(10, None), 300),
        (retention(10, Some(1_000)), 300),
        (retention(100, Some(10)), 100),
        (retention(10, Some(20)), 20),
        (retention(0, Some(0)), 1),
    ] {
        store.prune(&retention, at(300)).unwrap();
        assert_eq!(left(&*store), expected, "{retention:?}");
    }
    assert_eq!(store.append_audit(entry(0, 0, 300)), Ok(last + 1));
}
