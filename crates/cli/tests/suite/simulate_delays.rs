//! Scenarios with rules that delay actions: they are delivered on the virtual clock, or cancelled.

use serde_json::Value;

use crate::{reflexarc_in, root};

/// Delays, and what cancels: the names of the events say what to do.
const RULE: &str = r#"
when = 'id exists'
by = "eni"
then = '''
if event.id == "cancel" { cancel("later"); return; }
notify("network-team", #{ text: event.id, after: "1m", key: "later" });
call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: "none" }, #{ after: "2m" });
'''
"#;

/// A scenario that publishes events with these ids and ENIs at these seconds.
fn scenario(head: &str, events: &[(u32, &str, &str)]) -> String {
    let steps = events.iter().map(|(at, id, eni)| {
        format!(
            "[[step]]\nat = \"{at}s\"\nas = \"tenant\"\npublish = '{{\"id\": \"{id}\", \"eni\": \"{eni}\"}}'\n"
        )
    });
    format!("{head}\n{}", steps.collect::<String>())
}

/// Runs a scenario and returns the entries of these kinds: the kind, the second, and the text of
/// the action or the name of its target.
fn simulate(scenario: &str, kinds: &[&str], args: &[&str]) -> Vec<(String, i64, String)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/delays.toml"), RULE).unwrap();
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    let fixed = ["simulate", "scenario.toml", "rules", "--format", "ndjson"];
    let outcome = reflexarc_in(folder.path(), &[&fixed, args].concat(), b"");
    assert!(matches!(outcome.code, 0 | 1), "{}", outcome.stderr);
    let start: jiff::Timestamp = "2019-04-09T04:18:00Z".parse().unwrap();
    let entry = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let kind = entry["kind"].as_str().unwrap().to_owned();
        let at: jiff::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
        let what = [
            &entry["action"]["text"],
            &entry["action"]["target"],
            &entry["target"],
        ];
        let what = what.into_iter().find_map(Value::as_str);
        let what = what.unwrap_or_default().to_owned();
        let second = at.duration_since(start).as_secs();
        kinds
            .contains(&kind.as_str())
            .then_some((kind, second, what))
    };
    outcome.stdout.lines().filter_map(entry).collect()
}

fn entries(expected: &[(&str, i64, &str)]) -> Vec<(String, i64, String)> {
    let owned = expected.iter();
    owned
        .map(|(kind, at, what)| ((*kind).to_owned(), *at, (*what).to_owned()))
        .collect()
}

const KINDS: [&str; 3] = ["due", "cancelled", "waiting"];

#[test]
fn delayed_actions_take_effect_when_they_are_due() {
    let scenario = scenario("", &[(0, "first", "eni-1")]);
    let kinds = ["due", "request"];
    // The call is made two minutes later, although no event comes then.
    assert_eq!(
        simulate(&scenario, &kinds, &[]),
        entries(&[
            ("due", 60, "first"),
            ("due", 120, "ecs"),
            ("request", 120, ""),
        ])
    );
}

#[test]
fn delayed_actions_are_cancelled_for_their_key_only() {
    let events = [
        (0, "first", "eni-1"),
        (0, "other", "eni-2"),
        (30, "cancel", "eni-1"),
    ];
    let steps = simulate(&scenario("until = \"90s\"", &events), &KINDS, &[]);
    let expected = [
        ("cancelled", 30, "first"),
        ("due", 60, "other"),
        ("waiting", 90, "ecs"),
        ("waiting", 90, "ecs"),
    ];
    assert_eq!(steps, entries(&expected));
}

#[test]
fn an_event_at_the_time_of_an_action_cancels_it() {
    let events = [(0, "first", "eni-1"), (60, "cancel", "eni-1")];
    let steps = simulate(&scenario("until = \"61s\"", &events), &KINDS[..2], &[]);
    assert_eq!(steps, entries(&[("cancelled", 60, "first")]));
}

#[test]
fn an_action_replaces_the_one_with_its_name() {
    let events = [(0, "first", "eni-1"), (30, "second", "eni-1")];
    let steps = simulate(&scenario("until = \"100s\"", &events), &KINDS[..2], &[]);
    let expected = [("cancelled", 30, "first"), ("due", 90, "second")];
    assert_eq!(steps, entries(&expected));
}

#[test]
fn delayed_actions_are_delivered_when_they_are_due() {
    let config = root().join("examples/reflexarc.toml");
    let args = ["--config", config.to_str().unwrap()];
    let events = [
        (0, "first", "eni-1"),
        (0, "other", "eni-2"),
        (30, "cancel", "eni-1"),
    ];
    let steps = simulate(
        &scenario("", &events),
        &["delivery", "answer", "cancelled"],
        &args,
    );
    let expected = [
        ("cancelled", 30, "first"),
        ("delivery", 60, "network-team"),
        ("answer", 120, "ecs"),
        ("answer", 120, "ecs"),
    ];
    assert_eq!(steps, entries(&expected));
}
