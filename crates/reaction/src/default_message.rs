//! The message of a rule with `notify` and without templates.

use std::borrow::Cow;
use std::sync::LazyLock;

use reflexarc_diagnostic::truncate;
use reflexarc_event::{Event, FieldSet, Json, Selected};

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

/// All that a message reads of an event.
static FIELD_SET: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut fields = FieldSet::default();
    for (path, _) in FIELDS {
        fields.insert(path.split('.'));
    }
    fields
});

/// Longer values are truncated, in characters.
pub(crate) const MAX_VALUE: usize = 200;

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
    let mut text = String::with_capacity(512);
    let fields = add_fields(event, &mut text);
    add_rule(rule, suppressed, &mut text);
    Message {
        title: title(&fields, rule),
        text,
        level: rule.level,
        at: Vec::new(),
        link: None,
    }
}

/// Adds the fields of an event to a text, one on each line, and returns them.
pub(crate) fn add_fields<'a>(event: &'a Event, text: &mut String) -> Selected<'a> {
    let fields = event.select(&FIELD_SET);
    for (path, label) in FIELDS {
        // Absent fields have no line: most events have few of these.
        if let Some(value) = at(&fields, path).and_then(display) {
            for part in [label, ": ", &value, "\n"] {
                text.push_str(part);
            }
        }
    }
    fields
}

/// Adds the last lines of a text: the rule and how many messages were suppressed.
pub(crate) fn add_rule(rule: &RuleInfo, suppressed: u64, text: &mut String) {
    text.push_str("rule: ");
    text.push_str(&rule.name);
    if !rule.description.is_empty() {
        for part in [" (", &rule.description, ")"] {
            text.push_str(part);
        }
    }
    // Tests in rule files may compare the whole text: a change of its wording breaks them.
    if suppressed > 0 {
        text.push_str(&format!(
            "\n{suppressed} more like this since the last message"
        ));
    }
}

/// A value on one line, truncated; `None` for null, an empty string and an empty array.
pub(crate) fn one_line(value: &Json) -> Option<String> {
    shorten(Cow::Owned(text(value)?)).map(Cow::into_owned)
}

fn title(fields: &Selected<'_>, rule: &RuleInfo) -> String {
    // In a list of messages only the title is visible. So for ENI notifications it is made of the
    // event; the rule's description is the same for all its messages.
    let field = |path| at(fields, path).and_then(display);
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

fn at<'s, 'a>(fields: &'s Selected<'a>, path: &str) -> Option<&'s Selected<'a>> {
    path.split('.').try_fold(fields, |value, key| match value {
        Selected::Object(members) => {
            let member = members.iter().find(|(found, _)| *found == key);
            member.map(|(_, value)| value)
        }
        _ => None,
    })
}

/// A value on one line, truncated; `None` for null, an empty string and an empty array.
fn display<'a>(value: &Selected<'a>) -> Option<Cow<'a, str>> {
    let text = match value {
        Selected::String(text) => Cow::Borrowed(*text),
        other => Cow::Owned(text(&other.to_json())?),
    };
    shorten(text)
}

/// A text on one line, truncated; `None` for an empty one.
fn shorten(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if text.is_empty() {
        return None;
    }
    // Nearly all values: no space in them, and no more bytes than characters allowed.
    if text.len() <= MAX_VALUE && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text);
    }
    // One line: a line break in a value could pass for a line of the message.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| Cow::Owned(truncate(&text, MAX_VALUE).into_owned()))
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Array(elements) => {
            let texts = elements.iter().filter_map(text_of);
            Some(texts.collect::<Vec<_>>().join(", "))
        }
        other => text_of(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    /// The naive twin: the value at a path of the tree, as it is displayed.
    fn from_tree(event: &Event, path: &str) -> Option<String> {
        let value = path
            .split('.')
            .try_fold(event.tree(), |json, key| json.get(key))?;
        let text = text(value)?;
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ");
        (!text.is_empty()).then(|| truncate(&text, MAX_VALUE).into_owned())
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            r#""[a-z \u{e9}]{0,9}""#,
            Just(r#""two\nlines \u00e9""#.to_owned()),
            Just("null".to_owned()),
            Just("-1.50e3".to_owned()),
            Just(r#"["a", null, "", {"b": 1}]"#.to_owned()),
            Just(r#"{"operation": "x"}"#.to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn fields_are_those_of_the_tree(
            outer in prop::collection::vec((0..FIELDS.len(), value()), 0..9),
            content in prop::collection::vec((0..FIELDS.len(), value()), 0..9),
            nested in any::<bool>(),
        ) {
            let members = |fields: Vec<(usize, String)>| {
                let fields = fields.into_iter().map(|(field, value)| {
                    let path = FIELDS[field].0;
                    format!("\"{}\": {value}", path.trim_start_matches("content."))
                });
                fields.collect::<Vec<_>>().join(", ")
            };
            let mut outer = vec![members(outer)];
            outer.retain(|outer| !outer.is_empty());
            if nested {
                outer.push(format!("\"content\": {{{}}}", members(content)));
            }
            let event = Event::from_json(format!("{{{}}}", outer.join(", "))).unwrap();
            let message = default_message(&event, &RuleInfo::named("r"), 0);
            let lines = FIELDS.iter().filter_map(|(path, label)| {
                Some(format!("{label}: {}\n", from_tree(&event, path)?))
            });
            prop_assert_eq!(message.text, lines.collect::<String>() + "rule: r");
            let operation = from_tree(&event, "content.operation");
            prop_assert!(message.title.starts_with(operation.as_deref().unwrap_or("r")));
        }
    }
}
