//! Instances: their changes by the API, their events, and what becomes of their interfaces.

use reflexarc_eni::Cloud;
use reflexarc_eni::events::NoEventReason;
use reflexarc_eni::resources::InstanceStatus;

use crate::world::{
    OTHER, USER, after, answer, at, attached, cloud, complete_all, created, notified, text_at,
};

/// Action, parameters and error code of refused requests about a running instance.
const ERRORS: &str = "
StartInstance - MissingParameter
StartInstance InstanceId=i-none InvalidInstanceId.NotFound
StartInstance InstanceId=i-1003 InvalidInstanceId.NotFound
StartInstance InstanceId=i-1001 IncorrectInstanceStatus
StopInstance InstanceId=i-1001&StoppedMode=Never InvalidParameter
StopInstance InstanceId=i-1001&Hibernate=true UnsupportedParameter
StopInstance InstanceId=i-1001&DryRun=true DryRunOperation
DeleteInstance InstanceId=i-1001 IncorrectInstanceStatus
DeleteInstance InstanceId=i-1001&Force=true&DryRun=true DryRunOperation
StopInstances - MissingParameter
StopInstances InstanceId.1=i-1001&InstanceId.2=i-none InvalidInstanceId.NotFound
DescribeInstances InstanceIds=i-1001 InvalidParameter
DescribeInstances InstanceIds.1=i-1001 InvalidParameter
DescribeInstances PrivateIpAddresses=[10] InvalidParameter
DescribeInstances MaxResults=101 InvalidParameter
DescribeInstances NextToken=bad InvalidParameter
DescribeInstances Status=Asleep InvalidParameter
DescribeInstances KeyPairName=k UnsupportedParameter
DescribeInstances InstanceChargeType=PrePaid UnsupportedParameter
DescribeInstances DryRun=true DryRunOperation
DescribeInstanceTypes MinimumCpuCoreCount=4 UnsupportedParameter
DescribeInstanceTypes NextToken=bad InvalidParameter
";

fn states(cloud: &mut Cloud) -> Vec<String> {
    let notified = notified(cloud).into_iter();
    let state = |(name, content)| {
        assert_eq!(name, "Instance:StateChange");
        text_at(&content, "state").to_owned()
    };
    notified.map(state).collect()
}

fn status(cloud: &Cloud) -> Option<InstanceStatus> {
    let mut instances = cloud.instances();
    let found = instances.find(|found| found.id == "i-1001");
    found.map(|found| found.status)
}

#[test]
fn each_refused_request_has_its_code_and_no_effect() {
    let mut cloud = cloud();
    for line in ERRORS.lines().filter(|line| !line.is_empty()) {
        let [action, query, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let response = answer(&mut cloud, USER, action, query);
        assert_eq!(response.code, expected, "{line}: {}", response.message);
    }
    assert_eq!(status(&cloud), Some(InstanceStatus::Running));
    assert_eq!(states(&mut cloud), [""; 0]);
    let ids: Vec<String> = (1..=101).map(|n| format!("InstanceId.{n}=i-{n}")).collect();
    let refused = answer(&mut cloud, USER, "StopInstances", &ids.join("&"));
    assert_eq!(refused.code, "InvalidParameter");
}

#[test]
fn changes_complete_in_the_order_of_time_with_operations() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER);
    let own = format!("NetworkInterfaceId={}&InstanceId=i-1001", interface.id);
    assert!(answer(&mut cloud, USER, "AttachNetworkInterface", &own).is_accepted());
    assert!(answer(&mut cloud, USER, "StopInstance", "InstanceId=i-1001").is_accepted());
    assert_eq!(cloud.next_completion(), Some(after(2)));
    cloud.advance(after(4));
    assert_eq!(status(&cloud), Some(InstanceStatus::Stopping));
    assert_eq!(cloud.next_completion(), Some(after(5)));
    cloud.advance(after(60));
    assert_eq!(status(&cloud), Some(InstanceStatus::Stopped));
    let notifications = cloud.take_notifications();
    let times: Vec<_> = notifications.iter().map(|sent| sent.at).collect();
    assert_eq!(times, [after(0), after(5)]);
    // The interface was attached while the instance stopped.
    assert_eq!(cloud.take_outcomes().pop().unwrap().at, after(2));
}

#[test]
fn each_change_of_status_has_an_event_for_the_owner() {
    let mut cloud = cloud();
    for (action, expected) in [
        ("StopInstance", &["Stopping", "Stopped"]),
        ("StartInstance", &["Starting", "Running"]),
        ("RebootInstance", &["Starting", "Running"]),
    ] {
        let response = answer(&mut cloud, USER, action, "InstanceId=i-1001");
        assert!(response.is_accepted(), "{action}: {}", response.message);
        complete_all(&mut cloud);
        assert_eq!(states(&mut cloud), *expected, "{action}");
    }
    cloud
        .set_instance_status("i-1001", InstanceStatus::Stopped)
        .unwrap();
    cloud
        .set_instance_status("i-1001", InstanceStatus::Stopped)
        .unwrap();
    let sent = cloud.take_notifications();
    assert_eq!(sent.len(), 1);
    let tree = sent[0].event.tree();
    assert_eq!(text_at(tree, "content.state"), "Stopped");
    assert_eq!(text_at(tree, "content.resourceId"), "i-1001");
    assert_eq!(
        text_at(tree, "content.resourceType"),
        "ALIYUN::ECS::Instance"
    );
    assert_eq!(text_at(tree, "content.privateIpAddress"), "10.0.1.1");
    assert_eq!(text_at(tree, "level"), "INFO");
    let resource = format!("acs:ecs:cn-hangzhou:{USER}:instance/i-1001");
    assert_eq!(text_at(tree, "resourceId"), resource);
    assert_eq!(sent[0].recipient, USER);
}

#[test]
fn a_status_that_is_set_ends_a_change_in_progress() {
    let mut cloud = cloud();
    answer(&mut cloud, USER, "StopInstance", "InstanceId=i-1001");
    cloud
        .set_instance_status("i-1001", InstanceStatus::Running)
        .unwrap();
    cloud.advance(after(60));
    assert_eq!(states(&mut cloud), ["Stopping", "Running"]);
}

#[test]
fn a_release_makes_one_event_and_none_of_interfaces() {
    let mut cloud = cloud();
    let deleted = attached(&mut cloud, USER, USER).id;
    let query = "VSwitchId=vsw-1001&SecurityGroupId=sg-1001&DeleteOnRelease=false";
    let made = answer(&mut cloud, USER, "CreateNetworkInterface", query);
    let kept = text_at(&made.body, "NetworkInterfaceId").to_owned();
    let attach = format!("NetworkInterfaceId={kept}&InstanceId=i-1001");
    assert!(answer(&mut cloud, USER, "AttachNetworkInterface", &attach).is_accepted());
    // The attachment is in progress: it never completes.
    cloud.take_outcomes();
    let release = answer(
        &mut cloud,
        USER,
        "DeleteInstance",
        "InstanceId=i-1001&Force=true",
    );
    assert!(release.is_accepted());
    assert_eq!(states(&mut cloud), ["Deleted"]);
    assert!(cloud.interface(&deleted).is_none());
    let kept = cloud.interface(&kept).unwrap();
    assert_eq!((kept.status.as_str(), &kept.instance), ("Available", &None));
    let reasons: Vec<NoEventReason> = complete_all(&mut cloud)
        .into_iter()
        .map(|outcome| outcome.published.unwrap_err())
        .collect();
    assert!(reasons.contains(&NoEventReason::InstanceRelease));
    let hangs = |reason: &NoEventReason| matches!(reason, NoEventReason::NotCompleted { .. });
    assert_eq!(reasons.iter().filter(|reason| hangs(reason)).count(), 1);
    let again = answer(
        &mut cloud,
        USER,
        "DeleteInstance",
        "InstanceId=i-1001&Force=true",
    );
    assert_eq!(again.code, "InvalidInstanceId.NotFound");
}

#[test]
fn several_instances_are_reported_one_by_one() {
    let mut cloud = cloud();
    let stop = answer(&mut cloud, USER, "StopInstances", "InstanceId.1=i-1001");
    let response = at(&stop.body, "InstanceResponses.InstanceResponse.0");
    let text = |key| text_at(response, key);
    let found = [
        text("InstanceId"),
        text("PreviousStatus"),
        text("CurrentStatus"),
    ];
    assert_eq!(found, ["i-1001", "Running", "Stopping"]);
    complete_all(&mut cloud);
    let query = "InstanceId.1=i-1001&ClientToken=t";
    assert!(answer(&mut cloud, USER, "DeleteInstances", query).is_accepted());
    assert!(answer(&mut cloud, USER, "DeleteInstances", query).is_accepted());
    assert_eq!(states(&mut cloud), ["Stopping", "Stopped", "Deleted"]);
}

#[test]
fn instances_are_found_by_what_they_are() {
    let mut cloud = cloud();
    let tags = vec![("team".to_owned(), "network".to_owned())];
    cloud.label_instance("i-1001", Some("web-1"), tags).unwrap();
    let count = |cloud: &mut Cloud, caller: &str, query: &str| {
        let body = answer(cloud, caller, "DescribeInstances", query).body;
        at(&body, "Instances.Instance").elements().len()
    };
    for query in [
        r#"InstanceIds=["i-1001"]"#,
        "InstanceName=web-*",
        "Status=Running",
        "InstanceType=ecs.g7.large",
        "InstanceTypeFamily=ecs.g7",
        "VpcId=vpc-a",
        "VSwitchId=vsw-1001",
        "ZoneId=cn-hangzhou-b",
        "SecurityGroupId=sg-1001",
        r#"PrivateIpAddresses=["10.0.1.1"]"#,
        "Tag.1.Key=team&Tag.1.Value=network",
        "InstanceNetworkType=vpc&InstanceChargeType=PostPaid&MaxResults=1",
    ] {
        assert_eq!(count(&mut cloud, USER, query), 1, "{query}");
        let other = count(
            &mut cloud,
            OTHER,
            &format!(r#"{query}&InstanceIds=["i-1001"]"#),
        );
        assert_eq!(other, 0, "{query}");
    }
    for query in [
        "InstanceName=db-*",
        "Status=Stopped",
        "Tag.1.Key=owner",
        "VpcId=vpc-b",
    ] {
        assert_eq!(count(&mut cloud, USER, query), 0, "{query}");
    }
}
