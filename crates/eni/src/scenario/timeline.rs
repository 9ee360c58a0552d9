//! What happens in a simulation, and the requests of rules in it.

use jiff::Timestamp;
use reflexarc_event::Event;

use super::TargetFault;
use crate::events::RequestOutcome;
use crate::rpc::Parameters;
use crate::{ApiError, StatusChange};

/// Something that happened in a simulation.
#[derive(Debug, Clone)]
pub enum TimelineEvent {
    /// A request and its reply.
    Request {
        /// When it was made.
        at: Timestamp,
        /// The id of the account that made it.
        account: String,
        /// The action.
        action: String,
        /// The id of the interface that it names or created.
        interface: Option<String>,
        /// The request's id.
        request_id: String,
        /// Whether it was accepted, or the error with which it was refused.
        result: Result<(), ApiError>,
        /// The name of the rule that made it; absent for a request of the script.
        rule: Option<String>,
        /// The code that the script expects, if the reply is another one; `accepted` when it
        /// expects no error.
        expected: Option<String>,
    },
    /// An interface's status changed.
    StatusChanged(StatusChange),
    /// A request has ended: with an event, or without one for a reason.
    Ended(RequestOutcome),
    /// An event that ends no request went to a bus, as it leaves that bus: one of a step, or a
    /// notification of the control plane.
    Published {
        /// When it was published.
        at: Timestamp,
        /// The id of the account whose bus gets it.
        account: String,
        /// The event.
        event: Event,
    },
    /// A delivery target starts to fail.
    TargetFault {
        /// When it starts to fail.
        at: Timestamp,
        /// Which target, how and for how long.
        fault: TargetFault,
    },
    /// The script changed the world outside of the API, or a step had no effect.
    Note {
        /// When.
        at: Timestamp,
        /// A description for people.
        text: String,
    },
}

/// A request to the API that a rule's action leads to.
#[derive(Debug, Clone)]
pub struct RuleRequest {
    /// When it is made; at once when this has passed.
    pub at: Timestamp,
    /// The id of the account that makes it.
    pub account: String,
    /// The name of the rule.
    pub rule: String,
    /// The action.
    pub action: String,
    /// Its parameters; a value `$name` is replaced by the id of the interface with that name.
    pub parameters: Parameters,
}
