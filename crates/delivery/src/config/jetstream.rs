//! The keys of a target with `type = "jetstream"`.

use async_nats::{HeaderName, HeaderValue};
use reflexarc_diagnostic::Code;
use secrecy::ExposeSecret;

use super::ConfigTable;
use super::nats::nats;
use super::policies::answers;
use super::webhook::body;
use crate::target::jetstream::JetStreamTarget;

/// Headers with this prefix are directions to the stream.
const RESERVED: &str = "nats-";

pub(super) fn jetstream(keys: &ConfigTable<'_>) -> Option<JetStreamTarget> {
    let nats = nats(keys);
    let help = "where the stream listens: subject = \"alerts.reflexarc\"";
    let subject = keys.required_string("subject", help);
    let subject = subject.filter(|subject| {
        let is_valid = is_subject(subject);
        if !is_valid {
            let message = format!("invalid subject `{subject}` to publish to");
            let help = "write words with dots between them, without spaces and wildcards: \
                        \"alerts.reflexarc\"";
            keys.fault("subject", Code::CONFIG_VALUE, message, help);
        }
        is_valid
    });
    let stream = keys.string("stream");
    let headers = headers(keys);
    let body = body(keys);
    // The error codes of JetStream.
    let answers = answers(keys, 10_000..=19_999);
    // A template that is wrong must not make CloudEvents.
    if body.is_none() && keys.has("body") {
        return None;
    }
    let target = JetStreamTarget::new(nats?, subject?);
    let target = target.with_stream(stream).with_headers(headers);
    Some(target.with_answers(answers).with_body(body))
}

/// Whether a message can be published to this subject.
///
/// ```
/// use reflexarc_delivery::config::is_subject;
///
/// assert!(is_subject("alerts.eni"));
/// for invalid in ["", "a..b", ".a", "a b", "alerts.>", "alerts.*"] {
///     assert!(!is_subject(invalid), "{invalid}");
/// }
/// ```
pub fn is_subject(subject: &str) -> bool {
    subject.split('.').all(|word| {
        let is_plain = |byte: u8| !byte.is_ascii_whitespace() && !byte.is_ascii_control();
        !matches!(word, "" | "*" | ">") && word.bytes().all(is_plain)
    })
}

/// `headers`: names with values or secrets. Names keep their case, which NATS distinguishes.
fn headers(keys: &ConfigTable<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in keys.map("headers") {
        let is_reserved = name.to_ascii_lowercase().starts_with(RESERVED);
        let parsed: (Result<HeaderName, _>, Result<HeaderValue, _>) =
            (name.parse(), value.expose_secret().parse());
        match parsed {
            (Ok(name), Ok(value)) if !is_reserved => headers.push((name, value)),
            _ => {
                let message = format!("invalid header `{name}`");
                let help = "a name is of letters, digits and `-` and does not begin with `Nats-`; \
                            a value is one line";
                keys.fault("headers", Code::CONFIG_VALUE, message, help);
            }
        }
    }
    headers
}
