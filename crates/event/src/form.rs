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
        if !parameters().any(|(name, _)| name == "alert") {
            let data = parameters()
                .find(|(name, _)| name == "data")
                .ok_or(EventError::EmptyForm)?
                .1;
            return Self::from_json_within(data.into_owned(), limits);
        }
        let members = parameters().map(|(name, text)| {
            let value = match DOCUMENTS.into_iter().find(|document| *document == name) {
                Some(parameter) => Json::parse_within(&*text, limits.depth.saturating_sub(1))
                    .map_err(|error| EventError::Form { parameter, error })?,
                None if NUMBERS.contains(&&*name) => text
                    .parse::<i64>()
                    .map_or_else(|_| Json::from(&*text), Json::from),
                None => Json::from(&*text),
            };
            Ok((name.into_owned(), value))
        });
        let tree = members.collect::<Result<Json, EventError>>()?;
        Self::from_tree_within(tree, limits)
    }
}
