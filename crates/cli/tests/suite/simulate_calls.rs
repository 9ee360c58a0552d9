//! Scenarios with rules that call operations: the simulated cloud answers them on the virtual
//! clock, and a configuration only decides which of them are made.

use serde_json::{Value, json};

use crate::reflexarc_in;

/// Deletes the interface that was created, ten minutes later.
const RULE: &str = r#"
when = 'content.operation == "CreateNetworkInterface"'
by = "content.eniId"
then = '''
call("ecs", "DescribeNetworkInterfaces", #{ NetworkInterfaceId: [key_of(event)] });
fn key_of(event) { event.content.eniId }
'''
answered = '''
log(`${call.operation} ${answer.code} ${answer.status ?? "-"}`);
if call.operation == "DescribeNetworkInterfaces" {
    let eni = answer.body?.NetworkInterfaceSets?.NetworkInterfaceSet?[0];
    if eni?.Status != "Available" { return; }
    let id = eni.NetworkInterfaceId;
    call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: id }, #{ after: "10m", key: "delete" });
}
'''
"#;

/// A scenario that creates one interface, with further lines before its step.
fn scenario(head: &str) -> String {
    format!(
        r#"{head}
[[step]]
at = "0s"
as = "tenant"
do = "CreateNetworkInterface"
name = "web"
with = {{ VSwitchId = "vsw-tenant", SecurityGroupId = "sg-tenant" }}
"#
    )
}

/// Runs a scenario with one rule and, if it is not empty, this configuration; returns the entries.
fn simulate(rule: &str, scenario: &str, config: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/delete.toml"), rule).unwrap();
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    std::fs::write(folder.path().join("reflexarc.toml"), config).unwrap();
    let mut args = vec!["simulate", "scenario.toml", "rules", "--format", "ndjson"];
    if !config.is_empty() {
        args.extend(["--config", "reflexarc.toml"]);
    }
    let outcome = reflexarc_in(folder.path(), &args, b"");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A configuration with the target `ecs`, which has these keys besides.
fn config(keys: &str) -> String {
    // The real endpoint; nothing is sent to it, and no key is read.
    format!(
        r#"
[targets.ecs]
type = "alibaba"
region = "cn-hangzhou"
credentials = {{ access_key_id = {{ env = "NOT_SET" }}, access_key_secret = {{ env = "NOT_SET" }} }}
{keys}
"#
    )
}

/// Operation, code and second of each answer.
fn answers(entries: &[Value]) -> Vec<(String, String, i64)> {
    let start: jiff::Timestamp = "2019-04-09T04:18:00Z".parse().unwrap();
    let of_kind = entries.iter().filter(|entry| entry["kind"] == "answer");
    let answer = |entry: &Value| {
        let at: jiff::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&entry["operation"]),
            text(&entry["answer"]["code"]),
            at.duration_since(start).as_secs(),
        )
    };
    of_kind.map(answer).collect()
}

fn expected(answers: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    let answers = answers.iter();
    answers
        .map(|(operation, code, at)| ((*operation).to_owned(), (*code).to_owned(), *at))
        .collect()
}

#[test]
fn the_cloud_of_a_scenario_answers_calls_on_its_clock() {
    let entries = simulate(RULE, &scenario(""), "");
    assert_eq!(
        answers(&entries),
        expected(&[
            ("DescribeNetworkInterfaces", "", 0),
            ("DeleteNetworkInterface", "", 600)
        ])
    );
    let deleted = entries
        .iter()
        .find(|entry| entry["to"] == "Deleted")
        .unwrap();
    assert_eq!(deleted["at"], "2019-04-09T04:28:01Z");
    let answer = entries
        .iter()
        .find(|entry| entry["kind"] == "answer")
        .unwrap();
    assert_eq!(answer["rule"], "delete");
    assert_eq!(answer["answer"]["body"]["TotalCount"], 1);
}

#[test]
fn an_answer_follows_its_request_and_precedes_its_rule() {
    let entries = simulate(RULE, &scenario(""), "");
    let kinds: Vec<&str> = entries
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    let first = kinds.iter().position(|kind| *kind == "answer").unwrap();
    assert_eq!(
        kinds[first - 2..=first + 1],
        ["rule", "request", "answer", "rule"]
    );
    assert_eq!(entries[first - 1]["rule"], "delete");
    assert_eq!(
        entries[first + 1]["log"],
        json!(["DescribeNetworkInterfaces  200"])
    );
}

#[test]
fn the_operations_to_allow_are_listed_at_the_end() {
    let entries = simulate(RULE, &scenario(""), "");
    let last = entries.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["target"]),
        (&json!("allow"), &json!("ecs"))
    );
    let operations = json!(["DeleteNetworkInterface", "DescribeNetworkInterfaces"]);
    assert_eq!(last["operations"], operations);
}

#[test]
fn refusals_of_the_cloud_are_answers() {
    let rule = RULE.replace("DeleteNetworkInterface", "DetachDisk");
    let entries = simulate(&rule, &scenario(""), "");
    assert_eq!(
        answers(&entries)[1..],
        expected(&[("DetachDisk", "InvalidAction.NotFound", 600)])
    );
    let rule = RULE.replace("#{ NetworkInterfaceId: id }", "#{ NetworkInterfaceId: [] }");
    let entries = simulate(&rule, &scenario(""), "");
    assert_eq!(answers(&entries)[1].1, "Undelivered");
    let rule = RULE.replace("\"DeleteNetworkInterface\"", "\"DELETE /enis/{id}\"");
    let entries = simulate(&rule, &scenario(""), "");
    assert_eq!(answers(&entries)[1].1, "Undelivered");
}

#[test]
fn a_cancelled_call_is_answered_with_that() {
    let rule = RULE.replace(
        "then = '''",
        "then = '''\nif event?.stop != () { cancel(\"delete\"); return; }",
    );
    let publish =
        r#"{"stop": true, "content": {"operation": "CreateNetworkInterface", "eniId": "ENI"}}"#;
    let id = simulate(&rule, &scenario(""), "");
    let id = id
        .iter()
        .find_map(|entry| entry["parameters"]["NetworkInterfaceId"].as_str());
    let publish = publish.replace("ENI", id.unwrap());
    let step = format!("[[step]]\nat = \"5m\"\nas = \"tenant\"\npublish = '{publish}'\n");
    let entries = simulate(&rule, &format!("{}{step}", scenario("")), "");
    assert_eq!(
        answers(&entries)[1..],
        expected(&[("DeleteNetworkInterface", "Cancelled", 300)])
    );
    // It reaches the script as any answer does, and nothing is deleted.
    let log = entries
        .iter()
        .rev()
        .find(|entry| entry["kind"] == "rule")
        .unwrap();
    assert_eq!(log["log"], json!(["DeleteNetworkInterface Cancelled -"]));
    assert!(!entries.iter().any(|entry| entry["to"] == "Deleting"));
}

#[test]
fn calls_that_answer_calls_end_after_eight_hops() {
    let again = r#"
when = 'content.operation == "CreateNetworkInterface"'
then = 'call("ecs", "DescribeNetworkInterfaces", #{ RegionId: "cn-hangzhou" })'
answered = 'call("ecs", "DescribeNetworkInterfaces", #{ RegionId: "cn-hangzhou" })'
"#;
    let entries = simulate(again, &scenario(""), "");
    assert_eq!(answers(&entries).len(), 8);
    let failure = entries
        .iter()
        .find(|entry| entry["kind"] == "failure")
        .unwrap();
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("hop 9"), "{message}");
}

#[test]
fn an_answer_without_a_script_for_it_is_noted_if_refused() {
    let rule = r#"
when = 'content.operation == "CreateNetworkInterface"'
then = '''
call("ecs", "DescribeNetworkInterfaces", #{ Status: "Available" });
call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: "eni-none" });
'''
"#;
    let entries = simulate(rule, &scenario(""), "");
    let codes: Vec<_> = answers(&entries)
        .into_iter()
        .map(|(_, code, _)| code)
        .collect();
    assert_eq!(codes, ["", "InvalidEniId.NotFound"]);
    let notes: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["kind"] == "staged")
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0]["what"]
            .as_str()
            .unwrap()
            .contains("has no `answered`")
    );
}

#[test]
fn a_configuration_decides_which_operations_are_made() {
    let codes = |keys: &str| {
        let entries = simulate(RULE, &scenario(""), &config(keys));
        assert!(entries.iter().all(|entry| entry["kind"] != "allow"));
        let is_deleted = entries.iter().any(|entry| entry["to"] == "Deleted");
        let codes = answers(&entries).into_iter().map(|(_, code, _)| code);
        (codes.collect::<Vec<_>>(), is_deleted)
    };
    assert_eq!(
        codes(""),
        (vec![String::new(), "NotAllowed".to_owned()], false)
    );
    let all = "allow = [\"*NetworkInterface*\"]";
    // Changes of the real cloud have to be switched on.
    assert_eq!(
        codes(all),
        (vec![String::new(), "DryRun".to_owned()], false)
    );
    let real = format!("{all}\ndry_run = false");
    assert_eq!(codes(&real), (vec![String::new(), String::new()], true));
    let none = format!("{real}\nmax_changes = {{ per_minute = 0 }}");
    assert_eq!(
        codes(&none),
        (vec![String::new(), "ChangeLimit".to_owned()], false)
    );
}

#[test]
fn a_dry_run_answers_with_the_request_that_it_would_send() {
    let entries = simulate(RULE, &scenario(""), &config("allow = [\"*\"]"));
    let answer = entries
        .iter()
        .rfind(|entry| entry["kind"] == "answer")
        .unwrap();
    let body = &answer["answer"]["body"];
    assert_eq!(body["action"], "DeleteNetworkInterface");
    assert_eq!(body["parameters"]["RegionId"], "cn-hangzhou");
}

#[test]
fn a_target_that_is_down_is_called_again_until_the_call_expires() {
    let keys =
        "allow = [\"*\"]\ndry_run = false\nretry = [\"1m\", \"1m\", \"1m\", \"10m\", \"10m\"]";
    let down = |lasts: &str| {
        let fault = format!("fault = {{ target = \"ecs\", outcome = \"down\"{lasts} }}");
        let scenario = scenario(&format!("[[step]]\nat = \"0s\"\n{fault}\n"));
        answers(&simulate(RULE, &scenario, &config(keys)))
    };
    let short = down(", lasts = \"2m\"");
    assert_eq!((short[0].1.as_str(), short.len()), ("", 2), "{short:?}");
    assert!((120..=180).contains(&short[0].2), "{short:?}");
    let long = down("");
    assert_eq!(
        (long[0].1.as_str(), long.len()),
        ("Undelivered", 1),
        "{long:?}"
    );
    assert!(long[0].2 <= 15 * 60, "{long:?}");
}

#[test]
fn calls_of_targets_that_take_none_are_answered() {
    let other = "[targets.ecs]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    let entries = simulate(RULE, &scenario(""), other);
    let answer = entries
        .iter()
        .find(|entry| entry["kind"] == "answer")
        .unwrap();
    assert_eq!(
        answer["answer"]["message"],
        "ecs is of type file, which takes no calls"
    );
    let entries = simulate(RULE, &scenario(""), &other.replace("ecs", "log"));
    let answer = entries
        .iter()
        .find(|entry| entry["kind"] == "answer")
        .unwrap();
    assert_eq!(
        answer["answer"]["message"],
        "unknown target `ecs`; known targets: log"
    );
}

#[test]
fn answers_are_shown_as_text_and_in_the_plot() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "delete.toml",
        &RULE.replace("DeleteNetworkInterface", "DetachDisk"),
    );
    write("scenario.toml", &scenario(""));
    let args = [
        "simulate",
        "scenario.toml",
        "delete.toml",
        "--plot",
        "timeline.svg",
    ];
    let outcome = reflexarc_in(folder.path(), &args, b"");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for line in [
        "      → ecs DescribeNetworkInterfaces {\"NetworkInterfaceId\":[",
        "  0:00:00    ← ok  ecs DescribeNetworkInterfaces of delete\n",
        "  0:10:00    ← InvalidAction.NotFound: Specified api is not found",
        "the rules need of ecs: allow = [\"DescribeNetworkInterfaces\", \"DetachDisk\"]\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}\n{}", outcome.stdout);
    }
    let svg = std::fs::read_to_string(folder.path().join("timeline.svg")).unwrap();
    assert!(
        svg.contains("DetachDisk of delete: InvalidAction.NotFound"),
        "{svg}"
    );
    assert!(svg.contains(">ecs</text>"), "{svg}");
}
