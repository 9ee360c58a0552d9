//! Outbound connections: HTTP clients with an egress policy, bounded responses, errors without
//! secrets.

mod egress;

use std::error::Error;

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

pub(crate) use self::egress::is_egress_denied;
pub use self::egress::{ClientError, EgressDenied, EgressPolicy, certificates};

/// A response whose body was read up to 16 KiB.
#[derive(Debug, Clone)]
pub struct BoundedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, with invalid UTF-8 replaced.
    pub body: String,
}

/// Why the body of a response cannot be read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The connection ended before the body did.
    #[error("it broke off: {0}")]
    BrokenOff(String),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// Enough for every error message that helps; a receiver that sends gigabytes must not fill the
/// memory.
const BODY_BYTES: usize = 16 << 10;

impl BoundedResponse {
    /// Reads the response. A body that breaks off is kept as far as it came: the status, which
    /// decides what happens next, is already known.
    pub async fn read(mut response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        // Not `Response::bytes`, which reads the whole body before its size is known.
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES - bytes.len())]);
            if bytes.len() >= BODY_BYTES {
                break;
            }
        }
        Self {
            status,
            headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Reads a response whose body is needed as a whole, up to `limit` bytes.
    ///
    /// # Errors
    /// If the body is longer, breaks off or is not UTF-8: a part of it could be taken for all.
    pub async fn read_whole(mut response: Response, limit: usize) -> Result<Self, BodyError> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| BodyError::BrokenOff(request_error(error)))?
        {
            // Checked before it is kept, so that no more than `limit` bytes are in memory.
            if chunk.len() > limit - bytes.len() {
                return Err(BodyError::TooLong { limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(bytes).map_err(|_| BodyError::NotUtf8)?;
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// Status and body, for people.
    pub fn summary(&self) -> String {
        let body = self.body.trim();
        if body.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: {body}", self.status)
        }
    }

    /// The delay that the `Retry-After` header requests.
    pub fn retry_after(&self, now: Timestamp) -> Option<SignedDuration> {
        retry_after(&self.headers, now)
    }
}

/// The text with everything percent-encoded but the unreserved characters of RFC 3986, section 2.3.
pub(crate) fn percent_encode(text: &str) -> String {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// The delay that a `Retry-After` header requests, in seconds or as an HTTP date; a date in the
/// past is a delay of zero. A value that is neither requests none.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    // RFC 9110, section 10.2.3: `Retry-After: 120`, or `Wed, 21 Oct 2026 07:28:00 GMT`.
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value)
        .ok()?;
    Some(date.duration_since(now).max(SignedDuration::ZERO))
}

/// An error of a request and its causes in one line, without the URL, which may hold a token.
pub fn request_error(error: reqwest::Error) -> String {
    error_chain(&error.without_url())
}

/// An error and its causes in one line.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let message = next.to_string();
        // Some errors already repeat their cause in their own message.
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let delay = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            BoundedResponse {
                status: 429,
                headers,
                body: String::new(),
            }
            .retry_after(Timestamp::UNIX_EPOCH)
        };
        assert_eq!(delay("120"), Some(SignedDuration::from_secs(120)));
        assert_eq!(
            delay("Thu, 01 Jan 1970 00:01:00 GMT"),
            Some(SignedDuration::from_secs(60))
        );
        assert_eq!(
            delay("Wed, 31 Dec 1969 00:00:00 GMT"),
            Some(SignedDuration::ZERO)
        );
        assert_eq!(delay("soon"), None);
    }
}
