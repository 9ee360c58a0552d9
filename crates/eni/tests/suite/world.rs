//! A small region for tests, and short forms of requests to it.

use jiff::{SignedDuration, Timestamp};
use reflexarc_eni::events::RequestOutcome;
use reflexarc_eni::resources::{Account, InstanceType, Interface, SecurityGroup, VSwitch};
use reflexarc_eni::rpc::RpcResponse;
use reflexarc_eni::{Answer, Cloud, CreateInterface, Reply, Request};
use reflexarc_event::Json;

/// A user with the preview.
pub(crate) const USER: &str = "1001";
/// A user without the preview.
pub(crate) const PLAIN: &str = "1002";
/// Another user with the preview.
pub(crate) const OTHER: &str = "1003";
/// A cloud service with the preview, number 42.
pub(crate) const SERVICE: &str = "9001";
/// A cloud service without the preview.
pub(crate) const QUIET_SERVICE: &str = "9002";

pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// Three users with a vSwitch, a group and a running instance each (`vsw-1001`, `sg-1001`, `i-1001`
/// …), two services.
pub(crate) fn cloud() -> Cloud {
    let mut cloud = Cloud::new("cn-hangzhou", 1, start());
    cloud.add_account(Account::user(USER).with_preview(true));
    cloud.add_account(Account::user(PLAIN));
    cloud.add_account(Account::user(OTHER).with_preview(true));
    cloud.add_account(Account::service(SERVICE, 42).with_preview(true));
    cloud.add_account(Account::service(QUIET_SERVICE, 43));
    for (n, owner) in [(1, USER), (2, PLAIN), (3, OTHER)] {
        let ipv4 = format!("10.0.{n}.0/24").parse().unwrap();
        let ipv6 = format!("2001:db8:{n}::/64").parse().unwrap();
        let vswitch = format!("vsw-{owner}");
        cloud.add_vswitch(
            VSwitch::new(&vswitch, owner, "vpc-a", "cn-hangzhou-b", ipv4).with_ipv6(ipv6),
        );
        let group = format!("sg-{owner}");
        cloud.add_security_group(SecurityGroup::basic(&group, owner, "vpc-a"));
        cloud
            .run_instance(
                &format!("i-{owner}"),
                InstanceType::g7_large(),
                &vswitch,
                &[&group],
            )
            .unwrap();
    }
    cloud.take_outcomes();
    cloud.take_changes();
    cloud.take_notifications();
    cloud
}

/// A creation in `owner`'s vSwitch.
pub(crate) fn creation(owner: &str) -> CreateInterface {
    CreateInterface::new(&format!("vsw-{owner}"), [format!("sg-{owner}").as_str()])
}

/// Creates an interface for `caller` in `owner`'s vSwitch and discards the outcome.
pub(crate) fn created(cloud: &mut Cloud, caller: &str, owner: &str) -> Interface {
    let reply = cloud.call(caller, Request::Create(creation(owner)), cloud.now());
    let Ok(Answer::Created(interface)) = reply.result else {
        panic!("{reply:?}")
    };
    cloud.take_outcomes();
    *interface
}

/// Creates an interface and attaches it to `owner`'s instance.
pub(crate) fn attached(cloud: &mut Cloud, caller: &str, owner: &str) -> Interface {
    let interface = created(cloud, caller, owner);
    let reply = cloud.call(caller, attach(&interface.id, owner), cloud.now());
    assert!(reply.result.is_ok(), "{reply:?}");
    complete_all(cloud);
    cloud.interface(&interface.id).unwrap().clone()
}

pub(crate) fn attach(interface: &str, owner: &str) -> Request {
    Request::Attach {
        interface: interface.to_owned(),
        instance: format!("i-{owner}"),
        network_card: None,
    }
}

pub(crate) fn detach(interface: &str, owner: &str) -> Request {
    Request::Detach {
        interface: interface.to_owned(),
        instance: format!("i-{owner}"),
    }
}

pub(crate) fn delete(interface: &str) -> Request {
    Request::Delete {
        interface: interface.to_owned(),
    }
}

/// Makes a request now.
pub(crate) fn call(cloud: &mut Cloud, caller: &str, request: Request) -> Reply {
    cloud.call(caller, request, cloud.now())
}

/// Completes all operations in progress and takes the outcomes.
pub(crate) fn complete_all(cloud: &mut Cloud) -> Vec<RequestOutcome> {
    while let Some(next) = cloud.next_completion() {
        cloud.advance(next);
    }
    cloud.take_outcomes()
}

/// The code of the error.
pub(crate) fn code(reply: &Reply) -> &'static str {
    reply.result.as_ref().expect_err("refused").code
}

/// A field of an event's content, as text.
pub(crate) fn content(outcome: &RequestOutcome, key: &str) -> String {
    let publication = outcome.published.as_ref().expect("an event");
    let found = publication
        .event
        .tree()
        .get("content")
        .and_then(|content| content.get(key));
    found
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
        .unwrap_or_default()
}

/// A top-level field of an event, as text.
pub(crate) fn field(outcome: &RequestOutcome, key: &str) -> String {
    let publication = outcome.published.as_ref().expect("an event");
    publication
        .event
        .tree()
        .get(key)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Calls an action with parameters in the form of a query, besides the region.
pub(crate) fn answer(cloud: &mut Cloud, caller: &str, action: &str, query: &str) -> RpcResponse {
    let given = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters = [("RegionId", "cn-hangzhou")].into_iter().chain(given);
    let now = cloud.now();
    cloud.answer(caller, action, &parameters.collect(), now)
}

/// The member of a JSON document at a dotted path, in which numbers are indices.
pub(crate) fn at<'a>(json: &'a Json, path: &str) -> &'a Json {
    path.split('.')
        .fold(json, |json, key| match key.parse::<usize>() {
            Ok(index) => json.elements().get(index).unwrap_or(&Json::Null),
            Err(_) => json.get(key).unwrap_or(&Json::Null),
        })
}

/// The text at a dotted path; empty when there is none.
pub(crate) fn text_at<'a>(json: &'a Json, path: &str) -> &'a str {
    at(json, path).as_str().unwrap_or_default()
}

/// The names and contents of the notifications since the last call.
pub(crate) fn notified(cloud: &mut Cloud) -> Vec<(String, Json)> {
    let notifications = cloud.take_notifications().into_iter();
    let notified = notifications.map(|sent| {
        let tree = sent.event.tree();
        assert_eq!(text_at(tree, "userId"), sent.recipient);
        (
            text_at(tree, "name").to_owned(),
            at(tree, "content").clone(),
        )
    });
    notified.collect()
}
