//! Requests that are refused by their head, on real sockets: web pages, smuggling, malformed hosts.

use std::io::{Read, Write};

use reflexarc_service::security::{AccessRules, Role, Token, Tokens};

use crate::hostile::connect;
use crate::samples::event_text;
use crate::serving::Serving;

/// Everything that the service answers to these bytes until it closes the connection.
async fn answers(serving: &Serving, request: impl Into<String>) -> String {
    let (url, request) = (serving.url.clone(), request.into());
    let exchange = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&url);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        drop(stream.read_to_string(&mut text));
        text
    });
    exchange.await.unwrap()
}

/// The status of the first answer, and how many there are.
async fn status(serving: &Serving, request: impl Into<String>) -> (u16, usize) {
    let text = answers(serving, request).await;
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), text.matches("HTTP/1.").count())
}

/// What a page of another site, or one under a rebound name, would send.
#[tokio::test]
async fn web_pages_reach_nothing_without_tokens() {
    let serving = Serving::start().await;
    let event = event_text("page", "eni-1");
    let length = event.len();
    let requests = [
        "GET /dlq HTTP/1.1\r\n".to_owned(),
        "GET /outbox HTTP/1.1\r\n".into(),
        "GET /status HTTP/1.1\r\n".into(),
        "GET /metrics HTTP/1.1\r\n".into(),
        "GET /healthz HTTP/1.1\r\n".into(),
        "GET /events?data=x HTTP/1.1\r\n".into(),
        "POST /reload HTTP/1.1\r\ncontent-length: 0\r\n".into(),
        "OPTIONS /events HTTP/1.1\r\n".into(),
    ];
    let types = [
        "text/plain",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ];
    let posts = types.map(|name| {
        format!("POST /events HTTP/1.1\r\ncontent-type: {name}\r\ncontent-length: {length}\r\n")
    });
    for (request, body) in requests
        .map(|head| (head, ""))
        .into_iter()
        .chain(posts.map(|head| (head, event.as_str())))
    {
        for headers in [
            "host: evil.example\r\n",
            "host: evil.example:8321\r\norigin: http://evil.example:8321\r\n",
            "host: localhost\r\norigin: https://evil.example\r\n",
            "host: localhost\r\norigin: null\r\n",
            "host: localhost\r\norigin: http://localhost, http://evil.example\r\n",
            "host: localhost\r\norigin: http://localhost\r\norigin: http://evil.example\r\n",
            "host: localhost\r\nreferer: https://evil.example/page\r\n",
            "host: localhost\r\nsec-fetch-site: Cross-Site\r\n",
            "host: localhost\r\nsec-fetch-site: cross-site\r\n",
            "host: localhost\r\nsec-fetch-site: same-site\r\n",
        ] {
            let answer = answers(&serving, format!("{request}{headers}\r\n{body}")).await;
            assert!(
                answer.starts_with("HTTP/1.1 403"),
                "{request}{headers}{answer}"
            );
            assert!(!answer.contains("access-control"), "{answer}");
        }
    }
    assert!(serving.store.find("page").unwrap().is_empty());
    let own = format!(
        "POST /events HTTP/1.1\r\nhost: [::1]:8321\r\nsec-fetch-site: same-origin\r\n\
         connection: close\r\norigin: http://[::1]:8321\r\ncontent-length: {length}\r\n\r\n{event}"
    );
    assert_eq!(status(&serving, own).await, (200, 1));
    serving.stop().await;
}

#[tokio::test]
async fn hosts_in_all_their_forms_are_checked() {
    let serving = Serving::with(|parts| {
        parts.config.access = AccessRules {
            hosts: vec!["events.internal".into()],
            ..AccessRules::default()
        };
    })
    .await;
    for (head, expected) in [
        ("GET /status HTTP/1.1\r\nhost: [::1]:8321\r\n", 200),
        ("GET /status HTTP/1.1\r\nhost: localhost.\r\n", 200),
        ("GET /status HTTP/1.1\r\nhost: 127.1:8321\r\n", 200),
        ("GET /status HTTP/1.1\r\nHOST: LOCALHOST:8321\r\n", 200),
        ("GET /status HTTP/1.1\r\nhost: events.internal\r\n", 200),
        ("GET /status HTTP/1.1\r\nhost: 0.0.0.0:8321\r\n", 403),
        (
            "GET /status HTTP/1.1\r\nhost: localhost.evil.example\r\n",
            403,
        ),
        (
            "GET /status HTTP/1.1\r\nhost: evil.example@localhost\r\n",
            400,
        ),
        ("GET /status HTTP/1.1\r\nhost:\r\n", 400),
        ("GET /status HTTP/1.1\r\n", 400),
        (
            "GET /status HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n",
            400,
        ),
        (
            "GET /status HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n",
            400,
        ),
        ("GET /status HTTP/1.1\r\nhost: localhost\r\n x: y\r\n", 400),
        (
            "GET http://localhost/status HTTP/1.1\r\nhost: localhost\r\n",
            200,
        ),
        (
            "GET http://evil.example/status HTTP/1.1\r\nhost: localhost\r\n",
            400,
        ),
        (
            "GET http://evil.example/status HTTP/1.1\r\nhost: evil.example\r\n",
            403,
        ),
        ("GET http://evil.example/status HTTP/1.0\r\n", 403),
    ] {
        let found = status(&serving, format!("{head}connection: close\r\n\r\n")).await;
        assert_eq!(found, (expected, 1), "{head}");
    }
    let old = answers(&serving, "GET /status HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    serving.stop().await;
}

#[tokio::test]
async fn any_host_is_valid_with_tokens() {
    let token = Token::new("ops".into(), &"secret".into(), vec![Role::Read], None);
    let serving = Serving::with(|parts| parts.config.tokens = Tokens::new(vec![token])).await;
    let head = "GET /status HTTP/1.1\r\nhost: events.example\r\n\
                origin: https://other.example\r\nconnection: close\r\n";
    let with_token = format!("{head}authorization: Bearer secret\r\n\r\n");
    assert_eq!(status(&serving, with_token).await, (200, 1));
    assert_eq!(status(&serving, format!("{head}\r\n")).await, (401, 1));
    let twice = format!("{head}host: b\r\nauthorization: Bearer secret\r\n\r\n");
    assert_eq!(status(&serving, twice).await, (400, 1));
    serving.stop().await;
}

#[tokio::test]
async fn two_lengths_in_one_request_end_the_connection() {
    let serving = Serving::start().await;
    let event = event_text("smuggled", "eni-1");
    let size = event.len();
    let post = "POST /events HTTP/1.1\r\nhost: localhost\r\n";
    let after = format!("{post}connection: close\r\ncontent-length: {size}\r\n\r\n{event}");
    let chunks = format!("{size:x}\r\n{event}\r\n0\r\n\r\n");
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n".into(),
        format!(
            "transfer-encoding: chunked\r\nx: y\r\nContent-Length: {}\r\n",
            chunks.len()
        ),
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n".into(),
        "transfer-encoding: gzip, chunked\r\n".into(),
        format!("content-length: {size}\r\ncontent-length: {size}\r\n"),
        format!("content-length: {size}, {size}\r\n"),
        format!("content-length: +{size}\r\n"),
        "transfer-encoding: \x0bchunked\r\n".into(),
        "transfer-encoding : chunked\r\n".into(),
        "transfer-encoding: chunked\r\n\t, identity\r\n".into(),
    ] {
        let request = format!("{post}{lengths}\r\n{chunks}{after}");
        let found = status(&serving, request).await;
        assert_eq!(found, (400, 1), "{lengths}");
        // Also as the second request of a connection.
        let first = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let request = format!("{first}{post}{lengths}\r\n{chunks}{after}");
        let text = answers(&serving, request).await;
        assert!(text.contains("HTTP/1.1 400"), "{lengths}: {text}");
        assert!(
            serving.store.find("smuggled").unwrap().is_empty(),
            "{lengths}"
        );
    }
    assert_eq!(status(&serving, after).await, (200, 1));
    serving.stop().await;
}
