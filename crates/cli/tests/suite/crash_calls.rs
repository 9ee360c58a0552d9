//! Crashes with calls under way: each has one answer, and no change is made twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{HttpClient, ServiceProcess, Workspace, event, eventually, lives};

/// Looks an interface up, changes it, and reports what came of that.
const RULE: &str = r#"
when = 'id starts with "open"'
by = "content.eniId"
then = 'call("api", "GET /enis/{id}", #{ id: event.content.eniId })'
answered = '''
if call.operation == "GET /enis/{id}" && answer.ok {
    call("api", "POST /enis/{id}", #{ id: answer.body.id, body: #{ state: "deleted" } });
} else {
    let code = if answer.ok { "ok" } else { answer.code };
    send("out", #{ eni: event.content.eniId, code: code });
}
'''
"#;

/// An API that counts the requests of each method and path.
#[derive(Clone, Default)]
struct Api {
    requests: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Api {
    /// Serves until the test ends; returns the port.
    fn serve(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let api = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (api, stream) = (api.clone(), stream.unwrap());
                // A killed client is no error of the API.
                std::thread::spawn(move || api.answer(stream).ok());
            }
        });
        port
    }

    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header == "\r\n" {
                break;
            }
            let header = header.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        reader.take(length).read_to_end(&mut Vec::new())?;
        let mut words = line.split_whitespace();
        // The client may have been killed before it has sent anything.
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let request = format!("{method} {path}");
        let count = {
            let mut requests = self.requests.lock().unwrap();
            let count = requests.entry(request.clone()).or_default();
            *count += 1;
            *count
        };
        // Executed; the response takes a while, or is lost.
        let number: u64 = request.rsplit('-').next().unwrap().parse().unwrap_or(0);
        std::thread::sleep(Duration::from_millis(number % 7));
        if number % 11 == 3 && count == 1 {
            return Ok(());
        }
        let id = request.rsplit('/').next().unwrap();
        let body = format!(r#"{{"id":"{id}"}}"#);
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn count(&self, request: &str) -> usize {
        self.requests
            .lock()
            .unwrap()
            .get(request)
            .copied()
            .unwrap_or(0)
    }
}

/// Posts events until the service dies; returns the first number without a response.
fn post_until_dead(client: HttpClient, mut next: usize) -> usize {
    loop {
        let request = event(&format!("open-{next}"), &format!("eni-{next}"));
        match client.call("POST", "/events", &request) {
            Some((200, _)) => next += 1,
            Some((status, answer)) => panic!("{status}: {answer}"),
            None => return next,
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn kill_while_posting(workspace: &Workspace, rounds: usize) -> (ServiceProcess, usize) {
    let (mut next, mut round) = (0, 0);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    // On a slow machine more and longer rounds, until there is something to look at.
    while round < rounds || next <= rounds {
        round += 1;
        let mut service = workspace.serve();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let client = service.client;
        let posting = std::thread::spawn(move || post_until_dead(client, next));
        std::thread::sleep(lives(random, round, rounds));
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        next = posting.join().unwrap();
    }
    (workspace.serve(), next)
}

#[test]
fn after_kills_every_call_has_one_answer() {
    let rounds =
        std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let api = Api::default();
    let port = api.serve();
    let targets = format!(
        r#"
[targets.out]
type = "file"
path = "out.ndjson"

[targets.api]
type = "http"
url = "http://127.0.0.1:{port}"
networks = ["127.0.0.0/8"]
allow = ["GET /enis/*", "POST /enis/*"]
max_changes = {{ per_minute = 1000000, per_day = 1000000 }}
retry = ["20ms", "20ms", "20ms", "1s", "1s", "1s"]
timeout = "2s"
"#
    );
    let workspace = Workspace::new(r#"log("seen");"#, &targets);
    workspace.write("rules/leak.toml", RULE);
    let (service, count) = kill_while_posting(&workspace, rounds);
    // The event of the last request before a kill may have been accepted or not.
    let codes = eventually("every call has its answer", || {
        let mut codes: BTreeMap<usize, (BTreeSet<String>, String)> = BTreeMap::new();
        for line in workspace.lines("out.ndjson") {
            let Some(sent) = line.get("send") else {
                continue;
            };
            let text = |name| sent.get(name).and_then(Json::as_str).unwrap().to_owned();
            let number = text("eni").strip_prefix("eni-").unwrap().parse().unwrap();
            let id = line.get("id").and_then(Json::as_str).unwrap().to_owned();
            let (ids, code) = codes.entry(number).or_default();
            ids.insert(id);
            *code = text("code");
        }
        (0..count)
            .all(|number| codes.contains_key(&number))
            .then_some(codes)
    });
    eventually("the outbox is empty", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    let mut unknown = 0;
    for (number, (ids, code)) in codes {
        assert_eq!(ids.len(), 1, "{number} has one answer: {ids:?}");
        let changes = api.count(&format!("POST /enis/eni-{number}"));
        match code.as_str() {
            "ok" => assert_eq!(changes, 1, "{number} was changed"),
            "OutcomeUnknown" => {
                assert!(changes <= 1, "{number} was changed {changes} times");
                unknown += 1;
            }
            code => panic!("{number}: {code}, {changes} changes"),
        }
    }
    // Those whose responses are lost, at least.
    assert!(
        unknown >= count / 11 - 1,
        "{unknown} of {count} outcomes are unknown"
    );
}
