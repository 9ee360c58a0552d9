//! Test messages to targets of a running service.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reflexarc_delivery::{Delivery, FileTarget, Preview, RateLimit, SendError, SendFuture, Target};
use reflexarc_event::Json;

use crate::delivering::{queue, quick, webhook};
use crate::receiver::{Receiver, Reply};
use crate::samples::event_text;
use crate::serving::Serving;

/// A target whose receiver takes one call in two seconds.
struct Paced(FileTarget);

impl Target for Paced {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        self.0.preview(batch)
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        self.0.send(batch)
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        Some(RateLimit {
            calls: 1,
            per: SignedDuration::from_secs(2),
        })
    }
}

fn text(json: &Json, name: &str) -> String {
    json.get(name).and_then(Json::as_str).unwrap().to_owned()
}

#[tokio::test]
async fn a_test_is_sent_once_and_answered_with_its_result() {
    let receiver = Receiver::start([Reply::status(200), Reply::status(500)]).await;
    let serving = Serving::with(|parts| {
        parts.config.queues = vec![queue("out", webhook(&receiver.url), quick(3))];
    })
    .await;
    let (status, body) = serving.post_to("/targets/out/test", &[], "").await;
    assert_eq!(status, 200, "{body}");
    assert!(text(&body, "result").starts_with("delivered: "), "{body}");
    assert_eq!(text(&body, "target"), "out");
    let sent = receiver.calls()[0].body.clone();
    assert!(sent.contains("Test message from reflexarc"), "{sent}");
    // No retry follows, and nothing is in the outbox.
    let (status, body) = serving.post_to("/targets/out/test", &[], "").await;
    assert_eq!(status, 502);
    assert!(text(&body, "error").contains("HTTP 500"), "{body}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.calls().len(), 2);
    assert_eq!(serving.get("/outbox", None).await.1.to_string(), "[]");
    let (status, body) = serving.post_to("/targets/none/test", &[], "").await;
    assert_eq!(status, 404);
    assert_eq!(
        text(&body, "error"),
        "unknown target `none`; known targets: out"
    );
    serving.stop().await;
}

#[tokio::test]
async fn tests_keep_the_pace_of_the_receiver() {
    let serving = Serving::with(|parts| {
        let path = parts.config.rule_paths[0].with_file_name("out.ndjson");
        parts.config.queues = vec![queue("out", Paced(FileTarget::file(path)), quick(3))];
    })
    .await;
    let begun = Instant::now();
    let test = async || serving.post_to("/targets/out/test", &[], "").await;
    // One at a time.
    let both = tokio::join!(test(), test());
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    // The second waits for its turn, and before the delivery that came earlier.
    let event = event_text("e1", "eni-1");
    serving.post("application/json", event).await;
    assert_eq!(test().await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(1_900));
    while serving.lines().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(3_900));
    let is_test = |line: &Json| line.to_string().contains("Test message");
    let lines = serving.lines();
    assert_eq!(lines.iter().filter(|line| is_test(line)).count(), 2);
    serving.stop().await;
}
