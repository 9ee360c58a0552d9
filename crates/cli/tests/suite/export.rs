//! Exporting rules: the requests and resources, and the report of what is not exported.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Outcome, reflexarc, reflexarc_in};

const CONFIG: &str = r#"
[targets.hook]
type = "webhook"
url = "https://hooks.example.com/a?x=${1}&token=in-the-clear"
retry = "backoff"

[targets.robot]
type = "dingtalk"
token = { env = "ROBOT_TOKEN" }
secret = { file = "robot-secret" }

[targets.mail]
type = "email"
host = "mail.example.com"
from = "alerts@example.com"
to = ["net@example.com", "ops@example.com"]
retry = ["10s", "1m"]

[targets.page]
type = "command"
argv = ["page"]
"#;

struct Project(tempfile::TempDir);

impl Project {
    fn new(rules: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        for (name, text) in rules {
            std::fs::write(folder.path().join("rules").join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("reflexarc.toml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("robot-secret"), "hidden-secret").unwrap();
        Self(folder)
    }

    fn run(&self, args: &[&str]) -> Outcome {
        reflexarc_in(self.0.path(), args, b"")
    }

    fn json(&self, args: &[&str]) -> (Value, String) {
        let outcome = self.run(args);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        (
            serde_json::from_str(&outcome.stdout).unwrap(),
            outcome.stderr,
        )
    }
}

const EVENTBRIDGE: [&str; 4] = ["export", "eventbridge", "--config", "reflexarc.toml"];

#[test]
fn native_filters_are_exported_for_alibaba() {
    let failed = "when = '''name == \"Disk:Stalled:Executing\" and userId == \"1\"\n\
        and content.diskId exists'''\nnotify = 'hook'";
    let project = Project::new(&[("a.toml", failed)]);
    let (pattern, _) = project.json(&["export", "rules", "--dialect", "alibaba"]);
    let expected = json!({
        "type": ["ecs:Disk:Stalled"],
        "data": {"eventStatus": ["Executing"], "diskId": [{"exists": true}]},
        "aliyunaccountid": ["1"],
    });
    assert_eq!(pattern, expected);
    let level = Project::new(&[("a.toml", "when = 'level == \"WARN\"'\nnotify = 'hook'")]);
    let refused = level.run(&["export", "rules", "--dialect", "alibaba"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let reason = "nothing to compare with `level`";
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    let missing = level.run(&["export", "rules"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
}

#[test]
fn rules_become_requests_of_eventbridge() {
    let rules = [
        (
            "网卡告警.toml",
            "description = 'failed ${x}'\nwhen = 'content.result == \"failed\"'\n\
             notify = ['hook', 'robot', 'mail', 'page', 'unknown']\n\
             message = { title = 'ENI', text = '{{ event.content.eniId }} \"failed\"' }\n\
             throttle = { every = '1m' }",
        ),
        (
            "off.toml",
            "enabled = false\nwhen = 'name exists or id exists'\nnotify = 'hook'",
        ),
        (
            "script.toml",
            "when = 'name exists'\nthen = 'notify(\"robot\", event.name)'",
        ),
        (
            "silent.toml",
            "when = 'name exists'\nabsent_for = '1h'\nnotify = 'robot'",
        ),
        (
            "none.toml",
            "when = 'name exists'\nthen = 'emit(#{ name: \"x\", x: 1 })'",
        ),
    ];
    let project = Project::new(&rules);
    let outcome = project.run(&EVENTBRIDGE);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let shown = format!("{}--- stderr\n{}", outcome.stdout, outcome.stderr);
    assert!(
        !shown.contains("hidden-secret") && !shown.contains("in-the-clear"),
        "{shown}"
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_filter_that_is_not_one_becomes_several_rules() {
    let either = "when = 'content.result == \"failed\" or content.eniStatus == \"CreateFailed\"'\n\
        notify = 'hook'";
    let project = Project::new(&[("a.toml", either)]);
    let (requests, report) = project.json(&EVENTBRIDGE);
    let names: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["RuleName"])
        .collect();
    assert_eq!(names, ["a-1", "a-2"]);
    assert!(
        report.contains("a: its filter becomes 2 rules\n"),
        "{report}"
    );
    // Parts that one event may match, which is said.
    let overlapping = "when = 'content.a == \"x\" or content.b == \"y\"'\nnotify = 'hook'";
    let project = Project::new(&[("a.toml", overlapping)]);
    let (_, report) = project.json(&EVENTBRIDGE);
    assert!(
        report.contains("an event may match two of them"),
        "{report}"
    );
    // Too many.
    let values: Vec<String> = (0..101).map(|n| format!("\"{n}\"")).collect();
    let many = format!(
        "when = 'content.a in [{}]'\nnotify = 'hook'",
        values.join(",")
    );
    let project = Project::new(&[("a.toml", &many)]);
    let outcome = project.run(&EVENTBRIDGE);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, "[]\n"));
    assert!(
        outcome.stderr.contains("more than 20 rules"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn limits_of_a_rule_are_kept() {
    let mut config = String::new();
    let names: Vec<String> = (0..7).map(|n| format!("\"h{n}\"")).collect();
    for n in 0..7 {
        config += &format!("[targets.h{n}]\ntype = \"webhook\"\nurl = \"http://a.example/{n}\"\n");
    }
    let rule = format!("when = 'name exists'\nnotify = [{}]", names.join(","));
    let project = Project::new(&[("a.toml", &rule)]);
    std::fs::write(project.0.path().join("reflexarc.toml"), config).unwrap();
    let (requests, report) = project.json(&EVENTBRIDGE);
    assert_eq!(requests[0]["EventTargets"].as_array().unwrap().len(), 5);
    assert!(
        report.contains("target h5 is not exported: a rule has at most 5 targets"),
        "{report}"
    );
    let monitor = ["export", "cloudmonitor", "--config", "reflexarc.toml"];
    let (requests, report) = project.json(&monitor);
    let webhooks = &requests[0]["PutEventRuleTargets"]["WebhookParameters"];
    assert_eq!(webhooks.as_array().unwrap().len(), 5);
    assert!(report.contains("target h6 is not exported"), "{report}");
    // A description that AWS would refuse.
    let rule = format!(
        "description = '{}'\nwhen = 'name exists'\nnotify = 'h1'",
        "网".repeat(513)
    );
    let project = Project::new(&[("a.toml", &rule)]);
    let (document, report) = project.json(&["export", "terraform", "--dialect", "aws"]);
    let made = &document["resource"]["aws_cloudwatch_event_rule"]["a"]["description"];
    assert_eq!(made.as_str().unwrap().chars().count(), 512);
    assert!(
        report.contains("its description is cut after 512 characters"),
        "{report}"
    );
}

#[test]
fn all_events_go_to_one_address_with_to() {
    let rule = "when = 'name starts with \"Disk:\"'\n\
        then = 'set(event.id, 1); notify(\"robot\", \"x\")'";
    let project = Project::new(&[("a.toml", rule)]);
    let to = [
        "export",
        "eventbridge",
        "--to",
        "https://alerts.example.com/events",
    ];
    let (requests, report) = project.json(&to);
    assert_eq!(report, "", "the rules run there");
    let targets = requests[0]["EventTargets"].as_array().unwrap();
    assert_eq!(targets[0]["Endpoint"], "https://alerts.example.com/events");
    assert_eq!(
        targets[0]["ParamList"][1],
        json!({"ResourceKey": "Body", "Form": "ORIGINAL"})
    );
    let invalid = project.run(&["export", "eventbridge", "--to", "alerts.example.com"]);
    assert_eq!(invalid.code, 2, "{}", invalid.stderr);
}

#[test]
fn rules_become_resources_of_terraform() {
    let rules = [
        (
            "网卡告警.toml",
            "description = 'costs ${x} %{y}'\nwhen = 'content.a == \"${z}\"'\n\
             notify = ['hook', 'robot', 'mail']",
        ),
        (
            "1st.toml",
            "enabled = false\nwhen = 'level == \"WARN\"'\nnotify = 'mail'",
        ),
    ];
    let project = Project::new(&rules);
    let mut shown = String::new();
    let terraform = ["export", "terraform", "--config", "reflexarc.toml"];
    for (args, code) in [
        (&[][..], 1),
        (&["--service", "cloudmonitor", "--widen"], 0),
        (&["--dialect", "aws", "--bus", "a-bus"], 0),
    ] {
        let outcome = project.run(&[&terraform[..], args].concat());
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(document["resource"].is_object());
        shown += &format!("--- {args:?}\n{}{}", outcome.stdout, outcome.stderr);
    }
    assert!(
        !shown.contains("hidden-secret") && !shown.contains("in-the-clear"),
        "{shown}"
    );
    insta::assert_snapshot!(shown);
    let usage = project.run(&[
        "export",
        "terraform",
        "--dialect",
        "aws",
        "--service",
        "cloudmonitor",
    ]);
    assert_eq!(usage.code, 2);
}

#[test]
fn rules_become_requests_of_cloud_monitor() {
    let rules = [
        (
            "maintenance.toml",
            "when = 'product == \"ECS\" and level in [\"WARN\", \"CRITICAL\"]'\n\
             notify = ['hook', 'robot', 'page']\n\
             throttle = { key = ['name', 'resourceId'], every = '10m' }",
        ),
        (
            "failed.toml",
            "when = 'name == \"a\" and content.result == \"failed\"'\nnotify = 'hook'",
        ),
    ];
    let project = Project::new(&rules);
    let args = ["export", "cloudmonitor", "--config", "reflexarc.toml"];
    let outcome = project.run(&args);
    assert_eq!(outcome.code, 1);
    let shown = format!("{}--- stderr\n{}", outcome.stdout, outcome.stderr);
    insta::assert_snapshot!(shown);
    let (widened, report) = project.json(&[&args[..], &["--widen"]].concat());
    assert_eq!(widened.as_array().unwrap().len(), 2);
    assert!(
        report.contains("without `content.result == \"failed\"`"),
        "{report}"
    );
}

#[test]
fn mute_times_are_those_of_every_valid_duration() {
    for (every, seconds) in [("7d", 604_800), ("1h30m", 5_400), ("90s", 90), ("500ms", 1)] {
        let rule = format!(
            "when = 'product == \"ECS\"'\nnotify = 'hook'\n\
             throttle = {{ key = ['name', 'resourceId'], every = '{every}' }}"
        );
        let project = Project::new(&[("a.toml", &rule)]);
        let args = ["export", "cloudmonitor", "--config", "reflexarc.toml"];
        let (requests, _) = project.json(&args);
        assert_eq!(
            requests[0]["PutEventRule"]["SilenceTime"], seconds,
            "{every}"
        );
    }
}

#[test]
fn a_faulty_configuration_is_refused() {
    let project = Project::new(&[("a.toml", "when = 'id exists'\nnotify = 'hook'")]);
    for table in [
        "type = 'webhook'",
        "tpye = 'webhook'\nurl = 'https://a.example'",
    ] {
        let config = format!("[targets.hook]\n{table}\n");
        std::fs::write(project.0.path().join("reflexarc.toml"), config).unwrap();
        let outcome = project.run(&EVENTBRIDGE);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{table}");
        assert!(
            outcome.stderr.contains("reflexarc.toml:"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn every_shipped_rule_is_exported_or_says_why_not() {
    for (service, refused) in [
        (
            &["eventbridge"][..],
            &["failed-operation", "security-group-audit"][..],
        ),
        (&["terraform", "--dialect", "aws"], &[]),
        (&["cloudmonitor", "--widen"], &[]),
    ] {
        let to = if service.contains(&"aws") {
            &[][..]
        } else {
            &["--to", "https://a.example/"]
        };
        let outcome = reflexarc(&[&["export"], service, to].concat());
        assert_eq!(
            outcome.code,
            i32::from(!refused.is_empty()),
            "{}",
            outcome.stderr
        );
        let errors: Vec<&str> = outcome
            .stderr
            .lines()
            .filter_map(|line| line.split_once("--> rules/")?.1.split_once(".toml:"))
            .map(|(name, _)| name)
            .collect();
        for name in refused {
            assert!(errors.contains(name), "{name}: {}", outcome.stderr);
        }
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(document.is_array() || document["resource"].is_object());
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Imports a response, and returns the rules and the configuration with their targets.
fn imported(args: &[&str], out: &Path) -> String {
    let out = out.to_str().unwrap();
    let outcome = reflexarc(&[&["import"], args, &["--out", out]].concat());
    assert!(outcome.code < 2, "{}", outcome.stderr);
    // The mail server is to be filled in.
    outcome
        .stdout
        .replace("host = \"\"", "host = \"mail.example.com\"")
        .replace("from = \"\"", "from = \"alerts@example.com\"")
        .replace("to = []", "to = [\"net@example.com\"]")
        .replace("http://10.0.0.8/", "http://hooks.example.com/")
}

#[test]
fn what_is_imported_from_eventbridge_is_exported_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let examples = [
        "eventbridge",
        "examples/subscriptions/eventbridge-rules.json",
        "examples/subscriptions/eventbridge-targets.json",
    ];
    let config = imported(&examples, &path("first"));
    std::fs::write(path("reflexarc.toml"), &config).unwrap();
    let first = path("first");
    let config_path = path("reflexarc.toml");
    let args = [
        "export",
        "eventbridge",
        first.to_str().unwrap(),
        "--config",
        config_path.to_str().unwrap(),
    ];
    let exported = reflexarc(&args);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let requests: Value = serde_json::from_str(&exported.stdout).unwrap();
    // What ListRules answers after these requests.
    let rules: Vec<Value> = requests
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .map(|mut request| {
            request["Targets"] = request["EventTargets"].take();
            request
        })
        .collect();
    let response = json!({ "Data": { "Rules": rules } }).to_string();
    std::fs::write(path("again.json"), response).unwrap();
    let again = path("again.json");
    let again_config = imported(&["eventbridge", again.to_str().unwrap()], &path("second"));
    assert_eq!(files(&path("first")), files(&path("second")));
    let tables = |config: &str| {
        let tables = config
            .split("\n\n")
            .filter(|part| part.contains("[targets."));
        let mut tables: Vec<String> = tables.map(|part| part.trim().to_owned()).collect();
        tables.sort();
        tables
    };
    assert_eq!(tables(&config), tables(&again_config));
}

#[test]
fn what_is_imported_from_cloud_monitor_is_exported_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let target = |rule: &str| format!("{rule}=examples/subscriptions/cloudmonitor-targets.json");
    let targets = [target("eni-alerts"), target("maintenance")];
    let examples = [
        "cloudmonitor",
        "examples/subscriptions/cloudmonitor-rules.json",
        "--targets",
        &targets[0],
        "--targets",
        &targets[1],
    ];
    let config = imported(&examples, &path("first"));
    std::fs::write(path("reflexarc.toml"), &config).unwrap();
    let (first, config_path) = (path("first"), path("reflexarc.toml"));
    let args = [
        "export",
        "cloudmonitor",
        first.to_str().unwrap(),
        "--config",
        config_path.to_str().unwrap(),
    ];
    let exported = reflexarc(&args);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let requests: Value = serde_json::from_str(&exported.stdout).unwrap();
    let puts = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["PutEventRule"]);
    let alerts = puts
        .clone()
        .find(|put| put["RuleName"] == "eni-alerts")
        .unwrap();
    let expected = json!([{
        "Product": "ECS",
        "NameList": ["NetworkInterface:NetworkInterfaceOperateCompleted"],
        "LevelList": ["WARN", "CRITICAL"],
        "EventTypeList": ["*"],
    }]);
    assert_eq!(alerts["EventPattern"], expected);
    assert_eq!(alerts["SilenceTime"], 600);
    let maintenance = puts
        .clone()
        .find(|put| put["RuleName"] == "maintenance")
        .unwrap();
    assert_eq!(maintenance["GroupId"], "4711");
    // One pattern for each keyword.
    let keywords = maintenance["EventPattern"].as_array().unwrap().iter();
    let keywords: Vec<_> = keywords.map(|pattern| &pattern["CustomFilters"]).collect();
    assert_eq!(keywords, ["i-prod", "i-live"]);
    assert_eq!(
        maintenance["EventPattern"][0]["EventTypeList"],
        json!(["Maintenance"])
    );
    let off = puts.clone().find(|put| put["RuleName"] == "off").unwrap();
    assert_eq!(off["State"], "DISABLED");
}
