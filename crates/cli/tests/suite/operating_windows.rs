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

#[test]
fn traces_exports_and_replays_have_what_fired() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write("rules/waits.toml", &waits("300ms"));
    let service = workspace.serve();
    post(&service, &[("open-1", "eni-1"), ("open-2", "eni-2")]);
    eventually("both fire", || {
        (workspace.lines("out.ndjson").len() == 2).then_some(())
    });
    post(&service, &[("close-1", "eni-1")]);
    let closed = workspace.run(&["pending", "close", "waits", "eni-2", "--reason", "known"]);
    assert_eq!(closed.code, 0, "{}", closed.stderr);

    let trace = workspace.run(&["trace", "open-1"]).stdout;
    for part in ["opened, due", "firing at", "reason: fired", "action:"] {
        assert!(trace.contains(part), "{part} in {trace}");
    }
    let traced = documents(&workspace, &["trace", "open-2"]);
    let entries: Vec<String> = traced.iter().map(|found| member(found, "entry")).collect();
    assert_eq!(entries, ["event", "firing", "closed"]);
    let reason = traced[2]
        .get("detail")
        .map(|detail| member(detail, "reason"));
    assert_eq!(reason.as_deref(), Some("known"));
    assert_eq!(get(&service, "/trace/open-2").elements(), traced);

    let exported = workspace.run(&["archive", "export"]).stdout;
    assert_eq!(exported.lines().count(), 3, "{exported}");
    assert!(exported.contains(&event("open-1", "eni-1")));
    let entries = workspace.run(&["archive", "export", "--entries"]).stdout;
    let mut kinds: Vec<String> = entries
        .lines()
        .map(|line| member(&Json::parse(line).unwrap(), "entry"))
        .collect();
    kinds.sort();
    let expected = "closed event event event firing firing reload";
    assert_eq!(kinds.join(" "), expected);
    assert_eq!(documents(&workspace, &["archive", "list"]).len(), 3);
    let all = documents(&workspace, &["archive", "list", "--entries"]);
    assert_eq!(all.len(), 7);

    let verified = workspace.run(&["replay", "--verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert!(
        verified.stdout.contains("6 evaluated again, 0 different"),
        "{}",
        verified.stdout
    );
    let replayed = workspace.run(&["replay"]);
    assert_eq!(replayed.code, 0, "{}{}", replayed.stdout, replayed.stderr);
    assert!(
        replayed
            .stderr
            .contains("and 2 firings, 0 with differences"),
        "{}",
        replayed.stderr
    );

    // Other rules: what they would have done, and that the archive is of others.
    workspace.write(
        "rules/waits.toml",
        &waits("300ms").replace("fired:", "was:"),
    );
    let replayed = workspace.run(&["replay"]);
    assert_eq!(replayed.code, 1);
    assert!(
        replayed
            .stdout
            .contains(r#"+ waits: {"target":"out","send":{"#),
        "{}",
        replayed.stdout
    );
    let verified = workspace.run(&["replay", "--verify"]);
    assert_eq!(verified.code, 1);
    assert!(
        verified
            .stderr
            .contains("other rules or tables from position"),
        "{}",
        verified.stderr
    );
    assert_eq!(service.terminate(), 0);
}

#[test]
fn status_and_metrics_count_what_is_pending() {
    let workspace = Workspace::new(THEN, OUT);
    let limited = format!("max_pending = 5\n{}", waits("1h"));
    workspace.write("rules/waits.toml", &limited);
    let service = workspace.serve();
    let events = ["1", "2", "3", "4"].map(|n| (format!("open-{n}"), format!("eni-{n}")));
    let events: Vec<_> = events
        .iter()
        .map(|(id, eni)| (id.as_str(), eni.as_str()))
        .collect();
    post(&service, &events);
    let status = get(&service, "/status");
    let pending = status.get("pending").unwrap();
    assert_ne!(member(pending, "next_deadline"), "null");
    let rules = pending.get("rules").unwrap().to_string();
    assert_eq!(
        rules,
        r#"[{"rule":"waits","pending":4,"kept":0,"max_pending":5}]"#
    );
    let jump = status
        .get("clock")
        .and_then(|clock| clock.get("suspected_jump"));
    assert_eq!(jump, Some(&Json::Null));
    let metrics = service.call("GET", "/metrics", "").unwrap().1;
    let line = r#"reflexarc_rule_pending{rule="waits"} 4"#;
    assert!(metrics.contains(line), "{metrics}");
    let detail = eventually("the problem", || {
        let status = get(&service, "/status");
        let problems = status.get("problems")?.elements().to_vec();
        let mut problems = problems.iter();
        let found = problems.find(|found| member(found, "problem") == "pending_filling")?;
        Some(member(found, "detail"))
    });
    assert_eq!(detail, "4 pending and 0 remembered keys, of each at most 5");
    assert_eq!(service.terminate(), 0);
}
