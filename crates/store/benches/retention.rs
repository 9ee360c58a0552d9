//! Accepting batches of 500 events as fast as possible, while retention removes as many.
//!
//! ```text
//! cargo bench -p reflexarc-store --bench retention -- EVENTS
//! ```
//!
//! Prints how many events were accepted and removed a second, until the archive has the newest
//! 20,000 again. Each batch is synced, so the figures are also those of the disk.
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

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use jiff::SignedDuration;
use reflexarc::Evaluation;
use reflexarc_event::Event;
use reflexarc_store::{EvaluateInTransaction, Incoming, Reply, Retention, Store};

use self::samples::{at, event_text, open};

const BATCH: usize = 500;
/// A batch is a second, so these are the newest 20,000 events.
const KEEP: SignedDuration = SignedDuration::from_secs(40);

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    // `cargo bench` and `cargo test --benches` run this without a number.
    let Some(count) = args.next().map(|count| count.parse::<usize>().unwrap()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let retention = Retention {
        age: KEEP,
        ..Retention::default()
    };
    let (second, is_done) = (AtomicI64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let removed: u64 = std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut removed = 0;
            loop {
                let is_last = is_done.load(Ordering::Acquire);
                let now = at(second.load(Ordering::Acquire));
                removed += store.prune(&retention, now).unwrap().events;
                if is_last {
                    return removed;
                }
            }
        });
        for (batch, first) in (0..count).step_by(BATCH).enumerate() {
            let events = (first..first + BATCH).map(|number| {
                let id = format!("2256A988-0B26-4E2B-820A-{number:012X}");
                let text = event_text(&id, &format!("eni-{}", number % 5_000));
                let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
                let evaluate: EvaluateInTransaction = Box::new(|_, _, _| Ok(Evaluation::default()));
                (incoming, evaluate)
            });
            let (reply, accepted) = Reply::channel();
            let now = batch as i64;
            store.accept_together(events.collect(), at(now), Box::new(()), reply);
            accepted.wait().unwrap();
            second.store(now, Ordering::Release);
        }
        println!(
            "{:.0} events/s accepted",
            count as f64 / begun.elapsed().as_secs_f64()
        );
        is_done.store(true, Ordering::Release);
        pruning.join().unwrap()
    });
    let took = begun.elapsed().as_secs_f64();
    println!("{removed} removed, {:.0} events/s", removed as f64 / took);
}
