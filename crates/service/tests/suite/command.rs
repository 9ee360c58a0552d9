use std::time::{Duration, Instant};

use reflexarc_delivery::{CommandTarget, FileTarget};
use reflexarc_event::Json;
use reflexarc_service::store::DeliveryStatus;

use crate::delivering::{Delivering, queue, quick};
use crate::samples::send;

fn script(text: &str) -> CommandTarget {
    let argv = ["/bin/sh", "-c", text, "name", "$(touch /tmp/never); `id`"]
        .map(str::to_owned)
        .to_vec();
    CommandTarget {
        argv,
        folder: None,
        environment: vec![("GREETING".into(), "hello".into())],
    }
}

/// Where the delivery stands after this script, and the one attempt's outcome and answer.
async fn ran(text: &str, timeout: Duration) -> (DeliveryStatus, String, String) {
    let mut delivering = Delivering::new();
    let mut queue = queue("t", script(text), quick(0));
    queue.timeout = timeout;
    delivering.serve(queue);
    let id = delivering.accept("1", vec![send("t", 7)]).await[0];
    let (entry, attempts) = crate::receiver::eventually(|| {
        delivering
            .store
            .delivery(id)
            .unwrap()
            .filter(|(entry, _)| entry.status != DeliveryStatus::Pending)
    })
    .await;
    delivering.stop().await;
    (
        entry.status,
        attempts[0].outcome.clone(),
        attempts[0].answer.clone(),
    )
}

const PATIENT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_command_gets_the_delivery_on_its_input_and_its_arguments_as_they_are() {
    let (status, _, answer) = ran(
        r#"cat; echo "$1" "$GREETING" "${CARGO_MANIFEST_DIR:-unset}""#,
        PATIENT,
    )
    .await;
    assert_eq!(status, DeliveryStatus::Delivered);
    let rest = answer.strip_prefix("exit status: 0: ").unwrap();
    let (payload, words) = rest.split_once('\n').unwrap();
    let delivery = Json::parse(payload).unwrap();
    assert_eq!(delivery.get("send").unwrap().to_string(), "7");
    assert_eq!(
        delivery.get("event").unwrap().to_string(),
        r#"{"source":"acs.ecs","id":"1"}"#
    );
    assert_eq!(words, "$(touch /tmp/never); `id` hello unset\n");
}

#[tokio::test]
async fn the_exit_code_says_what_becomes_of_the_delivery() {
    for (text, outcome) in [
        ("exit 1", "failed"),
        ("exit 65", "refused"),
        ("exit 78", "misconfigured"),
        ("kill -9 $$", "failed"),
    ] {
        let (status, word, answer) = ran(&format!("echo why >&2; {text}"), PATIENT).await;
        assert_eq!(
            (status, word.as_str()),
            (DeliveryStatus::Dead, outcome),
            "{answer}"
        );
        assert!(answer.ends_with(": why\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("alive");
    let begun = Instant::now();
    let text = format!("(sleep 3; touch {}) & sleep 600", mark.display());
    let (_, _, answer) = ran(&text, Duration::from_millis(500)).await;
    assert_eq!(answer, "no response within 500ms");
    tokio::time::sleep(Duration::from_secs(4).saturating_sub(begun.elapsed())).await;
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_child_that_outlives_its_command_does_not_hold_it_up() {
    let (status, _, answer) = ran("sleep 600 & echo done", PATIENT).await;
    assert_eq!(
        (status, answer.as_str()),
        (DeliveryStatus::Delivered, "exit status: 0: done\n")
    );
}

#[tokio::test]
async fn much_output_is_read_and_not_kept() {
    let (status, _, answer) = ran("head -c 10000000 /dev/zero | tr '\\0' x", PATIENT).await;
    assert_eq!(status, DeliveryStatus::Delivered);
    assert!(answer.len() < 5_000, "{} bytes", answer.len());
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_for_somebody_to_mend() {
    let mut delivering = Delivering::new();
    let command = CommandTarget {
        argv: vec!["/nonexistent/program".into()],
        folder: None,
        environment: vec![],
    };
    delivering.serve(queue("t", command, quick(9)));
    let id = delivering.accept("1", vec![send("t", 7)]).await[0];
    let (_, attempts) = delivering.until(id, DeliveryStatus::Dead).await;
    assert_eq!(
        (attempts.len(), attempts[0].outcome.as_str()),
        (1, "misconfigured")
    );
    delivering.stop().await;
}

#[tokio::test]
async fn lines_are_whole_also_after_one_that_a_crash_left_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    std::fs::write(&path, r#"{"half"#).unwrap();
    let mut delivering = Delivering::new();
    delivering.serve(queue("t", FileTarget::file(path.clone()), quick(0)));
    let ids = delivering
        .accept("1", vec![send("t", 1), send("t", 2)])
        .await;
    for id in ids {
        delivering.until(id, DeliveryStatus::Delivered).await;
    }
    delivering.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, r#"{"half"#));
    let mut sent: Vec<_> = lines[1..]
        .iter()
        .map(|line| Json::parse(line).unwrap().get("send").unwrap().to_string())
        .collect();
    sent.sort();
    assert_eq!(sent, ["1", "2"]);
}
