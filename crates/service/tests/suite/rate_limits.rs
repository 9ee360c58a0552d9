//! The queue of a rate-limited target, with a receiver that enforces the limit.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::RateLimit;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick};
use crate::receiver::Receiver;
use crate::robot::{check, dingtalk, error, ok};

const TOO_FAST: &str = "send too fast, exceed 20 times per minute";

fn notify(title: &str, text: &str) -> Action {
    let message = Message::new(text).with_title(title).with_level(Level::Warn);
    Action::notify("t", message)
}

#[tokio::test]
async fn floods_stay_within_the_rate_limit_and_lose_no_line() {
    const WINDOW: Duration = Duration::from_secs(2);
    // The robot's limit with a shorter minute: the 21st call within it is an error.
    let receiver = Receiver::with([], |call, earlier| {
        let recent = earlier
            .iter()
            .filter(|other| call.at.duration_since(other.at) < WINDOW)
            .count();
        let limited = (recent >= 20).then(|| error(130_101, TOO_FAST));
        check(call).or(limited).or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut target = dingtalk(&receiver);
    target.rate_limit = RateLimit {
        calls: 20,
        per: SignedDuration::try_from(WINDOW).unwrap(),
    };
    delivering.serve(queue("t", target, quick(0)));
    let mut ids = Vec::new();
    for event in 0..100 {
        let alert = |part| {
            notify(
                &format!("alert {event}.{part}"),
                &format!("line {event}.{part}.a\nline {event}.{part}.b"),
            )
        };
        ids.extend(
            delivering
                .accept(&event.to_string(), (0..5).map(alert).collect())
                .await,
        );
    }
    for id in &ids {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
    let calls = receiver.calls();
    let lines: BTreeSet<String> = calls
        .iter()
        .flat_map(|call| {
            let json = Json::parse(&call.body).unwrap();
            let text = json
                .get("markdown")
                .unwrap()
                .get("text")
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned();
            text.lines()
                .map(|line| line.trim_end().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    for event in 0..100 {
        for part in 0..5 {
            for end in ["a", "b"] {
                assert!(
                    lines.contains(&format!("line {event}.{part}.{end}")),
                    "line {event}.{part}.{end} is lost"
                );
            }
        }
    }
    assert!(calls.len() < 100, "{} calls", calls.len());
    assert!(
        !delivering.metrics.render().contains("throttled"),
        "the rate limit was exceeded"
    );
    delivering.stop().await;
}

#[tokio::test]
async fn members_of_a_refused_digest_are_sent_alone() {
    let receiver = Receiver::with([], |call, _| {
        let is_blocked = call.body.contains("poison");
        is_blocked
            .then(|| error(40_035, "a blocked word"))
            .or_else(ok)
    })
    .await;
    let mut delivering = Delivering::new();
    let mut target = dingtalk(&receiver);
    target.rate_limit = RateLimit {
        calls: 4,
        per: SignedDuration::from_millis(400),
    };
    let alerts = (0..8)
        .map(|n| notify("t", if n == 3 { "poison" } else { "fine" }))
        .collect();
    let ids = delivering.accept("1", alerts).await;
    delivering.serve(queue("t", target, quick(3)));
    delivering.until(ids[3], DeliveryStatus::Dead).await;
    for id in ids.iter().filter(|id| **id != ids[3]) {
        delivering.until(*id, DeliveryStatus::Delivered).await;
    }
    delivering.stop().await;
}

#[tokio::test]
async fn rate_limit_errors_pause_the_queue() {
    let limiting = Receiver::start([error(130_101, TOO_FAST)]).await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("t", dingtalk(&limiting), quick(5)));
    let id = delivering.accept("1", vec![notify("a", "b")]).await[0];
    limiting.wait(1).await;
    let (entry, attempts) = crate::receiver::eventually(|| {
        delivering
            .store
            .delivery(id)
            .unwrap()
            .filter(|(_, attempts)| !attempts.is_empty())
    })
    .await;
    assert_eq!(
        (entry.status, attempts[0].outcome.as_str()),
        (DeliveryStatus::Pending, "throttled")
    );
    assert!(entry.due.duration_since(attempts[0].started).as_secs() >= 600);
    delivering.stop().await;
}
