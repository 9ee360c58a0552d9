//! Events of `ActionTrail`.

use jiff::SignedDuration;
use reflexarc_eni::Cloud;
use reflexarc_eni::rpc::{AccessKey, ActionTrail, Endpoint, HttpRequest, RequestLimits, Session};
use reflexarc_eni::scenario::{Scenario, Simulation, TimelineEvent};
use reflexarc_event::{Json, catalogue_fields, find_name};

use crate::rpc::signed_request;
use crate::world::{USER, after, answer, at, cloud, created, notified, start, text_at};

fn recording(setting: ActionTrail) -> Cloud {
    cloud().with_action_trail(setting)
}

/// The actions in the events since the last call.
fn recorded(cloud: &mut Cloud) -> Vec<String> {
    let calls = notified(cloud).into_iter();
    let calls = calls.filter(|(name, _)| name == "ActionTrail:ApiCall");
    calls
        .map(|(_, content)| text_at(&content, "eventName").to_owned())
        .collect()
}

#[test]
fn calls_are_recorded_only_where_a_setting_says_so() {
    for (setting, expected) in [
        (ActionTrail::Off, &[][..]),
        (
            ActionTrail::Write,
            &["CreateNetworkInterface", "DeleteNetworkInterface"],
        ),
        (
            ActionTrail::All,
            &[
                "CreateNetworkInterface",
                "DescribeInstances",
                "DeleteNetworkInterface",
            ],
        ),
    ] {
        let mut cloud = recording(setting);
        let query = "VSwitchId=vsw-1001&SecurityGroupId=sg-1001";
        answer(&mut cloud, USER, "CreateNetworkInterface", query);
        answer(&mut cloud, USER, "DescribeInstances", "");
        // Refused, and recorded all the same.
        answer(&mut cloud, USER, "DeleteNetworkInterface", "");
        // There is no such action, so there is no service that could record it.
        answer(&mut cloud, USER, "FlyToTheMoon", "");
        assert_eq!(recorded(&mut cloud), expected, "{}", setting.name());
    }
}

#[test]
fn an_event_has_the_documented_fields() {
    let mut cloud = recording(ActionTrail::Write);
    let query = "VSwitchId=vsw-1001&SecurityGroupId=sg-1001&Tag.1.Key=owner&Tag.1.Value=web";
    let made = answer(&mut cloud, USER, "CreateNetworkInterface", query);
    let id = text_at(&made.body, "NetworkInterfaceId");
    let sent = cloud.take_notifications().pop().unwrap();
    let tree = sent.event.tree();
    assert!(find_name(text_at(tree, "name")).is_some());
    let resource = format!("acs:ecs:cn-hangzhou:{USER}:eni/{id}");
    assert_eq!(text_at(tree, "resourceId"), resource);
    let content = at(tree, "content");
    for (path, expected) in [
        ("eventType", "ApiCall"),
        ("eventCategory", "Management"),
        ("eventName", "CreateNetworkInterface"),
        ("eventRW", "Write"),
        ("eventSource", "ecs.cn-hangzhou.aliyuncs.com"),
        ("eventTime", "2026-01-01T00:00:00Z"),
        ("acsRegion", "cn-hangzhou"),
        ("apiVersion", "2014-05-26"),
        ("serviceName", "Ecs"),
        ("requestId", &made.request_id),
        ("recipientAccountId", USER),
        ("userIdentity.type", "root-account"),
        ("userIdentity.accountId", USER),
        ("userIdentity.principalId", USER),
        ("requestParameters.VSwitchId", "vsw-1001"),
        ("responseElements.NetworkInterfaceId", id),
        ("responseElements.RequestId", &made.request_id),
    ] {
        assert_eq!(text_at(content, path), expected, "{path}");
    }
    assert_eq!(at(content, "eventVersion").as_i64(), Some(1));
    // A key of the parameters has dots of its own.
    let parameters = at(content, "requestParameters");
    assert_eq!(
        parameters.get("Tag.1.Value").and_then(Json::as_str),
        Some("web")
    );
    let again = Json::parse(text_at(content, "requestParameterJson")).unwrap();
    assert_eq!(&again, parameters);
    let referenced = at(content, "referencedResources");
    let first = |kind: &str| {
        referenced
            .get(kind)
            .and_then(|ids| ids.elements()[0].as_str())
    };
    assert_eq!(first("ACS::ECS::NetworkInterface"), Some(id));
    assert_eq!(first("ACS::VPC::VSwitch"), Some("vsw-1001"));
    assert_eq!(content.get("errorCode"), None);
    // The catalogue knows every member.
    for (key, _) in content.members() {
        let path = format!("content.{key}");
        let known = catalogue_fields()
            .iter()
            .any(|field| field.path == path && field.is_of("ActionTrail:ApiCall"));
        assert!(known, "{path}");
    }
}

#[test]
fn a_refused_call_is_recorded_with_its_error() {
    let mut cloud = recording(ActionTrail::Write);
    let query = "NetworkInterfaceId=eni-none";
    let refused = answer(&mut cloud, USER, "DeleteNetworkInterface", query);
    let (_, content) = notified(&mut cloud).remove(0);
    assert_eq!(text_at(&content, "errorCode"), "InvalidEniId.NotFound");
    assert_eq!(text_at(&content, "errorMessage"), refused.message);
    assert_eq!(text_at(&content, "requestId"), refused.request_id);
    assert_eq!(content.get("responseElements"), None);
}

#[test]
fn large_parameters_are_left_out_of_the_event() {
    let mut cloud = recording(ActionTrail::All);
    let interface = created(&mut cloud, USER, USER).id;
    notified(&mut cloud);
    let large = "x".repeat(200 << 10);
    let query = format!("NetworkInterfaceId={interface}&Description={large}");
    answer(&mut cloud, USER, "ModifyNetworkInterfaceAttribute", &query);
    let (_, content) = notified(&mut cloud).remove(0);
    assert_eq!(text_at(&content, "errorCode"), "InvalidParameter");
    assert_eq!(content.get("requestParameters"), None);
    assert_eq!(content.get("requestParameterJson"), None);
}

#[test]
fn an_event_names_the_session_and_no_secret() {
    let session = Session {
        token: "hidden-token".into(),
        role: "operator".into(),
        name: "night".into(),
        expires: Some(start() + SignedDuration::from_mins(5)),
    };
    assert!(!format!("{session:?}").contains("hidden"));
    let key = AccessKey {
        session: Some(session),
        ..AccessKey::new("STS.1", "secret", USER)
    };
    let cloud = recording(ActionTrail::All);
    let mut endpoint = Endpoint::new(cloud, [key], RequestLimits::DEFAULT);
    let call = |endpoint: &mut Endpoint, nonce: &str, now| {
        let given = [("AccessKeyId", "STS.1"), ("SecurityToken", "hidden-token")];
        let request = signed_request("DescribeInstances", nonce, &given);
        let request = HttpRequest {
            source_address: "203.0.113.9".into(),
            ..request
        };
        endpoint.serve(&request, now)
    };
    assert_eq!(call(&mut endpoint, "one", start()).status, 200);
    let sent = endpoint.take_notifications().remove(0);
    let text = String::from_utf8(sent.event.bytes().to_vec()).unwrap();
    assert!(
        !text.contains("hidden") && !text.contains("Signature"),
        "{text}"
    );
    let content = at(sent.event.tree(), "content");
    for (path, expected) in [
        ("userIdentity.type", "assumed-role"),
        ("userIdentity.userName", "operator:night"),
        ("userIdentity.accessKeyId", "STS.1"),
        ("sourceIpAddress", "203.0.113.9"),
        ("requestParameters.RegionId", "cn-hangzhou"),
    ] {
        assert_eq!(text_at(content, path), expected, "{path}");
    }
    let expired = call(&mut endpoint, "two", after(300));
    assert!(
        expired.body.contains("InvalidSecurityToken.Expired"),
        "{}",
        expired.body
    );
    // A request that is not authenticated belongs to no account.
    assert_eq!(endpoint.take_notifications().len(), 0);
}

#[test]
fn a_scenario_records_calls_in_the_envelope_of_the_bus() {
    let text = r#"
        action_trail = "write"
        [[account]]
        name = "tenant"
        id = "1001"
        form = "eventbridge"
        [[vswitch]]
        id = "vsw"
        account = "tenant"
        vpc = "vpc"
        zone = "cn-hangzhou-b"
        ipv4 = "10.0.0.0/24"
        [[security_group]]
        id = "sg"
        account = "tenant"
        vpc = "vpc"
        [[step]]
        at = "1s"
        as = "tenant"
        do = "CreateNetworkInterface"
        with = { VSwitchId = "vsw", SecurityGroupId = "sg" }
    "#;
    let events = |text: &str| -> Vec<TimelineEvent> {
        let mut simulation = Simulation::new(text.parse::<Scenario>().unwrap());
        std::iter::from_fn(|| simulation.advance()).collect()
    };
    let timeline = events(text);
    let Some(TimelineEvent::Published { event, account, .. }) = timeline.last() else {
        panic!("{timeline:?}");
    };
    assert_eq!(account, "1001");
    assert_eq!(text_at(event.tree(), "type"), "ecs:ActionTrail:ApiCall");
    assert_eq!(
        text_at(event.tree(), "data.eventName"),
        "CreateNetworkInterface"
    );
    let off = events(&text.replace("action_trail", "# action_trail"));
    assert_eq!(off.len(), timeline.len() - 1);
    let invalid = text.replace("\"write\"", "\"some\"").parse::<Scenario>();
    assert!(invalid.unwrap_err().to_string().contains("action_trail"));
}
