//! The form variant of the Cloud Monitor webhook.

use std::borrow::Cow;

use reflexarc_diagnostic::truncate_to_line;

use crate::json::Json;
use crate::{Event, EventError, Limits};

/// The parameters that are JSON text.
const DOCUMENTS: [&str; 3] = ["userInfo", "subscription", "alert"];
/// The parameters that are numbers in the JSON variant.
const NUMBERS: [&str; 6] = [
    "time",
    "startTime",
    "alertCount",
    "retriggerTime",
    "autoResolveTime",
    "nextEscalateTime",
];

impl Event {
    /// Reads one event from a body in `application/x-www-form-urlencoded`, as Cloud Monitor posts
    /// it, or from a query string, under [`Limits::DEFAULT`].
    ///
    /// Each parameter becomes a member; `userInfo`, `subscription` and `alert` are parsed as JSON,
    /// and numbers become numbers, so that the result is the event of the JSON variant. If there is
    /// a parameter `data` and no `alert`, that parameter is the whole event as JSON.
    ///
    /// # Errors
    /// As [`Event::from_json`], and if a parameter is not valid JSON or there is no event in the
    /// form.
    ///
    /// ```
    /// use reflexarc_event::{Envelope, Event};
    ///
    /// let body = b"alert=%7B%22eventName%22%3A%22Disk%3AStalled%22%7D&time=1715650212345";
    /// let event = Event::from_form(body)?;
    /// assert_eq!(event.envelope(), Envelope::CloudMonitor);
    /// let time = event.tree().get("time").and_then(|time| time.as_i64());
    /// assert_eq!(time, Some(1_715_650_212_345));
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn from_form(bytes: &[u8]) -> Result<Self, EventError> {
        Self::from_form_within(bytes, &Limits::DEFAULT)
    }

    /// Reads one event from a form under the given limits.
    ///
    /// # Errors
    /// As [`Event::from_form`], with the caller's limits.
    pub fn from_form_within(bytes: &[u8], limits: &Limits) -> Result<Self, EventError> {
        if bytes.len() > limits.bytes {
            return Err(EventError::TooLarge {
                bytes: bytes.len(),
                limit: limits.bytes,
            });
        }
        let parameters = || form_urlencoded::parse(bytes);
        // `curl --data-urlencode '{…}'` makes a form whose only parameter is the name of nothing.
        if let Some((text, value)) = parameters().next()
            && value.is_empty()
            && text.trim_start().starts_with('{')
        {
            return Self::from_json_within(text.into_owned(), limits);
        }
        if !parameters().any(|(name, _)| name == "alert") {
            let data = parameters()
                .find(|(name, _)| name == "data")
                .ok_or_else(|| empty_form(parameters().map(|(name, _)| name)))?
                .1;
            return Self::from_json_within(data.into_owned(), limits);
        }
        let members = parameters().map(|(name, text)| {
            let value = parameter(&name, &text, limits.depth)?;
            Ok((name.into_owned(), value))
        });
        let tree = members.collect::<Result<Json, EventError>>()?;
        Self::from_tree_within(tree, limits)
    }
}

/// Whether bytes are a form of Cloud Monitor: parameters, among them that of the event.
pub(crate) fn is_form(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    // The escape sequence of `{`: the whole event in the place of a name.
    if start.starts_with(b"%7B") || start.starts_with(b"%7b") {
        return true;
    }
    is_any_form(start)
        && form_urlencoded::parse(start).any(|(name, _)| name == "alert" || name == "data")
}

/// Whether bytes begin as a form: a name and `=`, but not the `==` of a filter, and no space.
pub(crate) fn is_any_form(bytes: &[u8]) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let name = bytes.iter().take_while(|byte| is_name(**byte)).count();
    let value = bytes.get(name + 1);
    name > 0 && bytes.get(name) == Some(&b'=') && !matches!(value, Some(b'=' | b' '))
}

/// The error of a form without an event, with the first names of its parameters.
fn empty_form<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> EventError {
    const SHOWN: usize = 6;
    let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    // Cloud Monitor calls back with these for the alarms of metrics, which are no events.
    let has = |name: &str| names.iter().any(|other| other == name);
    let is_metric_alarm = has("alertName") || has("metricName");
    let shown = names.iter().take(SHOWN);
    let mut found: Vec<String> = shown
        .map(|name| format!("`{}`", truncate_to_line(name, 40)))
        .collect();
    if names.len() > SHOWN {
        found.push("…".to_owned());
    }
    if found.is_empty() {
        found.push("no parameters".to_owned());
    }
    EventError::EmptyForm {
        found: found.join(", "),
        is_metric_alarm,
    }
}

/// A webhook whose members are the parameters of a form, as frameworks give them: texts, or lists
/// of one text. `None` if its alert is not an object in JSON text.
pub(crate) fn captured(event: &Json, depth: usize) -> Option<Json> {
    let members = event.members().iter().map(|(name, value)| {
        let value = match value.elements() {
            [single] => single,
            _ => value,
        };
        // A captured parameter that cannot be read stays text; without an alert among them, the
        // object is no webhook.
        let parsed = value
            .as_str()
            .and_then(|text| parameter(name, text, depth).ok());
        (name.clone(), parsed.unwrap_or_else(|| value.clone()))
    });
    let webhook: Json = members.collect();
    matches!(webhook.get("alert"), Some(Json::Object(_))).then_some(webhook)
}

/// The value of a parameter.
fn parameter(name: &str, text: &str, depth: usize) -> Result<Json, EventError> {
    Ok(
        match DOCUMENTS.into_iter().find(|document| *document == name) {
            Some(parameter) => Json::parse_within(text, depth.saturating_sub(1))
                .map_err(|error| EventError::Form { parameter, error })?,
            None if NUMBERS.contains(&name) => text
                .parse::<i64>()
                .map_or_else(|_| Json::from(text), Json::from),
            None => Json::from(text),
        },
    )
}
