//! The service as `GET /openapi.json` describes it: who may call what, and with which statuses.

use std::time::Duration;

use reflexarc_event::Json;
use reflexarc_service::security::{Role, Token, Tokens};

use crate::serving::Serving;

/// Each role alone, with its name in the document.
const ROLES: [(&str, Role); 3] = [
    ("ingest", Role::Ingest),
    ("read", Role::Read),
    ("operate", Role::Operate),
];

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// The roles that may call it; empty if anyone may.
    roles: Vec<String>,
    statuses: Vec<String>,
}

async fn serving() -> Serving {
    let tokens = ROLES.map(|(name, role)| {
        Token::new(
            name.into(),
            &format!("secret-{name}").into(),
            vec![role],
            None,
        )
    });
    Serving::with(|parts| {
        parts.config.tokens = Tokens::new(tokens.to_vec());
        parts.config.limits.token_delay = Duration::ZERO;
    })
    .await
}

fn members(json: &Json) -> &[(String, Json)] {
    match json {
        Json::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn operations(document: &Json) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in members(document.get("paths").unwrap()) {
        for (method, operation) in members(methods) {
            let security = operation.get("security").unwrap().elements();
            // The first alternative is the header.
            let roles = security.first().map(|first| first.get("token").unwrap());
            let roles = roles.map_or(&[][..], Json::elements).iter();
            let responses = members(operation.get("responses").unwrap());
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                roles: roles.map(|role| role.as_str().unwrap().into()).collect(),
                statuses: responses.iter().map(|(status, _)| status.clone()).collect(),
            });
        }
    }
    // It may replace the tokens.
    found.sort_by_key(|operation| operation.path == "/reload");
    found
}

/// The status of an operation, whose parameters in the path all are `1`.
async fn call(serving: &Serving, operation: &Operation, token: Option<&str>) -> u16 {
    let path = operation.path.split('/');
    let path = path.map(|part| if part.starts_with('{') { "1" } else { part });
    let path = path.collect::<Vec<_>>().join("/");
    let method = operation.method.parse().unwrap();
    let url = format!("{}{path}", serving.url);
    let mut request = serving.client.request(method, url);
    if operation.method == "POST" {
        request = request.body("{}");
    }
    if let Some(token) = token {
        request = request.bearer_auth(format!("secret-{token}"));
    }
    // Not its body: that of the live stream has no end.
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_role_may_do_what_the_document_says() {
    let serving = serving().await;
    let (status, document) = serving.get("/openapi.json", None).await;
    assert_eq!(status, 200);
    let operations = operations(&document);
    assert!(operations.len() >= 40);
    for operation in &operations {
        let Operation { method, path, .. } = operation;
        let called = call(&serving, operation, None).await;
        let is_open = operation.roles.is_empty();
        assert_eq!(called != 401, is_open, "{method} {path}: {called}");
        for (role, _) in ROLES {
            let called = call(&serving, operation, Some(role)).await;
            let may = is_open || operation.roles.iter().any(|one| one == role);
            assert_eq!(called != 403, may, "{method} {path} as {role}: {called}");
            let documented = operation.statuses.contains(&called.to_string());
            assert!(documented, "{method} {path} as {role}: {called}");
        }
    }
    serving.stop().await;
}

#[tokio::test]
async fn the_token_is_checked_before_parameters() {
    let serving = serving().await;
    let long = "x".repeat(1_025);
    for (method, path) in [
        ("POST", format!("/targets/out/pause?reason={long}")),
        ("POST", format!("/pending/a/b/close?reason={long}")),
        ("POST", format!("/incidents/1/close?reason={long}")),
        ("POST", format!("/incidents/1/ack?note={long}")),
        ("POST", "/silences/1/end?drop=maybe".to_owned()),
        ("POST", "/reload?force=maybe".to_owned()),
        ("POST", "/dlq/drop?until=maybe".to_owned()),
        ("POST", "/silences".to_owned()),
        ("GET", "/silences?expired=maybe".to_owned()),
        ("GET", "/incidents?open=maybe".to_owned()),
        ("GET", "/pending?fired=maybe".to_owned()),
        ("GET", "/audit?from=maybe".to_owned()),
        ("GET", "/outbox?limit=0".to_owned()),
        ("GET", "/outbox/maybe".to_owned()),
        ("GET", "/trace/1?after=maybe".to_owned()),
        ("GET", "/live?kinds=maybe".to_owned()),
    ] {
        let role = if method == "GET" { "read" } else { "operate" };
        for (token, expected) in [(None, 401), (Some(role), 400)] {
            let url = format!("{}{path}", serving.url);
            let mut request = serving.client.request(method.parse().unwrap(), url);
            if let Some(token) = token {
                request = request.bearer_auth(format!("secret-{token}"));
            }
            let status = request.send().await.unwrap().status().as_u16();
            let parameter = path.split('=').next();
            assert_eq!(status, expected, "{method} {parameter:?} with {token:?}");
        }
    }
    serving.stop().await;
}

/// The parameters of a query that take one value, but those of events: a cloud may repeat them.
fn single_parameters(document: &Json) -> Vec<(String, String)> {
    let components = document.get("components").unwrap();
    let shared = components.get("parameters").unwrap();
    let mut found = Vec::new();
    for (path, methods) in members(document.get("paths").unwrap()) {
        for (method, operation) in members(methods) {
            let given = operation.get("parameters").map_or(&[][..], Json::elements);
            for parameter in given {
                let reference = parameter.get("$ref").and_then(Json::as_str);
                let name = reference.map(|reference| reference.rsplit('/').next().unwrap());
                let parameter = name.map_or(parameter, |name| shared.get(name).unwrap());
                let text = |key| parameter.get(key).and_then(Json::as_str).unwrap();
                let kind = parameter.get("schema").unwrap().get("type");
                let is_list = kind.and_then(Json::as_str) == Some("array");
                if text("in") == "query" && !is_list && path != "/events" {
                    let path = path.replace("{rule}/{key}", "a/b");
                    let path = path.replace("{id}", "1").replace("{name}", "out");
                    let path = path.replace("{event}", "1");
                    let name = text("name");
                    // Each filter is read before it is compared with others.
                    let value = if name == "when" { "a+exists" } else { "1" };
                    let path = format!("{path}?{name}={value}&{name}={value}");
                    found.push((method.to_uppercase(), path));
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused() {
    let serving = Serving::start().await;
    let (_, document) = serving.get("/openapi.json", None).await;
    let requests = single_parameters(&document);
    assert!(requests.len() >= 35, "{}", requests.len());
    for (method, path) in requests {
        let url = format!("{}{path}", serving.url);
        let request = serving.client.request(method.parse().unwrap(), url);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let answer = response.text().await.unwrap();
        let is_said = answer.contains("` is given twice");
        assert!(
            status == 400 && is_said,
            "{method} {path}: {status} {answer}"
        );
    }
    serving.stop().await;
}

#[tokio::test]
async fn invalid_silences_are_refused() {
    let serving = Serving::start().await;
    let silence = |more: &str| format!(r#"{{"pattern":"a == 1","for":"1h","reason":"r",{more}}}"#);
    let large = format!(r#""owner":"{}""#, "x".repeat(64 << 10));
    for (body, status, error) in [
        (silence(&large), 413, "the body is larger than 65536 bytes"),
        (
            silence(r#""confirm":"yes""#),
            400,
            "invalid `confirm`: expected true or false",
        ),
        (
            silence(r#""drop":1"#),
            400,
            "invalid `drop`: expected true or false",
        ),
    ] {
        let (found, answer) = serving.post_to("/silences", &[], body).await;
        let found = (found, answer.get("error").unwrap().as_str());
        assert_eq!(found, (status, Some(error)));
    }
    serving.stop().await;
}
