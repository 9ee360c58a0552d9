//! A store that fails under the service: it is reported, nothing is accepted, and it recovers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_event::Json;
use reflexarc_service::{SqliteStore, Store, StoreOptions};

use crate::receiver::eventually;
use crate::samples::{OPTIONS, event_text, incoming};
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

/// Copies of it are accepted from then on, so that somebody should know.
#[tokio::test]
async fn a_removed_event_without_its_fingerprint_is_a_problem() {
    let serving = Serving::with(|parts| {
        let path = parts.config.rule_paths[0].with_file_name("damaged.db");
        let fill = || {
            let store = SqliteStore::open(&path, &OPTIONS).unwrap();
            let accepted = store.accept(incoming("1"), Evaluation::default(), Timestamp::now());
            assert!(!accepted.unwrap().duplicate);
        };
        std::thread::scope(|scope| scope.spawn(fill).join().unwrap());
        let direct = rusqlite::Connection::open(&path).unwrap();
        direct
            .execute_batch("UPDATE archive SET fingerprint = 'text'")
            .unwrap();
        parts.config.retention.age = SignedDuration::ZERO;
        parts.store = Arc::new(SqliteStore::open(&path, &OPTIONS).unwrap());
    })
    .await;
    let mut problems = String::new();
    for _ in 0..150 {
        let (_, status) = serving.get("/status", None).await;
        problems = status.get("problems").unwrap().to_string();
        if problems.contains("event 1 of the archive is damaged: it was removed") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(problems.contains("store_parts_damaged"), "{problems}");
    assert!(problems.contains(r#""subject":"retention""#), "{problems}");
    assert!(problems.contains("it was removed"), "{problems}");
    serving.stop().await;
}

/// Damage is found beside the work, and everything that can be read is.
#[tokio::test]
async fn a_damaged_page_is_a_problem_and_the_rest_is_served() {
    let serving = Serving::with(|parts| {
        let path = parts.config.rule_paths[0].with_file_name("damaged.db");
        let fill = || {
            let store = SqliteStore::open(&path, &OPTIONS).unwrap();
            for id in 1..=100 {
                let incoming = incoming(&id.to_string());
                let accepted = store.accept(incoming, Evaluation::default(), Timestamp::now());
                assert!(!accepted.unwrap().duplicate);
            }
        };
        // Accepting waits for the writer, which async code must not.
        std::thread::scope(|scope| scope.spawn(fill).join().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        // The leaf with the first events: 0x0d marks one, and zstd frames begin with the magic.
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let mut pages = bytes.chunks_mut(4_096);
        let is_leaf =
            |page: &&mut [u8]| page[0] == 0x0d && page.windows(4).any(|bytes| bytes == magic);
        pages.find(is_leaf).unwrap().fill(0);
        std::fs::write(&path, bytes).unwrap();
        parts.store = Arc::new(SqliteStore::open(&path, &OPTIONS).unwrap());
    })
    .await;
    let mut problem = None;
    for _ in 0..150 {
        let (_, status) = serving.get("/status", None).await;
        let problems = status.get("problems").unwrap().elements();
        let mut problems = problems.iter().map(Json::to_string);
        problem = problems.find(|problem| problem.contains("store_parts_damaged"));
        if problem.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let problem = problem.expect("the damage is found");
    assert!(problem.contains(r#""subject":"archive""#), "{problem}");
    for _ in 0..150 {
        let check = store_status(&serving).await.get("check").unwrap().clone();
        if check.get("done") == Some(&Json::Bool(true)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let check = store_status(&serving)
        .await
        .get("check")
        .unwrap()
        .to_string();
    assert!(check.contains(r#""done":true"#), "{check}");
    let post = |id: &str| serving.post("application/json", event_text(id, "eni-1"));
    assert_eq!(post("after").await.0, 200);
    for id in ["100", "after"] {
        let (status, trace) = serving.get(&format!("/trace/{id}"), None).await;
        assert_eq!((status, trace.elements().len()), (200, 1), "{trace}");
    }
    let (status, trace) = serving.get("/trace/1", None).await;
    let unreadable = trace.elements()[0].get("status").unwrap().to_string();
    assert_eq!((status, &*unreadable), (200, r#""unreadable""#), "{trace}");
    serving.stop().await;
}

/// The log is cut again by itself when the reader ends.
#[tokio::test]
async fn a_reader_that_does_not_end_is_a_problem() {
    let serving = Serving::start().await;
    let reader = rusqlite::Connection::open(serving.path("store.db")).unwrap();
    let read = "BEGIN; SELECT count(*) FROM archive;";
    reader.execute_batch(read).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70)
                INSERT INTO state SELECT 'gone', i, hex(randomblob(500000)), 1 FROM n;";
    let writer = rusqlite::Connection::open(serving.path("store.db")).unwrap();
    writer.execute_batch(fill).unwrap();
    let problem = serving.problem("store_log_large", "").await;
    let detail = problem.get("detail").unwrap().to_string();
    assert!(detail.contains(" MiB"), "{detail}");
    reader.execute_batch("COMMIT").unwrap();
    let log = serving.path("store.db-wal");
    let begun = std::time::Instant::now();
    while log.metadata().unwrap().len() > 32 << 20 {
        assert!(begun.elapsed().as_secs() < 60, "the log is not cut");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    serving.stop().await;
}
