//! Requests to the control plane and their replies, as data.

mod instances;
mod interfaces;
mod tags;

pub use instances::{InstanceDetails, InstanceFilter, InstanceOperation, InstanceRequest};
pub use interfaces::{AssignAddresses, CreateInterface, DescribeFilter, ModifyInterface};
pub use tags::{ListTags, TaggedKind, TaggedResources};

use reflexarc_event::Operation;

use crate::ApiError;
use crate::resources::{Addresses, InstanceStatus, InstanceType, Interface};

/// One request to the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Create a secondary interface.
    Create(CreateInterface),
    /// Attach an interface to an instance.
    Attach {
        /// The interface's id.
        interface: String,
        /// The instance's id.
        instance: String,
        /// The index of the network card.
        network_card: Option<usize>,
    },
    /// Detach an interface from the instance it is attached to.
    Detach {
        /// The interface's id.
        interface: String,
        /// The instance's id.
        instance: String,
    },
    /// Delete an interface.
    Delete {
        /// The interface's id.
        interface: String,
    },
    /// Assign secondary addresses and prefixes to an interface.
    Assign(AssignAddresses),
    /// Take secondary addresses and prefixes from an interface.
    Unassign {
        /// The interface's id.
        interface: String,
        /// The addresses and prefixes; without a primary address.
        addresses: Addresses,
    },
    /// Change attributes of an interface.
    Modify(ModifyInterface),
    /// Show all attributes of an interface.
    DescribeAttribute {
        /// The interface's id.
        interface: String,
    },
    /// List interfaces.
    Describe {
        /// Which interfaces.
        filter: DescribeFilter,
        /// Which page of them.
        paging: Paging,
    },
    /// Start, stop, restart or release instances.
    ChangeInstances(InstanceRequest),
    /// List instances.
    DescribeInstances {
        /// Which instances.
        filter: InstanceFilter,
        /// Which page of them.
        paging: Paging,
    },
    /// List instance types.
    DescribeInstanceTypes {
        /// The names of the types; all types when empty.
        names: Vec<String>,
        /// The instance families; all families when empty.
        families: Vec<String>,
        /// Which page of them.
        paging: Paging,
    },
    /// Add tags to resources, or replace the values of tags that they have.
    Tag {
        /// The resources.
        resources: TaggedResources,
        /// Keys and values; at least one.
        tags: Vec<(String, String)>,
    },
    /// Remove tags from resources.
    Untag {
        /// The resources.
        resources: TaggedResources,
        /// The keys; every tag when absent.
        keys: Option<Vec<String>>,
    },
    /// List the tags of resources.
    ListTags(ListTags),
}

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// The older form: page `number`, counted from 1, of `size` items.
    Numbered {
        /// The page's number, from 1.
        number: usize,
        /// Items on a page.
        size: usize,
    },
    /// At most `size` items after the position that `token` names.
    Token {
        /// Items on a page.
        size: usize,
        /// [`Listed::next`] of the page before; absent for the first page.
        token: Option<String>,
    },
}

/// What the caller of a request gets at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The request's id; the event that may follow carries the same one.
    pub request_id: String,
    /// The answer, or the error with which the request was refused.
    pub result: Result<Answer, ApiError>,
}

/// The answer to an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The created interface, in its current status.
    Created(Box<Interface>),
    /// The operation is in progress or already done.
    Accepted,
    /// Interfaces, as the caller may see them: the instance is hidden from the owner of an
    /// interface that a service manages.
    Described(Listed<Interface>),
    /// The secondary private addresses and IPv4 prefixes that the request assigned.
    AssignedPrivate {
        /// The interface's id.
        interface: String,
        /// The addresses and prefixes.
        addresses: Addresses,
    },
    /// The IPv6 addresses and prefixes that the request assigned.
    AssignedIpv6 {
        /// The interface's id.
        interface: String,
        /// The addresses and prefixes.
        addresses: Addresses,
    },
    /// One interface, with all attributes.
    Attributes(Box<Interface>),
    /// The ids of the changed instances, with the status before and after.
    InstancesChanged(Vec<(String, InstanceStatus, InstanceStatus)>),
    /// Instances.
    Instances(Listed<InstanceDetails>),
    /// Instance types.
    InstanceTypes(Listed<InstanceType>),
    /// Tags.
    Tags(Listed<ResourceTag>),
}

/// A tag of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTag {
    /// The resource's kind.
    pub kind: TaggedKind,
    /// The resource's id.
    pub resource: String,
    /// The key.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// The number of items on all pages.
    pub total: usize,
    /// The requested page.
    pub paging: Paging,
    /// The token of the next page; absent on the last one and for numbered pages.
    pub next: Option<String>,
}

/// The request that an operation in progress belongs to.
#[derive(Debug, Clone)]
pub(crate) struct RequestOrigin {
    pub(crate) request_id: String,
    /// The id of the account that made the request.
    pub(crate) caller: String,
    pub(crate) operation: Operation,
}

impl Request {
    /// The operation that the request starts; none for a request that ends with its reply.
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Create(_) => Some(Operation::Create),
            Self::Attach { .. } => Some(Operation::Attach),
            Self::Detach { .. } => Some(Operation::Detach),
            Self::Delete { .. } => Some(Operation::Delete),
            _ => None,
        }
    }

    /// The id of the interface that the request names, if it names one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Attach { interface, .. }
            | Self::Detach { interface, .. }
            | Self::Delete { interface }
            | Self::Unassign { interface, .. }
            | Self::DescribeAttribute { interface } => Some(interface),
            Self::Assign(wanted) => Some(&wanted.interface),
            Self::Modify(change) => Some(&change.interface),
            _ => None,
        }
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self::Numbered {
            number: 1,
            size: 10,
        }
    }
}

impl RequestOrigin {
    pub(crate) fn new(request_id: &str, caller: &str, operation: Operation) -> Self {
        Self {
            request_id: request_id.to_owned(),
            caller: caller.to_owned(),
            operation,
        }
    }
}
