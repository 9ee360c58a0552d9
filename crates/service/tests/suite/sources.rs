//! Sources of events take turns: one that floods the service does not keep others waiting.

use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_service::security::{Role, Token, Tokens};

use crate::samples::event_text;
use crate::serving::Serving;

/// Takes milliseconds for each event, also on a fast machine.
const SLOW: &str = "when = 'content.result == \"failed\"'\nthen = '''
    let n = 0;
    while n < 2000 { n += 1 }
    add(\"n\", 1);'''";

async fn serving() -> Serving {
    Serving::with(|parts| {
        parts.rules = RuleSet::compile([("slow.toml", SLOW)]).unwrap();
        let budget = &mut parts.config.budgets.default;
        (budget.time, budget.time_burst) = (Duration::from_secs(3_600), Duration::from_secs(3_600));
        (
            parts.config.limits.queue_events,
            parts.config.limits.batch_events,
        ) = (2_000, 100);
        let token = |name: &str| {
            let secret = format!("secret-{name}").into();
            Token::new(name.into(), &secret, vec![Role::Ingest], None)
        };
        parts.config.tokens = Tokens::new(vec![token("flood"), token("small")]);
    })
    .await
}

/// The statuses of as many requests at the same time, each with 50 events.
fn flood(serving: &Serving, requests: usize, name: &str) -> Vec<tokio::task::JoinHandle<u16>> {
    let post = |number: usize| {
        let events = (0..50).map(|n| {
            let id = format!("{name}-{number}-{n}");
            event_text(&id, &format!("eni-{}", (number + n) % 7))
        });
        let body = events.collect::<Vec<_>>().join("\n");
        let request = serving
            .client
            .post(format!("{}/events", serving.url))
            .bearer_auth("secret-flood")
            .header("content-type", "application/x-ndjson")
            .body(body);
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    };
    (0..requests).map(post).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_refused_and_others_go_before_it() {
    let serving = serving().await;
    // How long an event takes is known after the first.
    for first in flood(&serving, 1, "first") {
        assert_eq!(first.await.unwrap(), 200);
    }
    let flood = flood(&serving, 40, "rest");
    // Half of the queue, 1,000 events, is all that one source may have. Wait until it has them.
    while !flood.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in 0..5 {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", "Bearer secret-small"),
        ];
        let body = event_text(&format!("small-{number}"), "eni-1");
        let (status, answer) = serving.post_to("/events", &headers, body).await;
        assert_eq!(status, 200, "{answer}");
        let waiting = flood
            .iter()
            .filter(|request| !request.is_finished())
            .count();
        assert!(
            number > 2 || waiting > 0,
            "the flood was served before {number}"
        );
    }
    let mut statuses = Vec::new();
    for request in flood {
        statuses.push(request.await.unwrap());
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429), 40, "{statuses:?}");
    assert!(count(200) >= 20 && count(429) > 0, "{statuses:?}");
    // The state counts each event that was accepted, from both sources.
    let state = serving.store.state(jiff::Timestamp::now()).unwrap();
    let expected = (50 * (count(200) + 1) + 5).to_string();
    assert!(
        state.contains(&("slow".into(), "n".into(), expected)),
        "{state:?}"
    );
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_turn_is_stored_before_the_end() {
    let serving = serving().await;
    let flood = flood(&serving, 15, "all");
    while !flood.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    serving.stop_soon();
    let mut stored = 0;
    for request in flood {
        stored += usize::from(request.await.unwrap() == 200);
    }
    let state = serving.store.state(jiff::Timestamp::now()).unwrap();
    let expected = (50 * stored).to_string();
    assert!(
        state.contains(&("slow".into(), "n".into(), expected)),
        "{stored}: {state:?}"
    );
    serving.stop().await;
}
