//! Rules with `inhibits`: while they have open incidents, deliveries of others wait.

use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
/// Fires for each interface that is down for some milliseconds, until it is up.
const ZONE: &str = r#"
when = 'id starts with "down"'
by = "content.eniId"
settle = "60ms"
inhibits = { rules = ["stuck"], by = "content.eniId", max_age = "MAX_AGE" }
then = 'send("out", #{ down: key });'
[not_followed_by]
when = 'id starts with "up"'
within = "60ms"
"#;
const STUCK: &str =
    "when = 'id starts with \"stuck\"'\nthen = 'send(\"out\", #{ id: event.id });'\n";
/// Is resolved by a later event.
const FLAPPING: &str = r#"
when = 'id starts with "slow"'
by = "content.eniId"
settle = "60ms"
then = 'send("out", #{ slow: key });'
resolved = 'send("out", #{ fast: key });'
[not_followed_by]
when = 'id starts with "fast"'
within = "60ms"
"#;

fn serve(max_age: &str) -> (Workspace, ServiceProcess) {
    let workspace = Workspace::new(r#"log("seen");"#, OUT);
    workspace.write("rules/zone.toml", &ZONE.replace("MAX_AGE", max_age));
    workspace.write("rules/stuck.toml", STUCK);
    workspace.write("rules/flapping.toml", FLAPPING);
    let service = workspace.serve();
    (workspace, service)
}

fn post(service: &ServiceProcess, id: &str, eni: &str) {
    let (status, answer) = service.call("POST", "/events", &event(id, eni)).unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// The values of a member in what has arrived.
fn arrived(workspace: &Workspace, member: &str) -> Vec<String> {
    let lines = workspace.lines("out.ndjson");
    let values = lines
        .iter()
        .filter_map(|line| line.get("send")?.get(member));
    values.filter_map(Json::as_str).map(str::to_owned).collect()
}

#[test]
fn deliveries_wait_while_an_incident_is_open() {
    let (workspace, service) = serve("1h");
    post(&service, "down-1", "eni-1");
    eventually("the incident is open", || {
        (arrived(&workspace, "down") == ["eni-1"]).then_some(())
    });
    post(&service, "stuck-1", "eni-1");
    post(&service, "stuck-2", "eni-2");
    eventually("the other one is sent", || {
        (arrived(&workspace, "id") == ["stuck-2"]).then_some(())
    });
    eventually("one is withheld", || {
        (workspace.run(&["outbox", "list", "--withheld"]).code == 0).then_some(())
    });
    let trace = workspace.run(&["trace", "stuck-1"]).stdout;
    assert!(trace.contains("to out: withheld"), "{trace}");
    assert!(
        trace.contains("withheld by incident 1 of rule zone since"),
        "{trace}"
    );
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(arrived(&workspace, "id"), ["stuck-2"]);
    post(&service, "up-1", "eni-1");
    eventually("it is sent when the incident has ended", || {
        (arrived(&workspace, "id") == ["stuck-2", "stuck-1"]).then_some(())
    });
    let trace = workspace.run(&["trace", "stuck-1"]).stdout;
    assert!(trace.contains("to out: delivered"), "{trace}");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn deliveries_wait_for_max_age_at_most() {
    let (workspace, service) = serve("6s");
    post(&service, "down-1", "eni-1");
    eventually("the incident is open", || {
        (arrived(&workspace, "down") == ["eni-1"]).then_some(())
    });
    post(&service, "stuck-1", "eni-1");
    eventually("it is withheld", || {
        (workspace.run(&["outbox", "list", "--withheld"]).code == 0).then_some(())
    });
    eventually("it is sent although the incident is open", || {
        (arrived(&workspace, "id") == ["stuck-1"]).then_some(())
    });
    assert_eq!(workspace.run(&["incident", "list", "--open"]).code, 0);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn what_is_resolved_before_it_was_sent_is_not_sent() {
    let (workspace, service) = serve("1h");
    let silence =
        r#"{"pattern": "rule == \"flapping\"", "for": "1h", "reason": "r", "confirm": true}"#;
    let (status, answer) = service.call("POST", "/silences", silence).unwrap();
    assert_eq!(status, 201, "{answer}");
    post(&service, "slow-1", "eni-1");
    eventually("it is withheld", || {
        (workspace.run(&["outbox", "list", "--withheld"]).code == 0).then_some(())
    });
    post(&service, "fast-1", "eni-1");
    eventually("both are ended", || {
        (workspace.run(&["outbox", "list", "--withheld"]).code == 1).then_some(())
    });
    let trace = workspace.run(&["trace", "slow-1"]).stdout;
    assert!(
        trace.contains("silenced: resolved before it was sent"),
        "{trace}"
    );
    let (status, answer) = service.call("POST", "/silences/1/end", "").unwrap();
    assert_eq!(status, 200, "{answer}");
    post(&service, "stuck-9", "eni-9");
    eventually("what comes later is sent", || {
        (arrived(&workspace, "id") == ["stuck-9"]).then_some(())
    });
    assert_eq!(arrived(&workspace, "slow"), [""; 0]);
    assert_eq!(arrived(&workspace, "fast"), [""; 0]);
    assert_eq!(service.terminate(), 0);
}
