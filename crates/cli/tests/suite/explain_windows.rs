//! `explain` and `test --coverage` with rules that have a time window.

use serde_json::{Value, json};

use crate::{Outcome, reflexarc_in};

const STUCK: &str = r#"
when = 'op == "detach" and result == "accepted"'
by = "eni"
not_followed_by = { when = 'op == "detach" and result == "success"', within = "30m" }
notify = ["team"]
resolved = { title = "detached" }
"#;

fn explain(rule: &str, event: &str, args: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stuck.toml"), rule).unwrap();
    let args = [&["explain", "stuck.toml", "-"], args].concat();
    reflexarc_in(folder.path(), &args, event.as_bytes())
}

#[test]
fn explanations_say_what_a_rule_waits_for() {
    let event = r#"{"op": "detach", "result": "success", "eni": "eni-1"}"#;
    let outcome = explain(STUCK, event, &[]);
    assert_eq!(outcome.code, 1, "`when` does not match: {}", outcome.stderr);
    for expected in [
        "stuck does not match\n",
        "\n  waits 30m for `op == \"detach\" and result == \"success\"`, by eni\n  \
         key: \"eni-1\"\n  not_followed_by matches\n",
    ] {
        assert!(
            outcome.stdout.contains(expected),
            "{expected}\n{}",
            outcome.stdout
        );
    }
    let opening = r#"{"op": "detach", "result": "accepted", "eni": ["eni-1"]}"#;
    let outcome = explain(STUCK, opening, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert!(
        outcome
            .stdout
            .contains("\n  key: none, the value at `eni` is an array\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn explanations_of_windows_are_json_too() {
    let event = r#"{"op": "delete", "eni": null}"#;
    let rule = STUCK.split("not_followed_by").next().unwrap();
    let rule = format!(
        "{rule}until = 'op == \"delete\"'\nthen = 'log(1)'\n\
         followed_by = {{ when = 'op == \"attach\"', within = '30m' }}\n"
    );
    let outcome = explain(&rule, event, &["--format", "ndjson"]);
    let explained: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let window = &explained["window"];
    assert!(
        window["waits"]
            .as_str()
            .unwrap()
            .starts_with("waits up to 30m for ")
    );
    assert_eq!(window["key"], Value::Null);
    assert_eq!(window["key_missing"], "the value at `eni` is null");
    let filters = window["filters"].as_array().unwrap();
    let matched: Vec<_> = filters
        .iter()
        .map(|f| (&f["name"], &f["matched"]))
        .collect();
    let expected = [("followed_by", false), ("until", true)];
    let expected = expected.map(|(name, matched)| (json!(name), json!(matched)));
    assert!(
        matched
            .into_iter()
            .eq(expected.iter().map(|(name, matched)| (name, matched)))
    );
    let plain = explain(
        "when = 'a exists'\nthen = 'log(1)'\n",
        "{}",
        &["--format", "ndjson"],
    );
    assert!(!plain.stdout.contains("window"), "{}", plain.stdout);
}

#[test]
fn steps_and_counted_values_are_explained() {
    let sequence = "when = 'a exists'\nby = 'id'\nthen = 'log(1)'\n\
                    [[followed_by]]\nwhen = 'b exists'\nwithin = '1m'\n\
                    [[followed_by]]\nwhen = 'c exists'\nwithin = '2m'\nby = 'other'\n";
    let outcome = explain(sequence, r#"{"c": 1, "id": 7, "other": "x"}"#, &[]);
    for expected in [
        "waits up to 1m for `b exists`, then up to 2m for `c exists` (by other), by id\n  key: 7\n",
        "  followed_by 1 does not match\n",
        "  followed_by 2 matches\n",
        "    its key: \"x\"\n",
    ] {
        assert!(
            outcome.stdout.contains(expected),
            "{expected}\n{}",
            outcome.stdout
        );
    }
    let count = "when = 'a exists'\ncount = { at_least = 3, within = '10m', distinct = 'id' }\n\
                 then = 'log(1)'\n";
    let outcome = explain(count, r#"{"a": 1, "id": "x"}"#, &[]);
    let expected = "  waits for 3 different values of id within 10m\n  counted value: \"x\"\n";
    assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    let long = format!(r#"{{"a": 1, "id": "{}"}}"#, "x".repeat(20_000));
    let outcome = explain(count, &long, &[]);
    let expected = "  counted value: none, the key has more than 1024 bytes\n";
    assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
}

/// Runs the tests of a rule.
fn coverage(tests: &str, format: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stuck.toml"), format!("{STUCK}{tests}")).unwrap();
    let args = ["test", "stuck.toml", "--coverage", "--format", format];
    reflexarc_in(folder.path(), &args, b"")
}

const FIRES: &str = r#"
[[test]]
name = "a detach without an end fires"
[[test.step]]
at = "0s"
event = '{"op": "detach", "result": "accepted", "eni": "eni-1"}'
[[test.step]]
at = "1h"
actions = [{ target = "team" }]
"#;
const REST: &str = r#"
[[test]]
name = "what ends later is resolved"
[[test.step]]
at = "0s"
event = '{"op": "detach", "result": "accepted", "eni": "eni-1"}'
[[test.step]]
at = "1h"
actions = [{}]
[[test.step]]
at = "2h"
event = '{"op": "detach", "result": "success", "eni": "eni-1"}'
actions = [{ target = "team", title = "detached" }]
[[test]]
name = "what ends in time does not fire"
[[test.step]]
at = "0s"
event = '{"op": "detach", "result": "accepted", "eni": "eni-1"}'
[[test.step]]
at = "30s"
event = '{"op": "attach", "result": "accepted", "eni": "eni-1"}'
[[test.step]]
at = "1m"
event = '{"op": "detach", "result": "success", "eni": "eni-1"}'
[[test.step]]
at = "1h"
actions = []
"#;

#[test]
fn coverage_lists_what_no_match_did() {
    let outcome = coverage(FIRES, "human");
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    for part in ["not fired", "resolved"] {
        let line = format!("  ! no test of a match that is {part}\n");
        assert!(outcome.stdout.contains(&line), "{line}{}", outcome.stdout);
    }
    assert!(
        !outcome.stdout.contains("that is fired"),
        "{}",
        outcome.stdout
    );
    let full = coverage(&format!("{FIRES}{REST}"), "human");
    assert_eq!(full.code, 0, "{}", full.stdout);
}

#[test]
fn coverage_of_windows_is_in_json_and_junit() {
    let outcome = coverage(FIRES, "ndjson");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        report["coverage"]["window"],
        json!({ "fired": true, "not_fired": false, "resolved": false })
    );
    let junit = coverage(FIRES, "junit").stdout;
    for expected in [
        r#"<property name="uncovered" value="no test of a match that is resolved"/>"#,
        r#"<property name="coverage" value=""#,
    ] {
        assert!(junit.contains(expected), "{expected}\n{junit}");
    }
}
