//! Scenarios with rules that have a time window: deadlines on the virtual clock.

use serde_json::Value;

use crate::{reflexarc_in, root};

const ACCEPTED_AND_GONE: &str = r#"
when = 'content.operation == "AttachNetworkInterface" and content.result == "success"'
by = "content.eniId"
not_followed_by = { when = 'content.operation == "DetachNetworkInterface"', within = "10m" }
then = '''
let detach = #{ Action: "DetachNetworkInterface", NetworkInterfaceId: key };
detach.InstanceId = "i-tenant";
send("ecs", detach);
'''
"#;
const SILENT: &str = "when = 'content exists'\nabsent_for = '2m'\nnotify = ['team']\n";

/// A scenario whose interface is attached after 5 seconds.
const SCENARIO: &str = r#"
description = "An interface stays attached"
[[step]]
at = "0s"
as = "tenant"
do = "CreateNetworkInterface"
name = "web"
with = { VSwitchId = "vsw-tenant", SecurityGroupId = "sg-tenant" }
[[step]]
at = "5s"
as = "tenant"
do = "AttachNetworkInterface"
with = { NetworkInterfaceId = "$web", InstanceId = "i-tenant" }
"#;

/// Runs a scenario with rules and returns its timeline.
fn simulate(scenario: &str, rules: &[(&str, &str)], args: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    for (name, text) in rules {
        std::fs::write(folder.path().join(format!("rules/{name}.toml")), text).unwrap();
    }
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    let args = [
        &["simulate", "scenario.toml", "rules", "--format", "ndjson"],
        args,
    ]
    .concat();
    let outcome = reflexarc_in(folder.path(), &args, b"");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds<'t>(timeline: &'t [Value], kind: &str) -> Vec<&'t Value> {
    timeline
        .iter()
        .filter(|entry| entry["kind"] == kind)
        .collect()
}

#[test]
fn deadlines_fire_and_their_actions_take_effect() {
    let timeline = simulate(SCENARIO, &[("stays", ACCEPTED_AND_GONE)], &[]);
    let deadlines = kinds(&timeline, "deadline");
    assert_eq!(deadlines.len(), 1, "{timeline:#?}");
    assert_eq!(deadlines[0]["rule"], "stays");
    assert_eq!(deadlines[0]["interface"], "web");
    let last = timeline
        .iter()
        .rfind(|entry| entry["kind"] == "event")
        .unwrap();
    assert_eq!(last["operation"], "DetachNetworkInterface", "{last}");
    let position = |entry: &Value| timeline.iter().position(|other| other == entry);
    assert!(position(deadlines[0]) < position(last));
}

#[test]
fn the_end_of_a_scenario_is_no_absence() {
    let rules = [("silent", SILENT)];
    assert!(kinds(&simulate(SCENARIO, &rules, &[]), "deadline").is_empty());
    // Time goes on to a given end, for each account.
    let timeline = simulate(&format!("until = \"10m\"\n{SCENARIO}"), &rules, &[]);
    let deadlines = kinds(&timeline, "deadline");
    assert!(!deadlines.is_empty(), "{timeline:#?}");
    assert!(
        deadlines
            .iter()
            .all(|deadline| deadline["rule"] == "silent")
    );
    let early = simulate(&format!("until = \"1m\"\n{SCENARIO}"), &rules, &[]);
    assert!(kinds(&early, "deadline").is_empty(), "{early:#?}");
}

#[test]
fn firings_are_delivered_to_configured_targets() {
    let config = root().join("examples/rehearsal.toml");
    let notify = ACCEPTED_AND_GONE.split("then").next().unwrap();
    let rule = format!("{notify}notify = ['network-team']\n");
    let args = ["--config", config.to_str().unwrap()];
    let timeline = simulate(SCENARIO, &[("stays", &rule)], &args);
    let deadline = kinds(&timeline, "deadline");
    let deliveries = kinds(&timeline, "delivery");
    assert_eq!((deadline.len(), deliveries.len()), (1, 1), "{timeline:#?}");
    assert!(deliveries[0]["at"].as_str() >= deadline[0]["at"].as_str());
}
