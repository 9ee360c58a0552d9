//! Scenarios: the whole timelines of those in `examples`, and the diagnostics of invalid ones.

use std::path::Path;

use crate::{reflexarc, root};

/// The scenarios that show a documented behaviour, without rules.
const WITHOUT_RULES: [&str; 7] = [
    "life",
    "preview-off",
    "primary",
    "limit",
    "failures",
    "managed",
    "initiator",
];
/// The scenarios for a ready-made rule.
const WITH_RULES: [(&str, &str); 15] = [
    ("leak", "leaked-eni"),
    ("stuck-detaching", "stuck-detaching"),
    ("stuck-deleting", "stuck-deleting"),
    ("silence", "silence-check"),
    ("alert-storm", "failed-operation"),
    ("attach-storm", "attach-storm"),
    ("flapping", "flapping-eni"),
    ("failed-create", "failed-create"),
    ("vip-failover", "vip-failover"),
    ("vip-failover-refused", "vip-failover"),
    ("escalation", "escalation"),
    ("security-group-audit", "security-group-audit"),
    ("inventory", "cmdb-sync"),
    ("reserved-address", "reserved-address-guard"),
    ("spot-drain", "spot-drain"),
];
/// Further ready-made rules, each with the scenario of another one.
const FURTHER_RULES: [(&str, &str); 1] = [("inventory", "pod-address-pool")];
/// The scenarios with deliveries, for the targets of `examples/reflexarc.toml`.
const WITH_TARGETS: [&str; 1] = ["target-down"];

fn scenario(name: &str) -> String {
    format!("examples/scenarios/{name}.toml")
}

#[test]
fn every_scenario_in_examples_is_tested() {
    let mut shipped: Vec<String> = std::fs::read_dir(root().join("examples/scenarios"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    shipped.sort();
    let mut tested: Vec<&str> = WITHOUT_RULES
        .into_iter()
        .chain(WITH_RULES.map(|(name, _)| name))
        .chain(WITH_TARGETS)
        .collect();
    tested.sort_unstable();
    assert_eq!(shipped, tested);
}

#[test]
fn scenarios_without_rules_match_their_timelines() {
    for name in WITHOUT_RULES {
        let run = reflexarc(&["simulate", &scenario(name)]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        insta::assert_snapshot!(format!("scenario-{name}"), run.stdout);
    }
}

#[test]
fn scenarios_with_rules_match_their_timelines() {
    for (name, rule) in WITH_RULES {
        let run = reflexarc(&["simulate", &scenario(name), &rule_file(rule)]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        insta::assert_snapshot!(format!("scenario-{name}"), run.stdout);
    }
}

#[test]
fn every_ready_made_rule_acts_in_a_scenario() {
    let mut tested = std::collections::BTreeSet::new();
    for (name, rule) in WITH_RULES.into_iter().chain(FURTHER_RULES) {
        let args = [
            "simulate",
            &scenario(name),
            &rule_file(rule),
            "--format",
            "ndjson",
        ];
        let timeline = reflexarc(&args).stdout;
        let entries = timeline
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let has_actions = |entry: serde_json::Value| {
            let actions = entry["actions"].as_array();
            entry["kind"] == "rule" && actions.is_some_and(|actions| !actions.is_empty())
        };
        assert!(entries.into_iter().any(has_actions), "{rule}: {timeline}");
        tested.insert(format!("{rule}.toml"));
    }
    let files = std::fs::read_dir(root().join("rules")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let rules: std::collections::BTreeSet<_> = files.filter(|name| name != "tables").collect();
    assert_eq!(tested, rules);
}

/// The file of a ready-made rule.
fn rule_file(name: &str) -> String {
    format!("rules/{name}.toml")
}

#[test]
fn scenarios_with_targets_match_their_timelines() {
    for name in WITH_TARGETS {
        let run = reflexarc(&[
            "simulate",
            &scenario(name),
            "--config",
            "examples/reflexarc.toml",
        ]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        insta::assert_snapshot!(format!("scenario-{name}"), run.stdout);
    }
}

/// The commands of a page that run to their end, each with the lines of output below it, if any.
fn documented_commands(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_output = false;
    for line in page.lines() {
        if let Some(command) = line.strip_prefix("    reflexarc ") {
            commands.push((command, Vec::new()));
        } else if line.starts_with("```") {
            is_output = line == "```text";
        } else if is_output && let Some((_, output)) = commands.last_mut() {
            output.push(line);
        }
    }
    commands.retain(|(command, _)| !command.contains("--listen"));
    commands
}

#[test]
fn the_documented_commands_have_the_documented_output() {
    let page = std::fs::read_to_string(root().join("docs/simulate.md")).unwrap();
    let commands = documented_commands(&page);
    assert_eq!(commands.len(), 4, "{commands:?}");
    assert!(commands.iter().any(|(_, output)| output.len() > 3));
    let folder = tempfile::tempdir().unwrap();
    for (command, output) in commands {
        let plot = folder.path().join("timeline.svg");
        let args = command.replace("timeline.svg", plot.to_str().unwrap());
        let run = reflexarc(&args.split(' ').collect::<Vec<_>>());
        assert!(
            run.code == 0 && !run.stdout.is_empty(),
            "{command}: {}",
            run.stderr
        );
        // The page leaves lines out, but shows the others as they are, in their order.
        let mut lines = run.stdout.lines();
        for line in output {
            assert!(lines.any(|found| found == line), "{line}\n{}", run.stdout);
        }
    }
}

#[test]
fn a_timeline_is_reproducible_in_every_format() {
    let args = ["simulate", &scenario("leak"), "rules", "--format", "ndjson"];
    let first = reflexarc(&args);
    assert_eq!(first.stdout, reflexarc(&args).stdout);
    let events: Vec<&str> = first
        .stdout
        .lines()
        .filter(|line| line.contains(r#""kind":"event""#))
        .collect();
    assert_eq!(events.len(), 11, "{events:#?}");
    assert!(
        events
            .iter()
            .all(|event| event.contains(r#""account":"tenant""#)),
        "{events:#?}"
    );
    let json = reflexarc(&["simulate", &scenario("leak"), "--format", "json"]);
    assert!(
        json.stdout.starts_with('[') && json.stdout.trim_end().ends_with(']'),
        "{}",
        json.stdout
    );
}

#[test]
fn a_plot_has_rows_for_interfaces_and_marks_for_events() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timeline.svg");
    let (scenario, path) = (scenario("failures"), file.to_str().unwrap());
    let drawn = reflexarc(&["simulate", &scenario, "--plot", path]);
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    let count = |class: &str| svg.matches(&format!("class=\"{class}\"")).count();
    // One of each is in the legend. Each of the two parts has two interfaces and the faults.
    assert_eq!((count("row"), count("success"), count("failed")), (6, 5, 5));
    for status in [
        "Creating",
        "CreateFailed",
        "Available",
        "Attaching",
        "InUse",
        "Detaching",
        "Deleting",
    ] {
        assert!(count(status) > 0, "{status}");
    }
}

#[test]
fn an_unexpected_reply_has_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
        [[step]]
        at = "0s"
        as = "tenant"
        do = "DeleteNetworkInterface"
        with = { NetworkInterfaceId = "eni-none" }
    "#;
    let run = run_text(folder.path(), text);
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("unexpected reply, expected accepted"),
        "{}",
        run.stdout
    );
}

/// Scenario files with errors, by the name of their snapshot.
const BROKEN: &[(&str, &str)] = &[
    ("toml", "[[step]\n"),
    (
        "unknown-key",
        r#"[[step]]
at = "0s"
when = 1
"#,
    ),
    (
        "names",
        r#"[[step]]
at = "5s"
as = "missing"
do = "DeleteNetworkInterface"
with = { NetworkInterfaceId = "$web" }

[[step]]
at = "1s"
as = "tenant"
do = "DeleteNetworkInterface"
with = { NetworkInterfaceId = "$web" }
"#,
    ),
    (
        "values",
        r#"start = "yesterday"
until = "-5s"
tick = "1m"
region = "Mars!"
"#,
    ),
    (
        "steps",
        r#"[[step]]
at = "0s"

[[step]]
at = "soon"
as = "tenant"
do = "X"

[[step]]
at = "1s"
fault = { operation = "Attach", outcome = "explode" }

[[step]]
at = "1s"
instance = { id = "i-none", status = "Sleeping" }

[[step]]
at = "1s"
as = "tenant"
publish = "[1]"
"#,
    ),
    (
        "faults",
        r#"[[step]]
at = "0s"
fault = { outcome = "down" }

[[step]]
at = "0s"
fault = { operation = "CreateNetworkInterface", target = "t", outcome = "fail" }

[[step]]
at = "0s"
fault = { target = "t", outcome = "hang", times = 3, lasts = "soon" }

[[step]]
at = "0s"
fault = { operation = "CreateNetworkInterface", outcome = "fail", lasts = "1m" }
"#,
    ),
    (
        "world",
        r#"[[account]]
name = "a"
id = "x1"

[[account]]
name = "a"
id = "2"

[[vswitch]]
id = "v"
account = "b"
vpc = "p"
zone = "z"
ipv4 = "10.0.0.0/24"

[[vswitch]]
id = "w"
account = "a"
vpc = "p"
zone = "z"
ipv4 = "10.0.0/24"

[[instance]]
id = "i"
vswitch = "v"
security_groups = []
"#,
    ),
    (
        // Tables of a world that the default world does not have are not ignored.
        "partial-world",
        r#"[[security_group]]
id = "sg"
account = "a"
vpc = "p"
colour = "blue"
"#,
    ),
];

#[test]
fn errors_in_scenarios_are_reported_at_their_location() {
    for (name, text) in BROKEN {
        let folder = tempfile::tempdir().unwrap();
        let run = run_text(folder.path(), text);
        assert_eq!(run.code, 3, "{name}: {}", run.stderr);
        insta::assert_snapshot!(format!("broken-scenario-{name}"), run.stderr);
    }
}

fn run_text(folder: &Path, text: &str) -> crate::Outcome {
    std::fs::write(folder.join("scenario.toml"), text).unwrap();
    crate::reflexarc_in(folder, &["simulate", "scenario.toml"], b"")
}
