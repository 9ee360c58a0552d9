//! What rules can call: the lists of `check` and `config check`, and targets that do not fit.

use crate::service_process::{Workspace, event};

const TARGETS: &str = r#"
[targets.out]
type = "file"
path = "out.ndjson"

[targets.ecs]
type = "alibaba"
endpoint = "http://127.0.0.1:8322"
credentials.access_key_id = { env = "CALL_LISTS_SECRET" }
credentials.access_key_secret = { env = "CALL_LISTS_SECRET" }
allow = ["Describe*", "DeleteNetworkInterface"]

[targets.cmdb]
type = "http"
url = "http://127.0.0.1:8323"
networks = ["127.0.0.0/8"]
dry_run = true
allow = ["GET *", "PUT /enis/{id}"]
"#;

const THEN: &str = r#"
call("ecs", "DescribeNetworkInterfaces", #{ NetworkInterfaceId: [event.content.eniId] });
call("cmdb", "PUT /enis/{id}", #{ id: event.content.eniId });
"#;

const OTHER: &str = r#"
when = 'content.result == "failed"'
then = 'call("ecs", "DescribeNetworkInterfaces", #{})'
answered = '''
if answer.ok { call("ecs", "DeleteNetworkInterface", #{}); }
if !answer.ok { call("ecs", "StopInstance", #{}); }
'''
"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new(THEN, TARGETS);
    workspace.write("rules/other.toml", OTHER);
    let disabled = OTHER.replace("StopInstance", "StartInstance");
    workspace.write("rules/off.toml", &format!("enabled = false\n{disabled}"));
    workspace
}

#[test]
fn check_lists_what_rules_can_call() {
    let workspace = workspace();
    let checked = workspace.run(&["check", "rules"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let listed: Vec<_> = checked.stdout.lines().collect();
    assert_eq!(
        listed,
        [
            "disabled: off",
            "calls: cmdb PUT /enis/{id} (failed)",
            "calls: ecs DeleteNetworkInterface (other)",
            "calls: ecs DescribeNetworkInterfaces (failed, other)",
            "calls: ecs StopInstance (other)",
            "3 rules: 0 errors, 0 warnings",
        ]
    );
    let only = workspace.run(&["check", "rules", "--calls"]);
    assert_eq!(only.stdout.lines().collect::<Vec<_>>(), listed[1..5]);
    let json = workspace.run(&["check", "rules", "--calls", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let expected = serde_json::json!({
        "target": "ecs",
        "operation": "DescribeNetworkInterfaces",
        "rules": ["failed", "other"],
    });
    assert_eq!(json[2], expected);
    let sarif = workspace.run(&["check", "rules", "--calls", "--format", "sarif"]);
    assert_eq!(sarif.code, 2);
    assert!(
        sarif.stderr.contains("use --format human"),
        "{}",
        sarif.stderr
    );
}

#[test]
fn configurations_say_how_targets_treat_calls() {
    let workspace = workspace();
    for args in [
        &["config", "check", "--without-secrets"][..],
        &["check", "--config", "reflexarc.toml"],
    ] {
        let checked = workspace.run(args);
        assert_eq!(checked.code, 0, "{}", checked.stderr);
        let calls = checked
            .stdout
            .lines()
            .filter(|line| line.starts_with("calls: "));
        assert_eq!(
            calls.collect::<Vec<_>>(),
            [
                "calls: cmdb PUT /enis/{id} (failed): dry run",
                "calls: ecs DeleteNetworkInterface (other): change, at most 10 a minute and \
                 100 a day",
                "calls: ecs DescribeNetworkInterfaces (failed, other): read",
                "calls: ecs StopInstance (other): not allowed",
            ]
        );
        for part in [
            "warning[RA0610]",
            "the operation StopInstance is not allowed",
            "rules/other.toml:6:",
            "\"DeleteNetworkInterface\", \"StopInstance\"] in [targets.ecs]",
        ] {
            assert!(checked.stderr.contains(part), "{part}: {}", checked.stderr);
        }
        assert!(
            !checked.stderr.contains("StartInstance"),
            "{}",
            checked.stderr
        );
    }
    let args = [
        "check",
        "--config",
        "reflexarc.toml",
        "--calls",
        "--format",
        "ndjson",
    ];
    let json = workspace.run(&args).stdout;
    let admissions = json.lines().map(|line| {
        let call: serde_json::Value = serde_json::from_str(line).unwrap();
        call["admission"].as_str().unwrap().to_owned()
    });
    let admissions: Vec<_> = admissions.collect();
    assert_eq!(admissions, ["dry_run", "change", "read", "not_allowed"]);
}

#[test]
fn targets_that_take_no_such_action_are_errors() {
    for (then, message) in [
        (
            r#"call("out", "DescribeInstances", #{});"#,
            "`out` is of type file, which takes no calls",
        ),
        (
            r#"send("ecs", 1);"#,
            "`ecs` is of type alibaba, which takes calls only",
        ),
        (
            r#"notify("cmdb", "x");"#,
            "`cmdb` is of type http, which takes calls only",
        ),
    ] {
        let workspace = Workspace::new(then, TARGETS);
        workspace.write("events.ndjson", &event("e1", "eni-1"));
        // Kinds are known without any secret; what delivers reads the secrets first.
        let secret = "CALL_LISTS_SECRET";
        let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
        workspace.write("secret", "x");
        let config = config.replace(&format!("env = \"{secret}\""), "file = \"secret\"");
        workspace.write("reflexarc.toml", &config);
        for args in [
            &["config", "check"][..],
            &["config", "check", "--without-secrets"],
            &["check", "--config", "reflexarc.toml"],
            &["serve"],
            &["run", "--deliver", "events.ndjson"],
        ] {
            let refused = workspace.run(args);
            let text = format!("{}{}", refused.stdout, refused.stderr);
            assert_eq!(refused.code, 3, "{args:?}: {text}");
            for part in ["RA0609", message, "rules/failed.toml:3:"] {
                assert!(text.contains(part), "{part} {args:?}: {text}");
            }
        }
        assert_eq!(workspace.run(&["check", "rules"]).code, 0);
    }
}
