//! A minimal HTTP client: every call on a new connection, with a time limit.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A client with a token.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) port: u16,
    pub(crate) token: &'static str,
}

/// Status, head and body.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    /// `None` if there is no complete response within `limit` (for each read and write).
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        limit: Duration,
    ) -> Option<Response> {
        let address = ([127, 0, 0, 1], self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        stream.set_write_timeout(Some(limit)).ok()?;
        let (length, token) = (body.len(), self.token);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        // A service that refuses the head may close before the body is written; its answer counts.
        drop(stream.write_all(body.as_bytes()));
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        // A body that was cut off by a kill is no answer.
        let announced = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        if announced.is_some_and(|length| body.len() < length) {
            return None;
        }
        Some(Response {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}
