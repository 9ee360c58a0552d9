//! What requests say about interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use reflexarc_event::EniStatus;

use crate::resources::{AddressSelection, InterfaceSettings, InterfaceType};

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
    /// The settings of its queues and connections.
    pub settings: InterfaceSettings,
}

/// The secondary addresses and prefixes that a request assigns to an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssignAddresses {
    /// The interface's id.
    pub interface: String,
    /// Whether the request is for IPv6: it then has no IPv4 addresses, otherwise no IPv6 ones.
    pub is_ipv6: bool,
    /// Secondary private addresses.
    pub secondary: AddressSelection<Ipv4Addr>,
    /// IPv4 prefixes, each a /28.
    pub ipv4_prefixes: AddressSelection<Ipv4Net>,
    /// IPv6 addresses.
    pub ipv6: AddressSelection<Ipv6Addr>,
    /// IPv6 prefixes, each a /80.
    pub ipv6_prefixes: AddressSelection<Ipv6Net>,
    /// Makes the request idempotent, as that of a creation does.
    pub client_token: Option<String>,
}

/// The attributes of an interface that a request changes; `None` where it leaves them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModifyInterface {
    /// The interface's id.
    pub interface: String,
    /// The name; may be empty.
    pub name: Option<String>,
    /// The description; may be empty.
    pub description: Option<String>,
    /// The security groups that replace those of the interface; empty if they stay.
    pub security_groups: Vec<String>,
    /// Whether the interface is deleted with its instance.
    pub delete_on_release: Option<bool>,
    /// The settings of its queues and connections.
    pub settings: InterfaceSettings,
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
