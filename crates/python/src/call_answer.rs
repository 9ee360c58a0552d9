//! The answer to a call as the arguments of `RuleSet.answer`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use reflexarc::CallAnswer;
use reflexarc_event::Json;

use crate::convert::{self, ValuePath};

/// The status of an answer that is ok, where the caller has none.
const OK: u16 = 200;

/// What the caller says about an answer.
pub(crate) struct AnswerArguments<'a, 'py> {
    pub(crate) body: Option<&'a Bound<'py, PyAny>>,
    pub(crate) ok: Option<bool>,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

impl AnswerArguments<'_, '_> {
    /// The answer: ok unless it has a code, a message, or the status of an error.
    pub(crate) fn read(self) -> PyResult<CallAnswer> {
        let (status, body) = match self.body {
            None => (None, Json::Null),
            Some(body) => read_body(body)?,
        };
        let status = self.status.or(status);
        let is_success = status.is_none_or(|status| (200..300).contains(&status));
        // An error of a library may have an empty code: it must not become a success.
        let has_error = self.code.is_some() || self.message.is_some();
        let ok = self.ok.unwrap_or(is_success && !has_error);
        let code = self.code.unwrap_or_default();
        let message = self.message.unwrap_or_default();
        if let Some(status) = status.filter(|status| !(100..600).contains(status)) {
            let message = format!("invalid status {status}: expected 100 to 599");
            return Err(PyValueError::new_err(message));
        }
        if ok {
            if !code.is_empty() || !message.is_empty() || !is_success {
                let message = "an answer that is ok has no code, no message, and a status from \
                               200 to 299";
                return Err(PyValueError::new_err(message));
            }
            return Ok(CallAnswer::ok(status.unwrap_or(OK), body));
        }
        let Some(status) = status else {
            // A rule could not tell it from any other error.
            if code.is_empty() {
                let message = "an answer that is not ok needs a code or a status";
                return Err(PyValueError::new_err(message));
            }
            return Ok(CallAnswer::refused(0, code, message, body).without_status());
        };
        // As targets do where an API has no codes.
        let code = if code.is_empty() {
            status.to_string()
        } else {
            code
        };
        Ok(CallAnswer::refused(status, code, message, body))
    }
}

/// The body, and the status where the value has one.
fn read_body(value: &Bound<'_, PyAny>) -> PyResult<(Option<u16>, Json)> {
    // Responses and models of the Alibaba Cloud SDKs.
    if let Ok(to_map) = value.getattr("to_map") {
        return Ok(response(to_json(&to_map.call0()?)?));
    }
    Ok((None, to_json(value)?))
}

/// The status and body of a response of the SDK; a model is the body itself.
fn response(map: Json) -> (Option<u16>, Json) {
    match (map.get("statusCode"), map.get("headers"), map.get("body")) {
        (Some(status), Some(_), Some(body)) => {
            let status = status
                .as_i64()
                .and_then(|status| u16::try_from(status).ok());
            (status, body.clone())
        }
        _ => (None, map),
    }
}

/// A value as JSON; bytes are JSON text.
fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Json> {
    let bytes = if let Ok(bytes) = value.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        bytes.to_vec()
    } else {
        return convert::to_json(value, &ValuePath::Named("body"));
    };
    Json::parse(bytes).map_err(|error| PyValueError::new_err(format!("invalid body: {error}")))
}
