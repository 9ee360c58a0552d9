//! Floods of clients.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::seconds;
use crate::fault::{Fault, Part, Sign, end_with};
use crate::http::Client;
use crate::random::Random;
use crate::world::World;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_millis(300);

/// More connections than there may be, on which nothing is sent, or a head without an end.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn idle(_: &World, random: &mut Random) -> Option<Fault> {
    let bytes = *random.choose(&["", "GET /status HTTP/1.1\r\nhost: localhost\r\nx: "]);
    let sign = Sign::occurrence("clients_limited", 8);
    let lasts = seconds(random, 3, 12);
    Some(flood("idle clients", lasts, 400, bytes.into(), sign))
}

/// Clients that pipeline requests and do not read the responses.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn unread(_: &World, random: &mut Random) -> Option<Fault> {
    let request = "GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2_000);
    let lasts = seconds(random, 3, 10);
    Some(flood("clients that do not read", lasts, 60, request, None))
}

/// Large bodies of senders with a valid token that stop before their end: they hold what they have
/// sent of `queue_bytes`.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn stalled_bodies(world: &World, random: &mut Random) -> Option<Fault> {
    let length = 3 << 20;
    let token = world.sender().token;
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-length: {length}\r\n\r\n"
    );
    let bytes = head + &" ".repeat(length - 1);
    let sign = Sign::occurrence("intake_full", 10);
    let lasts = seconds(random, 4, 12);
    Some(flood("stalled bodies", lasts, 12, bytes, sign))
}

/// Holds `count` connections, each with `bytes` sent as far as they are taken, and opens those
/// again that the service closes.
fn flood(
    name: &str,
    lasts: Duration,
    count: usize,
    bytes: String,
    expected_sign: Option<Sign>,
) -> Fault {
    Fault {
        name: name.to_owned(),
        part: Part::Clients,
        lasts,
        expected_sign,
        start: Box::new(move |world| {
            let port = world.service.port;
            let goes_on = Arc::new(Mutex::new(true));
            let (own, bytes) = (goes_on.clone(), Arc::new(bytes));
            let flooding = std::thread::spawn(move || {
                let mut open: Vec<(TcpStream, usize)> = Vec::new();
                while *own.lock().unwrap() {
                    // A service that is frozen accepts nothing, and a connection would wait for
                    // two minutes.
                    let address = ([127, 0, 0, 1], port).into();
                    if open.len() < count
                        && let Ok(stream) = TcpStream::connect_timeout(&address, CONNECT)
                    {
                        stream.set_nonblocking(true).unwrap();
                        open.push((stream, 0));
                    } else {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    open.retain_mut(|(stream, sent)| push(stream, sent, bytes.as_bytes()));
                }
            });
            end_with(move |_| {
                *goes_on.lock().unwrap() = false;
                flooding.join().unwrap();
            })
        }),
    }
}

/// Sends what can be sent. False if the connection was closed.
fn push(stream: &mut TcpStream, sent: &mut usize, bytes: &[u8]) -> bool {
    match stream.write(&bytes[*sent..]) {
        Ok(count) => *sent += count,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(_) => return false,
    }
    // Whether the other end has closed it; what it has sent stays unread.
    let peeked = stream.peek(&mut [0]);
    !matches!(peeked, Ok(0)) && peeked.map_or_else(|error| is_waiting(&error), |_| true)
}

fn is_waiting(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
}

/// Someone tries tokens.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn wrong_tokens(_: &World, random: &mut Random) -> Option<Fault> {
    Some(Fault {
        name: "wrong tokens".to_owned(),
        part: Part::Tokens,
        lasts: seconds(random, 3, 8),
        expected_sign: Sign::occurrence("wrong_tokens", 5),
        start: Box::new(|world| {
            let client = Client {
                port: world.service.port,
                token: "wrong-token",
            };
            let goes_on = Arc::new(Mutex::new(true));
            let own = goes_on.clone();
            let trying = std::thread::spawn(move || {
                while *own.lock().unwrap() {
                    drop(client.call("GET", "/status", "", Duration::from_secs(3)));
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            end_with(move |_| {
                *goes_on.lock().unwrap() = false;
                trying.join().unwrap();
            })
        }),
    })
}
