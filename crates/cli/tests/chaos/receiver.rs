//! Receivers of deliveries, which fail as they are made to.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reflexarc_event::Json;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Healthy,
    /// Refuses connections.
    Dead,
    /// Answers after this time.
    Slow(Duration),
    /// Reads the request and never answers.
    Silent,
    /// Answers with this status, and with `Retry-After`.
    Status(u16, Option<u32>),
    /// Closes the connection in the middle of the head of its response. (After a head with 200 it
    /// has the delivery, whatever comes of the body.)
    CutOff,
}

/// A webhook receiver on a port of its own.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Arc<Mutex<Received>>,
}

/// What a receiver has taken.
#[derive(Default)]
pub(crate) struct Received {
    /// For each key, the numbers in the order in which their first copies came.
    pub(crate) first_copies: BTreeMap<String, Vec<u64>>,
    /// Id and payload of each delivery, by its event.
    pub(crate) by_event: BTreeMap<(String, u64), (String, String)>,
    pub(crate) copies: u64,
    /// Copies of one event that differ.
    pub(crate) faults: Vec<String>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            behaviour: Arc::new(Mutex::new(Behaviour::Healthy)),
            received: Arc::default(),
        };
        let (port, behaviour) = (receiver.port, receiver.behaviour.clone());
        let received = receiver.received.clone();
        std::thread::spawn(move || listen(port, listener, &behaviour, &received));
        receiver
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }
}

fn listen(
    port: u16,
    listener: TcpListener,
    behaviour: &Arc<Mutex<Behaviour>>,
    received: &Arc<Mutex<Received>>,
) {
    let mut listener = Some(listener);
    loop {
        let now = *behaviour.lock().unwrap();
        if now == Behaviour::Dead {
            // A closed port refuses; one that is only not served would time out.
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).ok();
        }
        let Some(open) = &listener else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        open.set_nonblocking(true).unwrap();
        match open.accept() {
            Ok((stream, _)) => {
                let (behaviour, received) = (behaviour.clone(), received.clone());
                std::thread::spawn(move || answer(stream, &behaviour, &received));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Answers one request.
fn answer(
    mut stream: TcpStream,
    behaviour: &Mutex<Behaviour>,
    received: &Mutex<Received>,
) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let (head, body) = read_request(&mut stream)?;
    let now = *behaviour.lock().unwrap();
    match now {
        Behaviour::Dead => return None,
        Behaviour::Status(status, retry_after) => {
            let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n"));
            respond(&mut stream, status, &retry_after.unwrap_or_default());
            return None;
        }
        Behaviour::CutOff => {
            drop(stream.write_all(b"HTTP/1.1 20"));
            return None;
        }
        Behaviour::Healthy | Behaviour::Slow(_) | Behaviour::Silent => {}
    }
    // From here on the receiver has it, whether or not the service learns of that.
    received.lock().unwrap().take(&head, &body);
    match now {
        Behaviour::Slow(wait) => std::thread::sleep(wait),
        Behaviour::Silent => {
            std::thread::sleep(Duration::from_secs(5));
            return None;
        }
        _ => {}
    }
    respond(&mut stream, 200, "");
    Some(())
}

fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = std::str::from_utf8(&bytes).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if body.len() >= header(head, "content-length")?.parse().ok()? {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn respond(stream: &mut TcpStream, status: u16, headers: &str) {
    let head =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: 0\r\n\r\n");
    drop(stream.write_all(head.as_bytes()));
}

impl Received {
    fn take(&mut self, head: &str, body: &str) {
        let id = header(head, "webhook-id").unwrap_or_default().to_owned();
        let payload = Json::parse(body).ok();
        let payload = payload.as_ref().and_then(|document| document.get("data"));
        let Some(payload) = payload else {
            self.faults.push(format!("unexpected body: {body}"));
            return;
        };
        self.copies += 1;
        let key = payload.get("key").and_then(Json::as_str).unwrap_or("?");
        let number = payload.get("number").and_then(Json::as_i64).unwrap_or(-1);
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let event = (key.to_owned(), number);
        let taken = (id, payload.to_string());
        if let Some(first) = self.by_event.get(&event) {
            if *first != taken {
                self.faults
                    .push(format!("two different copies: {first:?} and {taken:?}"));
            }
            return;
        }
        self.first_copies
            .entry(event.0.clone())
            .or_default()
            .push(number);
        self.by_event.insert(event, taken);
    }
}
