//! Deliveries in a simulation: the service's rate limits, retries and dead letters on the virtual
//! clock.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

const CONFIG: &str = r#"
rules = "rules"
[targets.team]
type = "dingtalk"
token = { env = "A_TOKEN_THAT_IS_NOT_SET" }
[targets.mail]
type = "email"
host = "smtp.example.com"
from = "a@example.com"
to = "b@example.com"
[targets.desk]
type = "email"
host = "smtp.example.com"
from = "a@example.com"
to = "b@example.com"
subject = "{{ title }}: {{ 1 // (title | int) }}"
retry = ["10s"]
"#;

/// Runs a scenario with one rule for every published event: exit code, JSON output, stderr.
fn simulate(then: &str, scenario: &str) -> (i32, Vec<Value>, String) {
    simulate_window("", then, scenario)
}

/// The same with a time window of the rule.
fn simulate_window(window: &str, then: &str, scenario: &str) -> (i32, Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    write(
        "rules/r.toml",
        &format!("when = 'name == \"Test:Event\"'\n{window}\nthen = '''\n{then}\n'''\n"),
    );
    write("reflexarc.toml", CONFIG);
    write("scenario.toml", scenario);
    let args = [
        "simulate",
        "scenario.toml",
        "--config",
        "reflexarc.toml",
        "--format",
        "ndjson",
    ];
    let run = crate::reflexarc_in(folder.path(), &args, b"");
    let entries = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (run.code, entries, run.stderr)
}

fn publish(at: &str, number: usize) -> String {
    format!(
        r#"
[[step]]
at = "{at}"
as = "tenant"
publish = '{{"name": "Test:Event", "number": "{number}"}}'
"#
    )
}

/// A step that injects a fault at the start.
fn fault(table: &str) -> String {
    format!("[[step]]\nat = \"0s\"\nfault = {table}\n")
}

fn deliveries(entries: &[Value]) -> Vec<&Value> {
    entries
        .iter()
        .filter(|entry| entry["kind"] == "delivery")
        .collect()
}

/// Seconds since the scenario's start, which is a full minute.
fn second(entry: &Value) -> i64 {
    let at: jiff::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
    at.as_second()
        - "2019-04-09T04:18:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second()
}

#[test]
fn a_rate_limited_target_gets_single_messages_and_digests() {
    let mut scenario = String::new();
    for number in 0..90 {
        let _ = writeln!(scenario, "{}", publish(&format!("{}s", number / 3), number));
    }
    let (code, entries, stderr) = simulate("notify(\"team\", event.number);", &scenario);
    assert_eq!(code, 0, "{stderr}");
    let calls = deliveries(&entries);
    let carried = |call: &Value| call["deliveries"].as_array().unwrap().len();
    assert_eq!(calls.iter().map(|call| carried(call)).sum::<usize>(), 90);
    assert!(
        calls
            .iter()
            .all(|call| call["outcome"] == "delivered" && call["type"] == "dingtalk")
    );
    assert_eq!(
        calls.iter().take_while(|call| carried(call) == 1).count(),
        15
    );
    assert!(calls.len() <= 21, "{} calls", calls.len());
    for call in &calls {
        let minute = second(call)..second(call) + 60;
        assert!(
            calls
                .iter()
                .filter(|other| minute.contains(&second(other)))
                .count()
                <= 20
        );
    }
    let digest = calls.iter().find(|call| carried(call) > 1).unwrap();
    assert!(
        digest["message"]["markdown"]["title"]
            .as_str()
            .unwrap()
            .ends_with(" messages"),
        "{digest}"
    );
}

#[test]
fn a_flood_of_firings_is_merged() {
    let window = "by = 'number'\ncount = { at_least = 1, within = '1m' }";
    let then = "notify(\"team\", key); notify(\"mail\", key);";
    // 60 keys within two seconds, and one after a minute and a half.
    let mut scenario = String::new();
    for number in 0..60 {
        let at = if number < 30 { "1s" } else { "2s" };
        let _ = writeln!(scenario, "{}", publish(at, number));
    }
    let _ = writeln!(scenario, "{}", publish("91s", 99));
    let (code, entries, stderr) = simulate_window(window, then, &scenario);
    assert_eq!(code, 0, "{stderr}");
    let calls = |target: &str| -> Vec<(i64, usize)> {
        let calls = deliveries(&entries);
        let calls = calls.iter().filter(|call| call["target"] == target);
        let carried = |call: &Value| call["deliveries"].as_array().unwrap().len();
        calls.map(|call| (second(call), carried(call))).collect()
    };
    // The mails of 20 firings, those of 40 more when the minute is over, and the late one.
    let mails = calls("mail");
    assert_eq!(mails.len(), 22, "{mails:?}");
    assert!(mails[..20].iter().all(|call| *call == (1, 1)), "{mails:?}");
    assert_eq!(mails[20..], [(61, 40), (121, 1)]);
    let merged = deliveries(&entries);
    let merged = merged
        .iter()
        .find(|call| call["target"] == "mail" && second(call) == 61);
    let message = &merged.unwrap()["message"];
    assert_eq!(message["subject"], "40 more firings of r");
    let text = message["text"].as_str().unwrap();
    assert!(text.contains("\n- 39\nand 20 more\n"), "{text}");
    // A robot has fewer calls than 20 besides: they are in one message, each with its text.
    assert_eq!(calls("team"), [(1, 20), (61, 40), (121, 1)]);
}

#[test]
fn a_throttled_robot_is_not_called_for_ten_minutes() {
    let fault = fault(r#"{ target = "team", outcome = "throttle", lasts = "1m" }"#);
    let scenario = format!("{fault}{}{}", publish("1s", 1), publish("2m", 2));
    let (_, entries, _) = simulate("notify(\"team\", event.number);", &scenario);
    let calls: Vec<(i64, &str)> = deliveries(&entries)
        .iter()
        .map(|call| (second(call), call["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        calls,
        [(1, "throttled"), (601, "delivered"), (601, "delivered")]
    );
}

#[test]
fn render_errors_are_dead_letters_and_failures_retried() {
    let fault = fault(r#"{ target = "desk", outcome = "down" }"#);
    let then = "notify(\"desk\", #{ title: event.number, text: \"x\" });";
    let (_, entries, _) = simulate(
        then,
        &format!("{fault}{}{}", publish("1s", 1), publish("2s", 0)),
    );
    let calls = deliveries(&entries);
    let attempts: Vec<(&str, &Value)> = calls
        .iter()
        .map(|call| (call["outcome"].as_str().unwrap(), &call["deliveries"][0]))
        .collect();
    assert_eq!(
        (attempts[0].0, attempts[1].0, attempts[2].0),
        ("failed", "misconfigured", "failed"),
        "{attempts:#?}"
    );
    assert!(
        attempts[0].1["retryAt"]
            .as_str()
            .unwrap()
            .starts_with("2019-04-09T04:18:1"),
        "{attempts:#?}"
    );
    assert!(
        attempts[1].1["deadLetter"]
            .as_str()
            .unwrap()
            .contains("template subject"),
        "{attempts:#?}"
    );
    assert_eq!(
        attempts[2].1["deadLetter"],
        "gave up after 2 attempts: no response"
    );
    assert_eq!(calls[0]["message"]["subject"], "1: 1");
}

#[test]
fn unknown_targets_are_reported() {
    let (code, entries, _) = simulate("notify(\"unknown\", \"x\");", &publish("0s", 1));
    assert_eq!(code, 0);
    let calls = deliveries(&entries);
    assert_eq!(
        (calls[0]["type"].as_str(), calls[0]["outcome"].as_str()),
        (Some("none"), Some("misconfigured"))
    );
    assert!(
        calls[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("unknown target `unknown`"),
        "{}",
        calls[0]
    );

    let fault = fault(r#"{ target = "unknown", outcome = "down" }"#);
    let (code, _, stderr) = simulate("notify(\"team\", \"x\");", &fault);
    assert_eq!(code, 3);
    assert!(
        stderr.contains("invalid fault in the scenario: unknown target `unknown`"),
        "{stderr}"
    );
}

#[test]
fn the_end_reports_waiting_deliveries() {
    let fault = fault(r#"{ target = "team", outcome = "down" }"#);
    let (_, entries, _) = simulate(
        "notify(\"team\", \"x\");",
        &format!("until = \"20s\"\n{fault}{}", publish("0s", 1)),
    );
    let last = entries.last().unwrap();
    assert_eq!(
        last["what"],
        "end of the scenario; deliveries still waiting: 1"
    );
    assert!(deliveries(&entries).iter().all(|call| second(call) <= 20));
}

#[test]
fn a_plot_has_a_row_for_each_target() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timeline.svg");
    let scenario = "examples/scenarios/target-down.toml";
    let args = [
        "simulate",
        scenario,
        "--config",
        "examples/reflexarc.toml",
        "--plot",
        path(&file),
    ];
    assert_eq!(crate::reflexarc(&args).code, 0);
    let svg = std::fs::read_to_string(&file).unwrap();
    let count = |class: &str| svg.matches(&format!("class=\"{class}\"")).count();
    // One of each is in the legend.
    assert_eq!((count("delivered"), count("undelivered")), (5, 12));
    // In three parts: one row for the interface, one for the faults, one for each of three targets,
    // of which one answers calls, and one for each of four matches, where they have something.
    assert_eq!(
        (count("row"), svg.matches(">target</text>").count()),
        (20, 6)
    );
    for target in ["ecs", "cmdb", "network-team"] {
        assert!(svg.contains(&format!("class=\"row\">{target}</text>")));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
