//! Measures what readers of the live stream cost: how many events a second the service accepts
//! with 0, 1 and 10 of them, in turns, so that the figures of one run can be compared.
//!
//! Clients, readers and service share the process and so its cores.
//!
//! ```text
//! cargo run --release -p reflexarc-service --example live_readers -- [EVENTS] [ROUNDS]
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

#[allow(dead_code, reason = "shared with another measurement")]
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use reflexarc::RuleSet;
use reflexarc_service::{Config, ServiceBuilder, SqliteStore};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::support::event;

const RULE: &str = r#"
when = 'content.result == "failed" and regionId == "cn-hangzhou"'
then = 'add("failures", 1);'
"#;
const READERS: [usize; 3] = [0, 1, 10];
const BATCH: usize = 100;
const CONNECTIONS: usize = 8;

#[tokio::main]
async fn main() {
    let argument = |place: usize, otherwise: usize| {
        std::env::args()
            .nth(place)
            .map_or(otherwise, |text| text.parse().unwrap())
    };
    let (events, rounds) = (argument(1, 100_000), argument(2, 5));
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut rates = READERS.map(|_| Vec::new());
    for round in 0..=rounds {
        for (readers, rates) in READERS.iter().zip(&mut rates) {
            let (rate, entries) = measure(*readers, events).await;
            println!("{readers:>2} readers: {rate:>8.0} events/s, {entries} entries read");
            // The first round is for warming up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    for (readers, median) in READERS.iter().zip(medians) {
        let ratio = median / medians[0];
        println!(
            "{readers:>2} readers: median {median:>8.0} events/s, {ratio:.3} of those without"
        );
    }
}

/// Events a second, and the entries that all readers got.
async fn measure(readers: usize, events: usize) -> (f64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::default();
    let rules = RuleSet::compile([("failures.toml", RULE)]).unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db"), &config.store_options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let service = ServiceBuilder::new(config, rules, Arc::new(store));
    let running = tokio::spawn(service.serve(listener, stopped));
    let entries = Arc::new(AtomicU64::new(0));
    for _ in 0..readers {
        let live = Client::new().get(format!("{url}/live")).send().await;
        let (mut live, entries) = (live.unwrap(), entries.clone());
        assert_eq!(live.status().as_u16(), 200);
        tokio::spawn(async move {
            while let Ok(Some(chunk)) = live.chunk().await {
                let ids = chunk.windows(4).filter(|bytes| bytes == b"id: ");
                entries.fetch_add(ids.count() as u64, Ordering::Relaxed);
            }
        });
    }
    let next = Arc::new(AtomicUsize::new(0));
    let client = Client::new();
    let started = Instant::now();
    let posting: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (client, url, next) = (client.clone(), format!("{url}/events"), next.clone());
            tokio::spawn(async move { post(&client, &url, &next, events).await })
        })
        .collect();
    for post in posting {
        post.await.unwrap();
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
    (rate, entries.load(Ordering::Relaxed))
}

async fn post(client: &Client, url: &str, next: &AtomicUsize, events: usize) {
    loop {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        if first >= events {
            return;
        }
        let lines: Vec<String> = (first..(first + BATCH).min(events)).map(event).collect();
        let request = client.post(url);
        let request = request.header("content-type", "application/x-ndjson");
        let response = request.body(lines.join("\n")).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
    }
}
