//! A store that fails under the service: it is reported, nothing is accepted, and it recovers.

use std::sync::Arc;

use reflexarc_event::Json;
use reflexarc_service::{SqliteStore, StoreOptions};

use crate::receiver::eventually;
use crate::samples::{OPTIONS, event_text};
use crate::serving::Serving;

/// Waits until `/readyz` answers `status`, and returns its body as text.
async fn wait_for_readiness(serving: &Serving, status: u16) -> String {
    for _ in 0..150 {
        let (found, body) = serving.get("/readyz", None).await;
        if found == status {
            return body.to_string();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("/readyz has not answered {status}");
}

async fn store_status(serving: &Serving) -> Json {
    let (_, status) = serving.get("/status", None).await;
    status.get("store").unwrap().clone()
}

#[tokio::test]
async fn a_store_that_is_deleted_stops_the_intake() {
    let serving = Serving::start().await;
    let post = |id: &str| serving.post("application/json", event_text(id, "eni-1"));
    assert_eq!(post("1").await.0, 200);
    wait_for_readiness(&serving, 200).await;
    std::fs::rename(serving.path("store.db"), serving.path("aside")).unwrap();

    // At once, not only after the next probe.
    let (status, answer) = post("2").await;
    assert_eq!(status, 503, "{answer}");
    let reason = wait_for_readiness(&serving, 503).await;
    assert!(
        reason.contains("store.db was deleted or replaced"),
        "{reason}"
    );
    let status = store_status(&serving).await;
    assert_eq!(status.get("ready"), Some(&Json::Bool(false)), "{status}");
    let error = status.get("error").unwrap().to_string();
    assert!(
        error.contains("store.db was deleted or replaced"),
        "{error}"
    );

    std::fs::rename(serving.path("aside"), serving.path("store.db")).unwrap();
    wait_for_readiness(&serving, 200).await;
    assert_eq!(post("2").await.0, 200);
    let delivered = || Some(serving.lines()).filter(|lines| lines.len() == 2);
    eventually(delivered).await;
    serving.stop().await;
}

#[tokio::test]
async fn a_full_store_is_not_ready() {
    let serving = Serving::with(|parts| {
        let path = parts.config.rule_paths[0].with_file_name("small.db");
        let options = StoreOptions {
            max_bytes: Some(400_000),
            ..OPTIONS
        };
        parts.store = Arc::new(SqliteStore::open(&path, &options).unwrap());
    })
    .await;
    wait_for_readiness(&serving, 200).await;
    for batch in 0.. {
        let ids = (0..20).map(|place| event_text(&format!("{batch}-{place}"), "eni-1"));
        let body = ids.collect::<Vec<_>>().join("\n");
        if serving.post("application/x-ndjson", body).await.0 == 503 {
            break;
        }
        assert!(batch < 500, "the store does not become full");
    }
    let reason = wait_for_readiness(&serving, 503).await;
    assert!(reason.contains("max_bytes, is full"), "{reason}");
    serving.stop().await;
}
