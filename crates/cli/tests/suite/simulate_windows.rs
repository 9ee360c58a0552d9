//! Scenarios with rules that have a time window: deadlines on the virtual clock.

use serde_json::Value;

use crate::{reflexarc_in, root};

const ACCEPTED_AND_GONE: &str = r#"
when = 'content.operation == "AttachNetworkInterface" and content.result == "success"'
by = "content.eniId"
not_followed_by = { when = 'content.operation == "DetachNetworkInterface"', within = "10m" }
then = '''
call("ecs", "DetachNetworkInterface", #{ NetworkInterfaceId: key, InstanceId: "i-tenant" });
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

/// What the timeline says about the matches of a rule: kind or reason, and seconds from the start
/// to the entry and to its deadline.
fn match_steps(timeline: &[Value], rule: &str) -> Vec<(String, i64, Option<i64>)> {
    let seconds = |value: &Value| {
        let time: jiff::Timestamp = value.as_str()?.parse().unwrap();
        let start: jiff::Timestamp = "2019-04-09T04:18:00Z".parse().unwrap();
        Some(time.duration_since(start).as_secs())
    };
    let entries = timeline.iter().filter(|entry| entry["rule"] == rule);
    let steps = entries.filter_map(|entry| {
        let kind = match entry["kind"].as_str()? {
            "rule" => entry["firing"]["reason"].as_str()?,
            kind => kind,
        };
        let at = seconds(&entry["at"]).unwrap();
        Some((kind.to_owned(), at, seconds(&entry["due"])))
    });
    steps.collect()
}

/// The steps of [`match_steps`], shorter to write.
fn steps(expected: &[(&str, i64, Option<i64>)]) -> Vec<(String, i64, Option<i64>)> {
    let owned = expected.iter();
    owned
        .map(|(kind, at, due)| ((*kind).to_owned(), *at, *due))
        .collect()
}

const DETACHED: &str = r#"
when = 'content.operation == "AttachNetworkInterface" and content.result == "success"'
by = "content.eniId"
notify = ["team"]
resolved = { title = "detached" }
[not_followed_by]
when = 'content.operation == "DetachNetworkInterface" and content.result == "success"'
within = "1m"
restart = true
"#;

/// A step of [`SCENARIO`] that attaches or detaches its interface.
fn step(at: &str, operation: &str) -> String {
    format!(
        "[[step]]\nat = \"{at}\"\nas = \"tenant\"\ndo = \"{operation}NetworkInterface\"\n\
         with = {{ NetworkInterfaceId = \"$web\", InstanceId = \"i-tenant\" }}\n"
    )
}

#[test]
fn matches_open_and_close_in_the_timeline() {
    let scenario = format!("{SCENARIO}{}", step("20s", "Detach"));
    let timeline = simulate(&scenario, &[("stays", DETACHED)], &[]);
    let expected = [("opened", 7, Some(77)), ("closed", 22, None)];
    assert_eq!(match_steps(&timeline, "stays"), steps(&expected));
    let opened = &kinds(&timeline, "opened")[0];
    assert_eq!(
        (&opened["account"], &opened["interface"]),
        (&"tenant".into(), &"web".into())
    );
}

#[test]
fn matches_fire_and_are_resolved_in_the_timeline() {
    let scenario = format!("{SCENARIO}{}", step("2m", "Detach"));
    let timeline = simulate(&scenario, &[("stays", DETACHED)], &[]);
    let expected = [
        ("opened", 7, Some(77)),
        ("deadline", 77, None),
        ("fired", 77, None),
        ("resolved", 122, None),
    ];
    assert_eq!(match_steps(&timeline, "stays"), steps(&expected));
}

#[test]
fn deadlines_that_move_are_in_the_timeline() {
    let publish = r#"
[[step]]
at = "30s"
as = "tenant"
publish = '{"id": "2", "content": {"operation": "AttachNetworkInterface", "result": "success", "eniId": "x"}}'
"#;
    let scenario = format!("{SCENARIO}{publish}{}", publish.replace("30s", "50s"));
    let timeline = simulate(&scenario, &[("stays", DETACHED)], &[]);
    let of_x = |entry: &&Value| entry["key"] == "x" || entry["firing"]["key"] == "x";
    let of_x: Vec<Value> = timeline.iter().filter(of_x).cloned().collect();
    let expected = [
        ("opened", 30, Some(100)),
        ("moved", 50, Some(120)),
        ("deadline", 120, None),
        ("fired", 120, None),
    ];
    assert_eq!(match_steps(&of_x, "stays"), steps(&expected));
}

#[test]
fn what_is_pending_at_the_end_is_in_the_timeline() {
    let scenario = format!("until = \"1m\"\n{SCENARIO}");
    let silent = SILENT.replace("content", "content.eniId");
    let silent = silent.replace("2m", "1h");
    let rules = [("stays", DETACHED), ("silent", &silent)];
    let timeline = simulate(&scenario, &rules, &[]);
    let expected = [("opened", 7, Some(77)), ("pending", 60, Some(77))];
    assert_eq!(match_steps(&timeline, "stays"), steps(&expected));
    let pending = kinds(&timeline, "pending");
    let of_silent = pending.iter().filter(|entry| entry["rule"] == "silent");
    // On the bus of each account, and only one of them had events.
    let due: Vec<&Value> = of_silent.map(|entry| &entry["due"]).collect();
    let (start, moved) = ("2019-04-09T05:18:10Z", "2019-04-09T05:18:17Z");
    assert_eq!(due, [start, start, moved]);
}

#[test]
fn what_an_event_completes_and_what_is_given_up_is_shown() {
    let attached = r#"
when = 'content.operation == "CreateNetworkInterface"'
by = "content.eniId"
notify = ["team"]
followed_by = { when = 'content.operation == "AttachNetworkInterface"', within = "WITHIN" }
"#;
    let in_time = attached.replace("WITHIN", "10s");
    let timeline = simulate(SCENARIO, &[("attached", &in_time)], &[]);
    let expected = [("opened", 0, None), ("fired", 7, None)];
    assert_eq!(match_steps(&timeline, "attached"), steps(&expected));
    // Given up after the duration and 10 seconds of grace.
    let too_late = attached.replace("WITHIN", "1s").replace("Attach", "Delete");
    let scenario = format!("until = \"1m\"\n{SCENARIO}");
    let timeline = simulate(&scenario, &[("attached", &too_late)], &[]);
    let expected = [("opened", 0, None), ("closed", 11, None)];
    assert_eq!(match_steps(&timeline, "attached"), steps(&expected));
}

#[test]
fn a_plot_has_a_row_for_each_match() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timeline.svg");
    let args = ["--plot", file.to_str().unwrap()];
    let scenario = format!("{SCENARIO}{}{}", step("2m", "Detach"), step("3m", "Attach"));
    let scenario = format!("until = \"200s\"\n{scenario}");
    simulate(&scenario, &[("stays", DETACHED)], &args);
    let svg = std::fs::read_to_string(&file).unwrap();
    let count = |class: &str| svg.matches(&format!("class=\"{class}\"")).count();
    // Two matches, of which one has fired; one more of each mark is in the legend.
    assert_eq!((count("waiting"), count("reported")), (2, 1), "{svg}");
    assert_eq!((count("opened"), count("due")), (3, 3), "{svg}");
    let ends = (count("fired"), count("resolved"), count("closed"));
    assert_eq!(ends, (2, 2, 0), "{svg}");
    assert!(svg.contains("stays fired → team"), "{svg}");
    // Without a window there are neither rows nor a legend for them.
    simulate(&scenario, &[], &args);
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(!svg.contains("class=\"due\""), "{svg}");
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
    let config = root().join("examples/reflexarc.toml");
    let notify = ACCEPTED_AND_GONE.split("then").next().unwrap();
    let rule = format!("{notify}notify = ['network-team']\n");
    let args = ["--config", config.to_str().unwrap()];
    let timeline = simulate(SCENARIO, &[("stays", &rule)], &args);
    let deadline = kinds(&timeline, "deadline");
    let deliveries = kinds(&timeline, "delivery");
    assert_eq!((deadline.len(), deliveries.len()), (1, 1), "{timeline:#?}");
    assert!(deliveries[0]["at"].as_str() >= deadline[0]["at"].as_str());
}
