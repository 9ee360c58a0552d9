//! Rules over events that are converted: what they see, and what explanations say about it.

use reflexarc::{NoState, Pattern, RuleSet, Timestamp, explain_native};

use crate::event;

const ENI: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

/// An event of each envelope whose content is `{"eniStatus": "inuse", "ipv6": "::1"}`.
fn envelopes() -> [(&'static str, String); 4] {
    let content = r#"{"eniStatus":"inuse","ipv6":"::1"}"#;
    [
        (
            "data",
            format!(
                r#"{{"specversion":"1.0","id":"1","source":"acs.ecs","type":"ecs:{ENI}",
                "subject":"s","aliyunregionid":"r","data":{content}}}"#
            ),
        ),
        (
            "alert.eventContentMap",
            format!(
                r#"{{"alert":{{"eventName":"{ENI}","product":"ECS","eventContentMap":{content}}}}}"#
            ),
        ),
        (
            "content",
            format!(r#"{{"name":"{ENI}","content":{content}}}"#),
        ),
        (
            "content",
            format!(r#"{{"name":"{ENI}","traceId":"1","content":{content}}}"#),
        ),
    ]
}

fn explained(filter: &str, json: &str) -> String {
    let filter: Pattern = filter.parse().unwrap();
    explain_native(filter.node(), &event(json)).render(false)
}

#[test]
fn filters_scripts_and_templates_see_canonical_values() {
    let rules = RuleSet::compile([
        (
            "script.toml",
            r#"when = 'content.eniStatus == "InUse" and content.ipv6s == "::1"'
            then = 'send("t", event.content);'"#,
        ),
        (
            "template.toml",
            r#"when = 'content.ipv6 is missing'
            notify = "t"
            message = { text = "{{ event.content.eniStatus }} {{ event.content.ipv6s[0] }}" }"#,
        ),
        (
            "gate.toml",
            r#"when = 'content.eniStatus exists'
            notify = "t"
            once = { key = "content.eniStatus", within = "1h" }"#,
        ),
    ])
    .unwrap();
    for (_, json) in envelopes() {
        let evaluation = rules.evaluate(&event(&json), &NoState, Timestamp::UNIX_EPOCH);
        let actions: Vec<String> = evaluation
            .actions()
            .map(|(_, _, action)| format!("{action:?}"))
            .collect();
        assert_eq!(actions.len(), 3, "{json}: {evaluation:#?}");
        let all = actions.concat();
        assert!(all.contains("InUse ::1"), "the template: {all}");
        assert!(
            !all.contains("inuse") && !all.contains("\"ipv6\""),
            "the script: {all}"
        );
        assert!(
            format!("{evaluation:?}").contains("InUse"),
            "the gate's key"
        );
    }
}

#[test]
fn explanations_name_the_native_path_of_a_field_that_moved() {
    for (content, json) in envelopes() {
        if content != "content" {
            let text = explained(&format!("{content}.eniStatus == \"InUse\""), &json);
            assert!(
                text.contains("in which this field is content.eniStatus"),
                "{text}"
            );
        }
        let text = explained(&format!("{content}.ipv6 == \"::1\""), &json);
        assert!(
            text.contains("in which this field is content.ipv6s"),
            "{text}"
        );
    }
    let cloud = &envelopes()[0].1;
    for (path, native) in [
        ("type", "name"),
        ("source", "product"),
        ("subject", "resourceId"),
        ("aliyunregionid", "regionId"),
    ] {
        let text = explained(&format!("{path} == \"x\""), cloud);
        assert!(
            text.contains(&format!("in which this field is {native}\n")),
            "{text}"
        );
    }
    let text = explained("specversion == \"1.0\"", cloud);
    assert!(text.contains("which lacks this field"), "{text}");
    let webhook = &envelopes()[1].1;
    let text = explained("alert.eventName == \"x\"", webhook);
    assert!(text.contains("in which this field is name\n"), "{text}");
}

#[test]
fn explanations_show_the_value_that_was_replaced() {
    for (_, json) in envelopes() {
        let text = explained("content.eniStatus == \"inuse\"", &json);
        assert!(text.contains("the event has \"inuse\" here"), "{text}");
        let text = explained("content.ipv6s == \"::2\"", &json);
        assert!(text.contains("the event has \"::1\" here"), "{text}");
    }
}

#[test]
fn explanations_of_other_events_are_unchanged() {
    let other = r#"{"specversion":"1.0","type":"com.example.order","source":"/shop","id":"1",
        "data":{"a":1}}"#;
    for filter in [
        "type == \"com.example.order\" and data.a == 1",
        "source == \"/shop\"",
    ] {
        let pattern: Pattern = filter.parse().unwrap();
        assert!(
            explain_native(pattern.node(), &event(other)).matched(),
            "{filter}"
        );
    }
    for filter in ["name == \"x\"", "content.a == 1", "data.b == 1"] {
        let text = explained(filter, other);
        assert!(!text.contains("native form"), "{text}");
    }
}
