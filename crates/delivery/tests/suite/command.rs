use std::time::{Duration, Instant};

use reflexarc_delivery::CommandTarget;
use reflexarc_event::Json;

use crate::queue::{Settled, deliver, deliver_within, quick};
use crate::samples::{deliveries, send};

fn script(text: &str) -> CommandTarget {
    let argv = ["/bin/sh", "-c", text, "name", "$(touch /tmp/never); `id`"]
        .map(str::to_owned)
        .to_vec();
    CommandTarget {
        argv,
        folder: None,
        environment: vec![("GREETING".into(), "hello".into())],
        answers: reflexarc_delivery::AnswerPolicy::default(),
    }
}

/// Whether the script's delivery was delivered, and the one attempt's outcome and response.
async fn run(text: &str, timeout: Duration) -> (bool, &'static str, String) {
    let delivery = deliveries("1", &[send(7)]).remove(0);
    let settled = deliver_within(&script(text), &quick(0), delivery, timeout).await;
    let Settled {
        mut attempts,
        dead_letter,
        ..
    } = settled;
    assert_eq!(attempts.len(), 1);
    let attempt = attempts.remove(0);
    (dead_letter.is_none(), attempt.outcome, attempt.response)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn commands_get_the_delivery_on_stdin_and_arguments_unchanged() {
    let (delivered, _, response) = run(
        r#"cat; echo "$1" "$GREETING" "${CARGO_MANIFEST_DIR:-unset}""#,
        LONG,
    )
    .await;
    assert!(delivered);
    let rest = response.strip_prefix("exit status: 0: ").unwrap();
    let (payload, output) = rest.split_once('\n').unwrap();
    let delivery = Json::parse(payload).unwrap();
    assert_eq!(delivery.get("send").unwrap().to_string(), "7");
    assert_eq!(
        delivery.get("event").unwrap().to_string(),
        r#"{"source":"acs.ecs","id":"1"}"#
    );
    assert_eq!(output, "$(touch /tmp/never); `id` hello unset\n");
}

#[tokio::test]
async fn exit_codes_are_classified() {
    for (text, outcome) in [
        ("exit 1", "failed"),
        ("exit 65", "refused"),
        ("exit 78", "misconfigured"),
        ("kill -9 $$", "failed"),
    ] {
        let (delivered, actual, response) = run(&format!("echo why >&2; {text}"), LONG).await;
        assert_eq!((delivered, actual), (false, outcome), "{response}");
        assert!(response.ends_with(": why\n"), "{response}");
    }
}

#[tokio::test]
async fn commands_are_killed_with_their_children_at_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("alive");
    let begun = Instant::now();
    let text = format!("(sleep 3; touch {}) & sleep 600", mark.display());
    let (_, _, response) = run(&text, Duration::from_millis(500)).await;
    assert_eq!(response, "no response within 500ms");
    tokio::time::sleep(Duration::from_secs(4).saturating_sub(begun.elapsed())).await;
    assert!(!mark.exists());
}

#[tokio::test]
async fn background_processes_do_not_delay_the_outcome() {
    let (delivered, _, response) = run("sleep 600 & echo done", LONG).await;
    assert_eq!(
        (delivered, response.as_str()),
        (true, "exit status: 0: done\n")
    );
}

#[tokio::test]
async fn long_output_is_read_but_not_kept() {
    let (delivered, _, response) = run("head -c 10000000 /dev/zero | tr '\\0' x", LONG).await;
    assert!(delivered);
    assert!(response.len() < 5_000, "{} bytes", response.len());
}

#[tokio::test]
async fn missing_programs_are_misconfigurations() {
    let command = CommandTarget {
        argv: vec!["/nonexistent/program".into()],
        folder: None,
        environment: vec![],
        answers: reflexarc_delivery::AnswerPolicy::default(),
    };
    let settled = deliver(&command, &quick(9), send(7)).await;
    assert!(settled.dead_letter.is_some());
    assert_eq!(
        (settled.attempts.len(), settled.attempts[0].outcome),
        (1, "misconfigured")
    );
}
