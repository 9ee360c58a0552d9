//! The API over HTTP: signatures, nonces, and error codes of unauthenticated requests.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reflexarc_eni::rpc::{AccessKey, Endpoint, HttpRequest, HttpResponse, RequestLimits};
use reflexarc_eni::{Fault, FaultMode};
use reflexarc_event::{Json, Operation};

use crate::world::{PLAIN, SERVICE, USER, after, cloud, start};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn endpoint() -> Endpoint {
    endpoint_within(RequestLimits::DEFAULT)
}

fn endpoint_within(limits: RequestLimits) -> Endpoint {
    let key = |id: &str, account: &str| AccessKey::new(id, "secret", account);
    Endpoint::new(
        cloud(),
        [key("AK1", USER), key("AK2", PLAIN), key("AK9", SERVICE)],
        limits,
    )
}

/// An error code, and the change to a valid request that gets it.
type Change = (&'static str, fn(&mut HttpRequest));

/// The common parameters of an HMAC-SHA1 request, without the signature.
fn common(action: &str, nonce: &str) -> Vec<(String, String)> {
    let fixed = [
        ("Action", action),
        ("Version", "2014-05-26"),
        ("Format", "JSON"),
        ("AccessKeyId", "AK1"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", nonce),
        ("Timestamp", "2026-01-01T00:00:00Z"),
        ("RegionId", "cn-hangzhou"),
    ];
    fixed
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn set(parameters: &mut Vec<(String, String)>, name: &str, value: &str) {
    parameters.retain(|(found, _)| found != name);
    parameters.push((name.to_owned(), value.to_owned()));
}

/// A request of an action that is signed with HMAC-SHA1, with parameters besides the common ones.
pub(crate) fn signed_request(action: &str, nonce: &str, given: &[(&str, &str)]) -> HttpRequest {
    let mut parameters = common(action, nonce);
    for (name, value) in given {
        set(&mut parameters, name, value);
    }
    signed(parameters)
}

/// A request that is signed with HMAC-SHA1.
fn signed(mut parameters: Vec<(String, String)>) -> HttpRequest {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    parameters.sort();
    let pairs = |parameters: &[(String, String)]| {
        let pairs = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        pairs.collect::<Vec<_>>().join("&")
    };
    let text = format!("GET&%2F&{}", encode(&pairs(&parameters)));
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(b"secret&").unwrap();
    mac.update(text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    parameters.push(("Signature".into(), signature));
    get(&pairs(&parameters))
}

fn get(query: &str) -> HttpRequest {
    let headers = vec![("Host".to_owned(), "ecs.test".to_owned())];
    HttpRequest {
        method: "GET".into(),
        path: "/".into(),
        query: query.into(),
        headers,
        ..HttpRequest::default()
    }
}

pub(crate) fn body(response: &HttpResponse) -> Json {
    Json::parse(&response.body).unwrap()
}

pub(crate) fn code(response: &HttpResponse) -> (u16, String) {
    (response.status, text(&body(response), "Code"))
}

pub(crate) fn text(json: &Json, key: &str) -> String {
    json.get(key)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Sends one request with its own nonce, signed with an access key.
pub(crate) fn call(
    endpoint: &mut Endpoint,
    key: &str,
    action: &str,
    extra: &[(&str, &str)],
    now: Timestamp,
) -> HttpResponse {
    let mut hasher = DefaultHasher::new();
    (key, action, now, extra).hash(&mut hasher);
    let mut parameters = common(action, &hasher.finish().to_string());
    set(&mut parameters, "AccessKeyId", key);
    set(
        &mut parameters,
        "Timestamp",
        &now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    );
    for (name, value) in extra {
        set(&mut parameters, name, value);
    }
    endpoint.serve(&signed(parameters), now)
}

pub(crate) const OWN: [(&str, &str); 2] =
    [("VSwitchId", "vsw-1001"), ("SecurityGroupId", "sg-1001")];

#[test]
fn acs3_signatures_of_the_official_sdk_are_accepted() {
    // The signature was made by the official Python SDK.
    let mut endpoint = endpoint();
    let headers = [
        ("host", "127.0.0.1:8080"),
        ("x-acs-version", "2014-05-26"),
        ("x-acs-action", "CreateNetworkInterface"),
        ("user-agent", "test"),
        ("x-acs-date", "2026-01-01T00:00:00Z"),
        ("x-acs-signature-nonce", "n-1"),
        ("accept", "application/json"),
        (
            "x-acs-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "Authorization",
            "ACS3-HMAC-SHA256 Credential=AK1,\
             SignedHeaders=accept;host;user-agent;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=4a16c01527c3e9a5074fc4a4d56e1846eeab89888515cf1cc958717339b8d1a6",
        ),
    ];
    let request = HttpRequest {
        method: "POST".into(),
        path: "/".into(),
        query: "RegionId=cn-hangzhou&Tag.1.Key=owner&Tag.1.Value=net+ops%2F%C3%A9%2A~&\
                VSwitchId=vsw-1001&SecurityGroupId=sg-1001"
            .into(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..HttpRequest::default()
    };
    let response = endpoint.serve(&request, start());
    assert_eq!(response.status, 200, "{}", response.body);
    let tag = body(&response)
        .get("Tags")
        .and_then(|tags| tags.get("Tag"))
        .unwrap()
        .elements()[0]
        .clone();
    assert_eq!(
        (text(&tag, "TagKey"), text(&tag, "TagValue")),
        ("owner".into(), "net ops/é*~".into())
    );

    // A change of any part invalidates the signature.
    let changes: [Change; 5] = [
        ("SignatureDoesNotMatch", |request| {
            request.method = "GET".into();
        }),
        ("SignatureDoesNotMatch", |request| {
            request.query = request.query.replace("sg-1001", "sg-1002");
        }),
        ("SignatureDoesNotMatch", |request| {
            request.body = b"x".to_vec();
        }),
        ("SignatureDoesNotMatch", |request| {
            request.headers[0].1 = "other.host".into();
        }),
        ("IncompleteSignature", |request| {
            request.headers.push(("x-acs-new".into(), "1".into()));
        }),
    ];
    for (expected, change) in changes {
        let mut broken = request.clone();
        change(&mut broken);
        assert_eq!(
            code(&endpoint.serve(&broken, start())),
            (400, expected.to_owned())
        );
    }
}

#[test]
fn hmac_sha1_signatures_of_the_official_sdk_are_accepted() {
    // The signature was made by the official Python SDK; some parameters are in the query, others
    // in the form.
    let mut endpoint = endpoint();
    let mut request = get(
        "Action=CreateNetworkInterface&Format=json&Version=2014-05-26&AccessKeyId=AK1&\
         Timestamp=2026-01-01T00%3A00%3A00Z&SignatureNonce=n-1&SignatureMethod=HMAC-SHA1&\
         SignatureVersion=1.0&Signature=RBPWb1HbhH7sg75%2BnfJCJFJV3Qg%3D",
    );
    request.method = "POST".into();
    request.headers.push((
        "Content-Type".into(),
        "application/x-www-form-urlencoded".into(),
    ));
    request.body = b"RegionId=cn-hangzhou&Tag.1.Key=owner&Tag.1.Value=net+ops%2F%C3%A9%2A~&\
          VSwitchId=vsw-1001&SecurityGroupId=sg-1001"
        .to_vec();
    let response = endpoint.serve(&request, start());
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(
        code(&endpoint.serve(&request, start())),
        (400, "SignatureNonceUsed".into())
    );
}

/// A changed parameter of an otherwise valid request, and the error that it gets.
const CHANGED_PARAMETERS: &str = "
Action=RunInstance 404 InvalidAction.NotFound
Version=2014-05-27 404 InvalidVersion
AccessKeyId=AK0 404 InvalidAccessKeyId.NotFound
Timestamp=2026-01-01 00:00:00 400 InvalidTimeStamp.Format
Timestamp=2026-01-01T08:00:00+08:00 400 InvalidTimeStamp.Format
Timestamp=2025-12-31T23:44:59Z 400 InvalidTimeStamp.Expired
Timestamp=2026-01-01T00:15:01Z 400 InvalidTimeStamp.Expired
SignatureMethod=HMAC-MD5 400 InvalidSignatureMethod
SignatureVersion=2.0 400 InvalidSignatureVersion
Format=XML 400 UnsupportedParameter
";

/// A signed description, with one parameter changed before it is signed.
fn description_with(name: &str, value: &str) -> HttpRequest {
    let mut parameters = common("DescribeNetworkInterfaces", &format!("{name} {value}"));
    set(&mut parameters, name, value);
    signed(parameters)
}

fn description() -> HttpRequest {
    signed(common("DescribeNetworkInterfaces", "none"))
}

#[track_caller]
fn assert_refused(endpoint: &mut Endpoint, request: &HttpRequest, status: u16, expected: &str) {
    let response = endpoint.serve(request, start());
    let found = code(&response);
    assert_eq!(found, (status, expected.to_owned()), "{}", request.query);
    let body = body(&response);
    assert_eq!(text(&body, "HostId"), "ecs.test");
    assert_eq!(text(&body, "RequestId"), response.request_id);
    assert!(!text(&body, "Message").is_empty());
}

#[test]
fn each_invalid_authentication_parameter_has_its_code() {
    let mut endpoint = endpoint();
    for line in CHANGED_PARAMETERS.lines().filter(|line| !line.is_empty()) {
        let (line, expected) = line.rsplit_once(' ').unwrap();
        let (line, status) = line.rsplit_once(' ').unwrap();
        let (name, value) = line.split_once('=').unwrap();
        let request = description_with(name, value);
        assert_refused(&mut endpoint, &request, status.parse().unwrap(), expected);
    }
    let long = description_with("SignatureNonce", &"n".repeat(300));
    assert_refused(&mut endpoint, &long, 400, "InvalidParameter");
    for missing in [
        "Action",
        "AccessKeyId",
        "Version",
        "Timestamp",
        "SignatureNonce",
    ] {
        let mut parameters = common("DescribeNetworkInterfaces", "none");
        parameters.retain(|(found, _)| found != missing);
        let request = signed(parameters);
        assert_refused(&mut endpoint, &request, 400, "MissingParameter");
    }
    let earliest = description_with("Timestamp", "2025-12-31T23:45:00Z");
    assert_eq!(endpoint.serve(&earliest, start()).status, 200);
}

#[test]
fn each_invalid_http_request_has_its_code() {
    let mut endpoint = endpoint_within(RequestLimits {
        bytes: 2_000,
        ..RequestLimits::DEFAULT
    });
    let mut unsigned = description();
    let at = unsigned.query.find("&Signature=").unwrap();
    unsigned.query.truncate(at);
    assert_refused(&mut endpoint, &unsigned, 400, "MissingParameter");

    let mut forged = description();
    forged.query = forged.query.replace("cn-hangzhou", "cn-beijing");
    assert_refused(&mut endpoint, &forged, 400, "SignatureDoesNotMatch");

    let mut put = description();
    put.method = "PUT".into();
    assert_refused(&mut endpoint, &put, 403, "UnsupportedHTTPMethod");

    let mut large = description();
    large.body = vec![b'a'; 2_000];
    assert_refused(&mut endpoint, &large, 413, "RequestEntityTooLarge");

    for (authorization, expected) in [
        ("ACS3-RSA-SHA256 Credential=AK1", "InvalidSignatureMethod"),
        ("ACS3-HMAC-SHA256 Credential=AK1", "IncompleteSignature"),
    ] {
        let mut request = description();
        let header = ("Authorization".into(), authorization.into());
        request.headers.push(header);
        assert_refused(&mut endpoint, &request, 400, expected);
    }
}

#[test]
fn a_nonce_is_used_once_while_its_request_is_fresh() {
    let mut endpoint = endpoint();
    let request = signed(common("DescribeNetworkInterfaces", "n"));
    assert_eq!(endpoint.serve(&request, start()).status, 200);
    for minutes in [0, 15] {
        let now = start() + SignedDuration::from_mins(minutes);
        assert_eq!(
            code(&endpoint.serve(&request, now)),
            (400, "SignatureNonceUsed".into())
        );
    }
    let later = start() + SignedDuration::from_mins(16);
    assert_eq!(
        code(&endpoint.serve(&request, later)),
        (400, "InvalidTimeStamp.Expired".into())
    );
    // A request with an invalid signature does not use its nonce.
    let good = signed(common("DescribeNetworkInterfaces", "n2"));
    let forged = HttpRequest {
        query: good.query.replace("cn-hangzhou", "cn-beijing"),
        ..good.clone()
    };
    assert_eq!(
        code(&endpoint.serve(&forged, start())),
        (400, "SignatureDoesNotMatch".into())
    );
    assert_eq!(endpoint.serve(&good, start()).status, 200);
}

#[test]
fn nonces_are_limited_and_expire() {
    let mut endpoint = endpoint_within(RequestLimits {
        nonces: 2,
        ..RequestLimits::DEFAULT
    });
    let mut at = |n: i64, now: Timestamp| {
        call(
            &mut endpoint,
            "AK1",
            "DescribeNetworkInterfaces",
            &[("PageNumber", &n.to_string())],
            now,
        )
    };
    assert_eq!((at(1, start()).status, at(2, start()).status), (200, 200));
    assert_eq!(code(&at(3, start())), (400, "Throttling.User".into()));
    assert_eq!(at(4, after(31 * 60)).status, 200);
}

#[test]
fn response_and_event_have_the_same_request_id() {
    let mut endpoint = endpoint();
    let response = call(
        &mut endpoint,
        "AK1",
        "CreateNetworkInterface",
        &OWN,
        start(),
    );
    let outcome = endpoint.take_outcomes().remove(0);
    assert_eq!(outcome.request_id, response.request_id);
    assert_eq!(text(&body(&response), "RequestId"), response.request_id);
    assert_eq!(
        crate::world::content(&outcome, "requestId"),
        response.request_id
    );
}

#[test]
fn a_creation_that_will_fail_is_accepted() {
    let mut cloud = cloud();
    cloud
        .inject(Fault {
            operation: Operation::Create,
            interface: None,
            mode: FaultMode::Fail,
            times: 1,
        })
        .unwrap();
    let key = AccessKey::new("AK1", "secret", USER);
    let mut endpoint = Endpoint::new(cloud, [key], RequestLimits::DEFAULT);
    let response = call(
        &mut endpoint,
        "AK1",
        "CreateNetworkInterface",
        &OWN,
        start(),
    );
    assert_eq!(
        (response.status, text(&body(&response), "Status")),
        (200, "Creating".into())
    );
    endpoint.advance(after(5));
    assert_eq!(
        crate::world::content(&endpoint.take_outcomes()[0], "eniStatus"),
        "CreateFailed"
    );
}

#[test]
fn debug_output_has_no_secrets() {
    let key = AccessKey::new("AK1", "very-secret", USER);
    assert!(!format!("{key:?}").contains("very-secret"));
}
