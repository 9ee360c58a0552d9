//! Importing subscriptions: the rule files, and the report of what is not imported.

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

/// Every written file, then stdout and stderr, with the folder's name replaced.
fn transcript(outcome: &Outcome, folder: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut transcript = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        transcript += &format!("--- {name}\n{}\n", std::fs::read_to_string(&file).unwrap());
    }
    transcript += &format!(
        "--- stdout\n{}\n--- stderr\n{}",
        outcome.stdout, outcome.stderr
    );
    transcript.replace(folder.to_str().unwrap(), "FOLDER")
}

#[test]
fn eventbridge_rules_become_rule_files() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = import(&EVENTBRIDGE, folder.path());
    assert_eq!(outcome.code, 1, "some rules cannot be imported");
    insta::assert_snapshot!(transcript(&outcome, folder.path()));
    assert_eq!(
        reflexarc(&["check", folder.path().to_str().unwrap()]).code,
        0
    );
}

#[test]
fn imported_rules_match_the_events_of_the_subscription() {
    let folder = tempfile::tempdir().unwrap();
    import(&EVENTBRIDGE, folder.path());
    let rules = folder.path().to_str().unwrap();
    let args = [
        "run",
        rules,
        "examples/eni-events.ndjson",
        "--format",
        "ndjson",
    ];
    let matched = reflexarc(&args);
    assert_eq!(matched.code, 0, "{}", matched.stderr);
    assert!(
        matched
            .stdout
            .contains(r#""matched":["eni-failed-mail","eni-failed-page","eni-failed-robot"]"#),
        "{}",
        matched.stdout
    );
    // And the messages are those of the subscription.
    let message = r#""payload":{"msgtype":"text","text":{"content":"eni-"#;
    assert!(matched.stdout.contains(message), "{}", matched.stdout);
    let mail = r#""title":"ENI","text":"AttachNetworkInterface failed for eni-"#;
    assert!(matched.stdout.contains(mail), "{}", matched.stdout);
    // The original event, or a part of it, is sent as a document.
    let page = r#"{"target":"page","payload":{"eniId":"#;
    assert!(matched.stdout.contains(page), "{}", matched.stdout);
}

#[test]
fn the_filter_of_a_rule_without_targets_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (status, targets, comment) in [
        ("ENABLE", "", "# it has no targets"),
        (
            "DISABLE",
            r#"{"Id": "f", "Type": "acs.fc.function", "Endpoint": "acs:fc:f?token=secret"}"#,
            "# target f of type acs.fc.function (acs:fc:f) is not supported and omitted",
        ),
    ] {
        let rules = format!(
            r#"{{"Data": {{"Rules": [{{"RuleName": "a", "Status": "{status}",
            "FilterPattern": "{{\"source\":[\"acs.ecs\"]}}", "Targets": [{targets}]}}]}}}}"#
        );
        let file = folder.path().join("rules.json");
        std::fs::write(&file, rules).unwrap();
        let out = folder.path().join("out");
        let args = ["import", "eventbridge", file.to_str().unwrap(), "--force"];
        let outcome = import(&args, &out);
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        let text = std::fs::read_to_string(out.join("a.toml")).unwrap();
        assert!(
            text.contains("product == \"ECS\"") && text.contains(comment),
            "{text}"
        );
        assert!(text.contains("\nenabled = false\n"), "{text}");
        let was_disabled = text.contains("The rule was disabled before, too.");
        assert_eq!(was_disabled, status == "DISABLE", "{text}");
        let checked = reflexarc(&["check", out.to_str().unwrap()]);
        let found = format!("{}{}", checked.stdout, checked.stderr);
        assert!(found.contains("this rule has no reaction"), "{found}");
    }
}

#[test]
fn rules_with_the_same_file_name_are_reported() {
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
            .contains("another rule has the file name a-b.toml"),
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
    insta::assert_snapshot!(transcript(&outcome, folder.path()));
    assert_eq!(
        reflexarc(&["check", folder.path().to_str().unwrap()]).code,
        0
    );
}

#[test]
fn existing_files_are_replaced_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    import(&EVENTBRIDGE, folder.path());
    let file = folder.path().join("eni-failed-page.toml");
    std::fs::write(&file, "mine").unwrap();
    let again = import(&EVENTBRIDGE, folder.path());
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let forced = import(&[&EVENTBRIDGE[..], &["--force"]].concat(), folder.path());
    assert_eq!(forced.code, 1, "{}", forced.stderr);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn responses_of_another_api_are_refused() {
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
    let unknown = "unknown=examples/subscriptions/cloudmonitor-targets.json";
    let rules = "examples/subscriptions/cloudmonitor-rules.json";
    let unknown = import(
        &["import", "cloudmonitor", rules, "--targets", unknown],
        folder.path(),
    );
    assert_eq!(
        (unknown.code, unknown.stderr.contains("`unknown`")),
        (2, true),
        "{}",
        unknown.stderr
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn rules_without_a_name_are_named_by_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let rule = |name: &str| {
        format!(
            r#"{{{name} "FilterPattern": "{{\"source\":[\"acs.ecs\"]}}", "Targets": [
                {{"Id": "t", "Type": "https", "Endpoint": "https://example.com/"}}]}}"#
        )
    };
    let rules = [
        rule(""),
        rule(r#""RuleName": "named","#),
        rule(r#""RuleName": " ","#),
    ];
    let response = format!(r#"{{"Data": {{"Rules": [{}]}}}}"#, rules.join(","));
    let response = file("my rules.json", &response);
    // A target without a rule's name is not that of a rule without a name.
    let targets = file(
        "targets.json",
        r#"{"Data": {"Targets": [{"Id": "u", "Type": "https", "Endpoint": "https://other/"}]}}"#,
    );
    let out = folder.path().join("out");
    let outcome = import(&["import", "eventbridge", &response, &targets], &out);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let note = "targets.json: its targets do not name their rule; pass the file as --targets";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    for number in [1, 3] {
        let note = format!("my-rules-{number}: the rule has no name; this is rule {number} of");
        assert!(outcome.stderr.contains(&note), "{}", outcome.stderr);
        let text = std::fs::read_to_string(out.join(format!("my-rules-{number}.toml"))).unwrap();
        assert!(
            text.contains(&format!("EventBridge rule my-rules-{number}")),
            "{text}"
        );
    }
    assert!(out.join("named.toml").exists());
    assert!(
        !outcome.stdout.contains("https://other/"),
        "{}",
        outcome.stdout
    );
    // They replace nothing, neither another rule of the import nor a file.
    let rules = [rule(""), rule(r#""RuleName": "rules-1","#)].join(",");
    let response = file(
        "rules.json",
        &format!(r#"{{"Data": {{"Rules": [{rules}]}}}}"#),
    );
    let outcome = import(&["import", "eventbridge", &response], &out);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome
            .stderr
            .contains("another rule has the file name rules-1.toml")
    );
    assert_eq!(import(&["import", "eventbridge", &response], &out).code, 2);
    // Cloud Monitor, from stdin.
    let response = file(
        "monitor.json",
        r#"{"EventRules": {"EventRule": [{"Name": "", "EventPattern": {"EventPattern": [
            {"Product": "ECS"}]}}]}}"#,
    );
    let outcome = import(&["import", "cloudmonitor", &response], &out);
    assert!(
        outcome.stderr.contains("monitor-1: the rule has no name"),
        "{}",
        outcome.stderr
    );
}
