//! PagerDuty targets against a receiver that checks what the Events API v2 documents.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::pagerduty::PagerDuty;
use reflexarc_delivery::{
    AnswerPolicy, Delivery, DirectDispatch, DirectOutcome, Phase, RateLimit, Receipt, Redact,
    SendError,
};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_event::Json;
use reflexarc_reaction::Level;

use crate::queue::{deliver, quick};
use crate::receiver::{Call, Receiver, Reply};
use crate::samples::{deliveries, message, notify, send};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn configured(url: &str, keys: &str) -> TargetConfig {
    let text = format!(
        "[targets.t]\ntype = \"pagerduty\"\nrouting_key = {{ env = \"KEY\" }}\n\
         endpoint = \"{url}\"\nallow = [\"127.0.0.0/8\"]\n{keys}\n"
    );
    let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
    let secret = |_: &str| Some(KEY.to_owned());
    let context = ConfigContext::new(Path::new(""), Secrets::Resolve(&secret));
    let targets = targets(&ConfigTable::new(&context, document.root()));
    let faults = document.into_diagnostics();
    assert!(faults.is_empty(), "{faults:?}");
    targets.into_iter().next().unwrap()
}

fn text<'a>(json: &'a Json, path: &str) -> &'a str {
    let found = path.split('.').try_fold(json, |json, key| json.get(key));
    found.and_then(Json::as_str).unwrap_or_default()
}

/// The response to an event by the documented rules.
fn check(call: &Call) -> Reply {
    let reply = |status, body: &str| Reply {
        body: body.to_owned(),
        ..Reply::status(status)
    };
    let invalid = |error: &str| {
        reply(
            400,
            &format!(
                r#"{{"status":"invalid event","message":"Event object is invalid","errors":["{error}"]}}"#
            ),
        )
    };
    if call.body.len() > 512_000 {
        return reply(413, "");
    }
    let Ok(event) = Json::parse(&call.body) else {
        return invalid("invalid JSON");
    };
    if text(&event, "routing_key") != KEY {
        return invalid("Invalid routing key");
    }
    if text(&event, "dedup_key").chars().count() > 255 {
        return invalid("'dedup_key' is too long");
    }
    match text(&event, "event_action") {
        "trigger" => {
            let summary = text(&event, "payload.summary");
            if summary.is_empty() || summary.chars().count() > 1_024 {
                return invalid("'payload.summary' is missing or too long");
            }
            let severity = text(&event, "payload.severity");
            let is_known = ["critical", "error", "warning", "info"].contains(&severity);
            if !is_known || text(&event, "payload.source").is_empty() {
                return invalid("'payload.severity' or 'payload.source' is invalid");
            }
        }
        "acknowledge" | "resolve" if !text(&event, "dedup_key").is_empty() => {}
        _ => return invalid("'event_action' is invalid"),
    }
    reply(
        202,
        r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#,
    )
}

fn incident(phase: Phase) -> Delivery {
    let mut alert =
        message("eni-1 is stuck", "detaching for 2 minutes").with_level(Level::Critical);
    alert.link = Some("https://example.com/eni-1".into());
    let mut delivery = deliveries("8B2A", &[notify(alert)]).remove(0);
    delivery.rule = "stuck".into();
    delivery.key = Some("\"eni-1\"".into());
    delivery.phase = phase;
    delivery
}

#[test]
fn events_have_the_documented_form() {
    let target = configured("https://events.pagerduty.com/v2/enqueue", "").target;
    let mut shown = String::new();
    for phase in [Phase::Fired, Phase::Acknowledged, Phase::Resolved] {
        let preview = target.preview(&[incident(phase)]).unwrap();
        shown.push_str(&format!("{}: {}\n", phase.as_str(), preview.body));
    }
    let document = deliveries("1", &[send(Json::parse(r#"{"a":1}"#).unwrap())]);
    shown.push_str(&format!(
        "document: {}\n",
        target.preview(&document).unwrap().body
    ));
    let native = r#"{"event_action":"resolve","dedup_key":"own"}"#;
    let native = deliveries("1", &[send(Json::parse(native).unwrap())]);
    shown.push_str(&format!(
        "native: {}\n",
        target.preview(&native).unwrap().body
    ));
    insta::assert_snapshot!(shown);
    assert!(!shown.contains(KEY));
    assert!(target.acknowledges());
}

#[tokio::test]
async fn five_hundred_incidents_are_triggered_and_resolved() {
    // 120 in a minute that is 60 times as short, less a fifth for calls that take longer on their
    // way than others.
    let receiver = Receiver::with([], |call, earlier| {
        let recent = earlier.iter().rev();
        let recent =
            recent.take_while(|one| call.at.duration_since(one.at) < Duration::from_millis(800));
        let is_too_fast = recent.count() >= 120;
        Some(if is_too_fast {
            Reply::status(429)
        } else {
            check(call)
        })
    })
    .await;
    let config = TargetConfig {
        target: Arc::new(PagerDuty {
            endpoint: receiver.url.parse().unwrap(),
            routing_key: KEY.into(),
            client: EgressPolicy::operator_hosts().client(None).unwrap(),
            rate_limit: Some(RateLimit {
                per: SignedDuration::from_secs(1),
                ..PagerDuty::RATE_LIMIT
            }),
            answers: AnswerPolicy::default(),
        }),
        ..configured(&receiver.url, "retry = []")
    };
    let redact: Redact = Arc::new(str::to_owned);
    let dispatch = DirectDispatch::start(vec![config], &redact);
    let now = jiff::Timestamp::now();
    let mut storm = Vec::new();
    for phase in [Phase::Fired, Phase::Resolved] {
        for number in 0..250 {
            let mut delivery = incident(phase);
            let alert = deliveries(&format!("{number}{phase:?}"), &[delivery.action.clone()]);
            delivery.id = alert[0].id;
            delivery.key = Some(format!("\"eni-{number}\""));
            (delivery.created, delivery.queued_at) = (now, now);
            storm.push(delivery);
        }
    }
    for dispatched in dispatch.deliver(storm, None).await {
        let is_delivered = matches!(dispatched.outcome, DirectOutcome::Delivered { .. });
        assert!(is_delivered, "{dispatched:?}");
    }
    let mut actions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in receiver.calls() {
        let event = Json::parse(&call.body).unwrap();
        let key = text(&event, "dedup_key").to_owned();
        actions
            .entry(key)
            .or_default()
            .push(text(&event, "event_action").to_owned());
    }
    assert_eq!(actions.len(), 250);
    for (key, actions) in actions {
        assert_eq!(actions, ["trigger", "resolve"], "{key}");
    }
}

#[tokio::test]
async fn texts_of_any_size_are_accepted() {
    let receiver = Receiver::with([], |call, _| Some(check(call))).await;
    let target = configured(&receiver.url, "").target;
    let actions = [
        notify(message(&"网".repeat(5_000), &"\u{1}".repeat(600_000))),
        notify(message("", "")),
        send(Json::from("\u{1}".repeat(600_000))),
    ];
    for action in actions {
        let settled = deliver(&*target, &quick(0), action).await;
        assert_eq!(settled.dead_letter, None);
    }
}

#[tokio::test]
async fn errors_are_classified_by_what_happens_next() {
    for (status, body, outcome) in [
        (202, r#"{"status":"success"}"#, "delivered"),
        (
            400,
            r#"{"errors":["Length of 'routing_key' is incorrect"]}"#,
            "misconfigured",
        ),
        (400, r#"{"status":"invalid event"}"#, "refused"),
        (429, "", "throttled"),
        (500, "", "failed"),
        (503, "", "failed"),
    ] {
        let reply = Reply {
            body: body.into(),
            ..Reply::status(status)
        };
        let receiver = Receiver::start([reply]).await;
        let target = configured(&receiver.url, "").target;
        let sent = target.send(&[incident(Phase::Fired)]).await;
        let found = sent
            .as_ref()
            .map_or_else(SendError::outcome, Receipt::outcome);
        assert_eq!(found, outcome, "{status} {body}");
    }
}
