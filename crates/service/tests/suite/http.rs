use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::security::{Role, TlsIdentity, Token, Tokens};
use reflexarc_service::{SqliteStore, StoreOptions};

use crate::hostile::{closed, connect, exchange};
use crate::receiver::eventually;
use crate::samples::event_text;
use crate::serving::Serving;

fn int(json: &Json, key: &str) -> i64 {
    json.get(key)
        .and_then(Json::as_i64)
        .unwrap_or_else(|| panic!("no {key} in {json}"))
}

#[tokio::test]
async fn an_event_is_archived_evaluated_and_delivered() {
    let serving = Serving::start().await;
    let (status, answer) = serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    assert_eq!(
        (status, answer.to_string().as_str()),
        (200, r#"{"accepted":1,"duplicates":0,"ids":["e1"]}"#)
    );
    let lines = eventually(|| Some(serving.lines()).filter(|lines| !lines.is_empty())).await;
    assert_eq!(
        lines[0].get("send").unwrap().to_string(),
        r#"{"eni":"eni-1"}"#
    );
    let (status, again) = serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    assert_eq!(
        (status, int(&again, "accepted"), int(&again, "duplicates")),
        (200, 0, 1)
    );
    let pending = || {
        serving
            .store
            .deliveries(reflexarc_service::store::DeliveryStatus::Pending, None, 1)
            .unwrap()
    };
    eventually(|| pending().is_empty().then_some(())).await;
    let (_, traces) = serving.get("/trace/e1?explain=failed", None).await;
    let trace = &traces.elements()[0];
    assert_eq!(
        trace.get("received").unwrap(),
        &Json::parse(event_text("e1", "eni-1")).unwrap()
    );
    assert_eq!(
        trace
            .get("evaluation")
            .unwrap()
            .get("rules")
            .unwrap()
            .elements()[0]
            .get("rule")
            .unwrap()
            .as_str(),
        Some("failed")
    );
    let verdict = &trace.get("verdicts").unwrap().elements()[0];
    assert!(
        verdict.get("matched").unwrap().as_bool().unwrap() && verdict.get("explanation").is_some()
    );
    let delivery = &trace.get("deliveries").unwrap().elements()[0];
    assert_eq!(delivery.get("status").unwrap().as_str(), Some("delivered"));
    assert!(
        delivery.get("attempts").unwrap().elements()[0]
            .get("answer")
            .unwrap()
            .as_str()
            .unwrap()
            .starts_with("written to")
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_batch_is_atomic_unless_partial_is_requested() {
    let serving = Serving::start().await;
    let batch = format!(
        "[{}, 7, {}]",
        event_text("1", "eni-1"),
        event_text("2", "eni-2")
    );
    let (status, answer) = serving.post("application/json", batch.clone()).await;
    assert_eq!(status, 400);
    let error = answer.get("error").unwrap().as_str().unwrap();
    assert_eq!(
        error,
        "element 1 is not an event: expected a JSON object, found a number; nothing was stored"
    );
    let fault = &answer.get("faults").unwrap().elements()[0];
    assert_eq!(
        (int(fault, "element"), fault.get("code").unwrap().as_str()),
        (1, Some("RA0005"))
    );
    assert!(serving.store.find("1").unwrap().is_empty());

    let (status, answer) = serving.post_to("/events?partial=true", &[], batch).await;
    assert_eq!(
        (status, int(&answer, "accepted"), int(&answer, "refused")),
        (200, 2, 1)
    );
    assert_eq!(
        int(&answer.get("faults").unwrap().elements()[0], "element"),
        1
    );
    assert_eq!(serving.store.find("2").unwrap().len(), 1);
    let (status, _) = serving.post_to("/events?partial=true", &[], "[7]").await;
    assert_eq!(status, 400);
    serving.stop().await;
}

/// The event of the content types below.
const NAME: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";
const CONTENT: &str = concat!(
    r#"{"eniId":"eni-9","operation":"AttachNetworkInterface","eniStatus":"Available","#,
    r#""result":"failed","requestId":"R"}"#
);

#[tokio::test]
async fn every_content_type_leads_to_the_same_reaction() {
    let serving = Serving::start().await;
    let mut expected = 0;
    for (content_type, body) in [
        ("application/json", event_text("native", "eni-9")),
        ("application/cloudevents+json", cloudevent("structured")),
        (
            "application/cloudevents-batch+json",
            format!("[{},{}]", cloudevent("batch-1"), cloudevent("batch-2")),
        ),
        (
            "application/json",
            format!(r#"{{"userId":"1","alert":{}}}"#, monitor("monitor")),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("userId=1&alert={}", percent_encode(&monitor("form"))),
        ),
        (
            "application/x-ndjson",
            format!(
                "{}\n{}\n",
                event_text("line-1", "eni-9"),
                cloudevent("line-2")
            ),
        ),
    ] {
        let (status, answer) = serving.post(content_type, body).await;
        assert_eq!(status, 200, "{content_type}: {answer}");
        expected += usize::try_from(int(&answer, "accepted")).unwrap();
    }
    let ce_type = format!("ecs:{NAME}");
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "binary"),
        ("ce-source", "acs.ecs"),
        ("ce-type", &ce_type),
    ];
    assert_eq!(serving.post_to("/events", &binary, CONTENT).await.0, 200);
    let document = format!(r#"{{"alert":{}}}"#, monitor("get"));
    assert_eq!(
        serving
            .get(&format!("/events?data={}", percent_encode(&document)), None)
            .await
            .0,
        200
    );
    let lines =
        eventually(|| Some(serving.lines()).filter(|lines| lines.len() == expected + 2)).await;
    assert!(
        lines
            .iter()
            .all(|line| line.get("send").unwrap().to_string() == r#"{"eni":"eni-9"}"#)
    );
    serving.stop().await;
}

/// Who checks whether an address answers stores no event.
#[tokio::test]
async fn head_stores_no_event() {
    let serving = Serving::start().await;
    let document = percent_encode(&event_text("head", "eni-1"));
    let path = format!("/events?data={document}");
    let request = serving.client.head(format!("{}{path}", serving.url));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST,GET");
    let (status, answer) = serving.get(&path, None).await;
    assert_eq!((status, int(&answer, "accepted")), (200, 1), "{answer}");
    serving.stop().await;
}

fn cloudevent(id: &str) -> String {
    format!(
        concat!(
            r#"{{"specversion":"1.0","id":"{id}","source":"acs.ecs","type":"ecs:{name}","#,
            r#""time":"2020-11-19T21:04:41+08:00","data":{content}}}"#
        ),
        id = id,
        name = NAME,
        content = CONTENT
    )
}

/// A Cloud Monitor alert.
fn monitor(id: &str) -> String {
    format!(
        concat!(
            r#"{{"traceId":"{id}","product":"ECS","eventName":"{name}","#,
            r#""eventContentMap":{content}}}"#
        ),
        id = id,
        name = NAME,
        content = CONTENT
    )
}

fn percent_encode(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

fn token(name: &str, roles: &[Role], expires: Option<Timestamp>) -> Token {
    Token::new(
        name.into(),
        &format!("secret-{name}").into(),
        roles.to_vec(),
        expires,
    )
}

#[tokio::test]
async fn requests_without_the_right_token_are_refused() {
    let tokens = vec![
        token("cloud", &[Role::Ingest], None),
        token("look", &[Role::Read], None),
        token("ops", &[Role::Operate], None),
        token(
            "expired",
            &[Role::Ingest, Role::Read, Role::Operate],
            Some(Timestamp::UNIX_EPOCH),
        ),
    ];
    let serving = Serving::with(|parts| {
        parts.config.tokens = Tokens::new(tokens);
        // Of the many wrong ones below.
        parts.config.limits.token_delay = Duration::ZERO;
    })
    .await;
    let id = "0".repeat(32);
    let paths = [
        ("POST", "/events".to_owned(), "secret-cloud"),
        ("GET", "/events?data=%7B%7D".to_owned(), "secret-cloud"),
        ("GET", "/metrics".to_owned(), "secret-look"),
        ("GET", "/status".to_owned(), "secret-look"),
        ("GET", "/trace/x".to_owned(), "secret-look"),
        ("GET", "/outbox".to_owned(), "secret-look"),
        ("GET", format!("/outbox/{id}"), "secret-look"),
        ("GET", "/dlq".to_owned(), "secret-look"),
        ("POST", "/reload".to_owned(), "secret-ops"),
        ("POST", format!("/outbox/{id}/cancel"), "secret-ops"),
        ("POST", format!("/dlq/{id}/redrive"), "secret-ops"),
        ("DELETE", format!("/dlq/{id}"), "secret-ops"),
    ];
    for (method, path, good) in &paths {
        let call = |token: Option<&str>| {
            let url = format!("{}{path}", serving.url);
            let mut request = serving
                .client
                .request(method.parse().unwrap(), url)
                .body("{}");
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            async move { request.send().await.unwrap().status().as_u16() }
        };
        for bad in [None, Some("wrong"), Some("secret-expired"), Some("")] {
            assert_eq!(call(bad).await, 401, "{method} {path} with {bad:?}");
        }
        for other in ["secret-cloud", "secret-look", "secret-ops"] {
            let status = call(Some(other)).await;
            assert_eq!(
                status == 403,
                other != *good,
                "{method} {path} with {other}: {status}"
            );
            assert_ne!(status, 401);
        }
    }
    for open in ["/healthz", "/readyz"] {
        assert_eq!(serving.get(open, None).await.0, 200);
    }
    // Cloud Monitor cannot set headers.
    assert_eq!(
        serving
            .post_to("/events?token=secret-cloud", &[], event_text("q", "eni-1"))
            .await
            .0,
        200
    );
    serving.stop().await;
}

#[tokio::test]
async fn each_limit_has_its_status() {
    let serving = Serving::with(|parts| {
        parts.config.limits.body_bytes = 10_000;
        parts.config.limits.batch_events = 3;
        parts.config.limits.queue_events = 2;
        parts.config.limits.queue_bytes = 12_000;
    })
    .await;
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
    assert_eq!(serving.post("application/json", long.clone()).await.0, 413);
    // The same without a content length: chunked.
    let url = serving.url.replace("localhost", "127.0.0.1");
    let chunk = format!("800\r\n{}\r\n", "y".repeat(2_048)).repeat(6);
    let request = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    let response = tokio::task::spawn_blocking(move || {
        exchange(&url, &[(request.as_bytes(), Duration::ZERO)])
    })
    .await
    .unwrap();
    assert!(response.0.starts_with("HTTP/1.1 413"), "{}", response.0);
    assert_eq!(
        serving.post("application/json", "[{},{},{},{}]").await.0,
        413
    );
    let response = serving
        .client
        .post(format!("{}/events", serving.url))
        .body("[{},{},{}]")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "1")
    );
    assert_eq!(serving.post("application/json", "[{},{}]").await.0, 200);
    assert_eq!(serving.post("image/png", "x").await.0, 415);
    assert_eq!(serving.get("/nowhere", None).await.0, 404);
    let (_, metrics) = serving.get("/metrics", None).await;
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains(r#"reflexarc_requests_refused_total{status="413"} 3"#),
        "{metrics}"
    );
    serving.stop().await;
}

#[tokio::test]
async fn tls_is_served_where_configured() {
    let fixture = |name: &str| {
        std::fs::read(format!(
            "{}/tests/fixtures/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    let identity = TlsIdentity::new(&fixture("localhost.pem"), &fixture("localhost.key")).unwrap();
    assert!(TlsIdentity::new(&fixture("localhost.pem"), b"no key").is_err());
    let none = TlsIdentity::new(b"no certificate", &fixture("localhost.key"));
    let message = none.err().unwrap().to_string();
    assert_eq!(message, "invalid certificate: there is none in PEM");
    let serving = Serving::with(|parts| parts.config.tls_identity = Some(identity)).await;
    let authority = reqwest::Certificate::from_pem(&fixture("localhost.pem")).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .build()
        .unwrap();
    let response = client
        .get(format!("{}/healthz", serving.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let plain = serving
        .client
        .get(format!("{}/healthz", serving.url.replace("https", "http")))
        .send()
        .await;
    assert!(plain.is_err());
    serving.stop().await;
}

/// Their requests may be on the way when the port is closed.
#[tokio::test]
async fn clients_that_have_connected_are_answered_while_it_stops() {
    let serving = Serving::start().await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // Without waiting, so that the service accepts none of them before it is to stop.
    let connected = |_| {
        let mut stream = connect(&serving.url);
        stream.write_all(request).unwrap();
        stream
    };
    let mut clients: Vec<_> = (0..12).map(connected).collect();
    serving.stop().await;
    for client in &mut clients {
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }
}

#[tokio::test]
async fn a_client_that_sends_nothing_does_not_hold_up_the_end() {
    let patience = Duration::from_secs(120);
    let serving = Serving::with(|parts| {
        parts.config.limits.head = patience;
        parts.config.shutdown_timeout = patience;
    })
    .await;
    let silent = connect(&serving.url);
    let begun = std::time::Instant::now();
    serving.stop().await;
    assert!(begun.elapsed() < patience / 2);
    assert!(closed(silent));
}

#[tokio::test]
async fn stopping_finishes_open_requests_and_then_refuses() {
    let serving = Serving::start().await;
    let url = serving.url.clone();
    let pause = Duration::from_millis(400);
    let event = event_text("late", "eni-1");
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        event.len()
    );
    let under_way = tokio::task::spawn_blocking(move || {
        exchange(
            &url,
            &[(head.as_bytes(), pause), (event.as_bytes(), Duration::ZERO)],
        )
    });
    tokio::time::sleep(pause / 2).await;
    serving.stop_soon();
    assert!(under_way.await.unwrap().0.starts_with("HTTP/1.1 200 OK"));
    let (url, client, store) = (
        serving.url.clone(),
        serving.client.clone(),
        serving.store.clone(),
    );
    serving.stop().await;
    assert_eq!(store.find("late").unwrap().len(), 1);
    assert!(client.get(format!("{url}/healthz")).send().await.is_err());
}

#[tokio::test]
async fn operators_cancel_redrive_and_drop() {
    let serving = Serving::with(|parts| {
        parts.rules = reflexarc::RuleSet::compile([(
            "r.toml",
            r#"
when = 'content.result == "failed"'
then = 'send("nowhere", 1);'
"#,
        )])
        .unwrap();
    })
    .await;
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    let dead = |serving: &Serving| {
        let store = serving.store.clone();
        move || {
            store
                .deliveries(reflexarc_service::store::DeliveryStatus::Dead, None, 9)
                .unwrap()
                .pop()
        }
    };
    let entry = eventually(dead(&serving)).await;
    assert_eq!(
        entry.reason.as_deref(),
        Some("unknown target `nowhere`; known targets: out")
    );
    let (_, list) = serving.get("/dlq", None).await;
    assert_eq!(list.elements().len(), 1);
    let id = entry.delivery.id;
    // Redriven, its target is still unknown.
    let (status, _) = serving
        .post_to(&format!("/dlq/{id}/redrive"), &[], "")
        .await;
    assert_eq!(status, 200);
    eventually(dead(&serving)).await;
    assert_eq!(
        serving
            .post_to(&format!("/outbox/{id}/cancel"), &[], "")
            .await
            .0,
        409
    );
    assert_eq!(drop_dead_letter(&serving, id).await, 200);
    assert_eq!(drop_dead_letter(&serving, id).await, 409);
    assert_eq!(serving.get("/outbox/xyz", None).await.0, 400);
    assert_eq!(
        serving
            .get(&format!("/outbox/{}", "0".repeat(32)), None)
            .await
            .0,
        404
    );
    serving.stop().await;
}

/// The status of the response.
async fn drop_dead_letter(serving: &Serving, id: impl std::fmt::Display) -> u16 {
    let url = format!("{}/dlq/{id}", serving.url);
    let response = serving.client.delete(url).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn a_batch_is_atomic_when_the_disk_is_full() {
    let serving = Serving::with(|parts| {
        let path = parts.config.rule_paths[0].with_file_name("small.db");
        let options = StoreOptions {
            max_bytes: Some(600_000),
            ..crate::samples::OPTIONS
        };
        parts.store = Arc::new(SqliteStore::open(&path, &options).unwrap());
    })
    .await;
    let ids = |batch: usize| (0..40).map(move |place| format!("{batch}-{place}"));
    let (batch, refusal) = {
        let mut batch = 0;
        loop {
            // Many resources, so that every worker has a part of each batch.
            let lines: Vec<String> = ids(batch)
                .map(|id| event_text(&id, &format!("eni-{id}")))
                .collect();
            match serving.post("application/x-ndjson", lines.join("\n")).await {
                (200, answer) => assert_eq!(int(&answer, "accepted"), 40),
                refusal => break (batch, refusal),
            }
            batch += 1;
            assert!(batch < 1_000, "the store never was full");
        }
    };
    assert_eq!(refusal.0, 503);
    assert!(
        refusal
            .1
            .to_string()
            .contains("is full; nothing was stored"),
        "{}",
        refusal.1
    );
    assert!(batch > 2, "only {batch} batches fitted");
    assert!(ids(batch).all(|id| serving.store.find(&id).unwrap().is_empty()));
    assert_eq!(
        serving.store.verify_archive().unwrap().events,
        40 * batch as u64
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_failing_rule_is_reported_until_it_succeeds() {
    let serving = Serving::with(|parts| {
        let rule = r#"
when = 'content.result == "failed"'
then = 'if event.id.starts_with("bad") { throw "no such " + event.id; } send("out", 1);'
"#;
        parts.rules = reflexarc::RuleSet::compile([("fragile.toml", rule)]).unwrap();
    })
    .await;
    let post = async |id: &str| {
        let event = event_text(id, "eni-1");
        let (status, _) = serving.post("application/json", event).await;
        assert_eq!(status, 200);
    };
    let failing = async || {
        let (status, body) = serving.get("/status", None).await;
        assert_eq!(status, 200);
        body.get("failing").unwrap().to_string()
    };
    post("bad-1").await;
    post("bad-2").await;
    assert_eq!(failing().await, "[]", "two failures are not reported yet");
    post("bad-3").await;
    post("bad-4").await;
    let shown = failing().await;
    assert!(
        shown.starts_with(r#"[{"rule":"fragile","in_a_row":4,"message":"#)
            && shown.contains("no such bad-4"),
        "{shown}"
    );
    assert_eq!(
        int(&serving.get("/readyz", None).await.1, "failing_rules"),
        1
    );
    let metric = r#"reflexarc_rule_failures_in_a_row{rule="fragile"}"#;
    let (_, metrics) = serving.get("/metrics", None).await;
    assert!(
        metrics.as_str().unwrap().contains(&format!("{metric} 4")),
        "{metrics}"
    );
    // Every event was archived although its reaction failed.
    assert_eq!(serving.store.find("bad-1").unwrap().len(), 1);

    post("good").await;
    assert_eq!(failing().await, "[]");
    assert!(
        !serving
            .get("/metrics", None)
            .await
            .1
            .as_str()
            .unwrap()
            .contains(metric)
    );
    serving.stop().await;
}
