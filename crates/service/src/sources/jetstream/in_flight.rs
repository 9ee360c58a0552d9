//! Messages on their way to an acknowledgement.

use std::time::Duration;

use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{AckKind, Message};
use reflexarc_delivery::EventRef;

use super::message::{Origin, Rejection};
use super::reject::{log_rejection, publish_rejected};
use super::{MessageOutcome, Source};
use crate::http::RequestStart;
use crate::store::{Accepted, Reply};
use crate::telemetry::ProblemKind;

/// How a message has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was stored or rejected.
    Done,
    /// It could not be, and comes again.
    Postponed,
}

/// A message whose events are submitted.
pub(super) struct InFlight {
    pub(super) source: Source,
    pub(super) acker: Acker,
    /// When the server sends it again, unless it gets a progress acknowledgement.
    pub(super) ack_wait: Duration,
    /// After how long it is sent again if it is not stored.
    pub(super) delay: Duration,
}

impl InFlight {
    /// Waits for the commit, and acknowledges the message.
    pub(super) async fn wait(
        self,
        mut reply: Reply<Vec<Accepted>>,
        sampled: Vec<Option<EventRef>>,
        start: RequestStart,
    ) -> Ended {
        let stored = loop {
            tokio::select! {
                stored = &mut reply => break stored,
                () = tokio::time::sleep(self.ack_wait / 2) => {
                    // It waits for a disk; another node must not get it meanwhile.
                    drop(self.acker.ack_with(AckKind::Progress).await);
                }
            }
        };
        let state = &self.source.state;
        match stored {
            Ok(accepted) => {
                state.record_accepted(&accepted, sampled, start);
                // If it is lost, the message comes again and is recognised.
                drop(self.acker.ack().await);
                self.source.count(MessageOutcome::Accepted);
                Ended::Done
            }
            Err(error) => {
                let kind = ProblemKind::StoreOperationFailed;
                let problems = &state.metrics.problems;
                problems.report(kind, "message", 1, &error.to_string());
                drop(self.acker.ack_with(AckKind::Nak(Some(self.delay))).await);
                self.source.count(MessageOutcome::Postponed);
                Ended::Postponed
            }
        }
    }
}

/// Publishes a message that is no event to `reject_subject`, and ends it. Without such a subject,
/// it is ended with what the log says about it, as a request of HTTP would be.
pub(super) async fn reject(
    source: Source,
    message: Message,
    origin: Origin,
    rejection: Rejection,
    delay: Duration,
) -> Ended {
    if let Err(failure) = publish_rejected(&source, &message, &origin, &rejection).await {
        source.report_rejects(Some(&failure));
        drop(message.ack_with(AckKind::Nak(Some(delay))).await);
        source.count(MessageOutcome::Postponed);
        // Other messages are not affected: pulling goes on, as far as `max_ack_pending` allows.
        return Ended::Done;
    }
    source.report_rejects(None);
    log_rejection(&source, &message, &origin, &rejection);
    drop(message.ack_with(AckKind::Term).await);
    source.count(MessageOutcome::Rejected);
    Ended::Done
}
