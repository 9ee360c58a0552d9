//! Lists of deliveries over HTTP.

use std::io::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::hostile::connect;
use crate::samples::{evaluation, event_text, incoming};
use crate::serving::{Parts, Serving, parts};

#[tokio::test]
async fn large_dead_letters_are_listed_in_pages() {
    let (folder, parts) = with_large_dead_letters().await;
    let serving = Serving::run(folder, parts).await;
    let mut path = "/dlq?limit=50".to_owned();
    let (mut events, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let url = format!("{}{path}", serving.url);
        let response = serving.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let link = response.headers().get("link").cloned();
        let text = response.text().await.unwrap();
        sizes.push(text.len());
        let page = Json::parse(&text).unwrap();
        let names = page
            .elements()
            .iter()
            .map(|one| one.get("event").unwrap().to_string());
        events.extend(names);
        let Some(link) = link else { break };
        let link = link.to_str().unwrap();
        path = link
            .strip_prefix('<')
            .unwrap()
            .split_once(">; rel=\"next\"")
            .unwrap()
            .0
            .to_owned();
    }
    assert!(sizes.iter().all(|size| *size < 1_200_000), "{sizes:?}");
    assert_eq!(sizes.len(), 3);
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 80);
    for (query, status) in [
        ("limit=0", 400),
        ("limit=x", 400),
        ("after=1-2", 400),
        ("x=y", 200),
    ] {
        assert_eq!(
            serving.get(&format!("/outbox?{query}"), None).await.0,
            status,
            "{query}"
        );
    }
    serving.stop().await;
}

#[tokio::test]
async fn lists_that_are_not_read_are_bounded() {
    let (folder, parts) = with_large_dead_letters().await;
    let serving = Serving::run(folder, parts).await;
    let url = serving.url.clone();
    let unread = tokio::task::spawn_blocking(move || {
        // The kernel takes some megabytes of each connection.
        let request = b"GET /dlq HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(30);
        let open = |_| {
            let mut stream = connect(&url);
            stream.write_all(&request).unwrap();
            stream
        };
        (0..20).map(open).collect::<Vec<_>>()
    });
    let unread = unread.await.unwrap();
    // Each either waits to be read or was refused at once.
    assert_becomes(&serving, 429).await;
    assert_eq!(serving.get("/status", None).await.0, 200);
    let (status, _) = serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    assert_eq!(status, 200);
    drop(unread);
    assert_becomes(&serving, 200).await;
    serving.stop().await;
}

/// Senders decide how many events have an id.
#[tokio::test]
async fn traces_of_one_id_are_answered_in_pages() {
    let serving = Serving::start().await;
    let lines: Vec<_> = (0..40)
        .map(|number| event_text("same", &format!("eni-{number}")))
        .collect();
    let body = lines.join("\n");
    assert_eq!(serving.post("application/x-ndjson", body).await.0, 200);
    let (mut path, mut pages) = ("/trace/same?explain=failed".to_owned(), Vec::new());
    loop {
        let url = format!("{}{path}", serving.url);
        let response = serving.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let link = response.headers().get("link").cloned();
        let page = Json::parse(response.text().await.unwrap()).unwrap();
        pages.push(page.elements().len());
        let Some(link) = link else { break };
        let link = link.to_str().unwrap();
        assert!(link.contains("explain=failed"), "{link}");
        let end = link.find(">; rel=\"next\"").unwrap();
        path = link[1..end].to_owned();
    }
    assert_eq!(pages, [32, 8]);
    for (path, status) in [("/trace/same?after=x", 400), ("/trace/other", 404)] {
        assert_eq!(serving.get(path, None).await.0, status, "{path}");
    }
    serving.stop().await;
}

/// Asserts that `/dlq` is answered with this status after a while.
async fn assert_becomes(serving: &Serving, expected: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while serving.get("/dlq?limit=1", None).await.0 != expected {
        assert!(Instant::now() < deadline, "still not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Parts whose store has 80 dead letters of 30 KB.
async fn with_large_dead_letters() -> (tempfile::TempDir, Parts) {
    let folder = tempfile::tempdir().unwrap();
    // Accepting waits for the writer, which async code must not.
    let accept = tokio::task::spawn_blocking(move || {
        let parts = parts(&folder);
        for number in 0..80 {
            let action = Action::send("gone", "x".repeat(30_000));
            let event = incoming(&number.to_string());
            let evaluation = evaluation("r", vec![action], vec![]);
            let accepted = parts.store.accept(event, evaluation, Timestamp::now());
            assert_eq!(accepted.unwrap().deliveries.len(), 1);
        }
        let moved = parts
            .store
            .dead_letter_target("gone", "gone".into(), Timestamp::now());
        assert_eq!(moved.unwrap(), 80);
        (folder, parts)
    });
    accept.await.unwrap()
}
