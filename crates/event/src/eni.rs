//! The typed event for a completed ENI operation: a tolerant reader and a strict writer.

mod read;
mod write;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;

use crate::{Arn, Level, ParseError, Parsed};

pub(crate) use read::LISTS;
pub use read::ReadError;
pub use write::WriteError;

/// The completion of one ENI operation: `NetworkInterface:NetworkInterfaceOperateCompleted`.
///
/// Fields are named after the members of the event.
///
/// ```
/// use reflexarc_event::{EniNotification, EniStatus, NativeEvent, OperationResult, Parsed};
///
/// let event = NativeEvent::from_json(
///     r#"{
///         "product": "ECS", "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
///         "content": {"eniId": "eni-8vb1**deg2n", "eniStatus": "inuse", "result": "success"}
///     }"#,
/// )?;
/// let notification = EniNotification::read(&event)?;
/// assert_eq!(notification.eni_status, EniStatus::InUse.into());
/// assert_eq!(notification.result, OperationResult::Success.into());
/// assert!(notification.eni_id.is_masked());
/// assert_eq!(notification.request_id, Parsed::Missing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EniNotification {
    /// The id of the event.
    pub id: Parsed<String>,
    /// The ARN of the ENI, `acs:ecs:<region>:<account>:eni/<eniId>`.
    pub resource_id: Parsed<Arn>,
    /// INFO for success, WARN for failed.
    pub level: Parsed<Level>,
    /// The account that receives the event; it need not own the ENI.
    pub user_id: Parsed<String>,
    /// The time at which the operation completed.
    pub event_time: Parsed<Timestamp>,
    /// The region, `cn-hangzhou`.
    pub region_id: Parsed<String>,
    /// The id of the ENI, from the ARN if the content has none. Most ids begin with `eni-`.
    pub eni_id: Parsed<String>,
    /// The operation.
    pub operation: Parsed<Operation>,
    /// The status of the ENI after the operation.
    pub eni_status: Parsed<EniStatus>,
    /// The result of the operation.
    pub result: Parsed<OperationResult>,
    /// The id of the API request that started the operation.
    pub request_id: Parsed<String>,
    /// The primary private address.
    pub primary_private_ip: Parsed<Ipv4Addr>,
    /// The secondary private addresses.
    pub secondary_private_ips: Vec<Parsed<Ipv4Addr>>,
    /// The secondary private prefixes; host bits can be set when read and are cleared when written.
    pub ipv4_prefixes: Vec<Parsed<Ipv4Net>>,
    /// The IPv6 addresses.
    pub ipv6s: Vec<Parsed<Ipv6Addr>>,
    /// The IPv6 prefixes, like `ipv4_prefixes`.
    pub ipv6_prefixes: Vec<Parsed<Ipv6Net>>,
}

/// The operations on an ENI.
///
/// ```
/// use reflexarc_event::Operation;
///
/// assert_eq!("DetachNetworkInterface".parse::<Operation>()?, Operation::Detach);
/// assert_eq!(Operation::Attach.to_string(), "AttachNetworkInterface");
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
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

/// The status of an ENI in events and in the ECS API.
///
/// ```
/// use reflexarc_event::EniStatus;
///
/// assert_eq!("inuse".parse::<EniStatus>()?, EniStatus::InUse);
/// assert_eq!("The resource has been deleted.".parse::<EniStatus>()?, EniStatus::Deleted);
/// assert_eq!(EniStatus::CreateFailed.as_str(), "CreateFailed");
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EniStatus {
    /// Being created; only in the API.
    Creating,
    /// Creation failed.
    CreateFailed,
    /// Not attached.
    Available,
    /// Being attached; only in the API.
    Attaching,
    /// Attached to an instance.
    InUse,
    /// Being detached.
    Detaching,
    /// Being deleted.
    Deleting,
    /// Deleted; only in events.
    Deleted,
}

/// The result of an operation.
///
/// ```
/// use reflexarc_event::{Level, OperationResult};
///
/// assert_eq!("accomplished".parse::<OperationResult>()?, OperationResult::Success);
/// assert_eq!(OperationResult::Failed.level(), Level::Warn);
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationResult {
    /// `success`; `accomplished` in events about disks and snapshots.
    Success,
    /// `failed`
    Failed,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Create, Self::Attach, Self::Detach, Self::Delete];

    /// The name of the API action.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
        }
    }

    /// The possible statuses of an ENI after the operation, the usual one first.
    ///
    /// ```
    /// use reflexarc_event::{EniStatus, Operation, OperationResult};
    ///
    /// let statuses = Operation::Detach.resulting_statuses(OperationResult::Failed);
    /// assert_eq!(statuses, [EniStatus::Detaching, EniStatus::InUse]);
    /// ```
    pub fn resulting_statuses(self, result: OperationResult) -> &'static [EniStatus] {
        use EniStatus::{Available, CreateFailed, Deleted, Deleting, Detaching, InUse};
        match (self, result) {
            (Self::Create | Self::Detach, OperationResult::Success)
            | (Self::Attach, OperationResult::Failed) => &[Available],
            (Self::Attach, OperationResult::Success) => &[InUse],
            (Self::Delete, OperationResult::Success) => &[Deleted],
            (Self::Create, OperationResult::Failed) => &[CreateFailed],
            // Detaching if the guest did not respond, InUse if the request did not reach the
            // instance.
            (Self::Detach, OperationResult::Failed) => &[Detaching, InUse],
            (Self::Delete, OperationResult::Failed) => &[Deleting, Available],
        }
    }
}

impl EniStatus {
    /// Every status.
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

    /// The documented spelling.
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

    /// The spelling in ENI events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// The level of an event with this result.
    pub fn level(self) -> Level {
        match self {
            Self::Success => Level::Info,
            Self::Failed => Level::Warn,
        }
    }
}

/// Parses the name of the API action in any case.
impl FromStr for Operation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const EXPECTED: &str = "the name of an API action, such as AttachNetworkInterface";
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| ParseError::new("operation", EXPECTED, text))
    }
}

/// Parses a status in any case, also as two words (`in_use`), or one of the sentences that the
/// English documentation has in place of a status or beside it: "Deletion in progress.", "The
/// resource has been deleted."
impl FromStr for EniStatus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let word = text.trim();
        let word = word.strip_suffix('.').unwrap_or(word).trim_end();
        let letters = word.split([' ', '_', '-']).collect::<String>();
        let code = Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(&letters));
        code.or_else(|| match word.to_ascii_lowercase().as_str() {
            "the eni is available and can be attached to an instance" => Some(Self::Available),
            "the eni is attached to an instance" => Some(Self::InUse),
            "the resource is detaching" => Some(Self::Detaching),
            "deletion in progress" => Some(Self::Deleting),
            "the resource has been deleted" => Some(Self::Deleted),
            "the create operation failed" => Some(Self::CreateFailed),
            _ => None,
        })
        .ok_or_else(|| ParseError::new("status", "the status of an ENI, such as InUse", text))
    }
}

/// Parses `success`, `accomplished` or `failed` in any case.
impl FromStr for OperationResult {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "success" | "accomplished" => Ok(Self::Success),
            "failed" => Ok(Self::Failed),
            _ => Err(ParseError::new(
                "result",
                "success, accomplished or failed",
                text,
            )),
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
