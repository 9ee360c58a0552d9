//! The ENI operation completion event with types: a tolerant reader and a strict writer.

mod read;
mod write;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use crate::{Arn, Level, Reading};

pub(crate) use read::LISTS;
pub use read::ReadError;
pub use write::WriteError;

/// The completion of one ENI operation: `NetworkInterface:NetworkInterfaceOperateCompleted`.
///
/// Fields carry the names of the event's members in Rust's spelling.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EniNotification {
    /// The id of the event.
    pub id: Reading<String>,
    /// `resourceId`: the ENI's name, `acs:ecs:<region>:<account>:eni/<eniId>`.
    pub resource_id: Reading<Arn>,
    /// INFO with success, WARN with failed.
    pub level: Reading<Level>,
    /// The account that receives the event; not always the one that owns the ENI.
    pub user_id: Reading<String>,
    /// When the operation was complete.
    pub event_time: Reading<Timestamp>,
    /// The region, `cn-hangzhou`.
    pub region_id: Reading<String>,
    /// The id of the ENI, from the resource id where the content has none. Ids begin with `eni-`, but other prefixes are known.
    pub eni_id: Reading<String>,
    /// What was done.
    pub operation: Reading<Operation>,
    /// `eniStatus`: the state of the ENI afterwards.
    pub eni_status: Reading<EniStatus>,
    /// Whether it worked.
    pub result: Reading<OperationResult>,
    /// The id of the API request that asked for it.
    pub request_id: Reading<String>,
    /// The primary private address.
    pub primary_private_ip: Reading<Ipv4Addr>,
    /// The secondary private addresses.
    pub secondary_private_ips: Vec<Reading<Ipv4Addr>>,
    /// The secondary private prefixes; bits behind the length may be set when read, and never are when written.
    pub ipv4_prefixes: Vec<Reading<Ipv4Net>>,
    /// The IPv6 addresses.
    pub ipv6s: Vec<Reading<Ipv6Addr>>,
    /// The IPv6 prefixes; as with `ipv4_prefixes`.
    pub ipv6_prefixes: Vec<Reading<Ipv6Net>>,
}

/// What can be done with an ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `CreateNetworkInterface`
    Create,
    /// `AttachNetworkInterface`
    Attach,
    /// `DetachNetworkInterface`
    Detach,
    /// `DeleteNetworkInterface`
    Delete,
}

/// The state of an ENI, in events and in the ECS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EniStatus {
    /// Being created; only the API tells.
    Creating,
    /// It could not be created.
    CreateFailed,
    /// Free to be attached.
    Available,
    /// Being attached; only the API tells.
    Attaching,
    /// Attached to an instance.
    InUse,
    /// Being detached.
    Detaching,
    /// Being deleted.
    Deleting,
    /// Gone; only events tell.
    Deleted,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationResult {
    /// `success`; disks and snapshots say `accomplished`.
    Success,
    /// `failed`
    Failed,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Create, Self::Attach, Self::Detach, Self::Delete];

    /// Reads the name of the API action.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == text.trim())
    }

    /// The name of the API action.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
        }
    }

    /// The states in which an ENI can be after the operation ended so; the usual one first.
    pub fn leaves(self, result: OperationResult) -> &'static [EniStatus] {
        use EniStatus::{Available, CreateFailed, Deleted, Deleting, Detaching, InUse};
        match (self, result) {
            (Self::Create | Self::Detach, OperationResult::Success)
            | (Self::Attach, OperationResult::Failed) => &[Available],
            (Self::Attach, OperationResult::Success) => &[InUse],
            (Self::Delete, OperationResult::Success) => &[Deleted],
            (Self::Create, OperationResult::Failed) => &[CreateFailed],
            // The guest did not answer, or the request never reached the instance.
            (Self::Detach, OperationResult::Failed) => &[Detaching, InUse],
            (Self::Delete, OperationResult::Failed) => &[Deleting, Available],
        }
    }
}

impl EniStatus {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Creating,
        Self::CreateFailed,
        Self::Available,
        Self::Attaching,
        Self::InUse,
        Self::Detaching,
        Self::Deleting,
        Self::Deleted,
    ];

    /// Reads a state in any case, or one of the sentences that stand for a state in the English documentation:
    /// "Deletion in progress." and "The resource has been deleted."
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_suffix('.').unwrap_or(text).trim_end();
        let code = Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text));
        code.or_else(|| match text.to_ascii_lowercase().as_str() {
            "deletion in progress" => Some(Self::Deleting),
            "the resource has been deleted" => Some(Self::Deleted),
            _ => None,
        })
    }

    /// The code word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::CreateFailed => "CreateFailed",
            Self::Available => "Available",
            Self::Attaching => "Attaching",
            Self::InUse => "InUse",
            Self::Detaching => "Detaching",
            Self::Deleting => "Deleting",
            Self::Deleted => "Deleted",
        }
    }
}

impl OperationResult {
    /// Both results.
    pub const ALL: [Self; 2] = [Self::Success, Self::Failed];

    /// Reads `success`, `failed`, or `accomplished` as disks and snapshots say.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "success" | "accomplished" => Some(Self::Success),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// The word in ENI events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// The level that goes with it.
    pub fn level(self) -> Level {
        match self {
            Self::Success => Level::Info,
            Self::Failed => Level::Warn,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for EniStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for OperationResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
