//! The outcome of a call: a receipt, or an error classified by what to do next.

use jiff::SignedDuration;

/// The receiver accepted a delivery, or one part of it.
///
/// ```
/// use reflexarc_delivery::Receipt;
///
/// assert_eq!(Receipt::complete("200 OK").outcome(), "delivered");
/// let first = Receipt { response: "200 OK".into(), part: Some("1/3".into()) };
/// assert_eq!(first.outcome(), "partly");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The receiver's response, shortened.
    pub response: String,
    /// The part that was accepted, when more parts follow; the target is then called again at
    /// once.
    pub part: Option<String>,
}

/// Why an attempt failed; the variants differ in what happens next.
///
/// ```
/// use reflexarc_delivery::SendError;
///
/// let error = SendError::transient("503 busy, token=secret");
/// assert_eq!((error.outcome(), error.reason()), ("failed", "503 busy, token=secret"));
/// let redacted = error.with_reason("503 busy".into());
/// assert_eq!(redacted.to_string(), "503 busy");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A later attempt may succeed.
    #[error("{reason}")]
    Transient {
        /// The receiver's response, or the local error.
        reason: String,
        /// The delay that the receiver requested, such as by a `Retry-After` header.
        retry_after: Option<SignedDuration>,
    },
    /// The receiver rejects all calls for a while: the target's whole queue pauses.
    #[error("{reason}")]
    RateLimited {
        /// The receiver's response.
        reason: String,
        /// How long no call is made.
        pause: SignedDuration,
    },
    /// No attempt succeeds until the configuration of either side is changed.
    #[error("{reason}")]
    Misconfigured {
        /// The receiver's response, and what to change.
        reason: String,
    },
    /// The receiver will never accept this delivery.
    #[error("{reason}")]
    Refused {
        /// The receiver's response.
        reason: String,
    },
    /// Some parts were delivered; `rest` is about the others.
    #[error("{rest}")]
    Partial {
        /// The parts that this call delivered.
        delivered: Vec<String>,
        /// Why the other parts failed.
        rest: Box<SendError>,
    },
}

impl Receipt {
    /// A receipt for a whole delivery.
    pub fn complete(response: impl Into<String>) -> Self {
        Self {
            response: response.into(),
            part: None,
        }
    }

    /// The outcome's name in logs, metrics and listings.
    pub fn outcome(&self) -> &'static str {
        // The same name as for an error of some parts: in both cases more follows.
        if self.part.is_some() {
            "partly"
        } else {
            "delivered"
        }
    }
}

impl SendError {
    /// A transient error without a requested delay.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.into(),
            retry_after: None,
        }
    }

    /// The receiver's response, or the local error.
    pub fn reason(&self) -> &str {
        match self {
            Self::Transient { reason, .. }
            | Self::RateLimited { reason, .. }
            | Self::Misconfigured { reason }
            | Self::Refused { reason } => reason,
            Self::Partial { rest, .. } => rest.reason(),
        }
    }

    /// The same error with another reason, such as a redacted one.
    #[must_use]
    pub fn with_reason(mut self, new: String) -> Self {
        match &mut self {
            Self::Transient { reason, .. }
            | Self::RateLimited { reason, .. }
            | Self::Misconfigured { reason }
            | Self::Refused { reason } => *reason = new,
            Self::Partial { rest, .. } => **rest = rest.as_ref().clone().with_reason(new),
        }
        self
    }

    /// The outcome's name in logs, metrics and listings.
    pub fn outcome(&self) -> &'static str {
        // These names are stored and are labels of metrics; the variants' names may change.
        match self {
            Self::Transient { .. } => "failed",
            Self::RateLimited { .. } => "throttled",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Refused { .. } => "refused",
            Self::Partial { .. } => "partly",
        }
    }
}
