//! Limits of requests and of what the region keeps in memory.

/// The limits of requests, with the values that the service documents where it does, and of the
/// region's own memory.
///
/// ```
/// use reflexarc_eni::{Cloud, Limits};
///
/// let small = Limits { interfaces_per_account: 5, ..Limits::DEFAULT };
/// let start = "2026-01-01T00:00:00Z".parse()?;
/// let cloud = Cloud::new("cn-hangzhou", 7, start).with_limits(small);
/// assert_eq!(cloud.limits().interfaces_per_account, 5);
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Security groups of one interface.
    pub security_groups: usize,
    /// Explicit secondary addresses in one creation.
    pub secondary_named: usize,
    /// Secondary addresses in one creation that gives their number.
    pub secondary_counted: usize,
    /// IPv6 addresses in one creation.
    pub ipv6: usize,
    /// Prefixes of one address family in one creation.
    pub prefixes: usize,
    /// Tags of one interface.
    pub tags: usize,
    /// Secondary interfaces of one account; the quota of a new account.
    pub interfaces_per_account: usize,
    /// Interface ids in one description.
    pub described_ids: usize,
    /// Interfaces on one page of a description.
    pub page: usize,
    /// Instances, instance types and their ids in one description, and on one page of it; also the
    /// instances that one request starts, stops, restarts or releases.
    pub instances: usize,
    /// Resources whose tags one request changes or lists.
    pub tagged: usize,
    /// Tags on one page of a list.
    pub tags_page: usize,
    /// Buses of `EventBridge` of one account, besides the default bus.
    pub event_buses: usize,
    /// Rules on one bus.
    pub rules_per_bus: usize,
    /// Targets of one rule of `EventBridge`, and of one kind of one rule of Cloud Monitor.
    pub targets_per_rule: usize,
    /// Bytes of one pattern of `EventBridge`.
    pub pattern_bytes: usize,
    /// Characters of the value, and of the template, of a target's parameter.
    pub template: usize,
    /// Characters of the description of a rule or bus.
    pub description: usize,
    /// Parameters of one target.
    pub target_parameters: usize,
    /// Items on one page of buses, rules or targets.
    pub subscriptions_page: usize,
    /// Events that one request publishes.
    pub events_per_request: usize,
    /// Bytes of one event that a request publishes.
    pub event_bytes: usize,
    /// Rules of Cloud Monitor of one account.
    pub monitor_rules: usize,
    /// Filters of one of them, and values of one of its lists.
    pub monitor_filters: usize,
    /// Requests in progress in the region, and remembered client tokens.
    pub pending: usize,
    /// Injected faults.
    pub faults: usize,
    /// Request outcomes, and status changes, that are kept until the caller takes them; the oldest
    /// are dropped first.
    pub journal: usize,
}

impl Limits {
    /// The default limits.
    pub const DEFAULT: Self = Self {
        // Documented for CreateNetworkInterface.
        security_groups: 10,
        secondary_named: 10,
        secondary_counted: 49,
        ipv6: 10,
        prefixes: 10,
        tags: 20,
        // A small account; the service's own quota depends on the account and can be raised.
        interfaces_per_account: 100,
        // Documented for DescribeNetworkInterfaces.
        described_ids: 100,
        page: 500,
        // Documented for DescribeInstances and for StartInstances and the like.
        instances: 100,
        // Documented for TagResources.
        tagged: 50,
        // Not documented.
        tags_page: 1_000,
        // Documented on the page "Limits" of EventBridge, and for PutEventRuleTargets.
        event_buses: 50,
        rules_per_bus: 50,
        targets_per_rule: 5,
        template: 10_240,
        subscriptions_page: 100,
        events_per_request: 16,
        event_bytes: 256 << 10,
        // Documented for PutEventRule.
        monitor_filters: 50,
        // Not documented.
        pattern_bytes: 32 << 10,
        description: 1_024,
        target_parameters: 32,
        monitor_rules: 200,
        // Not the service's: they only bound memory, far above what a scenario needs.
        pending: 10_000,
        faults: 10_000,
        journal: 100_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
