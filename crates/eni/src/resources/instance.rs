//! ECS instances, as far as interfaces are attached to them.

use jiff::Timestamp;

/// An ECS instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The instance's id.
    pub id: String,
    /// The id of the account that owns it.
    pub owner: String,
    /// The instance type with its limits.
    pub kind: InstanceType,
    /// The VPC.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// The status.
    pub status: InstanceStatus,
    /// The name.
    pub name: String,
    /// Keys and values of tags.
    pub tags: Vec<(String, String)>,
    /// The resource group; may be empty.
    pub resource_group: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was started last.
    pub started: Timestamp,
    /// What is charged while it is stopped; absent while it is not.
    pub stopped_mode: Option<String>,
}

/// The status of an instance. Interfaces are attached and detached only while it is running or
/// stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InstanceStatus {
    /// Being created.
    Pending,
    /// Starting.
    Starting,
    /// Running.
    Running,
    /// Stopping.
    Stopping,
    /// Stopped.
    Stopped,
}

/// The limits of an instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceType {
    /// The name, such as `ecs.g7.2xlarge`.
    pub name: String,
    /// Interfaces of one instance, the primary one included (`EniQuantity`).
    pub interfaces: usize,
    /// Private IPv4 addresses of one interface (`EniPrivateIpAddressQuantity`).
    pub ipv4: usize,
    /// IPv6 addresses of one interface (`EniIpv6AddressQuantity`).
    pub ipv6: usize,
    /// Virtual CPUs.
    pub cpus: usize,
    /// Memory in GiB.
    pub memory: usize,
    /// Queues of one interface (`MaximumQueueNumberPerEni`).
    pub queues: usize,
}

impl InstanceType {
    /// `ecs.g7.large`: 3 interfaces, with 6 IPv4 and 6 IPv6 addresses each.
    pub fn g7_large() -> Self {
        // From the table of instance families in the documentation.
        Self {
            name: "ecs.g7.large".to_owned(),
            interfaces: 3,
            ipv4: 6,
            ipv6: 6,
            cpus: 2,
            memory: 8,
            queues: 2,
        }
    }

    /// `ecs.g7.2xlarge`: 4 interfaces, with 15 IPv4 and 15 IPv6 addresses each.
    pub fn g7_2xlarge() -> Self {
        Self {
            name: "ecs.g7.2xlarge".to_owned(),
            interfaces: 4,
            ipv4: 15,
            ipv6: 15,
            cpus: 8,
            memory: 32,
            queues: 8,
        }
    }
}

impl InstanceType {
    /// Every type of the region.
    pub(crate) fn all() -> [Self; 2] {
        [Self::g7_large(), Self::g7_2xlarge()]
    }

    /// The instance family, `ecs.g7` of `ecs.g7.large`.
    pub fn family(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(&self.name, |(family, _)| family)
    }
}

impl InstanceStatus {
    /// Every status, in the order of an instance's life.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
    ];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether interfaces can be attached and detached in this status.
    pub fn accepts_interfaces(self) -> bool {
        matches!(self, Self::Running | Self::Stopped)
    }
}
