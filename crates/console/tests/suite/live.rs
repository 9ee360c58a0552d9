//! The stream that keeps pages up to date.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::browser::Browser;
use crate::serving::{READER, Serving, TOKENS, config};

/// An open stream, and what it has said.
struct Stream {
    stream: TcpStream,
    text: String,
}

impl Stream {
    /// The stream for the session of a browser.
    async fn open(serving: &Serving, browser: &Browser) -> Self {
        let mut stream = TcpStream::connect(serving.console).await.unwrap();
        let port = serving.console.port();
        let session = browser.session().unwrap();
        let request = format!(
            "GET /live HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\
             cookie: reflexarc-session={session}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = String::new();
        let mut open = Self { stream, text };
        open.until(": live").await;
        open
    }

    /// Reads until the stream has said this.
    async fn until(&mut self, expected: &str) {
        let mut buffer = [0; 4096];
        while !self.text.contains(expected) {
            let count = self.stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "{}", self.text);
            self.text
                .push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    }

    /// Reads to the end, which is reached within a second or two.
    async fn ends(mut self) {
        let mut buffer = [0; 4096];
        let rest = async { while self.stream.read(&mut buffer).await.unwrap() > 0 {} };
        tokio::time::timeout(Duration::from_secs(60), rest)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_live_stream_ends_with_the_session() {
    let serving = Serving::start().await;
    let mut reader = serving.logged_in(READER).await;
    assert_eq!(reader.get("/live?kinds=nothing").await.status, 400);
    let page = reader.get("/").await;
    assert!(page.body.contains("data-live-log=\"/live\""));
    let mut stream = Stream::open(&serving, &reader).await;
    for expected in [
        "content-type: text/event-stream",
        "content-security-policy: default-src 'none'",
    ] {
        assert!(stream.text.contains(expected), "{}", stream.text);
    }
    serving.event("e1", "found").await;
    stream.until("\"kind\":\"event\"").await;
    let reply = reader.submit("/logout", &page.form("/logout")).await;
    assert_eq!(reply.status, 303);
    stream.ends().await;
    serving.stop().await;
}

#[tokio::test]
async fn the_live_stream_needs_a_session() {
    let serving = Serving::start().await;
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for headers in [&[][..], &link] {
        let reply = serving.browser().request("GET", "/live", headers, "").await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("location"), None);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert!(reply.body.contains("needs a login"), "{}", reply.body);
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_removed_token_ends_its_sessions_and_streams() {
    let serving = Serving::start().await;
    let mut reader = serving.logged_in(READER).await;
    let mut ops = serving.logged_in(crate::serving::OPS).await;
    let stream = Stream::open(&serving, &reader).await;
    let mut other = Stream::open(&serving, &ops).await;
    serving.reload(&config(&[TOKENS[0], TOKENS[2]])).await;
    stream.ends().await;
    assert_eq!(reader.get("/").await.status, 303);
    assert_eq!(reader.get("/live").await.status, 401);
    // Those of the others go on.
    serving.event("e1", "found").await;
    other.until("\"kind\":\"event\"").await;
    assert_eq!(ops.get("/").await.status, 200);
    serving.stop().await;
}
