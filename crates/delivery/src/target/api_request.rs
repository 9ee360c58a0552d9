//! One request to an API: sent once, its response read within a limit, and what its failure says
//! about whether it was executed.

use std::time::Duration;

use reflexarc_event::Json;
use reflexarc_reaction::{CallAnswer, OwnCode};
use reqwest::RequestBuilder;

use crate::call::CallError;
use crate::http::{BodyError, BoundedResponse, is_egress_denied, request_error};

/// The largest answer of an API, in bytes; 1 MiB. Answers are archived, and given to scripts.
pub(crate) const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why there is no response to classify.
pub(crate) enum RequestFailure {
    /// It can never be sent: a setting or a parameter does not allow it.
    Impossible(String),
    /// Nothing was written: no address, no connection, no TLS session.
    NotWritten(String),
    /// It was written, at least in part.
    Unknown(String),
    /// A response that is no answer of an API.
    Invalid { status: u16, reason: String },
}

impl RequestFailure {
    /// What it means for a call; `is_read` says whether the operation changes nothing.
    pub(crate) fn outcome(self, is_read: bool) -> Result<CallAnswer, CallError> {
        match self {
            Self::Impossible(reason) => Ok(CallAnswer::own(OwnCode::Undelivered, reason)),
            Self::NotWritten(reason) => Err(CallError::NotSent {
                reason,
                retry_after: None,
            }),
            Self::Unknown(reason) => Err(CallError::Unknown { reason }),
            Self::Invalid { status, reason } => Ok(invalid_answer(status, &reason, is_read)),
        }
    }
}

/// The answer to a response that is none of an API.
pub(crate) fn invalid_answer(status: u16, reason: &str, is_read: bool) -> CallAnswer {
    // The request arrived, so that a change may have been made whatever the response is.
    let consequence = if is_read {
        ""
    } else {
        "; the operation may have been executed"
    };
    let message = format!("HTTP {status}: {reason}{consequence}");
    CallAnswer::own(OwnCode::InvalidAnswer, message).with_status(status)
}

/// Sends the request, and reads the response as a whole.
pub(crate) async fn send(
    request: RequestBuilder,
    timeout: Duration,
) -> Result<BoundedResponse, RequestFailure> {
    let response = request.timeout(timeout).send().await.map_err(|error| {
        let kind = if is_egress_denied(&error) || error.is_builder() {
            RequestFailure::Impossible
        } else if error.is_connect() {
            RequestFailure::NotWritten
        } else {
            RequestFailure::Unknown
        };
        // The bare message is "operation timed out".
        if error.is_timeout() && !error.is_connect() {
            kind(format!("no response within {timeout:?}"))
        } else if is_egress_denied(&error) {
            kind(denied_text(&request_error(error)))
        } else {
            kind(request_error(error))
        }
    })?;
    let status = response.status().as_u16();
    if (300..=399).contains(&status) {
        let reason = "redirects are not followed: configure the final address".to_owned();
        return Err(RequestFailure::Invalid { status, reason });
    }
    BoundedResponse::read_whole(response, MAX_ANSWER_BYTES)
        .await
        .map_err(|error| match error {
            BodyError::BrokenOff(reason) => {
                RequestFailure::Unknown(format!("HTTP {status}: the response broke off: {reason}"))
            }
            invalid => RequestFailure::Invalid {
                status,
                reason: format!("invalid response: {invalid}"),
            },
        })
}

/// The message of a denied address with the key that permits it: `allow` of a target that takes
/// calls has operations.
pub(crate) fn denied_text(denied: &str) -> String {
    denied.replace("`allow`", "`networks`")
}

/// Replaces secrets in the texts of an answer, where an API repeats the request that it refuses.
pub(crate) fn redact(json: Json, secrets: &[&str]) -> Json {
    match json {
        Json::String(text) => Json::String(redact_text(text, secrets)),
        Json::Array(elements) => {
            let elements = elements.into_iter();
            Json::Array(elements.map(|element| redact(element, secrets)).collect())
        }
        Json::Object(members) => {
            let member = |(key, value)| (redact_text(key, secrets), redact(value, secrets));
            Json::Object(members.into_iter().map(member).collect())
        }
        other => other,
    }
}

/// The same in one text.
pub(crate) fn redact_text(text: String, secrets: &[&str]) -> String {
    // Shorter ones are no secrets of a real account, and parts of many words.
    const SHORTEST: usize = 6;
    let secrets = secrets.iter().filter(|secret| secret.len() >= SHORTEST);
    secrets.fold(text, |text, secret| {
        if text.contains(secret) {
            text.replace(secret, "[redacted]")
        } else {
            text
        }
    })
}
