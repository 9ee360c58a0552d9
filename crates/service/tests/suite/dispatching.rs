//! Dispatch with HTTP receivers: retries, timeouts, isolation between targets, stopping.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{
    Delivery, DeliveryId, Preview, RateLimit, Receipt, SendError, SendFuture, Target,
};
use reflexarc_reaction::Action;
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick, webhook};
use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::send;

/// Panics at its first send, as a bug in a target might.
#[derive(Default)]
pub(crate) struct Panicking {
    rate_limit: Option<RateLimit>,
    has_panicked: AtomicBool,
}

impl Target for Panicking {
    fn kind(&self) -> &'static str {
        "panicking"
    }

    fn endpoint(&self) -> String {
        "this process".to_owned()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        Err(SendError::transient("nothing to preview"))
    }

    fn send<'a>(&'a self, _: &'a [Delivery]) -> SendFuture<'a> {
        assert!(self.has_panicked.swap(true, Ordering::Relaxed), "a bug");
        Box::pin(async { Ok(Receipt::complete("ok")) })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_the_queue_goes_on() {
    let limit = RateLimit {
        calls: 100,
        per: SignedDuration::from_secs(60),
    };
    for rate_limit in [None, Some(limit)] {
        let mut delivering = Delivering::new();
        let target = Panicking {
            rate_limit,
            has_panicked: AtomicBool::new(false),
        };
        delivering.serve(queue("t", target, quick(5)));
        let id = delivering.accept("1", vec![send("t", 1)]).await[0];
        let (_, attempts) = delivering.until(id, DeliveryStatus::Delivered).await;
        let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt.outcome).collect();
        assert_eq!(outcomes, ["failed", "delivered"]);
        assert_eq!(attempts[0].answer, "internal error while sending");
        delivering.stop().await;
    }
}

/// Takes several deliveries in a call; the first call fails.
#[derive(Default)]
struct Grouped {
    calls: Arc<Mutex<Vec<Vec<DeliveryId>>>>,
}

impl Target for Grouped {
    fn kind(&self) -> &'static str {
        "grouped"
    }

    fn endpoint(&self) -> String {
        "this process".to_owned()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        Err(SendError::transient("nothing to preview"))
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        let mut calls = self.calls.lock().unwrap();
        let is_first = calls.is_empty();
        calls.push(batch.iter().map(|delivery| delivery.id).collect());
        Box::pin(async move {
            if is_first {
                return Err(SendError::transient("no"));
            }
            Ok(Receipt::complete("ok"))
        })
    }

    fn group_size(&self) -> usize {
        8
    }
}

/// Only the first delivery of a resource has failed then: the others were not to be sent before it.
#[tokio::test]
async fn a_group_that_fails_is_sent_again_in_its_order() {
    let mut delivering = Delivering::new();
    let target = Grouped::default();
    let calls = target.calls.clone();
    let ids = delivering.accept("1", vec![send("t", 1); 12]).await;
    delivering.serve(TargetConfig {
        concurrency: 1,
        order_wait: SignedDuration::from_mins(1),
        ..queue("t", target, quick(5))
    });
    for (place, id) in ids.iter().enumerate() {
        let (_, attempts) = delivering.until(*id, DeliveryStatus::Delivered).await;
        assert_eq!(attempts.len(), if place == 0 { 2 } else { 1 });
    }
    let calls = calls.lock().unwrap().clone();
    let delivered: Vec<_> = calls[1..].iter().flatten().copied().collect();
    assert_eq!(delivered, ids);
    assert!(calls.iter().all(|call| call.len() <= 8), "{calls:?}");
    assert!(calls.iter().any(|call| call.len() > 1), "{calls:?}");
    delivering.stop().await;
}

/// Takes eight deliveries in a call, counts them, and never answers.
#[derive(Default)]
struct Hanging(Arc<AtomicUsize>);

impl Target for Hanging {
    fn kind(&self) -> &'static str {
        "hanging"
    }

    fn endpoint(&self) -> String {
        "this process".to_owned()
    }

    fn preview(&self, _: &[Delivery]) -> Result<Preview, SendError> {
        Err(SendError::transient("nothing to preview"))
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        self.0.fetch_add(batch.len(), Ordering::Relaxed);
        Box::pin(std::future::pending())
    }

    fn group_size(&self) -> usize {
        8
    }
}

/// 40 deliveries of this size and of as many resources.
async fn accept_large(delivering: &Delivering, size: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for number in 0..40 {
        let large = Action::send("t", "x".repeat(size));
        let (id, eni) = (number.to_string(), format!("eni-{number}"));
        ids.extend(delivering.accept_of(&id, &eni, vec![large]).await);
    }
    ids
}

#[tokio::test]
async fn a_queue_holds_no_more_bytes_than_its_limit() {
    for (limit, most) in [(250_000, 3), (1, 1)] {
        let mut delivering = Delivering::new();
        delivering.delivery_bytes = limit;
        let ids = accept_large(&delivering, 100_000).await;
        let target = Hanging::default();
        let taken = target.0.clone();
        delivering.serve(queue("t", target, quick(5)));
        eventually(|| (taken.load(Ordering::Relaxed) == most).then_some(())).await;
        // No more are claimed.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (store, now) = (delivering.store.clone(), Timestamp::now());
        let rest = move || store.claim("t", now, SignedDuration::from_mins(1), 100);
        let rest = tokio::task::spawn_blocking(rest).await.unwrap().unwrap();
        assert_eq!(ids.len() - rest.len(), most, "{limit}");
    }
}

#[tokio::test]
async fn large_deliveries_are_sent_in_small_groups() {
    let mut delivering = Delivering::new();
    let target = Grouped::default();
    let calls = target.calls.clone();
    accept_large(&delivering, 300_000).await;
    delivering.serve(queue("t", target, quick(5)));
    delivering.until_empty().await;
    let calls = calls.lock().unwrap().clone();
    // The last one may go beyond 1 MiB.
    assert!(calls.iter().all(|call| call.len() <= 4), "{calls:?}");
    assert!(calls.iter().any(|call| call.len() == 4), "{calls:?}");
    delivering.stop().await;
}

#[tokio::test]
async fn retries_keep_the_id_and_record_redacted_responses() {
    let replies = [
        Reply {
            body: "down: Bearer canary-token".into(),
            ..Reply::status(500)
        },
        Reply::status(429),
    ];
    let receiver = Receiver::start(replies).await;
    let mut delivering = Delivering::new();
    delivering.secrets.push("canary-token".into());
    delivering.serve(queue("t", webhook(&receiver.url), quick(5)));
    let id = delivering.accept("1", vec![send("t", 1)]).await[0];
    let (_, attempts) = delivering.until(id, DeliveryStatus::Delivered).await;
    let recorded: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.outcome.as_str(), attempt.answer.as_str()))
        .collect();
    assert_eq!(
        recorded,
        [
            ("failed", "HTTP 500: down: Bearer [redacted]"),
            ("failed", "HTTP 429"),
            ("delivered", "HTTP 200")
        ]
    );
    let ids: std::collections::BTreeSet<_> = receiver
        .calls()
        .iter()
        .map(|call| call.headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, [id.to_string()].into());
    assert!(
        delivering
            .metrics
            .render()
            .contains(r#"reflexarc_delivery_attempts_total{target="t",outcome="failed"} 2"#)
    );
    delivering.stop().await;
}

#[tokio::test]
async fn stalled_receivers_time_out_and_delay_no_other() {
    let stalling = Receiver::with([], |_, _| {
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
    let good = Receiver::start([]).await;
    let mut delivering = Delivering::new();
    let mut slow = queue("slow", webhook(&stalling.url), quick(1));
    slow.timeout = Duration::from_millis(300);
    // Attempts follow one another until the retries are used up.
    slow.breaker.failures = 0;
    delivering.serve(slow);
    delivering.serve(queue(
        "dead",
        webhook(&format!("http://{closed}/")),
        quick(100),
    ));
    delivering.serve(queue("good", webhook(&good.url), quick(0)));
    let mut stuck = Vec::new();
    for event in 0..40 {
        let ids = delivering
            .accept(
                &event.to_string(),
                vec![send("slow", 1), send("dead", 1), send("good", 1)],
            )
            .await;
        stuck.push(ids[0]);
    }
    // All forty arrive here although nothing ever arrives there.
    good.wait(40).await;
    let (entry, attempts) = delivering.until(stuck[0], DeliveryStatus::Dead).await;
    assert_eq!(
        entry.reason.as_deref(),
        Some("gave up after 2 attempts: no response within 300ms")
    );
    assert_eq!(attempts.len(), 2);
    delivering.stop().await;
}

#[tokio::test]
async fn stopping_finishes_open_sends_and_claims_nothing_more() {
    let receiver = Receiver::with([], |_, _| {
        Some(Reply {
            delay: Duration::from_millis(200),
            ..Reply::status(200)
        })
    })
    .await;
    let mut delivering = Delivering::new();
    let mut one = queue("t", webhook(&receiver.url), quick(0));
    one.concurrency = 1;
    delivering.serve(one);
    let ids = delivering
        .accept("1", (0..3).map(|number| send("t", number)).collect())
        .await;
    receiver.wait(1).await;
    let store = delivering.store.clone();
    let _folder = delivering.stop().await;
    let count = |status| store.deliveries(status, None, 10).unwrap().len();
    assert_eq!(count(DeliveryStatus::Delivered), receiver.calls().len());
    assert_eq!(
        count(DeliveryStatus::Delivered) + count(DeliveryStatus::Pending),
        ids.len()
    );
    assert!(count(DeliveryStatus::Pending) >= 1);
}
