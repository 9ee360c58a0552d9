//! The records of what operators do over HTTP.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_service::security::{Role, Token, Tokens};
use reflexarc_service::store::{
    AuditEntry, AuditFilter, AuditOutcome, AuditVia, DeliveryStatus, NewAuditEntry,
};

use crate::delivering::{queue, quick, webhook};
use crate::dispatching::Panicking;
use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::event_text;
use crate::serving::Serving;

/// The records, the oldest first.
pub(crate) fn audit(serving: &Serving) -> Vec<AuditEntry> {
    let found = serving
        .store
        .audit_page(&AuditFilter::default(), None, 1_000);
    let mut found = found.unwrap();
    found.reverse();
    found
}

async fn send(serving: &Serving, method: &str, path: &str, body: &str) -> (u16, Json) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let url = format!("{}{path}", serving.url);
    let request = serving.client.request(method, url).body(body.to_owned());
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, Json::parse(response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn each_request_of_an_operator_is_recorded_once() {
    let receiver = Receiver::with([], |_, _| Some(Reply::status(422))).await;
    let serving = Serving::with(|parts| {
        parts.config.queues = vec![queue("out", webhook(&receiver.url), quick(1))];
    })
    .await;
    serving
        .post("application/json", event_text("e1", "eni-1"))
        .await;
    let store = serving.store.clone();
    let dead = eventually(move || {
        let dead = store.deliveries(DeliveryStatus::Dead, None, 1).unwrap();
        dead.first().map(|one| one.delivery.id)
    })
    .await;
    let unknown = "8b2a0000000000000000000000000001";
    // Method, path, body, status of the response; operation and outcome of the record.
    let table = format!(
        "POST   /dlq/{unknown}/redrive       -       409 redrive              refused
         POST   /outbox/{dead}/cancel        -       409 cancel               refused
         DELETE /dlq/{dead}                  -       200 drop                 done
         DELETE /dlq/{dead}                  -       409 drop                 refused
         POST   /targets/out/pause?reason=x  -       200 pause_target         done
         POST   /targets/out/test            -       409 test_target          refused
         POST   /targets/out/resume          -       200 resume_target        done
         POST   /targets/none/resume         -       404 resume_target        refused
         POST   /targets/out/test            -       502 test_target          failed
         POST   /silences                    later   201 add_silence          done
         POST   /silences                    nothing 409 add_silence          refused
         POST   /silences/1/end              -       200 end_silence          done
         POST   /silences/1/end              -       409 end_silence          refused
         POST   /silences/2/end              -       404 end_silence          refused
         POST   /incidents/1/ack             -       404 acknowledge_incident refused
         POST   /incidents/1/close           -       404 close_incident       refused
         POST   /pending/failed/k/close      -       404 close_pending        refused
         DELETE /rules/failed/state          -       409 forget_state         refused
         DELETE /rules/none/state            -       404 forget_state         refused
         POST   /reload                      -       200 reload               done
         POST   /clock/accept                -       200 accept_clock         done"
    );
    let silence = |rule: &str, more: &str| {
        format!(r#"{{"pattern":"rule == \"{rule}\"","for":"1h","reason":"r"{more}}}"#)
    };
    for (earlier, row) in table.lines().enumerate() {
        let row: Vec<_> = row.split_whitespace().collect();
        let [method, path, body, status, operation, outcome] = row[..] else {
            panic!("{row:?}");
        };
        let body = match body {
            "later" => silence("failed", r#","owner":"o","from":"2199-01-01T00:00:00Z""#),
            "nothing" => silence("none", ""),
            _ => String::new(),
        };
        let (found, answer) = send(&serving, method, path, &body).await;
        assert_eq!(found.to_string(), status, "{path}: {answer}");
        let entries = audit(&serving);
        assert_eq!(entries.len(), earlier + 1, "{path}");
        let entry = entries.last().unwrap();
        assert_eq!(
            (entry.operation.as_str(), entry.outcome.as_str()),
            (operation, outcome)
        );
        assert_eq!((entry.by.as_str(), entry.via), ("local", AuditVia::Api));
        assert!(entry.finished.is_some());
        assert!(entry.command.starts_with("reflexarc "), "{}", entry.command);
        if outcome != "done" {
            let error = answer.get("error").and_then(Json::as_str);
            assert_eq!(Some(entry.message.as_str()), error);
        }
    }
    let recorded = audit(&serving).len();
    // Invalid requests are not recorded.
    for (method, path, body, status) in [
        (
            "POST",
            format!("/targets/out/pause?reason={}", "x".repeat(501)),
            "",
            400,
        ),
        ("POST", "/dlq/x/redrive".to_owned(), "", 400),
        ("POST", "/silences".to_owned(), "{}", 400),
        ("POST", "/dlq/redrive?traget=out".to_owned(), "", 400),
        ("POST", "/reload?force=yes".to_owned(), "", 400),
    ] {
        let (found, answer) = send(&serving, method, &path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
    }
    assert_eq!(audit(&serving).len(), recorded);
    serving.stop().await;
}

#[tokio::test]
async fn records_are_listed_by_operator_and_operation() {
    let serving = Serving::with(|parts| {
        let token = |name: &str, roles: &[Role]| {
            let secret = format!("secret-{name}-0123456789").into();
            Token::new(name.into(), &secret, roles.to_vec(), None)
        };
        let both = [Role::Read, Role::Operate];
        parts.config.tokens = Tokens::new(vec![
            token("alice", &both),
            token("bob", &both),
            token("anonymous", &both),
            token("reader", &[Role::Read]),
        ]);
    })
    .await;
    let post = async |name: &str, path: &str| {
        let token = format!("Bearer secret-{name}-0123456789");
        let headers = [("authorization", token.as_str())];
        serving.post_to(path, &headers, "").await.0
    };
    assert_eq!(post("alice", "/targets/out/pause?reason=a%20b").await, 200);
    assert_eq!(post("bob", "/targets/out/resume").await, 200);
    assert_eq!(post("bob", "/targets/none/resume").await, 404);
    // A token may have this name.
    assert_eq!(post("anonymous", "/clock/accept").await, 200);
    // Requests without the role are not recorded.
    assert_eq!(post("reader", "/targets/out/pause").await, 403);
    assert_eq!(serving.post_to("/targets/out/pause", &[], "").await.0, 401);

    let token = Some("secret-reader-0123456789");
    let names = async |query: &str| {
        let (status, body) = serving.get(&format!("/audit{query}"), token).await;
        assert_eq!(status, 200, "{body}");
        let text = |entry: &Json, name: &str| {
            let value = entry.get(name).and_then(Json::as_str);
            value.unwrap().to_owned()
        };
        let entries = body.elements().iter();
        entries
            .map(|entry| format!("{} {}", text(entry, "by"), text(entry, "operation")))
            .collect::<Vec<_>>()
    };
    let all = [
        "anonymous accept_clock",
        "bob resume_target",
        "bob resume_target",
        "alice pause_target",
    ];
    assert_eq!(names("").await, all);
    assert_eq!(names("?by=alice").await, all[3..]);
    assert_eq!(names("?operation=resume_target").await, all[1..3]);
    assert_eq!(names("?before=3").await, all[2..]);
    assert_eq!(names("?from=2199-01-01T00:00:00Z").await, [""; 0]);
    let (_, entries) = serving.get("/audit?by=alice", token).await;
    let entry = &entries.elements()[0];
    let details = entry.get("details").unwrap().to_string();
    assert_eq!(details, r#"{"target":"out","reason":"a b"}"#);
    let command = entry.get("command").and_then(Json::as_str);
    assert_eq!(command, Some("reflexarc target pause out --reason 'a b'"));
    // In pages.
    let url = format!(
        "{}/audit?limit=3&by=bob&token=secret-reader-0123456789",
        serving.url
    );
    let response = serving.client.get(url).send().await.unwrap();
    assert!(response.headers().get("link").is_none());
    let url = format!(
        "{}/audit?limit=1&by=bob&token=secret-reader-0123456789",
        serving.url
    );
    let response = serving.client.get(url).send().await.unwrap();
    let link = response.headers().get("link").unwrap().to_str().unwrap();
    assert_eq!(link, r#"</audit?limit=1&by=bob&before=3>; rel="next""#);
    for query in ["?before=x", "?limit=0", "?from=x"] {
        let path = format!("/audit{query}");
        assert_eq!(serving.get(&path, token).await.0, 400, "{query}");
    }
    assert_eq!(serving.get("/audit", None).await.0, 401);
    serving.stop().await;
}

/// Changes the database of a running service directly.
pub(crate) fn alter(serving: &Serving, sql: &str) {
    let direct = rusqlite::Connection::open(serving.path("store.db")).unwrap();
    direct.busy_timeout(Duration::from_secs(10)).unwrap();
    direct.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn an_operation_has_a_record_also_if_its_end_is_not_recorded() {
    let serving = Serving::start().await;
    alter(
        &serving,
        "CREATE TRIGGER no_silence BEFORE INSERT ON silence
         BEGIN SELECT raise(ABORT, 'no silence'); END",
    );
    let silence = r#"{"pattern":"rule == \"a\"","for":"1h","reason":"r","confirm":true}"#;
    assert_eq!(send(&serving, "POST", "/silences", silence).await.0, 503);
    let failed = audit(&serving).pop().unwrap();
    assert_eq!(failed.operation, "add_silence");
    assert_eq!(failed.outcome, AuditOutcome::Failed);
    assert!(failed.message.contains("no silence"), "{}", failed.message);
    assert!(failed.finished.is_some());

    // As if the process died after the operation.
    alter(
        &serving,
        "CREATE TRIGGER no_end BEFORE UPDATE ON audit
         BEGIN SELECT raise(ABORT, 'no end'); END",
    );
    let paused = send(&serving, "POST", "/targets/out/pause?reason=x", "").await;
    assert_eq!(paused.0, 200, "{}", paused.1);
    let entries = audit(&serving);
    assert_eq!(entries.len(), 2);
    let begun = entries.last().unwrap();
    assert_eq!(begun.operation, "pause_target");
    assert_eq!((begun.outcome, begun.finished), (AuditOutcome::Begun, None));
    let (_, status) = serving.get("/status", None).await;
    let problems = status.get("problems").unwrap().to_string();
    assert!(
        problems.contains("cannot record how pause_target of local has ended"),
        "{problems}"
    );

    // The next process says that it is not known.
    alter(&serving, "DROP TRIGGER no_end");
    let folder = serving.stop().await;
    let parts = crate::serving::parts(&folder);
    let serving = Serving::run(folder, parts).await;
    assert_eq!(serving.get("/readyz", None).await.0, 200);
    let entries = audit(&serving);
    let [_, unknown] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!(unknown.outcome, AuditOutcome::Unknown);
    let message = "the process ended before the outcome was recorded; it may have been done or not";
    assert_eq!(unknown.message, message);
    assert!(unknown.finished.is_some());
    serving.stop().await;
}

#[tokio::test]
async fn an_operation_whose_beginning_is_not_recorded_is_done_and_reported() {
    let serving = Serving::start().await;
    alter(
        &serving,
        "CREATE TRIGGER no_record BEFORE INSERT ON audit
         BEGIN SELECT raise(ABORT, 'no record'); END",
    );
    let paused = send(&serving, "POST", "/targets/out/pause?reason=x", "").await;
    assert_eq!(paused.0, 200, "{}", paused.1);
    assert_eq!(audit(&serving), []);
    let (_, status) = serving.get("/status", None).await;
    let problems = status.get("problems").unwrap().to_string();
    let expected = "cannot record that local has done pause_target";
    assert!(problems.contains(expected), "{problems}");
    serving.stop().await;
}

#[tokio::test]
async fn an_operation_that_panics_is_recorded_as_failed() {
    let serving = Serving::with(|parts| {
        parts.config.queues = vec![queue("out", Panicking::default(), quick(1))];
    })
    .await;
    let test = async || send(&serving, "POST", "/targets/out/test", "").await;
    let (status, answer) = test().await;
    assert_eq!(status, 500, "{answer}");
    let error = answer.get("error").and_then(Json::as_str).unwrap();
    assert!(error.starts_with("internal error: "), "{error}");
    assert!(error.contains("a bug"), "{error}");
    let failed = audit(&serving).pop().unwrap();
    assert_eq!(failed.outcome, AuditOutcome::Failed);
    assert_eq!(failed.message, error);
    assert!(failed.finished.is_some());
    // The next one is performed.
    let (status, answer) = test().await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(audit(&serving).len(), 2);
    serving.stop().await;
}

#[tokio::test]
async fn a_start_ends_records_of_ended_processes() {
    let folder = tempfile::tempdir().unwrap();
    let parts = crate::serving::parts(&folder);
    let store = parts.store.clone();
    let hours = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    let begun = move |at, via, operation: &str| NewAuditEntry {
        at,
        by: "alice".into(),
        via,
        operation: operation.into(),
        subject: "all".into(),
        details: "{}".into(),
        command: "reflexarc".into(),
        outcome: AuditOutcome::Begun,
        count: 0,
        message: String::new(),
    };
    tokio::task::spawn_blocking(move || {
        for (age, via, operation) in [
            (25, AuditVia::Command, "redrive_matching"),
            (25, AuditVia::Command, "test_target"),
            (0, AuditVia::Command, "test_target"),
            (0, AuditVia::Console, "redrive"),
            (0, AuditVia::Api, "reload"),
        ] {
            store
                .append_audit(begun(hours(age), via, operation))
                .unwrap();
        }
    })
    .await
    .unwrap();
    let serving = Serving::run(folder, parts).await;
    assert_eq!(serving.get("/readyz", None).await.0, 200);
    let outcomes = audit(&serving).into_iter().map(|entry| entry.outcome);
    let expected = [
        AuditOutcome::Failed,
        AuditOutcome::Unknown,
        AuditOutcome::Begun,
        AuditOutcome::Unknown,
        AuditOutcome::Unknown,
    ];
    assert_eq!(outcomes.collect::<Vec<_>>(), expected);
    serving.stop().await;
}
