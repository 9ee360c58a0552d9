//! Pending matches of `not_followed_by`: what they take on disk, and how fast they fire.
//!
//! ```text
//! cargo bench -p reflexarc-store --bench matches -- 1000000 100000
//! ```
//!
//! Accepts an opening event for each of so many keys in batches of 500, opens the store again, and
//! fires the given number of deadlines that are all due, in transactions of 256, while batches of
//! 100 events come that no rule matches. Each transaction is synced, so the figures are also those
//! of the disk.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

#[path = "../tests/support/samples.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod samples;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc::{Evaluation, RuleSet};
use reflexarc_event::{Event, Json};
use reflexarc_store::{
    EntryKind, EvaluateInTransaction, Incoming, NewEntry, Reply, SqliteStore, Store, StoreError,
    StoredState, TimeTransaction,
};

use self::samples::{at, event_text, open};

const RULE: &str = r#"
when = 'content.result == "failed"'
by = "content.eniId"
not_followed_by = { when = 'content.result == "success"', within = "30m" }
max_pending = 2000000
then = 'send("t", count)'
"#;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mut number = || args.next().map(|text| text.parse::<usize>().unwrap());
    // `cargo bench` and `cargo test --benches` run this without numbers.
    let (Some(count), Some(due)) = (number(), number()) else {
        return;
    };
    let rules = Arc::new(RuleSet::compile([("stuck.toml", RULE)]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let begun = Instant::now();
    for first in (0..count).step_by(500) {
        let numbers = first..count.min(first + 500);
        // A batch is a second, as are the deadlines that it opens.
        let now = at((first / 500) as i64);
        accept(
            &store,
            now,
            numbers.map(|number| opening(&rules, number, now)),
        );
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} openings/s", count as f64 / seconds);
    println!("{} MiB resident", resident_kib() / 1_024);
    let path = store.path().to_owned();
    drop(store);

    println!("{:.1} MB of matches", bytes_of_matches(&path) as f64 / 1e6);

    let begun = Instant::now();
    let store = Arc::new(open(folder.path()));
    let next = store.next_deadline().unwrap();
    println!(
        "opened in {:.3} s, next {next:?}",
        begun.elapsed().as_secs_f64()
    );
    fire_beside_events(&store, &rules, due);
    println!("{} MiB resident", resident_kib() / 1_024);
}

fn fire_beside_events(store: &Arc<SqliteStore>, rules: &Arc<RuleSet>, due: usize) {
    let (accepted, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let rate = |span: Duration, before: u64| {
        let count = accepted.load(Ordering::Relaxed) - before;
        count as f64 / span.as_secs_f64()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) {
                let events = (number..number + 100).map(|number| {
                    let text = event_text(&format!("other-{number}"), "eni-1");
                    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
                    let nothing: EvaluateInTransaction =
                        Box::new(|_, _, _| Ok(Evaluation::default()));
                    (incoming, nothing)
                });
                accept(&**store, at(0), events);
                number += 100;
                accepted.fetch_add(100, Ordering::Relaxed);
            }
        });
        let alone = Duration::from_secs(3);
        std::thread::sleep(alone);
        println!("{:.0} events/s accepted alone", rate(alone, 0));
        let before = accepted.load(Ordering::Relaxed);
        let (begun, cpu, mut fired) = (Instant::now(), store_cpu_seconds(), 0);
        while fired < due {
            fired += fire(store, rules);
        }
        let took = begun.elapsed();
        let cpu = store_cpu_seconds() - cpu;
        println!("{fired} fired in {:.2} s", took.as_secs_f64());
        println!(
            "{:.1} µs of the store's thread each, events included",
            cpu * 1e6 / fired as f64
        );
        println!("{:.0} events/s accepted beside it", rate(took, before));
        let before = accepted.load(Ordering::Relaxed);
        std::thread::sleep(alone);
        println!("{:.0} events/s accepted afterwards", rate(alone, before));
        is_done.store(true, Ordering::Relaxed);
    });
}

/// Fires up to 256 matches in one transaction. Returns how many.
fn fire(store: &Arc<SqliteStore>, rules: &Arc<RuleSet>) -> usize {
    let rules = rules.clone();
    let (sender, fired) = std::sync::mpsc::channel();
    let work = move |transaction: &mut dyn TimeTransaction| {
        let due = transaction.due(Timestamp::MAX, 256, &|_, _| true)?;
        sender.send(due.len()).unwrap();
        for due in due {
            let evaluation = {
                let state = StoredState::new(&*transaction);
                let evaluation = rules.fire(&due.rule, &due.key, &state, due.at);
                state.into_reads()?;
                evaluation
            };
            assert_eq!(evaluation.actions().count(), 1);
            let id = due.key.trim_matches('"');
            let event = Incoming::new(Event::from_json(event_text(id, "eni-1")).unwrap());
            let event = event.unwrap();
            let entry = NewEntry {
                kind: EntryKind::Firing,
                at: due.at,
                identity: event.identity,
                event: event.name,
                resource: due.key.clone(),
                detail: Json::object([("rule", due.rule.as_str().into())]),
            };
            transaction.add(entry, &evaluation, due.at)?;
        }
        Ok::<_, StoreError>(None)
    };
    store.submit_time(Box::new(work)).wait().unwrap();
    fired.recv().unwrap()
}

/// An event that opens a match of its own key.
fn opening(
    rules: &Arc<RuleSet>,
    number: usize,
    now: Timestamp,
) -> (Incoming, EvaluateInTransaction) {
    // As random as keys are: neighbours in the table come at different times.
    let place = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = event_text(
        &format!("open-{number}"),
        &format!("eni-bp1g6w{place:016x}"),
    );
    // On time: an event that is late waits for others.
    let text = text.replace("20190409T121826.922+0800", &now.to_string());
    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
    let rules = rules.clone();
    let evaluate: EvaluateInTransaction = Box::new(move |state, incoming, now| {
        let state = StoredState::new(state);
        let evaluation = rules.evaluate(&incoming.native, &state, now);
        state.into_reads()?;
        Ok(evaluation)
    });
    (incoming, evaluate)
}

fn accept(
    store: &dyn Store,
    now: Timestamp,
    events: impl Iterator<Item = (Incoming, EvaluateInTransaction)>,
) {
    let (reply, accepted) = Reply::channel();
    let events: Vec<_> = events.collect();
    store.accept_together(events, now, Box::new(()), reply);
    accepted.wait().unwrap();
}

/// Bytes of the pages that dropping their tables would free.
fn bytes_of_matches(path: &Path) -> i64 {
    let direct = rusqlite::Connection::open(path).unwrap();
    let read = |name: &str| direct.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let before = read("freelist_count").unwrap();
    let drop = "BEGIN; DROP TABLE kept_match; DROP TABLE kept_event; DROP TABLE match_rule;";
    direct.execute_batch(drop).unwrap();
    let pages = read("freelist_count").unwrap() - before;
    direct.execute_batch("ROLLBACK").unwrap();
    pages * read("page_size").unwrap()
}

/// Processor time of the thread that writes.
fn store_cpu_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let files = threads.map(|thread| thread.unwrap().path().join("stat"));
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let of_store = texts.filter(|text| text.contains("(store)"));
    let ticks = of_store.map(|text| {
        // The fields behind the name: user time is the 12th, system time the 13th, in 10 ms.
        let fields = text.rsplit_once(") ").unwrap().1.split(' ');
        let times = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().unwrap());
        times.sum::<f64>()
    });
    ticks.sum::<f64>() / 100.0
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let digits: String = line.unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
