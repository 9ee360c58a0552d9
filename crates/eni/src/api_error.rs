//! The error with which the API refuses a request, in the service's own codes.
//!
//! Codes and HTTP statuses are those of the error tables in the API reference of the four
//! operations and, for what is common to all (`MissingParameter`, `InvalidParameter`, `Throttling`,
//! `IdempotentParameterMismatch`, `InvalidRegionId.NotFound` …), of its page on responses. Where
//! those are ambiguous:
//!
//! - `InvalidEniId.NotFound` is 404, as on most pages; a newer page of the deletion has 403.
//!   Clients should look at codes, not statuses.
//! - `InvalidEcsId.NotFound` (404) and `InvalidInstanceId.NotFound` (403) have the same
//!   explanation. Here the first one is for an instance that the caller does not own, the second
//!   one for an instance that the interface is not attached to.
//! - `InvalidOperation.EniCountExceeded`, `InvalidOperation.Ipv6CountExceeded` and
//!   `InvalidIp.IpAssigned` are on pages of related operations (attributes, addresses); creations
//!   and attachments meet the same situations.
//! - `Throttling` is 400, as on the page on responses; single operations have 403 or 429.
//!
//! Documented codes that are never returned, because the simulation does not model what they are
//! about: RAM users (`Forbidden.SubUser`, `Forbidden.NotSupportRAM`), trunk, member and slave
//! interfaces (`InvalidOperation.EniLinked`, `InvalidOperation.HasSlaveEniBonded`), the classic
//! network (`InvalidSecurityGroupId.NotVpc`), a list of resource groups
//! (`InvalidResourceGroup.NotFound`), and concurrent requests (`Operation.Conflict`,
//! `InternalError`).

use reflexarc_event::EniStatus;

use crate::resources::InstanceStatus;

/// An error of the API: the request was refused. A refused request never makes an event.
///
/// ```
/// use reflexarc_eni::ApiError;
///
/// let error = ApiError::new(404, "InvalidEniId.NotFound", "It does not exist.");
/// assert_eq!(error.to_string(), "InvalidEniId.NotFound: It does not exist.");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The code; clients should look at it and not at the status.
    pub code: &'static str,
    /// An explanation for people.
    pub message: String,
}

impl ApiError {
    /// An error with a code of the service.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unknown_interface(id: &str) -> Self {
        Self::new(
            404,
            "InvalidEniId.NotFound",
            format!("The specified network interface {id} does not exist."),
        )
    }

    pub(crate) fn unknown_instance(id: &str) -> Self {
        Self::new(
            404,
            "InvalidEcsId.NotFound",
            format!("The specified instance {id} does not exist."),
        )
    }

    /// The error of actions that are about an instance, which has another code.
    pub(crate) fn unknown_instance_id(id: &str) -> Self {
        Self::new(
            404,
            "InvalidInstanceId.NotFound",
            format!("The specified InstanceId {id} does not exist."),
        )
    }

    pub(crate) fn unknown_vswitch(id: &str) -> Self {
        Self::new(
            404,
            "InvalidVSwitchId.NotFound",
            format!("The specified vSwitch {id} does not exist."),
        )
    }

    pub(crate) fn unknown_security_group(id: &str) -> Self {
        Self::new(
            404,
            "InvalidSecurityGroupId.NotFound",
            format!("The specified security group {id} does not exist."),
        )
    }

    pub(crate) fn interface_status(id: &str, status: EniStatus) -> Self {
        let message = format!(
            "The operation is not allowed while network interface {id} is in status {status}."
        );
        Self::new(400, "InvalidOperation.InvalidEniState", message)
    }

    pub(crate) fn instance_status(id: &str, status: InstanceStatus) -> Self {
        let message = format!(
            "The operation is not allowed while instance {id} is in status {}.",
            status.name()
        );
        Self::new(400, "InvalidOperation.InvalidEcsState", message)
    }

    pub(crate) fn managed(id: &str) -> Self {
        let message = format!(
            "Network interface {id} is managed by a cloud service, \
             only that service may operate on it."
        );
        Self::new(403, "InvalidOperation.EniServiceManaged", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        // The general code, for situations without one of their own.
        Self::new(400, "InvalidParameter", message)
    }
}
