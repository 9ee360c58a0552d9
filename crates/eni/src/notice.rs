//! Who is told what when a request ends: an event to its recipient, or nothing, and why.

use std::fmt;

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Event, Operation};

use crate::Refusal;
use crate::cloud::Cloud;
use crate::interface::{Interface, InterfaceType};

/// The end of one request for one of the four operations.
#[derive(Debug, Clone)]
pub struct Notice {
    /// When it was refused or done.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: String,
    /// Who asked.
    pub caller: String,
    /// For what.
    pub operation: Operation,
    /// The interface, where there is one.
    pub interface: Option<String>,
    /// The event, or why there is none.
    pub verdict: Result<Publication, Silence>,
}

/// An event and whose it is; nobody else sees it.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The account whose bus it goes to: the service's for a managed interface, else the caller's.
    pub recipient: String,
    /// Whether the operation succeeded.
    pub success: bool,
    /// The status that the event names.
    pub status: EniStatus,
    /// The event in its native form.
    pub event: Event,
}

/// Why there is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// The request was refused.
    Refused(Refusal),
    /// The interface is a primary one.
    Primary,
    /// The account that would be told has not got the preview.
    PreviewOff {
        /// The account.
        account: String,
    },
    /// The operation has not completed and, by a fault, never will.
    NotCompleted {
        /// Where the interface stands; gone when absent.
        status: Option<EniStatus>,
    },
    /// The request repeats an earlier one by its client token.
    Repeated {
        /// The earlier request, which has its own notice.
        request_id: String,
    },
    /// Nobody asked for the operation itself: it came with the release of the instance.
    WithInstance,
}

/// Whose request it was.
pub(crate) struct Told {
    pub(crate) request_id: String,
    pub(crate) caller: String,
    pub(crate) operation: Operation,
}

impl Cloud {
    /// Ends a request that was carried out on an interface, under the conditions for an event: the interface is a
    /// secondary one, and the account that is told has the preview. That the request was accepted is why we are here.
    pub(crate) fn publish(&mut self, told: Told, interface: &Interface, success: bool) {
        let verdict = if interface.kind == InterfaceType::Primary {
            Err(Silence::Primary)
        } else {
            let recipient = recipient(interface, &told.caller).to_owned();
            match self.account(&recipient) {
                Ok(account) if account.preview => {
                    let event = self.event(&told, interface, &recipient, success);
                    Ok(Publication {
                        recipient,
                        success,
                        status: interface.status,
                        event,
                    })
                }
                _ => Err(Silence::PreviewOff { account: recipient }),
            }
        };
        self.note(told, Some(interface.id.clone()), verdict);
    }

    pub(crate) fn note(
        &mut self,
        told: Told,
        interface: Option<String>,
        verdict: Result<Publication, Silence>,
    ) {
        let Told {
            request_id,
            caller,
            operation,
        } = told;
        self.push_notice(Notice {
            at: self.now(),
            request_id,
            caller,
            operation,
            interface,
            verdict,
        });
    }
}

/// Who is told: the service that manages the interface, else whoever asked.
fn recipient<'a>(interface: &'a Interface, caller: &'a str) -> &'a str {
    interface
        .managed_by
        .as_ref()
        .map_or(caller, |(service, _)| service)
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the request was refused with {}", refusal.code),
            Self::Primary => f.write_str("the interface is a primary one"),
            Self::PreviewOff { account } => write!(
                f,
                "account {account} has not got the preview of the feature"
            ),
            Self::NotCompleted {
                status: Some(status),
            } => write!(f, "the operation has not completed: still {status}"),
            Self::NotCompleted { status: None } => f.write_str("the operation has not completed"),
            Self::Repeated { request_id } => write!(f, "the request repeats {request_id}"),
            Self::WithInstance => {
                f.write_str("nobody asked for it: it came with the release of the instance")
            }
        }
    }
}
