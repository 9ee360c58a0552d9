use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use reflexarc_delivery::AnswerPolicy;
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::webhook::Webhook;
use reflexarc_event::Json;

use crate::queue::{deliver, deliver_within, quick};
use crate::receiver::{Receiver, Reply};
use crate::samples::{deliveries, message, notify, send};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn loopback() -> EgressPolicy {
    EgressPolicy {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

fn webhook(url: &str, policy: EgressPolicy) -> Webhook {
    let client = policy.client(None).unwrap();
    let header = (
        "authorization".parse().unwrap(),
        "Bearer canary-token".parse().unwrap(),
    );
    Webhook::new(
        url.parse().unwrap(),
        policy,
        client,
        Some(SECRET.to_vec().into()),
        vec![header],
    )
}

#[tokio::test]
async fn deliveries_arrive_as_signed_cloudevents() {
    let receiver = Receiver::start([]).await;
    let target = webhook(&receiver.url, loopback());
    let message = message("attach failed", "a\nb")
        .with_at(["all"])
        .with_link("https://example.com/");
    let deliveries = deliveries("8B2A", &[notify(message), send(7)]);
    let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
    for delivery in deliveries {
        let settled = deliver_within(&target, &quick(0), delivery, Duration::from_secs(20)).await;
        assert_eq!(settled.dead_letter, None);
    }
    let calls = receiver.wait(2).await;
    for call in &calls {
        let header = |name| call.headers[name].to_str().unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
        mac.update(
            format!(
                "{}.{}.{}",
                header("webhook-id"),
                header("webhook-timestamp"),
                call.body
            )
            .as_bytes(),
        );
        let expected =
            base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
        assert_eq!(header("content-type"), "application/cloudevents+json");
        assert_eq!(header("authorization"), "Bearer canary-token");
        let event = Json::parse(&call.body).unwrap();
        assert_eq!(
            event.get("id").unwrap().as_str(),
            Some(header("webhook-id"))
        );
        assert!(ids.iter().any(|id| id.to_string() == header("webhook-id")));
        for (key, value) in [
            ("specversion", "1.0"),
            ("source", "/reflexarc/rules/r"),
            ("eventid", "8B2A"),
            ("eventsource", "acs.ecs"),
            ("subject", "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-1"),
        ] {
            assert_eq!(event.get(key).and_then(Json::as_str), Some(value), "{key}");
        }
    }
    let mut data: Vec<_> = calls
        .iter()
        .map(|call| {
            Json::parse(&call.body)
                .unwrap()
                .get("data")
                .unwrap()
                .to_string()
        })
        .collect();
    data.sort();
    let message = concat!(
        r#"{"title":"attach failed","text":"a\nb","level":"warn","#,
        r#""at":["all"],"link":"https://example.com/"}"#
    );
    assert_eq!(data, ["7", message]);
}

#[tokio::test]
async fn retry_after_delays_the_next_attempt() {
    let receiver = Receiver::start([Reply {
        headers: vec![("retry-after", "2".into())],
        ..Reply::status(503)
    }])
    .await;
    let settled = deliver(&webhook(&receiver.url, loopback()), &quick(5), send(1)).await;
    assert_eq!(settled.dead_letter, None);
    let calls = receiver.calls();
    assert!(calls[1].at.duration_since(calls[0].at) >= Duration::from_millis(1_900));
}

#[tokio::test]
async fn redirects_and_refusals_are_dead_letters_at_once() {
    let elsewhere = Receiver::start([]).await;
    let redirect = Reply {
        headers: vec![("location", elsewhere.url.clone())],
        ..Reply::status(302)
    };
    let replies = [
        redirect,
        Reply::status(401),
        Reply {
            body: "no such field".into(),
            ..Reply::status(422)
        },
    ];
    let receiver = Receiver::start(replies).await;
    let target = webhook(&receiver.url, loopback());
    let mut results = Vec::new();
    for _ in 0..3 {
        let settled = deliver(&target, &quick(5), send(1)).await;
        results.push((settled.attempts[0].outcome, settled.dead_letter.unwrap()));
    }
    assert_eq!(
        results[0],
        (
            "misconfigured",
            "HTTP 302; redirects are not followed: configure the final URL".into()
        )
    );
    assert_eq!(results[1], ("misconfigured", "HTTP 401".into()));
    assert_eq!(results[2], ("refused", "HTTP 422: no such field".into()));
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn private_addresses_are_not_called_in_any_spelling() {
    let receiver = Receiver::start([]).await;
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        let target = webhook(&format!("http://{host}:{port}"), EgressPolicy::default());
        let settled = deliver(&target, &quick(0), send(1)).await;
        assert_eq!(settled.attempts[0].outcome, "misconfigured");
        let reason = settled.dead_letter.unwrap();
        assert!(reason.contains("is not a public address"), "{reason}");
    }
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn final_answers_are_those_of_the_target() {
    let answers = AnswerPolicy {
        final_statuses: vec![500, 429],
        retry_statuses: vec![401, 403, 404, 407, 422],
    };
    for (status, outcome) in [
        (401, "failed"),
        (403, "failed"),
        (404, "failed"),
        (407, "failed"),
        (422, "failed"),
        (500, "refused"),
        (429, "refused"),
        (410, "refused"),
        (302, "misconfigured"),
        (503, "failed"),
    ] {
        let receiver = Receiver::start([Reply::status(status)]).await;
        let target = webhook(&receiver.url, loopback()).with_answers(answers.clone());
        let settled = deliver(&target, &quick(1), send(1)).await;
        assert_eq!(settled.attempts[0].outcome, outcome, "{status}");
        assert_eq!(
            settled.dead_letter.is_none(),
            outcome == "failed",
            "{status}"
        );
    }
}
