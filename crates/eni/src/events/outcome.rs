//! How a request ended: an event for its recipient, or the reason why there is none.

use std::fmt;

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Event, Operation};

use crate::ApiError;

/// The end of one request for one of the four operations: exactly one for each request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestOutcome {
    /// When the request was refused or its operation ended.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: String,
    /// The id of the account that made the request.
    pub caller: String,
    /// The requested operation.
    pub operation: Operation,
    /// The interface's id; absent when the request was refused before there was one.
    pub interface: Option<String>,
    /// The event, or why there is none.
    pub published: Result<PublishedEvent, NoEventReason>,
}

/// An event and its only recipient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PublishedEvent {
    /// The id of the account whose bus gets the event: for a managed interface the service that
    /// manages it, else the caller.
    pub recipient: String,
    /// Whether the operation succeeded.
    pub success: bool,
    /// The interface's status in the event.
    pub status: EniStatus,
    /// The event in its native form.
    pub event: Event,
}

/// Why a request ended without an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoEventReason {
    /// The request was refused.
    Refused(ApiError),
    /// The interface is a primary interface.
    PrimaryInterface,
    /// The preview feature is off for the account that would get the event.
    PreviewOff {
        /// The account's id.
        account: String,
    },
    /// The operation did not complete and never will, because of an injected fault or because the
    /// instance was released.
    NotCompleted {
        /// The interface's current status; absent when the interface no longer exists.
        status: Option<EniStatus>,
    },
    /// The request repeats an earlier one with the same client token.
    Repeated {
        /// The id of the earlier request, which has an outcome of its own.
        request_id: String,
    },
    /// The operation was part of an instance's release; it had no request of its own.
    InstanceRelease,
}

impl fmt::Display for NoEventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the request was refused with {}", error.code),
            Self::PrimaryInterface => f.write_str("it is a primary interface"),
            Self::PreviewOff { account } => {
                write!(f, "the preview feature is off for account {account}")
            }
            Self::NotCompleted {
                status: Some(status),
            } => {
                write!(
                    f,
                    "the operation did not complete; the interface is still {status}"
                )
            }
            Self::NotCompleted { status: None } => f.write_str("the operation did not complete"),
            Self::Repeated { request_id } => {
                write!(
                    f,
                    "the request repeats {request_id} with the same client token"
                )
            }
            Self::InstanceRelease => f.write_str("it was part of the instance's release"),
        }
    }
}
