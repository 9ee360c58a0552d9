//! What requests say about instances.

use std::net::Ipv4Addr;

use crate::resources::{Instance, InstanceStatus, Interface};

/// Instances to start, stop, restart or release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRequest {
    /// What to do.
    pub operation: InstanceOperation,
    /// The ids of the instances; all of them are changed, or none.
    pub ids: Vec<String>,
    /// Whether the request names several instances, so that the response reports each of them.
    pub is_batch: bool,
    /// Whether a running instance may be released.
    pub force: bool,
    /// What is charged for a stopped instance, `StopCharging` or `KeepCharging`.
    pub stopped_mode: Option<String>,
    /// Whether the request is only checked; it is then refused in any case.
    pub dry_run: bool,
    /// Makes a release idempotent, as that of a creation does.
    pub client_token: Option<String>,
}

/// What happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InstanceOperation {
    /// From Stopped by way of Starting to Running.
    Start,
    /// From Running by way of Stopping to Stopped.
    Stop,
    /// From Running by way of Starting to Running.
    Restart,
    /// The instance is gone, and with it its primary interface and those with `delete_on_release`.
    Release,
}

/// Which instances to list: those that meet every criterion that is given. A list is met by any of
/// its entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceFilter {
    /// Instance ids.
    pub ids: Vec<String>,
    /// The name, in which `*` stands for any text.
    pub name: Option<String>,
    /// The status.
    pub status: Option<InstanceStatus>,
    /// The instance type.
    pub kind: Option<String>,
    /// The instance family.
    pub family: Option<String>,
    /// The VPC.
    pub vpc: Option<String>,
    /// The vSwitch of the primary interface.
    pub vswitch: Option<String>,
    /// The zone.
    pub zone: Option<String>,
    /// A security group of the primary interface.
    pub security_group: Option<String>,
    /// Primary private addresses.
    pub private: Vec<Ipv4Addr>,
    /// The resource group.
    pub resource_group: Option<String>,
    /// Tags, of which the instance must have all; without a value, any value matches.
    pub tags: Vec<(String, Option<String>)>,
}

/// An instance and its interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceDetails {
    /// The region's id.
    pub region: String,
    /// The instance.
    pub instance: Instance,
    /// Its interfaces, the primary one first.
    pub interfaces: Vec<Interface>,
}
