//! Deliveries whose caller waits for the outcomes, to receivers on this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, targets};
use reflexarc_delivery::{
    DeadLetterCause, Delivery, DeliveryId, DirectDispatch, DirectOutcome, Dispatched, Redact,
};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, CallAnswer};

use crate::receiver::{Receiver, Reply};
use crate::samples::{deliveries, message, notify, send};

const SECRET: &str = "canary-secret-0123456789";

/// The dispatch of a configuration whose only secret is [`SECRET`].
fn start(text: &str, folder: &Path) -> DirectDispatch {
    let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
    let secret = |_: &str| Some(SECRET.to_owned());
    let context = ConfigContext::new(folder, Secrets::Resolve(&secret));
    let targets = targets(&ConfigTable::new(&context, document.root()));
    assert_eq!(
        document.error_count(),
        0,
        "{:?}",
        document.into_diagnostics()
    );
    let redact: Redact = Arc::new(|text: &str| text.replace(SECRET, "[redacted]"));
    DirectDispatch::start(targets, &redact)
}

fn webhook(receiver: &Receiver, keys: &str) -> DirectDispatch {
    let url = &receiver.url;
    let text = format!(
        "[targets.t]\ntype = \"webhook\"\nurl = \"{url}\"\nallow = [\"127.0.0.0/8\"]\n{keys}"
    );
    start(&text, Path::new(""))
}

fn api(receiver: &Receiver, keys: &str) -> DirectDispatch {
    let url = &receiver.url;
    let text = format!(
        "[targets.t]\ntype = \"http\"\nurl = \"{url}\"\nnetworks = [\"127.0.0.0/8\"]\n\
         bearer = {{ env = \"TOKEN\" }}\nallow = [\"GET *\", \"PUT *\", \"DELETE *\"]\n\
         idempotent = [\"PUT *\"]\n{keys}"
    );
    start(&text, Path::new(""))
}

/// Deliveries as they are handed over now.
fn fresh(event: &str, actions: &[Action]) -> Vec<Delivery> {
    let now = Timestamp::now();
    let mut fresh = deliveries(event, actions);
    for delivery in &mut fresh {
        (delivery.created, delivery.queued_at) = (now, now);
    }
    fresh
}

fn call(operation: &str) -> Vec<Delivery> {
    fresh(
        operation,
        &[Action::call("t", operation, Json::Object(Vec::new()))],
    )
}

fn answer(dispatched: &Dispatched) -> &CallAnswer {
    match &dispatched.outcome {
        DirectOutcome::Answered(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

/// The code of the answer, and how many attempts there were.
async fn answered(dispatch: &DirectDispatch, operation: &str) -> (String, u32) {
    let dispatched = dispatch.deliver(call(operation), None).await.remove(0);
    (answer(&dispatched).code.clone(), dispatched.attempts)
}

fn unanswered() -> Reply {
    Reply {
        delay: Duration::from_secs(60),
        ..Reply::status(200)
    }
}

#[tokio::test]
async fn failed_attempts_are_repeated_until_delivered() {
    let receiver = Receiver::start([Reply::status(503), Reply::status(503)]).await;
    let dispatch = webhook(&receiver, "retry = [\"10ms\", \"10ms\"]");
    let dispatched = dispatch.deliver(fresh("1", &[send(7)]), None).await;
    assert_eq!(dispatched[0].attempts, 3);
    let DirectOutcome::Delivered { response } = &dispatched[0].outcome else {
        panic!("{dispatched:?}");
    };
    assert!(response.contains("200"), "{response}");
    let calls = receiver.calls();
    assert_eq!(calls.len(), 3);
    // The same id each time, by which the receiver knows the copies.
    let ids = calls.iter().map(|call| &call.headers["webhook-id"]);
    assert!(ids.clone().all(|id| Some(id) == ids.clone().next()));
}

#[tokio::test]
async fn what_no_attempt_delivers_has_cause_and_reason_without_secrets() {
    let echo = Reply {
        body: format!("wrong token {SECRET}"),
        ..Reply::status(503)
    };
    let receiver = Receiver::start([echo.clone(), echo, Reply::status(410)]).await;
    let keys = "retry = [\"10ms\"]\nheaders = { authorization = { env = \"TOKEN\" } }";
    let dispatch = webhook(&receiver, keys);
    let dispatched = dispatch.deliver(fresh("1", &[send(7)]), None).await;
    let DirectOutcome::Undeliverable { cause, reason } = &dispatched[0].outcome else {
        panic!("{dispatched:?}");
    };
    assert_eq!(
        (*cause, dispatched[0].attempts),
        (DeadLetterCause::Exhausted, 2)
    );
    assert!(
        reason.starts_with("gave up after 2 attempts: HTTP 503"),
        "{reason}"
    );
    assert!(
        reason.contains("[redacted]") && !reason.contains(SECRET),
        "{reason}"
    );

    let dispatched = dispatch.deliver(fresh("2", &[send(7)]), None).await;
    assert!(matches!(
        dispatched[0].outcome,
        DirectOutcome::Undeliverable {
            cause: DeadLetterCause::Misconfigured | DeadLetterCause::Refused,
            ..
        }
    ));
    assert_eq!(dispatched[0].attempts, 1);
}

#[tokio::test]
async fn outcomes_are_in_the_order_of_deliveries() {
    let receiver = Receiver::with([], |call, _| {
        let is_first = call.body.contains("\"first\"");
        is_first.then(|| Reply {
            delay: Duration::from_millis(200),
            ..Reply::status(200)
        })
    })
    .await;
    let dispatch = webhook(&receiver, "");
    let mut deliveries = fresh("1", &[send("first"), send("second"), send("third")]);
    // Of no resource, so that they are sent at the same time; and one to nowhere.
    for delivery in &mut deliveries {
        delivery.resource.clear();
    }
    deliveries[2].target = "nowhere".to_owned();
    let begun = Instant::now();
    let dispatched = dispatch.deliver(deliveries, None).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    let outcomes = dispatched.iter().map(|one| &one.outcome);
    let delivered: Vec<bool> = outcomes
        .map(|outcome| matches!(outcome, DirectOutcome::Delivered { .. }))
        .collect();
    assert_eq!(delivered, [true, true, false]);
    assert_eq!(dispatched[2].attempts, 0);
    assert!(receiver.calls()[0].body.contains("\"first\""));
}

#[tokio::test]
async fn deliveries_about_one_resource_keep_their_order() {
    let receiver = Receiver::start([Reply::status(503), Reply::status(503)]).await;
    let dispatch = webhook(&receiver, "retry = [\"50ms\", \"50ms\"]");
    let actions: Vec<Action> = (0..20).map(send).collect();
    let dispatched = dispatch.deliver(fresh("1", &actions), None).await;
    assert_eq!(dispatched.len(), 20);
    let calls = receiver.calls();
    let sent = calls.iter().map(|call| {
        let body = Json::parse(&call.body).unwrap();
        body.get("data").unwrap().as_i64().unwrap()
    });
    let sent: Vec<i64> = sent.collect();
    // The first one failed twice, and nothing overtook it.
    let expected: Vec<i64> = [0, 0].into_iter().chain(0..20).collect();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_failing_delivery_holds_up_others_for_order_wait_at_most() {
    let receiver = Receiver::with([], |call, _| {
        let fails = call.body.contains("\"fails\"");
        fails.then(|| Reply::status(503))
    })
    .await;
    let dispatch = webhook(&receiver, "retry = [\"1h\"]\norder_wait = \"100ms\"");
    let actions = [send("fails"), send("next"), send("last")];
    let timeout = Some(Duration::from_secs(6));
    let dispatched = dispatch.deliver(fresh("1", &actions), timeout).await;
    let DirectOutcome::Undeliverable { cause, reason } = &dispatched[0].outcome else {
        panic!("{dispatched:?}");
    };
    assert_eq!(*cause, DeadLetterCause::Expired);
    assert!(reason.starts_with("gave up after 6s: HTTP 503"), "{reason}");
    for one in &dispatched[1..] {
        assert!(
            matches!(one.outcome, DirectOutcome::Delivered { .. }),
            "{one:?}"
        );
    }
}

#[tokio::test]
async fn copies_of_a_delivery_under_way_share_its_outcome() {
    let slow = Reply {
        delay: Duration::from_millis(300),
        ..Reply::status(200)
    };
    let receiver = Receiver::start([slow]).await;
    let dispatch = webhook(&receiver, "");
    let (one, copy) = (fresh("1", &[send(7)]), fresh("1", &[send(7)]));
    let (first, second) = tokio::join!(dispatch.deliver(one, None), dispatch.deliver(copy, None));
    assert_eq!(first, second);
    assert_eq!(receiver.calls().len(), 1);
    // Afterwards it is sent again: the receiver decides what to do with a copy.
    dispatch.deliver(fresh("1", &[send(7)]), None).await;
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn a_dead_receiver_is_not_called_for_each_delivery() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(503))).await;
    let breaker = "breaker = { failures = 3, pause = \"1m\" }\nretry = []\norder_wait = \"0s\"";
    let dispatch = webhook(&receiver, &format!("{breaker}\nconcurrency = 1"));
    let actions: Vec<Action> = (0..50).map(send).collect();
    let timeout = Some(Duration::from_secs(4));
    let dispatched = dispatch.deliver(fresh("1", &actions), timeout).await;
    assert_eq!(receiver.calls().len(), 3);
    let attempts: u32 = dispatched.iter().map(|one| one.attempts).sum();
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn abandoned_deliveries_are_not_attempted_again() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(503))).await;
    let dispatch = webhook(&receiver, "retry = [\"1s\", \"1s\", \"1s\"]");
    tokio::select! {
        _ = dispatch.deliver(fresh("1", &[send(7)]), None) => panic!("it has ended"),
        _ = receiver.wait(1) => {}
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test]
async fn lines_of_a_file_are_in_order_and_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[targets.t]\ntype = \"file\"\npath = \"out.ndjson\"";
    let dispatch = start(text, folder.path());
    let actions: Vec<Action> = (0..2_000).map(send).collect();
    let dispatched = dispatch.deliver(fresh("1", &actions), None).await;
    assert!(dispatched.iter().all(|one| one.attempts == 1));
    let lines = std::fs::read_to_string(folder.path().join("out.ndjson")).unwrap();
    let sent = lines.lines().map(|line| {
        let line = Json::parse(line).unwrap();
        line.get("send").unwrap().as_i64().unwrap()
    });
    assert!(sent.eq(0..2_000));
}

#[tokio::test]
async fn messages_beyond_the_rate_limit_are_merged() {
    let receiver = Receiver::with([], |_, _| {
        Some(Reply {
            headers: vec![("content-type", "application/json".to_owned())],
            body: r#"{"errcode":0,"errmsg":"ok"}"#.to_owned(),
            ..Reply::status(200)
        })
    })
    .await;
    let url = &receiver.url;
    let text = format!(
        "[targets.t]\ntype = \"dingtalk\"\nendpoint = \"{url}\"\ntoken = {{ env = \"TOKEN\" }}\n\
         calls_per_minute = 8"
    );
    let dispatch = start(&text, Path::new(""));
    let actions = (0..100).map(|number| notify(message(&format!("alert {number}"), "text")));
    let mut deliveries = fresh("1", &actions.collect::<Vec<_>>());
    for (number, delivery) in deliveries.iter_mut().enumerate() {
        delivery.resource = format!("eni-{number}");
    }
    let timeout = Some(Duration::from_secs(40));
    let dispatched = dispatch.deliver(deliveries, timeout).await;
    for one in &dispatched {
        assert!(
            matches!(one.outcome, DirectOutcome::Delivered { .. }),
            "{one:?}"
        );
    }
    let calls = receiver.calls();
    assert!(calls.len() <= 8, "{} calls", calls.len());
    let bodies: Vec<&str> = calls.iter().map(|call| &*call.body).collect();
    let all = bodies.concat();
    assert!((0..100).all(|number| all.contains(&format!("alert {number}"))));
}

#[tokio::test]
async fn calls_are_answered_by_the_api() {
    let reply = Reply {
        headers: vec![("content-type", "application/json".to_owned())],
        body: format!(r#"{{"Status": "Available", "Echo": "{SECRET}"}}"#),
        ..Reply::status(200)
    };
    let receiver = Receiver::start([Reply::status(503), reply, Reply::status(404)]).await;
    let dispatch = api(&receiver, "retry = [\"10ms\"]");
    let dispatched = dispatch.deliver(call("GET /enis/1"), None).await.remove(0);
    let found = answer(&dispatched);
    assert_eq!(
        (found.ok, found.status, dispatched.attempts),
        (true, Some(200), 2)
    );
    assert_eq!(found.body.get("Status"), Some(&Json::from("Available")));
    assert_eq!(found.body.get("Echo"), Some(&Json::from("[redacted]")));
    assert_eq!(
        answered(&dispatch, "GET /enis/2").await,
        ("404".to_owned(), 1)
    );
}

#[tokio::test]
async fn unknown_outcomes_are_repeated_only_where_that_is_safe() {
    let receiver = Receiver::with([], |_, before| {
        // The first call of each operation has no answer in time.
        Some(if before.len() % 2 == 0 {
            unanswered()
        } else {
            Reply::status(200)
        })
    })
    .await;
    let keys = "retry = [\"10ms\"]\ntimeout = \"300ms\"";
    let dispatch = api(&receiver, keys);
    assert_eq!(answered(&dispatch, "GET /enis/1").await, (String::new(), 2));
    assert_eq!(answered(&dispatch, "PUT /enis/1").await, (String::new(), 2));
    let unknown = ("OutcomeUnknown".to_owned(), 1);
    assert_eq!(answered(&dispatch, "DELETE /enis/1").await, unknown);
    assert_eq!(receiver.calls().len(), 5);
}

#[tokio::test]
async fn changes_beyond_the_limit_stop_until_the_target_is_resumed() {
    let receiver = Receiver::start([]).await;
    let dispatch = api(&receiver, "max_changes = { per_minute = 2, per_day = 3 }");
    let ok = (String::new(), 1);
    assert_eq!(answered(&dispatch, "DELETE /enis/1").await, ok);
    assert_eq!(answered(&dispatch, "DELETE /enis/2").await, ok);
    assert_eq!(dispatch.resume("t"), Some(false));
    let limit = ("ChangeLimit".to_owned(), 0);
    assert_eq!(answered(&dispatch, "DELETE /enis/3").await, limit);
    assert_eq!(answered(&dispatch, "GET /enis/3").await, ok);
    assert_eq!(dispatch.resume("nowhere"), None);
    assert_eq!(dispatch.resume("t"), Some(true));
    assert_eq!(answered(&dispatch, "DELETE /enis/3").await, ok);
    assert_eq!(receiver.calls().len(), 4);
}

#[tokio::test]
async fn calls_that_are_not_sent_are_answered() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(503))).await;
    let keys = "retry = [\"1h\"]\nexpires = \"10m\"";
    let dispatch = api(&receiver, keys);
    assert_eq!(
        answered(&dispatch, "POST /enis").await,
        ("NotAllowed".to_owned(), 0)
    );
    // The next attempt would be too late.
    assert_eq!(
        answered(&dispatch, "GET /enis/1").await,
        ("Undelivered".to_owned(), 1)
    );
    let mut old = call("GET /enis/2");
    old[0].queued_at = Timestamp::now() - Duration::from_secs(601);
    let dispatched = dispatch.deliver(old, None).await.remove(0);
    assert_eq!(answer(&dispatched).message, "not sent within 10m");

    let dispatch = api(&receiver, "dry_run = true");
    let dispatched = dispatch
        .deliver(call("DELETE /enis/1"), None)
        .await
        .remove(0);
    assert_eq!(answer(&dispatched).code, "DryRun");
    assert!(answer(&dispatched).body.to_string().contains("/enis/1"));
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test]
async fn callers_that_give_up_know_whether_a_change_may_be_executed() {
    let receiver = Receiver::with([], |_, _| Some(unanswered())).await;
    let dispatch = api(&receiver, "concurrency = 1\norder_wait = \"0s\"");
    let timeout = Some(Duration::from_millis(500));
    let mut calls = call("DELETE /enis/1");
    calls.extend(call("DELETE /enis/2"));
    let dispatched = dispatch.deliver(calls, timeout).await;
    let codes: Vec<&str> = dispatched.iter().map(|one| &*answer(one).code).collect();
    assert_eq!(codes, ["OutcomeUnknown", "Expired"]);
    assert_eq!(answer(&dispatched[1]).message, "gave up after 500ms");
}

#[tokio::test]
async fn actions_of_the_wrong_kind_are_explained() {
    let receiver = Receiver::start([]).await;
    let dispatched = api(&receiver, "")
        .deliver(fresh("1", &[send(7)]), None)
        .await;
    assert_eq!(
        dispatched[0].outcome,
        DirectOutcome::Undeliverable {
            cause: DeadLetterCause::Misconfigured,
            reason: "t takes calls of operations, no messages and documents".into(),
        }
    );
    let dispatched = webhook(&receiver, "").deliver(call("GET /"), None).await;
    let found = answer(&dispatched[0]);
    assert_eq!(
        found.summary(),
        "Undelivered: t is of type webhook, which takes no calls"
    );
    assert_eq!(receiver.calls().len(), 0);
}

#[tokio::test]
async fn ids_of_the_caller_are_kept() {
    let receiver = Receiver::start([]).await;
    let dispatch = webhook(&receiver, "");
    let mut deliveries = fresh("1", &[send(7)]);
    let id: DeliveryId = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
    deliveries[0].id = id;
    dispatch.deliver(deliveries, None).await;
    let header = receiver.calls()[0].headers["webhook-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(header, id.to_string());
}
