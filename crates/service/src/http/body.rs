//! Reading the events of a request, in every form that senders use.
//!
//! | `Content-Type` | body |
//! |---|---|
//! | `application/json`, `text/json`, `application/*+json` | one document, or an array of documents
//! |
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
use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reflexarc_diagnostic::Code;
use reflexarc_event::{
    Document, Event, EventError, Json, Limits, OtherFormat, RecordCutter, RecordError, ndjson_lines,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::intake::{release_trees, values_at_most};
use crate::store::Incoming;

/// The largest number of values of an event: its tree takes about 64 bytes for each, and 1 MiB of
/// text can have half a million.
const MAX_VALUES: usize = 100_000;

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
    /// The body is in another format, whatever its type says.
    #[error("expected JSON, found {0}")]
    Format(OtherFormat),
    /// The body is empty, or only white space.
    #[error("the body is empty; post an event as JSON, or several as a JSON array or NDJSON")]
    Empty,
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

/// The elements of a body, in their order.
pub(crate) type Elements = Vec<Result<Incoming, ElementError>>;

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
    // As Windows tools write it before UTF-8. It is no part of the events, whose bytes are kept.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Named before its type is refused: a sender of XML can choose JSON, but seldom another type.
    // Of several lines, only one may have single quotes.
    let is_of_all =
        |format: &OtherFormat| !matches!(format, OtherFormat::Form | OtherFormat::SingleQuotes);
    if let Some(format) = OtherFormat::of(body).filter(is_of_all) {
        return Err(BodyError::Format(format));
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
        (_, None) => return Err(BodyError::Empty),
        // `curl -d` has this type whatever it sends; without a name and `=` it is no form.
        ("application/x-www-form-urlencoded", _) if body.contains(&b'=') || body[0] == b'%' => {
            elements.add_document(0, None, Event::from_form(body).map(Document::Event))?;
        }
        ("" | "text/plain" | "application/x-www-form-urlencoded", _) => {
            elements.add(0, None, body)?;
        }
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
    let array = BoundedArray { max: max_events };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let texts = array.deserialize(&mut reader).map_err(invalid)?;
    let Some(texts) = texts else {
        return Err(BodyError::TooManyEvents(max_events));
    };
    reader.end().map_err(invalid)?;
    let mut elements = Documents::new(max_events);
    for (index, text) in texts.into_iter().enumerate() {
        elements.add(index, None, text.get().as_bytes())?;
    }
    Ok(elements.found)
}

/// Reads an array of at most `max` elements; `None` if there are more.
//
// Not with `Vec`, which would have one entry for each: 4 million numbers in 8 MiB are 64 MiB of
// entries, and half as much again while it grows.
struct BoundedArray {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for BoundedArray {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for BoundedArray {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = array.next_element()? {
            if texts.len() < self.max {
                texts.push(text);
            } else {
                // The rest is read without being kept: what is not JSON is reported as such.
                while array.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
        }
        Ok(Some(texts))
    }
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
    // Before the conversion, which may build a tree of it.
    if let Ok(event) = &event
        && has_too_many_values(event.bytes())
    {
        return Err(ElementError {
            element: index,
            line,
            code: Code::EVENT_TOO_LARGE,
            message: format!("the event has more than the {MAX_VALUES} values allowed"),
            help: Some("send a smaller event, or several".to_owned()),
        });
    }
    let incoming = event.and_then(Incoming::new).map(release_trees);
    incoming.map_err(|error| {
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

/// Whether an event, which is valid JSON, has more than [`MAX_VALUES`] values.
fn has_too_many_values(event: &[u8]) -> bool {
    // All but the largest events are done with the first look.
    if event.len() <= 2 * MAX_VALUES || values_at_most(event) <= MAX_VALUES {
        return false;
    }
    // Commas in strings, such as those of a table as text, separate no values.
    let (mut commas, mut in_string, mut is_escaped) = (0, false, false);
    for byte in event {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b',' if !in_string => commas += 1,
            _ => {}
        }
    }
    commas >= MAX_VALUES
}

#[cfg(test)]
mod tests;
