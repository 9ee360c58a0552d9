//! The message of a rule that names targets and has no script.

use reflexarc_diagnostic::truncate;
use reflexarc_event::{Event, Json};

use crate::value::text_of;
use crate::{Message, RuleFacts};

/// What a message tells of an event, in this order: the path in the event, and the words for it.
const FACTS: [(&str, &str); 18] = [
    ("name", "event"),
    ("content.operation", "operation"),
    ("content.result", "result"),
    ("content.eniStatus", "status"),
    ("content.eniId", "ENI"),
    ("content.instanceId", "instance"),
    ("content.primaryPrivateIp", "primary address"),
    ("content.secondaryPrivateIps", "secondary addresses"),
    ("content.ipv4Prefixes", "IPv4 prefixes"),
    ("content.ipv6s", "IPv6 addresses"),
    ("content.ipv6Prefixes", "IPv6 prefixes"),
    ("content.requestId", "request"),
    ("resourceId", "resource"),
    ("regionId", "region"),
    ("userId", "account"),
    ("eventTime", "time"),
    ("level", "level"),
    ("id", "event id"),
];

/// Longest value that a message shows, in characters.
const LONGEST_VALUE: usize = 200;

/// The message that a rule sends on its own: a title that says what happened, the facts of the event, one on each line,
/// and how many like it were suppressed since the last message.
///
/// For an ENI notification the title reads like `AttachNetworkInterface failed for eni-bp1 in cn-hangzhou`; for other
/// events it is the rule's description, or its name. A field that is missing or empty has no line.
pub fn default_message(event: &Event, rule: &RuleFacts, suppressed: u64) -> Message {
    let tree = event.tree();
    let mut lines: Vec<String> = FACTS
        .iter()
        .filter_map(|(path, words)| Some(format!("{words}: {}", shown(at(tree, path)?)?)))
        .collect();
    lines.push(match rule.description.as_str() {
        "" => format!("rule: {}", rule.name),
        description => format!("rule: {} ({description})", rule.name),
    });
    if suppressed > 0 {
        lines.push(format!(
            "{suppressed} more like this since the last message"
        ));
    }
    Message {
        title: title(tree, rule),
        text: lines.join("\n"),
        level: rule.level,
        at: Vec::new(),
        link: None,
    }
}

fn title(tree: &Json, rule: &RuleFacts) -> String {
    let fact = |path| at(tree, path).and_then(shown);
    let Some(operation) = fact("content.operation") else {
        return if rule.description.is_empty() {
            rule.name.clone()
        } else {
            rule.description.clone()
        };
    };
    let result = match fact("content.result").as_deref() {
        None => String::new(),
        Some("success") => " succeeded".to_owned(),
        Some(result) => format!(" {result}"),
    };
    let eni = fact("content.eniId")
        .map(|id| format!(" for {id}"))
        .unwrap_or_default();
    let region = fact("regionId")
        .map(|region| format!(" in {region}"))
        .unwrap_or_default();
    format!("{operation}{result}{eni}{region}")
}

fn at<'a>(tree: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(tree, |json, key| json.get(key))
}

/// A value on one line, cut where it is very long; nothing for null, an empty string and an empty array.
fn shown(value: &Json) -> Option<String> {
    let text = match value {
        Json::Array(elements) => elements
            .iter()
            .filter_map(text_of)
            .collect::<Vec<_>>()
            .join(", "),
        other => text_of(other)?,
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| truncate(&text, LONGEST_VALUE).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn message(event: &str, suppressed: u64) -> Message {
        let rule = RuleFacts {
            name: "failed".into(),
            level: Level::Warn,
            description: "An operation failed".into(),
        };
        default_message(&Event::from_json(event).unwrap(), &rule, suppressed)
    }

    #[test]
    fn an_eni_notification_speaks_for_itself() {
        let message = message(
            r#"{"regionId": "cn-hangzhou", "content": {"operation": "AttachNetworkInterface", "result": "failed",
                "eniId": "eni-1", "secondaryPrivateIps": ["10.0.0.1", "10.0.0.2"], "ipv6s": [], "requestId": null}}"#,
            3,
        );
        assert_eq!(
            message.title,
            "AttachNetworkInterface failed for eni-1 in cn-hangzhou"
        );
        assert_eq!(
            message.text,
            "operation: AttachNetworkInterface\nresult: failed\nENI: eni-1\nsecondary addresses: 10.0.0.1, 10.0.0.2\n\
             region: cn-hangzhou\nrule: failed (An operation failed)\n3 more like this since the last message"
        );
        assert_eq!(message.level, Level::Warn);
    }

    #[test]
    fn other_events_go_by_the_rule() {
        let message = message(r#"{"name": "Disk:Stuck\nX", "id": 7}"#, 0);
        assert_eq!(message.title, "An operation failed");
        assert_eq!(
            message.text,
            "event: Disk:Stuck X\nevent id: 7\nrule: failed (An operation failed)"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let message = message(&format!(r#"{{"name": "{}"}}"#, "网".repeat(1000)), 0);
        assert!(
            message
                .text
                .starts_with(&format!("event: {}…\n", "网".repeat(LONGEST_VALUE)))
        );
    }
}
