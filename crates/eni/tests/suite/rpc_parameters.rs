//! Parameters of requests: error codes, created interfaces, and filters of descriptions.

use reflexarc_eni::events::NoEventReason;
use reflexarc_event::Json;

use crate::rpc::{OWN, body, call, code, endpoint, text};
use crate::world::{after, start};

/// Operation, parameters, and error code of invalid requests. `+` stands for the parameters of a
/// valid creation, `LONG` for a text of 129 characters, `-` for no parameters.
const ERRORS: &str = "
Create SecurityGroupId=sg-1001 MissingParameter
Create VSwitchId=vsw-1001 MissingParameter
Create +RegionId= MissingParameter
Create +RegionId=mars InvalidRegionId.NotFound
Create +SecurityGroupIds.1=sg-1001 InvalidParameter.Conflict
Create +PrivateIpAddress.1=10.0.1.9&SecondaryPrivateIpAddressCount=1 InvalidParameter.Conflict
Create +Ipv6Address.1=2001:db8:1::9&Ipv6AddressCount=1 InvalidParameter.Conflict
Create +Ipv4Prefix.1=10.0.1.16/28&Ipv4PrefixCount=1 InvalidParameter.Conflict
Create +Ipv6Prefix.1=2001:db8:1::/80&Ipv6PrefixCount=1 InvalidParameter.Conflict
Create +PrimaryIpAddress=10.0.1 InvalidParameter
Create +PrivateIpAddress.1=nine InvalidParameter
Create +SecondaryPrivateIpAddressCount=0 InvalidParameter
Create +SecondaryPrivateIpAddressCount=50 InvalidParameter
Create +Ipv6AddressCount=11 InvalidParameter
Create +QueueNumber=0 InvalidParameter
Create +InstanceType=Trunk UnsupportedParameter
Create +InstanceType=Tertiary InvalidParameter
Create +NetworkInterfaceTrafficMode=HighPerformance UnsupportedParameter
Create +NetworkInterfaceName=x InvalidParameter
Create +NetworkInterfaceName=LONG InvalidParameter
Create +Description=http://example.com InvalidParameter
Create +DeleteOnRelease=maybe InvalidParameter
Create +ClientToken=é InvalidParameter
Create +Tag.1.Value=v MissingParameter
Create +Tag.1.Key=acs:x InvalidTagKey.Malformed
Create +Tag.1.Key=LONG InvalidTagKey.Malformed
Create +Tag.1.Key=k&Tag.1.Value=http://x InvalidTagValue.Malformed
Attach InstanceId=i-1001 MissingParameter
Attach NetworkInterfaceId=eni-1 MissingParameter
Attach NetworkInterfaceId=e&InstanceId=i&TrunkNetworkInstanceId=t UnsupportedParameter
Detach - MissingParameter
Delete - MissingParameter
Delete NetworkInterfaceId=eni-none InvalidEniId.NotFound
Describe RegionId= MissingParameter
Describe MaxResults=9 InvalidParameter
Describe MaxResults=501 InvalidParameter
Describe PageNumber=0 InvalidParameter
Describe PageSize=ten InvalidParameter
Describe Status=Lost InvalidParameter
Describe Type=Third InvalidParameter
Describe ServiceManaged=2 InvalidParameter
";

#[test]
fn each_parameter_error_has_its_code() {
    let mut endpoint = endpoint();
    for line in ERRORS.lines().filter(|line| !line.is_empty()) {
        let [operation, text, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let action = match operation {
            "Describe" => "DescribeNetworkInterfaces".to_owned(),
            _ => format!("{operation}NetworkInterface"),
        };
        let mut parameters = Vec::new();
        if text.starts_with('+') {
            parameters.extend(OWN);
        }
        let long = "x".repeat(129);
        let pairs = text.trim_start_matches(['+', '-']).split('&');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        parameters.extend(pairs.map(|(name, value)| match value {
            "LONG" => (name, long.as_str()),
            value => (name, value),
        }));
        let response = call(&mut endpoint, "AK1", &action, &parameters, start());
        let status = if expected.ends_with(".NotFound") {
            404
        } else {
            400
        };
        assert_eq!(
            code(&response),
            (status, expected.to_owned()),
            "{action} {parameters:?}"
        );
        // A request with invalid parameters is a refused request: no event.
        for outcome in endpoint.take_outcomes() {
            assert!(
                matches!(outcome.published, Err(NoEventReason::Refused(_))),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn a_description_has_at_most_100_ids() {
    let mut endpoint = endpoint();
    let many: Vec<(String, String)> = (0..101)
        .map(|n| (format!("NetworkInterfaceId.{n}"), "eni".into()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let response = call(
        &mut endpoint,
        "AK1",
        "DescribeNetworkInterfaces",
        &many,
        start(),
    );
    assert_eq!(code(&response), (400, "InvalidParameter".into()));
}

#[test]
fn a_creation_returns_the_whole_interface() {
    let mut endpoint = endpoint();
    let extra = [
        ("VSwitchId", "vsw-1001"),
        ("SecurityGroupIds.1", "sg-1001"),
        ("NetworkInterfaceName", "web"),
        ("Description", "for the web"),
        ("PrimaryIpAddress", "10.0.1.20"),
        ("PrivateIpAddress.1", "10.0.1.21"),
        ("Ipv6AddressCount", "1"),
        ("Ipv4PrefixCount", "1"),
        ("Ipv6Prefix.1", "2001:db8:1:0:1::/80"),
        ("Tag.1.Key", "owner"),
        ("Tag.1.Value", "web"),
        ("ResourceGroupId", "rg-1"),
    ];
    let response = call(
        &mut endpoint,
        "AK1",
        "CreateNetworkInterface",
        &extra,
        start(),
    );
    insta::assert_snapshot!(response.body.replace(",\"", ",\n\""));
}

#[test]
fn a_description_filters_and_pages() {
    let mut endpoint = endpoint();
    for n in 0..25 {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        let token = n.to_string();
        let extra = [OWN[0], OWN[1], ("Tag.1.Key", tag), ("ClientToken", &token)];
        assert_eq!(
            call(
                &mut endpoint,
                "AK1",
                "CreateNetworkInterface",
                &extra,
                start()
            )
            .status,
            200
        );
    }
    let mut page = |extra: &[(&str, &str)]| {
        let body = body(&call(
            &mut endpoint,
            "AK1",
            "DescribeNetworkInterfaces",
            extra,
            start(),
        ));
        let sets = body
            .get("NetworkInterfaceSets")
            .and_then(|sets| sets.get("NetworkInterfaceSet"))
            .cloned();
        let ids: Vec<String> = sets
            .unwrap()
            .elements()
            .iter()
            .map(|one| text(one, "NetworkInterfaceId"))
            .collect();
        (
            ids,
            text(&body, "NextToken"),
            body.get("TotalCount").and_then(Json::as_i64),
        )
    };
    let secondary = ("Type", "Secondary");
    let (all, _, total) = page(&[secondary, ("PageSize", "100")]);
    assert_eq!((all.len(), total), (25, Some(25)));
    let (second, _, _) = page(&[secondary, ("PageSize", "10"), ("PageNumber", "3")]);
    assert_eq!(second, all[20..]);
    let mut walked = Vec::new();
    let mut token = String::new();
    loop {
        let (ids, next, _) = page(&[secondary, ("MaxResults", "10"), ("NextToken", &token)]);
        walked.extend(ids);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(walked, all);
    assert_eq!(page(&[("Type", "Primary")]).2, Some(1));
    assert_eq!(page(&[("Tag.1.Key", "even")]).2, Some(13));
    assert_eq!(page(&[("Status", "InUse")]).2, Some(1));
    assert_eq!(
        page(&[
            ("NetworkInterfaceId.1", &all[3]),
            ("NetworkInterfaceId.2", "eni-none")
        ])
        .0,
        [all[3].clone()]
    );
    assert_eq!(page(&[("PrivateIpAddress.1", "10.0.1.1")]).2, Some(1));
    assert_eq!(page(&[("InstanceId", "i-1001")]).2, Some(1));
    assert_eq!(page(&[("VSwitchId", "vsw-1002")]).2, Some(0));
}

#[test]
fn the_owner_does_not_see_the_instance_when_managed() {
    let mut endpoint = endpoint();
    let made = call(
        &mut endpoint,
        "AK9",
        "CreateNetworkInterface",
        &OWN,
        start(),
    );
    let id = text(&body(&made), "NetworkInterfaceId");
    let attach = [
        ("NetworkInterfaceId", id.as_str()),
        ("InstanceId", "i-1001"),
    ];
    assert_eq!(
        call(
            &mut endpoint,
            "AK9",
            "AttachNetworkInterface",
            &attach,
            start()
        )
        .status,
        200
    );
    let mut seen = |key: &str| {
        let filter = [("NetworkInterfaceId.1", id.as_str())];
        let body = body(&call(
            &mut endpoint,
            key,
            "DescribeNetworkInterfaces",
            &filter,
            after(10),
        ));
        let sets = body
            .get("NetworkInterfaceSets")
            .and_then(|sets| sets.get("NetworkInterfaceSet"))
            .cloned();
        sets.unwrap().elements().first().cloned()
    };
    let (own, managed) = (seen("AK1").unwrap(), seen("AK9").unwrap());
    assert_eq!(
        (text(&own, "InstanceId"), text(&managed, "InstanceId")),
        (String::new(), "i-1001".into())
    );
    assert_eq!(managed.get("ServiceID").and_then(Json::as_i64), Some(42));
    assert_eq!(own.get("ServiceManaged"), Some(&Json::Bool(true)));
    assert_eq!(seen("AK2"), None);
}
