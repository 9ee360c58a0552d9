//! What a caller may ask, and what it hears.

use reflexarc_event::Operation;

use crate::{CreateInterface, Filter, Interface, Page, Paging, Refusal};

/// One request to the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Make a secondary interface.
    Create(CreateInterface),
    /// Attach an interface to an instance.
    Attach {
        /// The interface.
        interface: String,
        /// The instance.
        instance: String,
    },
    /// Detach an interface from the instance it is attached to.
    Detach {
        /// The interface.
        interface: String,
        /// The instance.
        instance: String,
    },
    /// Delete an interface.
    Delete {
        /// The interface.
        interface: String,
    },
    /// List interfaces.
    Describe {
        /// Which ones.
        filter: Filter,
        /// How many at a time.
        paging: Paging,
    },
}

/// What the caller hears at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The request's id; the event that may follow carries the same.
    pub request_id: String,
    /// The answer, or why not.
    pub result: Result<Answer, Refusal>,
}

/// The answer to an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The interface as it is now.
    Created(Box<Interface>),
    /// The request is under way, or already done.
    Accepted,
    /// Interfaces.
    Described(Page),
}

impl Request {
    /// The operation it asks for; none for a description.
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Create(_) => Some(Operation::Create),
            Self::Attach { .. } => Some(Operation::Attach),
            Self::Detach { .. } => Some(Operation::Detach),
            Self::Delete { .. } => Some(Operation::Delete),
            Self::Describe { .. } => None,
        }
    }

    /// The interface it names, if it names one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Attach { interface, .. }
            | Self::Detach { interface, .. }
            | Self::Delete { interface } => Some(interface),
            Self::Create(_) | Self::Describe { .. } => None,
        }
    }
}
