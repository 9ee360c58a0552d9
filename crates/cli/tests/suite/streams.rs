//! Streams of events in every format, valid and broken.

use std::io::Write as _;

use crate::{Outcome, reflexarc_in};

const RULE: &str = "when = 'n exists'\nthen = 'send(\"t\", event.n)'\n";

/// Runs a rule that sends every `n` over `input` on stdin.
fn run(input: &[u8], args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("every.toml"), RULE).unwrap();
    let args = [&["run", "every.toml", "-", "--format", "ndjson"], args].concat();
    reflexarc_in(folder.path(), &args, input)
}

/// Line and payload of every action.
fn sent(outcome: &Outcome) -> Vec<(i64, i64)> {
    let reports = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    reports
        .map(|report| {
            (
                report["line"].as_i64().unwrap(),
                report["rules"][0]["actions"][0]["payload"]
                    .as_i64()
                    .unwrap(),
            )
        })
        .collect()
}

#[test]
fn ndjson_arrays_and_documents_are_equivalent() {
    for (input, lines) in [
        ("{\"n\": 1}\n{\"n\": 2}\n", [1, 2]),
        ("[{\"n\": 1},\n {\"n\": 2}]", [1, 2]),
        ("{\n\"n\": 1\n}\n{\n\"n\": 2\n}\n", [1, 4]),
    ] {
        let outcome = run(input.as_bytes(), &[]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(sent(&outcome), [(lines[0], 1), (lines[1], 2)], "{input}");
        assert!(
            outcome
                .stderr
                .contains("2 of 2 events matched; 2 actions from 1 rule"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn compressed_streams_are_decompressed() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"n\": 1}\n{\"n\": 2}\n").unwrap();
    assert_eq!(sent(&run(&gzip.finish().unwrap(), &[])), [(1, 1), (2, 2)]);
    let zstd = zstd::encode_all(&b"[{\"n\": 7}]"[..], 0).unwrap();
    assert_eq!(sent(&run(&zstd, &[])), [(1, 7)]);
    let damaged = run(&zstd[..zstd.len() - 2], &[]);
    assert_eq!(damaged.code, 4, "{}", damaged.stderr);
    assert!(
        damaged.stderr.contains("cannot read further"),
        "{}",
        damaged.stderr
    );
}

#[test]
fn a_broken_line_does_not_stop_the_stream() {
    let input = b"{\"n\": 1}\n{\"n\": }\n[1]\n\xff\n{\"n\": 2}\n";
    for jobs in ["1", "2"] {
        let outcome = run(input, &["--jobs", jobs]);
        assert_eq!(outcome.code, 4);
        assert_eq!(sent(&outcome), [(1, 1), (5, 2)]);
        let errors: Vec<_> = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 3, "{}", outcome.stderr);
        assert!(errors[0].starts_with("error: -:2:7: "), "{}", errors[0]);
        assert!(errors[1].starts_with("error: -:3:1: "), "{}", errors[1]);
        assert!(errors[2].starts_with("error: -:4:1: "), "{}", errors[2]);
        assert!(
            outcome.stderr.contains("5 events matched, 3 unreadable"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn fail_fast_stops_at_the_first_broken_line() {
    let outcome = run(b"{\"n\": 1}\nx\n{\"n\": 2}\n", &["--fail-fast"]);
    assert_eq!((outcome.code, sent(&outcome)), (4, vec![(1, 1)]));
}

#[test]
fn order_is_kept_over_many_batches() {
    let input = (0..5000)
        .map(|n| format!("{{\"n\": {n}}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let outcome = run(input.as_bytes(), &["--jobs", "2"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(
        sent(&outcome),
        (0..5000).map(|n| (n + 1, n)).collect::<Vec<_>>()
    );
}

#[test]
fn empty_streams_have_no_events() {
    for input in [&b""[..], b"\n \n", b"[]"] {
        let outcome = run(input, &[]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (0, ""),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("0 of 0 events matched"),
            "{}",
            outcome.stderr
        );
    }
}

/// Documents that contain `{"n": 1}` and `{"n": 2}`.
const DOCUMENTS: [&str; 5] = [
    r#"{"Records":[{"n":1},{"n":2}]}"#,
    "{\n  \"RequestId\": \"R\",\n  \"Events\": [{\"n\": 1},\n    {\"n\": 2}]\n}\n",
    r#"{"SystemEvents":{"SystemEvent":[{"n":1},{"n":2}]}}"#,
    r#"{"TopicName":"t","Message":"[{\"n\":1},{\"n\":2}]"}"#,
    r#"{"MessageId":"1","MessageBody":"W3sibiI6MX0seyJuIjoyfV0="}"#,
];

#[test]
fn events_are_taken_out_of_documents() {
    for document in DOCUMENTS {
        let outcome = run(document.as_bytes(), &[]);
        assert_eq!(
            sent(&outcome),
            [(1, 1), (1, 2)],
            "{document}: {}",
            outcome.stderr
        );
        let folder = tempfile::tempdir().unwrap();
        let matched = |args: &[&str]| {
            let args = [&["match", "--count", "n exists"], args].concat();
            reflexarc_in(folder.path(), &args, document.as_bytes()).stdout
        };
        assert_eq!(matched(&[]), "2\n", "{document}");
        assert_eq!(matched(&["--as-is"]), "0\n", "{document}");
        let explain = &["explain", "n == 1", "-"];
        let explained = reflexarc_in(folder.path(), explain, document.as_bytes());
        assert_eq!(explained.code, 0, "{document}: {}", explained.stdout);
    }
}

#[test]
fn lists_may_be_longer_than_an_event() {
    let padding = "x".repeat(2000);
    let records: Vec<String> = (1..=1000)
        .map(|n| format!(r#"{{"n":{n},"padding":"{padding}"}}"#))
        .collect();
    let list = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    assert_eq!(sent(&run(list.as_bytes(), &[])).len(), 1000);
    let event = format!(r#"{{"n":1,"padding":"{}"}}"#, padding.repeat(600));
    let outcome = run(event.as_bytes(), &[]);
    assert_eq!(outcome.code, 4);
    assert!(
        outcome.stderr.contains("more than the 1048576 allowed"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn forms_of_cloud_monitor_are_read_from_files() {
    let form = "alert=%7B%22eventName%22%3A%22Disk%3AStalled%22%7D&n=7&time=1715650212345\n";
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "match",
        "--count",
        "name == \"Disk:Stalled\" and n == \"7\"",
    ];
    let outcome = reflexarc_in(folder.path(), &args, form.as_bytes());
    assert_eq!(outcome.stdout, "1\n", "{}", outcome.stderr);
}
