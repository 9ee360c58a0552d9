//! The client's side of `GET /live`.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reflexarc_delivery::http::{BoundedResponse, request_error};
use reqwest::Response;
use secrecy::ExposeSecret;

use super::{ANSWER_BYTES, Remote, RemoteError, error_text};

/// Longest time until the service answers.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Longest time without anything on the stream: the service sends a comment every 15 seconds.
const MAX_SILENCE: Duration = Duration::from_secs(45);
/// Largest message in bytes: an event in an entry is smaller, and so are the texts beside it.
const MESSAGE_BYTES: usize = 4 << 20;

/// An open live stream.
pub struct LiveStream {
    response: Response,
    parser: MessageParser,
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveMessage {
    /// Where to resume after it.
    pub id: String,
    /// A JSON document on one line.
    pub data: String,
}

/// Takes messages out of the bytes of a stream, as the standard of server-sent events has them.
#[derive(Debug, Default)]
struct MessageParser {
    /// Bytes of a line that is not complete.
    line: Vec<u8>,
    /// The last id that was given.
    id: String,
    data: String,
}

impl Remote {
    /// Opens the live stream of what the pairs of `filter` select, after the message with the id
    /// `after`. A single attempt: the caller decides when to connect again.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn live(
        &self,
        filter: &[(&str, String)],
        after: Option<&str>,
    ) -> Result<LiveStream, RemoteError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/live", self.url.path().trim_end_matches('/')));
        let pairs = filter.iter().map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        url.set_query((!query.is_empty()).then_some(&query));
        let mut request = self.client.get(url).header("accept", "text/event-stream");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let address = self.url.origin().ascii_serialization();
        let unreachable = |error: &str| RemoteError::Unreachable(format!("{address}: {error}"));
        let response = tokio::time::timeout(ANSWER_TIME, request.send()).await;
        let response = response.map_err(|_| unreachable("no answer in time"))?;
        let response = response.map_err(|error| unreachable(&request_error(error)))?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = BoundedResponse::read_whole(response, ANSWER_BYTES).await;
            let answer = body.map_or_else(|error| error.to_string(), |body| error_text(&body.body));
            return Err(RemoteError::Refused { status, answer });
        }
        let kind = response.headers().get("content-type");
        if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
            let message = "it is no stream of events; is there a proxy in between?";
            return Err(RemoteError::Answer(message.to_owned()));
        }
        Ok(LiveStream {
            response,
            parser: MessageParser::default(),
        })
    }
}

impl LiveStream {
    /// The next messages, at least one; `None` at the end of the stream.
    ///
    /// # Errors
    /// If the connection is lost, or what comes is no stream of events.
    pub async fn next(&mut self) -> Result<Option<Vec<LiveMessage>>, RemoteError> {
        loop {
            let chunk = tokio::time::timeout(MAX_SILENCE, self.response.chunk()).await;
            let silent = || RemoteError::Unreachable("nothing was received for 45 s".to_owned());
            let chunk = chunk.map_err(|_| silent())?;
            let lost = |error| RemoteError::Unreachable(request_error(error));
            let Some(chunk) = chunk.map_err(lost)? else {
                return Ok(None);
            };
            let messages = self.parser.push(&chunk)?;
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
    }
}

impl MessageParser {
    /// The messages that these bytes complete.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<LiveMessage>, RemoteError> {
        let mut messages = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.data.len() > MESSAGE_BYTES {
                let message = format!("a message of more than {MESSAGE_BYTES} bytes");
                return Err(RemoteError::Answer(message));
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                messages.extend(self.line(line)?);
            }
        }
        Ok(messages)
    }

    /// The message that this line ends, if it is empty.
    fn line(&mut self, line: Vec<u8>) -> Result<Option<LiveMessage>, RemoteError> {
        let invalid = |_| RemoteError::Answer("the stream is no UTF-8".to_owned());
        let line = String::from_utf8(line).map_err(invalid)?;
        let line = line.trim_end_matches('\n');
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let id = self.id.clone();
            return Ok((!data.is_empty()).then_some(LiveMessage { id, data }));
        }
        // Of `: text` the name is empty: a comment.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // It is sent back in a header.
            "id" if value.bytes().all(|byte| byte.is_ascii_graphic()) => {
                value.clone_into(&mut self.id);
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(text: &[u8], size: usize) -> Vec<LiveMessage> {
        let mut parser = MessageParser::default();
        let chunks = text.chunks(size);
        chunks
            .flat_map(|chunk| parser.push(chunk).unwrap())
            .collect()
    }

    #[test]
    fn messages_are_the_same_in_chunks_of_any_size() {
        let text = ": live\nretry: 1000\n\nid: a-1\ndata: {\"a\":\"\u{2028}é\"}\n\n:\n\nid: a-2\r\n\
                    data:1\r\ndata: 2\r\n\r\nevent: x\ndata: 3\n\nid: a\u{e9}\n\nid: a-9\ndata: cut";
        let message = |id: &str, data: &str| LiveMessage {
            id: id.to_owned(),
            data: data.to_owned(),
        };
        let expected = [
            message("a-1", "{\"a\":\"\u{2028}é\"}"),
            message("a-2", "1\n2"),
            message("a-2", "3"),
        ];
        for size in 1..text.len() {
            assert_eq!(pushed(text.as_bytes(), size), expected, "{size}");
        }
    }

    #[test]
    fn messages_are_bounded_and_text() {
        let mut parser = MessageParser::default();
        assert!(parser.push(&vec![b'x'; MESSAGE_BYTES]).is_ok());
        assert!(parser.push(b"x").is_err());
        assert!(MessageParser::default().push(b"data: \xff\n").is_err());
    }
}
