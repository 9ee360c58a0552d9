//! The rules in `rules/`: valid, formatted, fully covered by tests, and each with an action.

use crate::reflexarc;

#[test]
fn shipped_rules_are_valid_and_formatted() {
    let check = reflexarc(&["check", "rules", "--deny-warnings"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    let counts = "15 rules: 0 errors, 0 warnings\n";
    let calls = check
        .stdout
        .strip_suffix(counts)
        .unwrap_or_else(|| panic!("{}", check.stdout));
    // All else that is printed is what they can call.
    assert!(
        calls.lines().all(|line| line.starts_with("calls: ecs ")),
        "{calls}"
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
fn rules_that_wait_find_what_is_missing_in_the_examples() {
    let args = ["run", "rules", "examples/eni-events.ndjson"];
    let run = reflexarc(&[&args[..], &["--until", "end"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    for expected in [
        "✓ leaked-eni (fired for eni-bp1a4k7x0c2m9e5q: 1 event since 2024-05-14T02:15:02.018Z)",
        "✓ stuck-detaching (fired for eni-bp1b8n3z6d5r2t7w: 1 event since 2024-05-14T01:35:18.25Z",
        "✓ stuck-deleting (fired for eni-bp1c5j9y4f8s1u6v: 1 event since 2024-05-14T01:41:00.9Z",
        "✓ silence-check (fired: 1 event since 2024-05-14T06:32:00Z)",
        "– leaked-eni (resolved for eni-bp1a4k7x0c2m9e5q: 1 event since 2024-05-14T02:15:02.018Z)",
    ] {
        assert!(run.stdout.contains(expected), "{expected}\n{}", run.stdout);
    }
}

#[test]
fn shipped_rules_return_actions_on_the_examples() {
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
        let rules = report["rules"].as_array();
        for effects in rules.into_iter().flatten() {
            if !effects["actions"].as_array().unwrap().is_empty() {
                with_actions.insert(effects["rule"].as_str().unwrap().to_owned());
            }
        }
    }
    // These count failures and moves, of which the examples have too few.
    let counting = ["attach-storm", "failed-create", "flapping-eni"];
    assert!(counting.iter().all(|rule| !with_actions.contains(*rule)));
    assert_eq!(with_actions.len(), 12, "{with_actions:?}");
    assert!(
        run.stderr.contains("of 30 events matched"),
        "{}",
        run.stderr
    );
}
