//! Crashes with open deadlines and delayed actions: none is lost, none fires twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{HttpClient, ServiceProcess, Workspace, event, eventually};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// Each interface with an even number is opened and not closed; one whose number has the remainder
/// 1 is closed in the same request; others in the next one, when they may have fired.
const WAITS: &str = r#"
when = 'id starts with "open"'
by = "content.eniId"
settle = "60ms"
then = 'send("out", #{ fired: key });'
resolved = 'send("out", #{ resolved: key });'
[not_followed_by]
when = 'id starts with "close"'
within = "60ms"
"#;
/// A delayed action for each interface, cancelled where it is closed.
const DELAYS: &str = r#"
when = 'id starts with "open" or id starts with "close"'
by = "content.eniId"
then = '''
if event.id.starts_with("open") {
    send("out", #{ delayed: event.content.eniId }, #{ after: "120ms", key: "later" });
} else {
    cancel("later");
}
'''
"#;

/// Number of interfaces in one request.
const BATCH: usize = 4;

fn request(first: usize) -> String {
    let mut lines = Vec::new();
    for number in first..first + BATCH {
        let eni = format!("eni-{number}");
        lines.push(event(&format!("open-{number}"), &eni));
        if number % 4 == 1 {
            lines.push(event(&format!("close-{number}"), &eni));
        }
    }
    // Those of the request before.
    for number in first.saturating_sub(BATCH)..first {
        if number % 4 == 3 {
            lines.push(event(&format!("close-{number}"), &format!("eni-{number}")));
        }
    }
    lines.join("\n")
}

/// Posts requests until the service dies; returns the first number without a response.
fn post_until_dead(client: HttpClient, mut next: usize) -> usize {
    loop {
        match client.call("POST", "/events", &request(next)) {
            Some((200, _)) => next += BATCH,
            Some((status, answer)) => panic!("{status}: {answer}"),
            None => return next,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_while_posting(workspace: &Workspace, rounds: usize) -> (ServiceProcess, usize) {
    let mut next = 0;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..rounds {
        let mut service = workspace.serve();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let client = service.client;
        let posting = std::thread::spawn(move || post_until_dead(client, next));
        std::thread::sleep(Duration::from_millis(random % 300));
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        next = posting.join().unwrap();
    }
    let service = workspace.serve();
    let (status, body) = service.call("POST", "/events", &request(next)).unwrap();
    assert_eq!(status, 200, "{body}");
    (service, next + BATCH)
}

/// The ids of the deliveries with this member, by interface.
fn ids_of(lines: &[Json], member: &str) -> BTreeMap<usize, BTreeSet<String>> {
    let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let sent = line.get("send").and_then(|sent| sent.get(member));
        let Some(eni) = sent.and_then(Json::as_str) else {
            continue;
        };
        let number = eni.strip_prefix("eni-").unwrap().parse().unwrap();
        let id = line.get("id").and_then(Json::as_str).unwrap().to_owned();
        ids.entry(number).or_default().insert(id);
    }
    ids
}

#[test]
fn after_kills_every_deadline_has_fired_once() {
    let rounds =
        std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(25, |rounds| rounds.parse().unwrap());
    let workspace = Workspace::new(r#"log("seen");"#, OUT);
    workspace.write("rules/waits.toml", WAITS);
    workspace.write("rules/delays.toml", DELAYS);
    let (service, count) = kill_while_posting(&workspace, rounds);
    // Those that nothing closes are the last to be due.
    eventually("all that is due was sent", || {
        let lines = workspace.lines("out.ndjson");
        let (fired, delayed) = (ids_of(&lines, "fired"), ids_of(&lines, "delayed"));
        let is_open = |number: &usize| number.is_multiple_of(2);
        let is_sent = |number| fired.contains_key(&number) && delayed.contains_key(&number);
        (0..count).filter(is_open).all(is_sent).then_some(())
    });
    eventually("the outbox is empty", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    let lines = workspace.lines("out.ndjson");
    let (fired, resolved) = (ids_of(&lines, "fired"), ids_of(&lines, "resolved"));
    let delayed = ids_of(&lines, "delayed");
    let empty = BTreeSet::new();
    for number in 0..count {
        let of = |ids: &BTreeMap<usize, BTreeSet<String>>| ids.get(&number).unwrap_or(&empty).len();
        let found = (of(&fired), of(&resolved), of(&delayed));
        match number % 4 {
            1 => assert_eq!(found, (0, 0, 0), "{number} was closed at once"),
            // The last ones are not closed: their request was the last.
            3 if number + BATCH < count => {
                assert_eq!(found.0, found.1, "{number} is resolved if it fired");
                assert!(found.0 <= 1 && found.2 <= 1, "{number}: {found:?}");
            }
            _ => assert_eq!(found, (1, 0, 1), "{number} is open"),
        }
    }
}
