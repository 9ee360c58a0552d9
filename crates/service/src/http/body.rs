//! Reading the events of a request, in every form that senders use.
//!
//! | `Content-Type` | body |
//! |---|---|
//! | `application/json`, `text/json`, `application/*+json` | one document, or an array of documents |
//! | `application/cloudevents-batch+json` | an array of CloudEvents |
//! | any, with `ce-specversion` | one CloudEvent, binary mode |
//! | `application/x-ndjson` and its other names | one document a line |
//! | any other, or none | JSON or NDJSON, if it begins with `{` or `[` |
//! | `application/x-www-form-urlencoded`, `text/plain`, none | a form, as Cloud Monitor posts it |
//!
//! A document is an event, or a notification or list that contains events.
//!
//! The type is only used where it decides something: many senders post JSON with another type, such
//! as `curl -d`, whose type is that of a form, or without one.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reflexarc_diagnostic::Code;
use reflexarc_event::{
    Document, Event, EventError, Json, Limits, RecordCutter, RecordError, ndjson_lines,
};
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
    /// The content type is unknown, and the body does not begin as JSON.
    #[error(
        "unknown content type {0}; expected JSON, which begins with {{ or [, NDJSON, CloudEvents, \
         or a form of Cloud Monitor with the type application/x-www-form-urlencoded"
    )]
    ContentType(String),
    /// The content encoding is unknown.
    #[error("unknown content encoding {0}; expected gzip, zstd or none")]
    ContentEncoding(String),
    /// The body is too long after it was decompressed.
    #[error("the decompressed body is larger than {0} bytes")]
    TooLong(usize),
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
        let event = binary(headers, content_type, &kind, body)?;
        return Ok(vec![element(0, None, event)]);
    }
    let mut elements = Documents::new(max_events);
    // The first byte tells an array from an event without parsing the body twice.
    let first = body.trim_ascii_start().first();
    let is_json =
        matches!(kind.as_str(), "application/json" | "text/json") || kind.ends_with("+json");
    match (kind.as_str(), first) {
        (
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines",
            _,
        ) => return lines(body, max_events),
        (_, Some(b'[')) => return batch(body, max_events),
        _ if is_json => elements.add(0, None, body)?,
        // Whatever the type says, this is JSON. It may be several lines: `curl --data-binary`.
        (_, Some(b'{')) => elements.add_records(body)?,
        ("application/x-www-form-urlencoded", _) => {
            elements.add_document(0, None, Event::from_form(body).map(Document::Event))?;
        }
        ("" | "text/plain", _) => elements.add(0, None, body)?,
        _ => return Err(BodyError::ContentType(content_type.to_owned())),
    }
    Ok(elements.found)
}

/// Reads the query of Cloud Monitor's GET, whose event is in the parameter `data`.
pub(crate) fn read_query(query: &str) -> Elements {
    vec![element(0, None, Event::from_form(query.as_bytes()))]
}

/// A JSON array. Its elements are cut out as they are and parsed one by one, so that an invalid one
/// does not affect the others, and events keep their bytes for the archive.
fn batch(body: &[u8], max_events: usize) -> Result<Elements, BodyError> {
    let invalid = |error| BodyError::Invalid(format!("the batch is not a JSON array: {error}"));
    let texts: Vec<&RawValue> = serde_json::from_slice(body).map_err(invalid)?;
    if texts.len() > max_events {
        return Err(BodyError::TooManyEvents(max_events));
    }
    let mut elements = Documents::new(max_events);
    for (index, text) in texts.into_iter().enumerate() {
        elements.add(index, None, text.get().as_bytes())?;
    }
    Ok(elements.found)
}

/// One document a line. Empty lines are skipped.
fn lines(body: &[u8], max_events: usize) -> Result<Elements, BodyError> {
    let mut elements = Documents::new(max_events);
    for (index, (line, text)) in ndjson_lines(body).enumerate() {
        elements.add(index, usize::try_from(line).ok(), text.trim_ascii())?;
    }
    Ok(elements.found)
}

/// The elements of a request so far.
struct Documents {
    max_events: usize,
    found: Elements,
}

impl Documents {
    fn new(max_events: usize) -> Self {
        Self {
            max_events,
            found: Vec::new(),
        }
    }

    /// Adds the records of a body of which only the beginning is known: one document of several
    /// lines, or lines.
    fn add_records(&mut self, mut body: &[u8]) -> Result<(), BodyError> {
        let mut cutter = RecordCutter::new(Limits::DEFAULT.document_bytes);
        let mut index = 0;
        while let Some(record) = cutter.next(&mut body).or_else(|| cutter.finish()) {
            let line = usize::try_from(record.line).ok();
            let too_long = |error: RecordError| BodyError::Invalid(error.to_string());
            self.add(index, line, &record.bytes.map_err(too_long)?)?;
            index += 1;
        }
        Ok(())
    }

    /// Adds the events of a document, which is the element with this index.
    fn add(&mut self, index: usize, line: Option<usize>, text: &[u8]) -> Result<(), BodyError> {
        let limits = Limits {
            contained: self.max_events,
            ..Limits::DEFAULT
        };
        self.add_document(index, line, Document::read_within(text, &limits))
    }

    fn add_document(
        &mut self,
        index: usize,
        line: Option<usize>,
        document: Result<Document, EventError>,
    ) -> Result<(), BodyError> {
        let events = match document {
            Ok(document) => document.into_events(),
            Err(error) => vec![Err(error)],
        };
        // What a document contains counts as if it had been sent alone.
        if self.found.len() + events.len() > self.max_events {
            return Err(BodyError::TooManyEvents(self.max_events));
        }
        let events = events.into_iter().map(|event| element(index, line, event));
        self.found.extend(events);
        Ok(())
    }
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
    fn json_is_read_whatever_the_content_type_says() {
        let forms = ["", "text/plain", "application/x-www-form-urlencoded"];
        let others = [
            "application/octet-stream",
            "image/png",
            "text/xml; charset=utf-8",
        ];
        for content_type in forms.into_iter().chain(others).chain(["application/json"]) {
            assert_eq!(
                read(content_type, r#" {"id":"1"}"#),
                [Ok("1".into())],
                "{content_type}"
            );
            assert_eq!(
                read(content_type, r#"[{"id":"1"},{"id":"2"}]"#),
                [Ok("1".into()), Ok("2".into())],
                "{content_type}"
            );
            assert_eq!(
                read(content_type, "{\n  \"id\": \"1\"\n}\n"),
                [Ok("1".into())],
                "{content_type}"
            );
        }
        for content_type in forms.into_iter().chain(others) {
            assert_eq!(
                read(content_type, "{\"id\":\"1\"}\n{\"id\":\"2\"}"),
                [Ok("1".into()), Ok("2".into())],
                "{content_type}"
            );
            assert_eq!(
                read(content_type, r#"{"id":}"#),
                [Err((0, Some(1), "RA0002".into()))],
                "{content_type}"
            );
        }
        // A form where it is expected, and the event as the only name of a form.
        for content_type in forms {
            let form = "data=%7B%22id%22%3A%229%22%7D";
            assert_eq!(read(content_type, form), [Ok("9".into())], "{content_type}");
            let encoded = "%7B%22id%22%3A%229%22%7D";
            assert_eq!(
                read(content_type, encoded),
                [Ok("9".into())],
                "{content_type}"
            );
        }
    }

    #[test]
    fn events_are_taken_out_of_documents() {
        let records = r#"{"Records":[{"id":"1"},{"id":"2"}]}"#;
        let both = [Ok("1".into()), Ok("2".into())];
        assert_eq!(read("application/json", records), both);
        assert_eq!(read("application/x-ndjson", records), both);
        assert_eq!(read("application/json", &format!("[{records}]")), both);
        let message = Json::from(r#"{"id":"3"}"#).to_string();
        let notification = format!(r#"{{"TopicName":"t","Message":{message}}}"#);
        assert_eq!(read("text/plain", &notification), [Ok("3".into())]);
        // Errors name the element of the request, also after elements that contain several.
        let lines = format!("{records}\n{{\"id\":7\n");
        assert_eq!(
            read("application/x-ndjson", &lines)[2],
            Err((1, Some(2), "RA0002".into()))
        );
        // The limit of four holds for the events, not for the elements.
        let many = format!("{records}\n{records}\n{records}\n");
        let headers = headers(&[("content-type", "application/x-ndjson")]);
        let refused = read_body(&headers, many.as_bytes(), 4).unwrap_err();
        assert_eq!(refused, BodyError::TooManyEvents(4));
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
        for content_type in ["image/png", "application/octet-stream", "text/xml"] {
            let message = refused(content_type, "<x>");
            let expected = format!("unknown content type {content_type}; expected JSON");
            assert!(message.starts_with(&expected), "{message}");
        }
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
