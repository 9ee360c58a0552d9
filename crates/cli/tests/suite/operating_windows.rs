//! Operating rules that wait: what is pending, what fired, and why.

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const THEN: &str = r#"log("seen");"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// The events are late by years, so that `settle` takes the place of `grace`.
fn waits(settle: &str) -> String {
    format!(
        r#"
when = 'id starts with "open"'
by = "content.eniId"
settle = "{settle}"
then = 'send("out", #{{ fired: key, count: count }});'
resolved = 'send("out", #{{ resolved: key }});'
[not_followed_by]
when = 'id starts with "close"'
within = "300ms"
"#
    )
}

const COUNTS: &str = r#"
when = 'id starts with "many"'
by = ["content.eniId", "content.result"]
count = { at_least = 3, within = "1h" }
then = 'log("many");'
"#;

fn post(service: &ServiceProcess, events: &[(&str, &str)]) {
    let lines: Vec<String> = events.iter().map(|(id, eni)| event(id, eni)).collect();
    let (status, body) = service.call("POST", "/events", &lines.join("\n")).unwrap();
    assert_eq!(status, 200, "{body}");
}

/// The documents of a command in NDJSON.
fn documents(workspace: &Workspace, args: &[&str]) -> Vec<Json> {
    let outcome = workspace.run(&[args, &["--format", "ndjson"]].concat());
    let lines = outcome.stdout.lines();
    lines.map(|line| Json::parse(line).unwrap()).collect()
}

fn get(service: &ServiceProcess, path: &str) -> Json {
    let (status, body) = service.call("GET", path, "").unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    Json::parse(&body).unwrap()
}

fn member(document: &Json, name: &str) -> String {
    let value = document.get(name).unwrap_or(&Json::Null);
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn pending_matches_are_listed_shown_and_closed() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", &waits("1h"));
    workspace.write("rules/counts.toml", COUNTS);
    let service = workspace.serve();
    let empty = workspace.run(&["pending", "list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, ""));
    assert!(
        empty.stderr.contains("nothing is pending"),
        "{}",
        empty.stderr
    );
    post(
        &service,
        &[
            ("open-1", "eni-1"),
            ("open-1b", "eni-1"),
            ("open-2", "eni-2"),
            ("many-1", "eni-1"),
        ],
    );
    let all = documents(&workspace, &["pending", "list"]);
    assert_eq!(all.len(), 3);
    let shown: Vec<String> = all
        .iter()
        .map(|found| {
            let names = ["rule", "key", "window", "event", "count", "status"];
            names.map(|name| member(found, name)).join(" ")
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"counts ["eni-1","failed"] count many-1 1 pending"#,
            "waits eni-1 not_followed_by open-1 2 pending",
            "waits eni-2 not_followed_by open-2 1 pending",
        ]
    );
    assert_eq!(member(&all[1], "opened"), "2019-04-09T04:18:26.922Z");
    assert_eq!(
        all[0].get("due"),
        Some(&Json::Null),
        "it fires with an event"
    );

    let select =
        |args: &[&str]| documents(&workspace, &[&["pending", "list"], args].concat()).len();
    assert_eq!(select(&["--rule", "waits"]), 2);
    assert_eq!(select(&["--key", "eni-1"]), 1);
    assert_eq!(select(&["--key", r#"["eni-1","failed"]"#]), 1);
    assert_eq!(select(&["--due-before", "2h"]), 2);
    assert_eq!(select(&["--due-before", "5m"]), 0);
    assert_eq!(select(&["--limit", "1"]), 1);
    let human = workspace.run(&["pending", "list"]).stdout;
    assert!(
        human.contains("with an event") && human.contains("open-2"),
        "{human}"
    );

    let of_service = get(&service, "/pending?rule=waits&key=eni-1");
    assert_eq!(of_service.elements(), &all[1..2]);
    assert_eq!(get(&service, "/pending").elements(), all);
    assert_eq!(get(&service, "/pending/waits/eni-1"), all[1]);
    let (status, _) = service.call("GET", "/pending/waits/eni-9", "").unwrap();
    assert_eq!(status, 404);
    let (status, _) = service.call("GET", "/pending?due_before=x", "").unwrap();
    assert_eq!(status, 400);
    let show = workspace.run(&["pending", "show", "waits", "eni-1"]);
    assert!(
        show.stdout.contains("window:   not_followed_by"),
        "{}",
        show.stdout
    );

    let path = "/pending/waits/eni-1/close?reason=known";
    let (status, body) = service.call("POST", path, "").unwrap();
    assert_eq!((status, Json::parse(&body).unwrap()), (200, all[1].clone()));
    assert!(service.log().contains("an operator closed a match"));
    assert_eq!(service.call("POST", path, "").unwrap().0, 404);
    let closed = workspace.run(&["pending", "close", "waits", "eni-2", "--reason", "moved"]);
    assert_eq!((closed.code, closed.stdout.as_str()), (0, "1 closed\n"));
    let again = workspace.run(&["pending", "close", "waits", "eni-2"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert_eq!(select(&[]), 1);
    assert_eq!(
        workspace.run(&["pending", "close", "counts", "--all"]).code,
        0
    );
    assert_eq!(workspace.run(&["pending", "list"]).code, 1);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn pages_of_pending_matches_are_linked() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", &waits("1h"));
    let service = workspace.serve();
    post(
        &service,
        &[("open-1", "a/1"), ("open-2", "b&2"), ("open-3", "c")],
    );
    let (mut keys, mut path) = (Vec::new(), "/pending?rule=waits&limit=2".to_owned());
    let mut pages = 0;
    loop {
        let (link, body) = service.client.call_with_link(&path).unwrap();
        let page = Json::parse(&body).unwrap();
        keys.extend(page.elements().iter().map(|found| member(found, "key")));
        pages += 1;
        match link {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(keys, ["a/1", "b&2", "c"]);
    assert_eq!(pages, 2);
    assert_eq!(member(&get(&service, "/pending/waits/a%2F1"), "key"), "a/1");
    assert_eq!(service.terminate(), 0);
}

#[test]
fn what_has_fired_is_listed_until_resolved() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", &waits("300ms"));
    let service = workspace.serve();
    post(&service, &[("open-1", "eni-1")]);
    eventually("it fires", || {
        let fired = documents(&workspace, &["pending", "list", "--fired"]);
        let status = fired.first().map(|found| member(found, "status"));
        (status.as_deref() == Some("fired")).then_some(())
    });
    assert_eq!(workspace.run(&["pending", "list"]).code, 1);
    let found = documents(&workspace, &["pending", "show", "waits", "eni-1"]);
    assert_ne!(member(&found[0], "fired"), "null");
    post(&service, &[("close-1", "eni-1")]);
    assert!(documents(&workspace, &["pending", "list", "--fired"]).is_empty());
    assert_eq!(service.terminate(), 0);
}
