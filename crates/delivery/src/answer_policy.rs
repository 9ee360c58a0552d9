//! Which answers of a receiver are final, where a target differs from the usual.

use crate::outcome::SendError;

/// The statuses that a target treats otherwise than its type does: those of HTTP for a webhook,
/// also the `errcode` for DingTalk, reply codes of SMTP, exit statuses of a command.
///
/// ```
/// use reflexarc_delivery::{AnswerPolicy, SendError};
///
/// // Behind a gateway that answers 404 while the receiver is deployed.
/// let policy = AnswerPolicy { retry_statuses: vec![404], ..AnswerPolicy::default() };
/// let gone = SendError::Misconfigured { reason: "HTTP 404".into() };
/// assert_eq!(policy.apply(404, gone.clone()).outcome(), "failed");
/// assert_eq!(policy.apply(401, gone).outcome(), "misconfigured");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerPolicy {
    /// Errors with these statuses are not attempted again.
    pub final_statuses: Vec<i64>,
    /// Errors with these statuses are attempted again.
    pub retry_statuses: Vec<i64>,
}

impl AnswerPolicy {
    /// The error as this policy classifies it; `status` is that of the answer.
    #[must_use]
    pub fn apply(&self, status: i64, error: SendError) -> SendError {
        let (retries, ends) = (
            self.retry_statuses.contains(&status),
            self.final_statuses.contains(&status),
        );
        match error {
            SendError::Misconfigured { reason } | SendError::Refused { reason } if retries => {
                SendError::transient(reason)
            }
            SendError::Transient { reason, .. } | SendError::RateLimited { reason, .. } if ends => {
                SendError::Refused { reason }
            }
            error => error,
        }
    }
}
