use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::webhook::Webhook;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick};
use crate::receiver::{Receiver, Reply};
use crate::samples::send;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn reach() -> EgressPolicy {
    EgressPolicy {
        allowed: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

fn webhook(url: &str, reach: EgressPolicy) -> Webhook {
    let client = reach.client(None).unwrap();
    let header = (
        "authorization".parse().unwrap(),
        "Bearer canary-token".parse().unwrap(),
    );
    Webhook::new(
        url.parse().unwrap(),
        reach,
        client,
        Some(SECRET.to_vec().into()),
        vec![header],
    )
}

#[tokio::test]
async fn a_delivery_arrives_as_a_signed_cloudevent() {
    let receiver = Receiver::start([]).await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("t", webhook(&receiver.url, reach()), quick(0)));
    let message = Message {
        title: "attach failed".into(),
        text: "a\nb".into(),
        level: Level::Warn,
        at: vec!["all".into()],
        link: Some("https://example.com/".into()),
    };
    let ids = delivering
        .accept(
            "8B2A",
            vec![
                Action::Notify {
                    target: "t".into(),
                    message,
                },
                send("t", 7),
            ],
        )
        .await;
    for id in &ids {
        delivering.until(*id, DeliveryStatus::Delivered).await;
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
    let message = r#"{"title":"attach failed","text":"a\nb","level":"warn","at":["all"],"link":"https://example.com/"}"#;
    assert_eq!(data, ["7", message]);
    delivering.stop().await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id_and_every_word_is_kept() {
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
    delivering.serve(queue("t", webhook(&receiver.url, reach()), quick(5)));
    let id = delivering.accept("1", vec![send("t", 1)]).await[0];
    let (_, attempts) = delivering.until(id, DeliveryStatus::Delivered).await;
    let told: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.outcome.as_str(), attempt.answer.as_str()))
        .collect();
    assert_eq!(
        told,
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
async fn retry_after_is_honoured() {
    let receiver = Receiver::start([Reply {
        headers: vec![("retry-after", "2".into())],
        ..Reply::status(503)
    }])
    .await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("t", webhook(&receiver.url, reach()), quick(5)));
    let id = delivering.accept("1", vec![send("t", 1)]).await[0];
    delivering.until(id, DeliveryStatus::Delivered).await;
    let calls = receiver.calls();
    assert!(calls[1].at.duration_since(calls[0].at) >= Duration::from_millis(1_900));
    delivering.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_refusals_are_dead_at_once() {
    let secret_place = Receiver::start([]).await;
    let redirect = Reply {
        headers: vec![("location", secret_place.url.clone())],
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
    let mut delivering = Delivering::new();
    delivering.serve(queue("t", webhook(&receiver.url, reach()), quick(5)));
    let mut told = Vec::new();
    for event in ["1", "2", "3"] {
        let id = delivering.accept(event, vec![send("t", 1)]).await[0];
        let (entry, attempts) = delivering.until(id, DeliveryStatus::Dead).await;
        told.push((attempts[0].outcome.clone(), entry.reason.unwrap()));
    }
    assert_eq!(
        told[0],
        (
            "misconfigured".into(),
            "HTTP 302; redirects are not followed: configure the final URL".into()
        )
    );
    assert_eq!(told[1], ("misconfigured".into(), "HTTP 401".into()));
    assert_eq!(
        told[2],
        ("refused".into(), "HTTP 422: no such field".into())
    );
    assert!(secret_place.calls().is_empty());
    delivering.stop().await;
}

#[tokio::test]
async fn private_addresses_are_not_called_by_number_or_by_name() {
    let receiver = Receiver::start([]).await;
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    let mut delivering = Delivering::new();
    for (name, host) in [
        ("a", "127.0.0.1"),
        ("b", "localhost"),
        ("c", "[::ffff:127.0.0.1]"),
        ("d", "2130706433"),
    ] {
        delivering.serve(queue(
            name,
            webhook(&format!("http://{host}:{port}"), EgressPolicy::default()),
            quick(0),
        ));
        let id = delivering.accept(name, vec![send(name, 1)]).await[0];
        let (entry, _) = delivering.until(id, DeliveryStatus::Dead).await;
        assert!(
            entry
                .reason
                .as_ref()
                .unwrap()
                .contains("which is not a public address"),
            "{entry:?}"
        );
    }
    assert!(receiver.calls().is_empty());
    delivering.stop().await;
}

#[tokio::test]
async fn a_receiver_that_stalls_is_given_up_in_time_and_delays_no_other() {
    let stalling = Receiver::judging([], |_, _| {
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
    let mut slow = queue("slow", webhook(&stalling.url, reach()), quick(1));
    slow.timeout = Duration::from_millis(300);
    delivering.serve(slow);
    delivering.serve(queue(
        "dead",
        webhook(&format!("http://{closed}/"), reach()),
        quick(100),
    ));
    delivering.serve(queue("good", webhook(&good.url, reach()), quick(0)));
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
async fn stopping_finishes_what_is_under_way_and_claims_nothing_more() {
    let receiver = Receiver::judging([], |_, _| {
        Some(Reply {
            delay: Duration::from_millis(200),
            ..Reply::status(200)
        })
    })
    .await;
    let mut delivering = Delivering::new();
    let mut one = queue("t", webhook(&receiver.url, reach()), quick(0));
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
