//! How long the pages of a large store take, and changes of many deliveries: the figures of
//! `crates/service/RESULTS.md`.
//!
//! ```text
//! REFLEXARC_PAGES=1000000 cargo test --release -p reflexarc-store --test suite page_speed -- \
//!     --nocapture
//! ```
#![allow(clippy::print_stdout, reason = "prints figures")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reflexarc_event::Event;
use reflexarc_reaction::{KeptMatch, StateChange};
use reflexarc_store::{
    AuditFilter, AuditOutcome, AuditVia, BulkChange, DeliveryFilter, DeliveryStatus,
    EvaluateInTransaction, EventFilter, Incoming, MatchFilter, NewAuditEntry, PageLimits, Reply,
    SqliteStore, Store,
};

use crate::samples::{LEASE, at, attempt, dead_letter, evaluation, event_text, open, send};

/// Of all pages here.
const LIMITS: PageLimits = PageLimits {
    rows: 100,
    bytes: 4 << 20,
};

/// One event in ten becomes a dead letter, of 5 targets and 50 rules; another one in ten matches
/// without an action.
fn fill(store: &SqliteStore, events: usize) {
    for batch in 0..events.div_ceil(2_000) {
        let events = (batch * 2_000..events.min(batch * 2_000 + 2_000)).map(|number| {
            let text = event_text(&format!("e-{number}"), &format!("eni-{}", number % 1_000));
            let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
            let rule = format!("rule-{}", number / 10 % 50);
            let result = match number % 10 {
                0 => {
                    let target = format!("target-{}", number / 10 % 5);
                    evaluation(&rule, vec![send(&target, 1)], vec![])
                }
                5 => evaluation(&rule, vec![], vec![]),
                _ => reflexarc::Evaluation::default(),
            };
            let evaluate: EvaluateInTransaction = Box::new(move |_, _, _| Ok(result));
            (incoming, evaluate)
        });
        let (reply, accepted) = Reply::channel();
        let second = i64::try_from(batch).unwrap();
        store.accept_together(events.collect(), at(second), Box::new(()), reply);
        accepted.wait().unwrap();
    }
    for target in 0..5 {
        let target = format!("target-{target}");
        loop {
            let claimed = store.claim(&target, at(10_000), LEASE, 1_000).unwrap();
            if claimed.is_empty() {
                break;
            }
            let settle = |delivery: reflexarc_delivery::Delivery| {
                let reason = format!("HTTP 503 after 10 attempts, request {}", delivery.id);
                let decision = dead_letter(&reason);
                store.submit_settle(delivery, attempt("refused"), decision, at(10_000))
            };
            let replies: Vec<_> = claimed.into_iter().map(settle).collect();
            for reply in replies {
                reply.wait().unwrap();
            }
        }
    }
}

/// The longest of five runs, the first included.
fn timed(name: &str, mut run: impl FnMut() -> usize) -> Duration {
    let mut longest = Duration::ZERO;
    let mut found = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        found = run();
        longest = longest.max(begun.elapsed());
    }
    println!("{longest:>10.2?}  {name}: {found}");
    longest
}

fn filter(
    target: Option<&str>,
    rule: Option<&str>,
    event: Option<&str>,
    reason: Option<&str>,
) -> DeliveryFilter {
    DeliveryFilter {
        target: target.map(str::to_owned),
        rule: rule.map(str::to_owned),
        event: event.map(str::to_owned),
        reason: reason.map(str::to_owned),
        ..DeliveryFilter::of(DeliveryStatus::Dead)
    }
}

/// Lists and counts of dead letters.
fn time_letters(store: &SqliteStore, events: usize) -> Duration {
    let (target, rule) = (Some("target-3"), Some("rule-3"));
    let last_event = format!("e-{}", (events - 1) / 10 * 10);
    let filters = [
        ("all", filter(None, None, None, None)),
        ("target", filter(target, None, None, None)),
        ("rule", filter(None, rule, None, None)),
        ("target and rule", filter(target, rule, None, None)),
        (
            "target and another rule",
            filter(target, Some("rule-4"), None, None),
        ),
        ("event", filter(None, None, Some(&last_event), None)),
        ("common reason", filter(None, None, None, Some("http 503"))),
        ("rare reason", filter(None, None, None, Some("http 404"))),
        (
            "target, rare reason",
            filter(target, None, None, Some("Request zz")),
        ),
    ];
    let mut longest = Duration::ZERO;
    for (name, filter) in &filters {
        for newest_first in [false, true] {
            let time = timed(
                &format!("dead letters, {name}, newest {newest_first}"),
                || {
                    let page = store.filtered_page(filter, newest_first, None, LIMITS);
                    page.unwrap().deliveries.len()
                },
            );
            longest = longest.max(time);
        }
        let count = || store.count_deliveries(filter, u64::MAX).unwrap();
        let time = timed(&format!("dead letters, {name}, counted"), || {
            usize::try_from(count()).unwrap()
        });
        longest = longest.max(time);
    }
    let counts = timed("dead letters by target", || {
        store.dead_letter_counts().unwrap().len()
    });
    let newest = timed("newest dead letters", || {
        store.newest_dead_letters(20).unwrap().len()
    });
    longest.max(counts).max(newest)
}

/// Lists of entries.
fn time_entries(store: &SqliteStore, events: usize) -> Duration {
    let mut longest = Duration::ZERO;
    let middle = at(i64::try_from(events / 4_000).unwrap());
    let source = store.entry(1).unwrap().unwrap().unwrap().name.source;
    let all = EventFilter::default();
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        ("all", all.clone()),
        (
            "id",
            EventFilter {
                id: text("e-7"),
                ..all.clone()
            },
        ),
        (
            "rule",
            EventFilter {
                rule: text("rule-3"),
                ..all.clone()
            },
        ),
        (
            "rule that never matched",
            EventFilter {
                rule: text("none"),
                ..all.clone()
            },
        ),
        (
            "name that no event has",
            EventFilter {
                name: text("none"),
                ..all.clone()
            },
        ),
        (
            "source",
            EventFilter {
                source: Some(source),
                ..all.clone()
            },
        ),
        (
            "until",
            EventFilter {
                until: Some(middle),
                ..all.clone()
            },
        ),
        (
            "from",
            EventFilter {
                from: Some(middle),
                ..all.clone()
            },
        ),
    ];
    for (name, filter) in &filters {
        let time = timed(&format!("events, {name}"), || {
            store
                .entry_page(filter, None, LIMITS)
                .unwrap()
                .entries
                .len()
        });
        let half = i64::try_from(events / 2).unwrap();
        let second = timed(&format!("events, {name}, from the middle"), || {
            store
                .entry_page(filter, Some(half), LIMITS)
                .unwrap()
                .entries
                .len()
        });
        longest = longest.max(time).max(second);
    }
    let time = timed("one entry", || {
        usize::from(store.entry(7).unwrap().is_some())
    });
    longest.max(time)
}

fn time_audit(store: &SqliteStore, entries: usize) -> Duration {
    let entry = |number: usize| NewAuditEntry {
        at: at(i64::try_from(number).unwrap()),
        by: format!("user-{}", number % 7),
        via: AuditVia::Api,
        operation: format!("operation-{}", number % 11),
        subject: "target network-team".into(),
        details: r#"{"target":"network-team"}"#.into(),
        command: "reflexarc dlq redrive --all --target network-team".into(),
        outcome: AuditOutcome::Done,
        count: 1,
        message: String::new(),
    };
    for number in 0..entries {
        store.append_audit(entry(number)).unwrap();
    }
    let text = |text: &str| Some(text.to_owned());
    let all = AuditFilter::default();
    let from = Some(at(0));
    let mut longest = Duration::ZERO;
    for (name, filter) in [
        ("all", all.clone()),
        (
            "by",
            AuditFilter {
                by: text("user-3"),
                ..all.clone()
            },
        ),
        (
            "nobody",
            AuditFilter {
                by: text("none"),
                ..all.clone()
            },
        ),
        (
            "operation",
            AuditFilter {
                operation: text("operation-3"),
                ..all.clone()
            },
        ),
        (
            "time",
            AuditFilter {
                from,
                until: Some(at(100)),
                ..all.clone()
            },
        ),
        ("all of a time", AuditFilter { from, ..all }),
    ] {
        let time = timed(&format!("audit, {name}"), || {
            store.audit_page(&filter, None, 100).unwrap().len()
        });
        longest = longest.max(time);
    }
    longest
}

/// Changes all dead letters or all that is pending in steps, while another thread accepts events.
/// Returns how many were changed.
fn change_all(store: &SqliteStore, change: BulkChange, status: DeliveryStatus, size: usize) -> u64 {
    let filter = DeliveryFilter {
        finished_until: Some(at(20_000)),
        ..DeliveryFilter::of(status)
    };
    let is_done = AtomicBool::new(false);
    let begun = Instant::now();
    let (changed, mut waits) = std::thread::scope(|scope| {
        let accepting = scope.spawn(|| {
            let mut waits = Vec::new();
            for number in 0.. {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                let text = event_text(&format!("{change:?}-{size}-{number}"), "eni-1");
                let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
                let begun = Instant::now();
                let nothing = reflexarc::Evaluation::default();
                store.accept(incoming, nothing, at(20_000)).unwrap();
                waits.push(begun.elapsed());
            }
            waits
        });
        let (mut changed, mut after) = (0, None);
        loop {
            let step = store.submit_matching(change, &filter, after, size, at(20_001));
            let step = step.wait().unwrap();
            changed += step.changed;
            after = step.next;
            if after.is_none() {
                break;
            }
        }
        is_done.store(true, Ordering::Relaxed);
        (changed, accepting.join().unwrap())
    });
    waits.sort_unstable();
    let at_share = |percent: usize| {
        let place = (waits.len() * percent / 100).min(waits.len() - 1);
        waits[place]
    };
    println!(
        "{change:?} of {changed} in steps of {size}: {:.2?}; of {} other commits the median took \
         {:.2?}, the slowest of a hundred {:.2?}, the slowest {:.2?}",
        begun.elapsed(),
        waits.len(),
        at_share(50),
        at_share(99),
        at_share(100)
    );
    changed
}

/// Pages of matches by deadline, of a tenth of a hundred rules each, and a match in ten without one.
fn time_matches(store: &SqliteStore, count: usize) {
    for batch in 0..count / 1_000 {
        let changes = (0..1_000).map(|number| {
            let number = batch * 1_000 + number;
            let mut kept = KeptMatch::new("{}");
            kept.is_pending = true;
            kept.window = 7;
            // Not in the order of the keys.
            let second = 20_000 + i64::try_from(number * 7_919 % count).unwrap();
            kept.due = (number % 10 != 0).then(|| at(second));
            StateChange::SetMatch {
                key: format!("\"eni-{number}\""),
                kept,
                event: None,
            }
        });
        let evaluated = evaluation(&format!("rule-{}", batch % 10), vec![], changes.collect());
        let text = event_text(&format!("match-{batch}"), "eni-1");
        let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
        store.accept(incoming, evaluated, at(15_000)).unwrap();
    }
    let all = MatchFilter::default();
    let of_rule = MatchFilter {
        rule: Some("rule-3".to_owned()),
        ..all.clone()
    };
    let now = at(15_000);
    let mut after = None;
    for (name, filter) in [("all", &all), ("of a rule", &of_rule)] {
        timed(&format!("matches by deadline, {name}"), || {
            let page = store.pending_by_deadline(filter, None, LIMITS, now);
            let page = page.unwrap();
            after = page.next;
            page.matches.len()
        });
        timed(&format!("matches by deadline, {name}, page 2"), || {
            let page = store.pending_by_deadline(filter, after.as_ref(), LIMITS, now);
            page.unwrap().matches.len()
        });
    }
    timed("matches, counted", || store.match_counts().unwrap().len());
    let all_of_them = PageLimits {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    timed("matches by deadline, as many as a page looks at", || {
        let page = store.pending_by_deadline(&all, None, all_of_them, now);
        page.unwrap().matches.len()
    });
}

#[test]
fn page_speed() {
    let events = std::env::var("REFLEXARC_PAGES").map_or(2_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, events);
    let letters = events as u64 / 10;
    let all = DeliveryFilter::of(DeliveryStatus::Dead);
    assert_eq!(store.count_deliveries(&all, u64::MAX), Ok(letters));
    let longest = time_letters(&store, events)
        .max(time_entries(&store, events))
        .max(time_audit(&store, events / 20));
    println!("{longest:>10.2?}  the slowest of all");
    time_matches(&store, (events / 10).max(1_000));
    let (redrive, cancel) = (BulkChange::Redrive, BulkChange::Cancel);
    let (dead, pending) = (DeliveryStatus::Dead, DeliveryStatus::Pending);
    assert_eq!(change_all(&store, redrive, dead, 256), letters);
    let all = DeliveryFilter::of(pending);
    timed("all pending", || {
        let page = store.filtered_page(&all, false, None, LIMITS);
        page.unwrap().deliveries.len()
    });
    timed("pending, counted", || {
        usize::try_from(store.count_deliveries(&all, u64::MAX).unwrap()).unwrap()
    });
    timed("depths of queues", || {
        store.queue_depths(at(20_001)).unwrap().len()
    });
    assert_eq!(change_all(&store, cancel, pending, 256), letters);
    assert_eq!(store.count_deliveries(&all, u64::MAX), Ok(0));
}
