//! The message of a rule with `notify` and without templates.

use reflexarc_diagnostic::truncate;
use reflexarc_event::{Event, Json};

use crate::value::text_of;
use crate::{Message, RuleInfo};

// What a reader needs to act comes first: what happened, how it ended, to which resource. Ids,
// which are only needed to search for more, come last.
/// The fields of an event that a message lists, in this order: the path, and its label.
const FIELDS: [(&str, &str); 18] = [
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

/// Longer values are truncated, in characters.
const MAX_VALUE: usize = 200;

/// The message of a rule that has neither a script nor templates: a title, the fields of the event,
/// one on each line, and the number of events suppressed since the last message.
///
/// For an ENI notification the title is like `AttachNetworkInterface failed for eni-bp1 in
/// cn-hangzhou`; for other events it is the rule's description, or its name. A field that is
/// missing or empty has no line.
///
/// ```
/// use reflexarc_reaction::{Event, RuleInfo, default_message};
///
/// let event = Event::from_json(r#"{"name": "Disk:Stuck", "regionId": "cn-hangzhou"}"#)?;
/// let message = default_message(&event, &RuleInfo::named("disks"), 2);
/// assert_eq!(message.title, "disks");
/// assert_eq!(
///     message.text,
///     "event: Disk:Stuck\nregion: cn-hangzhou\nrule: disks\n\
///      2 more like this since the last message"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn default_message(event: &Event, rule: &RuleInfo, suppressed: u64) -> Message {
    let tree = event.tree();
    let mut lines: Vec<String> = FIELDS
        .iter()
        // Absent fields have no line: most events have few of these.
        .filter_map(|(path, label)| Some(format!("{label}: {}", display(at(tree, path)?)?)))
        .collect();
    lines.push(match rule.description.as_str() {
        "" => format!("rule: {}", rule.name),
        description => format!("rule: {} ({description})", rule.name),
    });
    // Tests in rule files may compare the whole text: a change of its wording breaks them.
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

fn title(tree: &Json, rule: &RuleInfo) -> String {
    // In a list of messages only the title is visible. So for ENI notifications it is made of the
    // event; the rule's description is the same for all its messages.
    let field = |path| at(tree, path).and_then(display);
    let Some(operation) = field("content.operation") else {
        return if rule.description.is_empty() {
            rule.name.clone()
        } else {
            rule.description.clone()
        };
    };
    // A success reads better as a verb; other results, such as `failed` or `timeout`, as they are.
    let result = match field("content.result").as_deref() {
        None => String::new(),
        Some("success") => " succeeded".to_owned(),
        Some(result) => format!(" {result}"),
    };
    let eni = field("content.eniId")
        .map(|id| format!(" for {id}"))
        .unwrap_or_default();
    let region = field("regionId")
        .map(|region| format!(" in {region}"))
        .unwrap_or_default();
    format!("{operation}{result}{eni}{region}")
}

fn at<'a>(tree: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(tree, |json, key| json.get(key))
}

/// A value on one line, truncated; `None` for null, an empty string and an empty array.
fn display(value: &Json) -> Option<String> {
    let text = match value {
        Json::Array(elements) => elements
            .iter()
            .filter_map(text_of)
            .collect::<Vec<_>>()
            .join(", "),
        other => text_of(other)?,
    };
    // One line: a line break in a value could pass for a line of the message.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| truncate(&text, MAX_VALUE).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn message(event: &str, suppressed: u64) -> Message {
        let rule = RuleInfo::named("failed")
            .with_level(Level::Warn)
            .with_description("An operation failed");
        default_message(&Event::from_json(event).unwrap(), &rule, suppressed)
    }

    #[test]
    fn an_eni_notification_is_the_title() {
        let message = message(
            r#"{"regionId": "cn-hangzhou", "content": {
                "operation": "AttachNetworkInterface", "result": "failed", "eniId": "eni-1",
                "secondaryPrivateIps": ["10.0.0.1", "10.0.0.2"], "ipv6s": [], "requestId": null
            }}"#,
            3,
        );
        assert_eq!(
            message.title,
            "AttachNetworkInterface failed for eni-1 in cn-hangzhou"
        );
        assert_eq!(
            message.text,
            "operation: AttachNetworkInterface\nresult: failed\nENI: eni-1\n\
             secondary addresses: 10.0.0.1, 10.0.0.2\nregion: cn-hangzhou\n\
             rule: failed (An operation failed)\n3 more like this since the last message"
        );
        assert_eq!(message.level, Level::Warn);
    }

    #[test]
    fn other_events_have_the_rules_description() {
        let message = message(r#"{"name": "Disk:Stuck\nX", "id": 7}"#, 0);
        assert_eq!(message.title, "An operation failed");
        assert_eq!(
            message.text,
            "event: Disk:Stuck X\nevent id: 7\nrule: failed (An operation failed)"
        );
    }

    #[test]
    fn long_values_are_truncated() {
        let message = message(&format!(r#"{{"name": "{}"}}"#, "网".repeat(1000)), 0);
        assert!(
            message
                .text
                .starts_with(&format!("event: {}…\n", "网".repeat(MAX_VALUE)))
        );
    }
}
