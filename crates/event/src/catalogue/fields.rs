//! The documented fields of ECS events in the native form: how many values each has, and which
//! values those that have few.

use super::ENI_OPERATION_COMPLETED;

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldShape {
    /// One value, in every event that has the field.
    One,
    /// An array of values.
    Many,
}

/// The documentation of one field, in some events.
///
/// ```
/// use reflexarc_event::{ENI_OPERATION_COMPLETED, catalogue_fields};
///
/// let result = |name| catalogue_fields().iter().find(move |field| {
///     field.path == "content.result" && field.is_of(name)
/// });
/// let values = result(ENI_OPERATION_COMPLETED).map(|field| field.values);
/// assert_eq!(values, Some(&["success", "failed"][..]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogueField {
    /// The path from the root of the event, its keys joined by dots.
    pub path: &'static str,
    /// The values that are documented, if there are few; else empty. Other values may occur.
    pub values: &'static [&'static str],
    /// How many values it has; `None` for an object.
    pub shape: Option<FieldShape>,
    /// The names of the events that have the field; empty if all may have it.
    events: &'static [&'static str],
}

impl CatalogueField {
    /// Whether events of this name, without status, may have the field.
    pub fn is_of(&self, name: &str) -> bool {
        self.events.is_empty()
            || self
                .events
                .iter()
                .any(|event| match event.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => *event == name,
                })
    }
}

/// Every documented field, grouped by the events that have it. A field whose values differ by event
/// has several entries.
pub fn catalogue_fields() -> &'static [CatalogueField] {
    FIELDS
}

/// A field with one value that every event may have.
const fn every(path: &'static str) -> CatalogueField {
    valued(path, &[], &[])
}

const fn of(events: &'static [&'static str], path: &'static str) -> CatalogueField {
    valued(path, events, &[])
}

const fn valued(
    path: &'static str,
    events: &'static [&'static str],
    values: &'static [&'static str],
) -> CatalogueField {
    CatalogueField {
        path,
        values,
        shape: Some(FieldShape::One),
        events,
    }
}

/// An array of values.
const fn list(events: &'static [&'static str], path: &'static str) -> CatalogueField {
    CatalogueField {
        shape: Some(FieldShape::Many),
        ..of(events, path)
    }
}

/// An object.
const fn object(events: &'static [&'static str], path: &'static str) -> CatalogueField {
    CatalogueField {
        shape: None,
        ..of(events, path)
    }
}

// A star at the end of a name stands for all names that begin so.
const ENI_OPERATION: &[&str] = &[ENI_OPERATION_COMPLETED];
const ENI: &[&str] = &["NetworkInterface:*"];
const ENI_AND_VSWITCH: &[&str] = &["NetworkInterface:*", "Instance:VSwitchChanged"];
const SYSTEM_EVENT: &[&str] = &[
    "Instance:SystemMaintenance.*",
    "Instance:SystemFailure.*",
    "Instance:InstanceFailure.*",
    "Instance:InstanceExpiration.*",
    "Instance:AccountUnbalanced.*",
    "Instance:Security.*",
    "Disk:Stalled",
    "Disk:ErrorDetected",
];
const STATE: &[&str] = &["Instance:StateChange"];
const OF_INSTANCE: &[&str] = &["Instance:*", "Disk:OverduePaymentRelease"];
const INTERRUPTION: &[&str] = &["Instance:PreemptibleInstanceInterruption"];
const DISK: &[&str] = &["Disk:*", "Snapshot:*"];
const DISK_OPERATION: &[&str] = &["Disk:DiskOperationCompleted"];
const DISK_RESULT: &[&str] = &[
    "Disk:DiskOperationCompleted",
    "Disk:ConvertToPostpaidCompleted",
    "Snapshot:CreateSnapshotCompleted",
];
const DISK_SYSTEM_EVENT: &[&str] = &["Disk:Stalled", "Disk:ErrorDetected"];
const SNAPSHOT: &[&str] = &["Snapshot:*"];
const MIGRATION: &[&str] = &["Instance:LiveMigrationAcrossDDH"];
const PERFORMANCE_MODE: &[&str] = &["Instance:PerformanceModeChange"];
const PERFORMANCE: &[&str] = &["Instance:BurstablePerformanceRestricted"];
const VSWITCH: &[&str] = &["Instance:VSwitchChanged"];
const TRAIL: &[&str] = &["ActionTrail:*"];

const FIELDS: &[CatalogueField] = &[
    // The native form.
    every("ver"),
    every("id"),
    valued("product", &[], &["ECS"]),
    every("resourceId"),
    valued("level", &[], &["INFO", "WARN", "CRITICAL"]),
    every("name"),
    every("userId"),
    every("eventTime"),
    every("regionId"),
    object(&[], "content"),
    every("instanceName"),
    // What Cloud Monitor adds.
    every("traceId"),
    every("groupId"),
    valued(
        "eventType",
        &[],
        &["StatusNotification", "Maintenance", "Exception"],
    ),
    every("ruleName"),
    every("status"),
    every("serviceType"),
    every("eventRealname"),
    every("eventRealnameEn"),
    every("curLevel"),
    every("regionName"),
    every("resource"),
    // Network interfaces.
    of(ENI, "content.eniId"),
    valued(
        "content.operation",
        ENI_OPERATION,
        &[
            "CreateNetworkInterface",
            "AttachNetworkInterface",
            "DetachNetworkInterface",
            "DeleteNetworkInterface",
        ],
    ),
    valued(
        "content.eniStatus",
        ENI_OPERATION,
        &[
            "Available",
            "InUse",
            "Detaching",
            "Deleting",
            "Deleted",
            "CreateFailed",
            "Creating",
            "Attaching",
        ],
    ),
    valued("content.result", ENI_OPERATION, &["success", "failed"]),
    of(ENI_OPERATION, "content.requestId"),
    of(ENI, "content.primaryPrivateIp"),
    list(ENI_AND_VSWITCH, "content.secondaryPrivateIps"),
    list(ENI, "content.ipv4Prefixes"),
    list(ENI, "content.ipv6s"),
    list(ENI, "content.ipv6Prefixes"),
    // System events of instances and disks.
    of(SYSTEM_EVENT, "content.eventId"),
    of(SYSTEM_EVENT, "content.eventType"),
    valued(
        "content.eventStatus",
        SYSTEM_EVENT,
        &[
            "Inquiring",
            "Scheduled",
            "Executing",
            "Executed",
            "Avoided",
            "Canceled",
            "Failed",
        ],
    ),
    of(SYSTEM_EVENT, "content.publishTime"),
    of(SYSTEM_EVENT, "content.notBefore"),
    of(SYSTEM_EVENT, "content.executeStartTime"),
    of(SYSTEM_EVENT, "content.executeFinishTime"),
    of(DISK_SYSTEM_EVENT, "content.ecsInstanceId"),
    of(DISK_SYSTEM_EVENT, "content.ecsInstanceName"),
    of(DISK_SYSTEM_EVENT, "content.device"),
    // Instances.
    of(OF_INSTANCE, "content.instanceId"),
    of(STATE, "content.resourceId"),
    valued("content.resourceType", STATE, &["ALIYUN::ECS::Instance"]),
    valued(
        "content.state",
        STATE,
        &[
            "Created", "Pending", "Starting", "Running", "Stopping", "Stopped", "Deleted",
        ],
    ),
    every("content.instanceName"),
    every("content.instanceType"),
    of(STATE, "content.publicIpAddress"),
    of(OF_INSTANCE, "content.privateIpAddress"),
    valued("content.action", INTERRUPTION, &["delete"]),
    of(MIGRATION, "content.sourceDedicatedHostId"),
    of(MIGRATION, "content.destinationDedicatedHostId"),
    valued(
        "content.status",
        MIGRATION,
        &["started", "accomplished", "failed"],
    ),
    of(MIGRATION, "content.startTime"),
    of(MIGRATION, "content.endTime"),
    valued(
        "content.creditSpecification",
        PERFORMANCE_MODE,
        &["Standard", "Unlimited"],
    ),
    valued("content.operator", PERFORMANCE_MODE, &["User", "System"]),
    of(PERFORMANCE, "content.intervalStart"),
    of(PERFORMANCE, "content.intervalEnd"),
    of(VSWITCH, "content.vswitchId"),
    of(VSWITCH, "content.vpcId"),
    // Disks and snapshots.
    of(DISK, "content.diskId"),
    valued(
        "content.operation",
        DISK_OPERATION,
        &["AttachDisk", "DetachDisk"],
    ),
    valued("content.result", DISK_RESULT, &["accomplished", "failed"]),
    of(SNAPSHOT, "content.snapshotId"),
    of(SNAPSHOT, "content.snapshotName"),
    valued(
        "content.snapshotType",
        SNAPSHOT,
        &["user", "timer", "copied", "imported"],
    ),
    of(SNAPSHOT, "content.startTime"),
    of(SNAPSHOT, "content.endTime"),
    // Calls of APIs, from the page "Management event structure" of ActionTrail.
    of(TRAIL, "content.eventId"),
    of(TRAIL, "content.eventVersion"),
    valued("content.eventCategory", TRAIL, &["Management", "Data"]),
    valued(
        "content.eventType",
        TRAIL,
        &["ApiCall", "ConsoleOperation", "AliyunServiceEvent"],
    ),
    of(TRAIL, "content.eventName"),
    valued("content.eventRW", TRAIL, &["Write", "Read"]),
    of(TRAIL, "content.eventSource"),
    of(TRAIL, "content.eventTime"),
    of(TRAIL, "content.acsRegion"),
    of(TRAIL, "content.apiVersion"),
    of(TRAIL, "content.serviceName"),
    of(TRAIL, "content.requestId"),
    of(TRAIL, "content.sourceIpAddress"),
    of(TRAIL, "content.userAgent"),
    object(TRAIL, "content.userIdentity"),
    valued(
        "content.userIdentity.type",
        TRAIL,
        &["root-account", "ram-user", "assumed-role", "system"],
    ),
    of(TRAIL, "content.userIdentity.principalId"),
    of(TRAIL, "content.userIdentity.accountId"),
    of(TRAIL, "content.userIdentity.accessKeyId"),
    of(TRAIL, "content.userIdentity.userName"),
    object(TRAIL, "content.userIdentity.sessionContext"),
    of(TRAIL, "content.recipientAccountId"),
    of(TRAIL, "content.isGlobal"),
    of(TRAIL, "content.errorCode"),
    of(TRAIL, "content.errorMessage"),
    object(TRAIL, "content.requestParameters"),
    of(TRAIL, "content.requestParameterJson"),
    object(TRAIL, "content.responseElements"),
    object(TRAIL, "content.referencedResources"),
    object(TRAIL, "content.additionalEventData"),
    object(TRAIL, "content.eventAttributes"),
    of(TRAIL, "content.resourceType"),
    of(TRAIL, "content.resourceName"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EniStatus, Level, Operation, OperationResult, catalogue, eni};

    fn values(path: &str) -> Vec<&'static str> {
        let fields = FIELDS.iter().filter(|field| field.path == path);
        let mut values: Vec<&str> = fields.flat_map(|field| field.values).copied().collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    #[test]
    fn fields_have_the_values_of_their_types() {
        let has = |path: &str, value: &str| assert!(values(path).contains(&value), "{value}");
        for one in Operation::ALL {
            has("content.operation", one.as_str());
        }
        for one in EniStatus::ALL {
            has("content.eniStatus", one.as_str());
        }
        for one in OperationResult::ALL {
            has("content.result", one.as_str());
        }
        for one in Level::ALL {
            has("level", one.as_str());
        }
        for status in catalogue().iter().flat_map(|entry| entry.statuses) {
            has("content.eventStatus", status);
        }
    }

    #[test]
    fn fields_have_one_shape_in_all_events() {
        for field in FIELDS {
            let same = FIELDS.iter().filter(|other| other.path == field.path);
            assert!(
                same.clone().all(|other| other.shape == field.shape),
                "{}",
                field.path
            );
        }
        for (plural, _) in eni::LISTS {
            let path = format!("content.{plural}");
            let field = FIELDS.iter().find(|field| field.path == path);
            assert_eq!(
                field.and_then(|field| field.shape),
                Some(FieldShape::Many),
                "{path}"
            );
        }
    }

    #[test]
    fn fields_belong_to_events_of_the_catalogue() {
        for field in FIELDS.iter().filter(|field| !field.events.is_empty()) {
            assert!(field.path.starts_with("content."), "{}", field.path);
            for event in field.events {
                let prefix = event.trim_end_matches('*');
                let known = catalogue()
                    .iter()
                    .any(|entry| entry.name.starts_with(prefix));
                assert!(known, "{event}");
            }
        }
    }
}
