//! Operating incidents: listed, acknowledged and closed.

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const TARGETS: &str = "\
[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
[targets.boss]\ntype = \"file\"\npath = \"boss.ndjson\"\n";

/// The events are late by years, so that `settle` takes the place of `grace`.
const RULE: &str = r#"
when = 'id starts with "open"'
by = "content.eniId"
settle = "50ms"
then = '''
send("out", #{ fired: key });
send("boss", #{ escalated: key }, #{ after: "1h" });
'''
resolved = 'send("out", #{ resolved: key });'
[not_followed_by]
when = 'id starts with "close"'
within = "50ms"
"#;

fn post(service: &ServiceProcess, id: &str, eni: &str) {
    let (status, body) = service.call("POST", "/events", &event(id, eni)).unwrap();
    assert_eq!(status, 200, "{body}");
}

fn get(service: &ServiceProcess, path: &str) -> Json {
    let (status, body) = service.call("GET", path, "").unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    Json::parse(&body).unwrap()
}

fn text(document: &Json, name: &str) -> String {
    let value = document.get(name).unwrap_or(&Json::Null);
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn incidents_are_listed_acknowledged_and_closed() {
    let workspace = Workspace::new(r#"log("seen");"#, TARGETS);
    workspace.write("rules/stuck.toml", RULE);
    let service = workspace.serve();
    let none = workspace.run(&["incident", "list", "--open"]);
    assert_eq!(none.code, 1, "{}", none.stderr);
    assert!(none.stderr.contains("no such incidents"), "{}", none.stderr);
    for number in 1..=3 {
        post(
            &service,
            &format!("open-{number}"),
            &format!("eni-{number}"),
        );
    }
    let incidents = eventually("three incidents are open", || {
        let incidents = get(&service, "/incidents?open=true");
        (incidents.elements().len() == 3).then_some(incidents)
    });
    let id_of = |eni: &str| {
        let mut all = incidents.elements().iter();
        text(all.find(|one| text(one, "key") == eni).unwrap(), "id")
    };
    let [first, second, third] = ["eni-1", "eni-2", "eni-3"].map(id_of);

    // Escalation stops for the one that is acknowledged, and the others go on.
    let path = format!("/incidents/{first}/ack?note=on%20it");
    let (status, body) = service.call("POST", &path, "").unwrap();
    assert_eq!(status, 200, "{body}");
    let acknowledged = Json::parse(&body).unwrap();
    assert_eq!(text(&acknowledged, "status"), "acknowledged");
    assert_eq!(text(&acknowledged, "note"), "on it");
    let deliveries = acknowledged.get("deliveries").unwrap().elements();
    let boss = deliveries.iter().find(|one| text(one, "target") == "boss");
    assert_eq!(text(boss.unwrap(), "status"), "cancelled");
    assert_eq!(text(boss.unwrap(), "phase"), "fired");
    assert_eq!(text(boss.unwrap(), "incident"), first);
    let (status, _) = service.call("POST", &path, "").unwrap();
    assert_eq!(status, 409, "it was acknowledged before");
    let long = format!("/incidents/{second}/ack?note={}", "x".repeat(1_025));
    let (status, body) = service.call("POST", &long, "").unwrap();
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("longer than 1024 bytes"), "{body}");
    let ack = workspace.run(&["incident", "ack", &second, "--note", "looking"]);
    assert_eq!(
        (ack.code, ack.stdout.as_str()),
        (
            0,
            &*format!("incident {second} acknowledged; 1 delayed action cancelled\n")
        ),
        "{}",
        ack.stderr
    );
    let waiting = workspace.run(&["outbox", "list"]);
    assert_eq!(
        waiting.stdout.matches("boss").count(),
        1,
        "{}",
        waiting.stdout
    );

    let metrics = service.call("GET", "/metrics", "").unwrap().1;
    assert!(
        metrics.contains("reflexarc_incidents_open{rule=\"stuck\"} 3"),
        "{metrics}"
    );
    let status = get(&service, "/status");
    let counts = status.get("incidents").unwrap().to_string();
    assert_eq!(counts, r#"[{"rule":"stuck","open":3}]"#);

    // One is resolved, one closed.
    post(&service, "close-1", "eni-1");
    let closed = workspace.run(&["incident", "close", &third, "--reason", "moved"]);
    assert_eq!(closed.code, 0, "{}", closed.stderr);
    assert_eq!(workspace.run(&["incident", "close", &third]).code, 1);
    assert_eq!(workspace.run(&["incident", "close", "4711"]).code, 1);
    let list = workspace.run(&["incident", "list"]).stdout;
    for status in ["resolved", "acknowledged", "closed"] {
        assert_eq!(list.matches(status).count(), 1, "{list}");
    }
    let shown = workspace.run(&["incident", "show", &third]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains("reason:          moved"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("boss"), "{}", shown.stdout);
    let trace = workspace.run(&["trace", "open-1"]).stdout;
    let of_incident = format!("of incident {first}: fired");
    assert!(trace.contains(&of_incident), "{trace}");
    let open = workspace
        .run(&["incident", "list", "--open", "--rule", "stuck"])
        .stdout;
    assert_eq!(open.lines().count(), 2, "{open}");

    // What was closed begins again with the next event.
    post(&service, "open-3b", "eni-3");
    eventually("another incident is open", || {
        let incidents = get(&service, "/incidents?open=true&rule=stuck&limit=10");
        (incidents.elements().len() == 2).then_some(())
    });
    assert_eq!(service.terminate(), 0);
}

#[test]
fn an_escalation_that_a_silence_withholds_is_cancelled_too() {
    let workspace = Workspace::new(r#"log("seen");"#, TARGETS);
    workspace.write("rules/stuck.toml", &RULE.replace("1h", "100ms"));
    let service = workspace.serve();
    let silence =
        r#"{"pattern": "target == \"boss\"", "for": "1h", "reason": "r", "confirm": true}"#;
    let (status, answer) = service.call("POST", "/silences", silence).unwrap();
    assert_eq!(status, 201, "{answer}");
    post(&service, "open-1", "eni-1");
    eventually("the escalation is withheld", || {
        (workspace.run(&["outbox", "list", "--withheld"]).code == 0).then_some(())
    });
    let ack = workspace.run(&["incident", "ack", "1"]);
    let expected = "incident 1 acknowledged; 1 delayed action cancelled\n";
    assert_eq!(ack.stdout, expected, "{}", ack.stderr);
    assert_eq!(workspace.run(&["outbox", "list", "--withheld"]).code, 1);

    let (status, answer) = service.call("POST", "/silences/1/end", "").unwrap();
    assert_eq!(status, 200, "{answer}");
    post(&service, "open-2", "eni-2");
    eventually("what is not acknowledged is escalated", || {
        (!workspace.lines("boss.ndjson").is_empty()).then_some(())
    });
    let boss = workspace.lines("boss.ndjson");
    let sent: Vec<_> = boss.iter().filter_map(|line| line.get("send")).collect();
    let expected = Json::object([("escalated", "eni-2".into())]);
    assert_eq!(sent, [&expected]);
    assert_eq!(service.terminate(), 0);
}
