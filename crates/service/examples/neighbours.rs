//! Measures what a hostile rule costs nine ordinary ones, and a flood of events a small client.
//!
//! ```text
//! cargo run --release -p reflexarc-service --example neighbours -- [SECONDS] [FOLDER]
//! ```
//!
//! Each hostile rule runs for twice SECONDS (5) without budgets and with the default ones, beside
//! the same nine rules and under the same load. Clients and service share the process.
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
    clippy::exit,
    reason = "a measurement stops at the first error"
)]
#[allow(dead_code, reason = "shared with the other measurements")]
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
use reflexarc_service::budgets::Budgets;
use reflexarc_service::security::{Role, Token, Tokens};
use reflexarc_service::{Config, ServiceBuilder, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::support::{event, memory, percentiles, sync_costs, thread_times};

/// Nine rules like this one: a counter for each ENI, and now and then a document.
const ORDINARY: &str = r#"
when = 'content.result == "failed"'
then = '''
let eni = event.content.eniId;
let n = add(eni, 1);
if n % 20 == 0 { send("out", #{ eni: eni, operation: event.content.operation, n: n }); }
'''
"#;

/// Rules within all limits of a single run, and one that fails at its deadline each time.
const HOSTILE: [(&str, &str, &str); 10] = [
    ("nothing hostile", "id exists", "()"),
    (
        "loops to the limit of operations",
        "id exists",
        "let n = 0; loop { n += 1; }",
    ),
    (
        "loops to the deadline of 50 ms",
        "id exists",
        r#"let t = ""; t.pad(30000, "x"); loop { let u = t.to_upper(); }"#,
    ),
    (
        "100 actions of 32 KB",
        "id exists",
        r#"let t = ""; t.pad(32000, "x"); for n in 0..100 { send("out", t); }"#,
    ),
    (
        "200 state entries of 16 KB",
        "id exists",
        r#"let t = ""; t.pad(16000, "x"); for n in 0..200 { set(`${n}`, t); }"#,
    ),
    (
        "recursion, 16,000 calls",
        "id exists",
        "fn f(n) { if n > 0 { f(n - 1); f(n - 1); } } f(13);",
    ),
    (
        "emits 16 events for all rules",
        "not source exists",
        r#"for n in 0..16 {
            emit(#{ source: "emitted", content: #{ result: "failed", eniId: `${n}` } });
        }"#,
    ),
    ("a filter of 200 slow conditions", "SLOW FILTER", "()"),
    ("nothing hostile, events with arrays", "id exists", "()"),
    ("a filter over nine arrays", "ARRAYS FILTER", "()"),
];

/// A filter that no index can decide.
fn slow_filter() -> String {
    let condition = |n: usize| format!("content.requestId matches \".*[a-f]{{2}}.*{n}.*x\"");
    (0..200).map(condition).collect::<Vec<_>>().join(" or ")
}

/// A filter over arrays of objects that matches after all their combinations.
fn arrays_filter() -> String {
    let pairs = (0..8).map(|n| format!("content.a{n}.x == 1 and content.a{n}.y == 1"));
    let pairs = pairs.collect::<Vec<_>>().join(" and ");
    format!("not ({pairs} and content.z.x == 1 and content.z.y == 1)")
}

/// The event with such arrays.
fn with_arrays(event: &str) -> String {
    let both = [r#"{"x":1,"y":1}"#; 8].join(",");
    let arrays = (0..8).map(|n| format!("\"a{n}\":[{both}]"));
    let arrays = arrays.collect::<Vec<_>>().join(",");
    let content = format!(r#""content":{{{arrays},"z":[{{"x":1}},{{"y":1}}],"#);
    event.replacen(r#""content":{"#, &content, 1)
}

struct Service {
    /// Whether events have arrays of objects.
    arrays: bool,
    url: String,
    client: reqwest::Client,
    /// The number of the next event.
    next: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Service {
    async fn start(folder: &Path, hostile: Option<(&str, &str)>, with_budgets: bool) -> Self {
        drop(std::fs::remove_dir_all(folder));
        std::fs::create_dir_all(folder).unwrap();
        let mut config = Config {
            queues: vec![TargetConfig {
                name: "out".into(),
                target: Arc::new(FileTarget::file(folder.join("out.ndjson"))),
                concurrency: 1,
                timeout: Duration::from_secs(30),
                policy: RetryPolicy::default(),
                breaker: BreakerPolicy::default(),
                order_wait: SignedDuration::from_mins(1),
                firing_limit: None,
                calls: None,
                digest: [0; 32],
            }],
            tokens: Tokens::new(vec![token("flood"), token("small")]),
            budgets: Budgets::default(),
            // Deliveries that wait are not of interest.
            shutdown_timeout: Duration::from_millis(100),
            ..Config::default()
        };
        if !with_budgets {
            let budget = &mut config.budgets.default;
            (budget.time, budget.time_burst) =
                (Duration::from_secs(3_600), Duration::from_secs(3_600));
            (budget.bytes, budget.bytes_burst) = (1 << 40, 1 << 40);
        }
        let mut files: Vec<_> = (0..9)
            .map(|n| (format!("ordinary-{n}.toml"), ORDINARY.to_owned()))
            .collect();
        if let Some((filter, script)) = hostile {
            let filter = filter.replace("SLOW FILTER", &slow_filter());
            let filter = filter.replace("ARRAYS FILTER", &arrays_filter());
            let rule = format!("when = '''{filter}'''\nthen = '''{script}'''");
            files.push(("hostile.toml".to_owned(), rule));
        }
        let rules = RuleSet::compile(files).unwrap();
        let store = SqliteStore::open(&folder.join("store.db"), &config.store_options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let service = ServiceBuilder::new(config, rules, Arc::new(store));
        let running = tokio::spawn(async move { service.serve(listener, stopped).await.unwrap() });
        Self {
            arrays: false,
            url,
            client: reqwest::Client::new(),
            next: Arc::default(),
            stop,
            running,
        }
    }

    /// Posts batches over so many connections until the time is over. Returns the number of events
    /// that were accepted in it.
    async fn flood(&self, connections: usize, batch: usize, time: Duration) -> usize {
        let accepted = Arc::new(AtomicUsize::new(0));
        let end = Instant::now() + time;
        let posting: Vec<_> = (0..connections)
            .map(|_| {
                let (client, url) = (self.client.clone(), format!("{}/events", self.url));
                let arrays = self.arrays;
                let (next, accepted) = (self.next.clone(), accepted.clone());
                tokio::spawn(async move {
                    while Instant::now() < end {
                        let first = next.fetch_add(batch, Ordering::Relaxed);
                        let lines = (first..first + batch).map(event);
                        let lines: Vec<String> = if arrays {
                            lines.map(|event| with_arrays(&event)).collect()
                        } else {
                            lines.collect()
                        };
                        let status = post(&client, &url, "flood", lines.join("\n")).await;
                        if status == 200 && Instant::now() < end {
                            accepted.fetch_add(batch, Ordering::Relaxed);
                        } else if status != 200 {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(time).await;
        let accepted = accepted.load(Ordering::Relaxed);
        for post in posting {
            // Those of a slow service would go on for a minute.
            post.abort();
        }
        accepted
    }

    /// Durations of single events of one client, one each 20 ms, the shortest first.
    async fn small(&self, token: &str, time: Duration) -> (Vec<Duration>, usize) {
        let url = format!("{}/events", self.url);
        let end = Instant::now() + time;
        let (mut durations, mut refused, mut number) = (Vec::new(), 0, 0);
        while Instant::now() < end {
            let started = Instant::now();
            let text = event(number)
                .replace("eni-", "eni-small-")
                .replace("2256", token);
            let status = post(&self.client, &url, token, text).await;
            number += 1;
            if status == 200 {
                durations.push(started.elapsed());
            } else {
                refused += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        durations.sort();
        (durations, refused)
    }

    /// The value of a metric, 0 if it is not there.
    async fn metric(&self, name: &str) -> u64 {
        let request = self.client.get(format!("{}/metrics", self.url));
        let request = request.bearer_auth("secret-flood").send().await.unwrap();
        let text = request.text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or(0)
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.unwrap();
    }
}

fn token(name: &str) -> Token {
    let secret = format!("secret-{name}").into();
    Token::new(name.into(), &secret, vec![Role::Ingest, Role::Read], None)
}

async fn post(client: &reqwest::Client, url: &str, token: &str, body: String) -> u16 {
    let request = client.post(url).bearer_auth(format!("secret-{token}"));
    let request = request
        .header("content-type", "application/x-ndjson")
        .body(body);
    request
        .send()
        .await
        .map_or(0, |response| response.status().as_u16())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize| arguments.get(place).map(String::as_str);
    let time = Duration::from_secs(argument(0).map_or(5, |text| text.parse().unwrap()));
    let folder = argument(1).map_or_else(std::env::temp_dir, PathBuf::from);
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(hostile) = argument(2) {
        let hostile = HOSTILE.iter().find(|(name, ..)| *name == hostile).unwrap();
        return runtime.block_on(rule(
            &folder,
            time,
            *hostile,
            argument(3) == Some("budgets"),
        ));
    }
    let folder = folder.join(format!("reflexarc-neighbours-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    let costs = percentiles(&sync_costs(&folder));
    println!("{cores} cores; append of 4 KiB and sync: {costs}\n");
    println!(
        "| tenth rule | budgets | events/s, first {time:?} | then | a second of processor time \
         | cut off | store | resident |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, ..) in HOSTILE {
        for budgets in ["without", "budgets"] {
            // Each in a process of its own, whose memory tells of nothing else.
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.arg(time.as_secs().to_string()).arg(&folder);
            assert!(child.args([name, budgets]).status().unwrap().success());
        }
    }
    runtime.block_on(sources(&folder, time));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A row of the table of hostile rules.
async fn rule(folder: &Path, time: Duration, hostile: (&str, &str, &str), with_budgets: bool) {
    let (name, filter, script) = hostile;
    let mut service = Service::start(folder, Some((filter, script)), with_budgets).await;
    service.arrays = name.contains("arrays");
    let rate = |accepted: usize| accepted as f64 / time.as_secs_f64();
    let first = rate(service.flood(4, 100, time).await);
    let used = processor_time();
    let accepted = service.flood(4, 100, time).await;
    // What other programs of the machine do changes the events of a second, but hardly these.
    let per_processor = accepted as f64 / processor_time().saturating_sub(used).as_secs_f64();
    let then = rate(accepted);
    let metric = "reflexarc_reactions_over_budget_total{rule=\"hostile\"}";
    let cut_off = service.metric(metric).await;
    let budgets = if with_budgets { "with" } else { "without" };
    let size = ["store.db", "store.db-wal"].map(|file| {
        let file = std::fs::metadata(folder.join(file));
        file.map_or(0, |file| file.len())
    });
    let size = size.iter().sum::<u64>() >> 20;
    println!(
        "| {name} | {budgets} | {first:.0} | {then:.0} | {per_processor:.0} | {cut_off} | {size} MiB \
         | {:.0} MiB |",
        memory("VmHWM:")
    );
    // What is left of a slow rule's work is not waited for.
    std::process::exit(0);
}

/// The processor time of this process: of the threads that run now.
fn processor_time() -> Duration {
    thread_times().into_iter().map(|(_, time)| time).sum()
}

/// The table of sources.
async fn sources(folder: &Path, time: Duration) {
    println!(
        "\n| one event each 20 ms, beside 8 connections with batches of 500 | its answer | flood |"
    );
    println!("|---|---|---|");
    for (name, token, connections) in [
        ("no flood", "small", 0),
        ("as the same client as the flood", "flood", 8),
        ("as another client", "small", 8),
    ] {
        let service = Service::start(folder, None, true).await;
        let flood = service.flood(connections, 500, time);
        let (accepted, (durations, refused)) = tokio::join!(flood, service.small(token, time));
        let rate = accepted as f64 / time.as_secs_f64();
        let answers = percentiles(&durations);
        println!("| {name} | {answers}, {refused} refused | {rate:.0} events/s |");
        service.stop().await;
    }
}
