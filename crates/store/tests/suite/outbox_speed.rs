//! How fast deliveries go through the outbox: the figures of `crates/service/RESULTS.md`.
//!
//! ```text
//! REFLEXARC_OUTBOX=20000 cargo test -p reflexarc-store --test suite outbox_speed -- --nocapture
//! ```

use reflexarc_delivery::Decision;
use reflexarc_event::Event;
use reflexarc_store::{EvaluateInTransaction, Incoming, Reply, Store};

use crate::samples::{LEASE, at, attempt, evaluation, event_text, open, send};

/// Accepts `count` events of `resources` resources, then claims and settles their deliveries.
/// Returns the processor time of each.
fn through(store: &dyn Store, count: usize, resources: usize) -> (f64, f64) {
    let begun = processor_time();
    for batch in 0..count.div_ceil(500) {
        let events = (batch * 500..count.min(batch * 500 + 500)).map(|number| {
            let text = event_text(&number.to_string(), &format!("eni-{}", number % resources));
            let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
            let result = evaluation("r", vec![send("t", 1)], vec![]);
            let evaluate: EvaluateInTransaction = Box::new(move |_, _, _| Ok(result));
            (incoming, evaluate)
        });
        let (reply, accepted) = Reply::channel();
        store.accept_together(events.collect(), at(0), Box::new(()), reply);
        accepted.wait().unwrap();
    }
    let between = processor_time();
    let mut left = count;
    while left > 0 {
        let claimed = store.claim("t", at(0), LEASE, 256).unwrap();
        assert!(!claimed.is_empty());
        left -= claimed.len();
        let settle = |delivery| {
            store.submit_settle(delivery, attempt("delivered"), Decision::Delivered, at(0))
        };
        let replies: Vec<_> = claimed.into_iter().map(settle).collect();
        for reply in replies {
            reply.wait().unwrap();
        }
    }
    (between - begun, processor_time() - between)
}

/// Processor time of this process in seconds: other processes do not change it as much as they do
/// the time that passes. Zero where the system does not say.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time in hundredths of a second, after the name in parentheses.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

#[test]
fn outbox_speed() {
    let count = std::env::var("REFLEXARC_OUTBOX").map_or(1_000, |count| count.parse().unwrap());
    for resources in [count, 500, 1] {
        let folder = tempfile::tempdir().unwrap();
        let speed = measure("SQLite", &open(folder.path()), count, resources);
        println!("{speed}");
    }
    #[cfg(feature = "cluster")]
    for resources in [count, 500, 1] {
        if let Some(schema) = crate::server::Schema::new() {
            // What the server needs is not counted, but passes.
            let store = schema.connect().unwrap();
            println!("{}", measure("PostgreSQL", &store, count, resources));
        }
    }
}

fn measure(database: &str, store: &dyn Store, count: usize, resources: usize) -> String {
    let began = std::time::Instant::now();
    let (accepted, sent) = through(store, count, resources);
    let passed = began.elapsed().as_secs_f64();
    let number = f64::from(u32::try_from(count).unwrap());
    let each = |time: f64| (time / number * 1e6).round();
    format!(
        "{database}, {count} deliveries, {resources} resources: {} µs of the processor to accept, \
         {} µs to claim and settle; {} µs passed",
        each(accepted),
        each(sent),
        each(passed)
    )
}
