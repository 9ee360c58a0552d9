//! The keys of a source with `type = "jetstream"`.

use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::{ConfigTable, is_subject, nats};
use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::EmbeddedText;

use crate::sources::JetStreamSettings;

/// The consumer, unless `consumer` names it.
const CONSUMER: &str = "reflexarc";
/// Messages without an acknowledgement, of all nodes: the server's own default.
const MAX_ACK_PENDING: i64 = 1_000;
/// When a message comes again: the server's own default.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// The shortest and the longest time.
// A commit takes milliseconds, but a full disk of a virtual machine may take seconds for one.
const ACK_WAITS: [SignedDuration; 2] =
    [SignedDuration::from_secs(2), SignedDuration::from_hours(1)];
/// Messages of one node: enough for the store to commit many at one time.
const BATCH: usize = 256;

pub(super) fn jetstream(keys: &ConfigTable<'_>) -> Option<JetStreamSettings> {
    let nats = nats(keys);
    let help = "the name of the stream: stream = \"EVENTS\"";
    let stream = keys.required_string("stream", help);
    let stream = stream.filter(|stream| check_name(keys, "stream", stream));
    let consumer = keys.string("consumer");
    let consumer = consumer.unwrap_or_else(|| CONSUMER.to_owned());
    let has_name = check_name(keys, "consumer", &consumer);
    let subjects = keys.nonempty_strings("subjects").unwrap_or_default();
    let subjects = subjects.iter().filter_map(|text| {
        let valid = is_filter(text.text());
        let message = || {
            let text = text.text();
            format!("invalid subject `{text}`; write it as \"events.eni\" or \"events.>\"")
        };
        keys.parsed(
            text,
            valid.then(|| text.text().to_owned()).ok_or_else(message),
        )
    });
    let subjects: Vec<String> = subjects.collect();
    let max_ack_pending = keys.integer("max_ack_pending", 1..=1_000_000);
    let batch = keys.integer("batch", 1..=10_000);
    let ack_wait = keys.duration("ack_wait");
    let [shortest, longest] = ACK_WAITS;
    if ack_wait.is_some_and(|wait| wait < shortest || wait > longest) {
        let help = "write a duration from \"2s\" to \"1h\", such as \"30s\"";
        keys.fault(
            "ack_wait",
            Code::CONFIG_VALUE,
            "`ack_wait` is out of range",
            help,
        );
    }
    let reject_subject = keys.embedded("reject_subject");
    let reject_subject = reject_subject.map(EmbeddedText::into_text);
    if let Some(subject) = reject_subject
        .as_deref()
        .filter(|subject| !is_subject(subject))
    {
        let message = format!("invalid subject `{subject}` to publish to");
        let help = "write words with dots between them, without spaces and wildcards: \
                    \"rejects.reflexarc\"";
        keys.fault("reject_subject", Code::CONFIG_VALUE, message, help);
    }
    if let Some(subject) = &reject_subject
        && subjects.iter().any(|filter| covers(filter, subject))
    {
        // A rejected message would come back, be rejected again, and so on.
        let message = format!("`reject_subject` `{subject}` is one of `subjects`");
        let help = "choose a subject that this source does not take messages from";
        keys.fault("reject_subject", Code::CONFIG_VALUE, message, help);
    }
    has_name.then_some(())?;
    Some(JetStreamSettings {
        nats: nats?,
        stream: stream?,
        consumer,
        subjects,
        max_ack_pending: max_ack_pending.unwrap_or(MAX_ACK_PENDING),
        ack_wait: ack_wait.map_or(ACK_WAIT, SignedDuration::unsigned_abs),
        batch: batch.unwrap_or(BATCH),
        reject_subject,
    })
}

/// Reports what is no name of a stream or consumer.
fn check_name(keys: &ConfigTable<'_>, key: &str, name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_valid = !name.is_empty() && name.len() <= 255 && name.bytes().all(is_allowed);
    if !is_valid {
        let message = format!("invalid name `{name}`");
        let help = "use letters, digits, `-` and `_`";
        keys.fault(key, Code::CONFIG_VALUE, message, help);
    }
    is_valid
}

/// Whether this is a subject, possibly with wildcards: `*` for a word, `>` for all that follow.
fn is_filter(subject: &str) -> bool {
    let plain = subject.strip_suffix(".>").unwrap_or(subject);
    subject == ">"
        || is_subject(
            &plain
                .split('.')
                .map(replace_wildcard)
                .collect::<Vec<_>>()
                .join("."),
        )
}

fn replace_wildcard(word: &str) -> &str {
    if word == "*" { "any" } else { word }
}

/// Whether a filter has this subject.
fn covers(filter: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, words.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            (wanted, Some(word)) if wanted != "*" && wanted != word => return false,
            _ => {}
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_may_have_wildcards() {
        for valid in ["a", "a.b", "a.*.c", "a.>", ">", "*"] {
            assert!(is_filter(valid), "{valid}");
        }
        for invalid in ["", "a.", ".>", "a.>.b", "a b", "a..b"] {
            assert!(!is_filter(invalid), "{invalid}");
        }
    }

    #[test]
    fn a_filter_covers_subjects_as_the_server_matches_them() {
        for (filter, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("a.b", "a", false),
        ] {
            assert_eq!(covers(filter, subject), expected, "{filter} {subject}");
        }
    }
}
