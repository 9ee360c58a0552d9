//! Measures how many events the service accepts over HTTP on this machine, and the disk's sync.
//!
//! Clients and service share the process and so its cores. One event in eight leads to a delivery.
//!
//! ```text
//! cargo run --release -p reflexarc-service --example load -- \
//!     [EVENTS] [BATCH] [CONNECTIONS] [FOLDER]
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement uses clock, files and the terminal"
)]
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement stops at the first error"
)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reflexarc::RuleSet;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{BreakerPolicy, FileTarget, RetryPolicy};
use reflexarc_service::{Config, ServiceBuilder, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::support::{event, memory, percentiles, sync_costs, thread_times};

/// Matches one event in eight, increments a counter and sends a document.
const RULE: &str = r#"
when = 'content.result == "failed" and regionId == "cn-hangzhou"'
then = 'let n = add("failures", 1); send("out", #{ eni: event.content.eniId, n: n });'
"#;

fn main() {
    let argument = |place: usize, otherwise: usize| {
        std::env::args()
            .nth(place)
            .map_or(otherwise, |text| text.replace('_', "").parse().unwrap())
    };
    let (events, batch, connections) = (argument(1, 100_000), argument(2, 100), argument(3, 8));
    let folder = std::env::args()
        .nth(4)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("reflexarc-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    println!(
        "{cores} cores; append of 4 KiB and sync: {}",
        percentiles(&sync_costs(&folder))
    );
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(measure(&folder, events, batch, connections));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A service with one rule and one target, a file, and its store.
fn service(folder: &Path) -> (ServiceBuilder, Arc<dyn Store>) {
    let config = Config {
        rule_paths: vec![folder.to_owned()],
        queues: vec![TargetConfig {
            name: "out".into(),
            target: Arc::new(FileTarget::file(folder.join("out.ndjson"))),
            concurrency: 4,
            timeout: Duration::from_secs(30),
            policy: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            order_wait: SignedDuration::from_mins(1),
            firing_limit: None,
            calls: None,
            digest: [0; 32],
        }],
        ..Config::default()
    };
    let rules = RuleSet::compile([("failures.toml", RULE)]).unwrap();
    let store = SqliteStore::open(&folder.join("store.db"), &config.store_options).unwrap();
    let store = Arc::new(store);
    (ServiceBuilder::new(config, rules, store.clone()), store)
}

async fn measure(folder: &Path, events: usize, batch: usize, connections: usize) {
    let (service, store) = service(folder);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(service.serve(listener, stopped));

    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::new();
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let posting: Vec<_> = (0..connections)
        .map(|_| {
            let (client, url, next) = (client.clone(), url.clone(), next.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let first = next.fetch_add(batch, Ordering::Relaxed);
                    if first >= events {
                        return latencies;
                    }
                    let lines: Vec<String> =
                        (first..(first + batch).min(events)).map(event).collect();
                    let started = Instant::now();
                    let request = client
                        .post(&url)
                        .header("content-type", "application/x-ndjson");
                    let status = request
                        .body(lines.join("\n"))
                        .send()
                        .await
                        .unwrap()
                        .status();
                    assert_eq!(status.as_u16(), 200);
                    latencies.push(started.elapsed());
                }
            })
        })
        .collect();
    let watching = {
        let next = next.clone();
        tokio::spawn(async move {
            let mut printed = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let done = next.load(Ordering::Relaxed);
                if done >= printed + events / 10 {
                    printed = done;
                    println!(
                        "{done:>9} posted after {:>6.1?}, {:.0} MiB resident",
                        started.elapsed(),
                        memory("VmRSS:")
                    );
                }
            }
        })
    };
    let mut latencies = Vec::new();
    for post in posting {
        latencies.extend(post.await.unwrap());
    }
    let took = started.elapsed();
    watching.abort();
    latencies.sort();
    println!("{events} events in batches of {batch} over {connections} connections: {took:.2?}");
    println!("{:.0} events/s", events as f64 / took.as_secs_f64());
    println!(
        "a batch, from request to response: {}",
        percentiles(&latencies)
    );
    let waiting = |store: &dyn Store| {
        store
            .queue_depths(jiff::Timestamp::now())
            .unwrap()
            .iter()
            .map(|depth| depth.waiting)
            .sum::<u64>()
    };
    let left = waiting(&*store);
    while waiting(&*store) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{} deliveries, {left} of them after the last event; all sent after {:.2?}",
        events.div_ceil(8),
        started.elapsed()
    );
    println!(
        "store: {:.0} MiB, {:.0} MiB resident",
        store.used_bytes().unwrap() as f64 / 1_048_576.0,
        memory("VmRSS:")
    );
    for (name, time) in thread_times() {
        println!("{time:>9.2?} of processor time: {name}");
    }
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}
