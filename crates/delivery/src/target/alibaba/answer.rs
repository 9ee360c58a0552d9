//! What a response of the API stands for.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;
use reqwest::header::{DATE, HeaderMap};

use crate::call::CallError;
use crate::http::{BoundedResponse, retry_after};

/// What a response leads to.
pub(super) enum Verdict {
    /// The answer of the operation.
    Answer(CallAnswer),
    /// It was not executed, and is for now.
    NotSent(CallError),
    /// It was not executed because of the time in the request; the time of the server, if it says.
    ClockSkew {
        answer: CallAnswer,
        server_time: Option<Timestamp>,
    },
    /// It was not executed because the temporary key is not accepted any more.
    KeyExpired(CallAnswer),
}

/// Classifies a response whose body is `json`.
///
/// Only what is certain not to have been executed is sent again: throttled, unavailable with an
/// error code, a time or nonce that is not accepted, and a copy of a request that is still being
/// executed. `InternalError` says nothing about the outcome; it is an answer.
pub(super) fn classify(response: &BoundedResponse, json: Json, now: Timestamp) -> Verdict {
    let status = response.status;
    if (200..=299).contains(&status) {
        return Verdict::Answer(CallAnswer::ok(status, json));
    }
    let text = |upper, lower| {
        let value = json.get(upper).or_else(|| json.get(lower));
        value.and_then(Json::as_str).filter(|text| !text.is_empty())
    };
    let code = text("Code", "code").map(str::to_owned);
    let message = text("Message", "message").unwrap_or("no message");
    let reason = match &code {
        Some(code) => format!("HTTP {status} {code}: {message}"),
        None => format!("HTTP {status}: {message}"),
    };
    let name = code.clone().unwrap_or_else(|| status.to_string());
    let answer = CallAnswer::refused(status, name, message, json.clone());
    let Some(code) = code else {
        return Verdict::Answer(answer);
    };
    let is = |prefix: &str| {
        let rest = code.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if is("InvalidTimeStamp.Expired") || is("IllegalTimestamp") {
        let server_time = server_time(&response.headers);
        return Verdict::ClockSkew {
            answer,
            server_time,
        };
    }
    if is("InvalidSecurityToken") || is("SecurityTokenExpired") {
        return Verdict::KeyExpired(answer);
    }
    let is_retried = code.starts_with("Throttling")
        || is("ServiceUnavailable")
        || is("SignatureNonceUsed")
        // A copy of this request, with the same `ClientToken`, is being executed: the answer to the
        // next copy is its outcome.
        || is("LastTokenProcessing")
        || is("IdempotentProcessing")
        || matches!(status, 429 | 503);
    if is_retried {
        return Verdict::NotSent(CallError::NotSent {
            reason,
            retry_after: throttled_for(&response.headers).or_else(|| {
                // For gateways in front of the API.
                retry_after(&response.headers, now)
            }),
        });
    }
    Verdict::Answer(answer)
}

/// The pause that a throttled caller is to make: `x-acs-retry-after`, in milliseconds.
fn throttled_for(headers: &HeaderMap) -> Option<SignedDuration> {
    let value = headers.get("x-acs-retry-after")?.to_str().ok()?;
    let milliseconds: u32 = value.trim().parse().ok()?;
    (milliseconds > 0).then(|| SignedDuration::from_millis(i64::from(milliseconds)))
}

fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let value = headers.get(DATE)?.to_str().ok()?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(value.trim()).ok()
}
