//! The form variant of the Cloud Monitor webhook.

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
                .ok_or(EventError::EmptyForm)?
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
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let name = start.iter().take_while(|byte| is_name(**byte)).count();
    name > 0
        && start.get(name) == Some(&b'=')
        && form_urlencoded::parse(start).any(|(name, _)| name == "alert" || name == "data")
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
