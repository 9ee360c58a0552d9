//! Circuit breakers and pauses of targets, with HTTP receivers that fail, throttle or hang.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reflexarc_delivery::BreakerPolicy;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_event::Json;
use reflexarc_service::ServiceBuilder;
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick, webhook};
use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::{event_text, incoming, send};
use crate::serving::{Serving, parts};

/// A target that retries often and opens after three failures, for 300 ms at first.
fn target(url: &str) -> TargetConfig {
    TargetConfig {
        breaker: BreakerPolicy {
            failures: 3,
            pause: SignedDuration::from_millis(300),
            max_pause: SignedDuration::from_millis(600),
        },
        ..queue("out", webhook(url), quick(1_000))
    }
}

/// A receiver that answers with this reply while the switch is on.
async fn switched(reply: Reply) -> (Receiver, Arc<AtomicBool>) {
    let down = Arc::new(AtomicBool::new(true));
    let switch = down.clone();
    let receiver = Receiver::with([], move |_, _| {
        switch.load(Ordering::Relaxed).then(|| reply.clone())
    })
    .await;
    (receiver, down)
}

fn busy(status: u16, retry_after: &str) -> Reply {
    Reply {
        headers: vec![("retry-after", retry_after.into())],
        ..Reply::status(status)
    }
}

#[tokio::test]
async fn a_failing_target_gets_single_probes_until_it_is_back() {
    let (receiver, down) = switched(Reply::status(500)).await;
    let mut delivering = Delivering::new();
    delivering.serve(target(&receiver.url));
    let actions = (0..200).map(|number| send("out", number)).collect();
    let ids = delivering.accept("1", actions).await;
    receiver.wait(9).await;
    let calls = receiver.calls();
    // Four run at a time: the third failure opens it, and at most three end afterwards. On a slow
    // machine they are spread.
    for pair in calls[6..].windows(2) {
        assert!(
            pair[1].at - pair[0].at >= Duration::from_millis(290),
            "two probes at once"
        );
    }
    // While it is open nothing is claimed: an operator can cancel what waits.
    let (store, last) = (delivering.store.clone(), ids[199]);
    let cancel = move || store.cancel(last, jiff::Timestamp::now()).unwrap();
    assert!(tokio::task::spawn_blocking(cancel).await.unwrap());
    down.store(false, Ordering::Relaxed);
    for id in &ids[..199] {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
    delivering.stop().await;
}

#[tokio::test]
async fn retry_after_pauses_the_whole_target() {
    for (status, value) in [(429, "2"), (503, "2")] {
        let receiver = Receiver::with([], move |_, earlier| {
            (earlier.len() < 4).then(|| busy(status, value))
        })
        .await;
        let mut delivering = Delivering::new();
        delivering.serve(target(&receiver.url));
        let actions = (0..200).map(|number| send("out", number)).collect();
        let ids = delivering.accept("1", actions).await;
        for id in ids {
            delivering.until(id, DeliveryStatus::Delivered).await;
        }
        let calls = receiver.calls();
        let early =
            |call: &&crate::receiver::Call| call.at - calls[0].at < Duration::from_millis(1_900);
        // As many as run at a time began before the first answer.
        assert!(calls.iter().filter(early).count() <= 4, "{status}");
        delivering.stop().await;
    }
}

#[tokio::test]
async fn dates_and_zero_in_retry_after_are_understood() {
    let begun = Instant::now();
    let later = jiff::Timestamp::now() + SignedDuration::from_secs(3);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&later)
        .unwrap();
    let receiver = Receiver::start([busy(503, &date), busy(503, "0")]).await;
    let mut delivering = Delivering::new();
    let mut one = target(&receiver.url);
    one.concurrency = 1;
    delivering.serve(one);
    let ids = delivering
        .accept("1", vec![send("out", 1), send("out", 2)])
        .await;
    for id in ids {
        delivering.until(id, DeliveryStatus::Delivered).await;
    }
    let calls = receiver.calls();
    // A date has whole seconds.
    assert!(calls[1].at - begun >= Duration::from_millis(1_900));
    delivering.stop().await;
}

#[tokio::test]
async fn hanging_and_closed_receivers_open_the_breaker() {
    let hanging = Receiver::with([], |_, _| {
        Some(Reply {
            delay: Duration::from_secs(600),
            ..Reply::status(200)
        })
    })
    .await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [hanging.url.clone(), format!("http://{closed}/")] {
        let mut delivering = Delivering::new();
        let mut target = target(&url);
        target.timeout = Duration::from_millis(100);
        delivering.serve(target);
        let actions = (0..100).map(|number| send("out", number)).collect();
        delivering.accept("1", actions).await;
        let opened = r#"reflexarc_target_breaker_opened_total{target="out"} 1"#;
        eventually(|| delivering.metrics.render().contains(opened).then_some(())).await;
        delivering.stop().await;
    }
}

#[tokio::test]
async fn refused_deliveries_do_not_open_it() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(422))).await;
    let mut delivering = Delivering::new();
    delivering.serve(target(&receiver.url));
    let actions = (0..20).map(|number| send("out", number)).collect();
    for id in delivering.accept("1", actions).await {
        delivering.until(id, DeliveryStatus::Dead).await;
    }
    assert!(
        !delivering
            .metrics
            .render()
            .contains("breaker_opened_total{")
    );
    delivering.stop().await;
}

/// The state of the only target, as `/targets` reports it.
async fn state(serving: &Serving) -> Json {
    let (status, body) = serving.get("/targets", None).await;
    assert_eq!(status, 200);
    body.get("targets").unwrap().elements()[0].clone()
}

fn text(json: &Json, key: &str) -> String {
    json.get(key)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn states_are_in_status_listing_and_metrics() {
    let (receiver, down) = switched(busy(429, "60")).await;
    let serving = Serving::with(|parts| parts.config.queues = vec![target(&receiver.url)]).await;
    assert_eq!(text(&state(&serving).await, "state"), "closed");
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    receiver.wait(1).await;
    let found = loop {
        let found = state(&serving).await;
        if text(&found, "state") == "open" {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(text(&found, "reason"), "HTTP 429");
    let time = |key| text(&found, key).parse::<jiff::Timestamp>().unwrap();
    let pause = time("next_call").duration_since(time("since"));
    assert!((SignedDuration::from_secs(58)..=SignedDuration::from_secs(61)).contains(&pause));
    let (_, status) = serving.get("/status", None).await;
    let states = status.get("target_states").unwrap();
    assert_eq!(text(&states.elements()[0], "state"), "open");
    let metrics = serving.client.get(format!("{}/metrics", serving.url));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for line in [
        r#"reflexarc_target_state{target="out",state="open"} 1"#,
        r#"reflexarc_target_state{target="out",state="closed"} 0"#,
        r#"reflexarc_target_failures_in_a_row{target="out"} 1"#,
        r#"reflexarc_target_breaker_opened_total{target="out"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // An operator need not wait for a minute. What was attempted waits as the receiver requested.
    down.store(false, Ordering::Relaxed);
    assert_eq!(serving.post_to("/targets/out/resume", &[], "").await.0, 200);
    serving
        .post("application/json", event_text("e2", "eni-2"))
        .await;
    receiver.wait(2).await;
    serving.stop().await;
}

#[tokio::test]
async fn a_paused_target_gets_nothing_until_it_is_resumed() {
    let receiver = Receiver::start([]).await;
    let serving = Serving::with(|parts| parts.config.queues = vec![target(&receiver.url)]).await;
    let (status, body) = serving.post_to("/targets/out/pause", &[], "").await;
    assert_eq!((status, text(&body, "state").as_str()), (200, "paused"));
    assert_eq!(serving.post_to("/targets/out/pause", &[], "").await.0, 200);
    let (status, body) = serving.post_to("/targets/none/pause", &[], "").await;
    assert_eq!(status, 404);
    assert_eq!(
        text(&body, "error"),
        "unknown target `none`; known targets: out"
    );
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(receiver.calls().is_empty());
    let waiting = serving
        .store
        .deliveries(DeliveryStatus::Pending, None, 10)
        .unwrap();
    assert_eq!(waiting.len(), 1);
    serving.post_to("/targets/out/resume", &[], "").await;
    receiver.wait(1).await;
    assert_eq!(text(&state(&serving).await, "state"), "closed");
    serving.stop().await;
}

#[tokio::test]
async fn a_pause_lasts_over_a_restart_and_is_a_problem() {
    let receiver = Receiver::start([]).await;
    let url = receiver.url.clone();
    let with_target = move |folder: &tempfile::TempDir| {
        let mut parts = parts(folder);
        parts.config.queues = vec![target(&url)];
        parts
    };
    let folder = tempfile::tempdir().unwrap();
    let parts = with_target(&folder);
    let serving = Serving::run(folder, parts).await;
    let path = "/targets/out/pause?reason=new%20receiver%20%3Cb%3E";
    assert_eq!(serving.post_to(path, &[], "").await.0, 200);
    let paused = state(&serving).await;
    // The second one changes nothing.
    let (status, again) = serving.post_to("/targets/out/pause", &[], "").await;
    assert_eq!((status, &again), (200, &paused));
    let event = event_text("e1", "eni-1");
    serving.post("application/json", event).await;
    let folder = serving.stop().await;

    let parts = with_target(&folder);
    let serving = Serving::run(folder, parts).await;
    assert_eq!(state(&serving).await, paused);
    assert_eq!(text(&paused, "state"), "paused");
    assert_eq!(text(&paused, "reason"), "new receiver <b>");
    let problem = serving.problem("target_paused", "out").await;
    let detail = text(&problem, "detail");
    assert!(detail.ends_with(": new receiver <b>"), "{detail}");
    assert!(text(&problem, "action").contains("target resume"));
    let metric = "reflexarc_target_state{target=\"out\",state=\"paused\"} 1";
    assert!(serving.metric(metric).await);
    assert!(receiver.calls().is_empty());
    assert_eq!(serving.post_to("/targets/out/resume", &[], "").await.0, 200);
    receiver.wait(1).await;
    assert!(serving.problem_now("target_paused", "out").await.is_none());
    let folder = serving.stop().await;

    // Resumed for good, and a reason has a bound.
    let parts = with_target(&folder);
    let serving = Serving::run(folder, parts).await;
    assert_eq!(text(&state(&serving).await, "state"), "closed");
    let long = format!("/targets/out/pause?reason={}", "x".repeat(501));
    assert_eq!(serving.post_to(&long, &[], "").await.0, 400);
    assert_eq!(text(&state(&serving).await, "state"), "closed");
    serving.stop().await;
}

#[tokio::test]
async fn an_open_breaker_is_a_problem_until_it_closes() {
    let (receiver, down) = switched(Reply::status(500)).await;
    let serving = Serving::with(|parts| parts.config.queues = vec![target(&receiver.url)]).await;
    for number in 0..5 {
        let event = event_text(&format!("e{number}"), "eni-1");
        serving.post("application/json", event).await;
    }
    let problem = serving.problem("target_failing", "out").await;
    let detail = text(&problem, "detail");
    assert!(detail.ends_with("failures in a row: HTTP 500"), "{detail}");
    let metric = "reflexarc_problems{problem=\"target_failing\"} 1";
    assert!(serving.metric(metric).await);
    down.store(false, Ordering::Relaxed);
    while serving.problem_now("target_failing", "out").await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let metric = "reflexarc_problems{problem=\"target_failing\"} 0";
    assert!(serving.metric(metric).await);
    serving.stop().await;
}

/// `run --deliver` does not wait for deliveries that wait for others.
#[test]
fn a_command_does_not_wait_for_what_follows_a_failure() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let receiver = runtime.block_on(Receiver::with([], |_, _| Some(Reply::status(500))));
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(&folder);
    let mut ordered = target(&receiver.url);
    ordered.order_wait = SignedDuration::from_mins(10);
    ordered.breaker.failures = 0;
    parts.config.queues = vec![ordered];
    let _entered = runtime.enter();
    let builder = ServiceBuilder::new(parts.config, parts.rules, parts.store);
    let feed = builder.feed().unwrap();
    let begun = Instant::now();
    feed.accept((0..50).map(|id| incoming(&id.to_string())).collect())
        .unwrap();
    assert_eq!(runtime.block_on(feed.finish()).unwrap(), 50);
    assert!(!receiver.calls().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(300));
}

/// `run --deliver` ends although a target is down.
#[test]
fn a_command_does_not_wait_for_a_target_that_is_down() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(&folder);
    parts.config.queues = vec![TargetConfig {
        breaker: BreakerPolicy::default(),
        ..target(&format!("http://{closed}/"))
    }];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let builder = ServiceBuilder::new(parts.config, parts.rules, parts.store);
    let feed = builder.feed().unwrap();
    let begun = Instant::now();
    feed.accept((0..100).map(|id| incoming(&id.to_string())).collect())
        .unwrap();
    let left = runtime.block_on(feed.finish()).unwrap();
    assert_eq!(left, 100);
    assert!(begun.elapsed() < Duration::from_secs(40));
}
