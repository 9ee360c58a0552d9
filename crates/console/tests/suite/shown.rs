//! What the pages show.

use jiff::{SignedDuration, Timestamp};
use reflexarc_service::store::{AuditOutcome, AuditVia, NewAuditEntry};

use crate::serving::{OPS, READER, Serving};

#[tokio::test]
async fn now_shows_what_needs_attention() {
    let serving = Serving::losing().await;
    let mut reader = serving.logged_in(READER).await;
    let page = reader.get("/").await;
    assert!(page.body.contains("No open problems."), "{}", page.body);
    assert!(
        page.body
            .contains("Command line: <code>reflexarc status</code>")
    );
    assert!(page.body.contains("aria-current=\"page\">Now"));
    serving.event("e1", "lost").await;
    while serving.store.dead_letter_counts().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let page = reader.get("/").await;
    assert!(page.body.contains("Unknown target") || page.body.contains("Dead letters"));
    assert!(
        page.body
            .contains("1 dead letters to <a href=\"/dead-letters?target=network-team\"")
    );
    // The event, with the rules that matched.
    assert!(page.body.contains("all, lost"), "{}", page.body);
    assert!(
        page.body.contains("<a href=\"/events/1\">1</a>"),
        "{}",
        page.body
    );
    serving.stop().await;
}

#[tokio::test]
async fn pages_are_readable_without_seeing_them() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    serving.event("e1", "lost").await;
    for path in [
        "/",
        "/targets",
        "/targets/out",
        "/audit",
        "/jobs",
        "/confirm?operation=reload",
    ] {
        let page = ops.get(path).await;
        let body = &page.body;
        let count = |text: &str| body.matches(text).count();
        assert_eq!(
            (count("<main"), count("<h1"), count("<html lang=\"en\"")),
            (1, 1, 1),
            "{path}"
        );
        assert_eq!(count("class=\"skip\" href=\"#main\""), 1, "{path}");
        assert_eq!(count("<table"), count("<caption"), "{path}");
        assert_eq!(count("<th "), count("scope="), "{path}");
        for input in body.split("<input ").skip(1) {
            let input = input.split('>').next().unwrap();
            let id = input
                .split("id=\"")
                .nth(1)
                .and_then(|id| id.split('"').next());
            let is_labelled = id.is_some_and(|id| body.contains(&format!("for=\"{id}\"")));
            let is_hidden = input.contains("type=\"hidden\"");
            assert!(
                is_labelled || is_hidden || input.contains("checkbox"),
                "{path}: {input}"
            );
        }
    }
    serving.stop().await;
}

#[tokio::test]
async fn the_audit_has_pages_and_filters() {
    let serving = Serving::start().await;
    // Not older than retention allows.
    let start = Timestamp::now() - SignedDuration::from_hours(1);
    let entry = move |number: i64| NewAuditEntry {
        at: start + SignedDuration::from_secs(number),
        by: if number % 2 == 0 { "alice" } else { "bob" }.to_owned(),
        via: AuditVia::Api,
        operation: "redrive".to_owned(),
        subject: format!("delivery d{number}"),
        details: "{}".to_owned(),
        command: format!("reflexarc dlq redrive d{number}"),
        outcome: AuditOutcome::Done,
        count: 1,
        message: String::new(),
    };
    let store = serving.store.clone();
    let filled = tokio::task::spawn_blocking(move || {
        for number in 0..250 {
            store.append_audit(entry(number)).unwrap();
        }
    });
    filled.await.unwrap();
    let mut reader = serving.logged_in(READER).await;
    let page = reader.get("/audit?by=alice").await;
    assert!(page.body.contains("delivery d248") && !page.body.contains("delivery d249"));
    assert!(page.body.contains("reflexarc audit --by alice"));
    let second = reader.get(&page.link("/audit?by=alice&before=")).await;
    assert!(second.body.contains("delivery d48<") && !second.body.contains("delivery d50<"));
    assert!(second.body.contains("rel=\"first\"") && !second.body.contains("rel=\"next\""));
    let none = reader.get("/audit?operation=reload").await;
    assert!(none.body.contains("No operation matches the filter."));
    let until = start + SignedDuration::from_secs(1);
    let early = reader.get(&format!("/audit?until={until}")).await;
    assert!(early.body.contains("delivery d0<") && !early.body.contains("delivery d1<"));
    assert_eq!(reader.get("/audit?from=yesterday").await.status, 400);
    serving.stop().await;
}

#[tokio::test]
async fn a_target_shows_its_state_and_what_waits() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let csrf = ops.csrf().await;
    let fields = [
        ("csrf", csrf.as_str()),
        ("operation", "pause_target"),
        ("target", "out"),
    ];
    assert_eq!(ops.post("/perform", &fields).await.status, 303);
    serving.event("e1", "found").await;
    let page = ops.get("/targets/out").await;
    assert!(page.body.contains(">paused</span>"), "{}", page.body);
    assert!(
        page.body
            .contains("<dt>Waiting</dt><dd><a href=\"/outbox?target=out\">1</a>, the oldest since"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("<a href=\"/events/1\">e1</a>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("<a href=\"/rules/all\">all</a>"));
    let list = ops.get("/targets").await;
    assert!(list.body.contains("<a href=\"/targets/out\">out</a>"));
    assert_eq!(ops.get("/targets/none").await.status, 404);
    serving.stop().await;
}
