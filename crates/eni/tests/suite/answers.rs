//! Answers to calls without HTTP: those of the cloud, and those of a scenario to its rules.

use jiff::SignedDuration;
use reflexarc_eni::rpc::Parameters;
use reflexarc_eni::scenario::{RuleRequest, Scenario, Simulation, TimelineEvent};

use crate::world::{USER, after, at, cloud, created, start};

#[test]
fn an_answer_has_status_code_message_and_body() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    let parameters: Parameters = [
        ("RegionId", "cn-hangzhou"),
        ("NetworkInterfaceId.1", &interface.id),
    ]
    .into_iter()
    .collect();
    let accepted = cloud.answer(USER, "DescribeNetworkInterfaces", &parameters, start());
    assert_eq!((accepted.status, accepted.code), (200, ""));
    assert!(accepted.is_accepted() && accepted.message.is_empty());
    let id = at(
        &accepted.body,
        "NetworkInterfaceSets.NetworkInterfaceSet.0.NetworkInterfaceId",
    );
    assert_eq!(id.as_str(), Some(interface.id.as_str()));
    let refused = cloud.answer(USER, "DeleteNetworkInterface", &parameters, start());
    assert_eq!((refused.status, refused.code), (400, "MissingParameter"));
    assert_eq!(at(&refused.body, "Code").as_str(), Some(refused.code));
    assert_eq!(
        at(&refused.body, "Message").as_str(),
        Some(refused.message.as_str())
    );
    let id = at(&refused.body, "RequestId").as_str();
    assert_eq!(id, Some(refused.request_id.as_str()));
    let host = at(&refused.body, "HostId").as_str();
    assert_eq!(host, Some("ecs.cn-hangzhou.aliyuncs.com"));
}

#[test]
fn an_answer_completes_what_is_due_before() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    let call = |cloud: &mut reflexarc_eni::Cloud, action: &str, seconds| {
        let parameters: Parameters = [
            ("RegionId", "cn-hangzhou"),
            ("NetworkInterfaceId", &interface.id),
            ("InstanceId", "i-1001"),
        ]
        .into_iter()
        .collect();
        cloud.answer(USER, action, &parameters, after(seconds)).code
    };
    assert_eq!(call(&mut cloud, "AttachNetworkInterface", 0), "");
    let too_early = call(&mut cloud, "DetachNetworkInterface", 1);
    assert_eq!(too_early, "InvalidOperation.InvalidEniState");
    assert_eq!(call(&mut cloud, "DetachNetworkInterface", 2), "");
}

#[test]
fn a_simulation_answers_calls_of_rules_in_its_timeline() {
    let scenario: Scenario = r#"
        [[step]]
        at = "1s"
        as = "tenant"
        do = "CreateNetworkInterface"
        name = "web"
        with = { VSwitchId = "vsw-tenant", SecurityGroupId = "sg-tenant" }
    "#
    .parse()
    .unwrap();
    let start = scenario.world.start;
    let account = scenario.world.accounts[0].account.id.clone();
    let mut simulation = Simulation::new(scenario);
    while simulation.advance().is_some() {}
    let response = simulation.answer(RuleRequest {
        at: start + SignedDuration::from_secs(5),
        account,
        rule: "leaked-eni".to_owned(),
        action: "DeleteNetworkInterface".to_owned(),
        parameters: [("RegionId", "cn-hangzhou"), ("NetworkInterfaceId", "$web")]
            .into_iter()
            .collect(),
    });
    assert_eq!((response.status, response.code), (200, ""));
    let Some(TimelineEvent::Request {
        at,
        action,
        request_id,
        rule,
        ..
    }) = simulation.advance()
    else {
        panic!("no request");
    };
    assert_eq!(at, start + SignedDuration::from_secs(5));
    assert_eq!(rule.as_deref(), Some("leaked-eni"));
    assert_eq!(
        (action.as_str(), request_id),
        ("DeleteNetworkInterface", response.request_id)
    );
    let ended = std::iter::from_fn(|| simulation.advance()).filter(
        |event| matches!(event, TimelineEvent::Ended(outcome) if outcome.published.is_ok()),
    );
    assert_eq!(ended.count(), 1);
}
