//! The rules that come with reflexarc: right, formatted, tested in full, and none of them mute.

use crate::reflexarc;

#[test]
fn they_are_right_and_formatted() {
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
fn their_tests_pass_and_leave_nothing_out() {
    let test = reflexarc(&["test", "rules", "--coverage"]);
    assert_eq!(test.code, 0, "{}\n{}", test.stdout, test.stderr);
    assert!(
        test.stdout.ends_with(" passed, 0 failed\n"),
        "{}",
        test.stdout
    );
}

#[test]
fn each_of_them_asks_for_an_action_on_the_examples() {
    let run = reflexarc(&[
        "run",
        "--rules",
        "rules",
        "--events",
        "examples/eni-events.ndjson",
        "--format",
        "ndjson",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let mut speaking = std::collections::BTreeSet::new();
    for line in run.stdout.lines() {
        let seen: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(seen["failures"], serde_json::json!([]));
        for effects in seen["rules"].as_array().unwrap() {
            if !effects["actions"].as_array().unwrap().is_empty() {
                speaking.insert(effects["rule"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(speaking.len(), 12, "{speaking:?}");
    assert!(
        run.stderr.contains("of 30 events matched"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_answers_do_not_depend_on_threads() {
    let run = |jobs| {
        reflexarc(&[
            "run",
            "--rules",
            "rules",
            "--events",
            "examples/eni-events.ndjson",
            "--jobs",
            jobs,
        ])
    };
    assert_eq!(run("1").stdout, run("3").stdout);
}
