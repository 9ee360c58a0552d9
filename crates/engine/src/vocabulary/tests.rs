use reflexarc_diagnostic::{Code, Severity};

use super::*;

/// The filter after its fixes, or the helps of findings without one; the same text without
/// findings.
fn fixed(text: &str) -> String {
    let pattern: Pattern = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = check_vocabulary(&pattern);
    let mut changed = text.to_owned();
    for finding in found.iter().rev() {
        assert!(
            matches!(finding.code, Code::MISSPELT_FIELD | Code::MISSPELT_VALUE),
            "{finding:?}"
        );
        match &finding.fix {
            Some(fix) => changed.replace_range(fix.span.clone(), &fix.replacement),
            None => return finding.help.clone().expect("help"),
        }
    }
    let right: Pattern = changed
        .parse()
        .unwrap_or_else(|error| panic!("{changed}: {error}"));
    assert_eq!(check_vocabulary(&right), [], "{changed}");
    changed
}

fn assert_fixed(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(fixed(text), *expected, "{text}");
    }
}

fn assert_silent(texts: &[&str]) {
    for text in texts {
        let pattern: Pattern = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(check_vocabulary(&pattern), [], "{text}");
    }
}

#[test]
fn misspelt_fields_are_corrected() {
    assert_fixed(&[
        (
            r#"content.opration == "AttachNetworkInterface""#,
            r#"content.operation == "AttachNetworkInterface""#,
        ),
        (
            r#"regionID == "cn-hangzhou""#,
            r#"regionId == "cn-hangzhou""#,
        ),
        (
            r#"region_id == "cn-hangzhou""#,
            r#"regionId == "cn-hangzhou""#,
        ),
        (
            r#"contnt.result == "failed""#,
            r#"content.result == "failed""#,
        ),
        (r#"content.eniID exists"#, "content.eniId exists"),
        (r#"content.eni_id is missing"#, "content.eniId is missing"),
        (
            r#"not (content.eniid == "x")"#,
            r#"not (content.eniId == "x")"#,
        ),
        (
            r#"content.networkInterfaceId == "eni-1""#,
            r#"content.eniId == "eni-1""#,
        ),
        (
            r#"content.eniStats == "InUse""#,
            r#"content.eniStatus == "InUse""#,
        ),
        (r#"eniId == "eni-1""#, r#"content.eniId == "eni-1""#),
        (r#"lvel == "WARN""#, r#"level == "WARN""#),
        (r#"Level == "WARN""#, r#"level == "WARN""#),
        (
            r#"levle == "WARN" and content.eniId exists"#,
            r#"level == "WARN" and content.eniId exists"#,
        ),
        (
            r#"content.secondaryPrivateIp in cidr "10.0.0.0/8""#,
            r#"content.secondaryPrivateIps in cidr "10.0.0.0/8""#,
        ),
        (
            r#"content.primaryPrivateIP exists"#,
            "content.primaryPrivateIp exists",
        ),
        (
            r#"{"content": {"opration": ["AttachNetworkInterface"]}}"#,
            r#"{"content": {"operation": ["AttachNetworkInterface"]}}"#,
        ),
        (
            r#"{"contnet": {"operation": ["AttachNetworkInterface"]}}"#,
            r#"{"content": {"operation": ["AttachNetworkInterface"]}}"#,
        ),
        (
            r#"{"regionID": ["cn-hangzhou"]}"#,
            r#"{"regionId": ["cn-hangzhou"]}"#,
        ),
        (r#"{"eniId": ["eni-1"]}"#, r#"{"content.eniId": ["eni-1"]}"#),
    ]);
}

#[test]
fn misspelt_names_are_corrected() {
    const NAME: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";
    for wrong in [
        "NetworkInterfaceOperateComplete",
        "NetworkInterfaceOperateCompleted",
        "NetworkInterface:NetworkInterfaceOperateComplete",
        "NetworkInterface:NetworkInterfaceOperationCompleted",
        "networkinterface:networkinterfaceoperatecompleted",
        "NetworkInterface.NetworkInterfaceOperateCompleted",
        "NetworkInterfce:NetworkInterfaceOperateCompleted",
        "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        "NetworkInterface:NetworkInterfaceOperateCompleted:Normal",
    ] {
        let expected = format!("name == \"{NAME}\"");
        assert_eq!(fixed(&format!("name == \"{wrong}\"")), expected);
    }
}

#[test]
fn misspelt_values_are_corrected() {
    assert_fixed(&[
        (
            r#"content.result == "fail""#,
            r#"content.result == "failed""#,
        ),
        (
            r#"content.result == "Failed""#,
            r#"content.result == "failed""#,
        ),
        (
            r#"content.result != "fail""#,
            r#"content.result != "failed""#,
        ),
        (
            r#"content.result == "succeeded""#,
            r#"content.result == "success""#,
        ),
        (
            r#"not (content.result == "succes")"#,
            r#"not (content.result == "success")"#,
        ),
        (
            r#"content.result in ["failure", "success"]"#,
            r#"content.result in ["failed", "success"]"#,
        ),
        (
            r#"content.operation not in ["AttachNetworkInterfce", "DetachNetworkInterface"]"#,
            r#"content.operation not in ["AttachNetworkInterface", "DetachNetworkInterface"]"#,
        ),
        (
            r#"content.eniStatus == "In_Use""#,
            r#"content.eniStatus == "InUse""#,
        ),
        (
            r#"content.eniStatus == "Attached""#,
            r#"content.eniStatus == "InUse""#,
        ),
        (
            r#"content.eniStatus == "The resource has been deleted.""#,
            r#"content.eniStatus == "Deleted""#,
        ),
        (r#"level == "WARNING""#, r#"level == "WARN""#),
        (
            r#"name == "NetworkInterface""#,
            "compare the beginning: \"NetworkInterface:\"",
        ),
        (
            r#"name starts with "Network" and content.operation == "Attach""#,
            r#"name starts with "Network" and content.operation == "AttachNetworkInterface""#,
        ),
        (
            r#"level in ["warn", "critical"]"#,
            r#"level in ["WARN", "CRITICAL"]"#,
        ),
        (r#"product == "ecs""#, r#"product == "ECS""#),
        (r#"product == "acs.ecs""#, r#"product == "ECS""#),
        (
            r#"name == "Instance:SystemFailure.Rebot:Executing""#,
            r#"name == "Instance:SystemFailure.Reboot:Executing""#,
        ),
        (
            r#"name == "Instance:SystemFailure.Reboot:Execute""#,
            r#"name == "Instance:SystemFailure.Reboot:Executed""#,
        ),
    ]);
}

#[test]
fn misspelt_parts_of_values_are_corrected() {
    assert_fixed(&[
        (
            r#"name starts with "NetworkInterfce""#,
            r#"name starts with "NetworkInterface""#,
        ),
        (
            r#"name starts with "networkInterface:""#,
            r#"name starts with "NetworkInterface:""#,
        ),
        (
            r#"name ends with "OperateComplted""#,
            r#"name ends with "OperateCompleted""#,
        ),
        (
            r#"name contains "SystemFailre""#,
            r#"name contains "SystemFailure""#,
        ),
        (r#"name like "Instence:*""#, r#"name like "Instance:*""#),
        (
            r#"content.operation starts with "Atach""#,
            r#"content.operation starts with "Attach""#,
        ),
        (
            r#"{"content": {"result": ["fail"]}}"#,
            r#"{"content": {"result": ["failed"]}}"#,
        ),
        (
            r#"{"name": [{"anything-but": {"prefix": "NetworkInterfce:"}}]}"#,
            r#"{"name": [{"anything-but": {"prefix": "NetworkInterface:"}}]}"#,
        ),
        (
            r#"name starts with "Network" and content.result == "accomplished""#,
            r#"name starts with "Network" and content.result == "success""#,
        ),
        (
            r#"name == "Disk:DiskOperationCompleted" and content.result == "success""#,
            r#"name == "Disk:DiskOperationCompleted" and content.result == "accomplished""#,
        ),
    ]);
}

#[test]
fn a_path_and_its_value_are_corrected_together() {
    assert_fixed(&[
        (
            r#"content.reslt == "fail""#,
            r#"content.result == "failed""#,
        ),
        (
            r#"product == "ecs" and content.opration == "DetachDisks" and lvel == "warn""#,
            r#"product == "ECS" and content.operation == "DetachDisk" and level == "WARN""#,
        ),
    ]);
}

#[test]
fn a_field_without_fields_is_compared_itself() {
    assert_fixed(&[
        (
            "content.secondaryPrivateIps.size > 2",
            "compare the number of values in the script: \
             `event.content.secondaryPrivateIps.len() > 2`",
        ),
        (
            r#"content.eniId.value == "x""#,
            "write `content.eniId`; a condition holds if any value of a list satisfies it",
        ),
        (
            r#"product == "ECS" and content.result.code == 1"#,
            "write `content.result`; a condition holds if any value of a list satisfies it",
        ),
    ]);
    assert_silent(&[
        "content.result.code == 1",
        "name.first == 1",
        "resource.id == 1",
    ]);
}

#[test]
fn the_parameters_of_a_recorded_call_have_any_names() {
    assert_silent(&[
        r#"name == "ActionTrail:ApiCall" and content.requestParameters.InstanceId exists"#,
        r#"name == "ActionTrail:ApiCall" and content.userIdentity.type == "assumed-role""#,
        r#"name == "ActionTrail:ApiCall" and content.eventType == "ApiCall""#,
    ]);
}

#[test]
fn common_words_are_reported_in_ecs_events_only() {
    let severity = |text: &str| {
        let pattern: Pattern = text.parse().expect("a filter");
        check_vocabulary(&pattern)
            .first()
            .map(|finding| finding.severity)
    };
    assert_eq!(severity(r#"result == "fail""#), Some(Severity::Hint));
    assert_eq!(severity(r#"result == "5""#), None);
    assert_eq!(severity(r#"region == "x""#), None);
    assert_eq!(
        severity(r#"result == "fail" and content.eniId exists"#),
        Some(Severity::Warning)
    );
    assert_eq!(
        severity(r#"region == "x" and product == "ECS""#),
        Some(Severity::Warning)
    );
    assert_eq!(severity(r#"content.results == "x""#), None);
}

#[test]
fn other_events_have_their_own_vocabulary() {
    assert_silent(&[
        r#"product == "Shop" and level == "warn""#,
        r#"product == "RDS" and content.opration == "x" and content.result == "fail""#,
        r#"name == "Order:Created" and content.result == "Failed""#,
        r#"(name == "Order:Created" or name == "Order:Paid") and level == "warn""#,
        r#"not (name == "Order:Created" and level == "warn")"#,
        r#"kind == "heartbeat" and level == "warning""#,
        r#"service == "x" and level == "warning""#,
        r#"order.total > 5 and regionID == "eu""#,
        r#"detail.state == "stopped" and source == "aws.ec2""#,
        r#"name == "Automation:RequestSent" and requestId exists"#,
        r#"{"source": ["/shop"], "type": ["com.example.order"], "data": {"level": ["warn"]}}"#,
        r#"content.kind == "x" and content.result == "fail""#,
    ]);
    // The branches of `or` are about different events.
    assert_fixed(&[(
        r#"name == "Order:Paid" and level == "warn" or name == "Disk:Stalled" and level == "warn""#,
        r#"name == "Order:Paid" and level == "warn" or name == "Disk:Stalled" and level == "WARN""#,
    )]);
}

#[test]
fn what_is_only_unknown_is_no_mistake() {
    assert_silent(&[
        r#"name == "NetworkInterface:Attached""#,
        r#"name == "Instance:SystemFailure.Start""#,
        r#"content.operation == "AssignPrivateIpAddresses""#,
        r#"content.result == "partial""#,
        r#"content.operation == "Attach""#,
        r#"level == "ERROR""#,
        r#"product == "EC2""#,
        r#"product == "ECI""#,
        r#"content.somethingNew == 1"#,
        r#"content.tags.owner == "x""#,
        r#"newField exists"#,
        r#"type == "x""#,
        r#"names == "x""#,
        r#"lvel == "x""#,
        r#"Name == "x""#,
        r#"name starts with "Inst""#,
        r#"name matches "Intance:.*""#,
        r#"name like "*:*Completed""#,
        r#"level == "warn" ignoring case"#,
        r#"name exists and content.result == "accomplished""#,
        r#"content.eniId == "eni-8vb1qo********cdeg2n""#,
    ]);
}

#[test]
fn the_ready_made_rules_have_no_misspelt_names() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let rules = crate::RuleSet::load(&folder).expect("valid rules");
    assert!(rules.len() > 10);
    for rule in rules.rules() {
        assert_eq!(check_vocabulary(rule.pattern()), [], "{}", rule.name());
    }
}

#[test]
fn long_lists_are_compared_within_bounds() {
    let values: Vec<String> = (0..3_000).map(|n| format!("\"Instance:New{n}\"")).collect();
    let text = format!("product == \"ECS\" and name in [{}]", values.join(","));
    let pattern: Pattern = text.parse().expect("a filter of less than 64 KiB");
    let spanned = pattern.spanned().expect("a valid source");
    let vocabulary = FilterVocabulary::new(&spanned, &RuleSetLimits::DEFAULT);
    assert!(vocabulary.subject.is_ecs());
    assert!(!vocabulary.comparisons.take(), "the limit is reached");
    assert_eq!(check_vocabulary(&pattern), []);
}
