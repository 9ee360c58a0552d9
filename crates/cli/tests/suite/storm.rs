//! A storm of 5,000 events with one root cause, beside inhibition and a silence: what arrives is
//! counted for each channel, nothing is lost, and `trace` explains where each delivery is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, eventually};

const TARGETS: &str = "\
[targets.mail]\ntype = \"file\"\npath = \"mail.ndjson\"\n\
[targets.chat]\ntype = \"file\"\npath = \"chat.ndjson\"\n\
[targets.log]\ntype = \"file\"\npath = \"log.ndjson\"\n";
/// The root cause: fires when a zone is down and not up again at once.
const ZONE: &str = r#"
when = 'name == "Zone:Down"'
by = "content.zone"
settle = "60ms"
inhibits = { labels = { tier = "eni" }, by = "content.zone" }
then = '''
send("mail", #{ zone: key });
send("chat", #{ zone: key });
'''
[not_followed_by]
when = 'name == "Zone:Up"'
within = "60ms"
"#;
/// What follows from it, for people.
const FAILED: &str = r#"
when = 'name == "Attach:Failed"'
then = '''
send("mail", #{ id: event.id });
send("chat", #{ id: event.id });
'''
[labels]
tier = "eni"
"#;
/// The same for machines, which get everything.
const AUDIT: &str = r#"
when = 'name == "Attach:Failed"'
then = 'send("log", #{ id: event.id });'
"#;
/// Of 5,000 events, one is the root cause.
const FOLLOWING: usize = 4_999;
/// Every fifth is of another zone, in which nothing is down.
const OTHER: usize = FOLLOWING / 5;

fn zone_of(number: usize) -> &'static str {
    if number.is_multiple_of(5) && number / 5 < OTHER {
        "b"
    } else {
        "a"
    }
}

fn text(name: &str, id: &str, zone: &str) -> String {
    format!(
        r#"{{"product":"ECS","id":"{id}","name":"{name}","resourceId":"{id}","content":{{"zone":"{zone}"}}}}"#
    )
}

fn post(service: &ServiceProcess, body: &str) {
    let (status, answer) = service.call("POST", "/events", body).unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// The ids that have arrived at a channel, each once.
fn arrived(workspace: &Workspace, channel: &str) -> BTreeSet<String> {
    let lines = workspace.lines(&format!("{channel}.ndjson"));
    let ids = lines
        .iter()
        .filter_map(|line| line.get("send")?.get("id")?.as_str());
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    let once: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), once.len(), "{channel} got something twice");
    once
}

/// How many messages about the root cause have arrived.
fn root_causes(workspace: &Workspace, channel: &str) -> usize {
    let lines = workspace.lines(&format!("{channel}.ndjson"));
    let is_root = |line: &&Json| line.get("send").and_then(|sent| sent.get("zone")).is_some();
    lines.iter().filter(is_root).count()
}

fn withheld(service: &ServiceProcess, target: &str) -> u64 {
    let metrics = service.call("GET", "/metrics", "").unwrap().1;
    let series = format!("reflexarc_deliveries_withheld{{target=\"{target}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn one_root_cause_is_one_message() {
    let workspace = Workspace::new(r#"log("seen");"#, TARGETS);
    for (name, rule) in [("zone", ZONE), ("failed", FAILED), ("audit", AUDIT)] {
        workspace.write(&format!("rules/{name}.toml"), rule);
    }
    let service = workspace.serve();
    post(&service, &text("Zone:Down", "root", "a"));
    eventually("the root cause is reported", || {
        (root_causes(&workspace, "mail") + root_causes(&workspace, "chat") == 2).then_some(())
    });
    let silence = [
        "silence",
        "add",
        r#"target == "chat" and event.content.zone == "b""#,
        "--for",
        "1h",
        "--owner",
        "alice",
        "--reason",
        "maintenance of zone b",
        "--yes",
    ];
    let added = workspace.run(&silence);
    assert_eq!(added.code, 0, "{}", added.stderr);

    let numbers: Vec<usize> = (0..FOLLOWING).collect();
    for batch in numbers.chunks(500) {
        let mut body = String::new();
        for number in batch {
            let id = format!("e-{number}");
            writeln!(body, "{}", text("Attach:Failed", &id, zone_of(*number))).unwrap();
        }
        post(&service, &body);
    }
    // Of each channel: what arrives, and what waits.
    let caused = FOLLOWING - OTHER;
    let counts = || {
        let channels = ["mail", "chat", "log"];
        channels.map(|channel| {
            let arrived = arrived(&workspace, channel).len();
            (
                arrived,
                usize::try_from(withheld(&service, channel)).unwrap(),
            )
        })
    };
    let expected = [(OTHER, caused), (0, FOLLOWING), (FOLLOWING, 0)];
    eventually("everything arrives or is withheld", || {
        (counts() == expected).then_some(())
    });
    for channel in ["mail", "chat"] {
        assert_eq!(root_causes(&workspace, channel), 1, "{channel}");
    }
    // Each delivery is explained.
    for number in numbers.iter().step_by(499) {
        let trace = workspace.run(&["trace", &format!("e-{number}")]).stdout;
        let (mail, chat) = match zone_of(*number) {
            "a" => ("to mail: withheld", "withheld by incident 1 of rule zone"),
            _ => (
                "to mail: delivered",
                "withheld by silence 1 (alice: maintenance of zone b)",
            ),
        };
        for expected in [mail, chat, "to chat: withheld", "to log: delivered"] {
            assert!(trace.contains(expected), "{expected}: {trace}");
        }
    }

    post(&service, &text("Zone:Up", "over", "a"));
    eventually("what was inhibited is sent", || {
        let expected = [(FOLLOWING, 0), (caused, OTHER), (FOLLOWING, 0)];
        (counts() == expected).then_some(())
    });
    let ended = workspace.run(&["silence", "end", "1", "--drop"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    eventually("what was silenced is dropped", || {
        (withheld(&service, "chat") == 0).then_some(())
    });
    let trace = workspace.run(&["trace", "e-0"]).stdout;
    assert!(trace.contains("to chat: silenced"), "{trace}");
    let letters = workspace.run(&["dlq", "list"]);
    assert_eq!(letters.code, 1, "{}", letters.stdout);
    assert_eq!(arrived(&workspace, "chat").len(), caused);
    assert_eq!(service.terminate(), 0);
}
