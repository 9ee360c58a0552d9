//! Crashes with open incidents: none is lost or doubled, and acknowledgements stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{HttpClient, ServiceProcess, Workspace, event, eventually, lives};

const TARGETS: &str = "\
[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
[targets.boss]\ntype = \"file\"\npath = \"boss.ndjson\"\n";

/// Each interface is opened; those with an odd number are closed in the next request, when they
/// may have fired.
const RULE: &str = r#"
when = 'id starts with "open"'
by = "content.eniId"
settle = "60ms"
then = '''
send("out", #{ fired: key });
send("boss", #{ escalated: key }, #{ after: "9h" });
'''
resolved = 'send("out", #{ resolved: key });'
[not_followed_by]
when = 'id starts with "close"'
within = "60ms"
"#;

/// Number of interfaces in one request.
const BATCH: usize = 4;

fn request(first: usize) -> String {
    let opened = first..first + BATCH;
    let mut lines: Vec<String> = opened
        .map(|number| event(&format!("open-{number}"), &format!("eni-{number}")))
        .collect();
    // Those of the request before.
    for number in first.saturating_sub(BATCH)..first {
        if number % 2 == 1 {
            lines.push(event(&format!("close-{number}"), &format!("eni-{number}")));
        }
    }
    lines.join("\n")
}

/// Posts requests and acknowledges incidents until the service dies. Returns the first number
/// without a response, and the incidents whose acknowledgement was confirmed.
fn work_until_dead(client: HttpClient, mut next: usize) -> (usize, BTreeSet<i64>) {
    let mut acknowledged = BTreeSet::new();
    loop {
        match client.call("POST", "/events", &request(next)) {
            Some((200, _)) => next += BATCH,
            Some((status, answer)) => panic!("{status}: {answer}"),
            None => return (next, acknowledged),
        }
        let Some((200, list)) = client.call("GET", "/incidents?open=true&limit=3", "") else {
            return (next, acknowledged);
        };
        for incident in Json::parse(&list).unwrap().elements() {
            let id = incident.get("id").and_then(Json::as_i64).unwrap();
            let path = format!("/incidents/{id}/ack");
            match client.call("POST", &path, "") {
                Some((200, _)) => {
                    acknowledged.insert(id);
                }
                // Acknowledged before, or resolved meanwhile.
                Some((status, answer)) => assert_eq!(status, 409, "{answer}"),
                None => return (next, acknowledged),
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_while_working(
    workspace: &Workspace,
    rounds: usize,
) -> (ServiceProcess, usize, BTreeSet<i64>) {
    let (mut next, mut acknowledged) = (0, BTreeSet::new());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut round = 0;
    // On a slow machine more and longer rounds, until there is something to look at.
    while round < rounds || acknowledged.is_empty() {
        round += 1;
        let mut service = workspace.serve();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let client = service.client;
        let working = std::thread::spawn(move || work_until_dead(client, next));
        std::thread::sleep(lives(random, round, rounds));
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        let (reached, confirmed) = working.join().unwrap();
        next = reached;
        acknowledged.extend(confirmed);
    }
    let service = workspace.serve();
    let (status, body) = service.call("POST", "/events", &request(next)).unwrap();
    assert_eq!(status, 200, "{body}");
    (service, next + BATCH, acknowledged)
}

/// The number of the interface.
fn number_of(key: &Json) -> usize {
    let eni = key.as_str().unwrap();
    eni.strip_prefix("eni-").unwrap().parse().unwrap()
}

/// The ids of the deliveries with this member, by interface.
fn ids_of(lines: &[Json], member: &str) -> BTreeMap<usize, BTreeSet<String>> {
    let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let Some(key) = line.get("send").and_then(|sent| sent.get(member)) else {
            continue;
        };
        let id = line.get("id").and_then(Json::as_str).unwrap().to_owned();
        ids.entry(number_of(key)).or_default().insert(id);
    }
    ids
}

#[test]
fn after_kills_every_firing_has_its_incident() {
    let rounds =
        std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(15, |rounds| rounds.parse().unwrap());
    let workspace = Workspace::new(r#"log("seen");"#, TARGETS);
    workspace.write("rules/stuck.toml", RULE);
    let (service, count, acknowledged) = kill_while_working(&workspace, rounds);
    eventually("all that is due was sent", || {
        let fired = ids_of(&workspace.lines("out.ndjson"), "fired");
        let mut open = (0..count).filter(|number| number.is_multiple_of(2));
        open.all(|number| fired.contains_key(&number)).then_some(())
    });
    // Of the escalations only: they wait for hours.
    eventually("nothing else waits", || {
        let waiting = workspace.run(&["outbox", "list", "--target", "out"]);
        (waiting.code == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);

    let lines = workspace.lines("out.ndjson");
    let (fired, resolved) = (ids_of(&lines, "fired"), ids_of(&lines, "resolved"));
    let listed = workspace.run(&[
        "incident", "list", "--limit", "100000", "--format", "ndjson",
    ]);
    let incidents = listed.stdout.lines().map(|line| Json::parse(line).unwrap());
    let mut of_interfaces: BTreeMap<usize, Vec<(i64, String)>> = BTreeMap::new();
    let mut known_acknowledged = BTreeSet::new();
    for incident in incidents {
        let id = incident.get("id").and_then(Json::as_i64).unwrap();
        let status = incident.get("status").and_then(Json::as_str).unwrap();
        assert_eq!(
            incident.get("count").and_then(Json::as_i64),
            Some(1),
            "{incident}"
        );
        if incident
            .get("acknowledged")
            .is_some_and(|at| *at != Json::Null)
        {
            known_acknowledged.insert(id);
        }
        let number = number_of(incident.get("key").unwrap());
        let found = of_interfaces.entry(number).or_default();
        found.push((id, status.to_owned()));
    }
    // Each firing is one incident, and the other way round.
    assert_eq!(
        of_interfaces.keys().collect::<Vec<_>>(),
        fired.keys().collect::<Vec<_>>()
    );
    assert!(
        acknowledged.is_subset(&known_acknowledged),
        "{acknowledged:?}"
    );
    let waiting = workspace.run(&["outbox", "list", "--format", "ndjson", "--limit", "100000"]);
    let waiting = waiting
        .stdout
        .lines()
        .map(|line| Json::parse(line).unwrap());
    let waiting: BTreeSet<i64> = waiting
        .filter_map(|one| one.get("incident").and_then(Json::as_i64))
        .collect();
    for (number, found) in &of_interfaces {
        assert_eq!(found.len(), 1, "{number} has one incident");
        assert_eq!(fired[number].len(), 1, "{number} fired once");
        let (id, status) = &found[0];
        let is_resolved = resolved.get(number).is_some_and(|ids| ids.len() == 1);
        assert_eq!(status == "resolved", is_resolved, "{number}: {status}");
        // What was acknowledged is not escalated, the rest is.
        let is_acknowledged = known_acknowledged.contains(id);
        assert_ne!(waiting.contains(id), is_acknowledged, "{number}: {status}");
    }
    assert!(!known_acknowledged.is_empty(), "something was acknowledged");
}
