//! Delayed actions: sent at their time and not before, cancelled and replaced by later events.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleSet};
use reflexarc_delivery::DeliveryId;
use reflexarc_event::Json;
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick, webhook};
use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::{evaluation, event_text, incoming, send};
use crate::serving::{Serving, parts};

/// A failed operation is reported after a while, unless the same interface succeeds before.
fn rule(after: &str) -> String {
    format!(
        r#"
when = 'content.result in ["failed", "success"]'
by = "content.eniId"
then = '''
if event.content.result == "success" {{ cancel("manager"); return; }}
send("out", #{{ eni: event.content.eniId, id: event.id }}, #{{ after: "{after}", key: "manager" }});
'''
"#
    )
}

fn delaying(after: &str) -> RuleSet {
    RuleSet::compile([("escalation.toml", rule(after))]).unwrap()
}

/// A successful operation.
fn success(id: &str, eni: &str) -> String {
    event_text(id, eni).replace("failed", "success")
}

/// The ids of the events whose actions have arrived, and when.
fn arrived(serving: &Serving) -> Vec<(String, Timestamp)> {
    let lines = serving.lines();
    let lines = lines.iter().map(|line| {
        let id = line.get("send").unwrap().get("id").unwrap();
        let at = line.get("at").or_else(|| line.get("time"));
        let at = at.and_then(Json::as_str).and_then(|at| at.parse().ok());
        (
            id.as_str().unwrap().to_owned(),
            at.unwrap_or(Timestamp::now()),
        )
    });
    lines.collect()
}

fn ids(serving: &Serving) -> Vec<String> {
    arrived(serving).into_iter().map(|(id, _)| id).collect()
}

async fn gauge(serving: &Serving, name: &str) -> String {
    let url = format!("{}/metrics", serving.url);
    let text = serving
        .client
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let start = format!("reflexarc_{name}{{target=\"out\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{name} in {text}"))
        .to_owned()
}

#[tokio::test]
async fn a_delayed_action_is_sent_at_its_time_over_a_restart() {
    let serving = Serving::with(|parts| parts.rules = delaying("4s")).await;
    let began = Timestamp::now();
    let (status, _) = serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    assert_eq!(status, 200);
    // It is not late: nothing waits but it.
    assert_eq!(gauge(&serving, "deliveries_delayed").await, "1");
    assert_eq!(gauge(&serving, "deliveries_waiting").await, "0");
    assert_eq!(gauge(&serving, "delivery_oldest_age_seconds").await, "0");
    let folder = serving.stop().await;

    let mut parts = parts(&folder);
    parts.rules = delaying("4s");
    let serving = Serving::run(folder, parts).await;
    eventually(|| (!serving.lines().is_empty()).then_some(())).await;
    let took = Timestamp::now().duration_since(began);
    assert!(took >= SignedDuration::from_secs(4), "sent after {took:?}");
    assert_eq!(ids(&serving), ["1"]);
    // The line is there before its attempt is settled.
    let delivery = eventually(|| {
        let store = &serving.store;
        let listed = store.deliveries(DeliveryStatus::Delivered, None, 9);
        listed.unwrap().pop().map(|record| record.delivery)
    })
    .await;
    let waited = delivery.queued_at.duration_since(delivery.created);
    assert_eq!(waited, SignedDuration::from_secs(4));
    serving.stop().await;
}

#[tokio::test]
async fn a_later_event_cancels_and_replaces_what_is_delayed() {
    let serving = Serving::with(|parts| parts.rules = delaying("3s")).await;
    for event in [
        event_text("1", "eni-1"),
        event_text("2", "eni-2"),
        event_text("3", "eni-3"),
        success("4", "eni-1"),
        event_text("5", "eni-2"),
    ] {
        let (status, _) = serving.post("application/json", event).await;
        assert_eq!(status, 200);
    }
    eventually(|| (serving.lines().len() == 2).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut sent = ids(&serving);
    sent.sort();
    assert_eq!(sent, ["3", "5"]);
    let cancelled = serving
        .store
        .deliveries(DeliveryStatus::Cancelled, None, 9)
        .unwrap();
    let mut reasons: Vec<_> = cancelled
        .into_iter()
        .filter_map(|entry| entry.reason)
        .collect();
    reasons.sort();
    assert_eq!(reasons[0], "cancelled by rule escalation");
    assert!(reasons[1].starts_with("replaced by "), "{reasons:?}");
    // As stored with the event, for traces.
    let (_, trace) = serving.get("/trace/4", None).await;
    let text = trace.to_string();
    assert!(
        text.contains(r#""key":"eni-1","cancelled":["manager"]"#),
        "{text}"
    );
    let (_, trace) = serving.get("/trace/5", None).await;
    let text = trace.to_string();
    assert!(
        text.contains(r#""after":"3s","key":"manager","scope":"eni-2""#),
        "{text}"
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_delay_that_ends_while_its_target_is_paused_is_sent_after_the_pause() {
    let serving = Serving::with(|parts| parts.rules = delaying("300ms")).await;
    let json = &[("content-type", "application/json")][..];
    let (status, _) = serving
        .post_to("/targets/out/pause", json, r#"{"by": "me"}"#)
        .await;
    assert_eq!(status, 200);
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    serving
        .post("application/json", event_text("2", "eni-2"))
        .await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(ids(&serving), [""; 0]);
    // Due for long, and not being sent: it can be cancelled.
    serving
        .post("application/json", success("3", "eni-1"))
        .await;
    let (status, _) = serving
        .post_to("/targets/out/resume", json, r#"{"by": "me"}"#)
        .await;
    assert_eq!(status, 200);
    eventually(|| (!serving.lines().is_empty()).then_some(())).await;
    assert_eq!(ids(&serving), ["2"]);
    serving.stop().await;
}

/// What rule `r` does for the key `a`.
fn keyed(cancelled: &[&str], actions: Vec<reflexarc_reaction::Action>) -> Evaluation {
    let mut evaluation = evaluation("r", actions, vec![]);
    evaluation.rules[0].key = Some(Json::from("a"));
    evaluation.rules[0].cancelled = cancelled.iter().map(ToString::to_string).collect();
    evaluation
}

#[tokio::test]
async fn what_is_being_sent_ends_its_attempt_and_is_not_tried_again() {
    let receiver = Receiver::with([], |_, _| {
        Some(Reply {
            delay: Duration::from_millis(800),
            ..Reply::status(500)
        })
    })
    .await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("out", webhook(&receiver.url), quick(100)));
    let store = delivering.store.clone();
    let accept = move |id: &'static str, evaluation: Evaluation| {
        let store = store.clone();
        let accept = move || {
            store
                .accept(incoming(id), evaluation, Timestamp::now())
                .unwrap()
        };
        async move { tokio::task::spawn_blocking(accept).await.unwrap() }
    };
    let wait = SignedDuration::from_millis(200);
    let delayed = send("out", 1).with_after(wait).with_key("k");
    let id: DeliveryId = accept("1", keyed(&[], vec![delayed])).await.deliveries[0];
    receiver.wait(1).await;
    accept("2", keyed(&["k"], vec![])).await;
    let (entry, _) = delivering.until(id, DeliveryStatus::Cancelled).await;
    assert_eq!(entry.reason.as_deref(), Some("cancelled by rule r"));
    let attempts = eventually(|| {
        let (_, attempts) = delivering.store.delivery(id).unwrap().unwrap();
        (!attempts.is_empty()).then_some(attempts)
    });
    assert_eq!(attempts.await.len(), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.calls().len(), 1);
    let archived = delivering.store.find("2").unwrap().remove(0);
    let text = archived.evaluation.unwrap().to_string();
    assert!(
        text.contains("is being sent and cannot be stopped"),
        "{text}"
    );
    delivering.stop().await;
}
