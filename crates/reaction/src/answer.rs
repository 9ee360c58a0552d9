//! The answer to a call: what the API responded, or why there is no response.

use std::fmt;

use reflexarc_event::Json;

/// The answer to a call of an operation.
///
/// ```
/// use reflexarc_reaction::{CallAnswer, Json, OwnCode};
///
/// let answer = CallAnswer::ok(200, Json::parse(r#"{"TotalCount": 1}"#)?);
/// assert!(answer.ok && answer.code.is_empty());
///
/// let refused = CallAnswer::refused(404, "InvalidEniId.NotFound", "no such interface", Json::Null);
/// assert_eq!((refused.ok, refused.status), (false, Some(404)));
///
/// let expired = CallAnswer::own(OwnCode::Expired, "15 minutes have passed");
/// assert_eq!((expired.code.as_str(), expired.status), ("Expired", None));
/// assert_eq!(CallAnswer::from_json(&expired.to_json()), Some(expired));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallAnswer {
    /// Whether the operation succeeded.
    pub ok: bool,
    /// The HTTP status; `None` if nothing was received.
    pub status: Option<u16>,
    /// The error code of the API, or an [`OwnCode`]; empty if the operation succeeded.
    pub code: String,
    /// The error message; empty if the operation succeeded.
    pub message: String,
    /// The document that the API responded, or its text; null if it has none.
    pub body: Json,
}

/// Error codes of answers that no API has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OwnCode {
    /// It was never executed: the request could not be sent, or was refused each time.
    Undelivered,
    /// It was never executed: the time in which it may be sent has passed.
    Expired,
    /// It was not sent: the target does not allow the operation.
    NotAllowed,
    /// It was not sent: the target has made as many changes as it may.
    ChangeLimit,
    /// It was sent, and may have been executed or not.
    OutcomeUnknown,
    /// It was not sent: an operator or the rule cancelled or replaced it.
    Cancelled,
    /// It was not sent: its rule was removed or disabled.
    RuleGone,
    /// It was not sent: the target only says what would have been sent, which is the body.
    DryRun,
    /// It was sent, and what came back is not an answer of the API: no JSON, too large, or a
    /// redirect.
    InvalidAnswer,
}

impl CallAnswer {
    /// The answer of an operation that succeeded.
    pub fn ok(status: u16, body: impl Into<Json>) -> Self {
        Self {
            ok: true,
            status: Some(status),
            code: String::new(),
            message: String::new(),
            body: body.into(),
        }
    }

    /// The error that the API responded.
    pub fn refused(
        status: u16,
        code: impl Into<String>,
        message: impl Into<String>,
        body: impl Into<Json>,
    ) -> Self {
        Self {
            ok: false,
            status: Some(status),
            code: code.into(),
            message: message.into(),
            body: body.into(),
        }
    }

    /// An answer that no API has given.
    pub fn own(code: OwnCode, message: impl Into<String>) -> Self {
        Self {
            ok: false,
            status: None,
            code: code.as_str().to_owned(),
            message: message.into(),
            body: Json::Null,
        }
    }

    /// The same with another body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Json>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// The same with an HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// The same without an HTTP status: nothing was received, or it is not known.
    #[must_use]
    pub fn without_status(self) -> Self {
        Self {
            status: None,
            ..self
        }
    }

    /// The own code that it has, if it is one.
    pub fn own_code(&self) -> Option<OwnCode> {
        OwnCode::ALL
            .into_iter()
            .find(|code| !self.ok && code.as_str() == self.code)
    }

    /// An object with `ok`, `status` (null without one), `code`, `message` and `body`: the form in
    /// which stores keep answers and scripts see them.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("ok", self.ok.into()),
            (
                "status",
                self.status
                    .map_or(Json::Null, |status| i64::from(status).into()),
            ),
            ("code", self.code.as_str().into()),
            ("message", self.message.as_str().into()),
            ("body", self.body.clone()),
        ])
    }

    /// The answer that [`CallAnswer::to_json`] wrote; `None` for anything else.
    pub fn from_json(json: &Json) -> Option<Self> {
        let text = |key| Some(json.get(key)?.as_str()?.to_owned());
        let Json::Bool(ok) = json.get("ok")? else {
            return None;
        };
        let status = match json.get("status")? {
            Json::Null => None,
            status => Some(u16::try_from(status.as_i64()?).ok()?),
        };
        Some(Self {
            ok: *ok,
            status,
            code: text("code")?,
            message: text("message")?,
            body: json.get("body")?.clone(),
        })
    }

    /// `ok`, or code and message, in one line.
    pub fn summary(&self) -> String {
        match (self.ok, self.message.is_empty()) {
            (true, _) => "ok".to_owned(),
            (false, true) => self.code.clone(),
            (false, false) => format!("{}: {}", self.code, self.message),
        }
    }
}

impl OwnCode {
    /// All codes.
    pub const ALL: [Self; 9] = [
        Self::Undelivered,
        Self::Expired,
        Self::NotAllowed,
        Self::ChangeLimit,
        Self::OutcomeUnknown,
        Self::Cancelled,
        Self::RuleGone,
        Self::DryRun,
        Self::InvalidAnswer,
    ];

    /// The code as it stands in [`CallAnswer::code`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undelivered => "Undelivered",
            Self::Expired => "Expired",
            Self::NotAllowed => "NotAllowed",
            Self::ChangeLimit => "ChangeLimit",
            Self::OutcomeUnknown => "OutcomeUnknown",
            Self::Cancelled => "Cancelled",
            Self::RuleGone => "RuleGone",
            Self::DryRun => "DryRun",
            Self::InvalidAnswer => "InvalidAnswer",
        }
    }
}

impl fmt::Display for OwnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_written() {
        let body = Json::parse(r#"{"n": 12345678901234567890.10}"#).unwrap();
        let answers = [
            CallAnswer::ok(200, body),
            CallAnswer::ok(204, Json::Null),
            CallAnswer::refused(403, "Forbidden.RAM", "no \"rights\"", Json::from("text")),
            CallAnswer::own(OwnCode::InvalidAnswer, "HTML").with_status(502),
        ];
        for answer in answers {
            let json = Json::parse(answer.to_json().to_string()).unwrap();
            assert_eq!(CallAnswer::from_json(&json), Some(answer), "{json}");
        }
        for code in OwnCode::ALL {
            assert_eq!(CallAnswer::own(code, "").own_code(), Some(code));
        }
        for invalid in [
            "{}",
            r#"{"ok":1,"status":null,"code":"","message":"","body":null}"#,
        ] {
            assert_eq!(CallAnswer::from_json(&Json::parse(invalid).unwrap()), None);
        }
    }
}
