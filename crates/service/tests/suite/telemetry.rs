//! Traces, received by a collector on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use reflexarc_event::Json;
use reflexarc_service::telemetry::Collector;

use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::event_text;
use crate::serving::Serving;

/// Every received span by its name; checks that each request is valid OTLP.
fn spans(collector: &Receiver) -> BTreeMap<String, Vec<Json>> {
    let mut found: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for call in collector.calls() {
        assert_eq!(call.uri.path(), "/hook/v1/traces");
        assert_eq!(call.headers["content-type"], "application/json");
        let body = Json::parse(&call.body).unwrap();
        let resource = &body.get("resourceSpans").unwrap().elements()[0];
        let attributes = resource.get("resource").unwrap().get("attributes").unwrap();
        assert_eq!(
            attribute(attributes, "service.name"),
            r#"{"stringValue":"reflexarc"}"#
        );
        for span in resource.get("scopeSpans").unwrap().elements()[0]
            .get("spans")
            .unwrap()
            .elements()
        {
            found
                .entry(text(span, "name").to_owned())
                .or_default()
                .push(span.clone());
        }
    }
    found
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn attribute(attributes: &Json, key: &str) -> String {
    let found = attributes
        .elements()
        .iter()
        .find(|attribute| text(attribute, "key") == key);
    found
        .and_then(|attribute| attribute.get("value"))
        .map(Json::to_string)
        .unwrap_or_default()
}

fn of(span: &Json, key: &str) -> String {
    attribute(span.get("attributes").unwrap(), key)
}

#[tokio::test]
async fn one_trace_covers_request_evaluation_and_delivery() {
    let collector = Receiver::start([]).await;
    let url = collector.url.clone();
    let serving = Serving::with(|parts| parts.config.collector = Some(url.parse().unwrap())).await;
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    eventually(|| (serving.lines().len() == 1).then_some(())).await;
    // Stopping exports the spans that are waiting.
    serving.stop().await;
    let spans = spans(&collector);
    let counts: Vec<(&str, usize)> = spans
        .iter()
        .map(|(name, list)| (name.as_str(), list.len()))
        .collect();
    assert_eq!(counts, [("accept", 2), ("deliver", 1), ("evaluate", 1)]);
    let (evaluate, deliver) = (&spans["evaluate"][0], &spans["deliver"][0]);
    let (copies, firsts): (Vec<_>, Vec<_>) = spans["accept"]
        .iter()
        .partition(|span| of(span, "duplicate") == r#"{"boolValue":true}"#);
    let accept = firsts[0];
    assert_eq!((copies.len(), firsts.len()), (1, 1));

    let trace = text(accept, "traceId");
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(
        spans
            .values()
            .flatten()
            .all(|span| text(span, "traceId") == trace && text(span, "spanId").len() == 16)
    );
    assert_eq!(text(evaluate, "parentSpanId"), text(accept, "spanId"));
    assert_eq!(text(deliver, "parentSpanId"), text(evaluate, "spanId"));
    assert!(
        accept.get("parentSpanId").is_none() && text(copies[0], "spanId") != text(accept, "spanId")
    );
    for span in spans.values().flatten() {
        assert_eq!(
            (of(span, "event.id"), of(span, "event.source")),
            (
                r#"{"stringValue":"e1"}"#.to_owned(),
                r#"{"stringValue":"acs.ecs"}"#.to_owned()
            )
        );
        let nanos = |key| text(span, key).parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
        assert_eq!(span.get("status").unwrap().to_string(), "{}");
    }
    assert_eq!(of(evaluate, "rules.matched"), r#"{"intValue":"1"}"#);
    assert_eq!(of(deliver, "delivery.target"), r#"{"stringValue":"out"}"#);
    assert_eq!(
        of(deliver, "delivery.outcome"),
        r#"{"stringValue":"delivered"}"#
    );
}

#[tokio::test]
async fn a_busy_collector_is_retried_a_refusal_drops_spans() {
    // 503 is retryable, 400 is not.
    let collector =
        Receiver::start([Reply::status(503), Reply::status(200), Reply::status(400)]).await;
    let url = collector.url.clone();
    let serving = Serving::with(|parts| parts.config.collector = Some(url.parse().unwrap())).await;
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    let calls = collector.wait(2).await;
    assert_eq!(calls[0].body, calls[1].body, "the same spans again");
    serving
        .post("application/json", event_text("e2", "eni-2"))
        .await;
    collector.wait(3).await;
    let begun = std::time::Instant::now();
    loop {
        let (_, metrics) = serving.get("/metrics", None).await;
        let dropped = metrics
            .as_str()
            .unwrap()
            .lines()
            .find(|line| line.starts_with("reflexarc_spans_dropped_total "))
            .unwrap();
        if !dropped.ends_with(" 0") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{dropped}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        serving
            .post("application/json", event_text("e3", "eni-3"))
            .await
            .0,
        200
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_sampled_event_is_traced_as_a_whole() {
    let collector = Receiver::start([]).await;
    let chosen = Collector {
        one_in: 4,
        ..collector.url.parse().unwrap()
    };
    let serving = Serving::with(|parts| parts.config.collector = Some(chosen)).await;
    let lines: Vec<String> = (0..80)
        .map(|id| event_text(&format!("e{id}"), "eni-1"))
        .collect();
    assert_eq!(
        serving
            .post("application/x-ndjson", lines.join("\n"))
            .await
            .0,
        200
    );
    eventually(|| (serving.lines().len() == 80).then_some(())).await;
    serving.stop().await;
    let spans = spans(&collector);
    let events = |name: &str| {
        spans[name]
            .iter()
            .map(|span| of(span, "event.id"))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(
        (5..50).contains(&events("accept").len()),
        "{}",
        events("accept").len()
    );
    assert!(events("accept") == events("evaluate") && events("accept") == events("deliver"));
}
