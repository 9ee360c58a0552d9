//! From a message to events: by the code that reads requests of HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::jetstream::Message;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::http::{AppState, BodyError, ReadError, read_elements};
use crate::intake::{AdmissionPermit, Overloaded, Source as Sender};
use crate::store::{Incoming, StoreError};

/// The header by which a stream recognises copies of a message.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Where CloudEvents over NATS have their content type.
const CE_CONTENT_TYPE: &str = "ce-datacontenttype";
/// What the value of a header of HTTP cannot hold as it is.
const NOT_IN_HEADERS: &AsciiSet = CONTROLS;

/// Where a message is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) stream: String,
    pub(super) sequence: u64,
    /// When the stream stored it, in nanoseconds of Unix time.
    published: i128,
    /// How often it has been sent.
    pub(super) deliveries: i64,
}

/// Why a message is not submitted.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It is no event, and never will be.
    Rejected(Rejection),
    /// There is no room for it now.
    Overloaded(Overloaded),
    /// The service failed.
    Failed(StoreError),
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The code of a diagnostic, else `too_large` or `unreadable`.
    pub(super) code: String,
    pub(super) reason: String,
}

impl Origin {
    /// `None` if the message is not from a stream.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let info = message.info().ok()?;
        Some(Self {
            stream: info.stream.to_owned(),
            sequence: info.stream_sequence,
            published: info.published.unix_timestamp_nanos(),
            deliveries: info.delivered,
        })
    }

    /// The same for each time that the message is sent, and for no other message: a stream that is
    /// made again begins with the same sequence at another time.
    pub(super) fn id(&self) -> String {
        let (stream, sequence, published) = (&self.stream, self.sequence, self.published);
        format!("{stream}-{sequence}-{published}")
    }
}

/// The events of a message, all of which are valid, with the permit that has room for them.
pub(super) async fn read(
    state: &Arc<AppState>,
    sender: Sender,
    message: &Message,
    origin: &Origin,
) -> Result<(Vec<Incoming>, AdmissionPermit), Unreadable> {
    let (size, limit) = (message.payload.len(), state.limits.body_bytes);
    if size > limit {
        let reason = format!("the message has {size} bytes; {limit} are allowed");
        return Err(Unreadable::Rejected(Rejection {
            code: "too_large".to_owned(),
            reason,
        }));
    }
    let mut permit = state.intake.admit(sender, size)?;
    state.intake.reserve_bytes(&mut permit, size)?;
    let headers = message.headers.as_ref().map(http_headers);
    let (headers, payload) = (headers.unwrap_or_default(), message.payload.clone());
    let (elements, mut permit) = read_elements(state, headers, payload, permit).await?;
    let events: Result<Vec<Incoming>, _> = elements.into_iter().collect();
    let mut events = events.map_err(|error| {
        let place = match error.element {
            0 => String::new(),
            element => format!("element {element}: "),
        };
        Unreadable::Rejected(Rejection {
            code: error.code.to_string(),
            reason: format!("{place}{}", error.message),
        })
    })?;
    state.intake.reserve_events(&mut permit, events.len())?;
    let given = message.headers.as_ref();
    let given = given.and_then(|headers| headers.get_last(MESSAGE_ID));
    let id = given
        .map(|id| id.as_str().to_owned())
        .filter(|id| !id.is_empty());
    identify(&mut events, &id.unwrap_or_else(|| origin.id()));
    Ok((events, permit))
}

/// Gives the events without ids that of their message, so that they are recognised when it comes
/// again.
fn identify(events: &mut [Incoming], message: &str) {
    let is_alone = events.len() == 1;
    for (index, event) in events.iter_mut().enumerate() {
        if is_alone {
            event.identify(message);
        } else {
            event.identify(&format!("{message}/{index}"));
        }
    }
}

/// The headers of a message as headers of HTTP. What HTTP cannot have as a name is left out.
fn http_headers(headers: &async_nats::HeaderMap) -> HeaderMap {
    let mut found = HeaderMap::new();
    let headers = headers.iter().map(|(name, values)| {
        let name: &str = name.as_ref();
        (name, values)
    });
    // In an order of their own, as some may differ in their case only.
    for (name, values) in headers.collect::<BTreeMap<_, _>>() {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        // Attributes of CloudEvents may be of any characters; HTTP has these in percent-encoding,
        // which is decoded again.
        for value in values {
            let value = percent_encode(value.as_str().as_bytes(), NOT_IN_HEADERS).to_string();
            if let Ok(value) = HeaderValue::try_from(value) {
                found.append(name.clone(), value);
            }
        }
    }
    if let Some(content_type) = found.remove(CE_CONTENT_TYPE) {
        found.entry(CONTENT_TYPE).or_insert(content_type);
    }
    found
}

impl From<Overloaded> for Unreadable {
    fn from(overloaded: Overloaded) -> Self {
        Self::Overloaded(overloaded)
    }
}

impl From<ReadError> for Unreadable {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Overloaded(overloaded) => Self::Overloaded(overloaded),
            ReadError::Failed(error) => Self::Failed(error),
            ReadError::Body(error) => {
                let code = match error {
                    BodyError::TooLong(_) | BodyError::TooManyEvents(_) => "too_large",
                    _ => "unreadable",
                };
                Self::Rejected(Rejection {
                    code: code.to_owned(),
                    reason: error.to_string(),
                })
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use reflexarc_event::Event;

    use super::*;
    use crate::Config;
    use crate::config::Secrets;
    use crate::sources::JetStreamSettings;

    /// The settings of a table with the keys that are required.
    pub(in crate::sources::jetstream) fn settings() -> JetStreamSettings {
        let text = "[sources.a]\ntype = \"jetstream\"\nurl = \"localhost\"\nstream = \"EVENTS\"";
        let none = |_: &str| None;
        let config = Config::read(text, Path::new(""), Secrets::Resolve(&none));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        config.sources.into_iter().next().unwrap().settings
    }

    #[test]
    fn headers_become_those_of_http() {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Ce-Subject", "Größe 100%");
        headers.insert("ce-datacontenttype", "application/json");
        headers.append("X-Team", "a");
        headers.append("X-Team", "b");
        headers.insert("no(name)", "left out");
        let found = http_headers(&headers);
        assert_eq!(found["ce-subject"], "Gr%C3%B6%C3%9Fe 100%");
        assert_eq!(found[CONTENT_TYPE], "application/json");
        assert_eq!(found.get_all("x-team").iter().count(), 2);
        assert_eq!(found.len(), 4);
        // The header of NATS itself is more exact.
        headers.insert("Content-Type", "application/cloudevents+json");
        let found = http_headers(&headers);
        assert_eq!(found[CONTENT_TYPE], "application/cloudevents+json");
    }

    #[test]
    fn events_without_ids_have_that_of_their_message() {
        let event = |text: &str| Incoming::new(Event::from_json(text).unwrap()).unwrap();
        let ids = |texts: &[&str]| {
            let mut events: Vec<_> = texts.iter().map(|text| event(text)).collect();
            identify(&mut events, "m-7");
            let ids = events.into_iter().map(|event| event.name.id);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(&[r#"{"type": "tick"}"#]), ["m-7"]);
        assert_eq!(ids(&[r#"{"id": "own"}"#]), ["own"]);
        let several = [
            r#"{"type": "tick"}"#,
            r#"{"id": "own"}"#,
            r#"{"type": "tick"}"#,
        ];
        assert_eq!(ids(&several), ["m-7/0", "own", "m-7/2"]);
    }

    #[test]
    fn ids_of_messages_differ_between_streams_and_times() {
        let origin = |stream: &str, sequence, published| Origin {
            stream: stream.into(),
            sequence,
            published,
            deliveries: 1,
        };
        let first = origin("EVENTS", 7, 1_000);
        assert_eq!(first.id(), "EVENTS-7-1000");
        let again = Origin {
            deliveries: 3,
            ..first.clone()
        };
        assert_eq!(first.id(), again.id());
        for other in [origin("OTHER", 7, 1_000), origin("EVENTS", 8, 1_000)] {
            assert_ne!(first.id(), other.id());
        }
        assert_ne!(first.id(), origin("EVENTS", 7, 2_000).id());
    }
}
