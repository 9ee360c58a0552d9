//! Clients that want to keep others from being served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reflexarc_service::Limits;
use reflexarc_service::security::{Role, TlsIdentity, Token, Tokens};
use tokio::net::TcpSocket;

use crate::hostile::{closed, connect};
use crate::receiver::eventually;
use crate::samples::event_text;
use crate::serving::Serving;

/// Few connections, and times that are longer than a test: what is served is served in spite of
/// the attack, not after its end.
async fn small(connections: usize) -> Serving {
    Serving::with(|parts| {
        parts.config.limits.connections = connections;
        parts.config.limits.head = ENDLESS;
        parts.config.limits.body = ENDLESS;
        parts.config.limits.write = ENDLESS;
    })
    .await
}

/// How long the attacks last.
const ENDLESS: Duration = Duration::from_secs(600);
/// How long others may wait beside an attack: shorter than the attacks last, and much longer than the
/// second that it takes on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Health checks, posts and deliveries work, each on a new connection.
async fn assert_serves(serving: &Serving, what: &str) {
    let begun = Instant::now();
    let client = reqwest::Client::new();
    for path in ["/healthz", "/readyz", "/status"] {
        let request = client.get(format!("{}{path}", serving.url));
        let response = request.timeout(PATIENCE).send().await;
        let status = response.unwrap_or_else(|error| panic!("{what}, {path}: {error}"));
        assert_eq!(status.status(), 200, "{what}: {path}");
    }
    let before = serving.lines().len();
    let id = format!("{what}-{before}");
    let request = client.post(format!("{}/events", serving.url));
    let request = request.timeout(PATIENCE);
    let response = request.body(event_text(&id, "eni-1")).send().await;
    assert_eq!(response.unwrap().status(), 200, "{what}");
    eventually(|| (serving.lines().len() > before).then_some(())).await;
    assert!(begun.elapsed() < PATIENCE, "{what}");
}

/// Opens connections that send something, then assert that others are served.
async fn assert_serves_beside(serving: &Serving, count: usize, what: &str, bytes: Vec<u8>) {
    let url = serving.url.clone();
    let attackers = tokio::task::spawn_blocking(move || {
        let open = |_| {
            let mut stream = connect(&url);
            stream.set_nonblocking(true).unwrap();
            // As much as goes: a client that pipelines does not wait for the service to read.
            for part in bytes.chunks(64 << 10) {
                if stream.write_all(part).is_err() {
                    break;
                }
            }
            stream
        };
        (0..count).map(open).collect::<Vec<TcpStream>>()
    });
    let attackers = attackers.await.unwrap();
    assert_serves(serving, what).await;
    drop(attackers);
}

#[tokio::test]
async fn others_are_served_beside_hostile_connections() {
    let serving = small(16).await;
    let post = "POST /events HTTP/1.1\r\nhost: localhost\r\n";
    for (what, bytes) in [
        ("idle", String::new()),
        (
            "unread",
            "GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(20_000),
        ),
        (
            "unread-old",
            "GET /nothing HTTP/1.0\r\nconnection: keep-alive\r\n\r\n".repeat(20_000),
        ),
        (
            "unread-foreign",
            "GET /dlq HTTP/1.1\r\nhost: evil.example\r\n\r\n".repeat(20_000),
        ),
        (
            "head",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ".into(),
        ),
        ("body", format!("{post}content-length: 100\r\n\r\n{{")),
        (
            "chunked",
            format!("{post}transfer-encoding: chunked\r\n\r\n"),
        ),
        (
            "expect",
            format!("{post}content-length: 100\r\nexpect: 100-continue\r\n\r\n"),
        ),
        ("no-http", "\x16\x03\x01".into()),
    ] {
        assert_serves_beside(&serving, 64, what, bytes.into_bytes()).await;
    }
    serving.stop().await;
}

#[tokio::test]
async fn clients_that_do_not_read_are_cut_off() {
    let serving = Serving::with(|parts| {
        parts.config.limits.write = Duration::from_millis(300);
    })
    .await;
    // With a small buffer and large responses, few of them fill what is on the way to the client.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let url = reqwest::Url::parse(&serving.url).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    let stream = socket.connect(address).await.unwrap();
    let mut stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let cut_off = tokio::task::spawn_blocking(move || {
        let request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1_000);
        let begun = Instant::now();
        let patience = PATIENCE * 2;
        stream.set_write_timeout(Some(patience)).unwrap();
        // Until the service closes the connection.
        while begun.elapsed() < patience {
            if let Err(error) = stream.write_all(&request) {
                return error.kind() != std::io::ErrorKind::WouldBlock;
            }
        }
        false
    });
    assert!(cut_off.await.unwrap(), "the client was not cut off");
    serving.stop().await;
}

#[tokio::test]
async fn announced_bodies_reserve_nothing() {
    let serving = Serving::with(|parts| {
        parts.config.limits.queue_bytes = Limits::DEFAULT.body_bytes;
        parts.config.limits.body = ENDLESS;
    })
    .await;
    let post = "POST /events HTTP/1.1\r\nhost: localhost\r\n";
    let length = Limits::DEFAULT.body_bytes;
    for (what, head) in [
        (
            "chunked",
            format!("{post}transfer-encoding: chunked\r\n\r\n"),
        ),
        (
            "announced",
            format!("{post}content-length: {length}\r\n\r\n"),
        ),
    ] {
        assert_serves_beside(&serving, 16, what, head.into_bytes()).await;
    }
    serving.stop().await;
}

#[tokio::test]
async fn large_bodies_leave_space_for_small_ones() {
    let serving = Serving::with(|parts| {
        parts.config.limits.queue_bytes = 4 << 20;
        parts.config.limits.body_bytes = 1 << 20;
        parts.config.limits.body = ENDLESS;
    })
    .await;
    let length = 1 << 20;
    let head =
        format!("POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let body = " ".repeat(length - 1);
    let url = serving.url.clone();
    let stalled = tokio::task::spawn_blocking(move || {
        let send = |_| {
            let mut stream = connect(&url);
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
            stream
        };
        (0..8).map(send).collect::<Vec<_>>()
    });
    let stalled = stalled.await.unwrap();
    assert_serves(&serving, "stalled").await;
    // They did take what large bodies may have.
    let large = serving
        .post("application/json", " ".repeat(length - 1))
        .await;
    assert_eq!(large.0, 429);
    drop(stalled);
    serving.stop().await;
}

#[tokio::test]
async fn unfinished_handshakes_give_way() {
    let fixture = |name: &str| {
        let folder = env!("CARGO_MANIFEST_DIR");
        std::fs::read(format!("{folder}/tests/fixtures/{name}")).unwrap()
    };
    let identity = TlsIdentity::new(&fixture("localhost.pem"), &fixture("localhost.key")).unwrap();
    let serving = Serving::with(|parts| {
        parts.config.tls_identity = Some(identity);
        parts.config.limits.connections = 8;
        parts.config.limits.head = ENDLESS;
    })
    .await;
    let url = serving.url.clone();
    let (oldest, rest) = tokio::task::spawn_blocking(move || {
        let mut streams: Vec<_> = (0..64).map(|_| connect(&url)).collect();
        for stream in &mut streams {
            drop(stream.write_all(b"\x16\x03\x01\x02\x00"));
        }
        (streams.remove(0), streams)
    })
    .await
    .unwrap();
    let certificate = reqwest::Certificate::from_pem(&fixture("localhost.pem")).unwrap();
    let client = reqwest::Client::builder()
        .add_root_certificate(certificate)
        .timeout(PATIENCE)
        .build();
    let response = client.unwrap().get(format!("{}/healthz", serving.url));
    assert_eq!(response.send().await.unwrap().status(), 200);
    let oldest = tokio::task::spawn_blocking(move || closed(oldest));
    assert!(oldest.await.unwrap());
    drop(rest);
    serving.stop().await;
}

#[tokio::test]
async fn wrong_tokens_wait_and_right_ones_do_not() {
    let token = Token::new("ops".into(), &"right-token".into(), vec![Role::Read], None);
    let serving = Serving::with(|parts| {
        parts.config.tokens = Tokens::new(vec![token]);
        parts.config.limits.token_delay = Duration::from_millis(400);
    })
    .await;
    let begun = Instant::now();
    for number in 0..16 {
        let token = format!("wrong-{number}");
        assert_eq!(serving.get("/status", Some(&token)).await.0, 401);
    }
    // Ten at once, then 100, 200, 300 and 400 ms.
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(1_800), "{waited:?}");
    let begun = Instant::now();
    for _ in 0..8 {
        assert_eq!(serving.get("/status", Some("right-token")).await.0, 200);
        // Requests without a token guess nothing.
        assert_eq!(serving.get("/status", None).await.0, 401);
    }
    // As many requests, of which each would wait for 400 ms.
    assert!(begun.elapsed() < waited, "{:?}", begun.elapsed());
    serving.stop().await;
}

#[tokio::test]
async fn connections_end_with_bodies_that_are_too_large() {
    let serving = Serving::with(|parts| parts.config.limits.body_bytes = 1_000).await;
    let url = serving.url.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        let head = "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        drop(stream.read_to_string(&mut text));
        text
    });
    let text = ended.await.unwrap();
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    serving.stop().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_each() {
    let token = Token::new("ops".into(), &"right-token".into(), vec![Role::Read], None);
    for (trusted, others) in [(true, 401), (false, 429)] {
        let serving = Serving::with(|parts| {
            parts.config.tokens = Tokens::new(vec![token.clone()]);
            parts.config.limits.peer_requests = 2;
            parts.config.limits.token_delay = Duration::from_secs(2);
            if trusted {
                let proxies = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
                parts.config.access.trusted_proxies = proxies;
            }
        })
        .await;
        let call = |client: &str, token: &'static str| {
            let request = serving.client.get(format!("{}/status", serving.url));
            let request = request.header("x-forwarded-for", format!("1.2.3.4, {client}"));
            let response = request.bearer_auth(token).send();
            async move { response.await.unwrap().status().as_u16() }
        };
        // Wrong tokens until the delay of those in progress is long enough for the next request to
        // meet them.
        let mut waiting = Vec::new();
        for (client, status) in [("192.0.2.1", 429), ("192.0.2.2", others)] {
            let begun = Instant::now();
            while call(client, "").await != status {
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "{client} never gets {status}"
                );
                waiting.extend([(); 2].map(|()| tokio::spawn(call("192.0.2.1", "wrong"))));
                // Time to arrive first: the next request would wait as well if it overtook them.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        for one in waiting {
            one.abort();
        }
        serving.stop().await;
    }
}
