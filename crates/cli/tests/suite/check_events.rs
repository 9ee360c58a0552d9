//! `check --events`: findings in events, with file and line.

use std::path::Path;

use serde_json::Value;

use crate::{Outcome, reflexarc, reflexarc_in};

/// An event without findings.
const CLEAN: &str = r#"{"a": 1}"#;
/// An ENI event with an unknown operation, a warning.
const UNKNOWN_OPERATION: &str = r#"{
  "id": "e1", "product": "ECS", "level": "INFO", "regionId": "cn-hangzhou", "userId": "1",
  "resourceId": "acs:ecs:cn-hangzhou:1:eni/eni-1", "eventTime": "20190409T121826.922+0800",
  "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
  "content": {
    "eniId": "eni-1", "operation": "AttachNetworkInterfaces", "eniStatus": "InUse",
    "result": "success", "requestId": "r"
  }
}"#;

fn one_line(event: &str) -> String {
    event.replace('\n', " ")
}

fn check(stdin: &str, args: &[&str]) -> Outcome {
    let args = [&["check", "--events", "-"], args].concat();
    reflexarc_in(Path::new("/"), &args, stdin.as_bytes())
}

#[test]
fn findings_are_drawn_at_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{CLEAN}\n{}\n", one_line(UNKNOWN_OPERATION));
    std::fs::write(folder.path().join("events.ndjson"), text).unwrap();
    std::fs::write(folder.path().join("event.json"), UNKNOWN_OPERATION).unwrap();
    let outcome = reflexarc_in(
        folder.path(),
        &["check", "--events", "events.ndjson", "event.json"],
        b"",
    );
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (0, "3 events: 0 errors, 2 warnings\n"),
        "{}",
        outcome.stderr
    );
    for part in [
        "warning[RA0011]: ",
        "--> events.ndjson:2:299",
        "2 | ",
        "--> event.json:6:36",
        "6 |     \"eniId\": \"eni-1\", \"operation\": \"AttachNetworkInterfaces\"",
        "6 +     \"eniId\": \"eni-1\", \"operation\": \"AttachNetworkInterface\"",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

#[test]
fn warnings_fail_only_if_denied() {
    assert_eq!(check(UNKNOWN_OPERATION, &[]).code, 0);
    assert_eq!(check(UNKNOWN_OPERATION, &["--deny-warnings"]).code, 3);
    assert_eq!(check(CLEAN, &["--deny-warnings"]).code, 0);
}

#[test]
fn hints_are_shown_but_never_fail() {
    let masked = UNKNOWN_OPERATION
        .replace("AttachNetworkInterfaces", "AttachNetworkInterface")
        .replace("\"eni-1\"", "\"eni-****\"");
    let outcome = check(&masked, &["--deny-warnings"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint[RA"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "1 event: 0 errors, 0 warnings\n");
}

#[test]
fn event_findings_come_in_all_formats() {
    let text = format!("{CLEAN}\n{}\n", one_line(UNKNOWN_OPERATION));
    let json: Value = serde_json::from_str(&check(&text, &["--format", "json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(
        (&json[0]["file"], &json[0]["line"], &json[0]["severity"]),
        (&"-".into(), &2.into(), &"warning".into())
    );
    let ndjson = check(&text, &["--format", "ndjson"]).stdout;
    let lines: Vec<&str> = ndjson.lines().collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(lines[0]).unwrap(), json[0]);
    let sarif: Value = serde_json::from_str(&check(&text, &["--format", "sarif"]).stdout).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], json[0]["code"]);
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 2);
    let github = check(&text, &["--format", "github"]).stdout;
    assert!(
        github.starts_with("::warning file=-,line=2,endLine=2,"),
        "{github}"
    );
}

#[test]
fn unreadable_events_are_reported_and_the_rest_checked() {
    let text = format!(
        "{{\"a\": }}\n{}\n[1]\n{{\"a\": \"{}\"}}\n{CLEAN}\n",
        one_line(UNKNOWN_OPERATION),
        "x".repeat(2 << 20)
    );
    let outcome = check(&text, &[]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (4, "5 events, 3 unreadable: 0 errors, 1 warning\n")
    );
    for part in [
        "error: -:1:7: ",
        "error: -:3:1: ",
        "error: -:4: ",
        "--> -:2:",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert_eq!(check(&text, &["--format", "json"]).code, 4);
}

#[test]
fn findings_per_event_are_limited() {
    let members: Vec<String> = (0..5_000).map(|_| "\"a\": 1".to_owned()).collect();
    let event = format!("{{{}}}", members.join(", "));
    let outcome = check(&event, &["--format", "ndjson"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(
        outcome.stdout.lines().count(),
        reflexarc_event::Limits::DEFAULT.findings + 1
    );
}

#[test]
fn a_file_without_events_has_no_findings() {
    for text in ["", "\n\n", "[]"] {
        let outcome = check(text, &[]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (0, "0 events: 0 errors, 0 warnings\n")
        );
        assert_eq!(check(text, &["--format", "json"]).stdout, "[]\n");
    }
}

#[test]
fn events_and_rules_exclude_each_other() {
    let both = reflexarc(&["check", "rules", "--events", "examples/eni-events.ndjson"]);
    assert_eq!(both.code, 2);
    let dialect = reflexarc(&["check", "--dialect", "aws", "--events", "-"]);
    assert_eq!(dialect.code, 2);
    let missing = reflexarc(&["check", "--events", "no-such-file.ndjson"]);
    assert_eq!(missing.code, 4);
    assert!(missing.stderr.contains("no-such-file.ndjson"));
    let examples = reflexarc(&["check", "--events", "examples/eni-events.ndjson"]);
    assert_eq!(examples.code, 0, "{}", examples.stderr);
}
