//! Short forms of requests to the APIs of `EventBridge` and Cloud Monitor.

use std::cell::Cell;

use reflexarc_eni::rpc::{Endpoint, HttpResponse};
use reflexarc_event::Json;

use crate::rpc;
use crate::world::{after, at, text_at};

/// The bus of events of cloud services.
pub(crate) const DEFAULT: (&str, &str) = ("EventBusName", "default");

/// What creates an interface.
pub(crate) const CREATE: [(&str, &str); 2] =
    [("VSwitchId", "vsw-1001"), ("SecurityGroupId", "sg-1001")];

/// The pattern of every completed operation on an interface.
pub(crate) const OPERATIONS: &str = r#"{
    "source": ["acs.ecs"],
    "type": ["ecs:NetworkInterface:NetworkInterfaceOperateCompleted"]
}"#;

/// Calls an action of a version as the user of an access key.
pub(crate) fn call_as(
    endpoint: &mut Endpoint,
    key: &str,
    version: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> HttpResponse {
    thread_local!(static TIME: Cell<i64> = const { Cell::new(0) });
    // Each request has a time and so a nonce of its own.
    let now = after(TIME.replace(TIME.get() + 1) % 600);
    let mut given = vec![("Version", version), ("RegionId", "cn-hangzhou")];
    given.extend(parameters);
    rpc::call(endpoint, key, action, &given, now)
}

/// Calls an action of `EventBridge`.
pub(crate) fn bridge(
    endpoint: &mut Endpoint,
    action: &str,
    parameters: &[(&str, &str)],
) -> HttpResponse {
    call_as(endpoint, "AK1", "2020-04-01", action, parameters)
}

/// Calls an action of Cloud Monitor.
pub(crate) fn monitor(
    endpoint: &mut Endpoint,
    action: &str,
    parameters: &[(&str, &str)],
) -> HttpResponse {
    call_as(endpoint, "AK1", "2019-01-01", action, parameters)
}

/// The status and the code in the body.
pub(crate) fn code(response: &HttpResponse) -> (u16, String) {
    rpc::code(response)
}

/// What an accepted request of `EventBridge` answers under `Data`.
pub(crate) fn data(response: &HttpResponse) -> Json {
    let body = rpc::body(response);
    assert_eq!(text_at(&body, "Code"), "Success", "{body}");
    assert_eq!(at(&body, "Success"), &Json::Bool(true));
    at(&body, "Data").clone()
}

/// Creates a rule on the default bus with HTTP targets of these ids.
pub(crate) fn create_rule(endpoint: &mut Endpoint, name: &str, pattern: &str, targets: &[&str]) {
    let targets = Json::Array(targets.iter().map(|id| http_target(id)).collect()).to_string();
    let response = bridge(
        endpoint,
        "CreateRule",
        &[
            ("EventBusName", "default"),
            ("RuleName", name),
            ("FilterPattern", pattern),
            ("EventTargets", &targets),
        ],
    );
    let arn = data(&response);
    let expected = format!("acs:eventbridge:cn-hangzhou:1001:eventbus/default/rule/{name}");
    assert_eq!(text_at(&arn, "RuleARN"), expected);
}

/// A target that gets the whole event over HTTP.
pub(crate) fn http_target(id: &str) -> Json {
    let body = Json::texts([("ResourceKey", "Body"), ("Form", "ORIGINAL")]);
    Json::object([
        ("Id", id.into()),
        ("Type", "http".into()),
        ("Endpoint", "http://127.0.0.1:8321/events".into()),
        ("PushRetryStrategy", "EXPONENTIAL_DECAY_RETRY".into()),
        ("ErrorsTolerance", "ALL".into()),
        ("ParamList", Json::Array(vec![body])),
    ])
}

/// Creates an interface, which makes an event.
pub(crate) fn operate(endpoint: &mut Endpoint) -> HttpResponse {
    let response = call_as(
        endpoint,
        "AK1",
        "2014-05-26",
        "CreateNetworkInterface",
        &CREATE,
    );
    assert_eq!(response.status, 200, "{}", response.body);
    response
}

/// A member of each item of a list.
pub(crate) fn names(list: &Json, name: &str) -> Vec<String> {
    let items = list.elements().iter();
    items.map(|item| text_at(item, name).to_owned()).collect()
}
