//! What a response of an HTTP API stands for.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::call::CallError;
use crate::http::BoundedResponse;
use crate::rendering::shorten;
use crate::target::api_request::{invalid_answer, redact, redact_text};

/// How much of a text is the message of an error.
const MESSAGE_BYTES: usize = 500;

/// Classifies a response that was read as a whole.
///
/// Throttled, and unavailable with an error code or a time, are sent again. A gateway that has no
/// answer (502, 503, 504) knows nothing of the outcome. Everything else is an answer.
pub(super) fn classify(
    response: &BoundedResponse,
    secrets: &[&str],
    is_read: bool,
    now: Timestamp,
) -> Result<CallAnswer, CallError> {
    let status = response.status;
    let retry_after = response.retry_after(now);
    let has_time = response.headers.contains_key(RETRY_AFTER);
    let body = match read(response) {
        Ok(body) => redact(body, secrets),
        Err(reason) if status <= 299 => {
            let reason = redact_text(reason, secrets);
            return Ok(invalid_answer(status, &reason, is_read));
        }
        // The status of an error says enough.
        Err(_) => Json::Null,
    };
    if (200..=299).contains(&status) {
        return Ok(CallAnswer::ok(status, body));
    }
    let member = |keys: [&str; 4]| {
        let mut values = keys.into_iter().filter_map(|key| body.get(key)?.as_str());
        values.find(|text| !text.is_empty())
    };
    let code = member(["code", "Code", "error_code", "errorCode"]);
    let message = member(["message", "Message", "detail", "error"]);
    let message = message.or_else(|| body.as_str()?.lines().find(|line| !line.trim().is_empty()));
    let message = shorten(message.unwrap_or("no message"), MESSAGE_BYTES);
    let reason = format!("HTTP {status}: {message}");
    match status {
        429 => Err(CallError::NotSent {
            reason,
            retry_after,
        }),
        503 if code.is_some() || has_time => Err(CallError::NotSent {
            reason,
            retry_after,
        }),
        502..=504 => Err(CallError::Unknown { reason }),
        _ => {
            let code = code.map_or_else(|| status.to_string(), str::to_owned);
            Ok(CallAnswer::refused(status, code, message, body))
        }
    }
}

/// The body: null if it is empty, else JSON, or its text where it is not said to be JSON.
fn read(response: &BoundedResponse) -> Result<Json, String> {
    let text = &response.body;
    if text.trim().is_empty() {
        return Ok(Json::Null);
    }
    let kind = response.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    // A page of a proxy or a login, which no rule can use.
    if matches!(kind.as_str(), "text/html" | "application/xhtml+xml") {
        return Err("expected JSON or text, found HTML".to_owned());
    }
    // `application/json`, `application/problem+json`.
    let is_json = kind.ends_with("json");
    match Json::parse(text) {
        Ok(json) if is_json || kind.is_empty() => Ok(json),
        Err(error) if is_json => Err(format!("expected JSON: {error}")),
        _ => Ok(Json::String(text.clone())),
    }
}
