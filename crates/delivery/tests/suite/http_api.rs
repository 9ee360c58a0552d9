//! Targets of type `http` against an API on this machine.

use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::http_api::{HttpApi, HttpApiSettings};
use reflexarc_delivery::{CallAdmission, CallApi, CallError, CallRequest, OperationPatterns};
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;

use crate::receiver::{Call, Receiver, Reply};

const TOKEN: &str = "canary-token-0123456789";

fn settings(base: &str) -> HttpApiSettings {
    let mut authorization: reqwest::header::HeaderValue =
        format!("Bearer {TOKEN}").parse().unwrap();
    authorization.set_sensitive(true);
    HttpApiSettings {
        base: base.parse().unwrap(),
        egress: EgressPolicy {
            allowed: vec!["127.0.0.0/8".parse().unwrap()],
        },
        authorities: None,
        headers: vec![(reqwest::header::AUTHORIZATION, authorization)],
        secrets: vec![TOKEN.into()],
        allow: OperationPatterns::new(["*"]),
        idempotent: OperationPatterns::new(["PUT *"]),
        dry_run: false,
        timeout: Duration::from_secs(20),
    }
}

fn reply(status: u16, kind: &'static str, body: &str) -> Reply {
    Reply {
        headers: vec![("content-type", kind.to_owned())],
        body: body.to_owned(),
        ..Reply::status(status)
    }
}

async fn call(api: &HttpApi, operation: &str, parameters: &str) -> Result<CallAnswer, CallError> {
    let parameters = Json::parse(parameters).unwrap();
    let request = CallRequest {
        id: "000102030405060708090a0b0c0d0e0f".parse().unwrap(),
        operation,
        parameters: &parameters,
    };
    api.call(&request).await
}

async fn answer(operation: &str, reply: Reply) -> String {
    let receiver = Receiver::start([reply]).await;
    let api = HttpApi::new(settings(&receiver.url)).unwrap();
    match call(&api, operation, "{}").await {
        Ok(answer) => answer.to_json().to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn calls_are_requests_below_the_base_address() {
    let receiver = Receiver::start([]).await;
    let api = HttpApi::new(settings(&receiver.url)).unwrap();
    for (operation, parameters) in [
        ("GET /enis/{id}", r#"{"id": "eni/1", "full": true}"#),
        ("PUT /enis/{id}", r#"{"id": "eni-1", "name": "a"}"#),
    ] {
        assert!(call(&api, operation, parameters).await.unwrap().ok);
    }
    let calls = receiver.calls();
    let header = |call: &Call, name: &str| {
        let value = call.headers.get(name);
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(calls[0].method.as_str(), "GET");
    assert_eq!(calls[0].uri.to_string(), "/hook/enis/eni%2F1?full=true");
    assert_eq!(
        header(&calls[0], "authorization"),
        format!("Bearer {TOKEN}")
    );
    assert_eq!(header(&calls[0], "idempotency-key"), "");
    assert_eq!(calls[1].method.as_str(), "PUT");
    assert_eq!(calls[1].uri.to_string(), "/hook/enis/eni-1");
    assert_eq!(calls[1].body, r#"{"name":"a"}"#);
    assert_eq!(header(&calls[1], "content-type"), "application/json");
    assert_eq!(
        header(&calls[1], "idempotency-key"),
        "000102030405060708090a0b0c0d0e0f"
    );
}

#[test]
fn only_what_is_allowed_is_admitted() {
    let api = |allow: &[&str], dry_run| {
        HttpApi::new(HttpApiSettings {
            allow: OperationPatterns::new(allow.iter().copied()),
            dry_run,
            ..settings("https://cmdb.example.com")
        })
        .unwrap()
    };
    let usual = api(&["GET *"], false);
    assert_eq!(usual.admit("GET /enis/{id}"), CallAdmission::Read);
    for operation in [
        "DELETE /enis/{id}",
        "POST /enis",
        "GET enis",
        "get /enis",
        "",
    ] {
        let admission = usual.admit(operation);
        assert!(
            matches!(admission, CallAdmission::NotAllowed(_)),
            "{operation}: {admission:?}"
        );
    }
    let all = api(&["*"], false);
    let repeatable = |repeatable| CallAdmission::Change { repeatable };
    assert_eq!(all.admit("HEAD /enis"), CallAdmission::Read);
    assert_eq!(all.admit("PUT /enis/{id}"), repeatable(true));
    assert_eq!(all.admit("DELETE /enis/{id}"), repeatable(false));
    let rehearsed = api(&["*"], true);
    assert_eq!(rehearsed.admit("POST /enis"), CallAdmission::DryRun);
    assert_eq!(rehearsed.admit("GET /enis"), CallAdmission::Read);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_sent() {
    let receiver = Receiver::start([]).await;
    let api = HttpApi::new(HttpApiSettings {
        dry_run: true,
        ..settings(&format!(
            "{}/secret-path-0123456789?key=canary-key",
            receiver.url
        ))
    })
    .unwrap();
    let parameters = r#"{"id": "eni-1", "body": {"a": 1}, "headers": {"x-team": "n"}}"#;
    let answer = call(&api, "POST /enis/{id}", parameters).await.unwrap();
    assert_eq!(answer.code, "DryRun");
    let host = receiver
        .url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/hook")
        .unwrap();
    assert_eq!(
        answer.body.to_string(),
        format!(r#"{{"method":"POST","host":"{host}","path":"/enis/eni-1","query":"","#)
            + r#""headers":{"x-team":"n"},"body":{"a":1}}"#
    );
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn answers_are_json_or_text() {
    for (kind, body, expected) in [
        ("application/json", r#"{"a": 1}"#, r#"{"a":1}"#),
        ("application/problem+json; charset=utf-8", "[1]", "[1]"),
        ("text/plain", "7", r#""7""#),
        ("text/csv", "a,b", r#""a,b""#),
        ("application/json", "", "null"),
    ] {
        assert_eq!(
            answer("GET /a", reply(200, kind, body)).await,
            format!(
                "{{\"ok\":true,\"status\":200,\"code\":\"\",\"message\":\"\",\"body\":{expected}}}"
            )
        );
    }
    for (reply, message) in [
        (
            reply(200, "text/html", "<html>"),
            "HTTP 200: expected JSON or text, found HTML",
        ),
        (
            reply(200, "application/json", "{"),
            "HTTP 200: expected JSON: ",
        ),
        (Reply::status(307), "HTTP 307: redirects are not followed"),
        (
            reply(200, "text/plain", &"x".repeat((1 << 20) + 1)),
            "HTTP 200: invalid response: it is longer than 1048576 bytes",
        ),
    ] {
        let text = answer("POST /a", reply).await;
        assert!(text.contains(r#""code":"InvalidAnswer""#), "{text}");
        assert!(text.contains(message), "{text}");
        assert!(
            text.contains("; the operation may have been executed"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn errors_are_answers_with_code_and_message() {
    for (status, kind, body, expected) in [
        (
            404,
            "application/json",
            r#"{"code": "NotFound", "message": "no such interface"}"#,
            r#""code":"NotFound","message":"no such interface""#,
        ),
        (
            409,
            "text/plain",
            "conflict\nmore",
            r#""code":"409","message":"conflict""#,
        ),
        (
            403,
            "text/html",
            "<html>",
            r#""code":"403","message":"no message","body":null"#,
        ),
        (
            500,
            "application/json",
            "{}",
            r#""code":"500","message":"no message""#,
        ),
    ] {
        let text = answer("POST /a", reply(status, kind, body)).await;
        let expected = format!(r#"{{"ok":false,"status":{status},{expected}"#);
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[tokio::test]
async fn throttled_and_unavailable_calls_are_sent_again() {
    let later = |status| Reply {
        headers: vec![("retry-after", "3".into())],
        ..Reply::status(status)
    };
    for status in [429, 503] {
        let receiver = Receiver::start([later(status)]).await;
        let api = HttpApi::new(settings(&receiver.url)).unwrap();
        let error = call(&api, "POST /a", "{}").await.unwrap_err();
        let CallError::NotSent { retry_after, .. } = error else {
            panic!("{status}")
        };
        assert_eq!(retry_after, Some(SignedDuration::from_secs(3)));
    }
    // A gateway does not know what became of the request.
    for status in [502, 503, 504] {
        let text = answer("POST /a", Reply::status(status)).await;
        assert_eq!(
            text,
            format!("Unknown {{ reason: \"HTTP {status}: no message\" }}")
        );
    }
}

#[tokio::test]
async fn private_addresses_are_not_called_unless_permitted() {
    let receiver = Receiver::start([]).await;
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let api = HttpApi::new(HttpApiSettings {
            egress: EgressPolicy::default(),
            ..settings(&format!("http://{host}:{port}"))
        })
        .unwrap();
        let answer = call(&api, "GET /a", "{}").await.unwrap();
        assert_eq!(answer.code, "Undelivered");
        assert!(
            answer.message.contains("list its network under `networks`"),
            "{}",
            answer.message
        );
    }
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn secrets_that_a_response_repeats_are_redacted() {
    for (status, kind) in [(200, "text/plain"), (401, "application/json")] {
        let body = format!("{{\"message\":\"token {TOKEN}\"}}");
        let text = answer("GET /a", reply(status, kind, &body)).await;
        assert!(
            !text.contains(TOKEN) && text.contains("[redacted]"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn headers_of_the_target_cannot_be_replaced() {
    let receiver = Receiver::start([]).await;
    let mut configured = settings(&receiver.url);
    configured
        .headers
        .push(("x-team".parse().unwrap(), "network".parse().unwrap()));
    let api = HttpApi::new(configured).unwrap();
    for name in ["X-Team", "Authorization", "Host", "Content-Length"] {
        let parameters = format!(r#"{{"headers": {{"{name}": "a"}}}}"#);
        let answer = call(&api, "GET /a", &parameters).await.unwrap();
        assert_eq!(answer.code, "Undelivered", "{name}");
        assert!(
            answer.message.ends_with("is set by the target"),
            "{}",
            answer.message
        );
    }
    assert!(receiver.calls().is_empty());
}
