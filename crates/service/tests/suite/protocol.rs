//! Less common forms of HTTP/1: each is answered or refused in time, as JSON, and stores nothing
//! that was not sent as an event.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::hostile::connect;
use crate::samples::event_text;
use crate::serving::Serving;

/// Sends the parts with pauses between them, and reads until the service closes the connection or
/// the answer is whole. Returns the status of the first answer, 0 without one, and its body.
async fn exchange(serving: &Serving, parts: Vec<Vec<u8>>, pause: Duration) -> (u16, String) {
    let url = serving.url.clone();
    let exchanged = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        for part in parts {
            if stream.write_all(&part).is_err() {
                break;
            }
            std::thread::sleep(pause);
        }
        let mut received = Vec::new();
        let mut buffer = [0; 4_096];
        while let Ok(count) = stream.read(&mut buffer)
            && count > 0
        {
            received.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&received);
            if text
                .split_once("\r\n\r\n")
                .is_some_and(|(_, body)| body.ends_with('\n'))
            {
                break;
            }
        }
        String::from_utf8_lossy(&received).into_owned()
    });
    let text = exchanged.await.unwrap();
    // After `100 Continue` comes the answer.
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_default(), body.to_owned())
}

async fn once(serving: &Serving, request: impl Into<Vec<u8>>) -> (u16, String) {
    exchange(serving, vec![request.into()], Duration::ZERO).await
}

#[tokio::test]
async fn request_lines_in_all_their_forms_are_answered() {
    let serving = Serving::start().await;
    let host = "host: localhost\r\n";
    for (request, expected) in [
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        (
            format!("GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n{host}\r\n"),
            200,
        ),
        ("GET /healthz\r\n\r\n".into(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 0),
        (
            format!(
                "GET /healthz HTTP/1.1\r\n{host}connection: upgrade, http2-settings\r\n\
                 upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
            ),
            200,
        ),
        (
            "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n".into(),
            403,
        ),
        (format!("CONNECT localhost HTTP/1.1\r\n{host}\r\n"), 404),
        (
            format!("GET http://localhost/status HTTP/1.1\r\n{host}\r\n"),
            200,
        ),
        (
            format!("GET http://evil.example/status HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (
            "GET http://evil.example/ HTTP/1.1\r\nhost: evil.example\r\n\r\n".into(),
            403,
        ),
        (
            format!("GET http://a@localhost/status HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (format!("OPTIONS * HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("TRACE /status HTTP/1.1\r\n{host}\r\n"), 405),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}x: a\r\n b\r\n\r\n"),
            400,
        ),
        (format!("GET /healthz HTTP/1.1\r{host}\r\r"), 400),
        (format!("\r\n\r\nGET /healthz HTTP/1.1\r\n{host}\r\n"), 200),
    ] {
        let (status, body) = once(&serving, request.clone()).await;
        assert_eq!(status, expected, "{request}{body}");
        assert!(
            body.is_empty() || Json::parse(&body).is_ok(),
            "{request}{body}"
        );
    }
    serving.stop().await;
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let serving = Serving::start().await;
    for (path, expected) in [
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/trace/..%2f..%2fetc%2fpasswd", 404),
        ("/outbox/../dlq", 404),
        ("/outbox/%2e%2e", 400),
        ("/dlq/..%2fstatus", 405),
        ("//status", 404),
        ("/status/", 404),
        ("/status%00", 404),
        ("/STATUS", 404),
        ("/trace/%c0%ae", 400),
        ("/trace/%ff", 400),
        ("/outbox/%", 400),
        ("/targets/..%2f/pause", 405),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let (status, body) = once(&serving, request).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(Json::parse(&body).is_ok(), "{path}: {body}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn chunks_extensions_and_trailers_are_bounded() {
    let serving = Serving::start().await;
    let post = "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |id: &str, extension: &str| {
        let event = event_text(id, "eni-1");
        format!("{post}{:x}{extension}\r\n{event}\r\n", event.len())
    };
    let large = "x".repeat(1 << 20);
    for (what, request, expected) in [
        ("extension", chunk("a", ";a=b") + "0\r\n\r\n", 200),
        (
            "trailer",
            chunk("b", "") + "0\r\nx: y\r\ncontent-length: 9\r\n\r\n",
            200,
        ),
        (
            "large extension",
            chunk("c", &format!(";a={large}")) + "0\r\n\r\n",
            400,
        ),
        (
            "large trailer",
            format!("{}0\r\nx: {large}\r\n\r\n", chunk("d", "")),
            400,
        ),
        (
            "many trailers",
            format!("{}0\r\n{}\r\n", chunk("e", ""), "x: y\r\n".repeat(9_000)),
            400,
        ),
        (
            "tiny chunks",
            format!("{post}{}0\r\n\r\n", "1\r\n \r\n".repeat(20_000)),
            400,
        ),
    ] {
        let begun = Instant::now();
        let (status, body) = once(&serving, request).await;
        // The answer may be lost when the connection ends while the client still sends.
        assert!(
            status == expected || status == 0 && expected == 400,
            "{what}: {body}"
        );
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
    }
    for (id, count) in [("a", 1), ("b", 1), ("c", 0), ("d", 0), ("e", 0)] {
        assert_eq!(serving.store.find(id).unwrap().len(), count, "{id}");
    }
    serving.stop().await;
}

/// Each sends a little more before it would be idle for long.
#[tokio::test]
async fn slow_senders_end_in_time() {
    let serving = Serving::with(|parts| {
        parts.config.limits.head = Duration::from_millis(700);
        parts.config.limits.body = Duration::from_millis(700);
    })
    .await;
    let chunked = "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let length = "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999\r\n";
    for (what, begin, drip, expected) in [
        (
            "head",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ",
            "y",
            0,
        ),
        ("empty lines", "", "\r\n", 0),
        ("body", &format!("{length}\r\n"), " ", 408),
        (
            "expected body",
            &format!("{length}expect: 100-continue\r\n\r\n"),
            " ",
            408,
        ),
        ("chunks", chunked, "1\r\n \r\n", 408),
        ("extension", &format!("{chunked}1;"), "a", 408),
        ("trailers", &format!("{chunked}0\r\n"), "x: y\r\n", 408),
    ] {
        let mut parts = vec![begin.as_bytes().to_vec()];
        parts.extend(std::iter::repeat_n(drip.as_bytes().to_vec(), 12));
        let begun = Instant::now();
        let exchanged = exchange(&serving, parts, Duration::from_millis(100));
        let ((status, body), meanwhile) = tokio::join!(exchanged, serving.get("/healthz", None));
        assert_eq!((status, meanwhile.0), (expected, 200), "{what}: {body}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
    }
    serving.stop().await;
}

/// Five large posts in one go: each is read when the one before it is answered.
#[tokio::test]
async fn pipelined_posts_are_answered_one_by_one() {
    let serving = Serving::with(|parts| parts.config.limits.queue_bytes = 8 << 20).await;
    let padding = " ".repeat(1 << 19);
    let requests: Vec<String> = (0..5)
        .map(|number| {
            let body = [event_text(&format!("p{number}"), "eni-1"), padding.clone()].concat();
            let close = if number == 4 {
                "connection: close\r\n"
            } else {
                ""
            };
            let length = body.len();
            format!(
                "POST /events HTTP/1.1\r\nhost: localhost\r\n{close}\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        })
        .collect();
    let url = serving.url.clone();
    let text = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        stream.write_all(requests.concat().as_bytes()).unwrap();
        let mut text = String::new();
        drop(stream.read_to_string(&mut text));
        text
    });
    let text = text.await.unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 5, "{text}");
    serving.stop().await;
}
