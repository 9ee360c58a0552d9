//! `[heartbeat]`: sent while the service makes progress, withheld while a part stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::{Delivery, Preview, SendError, SendFuture, Target};
use reflexarc_event::Json;
use reflexarc_service::config::Secrets;
use reflexarc_service::{Config, Heartbeat};

use crate::delivering::{queue, quick};
use crate::problems::text;
use crate::receiver::{Receiver, Reply};
use crate::serving::{Serving, parts};

/// Much shorter than what a configuration may say.
const EVERY: Duration = Duration::from_millis(50);

fn heartbeat(url: &str, allowed: &str) -> Heartbeat {
    let policy = EgressPolicy {
        allowed: vec![allowed.parse().unwrap()],
    };
    Heartbeat::with_policy(url.parse().unwrap(), EVERY, policy).unwrap()
}

async fn status(serving: &Serving) -> Json {
    let (_, status) = serving.get("/status", None).await;
    status.get("heartbeat").unwrap().clone()
}

/// Waits until the parts that keep the heartbeat from being sent are these.
async fn withheld(serving: &Serving, expected: &[&str]) -> Json {
    for _ in 0..1_200 {
        let status = status(serving).await;
        let withheld = status.get("withheld").unwrap().elements();
        let parts: Vec<String> = withheld.iter().map(|one| text(one, "part")).collect();
        if parts == expected {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {expected:?}: {}", status(serving).await);
}

/// A target whose queue ends by a panic, as a bug might.
struct Dying(Arc<AtomicBool>);

impl Target for Dying {
    fn kind(&self) -> &'static str {
        "dying"
    }

    fn endpoint(&self) -> String {
        "this process".to_owned()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        Err(SendError::transient("nothing to preview"))
    }

    fn send<'a>(&'a self, _: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(std::future::pending())
    }

    fn group_size(&self) -> usize {
        assert!(!self.0.load(Ordering::Relaxed), "a bug");
        1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_withholds_the_heartbeat() {
    let monitor = Receiver::start([]).await;
    let url = monitor.url.clone();
    let serving = Serving::with(|parts| {
        parts.config.heartbeat = Some(heartbeat(&url, "127.0.0.0/8"));
    })
    .await;
    let calls = monitor.wait(3).await;
    assert!(calls.iter().all(|call| call.method == "GET"), "{calls:?}");
    assert_eq!(calls[0].uri.path(), "/hook");
    let sent = status(&serving).await;
    assert!(sent.get("last_ping").unwrap().as_str().is_some(), "{sent}");
    assert_eq!(sent.get("error"), Some(&Json::Null), "{sent}");
    std::fs::rename(serving.path("store.db"), serving.path("aside")).unwrap();
    let found = withheld(&serving, &["store"]).await;
    assert!(found.to_string().contains("deleted or replaced"), "{found}");
    // None is on its way once the status says so.
    let before = monitor.calls().len();
    tokio::time::sleep(EVERY * 10).await;
    assert_eq!(monitor.calls().len(), before);
    std::fs::rename(serving.path("aside"), serving.path("store.db")).unwrap();
    monitor.wait(before + 2).await;
    withheld(&serving, &[]).await;
    let line = "reflexarc_problems{problem=\"stalled\"} 0";
    assert!(serving.metric(line).await);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_has_ended_withholds_the_heartbeat_and_is_a_problem() {
    let monitor = Receiver::start([]).await;
    let (url, dies) = (monitor.url.clone(), Arc::new(AtomicBool::new(false)));
    let target = Dying(dies.clone());
    let serving = Serving::with(|parts| {
        parts.config.heartbeat = Some(heartbeat(&url, "127.0.0.0/8"));
        parts.config.queues.push(queue("dying", target, quick(1)));
    })
    .await;
    monitor.wait(2).await;
    dies.store(true, Ordering::Relaxed);
    let found = withheld(&serving, &["queue dying"]).await;
    assert!(found.to_string().contains("its task has ended"), "{found}");
    let problem = serving.problem("stalled", "queue dying").await;
    assert_eq!(text(&problem, "severity"), "critical");
    assert_eq!(text(&problem, "detail"), "its task has ended");
    let before = monitor.calls().len();
    tokio::time::sleep(EVERY * 10).await;
    assert_eq!(monitor.calls().len(), before);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_fails_is_a_problem_until_it_answers() {
    let code = Arc::new(AtomicU16::new(302));
    let answers = code.clone();
    let monitor = Receiver::with([], move |_, _| {
        Some(Reply::status(answers.load(Ordering::Relaxed)))
    })
    .await;
    let url = monitor.url.clone();
    let serving = Serving::with(|parts| {
        parts.config.heartbeat = Some(heartbeat(&url, "127.0.0.0/8"));
    })
    .await;
    let problem = serving.problem("heartbeat_failed", "").await;
    assert_eq!(text(&problem, "severity"), "warning");
    let detail = text(&problem, "detail");
    let expected = "HTTP 302; redirects are not followed: configure the final URL";
    assert_eq!(detail, expected);
    assert_eq!(text(&status(&serving).await, "error"), expected);
    code.store(200, Ordering::Relaxed);
    for _ in 0..1_200 {
        if serving.problem_now("heartbeat_failed", "").await.is_none() {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    assert_eq!(status(&serving).await.get("error"), Some(&Json::Null));
    let (_, metrics) = serving.get("/metrics", None).await;
    let metrics = metrics.as_str().unwrap().to_owned();
    for outcome in ["sent", "failed"] {
        let series = format!("reflexarc_heartbeats_total{{outcome=\"{outcome}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&series));
        assert!(count.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    }
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_refused_unless_they_are_allowed() {
    let monitor = Receiver::start([]).await;
    let url = monitor.url.clone();
    let serving = Serving::with(|parts| {
        parts.config.heartbeat = Some(heartbeat(&url, "10.0.0.0/8"));
    })
    .await;
    let problem = serving.problem("heartbeat_failed", "").await;
    let detail = text(&problem, "detail");
    assert!(detail.contains("is not a public address"), "{detail}");
    assert!(monitor.calls().is_empty());
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_begins_changes_and_ends_heartbeats() {
    let monitor = Receiver::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reflexarc.toml");
    let base = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    std::fs::write(&path, base).unwrap();
    let config = Config::load(&path, Secrets::Resolve(&|_| None)).unwrap();
    let mut parts = parts(&folder);
    parts.config = config;
    let serving = Serving::run(folder, parts).await;
    assert_eq!(status(&serving).await, Json::Null);
    let section = format!(
        "{base}[heartbeat]\nurl = {{ file = \"beat.secret\" }}\nevery = \"1s\"\n\
         allow = [\"127.0.0.0/8\"]\n"
    );
    std::fs::write(serving.path("beat.secret"), &monitor.url).unwrap();
    std::fs::write(&path, section).unwrap();
    let (code, answer) = serving.post_to("/reload", &[], "").await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer.get("restart").unwrap().to_string(), "[]");
    monitor.wait(2).await;
    assert_eq!(text(&status(&serving).await, "every"), "1s");
    std::fs::write(&path, base).unwrap();
    let (code, answer) = serving.post_to("/reload", &[], "").await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(status(&serving).await, Json::Null);
    serving.stop().await;
}

fn errors_of(text: &str) -> String {
    let read = Config::read(text, std::path::Path::new(""), Secrets::Resolve(&|_| None));
    read.err()
        .map_or_else(String::new, |error| error.to_string())
}

#[test]
fn the_section_is_checked_and_its_url_is_masked() {
    let section = |keys: &str| format!("[heartbeat]\n{keys}\n");
    let url = "url = \"https://hc-ping.com/b1946ac92492d2347c6235b4d2611184\"";
    assert_eq!(errors_of(&section(url)), "");
    assert_eq!(errors_of(&section(&format!("{url}\nevery = \"24h\""))), "");
    for (keys, expected) in [
        ("every = \"1m\"", "url"),
        (
            &*format!("{url}\nevery = \"500ms\""),
            "`every` is out of range",
        ),
        (
            &*format!("{url}\nevery = \"25h\""),
            "`every` is out of range",
        ),
        ("url = \"http://127.0.0.1:1/x\"", "is not a public address"),
        (
            "url = \"http://169.254.169.254/x\"\nallow = [\"10.0.0.0/8\"]",
            "metadata",
        ),
        ("url = { env = \"NOT_SET\" }", "NOT_SET"),
        (&*format!("{url}\nevry = \"1m\""), "evry"),
    ] {
        let errors = errors_of(&section(keys));
        assert!(errors.contains(expected), "{keys}: {errors}");
        assert!(
            !errors.contains("b1946ac92492d2347c6235b4d2611184"),
            "{errors}"
        );
    }
}
