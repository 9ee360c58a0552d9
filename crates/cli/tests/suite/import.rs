//! Subscriptions become rule files that work.

use std::path::Path;

use crate::{Outcome, reflexarc};

const EVENTBRIDGE: [&str; 4] = [
    "import",
    "eventbridge",
    "examples/subscriptions/eventbridge-rules.json",
    "examples/subscriptions/eventbridge-targets.json",
];

fn import(args: &[&str], folder: &Path) -> Outcome {
    reflexarc(&[args, &["--out", folder.to_str().unwrap()]].concat())
}

/// Every file that was written, then both streams; the folder's own name is not in it.
fn shown(outcome: &Outcome, folder: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut shown = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        shown += &format!("--- {name}\n{}\n", std::fs::read_to_string(&file).unwrap());
    }
    shown += &format!(
        "--- stdout\n{}\n--- stderr\n{}",
        outcome.stdout, outcome.stderr
    );
    shown.replace(folder.to_str().unwrap(), "FOLDER")
}

#[test]
fn eventbridge_rules_become_rule_files() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = import(&EVENTBRIDGE, folder.path());
    assert_eq!(outcome.code, 1, "some rules cannot be imported");
    insta::assert_snapshot!(shown(&outcome, folder.path()));
    assert_eq!(
        reflexarc(&["check", folder.path().to_str().unwrap()]).code,
        0
    );
}

#[test]
fn an_imported_eventbridge_rule_matches_what_it_matched_in_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    import(&EVENTBRIDGE, folder.path());
    let rules = folder.path().to_str().unwrap();
    let args = [
        "run",
        "--rules",
        rules,
        "--events",
        "examples/eni-events.ndjson",
        "--format",
        "ndjson",
    ];
    let matched = reflexarc(&args);
    assert_eq!(matched.code, 0, "{}", matched.stderr);
    assert!(
        matched
            .stdout
            .contains(r#""matched":["eni-failed","eni-failed-mail","eni-failed-robot"]"#),
        "{}",
        matched.stdout
    );
    // And says what it said there.
    let message = r#""payload":{"msgtype":"text","text":{"content":"eni-"#;
    assert!(matched.stdout.contains(message), "{}", matched.stdout);
    let mail = r#""title":"ENI","text":"AttachNetworkInterface failed for eni-"#;
    assert!(matched.stdout.contains(mail), "{}", matched.stdout);
}

#[test]
fn rules_with_one_file_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str| {
        format!(
            r#"{{"RuleName": "{name}", "FilterPattern": "{{\"source\":[\"acs.ecs\"]}}",
            "Targets": [{{"Id": "t", "Type": "https", "Endpoint": "https://example.com/"}}]}}"#
        )
    };
    let file = folder.path().join("rules.json");
    std::fs::write(
        &file,
        format!(
            r#"{{"Data": {{"Rules": [{}, {}]}}}}"#,
            rule("a b"),
            rule("a-b")
        ),
    )
    .unwrap();
    let out = folder.path().join("out");
    let outcome = import(&["import", "eventbridge", file.to_str().unwrap()], &out);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome
            .stderr
            .contains("another rule is written to a-b.toml already"),
        "{}",
        outcome.stderr
    );
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 1);
}

#[test]
fn cloud_monitor_rules_become_rule_files() {
    let folder = tempfile::tempdir().unwrap();
    let targets = |rule: &str| format!("{rule}=examples/subscriptions/cloudmonitor-targets.json");
    let (first, second) = (targets("eni-alerts"), targets("maintenance"));
    let rules = "examples/subscriptions/cloudmonitor-rules.json";
    let args = [
        "import",
        "cloudmonitor",
        rules,
        "--targets",
        &first,
        "--targets",
        &second,
    ];
    let outcome = import(&args, folder.path());
    assert_eq!(outcome.code, 1, "some rules cannot be imported");
    insta::assert_snapshot!(shown(&outcome, folder.path()));
    assert_eq!(
        reflexarc(&["check", folder.path().to_str().unwrap()]).code,
        0
    );
}

#[test]
fn nothing_is_overwritten_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    import(&EVENTBRIDGE, folder.path());
    let file = folder.path().join("eni-failed.toml");
    std::fs::write(&file, "mine").unwrap();
    let again = import(&EVENTBRIDGE, folder.path());
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let forced = import(&[&EVENTBRIDGE[..], &["--force"]].concat(), folder.path());
    assert_eq!(forced.code, 1, "{}", forced.stderr);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn input_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = import(
        &[
            "import",
            "eventbridge",
            "examples/subscriptions/cloudmonitor-rules.json",
        ],
        folder.path(),
    );
    assert_eq!(
        (other.code, other.stderr.contains("Data.Rules")),
        (3, true),
        "{}",
        other.stderr
    );
    let stray = "nobody=examples/subscriptions/cloudmonitor-targets.json";
    let rules = "examples/subscriptions/cloudmonitor-rules.json";
    let stray = import(
        &["import", "cloudmonitor", rules, "--targets", stray],
        folder.path(),
    );
    assert_eq!(
        (stray.code, stray.stderr.contains("`nobody`")),
        (2, true),
        "{}",
        stray.stderr
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
