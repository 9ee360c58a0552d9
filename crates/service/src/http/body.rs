//! Reading the events of a request, in every form that senders use.
//!
//! | `Content-Type` | body |
//! |---|---|
//! | `application/json`, `text/json`, `text/plain`, none | one event, or an array of events |
//! | `application/*+json` | one event |
//! | `application/cloudevents+json` | one CloudEvent, structured mode |
//! | `application/cloudevents-batch+json` | an array of CloudEvents |
//! | any, with `ce-specversion` | one CloudEvent, binary mode |
//! | `application/x-ndjson` and its other names | one event a line |
//! | `application/x-www-form-urlencoded` | one event in a form, as Cloud Monitor posts |
//!
//! The type is only used where it decides something: many webhooks post JSON as
//! `text/plain` or without a type.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reflexarc_diagnostic::Code;
use reflexarc_event::{Event, EventError, Json, ndjson_lines};
use serde_json::value::RawValue;

use crate::incoming::Incoming;

/// An element of a request that is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementError {
    /// Its index, from 0.
    pub element: usize,
    /// Its line in the body, from 1, if the body is lines.
    pub line: Option<usize>,
    /// Diagnostic code.
    pub code: Code,
    /// What is wrong, and where in the element.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

/// Why a body as a whole is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The content type is unknown.
    #[error(
        "unknown content type {0}; send application/json, application/cloudevents+json, \
         application/cloudevents-batch+json, application/x-ndjson or \
         application/x-www-form-urlencoded"
    )]
    ContentType(String),
    /// There are more events than the limit allows.
    #[error("more than {0} events in one request")]
    TooManyEvents(usize),
    /// The body or a header is invalid.
    #[error("{0}")]
    Invalid(String),
}

type Elements = Vec<Result<Incoming, ElementError>>;

/// Reads the body of a POST: at most `max_events` events, each of them valid or with its error.
///
/// # Errors
/// If the content type is unknown or the body as a whole is invalid.
pub(crate) fn read_body(
    headers: &HeaderMap,
    body: &[u8],
    max_events: usize,
) -> Result<Elements, BodyError> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or(Ok(""), |value| value.to_str())
        // A value that is not ASCII is an unknown type; the error shows it as `?`.
        .unwrap_or("?");
    // Parameters such as `charset=utf-8` are ignored: JSON is UTF-8, and other bytes are reported
    // as such.
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // Before binary mode, whose header a batch may carry by mistake: its content type is definite.
    if kind.starts_with("application/cloudevents-batch") {
        return batch(body, max_events);
    }
    if headers.contains_key("ce-specversion") && !kind.starts_with("application/cloudevents") {
        return Ok(vec![element(
            0,
            None,
            binary(headers, content_type, &kind, body)?,
        )]);
    }
    match kind.as_str() {
        "application/x-www-form-urlencoded" => Ok(vec![element(0, None, Event::from_form(body))]),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => lines(body, max_events),
        "" | "application/json" | "text/json" | "text/plain" => {
            // The first byte tells an array from an event without parsing the body twice.
            match body.trim_ascii_start().first() {
                Some(b'[') => batch(body, max_events),
                _ => Ok(vec![element(0, None, Event::from_json(body))]),
            }
        }
        // Structured CloudEvents and vendors' own types; the envelope is detected from the content.
        kind if kind.ends_with("+json") => Ok(vec![element(0, None, Event::from_json(body))]),
        _ => Err(BodyError::ContentType(content_type.to_owned())),
    }
}

/// Reads the query of Cloud Monitor's GET, whose event is in the parameter `data`.
pub(crate) fn read_query(query: &str) -> Elements {
    vec![element(0, None, Event::from_form(query.as_bytes()))]
}

/// A JSON array. Its elements are cut out as they are and parsed one by one, so that an invalid one
/// does not affect the others, and events keep their bytes for the archive.
fn batch(body: &[u8], max_events: usize) -> Result<Elements, BodyError> {
    let invalid = |error| BodyError::Invalid(format!("the batch is not a JSON array: {error}"));
    let elements: Vec<&RawValue> = serde_json::from_slice(body).map_err(invalid)?;
    if elements.len() > max_events {
        return Err(BodyError::TooManyEvents(max_events));
    }
    Ok(elements
        .into_iter()
        .enumerate()
        .map(|(i, text)| element(i, None, Event::from_json(text.get())))
        .collect())
}

/// One event a line. Empty lines are skipped.
fn lines(body: &[u8], max_events: usize) -> Result<Elements, BodyError> {
    let mut elements = Vec::new();
    for (line, text) in ndjson_lines(body) {
        if elements.len() == max_events {
            return Err(BodyError::TooManyEvents(max_events));
        }
        elements.push(element(
            elements.len(),
            usize::try_from(line).ok(),
            Event::from_json(text.trim_ascii()),
        ));
    }
    Ok(elements)
}

/// CloudEvents' binary mode: attributes in `ce-` headers, data in the body. Converted to the
/// structured mode, as events are archived as JSON: data that is not JSON becomes a string if it is
/// text and `data_base64` if not, as the CloudEvents JSON format prescribes.
fn binary(
    headers: &HeaderMap,
    content_type: &str,
    kind: &str,
    body: &[u8],
) -> Result<Result<Event, EventError>, BodyError> {
    let mut members: Vec<(String, Json)> = Vec::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let value = value
            .to_str()
            .map_err(|_| BodyError::Invalid(format!("the header {name} is not ASCII")))?;
        members.push((attribute.to_owned(), (&*decode_header(value)).into()));
    }
    if !content_type.is_empty() {
        // With its parameters, as received.
        members.push(("datacontenttype".into(), content_type.into()));
    }
    if kind.is_empty() || kind == "application/json" || kind.ends_with("+json") {
        // CloudEvents without data are valid.
        if !body.is_empty() {
            match Json::parse(body) {
                Ok(data) => members.push(("data".into(), data)),
                Err(error) => return Ok(Err(error.into())),
            }
        }
    } else if let Ok(text) = std::str::from_utf8(body) {
        members.push(("data".into(), text.into()));
    } else {
        members.push(("data_base64".into(), STANDARD.encode(body).into()));
    }
    Ok(Event::from_tree(Json::Object(members)))
}

/// Percent-decodes a header value, as the HTTP binding of CloudEvents prescribes. A `%` that is not
/// followed by two hexadecimal digits stays as it is, and a value that would not be UTF-8 too.
fn decode_header(value: &str) -> Cow<'_, str> {
    percent_decode_str(value)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(value))
}

fn element(
    index: usize,
    line: Option<usize>,
    event: Result<Event, EventError>,
) -> Result<Incoming, ElementError> {
    event.and_then(Incoming::new).map_err(|error| {
        let diagnostic = error.diagnostic();
        ElementError {
            element: index,
            line,
            code: diagnostic.code,
            message: error.to_string(),
            help: diagnostic.help,
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (
                name.parse::<axum::http::HeaderName>().unwrap(),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(header).collect()
    }

    /// An event's id, or index, line and code of its error.
    type Element = Result<String, (usize, Option<usize>, String)>;

    fn read(content_type: &'static str, body: &str) -> Vec<Element> {
        let headers = headers(&[("content-type", content_type)]);
        let elements = read_body(&headers, body.as_bytes(), 4).unwrap();
        let parts = |error: ElementError| (error.element, error.line, error.code.to_string());
        elements
            .into_iter()
            .map(|element| element.map(|incoming| incoming.name.id).map_err(parts))
            .collect()
    }

    #[test]
    fn each_content_type_gives_its_events() {
        let cloudevent = r#"{"specversion":"1.0","id":"c","source":"acs.ecs",
            "type":"ecs:Disk:Stalled","data":{}}"#;
        assert_eq!(read("application/json", r#"{"id":"1"}"#), [Ok("1".into())]);
        assert_eq!(
            read("", r#" [{"id":"1"}, {"id":"2"}]"#),
            [Ok("1".into()), Ok("2".into())]
        );
        assert_eq!(
            read("application/cloudevents+json; charset=utf-8", cloudevent),
            [Ok("c".into())]
        );
        assert_eq!(
            read(
                "application/cloudevents-batch+json",
                &format!("[{cloudevent}]")
            ),
            [Ok("c".into())]
        );
        assert_eq!(read("application/cloudevents-batch+json", "[]"), []);
        assert_eq!(
            read("application/x-ndjson", "{\"id\":\"1\"}\r\n\n{\"id\":\"2\"}"),
            [Ok("1".into()), Ok("2".into())]
        );
        let form = "batchId=b&alert=%7B%22traceId%22%3A%22f%22%2C\
                    %22eventName%22%3A%22Disk%3AStalled%22%2C\
                    %22product%22%3A%22ECS%22%7D";
        assert_eq!(
            read("application/x-www-form-urlencoded", form),
            [Ok("f".into())]
        );
        assert_eq!(
            read_query("token=x&data=%7B%22id%22%3A%229%22%7D")[0]
                .as_ref()
                .unwrap()
                .name
                .id,
            "9"
        );
        assert!(read_query("token=x")[0].is_err());
    }

    #[test]
    fn an_invalid_element_is_reported_with_its_position() {
        let found = read("application/json", r#"[{"id":"1"}, 7, {"id":"3"}]"#);
        assert_eq!(found[1], Err((1, None, "RA0005".into())));
        assert!(found[0].is_ok() && found[2].is_ok());
        let found = read("application/x-ndjson", "{\"id\":\"1\"}\n\n{\"id\":\n");
        assert_eq!(found[1], Err((1, Some(3), "RA0002".into())));
    }

    #[test]
    fn unknown_types_and_invalid_batches_are_refused() {
        let refused = |content_type, body: &str| {
            read_body(
                &headers(&[("content-type", content_type)]),
                body.as_bytes(),
                2,
            )
            .unwrap_err()
            .to_string()
        };
        assert!(refused("image/png", "x").starts_with("unknown content type image/png"));
        assert!(
            refused("application/json", "[1,").starts_with("the batch is not a JSON array: EOF")
        );
        assert_eq!(
            refused("application/json", "[{},{},{}]"),
            "more than 2 events in one request"
        );
        assert_eq!(
            refused("application/x-ndjson", "{}\n{}\n{}"),
            "more than 2 events in one request"
        );
    }

    #[test]
    fn binary_mode_is_converted_to_structured_mode() {
        let ce = [
            ("ce-specversion", "1.0"),
            ("ce-id", "b%20c"),
            ("ce-source", "/x"),
            ("ce-type", "t%"),
            ("ce-ext", "%e4%bd%a0"),
            ("ce-latin", "%e9%2"),
        ];
        let read = |content_type, body: &[u8]| {
            let mut pairs = ce.to_vec();
            pairs.push(("content-type", content_type));
            let mut elements = read_body(&headers(&pairs), body, 1).unwrap();
            elements
                .remove(0)
                .map(|incoming| incoming.native.original().tree().clone())
        };
        let json = read("application/json", br#"{"a":1.0}"#).unwrap();
        for (key, value) in [
            ("id", "\"b c\""),
            ("type", "\"t%\""),
            ("ext", "\"你\""),
            ("latin", "\"%e9%2\""),
            ("data", r#"{"a":1.0}"#),
        ] {
            assert_eq!(json.get(key).unwrap().to_string(), value);
        }
        assert_eq!(
            read("text/csv", b"1,2")
                .unwrap()
                .get("data")
                .unwrap()
                .as_str(),
            Some("1,2")
        );
        assert_eq!(
            read("image/png", b"\xff\x00")
                .unwrap()
                .get("data_base64")
                .unwrap()
                .as_str(),
            Some("/wA=")
        );
        assert!(read("application/json", b"{").is_err());
    }
}
