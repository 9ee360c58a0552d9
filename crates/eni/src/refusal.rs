//! Why a request is refused: the service's own codes.
//!
//! Codes and HTTP statuses are those of the error tables on the API reference's pages of the four operations, and of its
//! page on responses for what is common to all (`MissingParameter`, `InvalidParameter`, `Throttling`,
//! `IdempotentParameterMismatch`, `InvalidRegionId.NotFound` …). Where those leave a choice:
//!
//! - `InvalidEniId.NotFound` is 404, as on most pages; a newer page of the deletion has 403. Look at codes, not statuses.
//! - `InvalidEcsId.NotFound` (404) and `InvalidInstanceId.NotFound` (403) are explained alike. Here the first means an
//!   instance that the caller does not have, the second one that does not carry the interface.
//! - `InvalidOperation.EniCountExceeded`, `InvalidOperation.Ipv6CountExceeded` and `InvalidIp.IpAssigned` stand on pages
//!   of related operations (attributes, addresses); a creation and an attachment get into the same situations.
//! - `Throttling` is 400, as on the page on responses; single operations have 403 or 429.
//!
//! Listed there and never given here, because the model has no such thing: RAM users (`Forbidden.SubUser`,
//! `Forbidden.NotSupportRAM`), trunk, member and slave interfaces (`InvalidOperation.EniLinked`,
//! `InvalidOperation.HasSlaveEniBonded`), the classic network (`InvalidSecurityGroupId.NotVpc`), resource groups to look
//! up (`InvalidResourceGroup.NotFound`), assigning of addresses after the creation (`InvalidIp.IpUnassigned`), and
//! requests that meet in the middle of each other (`Operation.Conflict`, `InternalError`).

/// A refused request, as the API says it. A refused request never leads to an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code; this, not the status, is what callers should look at.
    pub code: &'static str,
    /// Words for people.
    pub message: String,
}

impl Refusal {
    /// A refusal in the service's terms.
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

    pub(crate) fn interface_status(id: &str, status: reflexarc_event::EniStatus) -> Self {
        let message = format!(
            "The operation is not allowed while network interface {id} is in status {status}."
        );
        Self::new(400, "InvalidOperation.InvalidEniState", message)
    }

    pub(crate) fn instance_status(id: &str, status: crate::InstanceStatus) -> Self {
        let message = format!(
            "The operation is not allowed while instance {id} is in status {}.",
            status.name()
        );
        Self::new(400, "InvalidOperation.InvalidEcsState", message)
    }

    pub(crate) fn managed(id: &str) -> Self {
        let message = format!(
            "Network interface {id} is managed by a cloud service, only that service may operate on it."
        );
        Self::new(403, "InvalidOperation.EniServiceManaged", message)
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameter", message)
    }
}
