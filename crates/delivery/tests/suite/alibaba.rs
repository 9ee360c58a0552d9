//! Targets of type `alibaba` against an API on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::alibaba::{
    AccessKey, AlibabaApi, AlibabaSettings, CredentialSource, InstanceRole, ParameterStyle,
};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_delivery::{
    CallAdmission, CallApi, CallError, CallRequest, DeliveryId, OperationPatterns,
};
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::receiver::{Call, Receiver, Reply};

const SECRET: &str = "canary-secret-0123456789";
const TOKEN: &str = "canary/token+0123456789";

fn key() -> CredentialSource {
    CredentialSource::Key(AccessKey {
        id: "LTAI-canary".into(),
        secret: SECRET.into(),
        security_token: Some(TOKEN.into()),
    })
}

fn settings(endpoint: &str) -> AlibabaSettings {
    AlibabaSettings {
        product: "ecs".into(),
        version: "2014-05-26".into(),
        region: Some("cn-hangzhou".into()),
        endpoint: endpoint.parse().unwrap(),
        egress: EgressPolicy::operator_hosts(),
        authorities: None,
        credentials: key(),
        allow: OperationPatterns::new(["*"]),
        dry_run: false,
        style: ParameterStyle::Query,
        timeout: Duration::from_secs(20),
    }
}

/// The address of a receiver without its path.
fn origin(receiver: &Receiver) -> &str {
    receiver.url.strip_suffix("/hook").unwrap()
}

fn json(status: u16, body: &str) -> Reply {
    Reply {
        body: body.to_owned(),
        ..Reply::status(status)
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"Code":"{code}","Message":"as {code} says","RequestId":"R"}}"#);
    json(status, &body)
}

fn id() -> DeliveryId {
    "000102030405060708090a0b0c0d0e0f".parse().unwrap()
}

async fn call(
    api: &impl CallApi,
    operation: &str,
    parameters: &str,
) -> Result<CallAnswer, CallError> {
    let parameters = Json::parse(parameters).unwrap();
    let request = CallRequest {
        id: id(),
        operation,
        parameters: &parameters,
    };
    api.call(&request).await
}

/// The answer of one call to a server with these replies.
async fn answer(operation: &str, replies: impl IntoIterator<Item = Reply>) -> String {
    let receiver = Receiver::start(replies).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    match call(&api, operation, r#"{"NetworkInterfaceId": "eni-1"}"#).await {
        Ok(answer) => answer.to_json().to_string(),
        Err(error) => format!("{error:?}"),
    }
}

fn query(call: &Call) -> BTreeMap<String, String> {
    let query = call.uri.query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn header<'a>(call: &'a Call, name: &str) -> &'a str {
    call.headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn calls_are_signed_posts_with_flattened_parameters() {
    let receiver = Receiver::start([json(200, r#"{"RequestId":"R"}"#)]).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    let parameters = r#"{"NetworkInterfaceId": ["eni-1", "eni-2"], "Tag": [{"Key": "a b"}]}"#;
    let answer = call(&api, "DescribeNetworkInterfaces", parameters).await;
    assert_eq!(
        answer.unwrap().to_json().to_string(),
        r#"{"ok":true,"status":200,"code":"","message":"","body":{"RequestId":"R"}}"#
    );
    let calls = receiver.calls();
    let [sent] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (sent.method.as_str(), sent.uri.path(), sent.body.as_str()),
        ("POST", "/", "")
    );
    let expected = [
        ("NetworkInterfaceId.1", "eni-1"),
        ("NetworkInterfaceId.2", "eni-2"),
        ("RegionId", "cn-hangzhou"),
        ("Tag.1.Key", "a%20b"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(query(sent), BTreeMap::from(expected));
    assert_eq!(header(sent, "x-acs-action"), "DescribeNetworkInterfaces");
    assert_eq!(header(sent, "x-acs-version"), "2014-05-26");
    assert_eq!(header(sent, "x-acs-security-token"), TOKEN);
    let authorization = header(sent, "authorization");
    assert!(
        authorization.starts_with(
            "ACS3-HMAC-SHA256 Credential=LTAI-canary,SignedHeaders=host;x-acs-accesskey-id;\
             x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-security-token;\
             x-acs-signature-nonce;x-acs-version,Signature="
        ),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_client_token_is_the_same_in_each_attempt() {
    let throttled = error(400, "Throttling.User");
    let receiver = Receiver::start([throttled, json(200, "{}"), json(200, "{}")]).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    for _ in 0..2 {
        drop(
            call(
                &api,
                "CreateNetworkInterface",
                r#"{"RegionId": "cn-beijing"}"#,
            )
            .await,
        );
    }
    drop(call(&api, "CreateNetworkInterface", r#"{"ClientToken": "own"}"#).await);
    drop(call(&api, "DetachNetworkInterface", "{}").await);
    let calls = receiver.calls();
    let tokens: Vec<_> = calls
        .iter()
        .map(|call| query(call).remove("ClientToken").unwrap_or_default())
        .collect();
    assert_eq!(tokens, [&*id().to_string(), &*id().to_string(), "own", ""]);
    assert_eq!(query(&calls[0])["RegionId"], "cn-beijing");
    assert_ne!(
        header(&calls[0], "x-acs-signature-nonce"),
        header(&calls[1], "x-acs-signature-nonce")
    );
}

#[tokio::test]
async fn forms_are_sent_in_the_body() {
    let receiver = Receiver::start([json(200, "{}")]).await;
    let api = AlibabaApi::new(AlibabaSettings {
        style: ParameterStyle::Form,
        ..settings(origin(&receiver))
    })
    .unwrap();
    assert!(
        call(&api, "DescribeVpcs", r#"{"VpcName": "a b&c"}"#)
            .await
            .unwrap()
            .ok
    );
    let sent = receiver.calls().remove(0);
    assert_eq!(sent.uri.query(), None);
    assert_eq!(sent.body, "RegionId=cn-hangzhou&VpcName=a%20b%26c");
    assert_eq!(
        header(&sent, "content-type"),
        "application/x-www-form-urlencoded"
    );
    assert!(header(&sent, "authorization").contains("SignedHeaders=content-type;host;"));
}

#[test]
fn operations_outside_allow_are_not_admitted() {
    let api = |allow: &[&str], dry_run| {
        AlibabaApi::new(AlibabaSettings {
            allow: OperationPatterns::new(allow.iter().copied()),
            dry_run,
            ..settings("http://127.0.0.1:1/")
        })
        .unwrap()
    };
    let usual = api(&["Describe*", "ListTagResources"], true);
    assert_eq!(usual.admit("DescribeInstances"), CallAdmission::Read);
    for operation in [
        "DeleteNetworkInterface",
        "describeInstances",
        "",
        "Describe&x",
    ] {
        let admission = usual.admit(operation);
        assert!(
            matches!(admission, CallAdmission::NotAllowed(_)),
            "{operation}: {admission:?}"
        );
    }
    let CallAdmission::NotAllowed(reason) = usual.admit("DeleteDisk") else {
        panic!()
    };
    assert_eq!(
        reason,
        "the operation DeleteDisk is not allowed; `allow` of the target has: Describe*, \
         ListTagResources"
    );
    let all = api(&["*"], true);
    assert_eq!(all.admit("DescribeInstances"), CallAdmission::Read);
    assert_eq!(all.admit("DeleteNetworkInterface"), CallAdmission::DryRun);
    let live = api(&["*"], false);
    let repeatable = |repeatable| CallAdmission::Change { repeatable };
    assert_eq!(live.admit("CreateNetworkInterface"), repeatable(true));
    assert_eq!(live.admit("DeleteNetworkInterface"), repeatable(false));
}

#[tokio::test]
async fn nothing_is_sent_that_is_not_allowed() {
    let receiver = Receiver::start([]).await;
    let api = AlibabaApi::new(AlibabaSettings {
        allow: OperationPatterns::new(["De*"]),
        dry_run: true,
        ..settings(origin(&receiver))
    })
    .unwrap();
    for (operation, parameters, expected) in [
        ("RunInstances", "{}", "NotAllowed"),
        ("DeleteNetworkInterface", "{}", "DryRun"),
        (
            "DescribeInstances",
            r#"{"Action": "DeleteInstance"}"#,
            "Undelivered",
        ),
        ("DescribeInstances", r#"{"InstanceIds": []}"#, "Undelivered"),
    ] {
        let answer = call(&api, operation, parameters).await.unwrap();
        assert_eq!(answer.code, expected, "{}", answer.message);
    }
    assert!(receiver.calls().is_empty());
    let answer = call(
        &api,
        "DeleteNetworkInterface",
        r#"{"NetworkInterfaceId": "eni-1"}"#,
    )
    .await;
    let host = origin(&receiver).strip_prefix("http://").unwrap();
    assert_eq!(
        answer.unwrap().body.to_string(),
        format!(
            "{{\"method\":\"POST\",\"host\":\"{host}\",\"action\":\"DeleteNetworkInterface\",\
             \"version\":\"2014-05-26\",\"parameters\":{{\"NetworkInterfaceId\":\"eni-1\",\
             \"RegionId\":\"cn-hangzhou\"}}}}"
        )
    );
}

#[tokio::test]
async fn errors_of_the_api_are_answers() {
    for (status, code) in [
        (404, "InvalidAccessKeyId.NotFound"),
        (400, "SignatureDoesNotMatch"),
        (400, "InvalidSecurityToken.Expired"),
        (404, "InvalidAction.NotFound"),
        (403, "Forbidden.RAM"),
        (404, "InvalidEniId.NotFound"),
        (500, "InternalError"),
    ] {
        assert_eq!(
            answer("DeleteNetworkInterface", [error(status, code)]).await,
            format!(
                "{{\"ok\":false,\"status\":{status},\"code\":\"{code}\",\
                 \"message\":\"as {code} says\",\"body\":{{\"Code\":\"{code}\",\
                 \"Message\":\"as {code} says\",\"RequestId\":\"R\"}}}}"
            )
        );
    }
    let without = answer("DeleteNetworkInterface", [json(403, r#"{"denied": true}"#)]).await;
    assert!(
        without.contains(r#""status":403,"code":"403","message":"no message""#),
        "{without}"
    );
}

#[tokio::test]
async fn what_was_certainly_not_executed_is_sent_again() {
    for (status, code) in [
        (400, "Throttling.User"),
        (429, "Throttling"),
        (503, "ServiceUnavailable"),
        (503, "Busy"),
        (400, "SignatureNonceUsed"),
        (403, "LastTokenProcessing"),
        (403, "IdempotentProcessing"),
    ] {
        let error = answer("DeleteNetworkInterface", [error(status, code)]).await;
        let expected = format!(
            "NotSent {{ reason: \"HTTP {status} {code}: as {code} says\", retry_after: None }}"
        );
        assert_eq!(error, expected);
    }
    for (name, value, pause) in [
        (
            "x-acs-retry-after",
            "1500",
            SignedDuration::from_millis(1_500),
        ),
        ("retry-after", "7", SignedDuration::from_secs(7)),
    ] {
        let throttled = Reply {
            headers: vec![(name, value.to_owned())],
            ..error(400, "Throttling")
        };
        let receiver = Receiver::start([throttled]).await;
        let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
        let error = call(&api, "DescribeInstances", "{}").await.unwrap_err();
        let CallError::NotSent { retry_after, .. } = error else {
            panic!()
        };
        assert_eq!(retry_after, Some(pause));
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_by_the_servers() {
    let server_time = Timestamp::now() + SignedDuration::from_mins(20);
    let date = server_time
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let refused = Reply {
        headers: vec![("date", date)],
        ..error(400, "InvalidTimeStamp.Expired")
    };
    let replies = [refused, json(200, "{}"), json(200, "{}")];
    let receiver = Receiver::start(replies).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    // At once, and from the first request on in later calls.
    assert!(call(&api, "DescribeInstances", "{}").await.unwrap().ok);
    assert!(call(&api, "DescribeInstances", "{}").await.unwrap().ok);
    let calls = receiver.calls();
    let ahead = |call: &Call| {
        let time: Timestamp = header(call, "x-acs-date").parse().unwrap();
        time.duration_since(Timestamp::now()).as_secs()
    };
    assert_eq!(calls.len(), 3);
    assert!(ahead(&calls[0]).abs() < 60);
    assert!((ahead(&calls[1]) - 1_200).abs() < 60 && (ahead(&calls[2]) - 1_200).abs() < 60);
}

#[tokio::test]
async fn a_clock_that_cannot_be_corrected_is_not_sent() {
    let always = |_: &Call, _: &[Call]| Some(error(400, "InvalidTimeStamp.Expired"));
    let receiver = Receiver::with([], always).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    let error = call(&api, "DeleteNetworkInterface", "{}")
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn responses_that_are_no_answers_are_named() {
    let page = || json(200, "<html><body>login</body></html>");
    let redirect = || Reply {
        headers: vec![("location", "http://169.254.169.254/".into())],
        ..Reply::status(302)
    };
    let large = || json(200, &format!("\"{}\"", "x".repeat(1 << 20)));
    let executed = "; the operation may have been executed";
    for (reply, status, message) in [
        (
            page as fn() -> Reply,
            200,
            "HTTP 200: expected JSON, found HTML or XML",
        ),
        (
            || json(502, "<html>"),
            502,
            "HTTP 502: expected JSON, found HTML or XML",
        ),
        (
            || Reply::status(200),
            200,
            "HTTP 200: expected JSON, found an empty body",
        ),
        (
            redirect,
            302,
            "HTTP 302: redirects are not followed: configure the final address",
        ),
        (
            large,
            200,
            "HTTP 200: invalid response: it is longer than 1048576 bytes",
        ),
    ] {
        for (operation, suffix) in [("DescribeInstances", ""), ("DeleteInstance", executed)] {
            assert_eq!(
                answer(operation, [reply()]).await,
                format!(
                    "{{\"ok\":false,\"status\":{status},\"code\":\"InvalidAnswer\",\
                     \"message\":\"{message}{suffix}\",\"body\":null}}"
                )
            );
        }
    }
    let most = json(200, &format!("\"{}\"", "x".repeat((1 << 20) - 2)));
    assert!(
        answer("DescribeInstances", [most])
            .await
            .starts_with(r#"{"ok":true"#)
    );
}

#[tokio::test]
async fn secrets_that_a_response_repeats_are_redacted() {
    let echo = |call: &Call, _: &[Call]| {
        let headers: Vec<_> = call
            .headers
            .values()
            .map(|value| value.to_str().unwrap())
            .collect();
        let message = format!("string to sign: {} {SECRET}", headers.join("\n"));
        let body = Json::object([
            ("Code", "SignatureDoesNotMatch".into()),
            ("Message", message.into()),
        ]);
        Some(json(400, &body.to_string()))
    };
    let receiver = Receiver::with([], echo).await;
    let api = AlibabaApi::new(settings(origin(&receiver))).unwrap();
    let answer = call(&api, "DescribeInstances", "{}").await.unwrap();
    let text = answer.to_json().to_string();
    let sent = receiver.calls().remove(0);
    let signature = header(&sent, "authorization").rsplit('=').next().unwrap();
    for secret in [SECRET, TOKEN, signature] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(
        text.contains("string to sign") && text.contains("[redacted]"),
        "{text}"
    );
}

#[tokio::test]
async fn requests_that_were_not_written_are_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let plain = Receiver::start([]).await;
    let no_tls = origin(&plain).replace("http:", "https:");
    for endpoint in [
        format!("http://{closed}"),
        no_tls,
        "https://host.invalid".to_owned(),
    ] {
        let api = AlibabaApi::new(settings(&endpoint)).unwrap();
        let error = call(&api, "DeleteNetworkInterface", "{}")
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::NotSent { .. }),
            "{endpoint}: {error:?}"
        );
    }
    assert!(plain.calls().is_empty());
}

#[tokio::test]
async fn denied_addresses_are_no_endpoint() {
    // A policy that denies a receiver of this test, so that nothing else is connected to if the
    // policy is not followed. That operators' policies deny metadata services, `egress.rs` tests.
    let receiver = Receiver::start([]).await;
    let api = AlibabaApi::new(AlibabaSettings {
        egress: EgressPolicy::default(),
        ..settings(origin(&receiver))
    })
    .unwrap();
    let answer = call(&api, "DescribeInstances", "{}").await.unwrap();
    assert_eq!(answer.code, "Undelivered");
    assert!(
        answer
            .message
            .starts_with("127.0.0.1 is not a public address")
    );
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn an_outcome_after_writing_is_unknown() {
    let slow = Receiver::start([Reply {
        delay: Duration::from_secs(30),
        ..json(200, "{}")
    }])
    .await;
    let api = AlibabaApi::new(AlibabaSettings {
        timeout: Duration::from_millis(500),
        ..settings(origin(&slow))
    })
    .unwrap();
    let error = call(&api, "DeleteNetworkInterface", "{}")
        .await
        .unwrap_err();
    let reason = "no response within 500ms".to_owned();
    assert_eq!(error, CallError::Unknown { reason });

    // Reads the request, and closes the connection: before a response, or within one.
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\""] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            stream.write_all(begun.as_bytes()).await.unwrap();
        });
        let api = AlibabaApi::new(settings(&format!("http://{address}"))).unwrap();
        let error = call(&api, "DeleteNetworkInterface", "{}")
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    }
}

/// A metadata service whose keys are numbered, and valid for this long.
async fn metadata(valid: SignedDuration) -> Receiver {
    Receiver::with([], move |call, earlier| {
        let path = call.uri.path();
        let has_token = header(call, "x-aliyun-ecs-metadata-token") == "session";
        let body = match (call.method.as_str(), path) {
            ("PUT", "/latest/api/token") => "session".to_owned(),
            ("GET", "/latest/meta-data/ram/security-credentials/") if has_token => "role\n".into(),
            ("GET", "/latest/meta-data/ram/security-credentials/role") if has_token => {
                let number = earlier
                    .iter()
                    .filter(|call| call.uri.path() == path)
                    .count();
                let expires = (Timestamp::now() + valid).strftime("%Y-%m-%dT%H:%M:%SZ");
                format!(
                    r#"{{"Code":"Success","AccessKeyId":"STS.{number}","AccessKeySecret":
                    "secret-{number}","SecurityToken":"token-{number}","Expiration":"{expires}"}}"#
                )
            }
            _ => return Some(Reply::status(403)),
        };
        Some(json(200, &body))
    })
    .await
}

fn with_role(endpoint: &Receiver, metadata: &Receiver) -> AlibabaApi {
    let service = origin(metadata).parse().unwrap();
    AlibabaApi::new(AlibabaSettings {
        credentials: CredentialSource::InstanceRole(
            InstanceRole::with_stand_in(None, service).unwrap(),
        ),
        ..settings(origin(endpoint))
    })
    .unwrap()
}

#[tokio::test]
async fn keys_of_the_role_are_fetched_once_and_used() {
    let always = |_: &Call, _: &[Call]| Some(json(200, "{}"));
    let receiver = Receiver::with([], always).await;
    let service = metadata(SignedDuration::from_hours(6)).await;
    let api = with_role(&receiver, &service);
    let calls = [
        call(&api, "DescribeInstances", "{}"),
        call(&api, "DescribeInstances", "{}"),
        call(&api, "DescribeInstances", "{}"),
    ];
    for answer in calls {
        assert!(answer.await.unwrap().ok);
    }
    assert_eq!(service.calls().len(), 3);
    for sent in receiver.calls() {
        assert_eq!(header(&sent, "x-acs-security-token"), "token-0");
        assert!(header(&sent, "authorization").contains("Credential=STS.0,"));
    }
}

#[tokio::test]
async fn an_expired_token_of_the_role_is_replaced_once() {
    let expired = |call: &Call, _: &[Call]| {
        let token = header(call, "x-acs-security-token");
        Some(match token {
            "token-0" => error(400, "InvalidSecurityToken.Expired"),
            _ => json(200, "{}"),
        })
    };
    let receiver = Receiver::with([], expired).await;
    let service = metadata(SignedDuration::from_hours(6)).await;
    let api = with_role(&receiver, &service);
    assert!(call(&api, "DeleteNetworkInterface", "{}").await.unwrap().ok);
    assert_eq!(receiver.calls().len(), 2);

    let always = |_: &Call, _: &[Call]| Some(error(400, "InvalidSecurityToken.Expired"));
    let receiver = Receiver::with([], always).await;
    let api = with_role(&receiver, &service);
    let answer = call(&api, "DeleteNetworkInterface", "{}").await.unwrap();
    assert_eq!(answer.code, "InvalidSecurityToken.Expired");
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn a_metadata_service_that_fails_is_named() {
    let receiver = Receiver::start([]).await;
    let pages = |_: &Call, _: &[Call]| Some(json(200, "<html>secret page</html>"));
    let none = |_: &Call, _: &[Call]| Some(Reply::status(404));
    for (service, reason) in [
        (Receiver::with([], pages).await, "invalid name of a role"),
        (
            Receiver::with([], none).await,
            "HTTP 404; attach a RAM role",
        ),
    ] {
        let api = with_role(&receiver, &service);
        let error = call(&api, "DescribeInstances", "{}").await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("no credentials from the metadata service 127.0.0.1:"),
            "{text}"
        );
        assert!(
            text.contains(reason) && !text.contains("secret page"),
            "{text}"
        );
    }
    // A key that is valid is used while the service fails to renew it.
    let failing = metadata(SignedDuration::from_mins(5)).await;
    let always = |_: &Call, _: &[Call]| Some(json(200, "{}"));
    let receiver = Receiver::with([], always).await;
    let api = with_role(&receiver, &failing);
    assert!(call(&api, "DescribeInstances", "{}").await.unwrap().ok);
}

#[tokio::test]
async fn a_key_that_takes_too_long_is_not_sent() {
    let receiver = Receiver::start([]).await;
    let slow = Receiver::start([Reply {
        delay: Duration::from_secs(1),
        ..json(200, "session")
    }])
    .await;
    let service = origin(&slow).parse().unwrap();
    let api = AlibabaApi::new(AlibabaSettings {
        credentials: CredentialSource::InstanceRole(
            InstanceRole::with_stand_in(None, service).unwrap(),
        ),
        timeout: Duration::from_millis(400),
        ..settings(origin(&receiver))
    })
    .unwrap();
    let error = call(&api, "DeleteNetworkInterface", "{}")
        .await
        .unwrap_err();
    let CallError::NotSent { reason, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(reason, "no credentials within 200ms");
    assert!(receiver.calls().is_empty());
}

#[tokio::test]
async fn a_key_that_is_no_header_is_never_sent() {
    let receiver = Receiver::start([]).await;
    let api = AlibabaApi::new(AlibabaSettings {
        credentials: CredentialSource::Key(AccessKey {
            id: "LTAI\ncanary".into(),
            secret: SECRET.into(),
            security_token: None,
        }),
        ..settings(origin(&receiver))
    })
    .unwrap();
    let answer = call(&api, "DescribeInstances", "{}").await.unwrap();
    assert_eq!(answer.code, "Undelivered");
    assert_eq!(answer.message, "invalid text for the header authorization");
    assert!(receiver.calls().is_empty());
}
