//! Calls of operations of an API: what a target that takes them provides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::SignedDuration;
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;

use crate::delivery::DeliveryId;

/// A call that is under way.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<CallAnswer, CallError>> + Send + 'a>>;

/// An API whose operations rules may call.
///
/// It only decides what may be called, sends, and classifies the response. Retries, limits and
/// answers that no API has given are the caller's: they are the same for every API.
pub trait CallApi: Send + Sync {
    /// How calls of an operation are treated; decided before anything is sent.
    fn admit(&self, operation: &str) -> CallAdmission;

    /// What [`CallApi::call`] would send, without secrets; sends nothing.
    ///
    /// # Errors
    /// Why it cannot be sent: a parameter that the API cannot have.
    fn preview(&self, call: &CallRequest<'_>) -> Result<Json, String>;

    /// Sends the request once.
    fn call<'a>(&'a self, call: &'a CallRequest<'a>) -> CallFuture<'a>;

    /// The patterns of the operations that may be called, for lists.
    fn allowed(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether operations that change something are not sent, for lists.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// An operation that changes nothing, and its parameters, to test address and credentials with.
    ///
    /// # Errors
    /// When none is known, and what to allow.
    fn test_call(&self) -> Result<(String, Json), String> {
        Err("the API has no operation to test it with".to_owned())
    }
}

/// How calls of an operation are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAdmission {
    /// They are not sent, and why.
    NotAllowed(String),
    /// They are not sent; the answer says what would have been sent.
    DryRun,
    /// They change nothing, so that they may be repeated at any time.
    Read,
    /// They change something.
    Change {
        /// Whether the API recognizes a copy of the request by its id, so that one with an unknown
        /// outcome may be repeated.
        repeatable: bool,
    },
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRequest<'a> {
    /// The id of its delivery, the same in each attempt.
    pub id: DeliveryId,
    /// The operation.
    pub operation: &'a str,
    /// Its parameters, an object.
    pub parameters: &'a Json,
}

/// Why a call has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not executed, and a later attempt may succeed: the request was never written, or the
    /// API has refused it for now.
    #[error("{reason}")]
    NotSent {
        /// The response, or the local error.
        reason: String,
        /// The delay that the API requested.
        retry_after: Option<SignedDuration>,
    },
    /// It may have been executed.
    #[error("{reason}")]
    Unknown {
        /// The local error.
        reason: String,
    },
}

/// What is set for a target that takes calls.
#[derive(Clone)]
pub struct CallSettings {
    /// The API.
    pub api: Arc<dyn CallApi>,
    /// How many changes it may make.
    pub changes: ChangeLimit,
    /// How long a call that is due may wait before it is sent.
    pub expires: SignedDuration,
}

/// How many calls of a target may change something, over all rules. Beyond that it makes no more
/// changes until an operator resumes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeLimit {
    /// Within any minute.
    pub per_minute: u32,
    /// Within any 24 hours.
    pub per_day: u32,
}

impl CallSettings {
    /// `expires` of a target that does not set it.
    pub const EXPIRES: SignedDuration = SignedDuration::from_mins(15);
}

impl Default for ChangeLimit {
    fn default() -> Self {
        // Ten leaks a minute are cleaned up; a rule that is wrong does no more than that.
        Self {
            per_minute: 10,
            per_day: 100,
        }
    }
}
