//! The plan of every statement of the store: those that run for each event, claim, trace or step of
//! retention scan nothing, however much is stored.
//!
//! The statements are recorded while a store is used in every way, so none can be forgotten here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::{ChangeLimit, DeadLetterCause, Decision, DeliveryId};
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Action, CallAnswer, KeptMatch, StateChange};
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use crate::{
    ActiveWithholding, AttemptOutcome, AuditFilter, AuditOutcome, AuditVia, BulkChange, Candidate,
    ChangeReservation, ClosedBy, DeliveryFilter, DeliveryStatus, EntryKind, EventFilter, Incoming,
    MatchFilter, NewAuditEntry, NewEntry, NewSilence, PageCursor, PageLimits, Retention, Selection,
    SilenceEnd, SqliteStore, Store, StoreCheck, StoreOptions, TargetPause, TimeTransaction,
    WithheldBy, Withholding, WithholdingDecision,
};

/// What has been run by all connections.
static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Statements that scan a table or index, and why they may: none runs for an event, a claim, a
/// trace or a step of retention.
const SCANS: [(&str, &str); 33] = [
    ("FROM pragma_", "reads the schema"),
    (
        "FROM incident INDEXED BY incident_open",
        "lists and counts open incidents, for an operator",
    ),
    ("FROM sqlite_schema", "reads the schema"),
    ("ORDER BY seq DESC LIMIT 1", "reads one row"),
    (
        "ORDER BY received DESC LIMIT 1",
        "reads one row, see `CLOCK`",
    ),
    (
        "expires = expires + ?1",
        "moves all times when the clock was set",
    ),
    (
        "ORDER BY finished DESC, seq DESC, id DESC LIMIT",
        "reads the newest dead letters",
    ),
    ("SELECT min(target) FROM delivery", "reads one row"),
    (
        "SELECT rule, key, value FROM state",
        "lists all of the state",
    ),
    ("WHERE true", "begins to check a table for damage"),
    (
        "FROM delivery INDEXED BY",
        "checks a partial index for damage",
    ),
    ("FROM target", "reads the paused targets, at the start"),
    ("DELETE FROM call", "looks at the calls of an hour"),
    (
        "FROM silence AS s WHERE ended",
        "lists silences that are over, for an operator",
    ),
    ("DELETE FROM silence", "silences are few"),
    (
        "WITH RECURSIVE withholding",
        "reads one row of an index for each incident that withholds something",
    ),
    (
        "FROM withheld INDEXED BY",
        "checks a partial index, or counts what is withheld",
    ),
    (
        "FROM silence INDEXED BY silence_open",
        "reads the silences that are not over, which are few",
    ),
    (
        "GROUP BY target",
        "counts what is pending or dead, every ten seconds",
    ),
    (
        "SELECT rule, CAST(sum(pending) AS BIGINT), CAST(sum(entries) AS BIGINT)",
        "counts what is pending, every minute",
    ),
    (
        "ORDER BY due ASC, seq ASC",
        "lists all that is pending, for an operator",
    ),
    (
        "ORDER BY due DESC, seq DESC",
        "lists all that is pending, for an operator",
    ),
    (
        "FROM audit NOT INDEXED",
        "reads the newest, as many as are listed",
    ),
    (
        "SELECT positions FROM kept_match",
        "compares all references, at the end of a check",
    ),
    (
        "SELECT seq, refs FROM kept_event",
        "compares all references, at the end of a check",
    ),
    ("AND claimed IN (0", "runs once when the clock was set back"),
    ("since = since + ?1", "runs once when the clock was set"),
    ("SET due = due + ?1", "runs once when the clock was set"),
    (
        "FROM change_stop ORDER BY",
        "reads the stopped targets, at the start",
    ),
    ("SET at = at + ?1", "runs once when the clock was set"),
    (
        "FROM waiting_call INDEXED BY",
        "checks a partial index for damage",
    ),
    (
        "FROM change INDEXED BY",
        "checks a partial index for damage",
    ),
    (
        "INDEXED BY waiting_call_ending",
        "reads what is being sent and was cancelled meanwhile",
    ),
];

/// Records the statements of a connection.
pub(crate) fn recorded(mut connection: Connection) -> Connection {
    let record = |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            let mut known = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(statement.sql().into_owned());
        }
    };
    connection
        .trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(record))
        .unwrap();
    connection
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn accept(store: &SqliteStore, id: &str, second: i64) {
    let event = format!(r#"{{"id": "{id}", "resourceId": "eni-1"}}"#);
    let incoming = Incoming::new(Event::from_json(event).unwrap()).unwrap();
    let mut effects = RuleEffects::new("r");
    effects.actions = vec![Action::send("t", 1), Action::send("u", 2).with_key("k")];
    effects.cancelled = vec!["k".into()];
    let (key, value) = (id.to_owned(), Json::from(1_i64));
    let expires = Some(at(second + 1));
    effects.changes = vec![
        StateChange::Set {
            key,
            value,
            expires,
        },
        StateChange::Remove { key: "x".into() },
    ];
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    store.accept(incoming, evaluation, at(second)).unwrap();
}

/// Makes deliveries of `u` members of a digest, and holds them.
fn hold(store: &SqliteStore) {
    let lease = SignedDuration::from_secs(60);
    for held in store.claim("u", at(31), lease, 3).unwrap() {
        let digest = store.submit_digest(vec![held.id], Some(held.id));
        digest.wait().unwrap();
        let until = at(32);
        let held = store.submit_hold("u", vec![held.id], until, at(31));
        held.wait().unwrap();
    }
}

/// Settles deliveries in all ways.
fn settle(store: &SqliteStore, lease: SignedDuration) {
    for number in 0..20 {
        for delivery in store.claim("t", at(number), lease, 1).unwrap() {
            let decision = match number % 3 {
                0 => Decision::Delivered,
                1 => Decision::RetryAt(at(number)),
                _ => Decision::DeadLetter {
                    cause: DeadLetterCause::Refused,
                    reason: "no".into(),
                },
            };
            let outcome = AttemptOutcome {
                started: at(number),
                took: SignedDuration::ZERO,
                outcome: "failed",
                answer: String::new(),
                delivered_parts: vec!["a".into()],
            };
            store
                .settle(delivery, outcome, decision, at(number))
                .unwrap();
        }
    }
}

/// Calls what a service and its operators call.
fn use_in_every_way(store: &SqliteStore) {
    let lease = SignedDuration::from_secs(60);
    let limits = PageLimits::LIST;
    for id in 0..20 {
        accept(store, &id.to_string(), id);
    }
    // After the window, and of an id that the archive has.
    accept(store, "1", 100_000);
    let reader = store.state_reader().unwrap();
    reader.read_entry("r", "1", at(0)).unwrap();
    reader.has_entry("r", "1", at(0)).unwrap();
    reader.has_room("r", 1, 10, at(0)).unwrap();
    reader.has_room("r", 1, 0, at(0)).unwrap();
    store.state(at(0)).unwrap();
    use_matches(store);
    use_calls(store);
    settle(store, lease);
    let claimed = store.claim("u", at(30), lease, 3).unwrap();
    let ids = claimed.iter().map(|delivery| delivery.id).collect();
    store.submit_release(ids, at(31)).wait().unwrap();
    hold(store);
    store.submit_release_claims("u", at(31)).wait().unwrap();
    store.claim("u", at(32), lease, 3).unwrap();
    store.release_claims(at(33)).unwrap();
    store.submit_order_wait("u", lease, at(33)).wait().unwrap();
    store.submit_call("u", at(33), at(0)).wait().unwrap();
    store.submit_call_end("u", at(33), at(34)).wait().unwrap();
    store
        .submit_recent_calls("u", at(0), at(35))
        .wait()
        .unwrap();
    store.next_due("u").unwrap();
    store.unattempted(at(40)).unwrap();
    for status in [DeliveryStatus::Pending, DeliveryStatus::Dead] {
        for target in [None, Some("t")] {
            store.delivery_page(status, target, None, limits).unwrap();
        }
    }
    use_filters(store);
    use_audit(store);
    let dead = store.deliveries(DeliveryStatus::Dead, None, 9).unwrap();
    store.delivery(dead[0].delivery.id).unwrap().unwrap();
    store.deliveries_of(dead[0].seq, limits).unwrap();
    store.redrive(dead[0].delivery.id, at(40)).unwrap();
    store.cancel(dead[0].delivery.id, at(40)).unwrap();
    store.drop_dead_letter(dead[1].delivery.id, at(40)).unwrap();
    store.newest_dead_letters(3).unwrap();
    store.dead_letter_counts().unwrap();
    store.queue_depths(at(40)).unwrap();
    store.rules_in_use().unwrap();
    store.newest_event().unwrap();
    let pause = TargetPause {
        since: at(0),
        by: "me".into(),
        reason: None,
    };
    store.set_pause("u", Some(pause)).unwrap();
    store.paused_targets().unwrap();
    let range = Selection {
        from: Some(at(0)),
        to: Some(at(9)),
        ..Selection::default()
    };
    for selection in [Selection::default(), range] {
        store.walk(&selection, &mut |_| true).unwrap();
    }
    store.find("1").unwrap();
    store
        .dead_letter_target("u", "gone".into(), at(41))
        .unwrap();
    let mut check = StoreCheck::default();
    while !check.is_done {
        store.check(&mut check).unwrap();
    }
    store.submit_probe().wait().unwrap();
    let retention = Retention {
        age: SignedDuration::ZERO,
        bytes: Some(1),
        dead_letters: Some(SignedDuration::ZERO),
    };
    // Within the window of the last event, and after it.
    let pruned = [100_001, 1_000_000].map(|second| store.prune(&retention, at(second)).unwrap());
    let events: u64 = pruned.iter().map(|pruned| pruned.events).sum();
    assert!(events >= 10, "{pruned:?}");
}

/// Finds deliveries and entries by all filters, and changes what is found.
fn use_filters(store: &SqliteStore) {
    let limits = PageLimits::LIST;
    for number in 0..64 {
        let text = |bit: u32| (number & (1 << bit) != 0).then(|| "0".to_owned());
        for status in [
            DeliveryStatus::Dead,
            DeliveryStatus::Pending,
            DeliveryStatus::Withheld,
        ] {
            let filter = DeliveryFilter {
                status,
                target: text(0),
                rule: text(1),
                event: text(2),
                reason: text(3),
                finished_until: text(4).map(|_| at(0)),
                since: text(5).map(|_| at(0)),
            };
            for newest_first in [false, true] {
                let page = store.filtered_page(&filter, newest_first, None, limits);
                let after = page.unwrap().next.or(Some(PageCursor {
                    micros: 0,
                    seq: 0,
                    id: DeliveryId::from([0; 16]),
                }));
                store
                    .filtered_page(&filter, newest_first, after, limits)
                    .unwrap();
            }
            store.count_deliveries(&filter, 9).unwrap();
            let change = match status {
                DeliveryStatus::Dead => BulkChange::Drop,
                _ => BulkChange::Cancel,
            };
            // Those without a text select something, which others need.
            if number & 0b1111 != 0 {
                let step = store
                    .change_matching(change, &filter, None, 9, at(40))
                    .unwrap();
                store
                    .change_matching(change, &filter, step.next, 9, at(40))
                    .unwrap();
            }
        }
        let filter = EventFilter {
            id: text(0),
            rule: text(1),
            source: text(2),
            from: text(3).map(|_| at(0)),
            until: text(4).map(|_| at(9)),
            ..EventFilter::default()
        };
        for before in [None, Some(9)] {
            store.entry_page(&filter, before, limits).unwrap();
        }
    }
    store.entry(1).unwrap().unwrap().unwrap();
}

/// Records what operators do, and finds it by all filters.
fn use_audit(store: &SqliteStore) {
    let entry = NewAuditEntry {
        at: at(40),
        by: "me".into(),
        via: AuditVia::Api,
        operation: "drop".into(),
        subject: String::new(),
        details: "{}".into(),
        command: String::new(),
        outcome: AuditOutcome::Begun,
        count: 0,
        message: String::new(),
    };
    let id = store.append_audit(entry).unwrap();
    let done = AuditOutcome::Done;
    assert!(store.finish_audit(id, done, 1, "", at(41)).unwrap());
    for number in 0..16 {
        let text = |bit: u32| (number & (1 << bit) != 0).then(|| "me".to_owned());
        let filter = AuditFilter {
            by: text(0),
            operation: text(1),
            from: text(2).map(|_| at(0)),
            until: text(3).map(|_| at(99)),
        };
        store.audit_page(&filter, Some(9), 9).unwrap();
    }
}

/// Withholds everything.
struct All;

impl Withholding for All {
    fn decide(
        &self,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
        _: Timestamp,
    ) -> WithholdingDecision {
        let silence = &active.silences[0];
        let by = WithheldBy::Silence(silence.id);
        match candidate.delivery.action.key() {
            Some("dropped") => WithholdingDecision::Drop { by },
            Some("sent") => WithholdingDecision::Deliver,
            _ => WithholdingDecision::Withhold {
                by,
                until: silence.until,
            },
        }
    }
}

/// Calls what claims, the release and operators call for silences.
fn use_silences(store: &SqliteStore) {
    store.set_withholding(Arc::new(All));
    let new = NewSilence {
        pattern: String::new(),
        from: at(100),
        until: at(200),
        owner: String::new(),
        reason: String::new(),
        drops: false,
    };
    let add = |new: &NewSilence| store.add_silence(new.clone(), 9, at(100)).unwrap().unwrap();
    let (first, second) = (add(&new), add(&new));
    for (id, key) in [("s1", "dropped"), ("s2", "k"), ("s3", "sent"), ("s4", "l")] {
        let mut effects = RuleEffects::new("r");
        effects.actions = vec![Action::send("s", 1).with_key(key)];
        let mut evaluation = Evaluation::default();
        evaluation.rules.push(effects);
        let event = format!(r#"{{"id": "{id}", "resourceId": "eni-1"}}"#);
        let event = Incoming::new(Event::from_json(event).unwrap()).unwrap();
        store.accept(event, evaluation, at(100)).unwrap();
    }
    let lease = SignedDuration::from_secs(60);
    assert_eq!(store.claim("s", at(100), lease, 9).unwrap().len(), 1);
    store.active_withholding(at(100)).unwrap();
    store.next_release().unwrap();
    store.withheld_counts().unwrap();
    let withheld = store.deliveries(DeliveryStatus::Withheld, None, 9).unwrap();
    assert_eq!(withheld.len(), 2);
    store.withheld_periods(withheld[0].delivery.id, 9).unwrap();
    store.candidate_event(&withheld[0]).unwrap();
    store.newest_deliveries(None, 9).unwrap();
    for are_over in [false, true] {
        store.silences(are_over, at(100), 9).unwrap();
    }
    let end = SilenceEnd {
        at: at(101),
        by: String::new(),
        drops: true,
    };
    store.end_silence(second.id, end).unwrap().unwrap();
    store.submit_release_withheld(at(101)).wait().unwrap();
    assert!(store.cancel(withheld[0].delivery.id, at(102)).unwrap());
    assert_eq!(
        store
            .submit_release_withheld(at(200))
            .wait()
            .unwrap()
            .released,
        1
    );
    assert_eq!(store.silence(first.id).unwrap().unwrap().withheld, 2);
}

/// Calls what a queue of calls calls, and what silences need.
fn use_calls(store: &SqliteStore) {
    use_silences(store);
    let limit = ChangeLimit {
        per_minute: 2,
        per_day: 9,
    };
    let lease = SignedDuration::from_secs(60);
    let calls: Vec<_> = (0..7).map(|number| accept_call(store, number)).collect();
    let claimed = store.claim("c", at(101), lease, 3).unwrap();
    for call in &claimed {
        let reserved = store.submit_reserve_change("c", call.id, limit, at(101));
        reserved.wait().unwrap();
    }
    store.change_stops().unwrap();
    let outcome = |outcome| AttemptOutcome {
        started: at(101),
        took: SignedDuration::ZERO,
        outcome,
        answer: String::new(),
        delivered_parts: Vec::new(),
    };
    let [first, second, third] = &claimed[..] else {
        panic!("{claimed:?}")
    };
    assert!(store.cancel(first.id, at(102)).unwrap());
    let retry = Decision::RetryAt(at(102));
    store
        .settle(first.clone(), outcome("failed"), retry.clone(), at(102))
        .unwrap();
    store
        .settle(second.clone(), outcome("unknown"), retry, at(102))
        .unwrap();
    let message = Decision::Delivered;
    store
        .settle(third.clone(), outcome("delivered"), message, at(102))
        .unwrap();
    let reserved = store.submit_reserve_change("c", second.id, limit, at(102));
    assert_eq!(reserved.wait(), Ok(ChangeReservation::SentBefore));
    let expired = store.submit_expire_calls("c", at(102), at(103));
    assert_eq!(expired.wait(), Ok(3));
    let gone = store.submit_withdraw_calls_of_other_rules(vec!["live".into()], at(103));
    assert_eq!(gone.wait(), Ok(0));
    assert!(store.has_withdrawn_calls().unwrap());
    let work = |transaction: &mut dyn TimeTransaction| {
        for call in transaction.withdrawn_calls(9)? {
            let answer = CallAnswer::own(call.code, call.reason);
            let settled = transaction.settle_call(call.id, None, &answer, at(104))?;
            assert!(settled.is_some());
            assert!(
                transaction
                    .settle_call(call.id, None, &answer, at(104))?
                    .is_none()
            );
        }
        Ok(None)
    };
    store.submit_time(Box::new(work)).wait().unwrap();
    store.set_pause("c", None).unwrap();
    // One whose row is damaged; the last one is left for the check.
    let damaged = calls[5];
    let plain = Connection::open(store.path()).unwrap();
    let sql = "DELETE FROM waiting_call WHERE id = ?1";
    assert_eq!(plain.execute(sql, [damaged.as_bytes()]), Ok(1));
    let work = move |transaction: &mut dyn TimeTransaction| {
        let answer = CallAnswer::ok(200, Json::Null);
        assert!(
            transaction
                .settle_call(damaged, None, &answer, at(105))?
                .is_none()
        );
        Ok(None)
    };
    store.submit_time(Box::new(work)).wait().unwrap();
}

/// A delayed call with a name; those from the sixth on have no target that calls.
fn accept_call(store: &SqliteStore, number: i64) -> DeliveryId {
    let target = if number < 5 { "c" } else { "d" };
    let call = Action::call(target, "Delete", Json::object([("a", 1_i64.into())]));
    let mut effects = RuleEffects::new(if number < 5 { "r" } else { "live" });
    effects.actions = vec![call.with_key("k").with_after(SignedDuration::from_secs(1))];
    effects.key = Some(number.into());
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    let text = format!(r#"{{"id": "call {number}"}}"#);
    let event = Incoming::new(Event::from_json(text).unwrap()).unwrap();
    let accepted = store.accept(event, evaluation, at(100)).unwrap();
    accepted.deliveries[0]
}

/// Calls what the timeline of a service calls.
fn use_matches(store: &SqliteStore) {
    let set = |key: &str, window, due| {
        let mut kept = KeptMatch::new("{}");
        (kept.window, kept.due, kept.is_pending) = (window, due, true);
        (kept.positions, kept.expires) = (vec![1], Some(at(1_000_000)));
        let key = key.to_owned();
        StateChange::SetMatch {
            key,
            kept,
            event: None,
        }
    };
    let of = |rule: &str, changes| {
        let mut effects = RuleEffects::new(rule);
        effects.changes = changes;
        let mut evaluation = Evaluation::default();
        evaluation.rules.push(effects);
        evaluation
    };
    let due = Some(at(50));
    let changes = ["a", "b", "c"].map(|key| set(key, 1, due));
    let evaluation = of("w", changes.into());
    let event = Incoming::new(Event::from_json(r#"{"id": "w"}"#).unwrap()).unwrap();
    let (name, identity) = (event.name.clone(), event.identity.clone());
    store.accept(event, evaluation, at(49)).unwrap();
    let work = move |transaction: &mut dyn TimeTransaction| {
        assert_eq!(transaction.due(at(50), 1, &|_, _| true)?.len(), 1);
        transaction.read_match("w", "a", at(50))?;
        transaction.has_match_room("w", true, 1, at(50))?;
        transaction.read_event(1)?;
        transaction.next_position()?;
        transaction.clock()?;
        transaction.postpone_due(at(50), &|_| Some(at(51)))?;
        transaction.shift_times(SignedDuration::from_secs(1))?;
        let changes = vec![
            set("a", 1, None),
            set("b", 2, None),
            StateChange::RemoveMatch { key: "c".into() },
        ];
        let entry = NewEntry {
            kind: EntryKind::Firing,
            at: at(52),
            identity,
            event: name,
            resource: String::new(),
            detail: Json::object([("a", 1_i64.into())]),
        };
        transaction.add(entry, &of("w", changes), at(52))?;
        transaction.newest(EntryKind::Firing)?;
        transaction.newest(EntryKind::Event)?;
        transaction.close_matches(&|_, window| window == 1, at(0))?;
        Ok(None)
    };
    store.submit_time(Box::new(work)).wait().unwrap();
    store.next_deadline().unwrap();
    store.match_counts().unwrap();
    store.incident_counts().unwrap();
    for open in [false, true] {
        let filter = crate::IncidentFilter { rule: None, open };
        store.incidents(&filter, None, 10).unwrap();
    }
    for keys in [vec![], vec!["a".to_owned()]] {
        let filter = MatchFilter {
            keys,
            ..MatchFilter::default()
        };
        let page = store.pending_page(&filter, None, PageLimits::LIST, at(50));
        assert!(page.unwrap().damaged.is_empty());
    }
    store.event_name(1).unwrap();
    let closed = ClosedBy {
        by: "me".into(),
        reason: None,
    };
    store.close_match("w", "a", &closed, at(52)).unwrap();
    store.forget_rule("w").unwrap();
}

#[test]
fn no_statement_scans_but_those_that_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
    use_in_every_way(&store);
    drop(store);
    let known = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let statements: Vec<String> = known.iter().cloned().collect();
    drop(known);
    let plain = Connection::open(&path).unwrap();
    let (mut planned, mut scanning, mut faults) = (0, BTreeSet::new(), Vec::new());
    for sql in &statements {
        let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
        if !verbs.iter().any(|verb| sql.trim_start().starts_with(verb)) {
            continue;
        }
        planned += 1;
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = plain.prepare(&explained).unwrap();
        let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        // Neither tables of constants nor lists that functions return are stored anywhere, and of
        // `match_rule` there is one row for each rule with a window.
        let is_small = |step: &str| {
            let names = [
                "CONSTANT",
                "VIRTUAL",
                "match_rule",
                "SCAN r USING INDEX match_rule",
            ];
            names.iter().any(|name| step.contains(name))
        };
        let scans = |step: &String| step.starts_with("SCAN") && !is_small(step);
        if !steps.iter().any(scans) {
            continue;
        }
        let allowed = SCANS.iter().position(|(part, _)| sql.contains(part));
        match allowed {
            Some(why) => drop(scanning.insert(why)),
            None => faults.push((sql, steps)),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(planned >= 60, "{planned} statements");
    assert!(
        scanning.len() >= 8,
        "exceptions that are none: {scanning:?}"
    );
}
