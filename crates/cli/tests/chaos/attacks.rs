//! All attacks on memory at once: the service stays within its bound, and answers others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::RESIDENT_KIB;
use crate::http::Client;
use crate::sender::event;
use crate::service::Service;
use crate::world::{OPERATOR_TOKEN, SENDER_TOKEN, link_program};

/// How long all attacks go on.
const DURATION: Duration = Duration::from_secs(12);
/// Dead letters of 30 KB, and how many of them one event makes.
const LETTERS: usize = 1_200;
const PER_EVENT: usize = 12;

const RULE: &str = r#"when = 'content.result == "failed"'
then = '''
let text = "0123456789abcdef0123456789abcdef";
while text.len() < 30000 { text += text; }
for i in 0..12 { send("dead", #{ i: i, text: text.sub_string(0, 30000) }); }
'''
"#;

/// Reads the numbers of dense events, so that the script has them too.
const DENSE: &str = r#"when = 'content.result == "dense"'
then = 'set("count", event.content.requestId.len());'
"#;

/// A service with `queue_bytes` of 16 MiB and many large dead letters.
fn serve(folder: &std::path::Path) -> Service {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    std::fs::create_dir(folder.join("rules")).unwrap();
    link_program(&folder.join("reflexarc"));
    std::fs::write(folder.join("rules/large.toml"), RULE).unwrap();
    std::fs::write(folder.join("rules/dense.toml"), DENSE).unwrap();
    // Nothing listens on port 9.
    let config = format!(
        "log = \"error\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n\
         [[http.tokens]]\nname = \"sender\"\nroles = [\"ingest\"]\n\
         token = {{ env = \"SENDER_TOKEN\" }}\n\
         [[http.tokens]]\nname = \"operator\"\nroles = [\"read\", \"operate\"]\n\
         token = {{ env = \"OPERATOR_TOKEN\" }}\n\
         [limits]\nqueue_bytes = 16_777_216\n\
         [budgets]\nbytes = 1_000_000_000\ntime = \"900ms\"\n\
         [targets.dead]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
         allow = [\"127.0.0.0/8\"]\nretry = []\nbreaker = {{ failures = 0 }}\n\
         order_wait = \"0s\"\nconcurrency = 16\n"
    );
    std::fs::write(folder.join("reflexarc.toml"), config).unwrap();
    let service = Service::new(folder, port, None, false);
    service.start();
    let begun = Instant::now();
    while service.life().ready.is_none() {
        service.look();
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    service
}

/// The bytes that each kind of attack sends on its connections, and on how many.
fn attacks() -> Vec<(usize, Vec<u8>)> {
    let post = |headers: &str, body: &[u8]| {
        let head = format!(
            "POST /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {SENDER_TOKEN}\r\n\
             {headers}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let get = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_TOKEN}\r\n\r\n"
        )
        .into_bytes()
    };
    let numbers = |count: usize| "1,".repeat(count) + "1";
    let array = format!("[{}]", numbers(3_800_000));
    let lines = "1\n".repeat(4_000_000);
    // An event that is converted, so that a tree is built of it, with so many numbers.
    let dense = |count: usize| {
        let event = event("eni-large", 1, "dense");
        let numbers = format!("\"requestId\":[{}]", numbers(count));
        event.replace("\"requestId\":\"1\"", &numbers)
    };
    let small = event("eni-packed", 1, "other");
    let packed = gzip((small + &" ".repeat(1 << 20)).repeat(7).as_bytes());
    let unread = "GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(3_000);
    let endless = "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
    let endless = format!("{endless}authorization: Bearer {SENDER_TOKEN}\r\n\r\n");
    let json = "content-type: application/json\r\n";
    vec![
        (300, unread.into_bytes()),
        (300, Vec::new()),
        (8, endless.into_bytes()),
        (8, post(json, array.as_bytes())),
        (
            8,
            post("content-type: application/x-ndjson\r\n", lines.as_bytes()),
        ),
        (8, post(json, dense(500_000).as_bytes())),
        (40, post("content-encoding: gzip\r\n", &packed)),
        (6, get("/dlq")),
        (6, get("/outbox")),
        (4, get("/metrics")),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

/// Ends the attacks, also if the test fails meanwhile: other tests run beside it.
struct EndOfAttacks(Arc<AtomicBool>);

impl Drop for EndOfAttacks {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Sends `bytes` on a connection, reads what comes slowly, and begins again.
fn attack(port: u16, bytes: &[u8], goes_on: &AtomicBool) {
    while goes_on.load(Ordering::Relaxed) {
        let address = ([127, 0, 0, 1], port).into();
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
            // Not hundreds of threads that do nothing but be refused.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let limit = Some(Duration::from_millis(500));
        stream.set_write_timeout(limit).unwrap();
        stream.set_read_timeout(limit).unwrap();
        drop(stream.write_all(bytes));
        // Much slower than the service writes, so that its responses are held.
        for _ in 0..4 {
            if stream.read(&mut [0; 512]).is_ok_and(|count| count == 0) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn all_attacks_at_once_stay_within_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let service = serve(folder.path());
    let sender = Client {
        port: service.port,
        token: SENDER_TOKEN,
    };
    let limit = Duration::from_secs(30);
    for number in 0..LETTERS / PER_EVENT {
        let body = event("eni-1", number as u64, "failed");
        let response = sender.call("POST", "/events", &body, limit).unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
    }
    let goes_on = Arc::new(AtomicBool::new(true));
    let end = EndOfAttacks(goes_on.clone());
    let mut threads = Vec::new();
    for (count, bytes) in attacks() {
        let bytes = Arc::new(bytes);
        for _ in 0..count {
            let (port, bytes, goes_on) = (service.port, bytes.clone(), goes_on.clone());
            threads.push(std::thread::spawn(move || attack(port, &bytes, &goes_on)));
        }
    }
    let begun = Instant::now();
    let (mut slowest, mut health) = (Duration::ZERO, 0);
    while begun.elapsed() < DURATION {
        service.look();
        let asked = Instant::now();
        // As with supervisors, it is dead after several failures. One is possible: a connection that
        // has not sent its request after a second, as this thread may get no processor for as long,
        // makes place for those that attack.
        let mut checks = (0..3).map(|_| sender.call("GET", "/healthz", "", limit));
        let is_alive = checks.any(|answer| answer.is_some_and(|answer| answer.status == 200));
        assert!(is_alive, "/healthz");
        (slowest, health) = (slowest.max(asked.elapsed()), health + 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    service.look();
    drop(end);
    for thread in threads {
        thread.join().unwrap();
    }
    let peak = service.peak_kib();
    eprintln!(
        "attacks: resident at most {} MiB; {health} health checks, the slowest after {slowest:.1?}",
        peak >> 10
    );
    assert!(peak <= RESIDENT_KIB, "resident: {} MiB", peak >> 10);
    let accepted = sender.call("POST", "/events", &event("eni-2", 0, "other"), limit);
    assert_eq!(accepted.map(|answer| answer.status), Some(200));
    assert_eq!(service.end().code(), Some(0));
}
