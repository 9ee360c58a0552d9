//! The rules in `rules/`: valid, formatted, fully covered by tests, and each with an action.

use crate::reflexarc;

#[test]
fn shipped_rules_are_valid_and_formatted() {
    let check = reflexarc(&["check", "rules", "--deny-warnings"]);
    assert_eq!(
        (check.code, check.stdout.as_str()),
        (0, "12 rules: 0 errors, 0 warnings\n"),
        "{}",
        check.stderr
    );
    let fmt = reflexarc(&["fmt", "rules", "--check"]);
    assert_eq!((fmt.code, fmt.stdout.as_str()), (0, ""), "{}", fmt.stderr);
}

#[test]
fn shipped_rules_pass_tests_with_full_coverage() {
    let test = reflexarc(&["test", "rules", "--coverage"]);
    assert_eq!(test.code, 0, "{}\n{}", test.stdout, test.stderr);
    assert!(
        test.stdout.ends_with(" passed, 0 failed\n"),
        "{}",
        test.stdout
    );
}

#[test]
fn each_shipped_rule_returns_an_action_on_the_examples() {
    let run = reflexarc(&[
        "run",
        "rules",
        "examples/eni-events.ndjson",
        "--format",
        "ndjson",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let mut with_actions = std::collections::BTreeSet::new();
    for line in run.stdout.lines() {
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(report["failures"], serde_json::json!([]));
        for effects in report["rules"].as_array().unwrap() {
            if !effects["actions"].as_array().unwrap().is_empty() {
                with_actions.insert(effects["rule"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(with_actions.len(), 12, "{with_actions:?}");
    assert!(
        run.stderr.contains("of 30 events matched"),
        "{}",
        run.stderr
    );
}
