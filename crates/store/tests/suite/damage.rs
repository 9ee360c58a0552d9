//! Damaged pages: what is on them is reported, and everything else is read.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_delivery::Decision;
use reflexarc_event::Json;
use reflexarc_reaction::{KeptMatch, StateChange};
use reflexarc_store::{
    Archived, DamagedEvent, DeliveryStatus, PageLimits, Retention, Selection, SqliteStore, Store,
    StoreCheck,
};
use rusqlite::Connection;

use crate::samples::{
    ALL, LEASE, OPTIONS, at, attempt, dead_letter, evaluation, incoming, open, send,
};

/// Events, each with a dead letter and a pending delivery.
const EVENTS: i64 = 150;
const PAGE: usize = 4_096;

fn filled(folder: &Path) -> Vec<u8> {
    let store = open(folder);
    for id in 1..=EVENTS {
        let actions = vec![send("dead", id), send("waiting", id)];
        let evaluation = evaluation("r", actions, vec![]);
        let accepted = store.accept(incoming(&id.to_string()), evaluation, at(id));
        assert_eq!(accepted.unwrap().seq, id);
    }
    for delivery in store.claim("dead", at(200), LEASE, 1_000).unwrap() {
        let settled = store.submit_settle(delivery, attempt("refused"), dead_letter("no"), at(201));
        settled.wait().unwrap();
    }
    drop(store);
    std::fs::read(folder.join("store.db")).unwrap()
}

fn has(page: &[u8], text: &[u8]) -> bool {
    page.windows(text.len()).any(|part| part == text)
}

/// What can be read of a store.
#[derive(Debug, Default)]
struct Found {
    events: BTreeSet<i64>,
    damaged: Vec<DamagedEvent>,
    deliveries: usize,
    damaged_deliveries: bool,
    check: StoreCheck,
}

fn read(store: &SqliteStore, case: &str) -> Found {
    let mut found = Found::default();
    let visit = &mut |event: Result<Archived, DamagedEvent>| {
        match event {
            Ok(event) => assert!(found.events.insert(event.seq), "{case}: twice"),
            Err(damaged) => found.damaged.push(damaged),
        }
        true
    };
    store.walk(&Selection::default(), visit).expect(case);
    for status in [DeliveryStatus::Dead, DeliveryStatus::Pending] {
        let limits = PageLimits { rows: 40, ..ALL };
        let (mut after, mut pages) = (None, 0);
        loop {
            let page = store
                .delivery_page(status, None, after, limits)
                .expect(case);
            found.deliveries += page.deliveries.len();
            found.damaged_deliveries |= !page.damaged.is_empty();
            after = page.next;
            pages += 1;
            assert!(pages < 100, "{case}: a list does not end");
            if after.is_none() {
                break;
            }
        }
    }
    for seq in [1, 70, EVENTS] {
        let page = store.find_page(&seq.to_string(), 0, ALL).expect(case);
        let is_found = page.events.iter().any(Result::is_ok);
        assert_eq!(is_found, found.events.contains(&seq), "{case}: event {seq}");
        store.deliveries_of(seq, ALL).expect(case);
    }
    let mut steps = 0;
    while !found.check.is_done {
        store.check(&mut found.check).expect(case);
        steps += 1;
        assert!(steps < 1_000, "{case}: the check does not end");
    }
    found
}

/// Whatever page is damaged, and however: nothing is lost in silence, and nothing ends early.
#[test]
fn any_damaged_page_hides_no_more_than_itself() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let path = folder.path().join("store.db");
    let (mut hidden, mut harmless) = (0, 0);
    // Without the header and the schema the file is refused.
    for page in 1..whole.len() / PAGE {
        if has(&whole[page * PAGE..][..PAGE], b"CREATE ") {
            continue;
        }
        for fill in [0, 0xA5].into_iter().skip(page % 2).take(1) {
            let case = format!("page {page} filled with {fill}");
            let mut damaged = whole.clone();
            damaged[page * PAGE..][..PAGE].fill(fill);
            std::fs::write(&path, &damaged).unwrap();
            let store = SqliteStore::open(&path, &OPTIONS).expect(&case);
            let found = read(&store, &case);
            let missing: Vec<i64> = (1..=EVENTS)
                .filter(|seq| !found.events.contains(seq))
                .collect();
            let reported = |seq: &i64| {
                let mut damaged = found.damaged.iter();
                damaged.any(|damaged| (damaged.seq..=damaged.last).contains(seq))
            };
            assert!(
                missing.iter().all(reported),
                "{case}: {missing:?} {found:?}"
            );
            // A leaf has about ten events; a damaged root hides all of them.
            hidden += usize::from(!missing.is_empty() && missing.len() < 40);
            let all = 2 * usize::try_from(EVENTS).unwrap();
            assert!(
                found.deliveries == all || found.damaged_deliveries,
                "{case}: {} deliveries",
                found.deliveries
            );
            let is_harmless = missing.is_empty() && found.deliveries == all;
            harmless += usize::from(is_harmless && found.check.damaged == 0);
            assert!(
                is_harmless || found.check.damaged > 0,
                "{case}: not found by the check"
            );
        }
    }
    assert!(hidden > 10, "{hidden}");
    // Free pages.
    assert!(harmless < 40, "{harmless}");
}

/// A store that was damaged accepts events and sends what can be read.
#[test]
fn a_store_with_a_damaged_page_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let path = folder.path().join("store.db");
    // A leaf of a table (0x0d) with compressed events (the magic number of zstd).
    let is_leaf = |page: &[u8]| page[0] == 0x0d && has(page, b"\x28\xb5\x2f\xfd");
    let page = whole.chunks(PAGE).position(is_leaf).unwrap();
    let mut damaged = whole;
    damaged[page * PAGE..][..PAGE].fill(0xA5);
    std::fs::write(&path, &damaged).unwrap();
    let store = open(folder.path());
    let after = store.accept(
        incoming("after"),
        evaluation("r", vec![send("other", 1)], vec![]),
        at(300),
    );
    let claimed = store.claim("other", at(300), LEASE, 1).unwrap().remove(0);
    assert_eq!(after.unwrap().deliveries, [claimed.id]);
    let settled = store.submit_settle(claimed, attempt("sent"), Decision::Delivered, at(301));
    settled.wait().unwrap();
    let verified = store.verify_archive().unwrap();
    assert!(verified.structure.is_some());
    assert!(!verified.damaged.is_empty());
}

/// Without its fingerprint a copy of a removed event is not recognised, so that has a sign.
#[test]
fn damaged_fingerprints_of_removed_events_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for id in 1..=300 {
        let accepted = store.accept(incoming(&id.to_string()), Evaluation::default(), at(id));
        assert!(!accepted.unwrap().duplicate);
    }
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    direct
        .execute_batch(
            "UPDATE archive SET fingerprint = x'00' WHERE seq = 2;
             UPDATE archive SET fingerprint = 'sixteen letters!' WHERE seq = 290;",
        )
        .unwrap();
    let mut check = StoreCheck::default();
    while !check.is_done {
        store.check(&mut check).unwrap();
    }
    assert_eq!(check.damaged, 2, "{:?}", check.damage);
    assert!(check.damage[0].detail.contains("event 2: its fingerprint"));
    let all = Retention {
        age: SignedDuration::ZERO,
        ..Retention::default()
    };
    let pruned = store.prune(&all, at(1_000)).unwrap();
    assert_eq!((pruned.events, pruned.damaged), (300, 2));
    let damaged: Vec<i64> = pruned.damage.iter().map(|event| event.seq).collect();
    assert_eq!(damaged, [2, 290]);
    assert!(pruned.damage[0].to_string().contains("fingerprint"));
    for (id, is_copy) in [(1, true), (2, false), (3, true), (290, false)] {
        let accepted = store.accept(incoming(&id.to_string()), Evaluation::default(), at(1_001));
        assert_eq!(accepted.unwrap().duplicate, is_copy, "{id}");
    }
}

#[test]
fn wrong_references_of_matches_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 1..=3_u64 {
        let mut kept = KeptMatch::new("{}");
        kept.positions = vec![1, number];
        kept.positions.dedup();
        let change = StateChange::SetMatch {
            key: number.to_string(),
            kept,
            event: None,
        };
        let evaluation = evaluation("r", vec![], vec![change]);
        let event = incoming(&number.to_string());
        store.accept(event, evaluation, at(0)).unwrap();
    }
    let direct = rusqlite::Connection::open(store.path()).unwrap();
    let found = |change: &str, undo: &str| {
        direct.execute_batch(change).unwrap();
        let mut check = StoreCheck::default();
        while !check.is_done {
            store.check(&mut check).unwrap();
        }
        direct.execute_batch(undo).unwrap();
        let damage = check.damage.into_iter();
        damage
            .map(|damage| format!("{}: {}", damage.part, damage.detail))
            .collect::<Vec<_>>()
    };
    assert_eq!(found("", ""), [""; 0]);
    let counts = |counted| {
        format!(
            "kept_event: {counted} references of events are counted, and the matches have 5, or \
             those of others"
        )
    };
    let one_more = "UPDATE kept_event SET refs = refs + 1 WHERE seq = 2";
    let one_less = "UPDATE kept_event SET refs = refs - 1 WHERE seq = 2";
    assert_eq!(found(one_more, one_less), [counts(6)]);
    let other = "UPDATE kept_event SET refs = 4 - refs WHERE seq IN (1, 2)";
    assert_eq!(found(other, other), [counts(5)]);
    let none = "INSERT INTO kept_event VALUES (7, 1)";
    let missing = "kept_event: 7: a match refers to it, and the archive has no entry there";
    let found_both = [missing.to_owned(), counts(6)];
    assert_eq!(
        found(none, "DELETE FROM kept_event WHERE seq = 7"),
        found_both
    );
    // A group of bits that does not end.
    let broken = "UPDATE kept_match SET positions = x'0180' WHERE key = '1'";
    let whole = "UPDATE kept_match SET positions = x'01' WHERE key = '1'";
    let damaged = "kept_match: 1, \"1\": its positions are damaged".to_owned();
    assert_eq!(found(broken, whole), [damaged]);
    assert_eq!(found("", ""), [""; 0]);
}

/// A rule can replace what only damage can have put there, and the record says what that was.
#[test]
fn damaged_state_is_replaced_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let direct = Connection::open(store.path()).unwrap();
    let change_state = |id: i64| {
        let entry = StateChange::Set {
            key: "k".to_owned(),
            value: Json::from(id),
            expires: None,
        };
        let evaluation = evaluation("r", vec![], vec![entry]);
        let accepted = store.accept(incoming(&id.to_string()), evaluation, at(id));
        let entry = store.entry(accepted.unwrap().seq).unwrap().unwrap();
        let recorded = entry.unwrap().evaluation.unwrap();
        let rule = &recorded.get("rules").unwrap().elements()[0];
        rule.get("state").unwrap().elements()[0].clone()
    };
    assert_eq!(change_state(1).get("before"), Some(&Json::Null));
    for (id, (damage, before)) in (2..).zip([
        (r#"'{"a":'"#, r#"{"a":"#),
        ("x'31'", "1"),
        ("cast(x'22ff22' AS TEXT)", "\"\u{fffd}\""),
    ]) {
        let sql = format!("UPDATE state SET value = {damage}");
        assert_eq!(direct.execute(&sql, []), Ok(1));
        let change = change_state(id);
        assert_eq!(change.get("before"), Some(&Json::from(before)), "{damage}");
        assert_eq!(change.get("before_damaged"), Some(&Json::Bool(true)));
        assert_eq!(change.get("after"), Some(&Json::from(id)));
    }
    let change = change_state(9);
    assert_eq!(change.get("before"), Some(&Json::from(4)));
    assert_eq!(change.get("before_damaged"), None);
}
