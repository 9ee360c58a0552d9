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
