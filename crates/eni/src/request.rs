//! Requests to the control plane and their replies, as data.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use reflexarc_event::{EniStatus, Operation};

use crate::ApiError;
use crate::resources::{AddressSelection, Interface, InterfaceType};

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
    /// List interfaces.
    Describe {
        /// Which interfaces.
        filter: DescribeFilter,
        /// Which page of them.
        paging: Paging,
    },
}

/// The secondary interface that a request creates.
///
/// ```
/// use reflexarc_eni::resources::AddressSelection;
/// use reflexarc_eni::{CreateInterface, Request};
/// use reflexarc_event::Operation;
///
/// let wanted = CreateInterface {
///     secondary: AddressSelection::Count(4),
///     client_token: Some("once".into()),
///     ..CreateInterface::new("vsw-a", ["sg-a"])
/// };
/// assert_eq!(Request::Create(wanted).operation(), Some(Operation::Create));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateInterface {
    /// The vSwitch that allocates the addresses.
    pub vswitch: String,
    /// The security groups to join, all in the vSwitch's VPC; at least one.
    pub security_groups: Vec<String>,
    /// The primary address; any free one when absent.
    pub primary: Option<Ipv4Addr>,
    /// Secondary addresses.
    pub secondary: AddressSelection<Ipv4Addr>,
    /// IPv4 prefixes, each a /28.
    pub ipv4_prefixes: AddressSelection<Ipv4Net>,
    /// IPv6 addresses.
    pub ipv6: AddressSelection<Ipv6Addr>,
    /// IPv6 prefixes, each a /80.
    pub ipv6_prefixes: AddressSelection<Ipv6Net>,
    /// The name; may be empty.
    pub name: String,
    /// The description; may be empty.
    pub description: String,
    /// Keys and values of tags.
    pub tags: Vec<(String, String)>,
    /// The resource group; may be empty.
    pub resource_group: String,
    /// Whether the interface is deleted with its instance; `true` when absent.
    pub delete_on_release: Option<bool>,
    /// Makes the request idempotent: repeating it with the token of an accepted request changes
    /// nothing and returns the same interface.
    pub client_token: Option<String>,
}

/// Which interfaces to list: those that meet every criterion that is given. A list is met by any of
/// its entries.
///
/// ```
/// use reflexarc_eni::resources::Account;
/// use reflexarc_eni::{Answer, Cloud, DescribeFilter, Paging, Request};
/// use reflexarc_event::EniStatus;
///
/// let start = "2026-01-01T00:00:00Z".parse()?;
/// let mut cloud = Cloud::new("cn-hangzhou", 7, start);
/// cloud.add_account(Account::user("1001"));
/// let filter = DescribeFilter { status: Some(EniStatus::Available), ..DescribeFilter::default() };
/// let paging = Paging::Token { size: 50, token: None };
/// let reply = cloud.call("1001", Request::Describe { filter, paging }, start);
/// let Ok(Answer::Described(page)) = reply.result else { panic!("refused") };
/// assert_eq!((page.total, page.next), (0, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DescribeFilter {
    /// Interface ids.
    pub ids: Vec<String>,
    /// The instance the interface is attached to.
    pub instance: Option<String>,
    /// The status.
    pub status: Option<EniStatus>,
    /// Primary or secondary.
    pub kind: Option<InterfaceType>,
    /// Whether a cloud service manages the interface.
    pub managed: Option<bool>,
    /// The vSwitch.
    pub vswitch: Option<String>,
    /// The VPC.
    pub vpc: Option<String>,
    /// A security group; primary interfaces never match, as the API documents.
    pub security_group: Option<String>,
    /// The primary address.
    pub primary: Option<Ipv4Addr>,
    /// Private addresses, primary or secondary.
    pub private: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub ipv6: Vec<Ipv6Addr>,
    /// The name.
    pub name: Option<String>,
    /// The resource group.
    pub resource_group: Option<String>,
    /// Tags, of which the interface must have all; without a value, any value matches.
    pub tags: Vec<(String, Option<String>)>,
}

/// Which page of a list of interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paging {
    /// The older form: page `number`, counted from 1, of `size` interfaces.
    Numbered {
        /// The page's number, from 1.
        number: usize,
        /// Interfaces on a page.
        size: usize,
    },
    /// At most `size` interfaces after the position that `token` names.
    Token {
        /// Interfaces on a page.
        size: usize,
        /// [`Page::next`] of the page before; absent for the first page.
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
    /// Interfaces.
    Described(Page),
}

/// One page of interfaces, sorted by id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The interfaces as the caller may see them: the instance is hidden from the owner of an
    /// interface that a service manages.
    pub interfaces: Vec<Interface>,
    /// The number of interfaces on all pages.
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
    /// The operation that the request starts; none for a description.
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Create(_) => Some(Operation::Create),
            Self::Attach { .. } => Some(Operation::Attach),
            Self::Detach { .. } => Some(Operation::Detach),
            Self::Delete { .. } => Some(Operation::Delete),
            Self::Describe { .. } => None,
        }
    }

    /// The id of the interface that the request names, if it names one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Attach { interface, .. }
            | Self::Detach { interface, .. }
            | Self::Delete { interface } => Some(interface),
            Self::Create(_) | Self::Describe { .. } => None,
        }
    }
}

impl CreateInterface {
    /// An interface with one address and nothing else.
    pub fn new<'a>(vswitch: &str, security_groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            vswitch: vswitch.to_owned(),
            security_groups: security_groups.into_iter().map(str::to_owned).collect(),
            ..Self::default()
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
