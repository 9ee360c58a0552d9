//! Malicious and malformed requests: each ends in time, stores nothing, and does not keep others
//! from being served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reflexarc_service::security::TlsIdentity;

use crate::samples::event_text;
use crate::serving::Serving;

/// Sends raw bytes, each followed by a pause. Returns the first response, empty if the service
/// closes the connection, and the time it took.
pub(crate) fn exchange(url: &str, sends: &[(&[u8], Duration)]) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = connect(url);
    for (bytes, pause) in sends {
        if stream.write_all(bytes).is_err() {
            break;
        }
        std::thread::sleep(*pause);
    }
    let mut received = vec![0; 64 << 10];
    let mut length = 0;
    // The connection is kept after a 2xx, so reading on would wait. One response is enough.
    while let Ok(count) = stream.read(&mut received[length..])
        && count > 0
    {
        length += count;
        if received[..length].starts_with(b"HTTP/1.1 ") {
            break;
        }
    }
    received.truncate(length);
    (
        String::from_utf8_lossy(&received).into_owned(),
        begun.elapsed(),
    )
}

pub(crate) fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.split_once("://").unwrap().1).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// Whether the service closes a connection on which nothing is sent.
pub(crate) fn closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A service with short timeouts and few connections.
async fn strict() -> Serving {
    Serving::with(|parts| {
        parts.config.limits.head = Duration::from_millis(400);
        parts.config.limits.body = Duration::from_millis(400);
        parts.config.limits.connections = 8;
    })
    .await
}

#[tokio::test]
async fn slow_and_malformed_requests_time_out_without_harm() {
    let serving = strict().await;
    let exchanges = slow_and_malformed().map(|sends| {
        let url = serving.url.clone();
        tokio::task::spawn_blocking(move || exchange(&url, &sends))
    });
    // Meanwhile other clients are served.
    assert_eq!(
        serving
            .post("application/json", event_text("meanwhile", "eni-1"))
            .await
            .0,
        200
    );
    let mut answers = Vec::new();
    for one in exchanges {
        let (answer, took) = one.await.unwrap();
        assert!(took < Duration::from_secs(60), "{answer} after {took:?}");
        answers.push(answer.lines().next().unwrap_or_default().to_owned());
    }
    assert_eq!(answers[1], "HTTP/1.1 408 Request Timeout");
    assert!(
        answers[3].is_empty() || answers[3].contains("400"),
        "{answers:?}"
    );
    assert!(answers[4].contains("400"), "{answers:?}");
    assert!(
        answers[5].is_empty() || answers[5].contains("408"),
        "{answers:?}"
    );
    serving.stop().await;
}

#[tokio::test]
async fn connections_above_the_limit_wait_until_others_end() {
    let serving = strict().await;
    let idle: Vec<_> = (0..20).map(|_| connect(&serving.url)).collect();
    assert_eq!(
        serving
            .post("application/json", event_text("later", "eni-1"))
            .await
            .0,
        200
    );
    drop(idle);
    serving.stop().await;
}

/// A slow head, a slow body, silence, no HTTP, two lengths, and a body that never ends.
fn slow_and_malformed() -> [Vec<(&'static [u8], Duration)>; 6] {
    let pause = Duration::from_millis(150);
    let slow_head: Vec<_> = [
        b"POST /events HT".as_slice(),
        b"TP/1.1\r\n",
        b"a: b\r\n",
        b"c: d\r\n",
        b"e: f\r\n",
    ]
    .map(|part| (part, pause))
    .to_vec();
    let slow_body = vec![(
        b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{".as_slice(),
        pause,
    )];
    // Never idle and never done.
    let mut trickle = vec![(
        b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n".as_slice(),
        pause,
    )];
    trickle.extend([(b" ".as_slice(), pause); 9]);
    let nothing = vec![];
    let nonsense = vec![(
        b"\x16\x03\x01\x00\xa5 what is this\r\n\r\n".as_slice(),
        Duration::ZERO,
    )];
    let two_lengths = vec![(
        b"POST /events HTTP/1.1\r\nhost: localhost\r\n\
          content-length: 2\r\ncontent-length: 3\r\n\r\n{}"
            .as_slice(),
        Duration::ZERO,
    )];
    [
        slow_head,
        slow_body,
        nothing,
        nonsense,
        two_lengths,
        trickle,
    ]
}

#[tokio::test]
async fn oversized_and_malformed_heads_are_refused() {
    let serving = Serving::start().await;
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(70 << 10)
    );
    let many: Vec<String> = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let many = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        many.concat()
    );
    let address = format!(
        "GET /trace/{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "z".repeat(80 << 10)
    );
    let broken = [
        (long.as_str(), "431"),
        (&many, "431"),
        (&address, "431"),
        (
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
            "400",
        ),
        (
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx : y\r\n\r\n",
            "400",
        ),
        ("GET /healthz HTTP/9.9\r\nhost: localhost\r\n\r\n", "400"),
        (
            "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n{}",
            "400",
        ),
        (
            "POST /events HTTP/1.1\r\nhost: localhost\r\n\
             content-length: 99999999999999999999999\r\n\r\n{}",
            "400",
        ),
        (
            "DELETE /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
            "405",
        ),
        (
            "GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "404",
        ),
        (
            "GET /trace/%00%ff HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "400",
        ),
    ];
    for (request, status) in broken {
        let (url, bytes) = (serving.url.clone(), request.as_bytes().to_vec());
        let response =
            tokio::task::spawn_blocking(move || exchange(&url, &[(&bytes, Duration::ZERO)]))
                .await
                .unwrap()
                .0;
        let begin = request.get(..60).unwrap_or(request);
        // A client that is still sending when the connection closes may not receive the response.
        let cut_off = response.is_empty() && request.len() > 60_000;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")) || cut_off,
            "{begin}: {response}"
        );
    }
    assert_eq!(
        serving
            .post("application/json", event_text("after", "eni-1"))
            .await
            .0,
        200
    );
    serving.stop().await;
}

#[tokio::test]
async fn malformed_chunks_and_conflicting_lengths_store_nothing() {
    let serving = Serving::start().await;
    let event = event_text("smuggled", "eni-1");
    let chunked = "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
    let size = event.len();
    let requests = [
        format!("{chunked}\r\nzz\r\n{event}\r\n0\r\n\r\n"),
        format!("{chunked}\r\n-1\r\n{event}\r\n0\r\n\r\n"),
        format!("{chunked}\r\nfffffffffffffffffff\r\n{event}\r\n0\r\n\r\n"),
        // The chunk is longer than its size, and shorter.
        format!("{chunked}\r\n{:x}\r\n{event}\r\n0\r\n\r\n", size - 1),
        format!("{chunked}\r\n{:x}\r\n{event}\r\n0\r\n\r\n", size + 40),
        // Incomplete.
        format!("{chunked}\r\n{size:x}\r\n{event}\r\n"),
        // Both lengths: a proxy in front may use the other one, and take what follows for a request
        // of someone else.
        format!(
            "{chunked}content-length: 4\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n\
             POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n{event}"
        ),
        format!(
            "POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n{event}"
        ),
    ];
    for request in requests {
        let (url, bytes) = (serving.url.clone(), request.clone().into_bytes());
        let response = tokio::task::spawn_blocking(move || {
            let mut stream = connect(&url);
            stream.write_all(&bytes).unwrap();
            drop(stream.shutdown(std::net::Shutdown::Write));
            let mut text = String::new();
            drop(stream.read_to_string(&mut text));
            text
        });
        let response = response.await.unwrap();
        assert!(
            response.is_empty()
                || response.starts_with("HTTP/1.1 4")
                || response.starts_with("HTTP/1.1 5"),
            "{request}\n{response}"
        );
        assert!(
            serving.store.find("smuggled").unwrap().is_empty(),
            "{request}"
        );
    }
    let (status, _) = serving.post("application/json", event).await;
    assert_eq!(status, 200);
    serving.stop().await;
}

#[tokio::test]
async fn idle_connections_and_tls_handshakes_time_out() {
    let serving = strict().await;
    let url = serving.url.clone();
    let idle = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        closed(stream)
    });
    assert!(idle.await.unwrap(), "the connection was kept open");
    serving.stop().await;

    let fixture = |name: &str| {
        std::fs::read(format!(
            "{}/tests/fixtures/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    let identity = TlsIdentity::new(&fixture("localhost.pem"), &fixture("localhost.key")).unwrap();
    let serving = Serving::with(|parts| {
        parts.config.tls_identity = Some(identity);
        parts.config.limits.head = Duration::from_millis(400);
    })
    .await;
    let url = serving.url.clone();
    let closed_connections = tokio::task::spawn_blocking(move || {
        let mut plain = connect(&url);
        plain
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        [closed(connect(&url)), closed(plain)]
    });
    assert_eq!(closed_connections.await.unwrap(), [true, true]);
    serving.stop().await;
}
