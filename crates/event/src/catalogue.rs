//! The ECS event names in the documentation of Cloud Monitor and EventBridge.

mod fields;

pub use fields::{CatalogueField, FieldShape, catalogue_fields};

use crate::Level;

/// The documentation of one event name.
///
/// ```
/// use reflexarc_event::{EventClass, Level, find_name};
///
/// let (entry, _) = find_name("Disk:Stalled").expect("a documented name");
/// assert_eq!(entry.class, Some(EventClass::Exception));
/// assert_eq!(entry.level, Some(Level::Critical));
/// assert_eq!(entry.statuses, ["Executing", "Executed"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogueEntry {
    /// The name without its status, `<Resource>:<Event>`.
    pub name: &'static str,
    /// The class in Cloud Monitor; `None` if only EventBridge lists the name.
    pub class: Option<EventClass>,
    /// The level, `None` if it is not documented. A failed operation raises INFO to WARN.
    pub level: Option<Level>,
    /// The statuses that can be the last part of the name; empty for most events.
    pub statuses: &'static [&'static str],
}

/// The classes of system events in Cloud Monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventClass {
    /// An operation or a change has completed.
    StatusNotification,
    /// Maintenance is planned or running.
    Maintenance,
    /// A failure.
    Exception,
}

impl EventClass {
    /// The value of `eventType` in Cloud Monitor.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatusNotification => "StatusNotification",
            Self::Maintenance => "Maintenance",
            Self::Exception => "Exception",
        }
    }
}

/// The name of the event for a completed ENI operation.
pub const ENI_OPERATION_COMPLETED: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

/// Every documented name, sorted.
///
/// ```
/// use reflexarc_event::{EventClass, catalogue};
///
/// let maintenance =
///     catalogue().iter().filter(|entry| entry.class == Some(EventClass::Maintenance));
/// assert!(maintenance.count() > 5);
/// ```
pub fn catalogue() -> &'static [CatalogueEntry] {
    CATALOGUE
}

/// Looks up a name with or without status: its entry, and the status if it has one.
///
/// ```
/// use reflexarc_event::find_name;
///
/// let found = find_name("Instance:SystemFailure.Reboot:Executing");
/// let found = found.map(|(entry, status)| (entry.name, status));
/// assert_eq!(found, Some(("Instance:SystemFailure.Reboot", Some("Executing"))));
/// ```
pub fn find_name(name: &str) -> Option<(&'static CatalogueEntry, Option<&str>)> {
    let exact = |name: &str| {
        CATALOGUE
            .binary_search_by(|entry| entry.name.cmp(name))
            .ok()
            .map(|at| &CATALOGUE[at])
    };
    if let Some(entry) = exact(name) {
        return Some((entry, None));
    }
    let (base, status) = name.rsplit_once(':')?;
    let entry = exact(base)?;
    entry
        .statuses
        .contains(&status)
        .then_some((entry, Some(status)))
}

const fn notification(name: &'static str, level: Level) -> CatalogueEntry {
    CatalogueEntry {
        name,
        class: Some(EventClass::StatusNotification),
        level: Some(level),
        statuses: &[],
    }
}

const fn maintenance(
    name: &'static str,
    level: Level,
    statuses: &'static [&'static str],
) -> CatalogueEntry {
    CatalogueEntry {
        name,
        class: Some(EventClass::Maintenance),
        level: Some(level),
        statuses,
    }
}

const fn exception(
    name: &'static str,
    level: Level,
    statuses: &'static [&'static str],
) -> CatalogueEntry {
    CatalogueEntry {
        name,
        class: Some(EventClass::Exception),
        level: Some(level),
        statuses,
    }
}

/// A name without documented class, level and statuses.
const fn undocumented(name: &'static str) -> CatalogueEntry {
    CatalogueEntry {
        name,
        class: None,
        level: None,
        statuses: &[],
    }
}

use Level::{Critical, Info, Warn};

const DISK_REPAIR: &[&str] = &[
    "Inquiring",
    "Executing",
    "Executed",
    "Avoided",
    "Canceled",
    "Failed",
];
const DISK_REPAIR_WITH_REBOOT: &[&str] =
    &["Inquiring", "Executing", "Executed", "Avoided", "Canceled"];
const START_AND_END: &[&str] = &["Executing", "Executed"];

/// Sorted by name, for binary search. Levels are those of the Cloud Monitor catalogue, also where a
/// sample in the ECS documentation shows a less severe one.
const CATALOGUE: &[CatalogueEntry] = &[
    undocumented("ActionTrail:AliyunServiceEvent"),
    undocumented("ActionTrail:ApiCall"),
    undocumented("ActionTrail:ConsoleOperation"),
    notification("Disk:ConvertToPostpaidCompleted", Info),
    notification("Disk:DiskOperationCompleted", Info),
    exception("Disk:ErrorDetected", Critical, START_AND_END),
    notification("Disk:OverduePaymentRelease", Critical),
    exception("Disk:Stalled", Critical, START_AND_END),
    undocumented("Instance:AccountUnbalanced.Delete"),
    undocumented("Instance:AccountUnbalanced.Stop"),
    undocumented("Instance:AutoReactivateCompleted"),
    notification("Instance:BurstablePerformanceRestricted", Warn),
    undocumented("Instance:InstanceExpiration.Delete"),
    undocumented("Instance:InstanceExpiration.Stop"),
    exception("Instance:InstanceFailure.Reboot", Critical, START_AND_END),
    notification("Instance:LiveMigrationAcrossDDH", Info),
    notification("Instance:PerformanceModeChange", Info),
    notification("Instance:PreemptibleInstanceInterruption", Warn),
    exception("Instance:Security.TpmAlert", Warn, START_AND_END),
    notification("Instance:StateChange", Info),
    notification("Instance:SurplusCreditIncurCharge", Warn),
    exception(
        "Instance:SystemFailure.Delete",
        Critical,
        &["Executing", "Executed", "Avoided"],
    ),
    exception(
        "Instance:SystemFailure.Reboot",
        Critical,
        &["Executing", "Executed", "Failed"],
    ),
    exception(
        "Instance:SystemFailure.Redeploy",
        Critical,
        &["Scheduled", "Executing", "Executed", "Avoided", "Canceled"],
    ),
    exception("Instance:SystemFailure.Stop", Critical, START_AND_END),
    undocumented("Instance:SystemMaintenance.CleanInactiveDisks"),
    undocumented("Instance:SystemMaintenance.CleanReleasedDisks"),
    maintenance(
        "Instance:SystemMaintenance.IsolateErrorDisk",
        Critical,
        DISK_REPAIR,
    ),
    maintenance(
        "Instance:SystemMaintenance.PerformanceImpact",
        Warn,
        START_AND_END,
    ),
    maintenance(
        "Instance:SystemMaintenance.ReInitErrorDisk",
        Critical,
        DISK_REPAIR,
    ),
    maintenance(
        "Instance:SystemMaintenance.Reboot",
        Critical,
        &[
            "Scheduled",
            "Executing",
            "Executed",
            "Avoided",
            "Canceled",
            "Failed",
            "Inquiring",
        ],
    ),
    maintenance(
        "Instance:SystemMaintenance.RebootAndIsolateErrorDisk",
        Critical,
        DISK_REPAIR_WITH_REBOOT,
    ),
    maintenance(
        "Instance:SystemMaintenance.RebootAndReInitErrorDisk",
        Critical,
        DISK_REPAIR_WITH_REBOOT,
    ),
    maintenance(
        "Instance:SystemMaintenance.Redeploy",
        Critical,
        &[
            "Scheduled",
            "Executing",
            "Executed",
            "Avoided",
            "Canceled",
            "Inquiring",
        ],
    ),
    maintenance(
        "Instance:SystemMaintenance.Stop",
        Critical,
        &[
            "Scheduled",
            "Executing",
            "Executed",
            "Avoided",
            "Canceled",
            "Failed",
        ],
    ),
    undocumented("Instance:VSwitchChanged"),
    // In preview, and in no catalogue yet; its level follows the result of the operation.
    notification(ENI_OPERATION_COMPLETED, Info),
    undocumented("NetworkInterface:PrivateIPAssigned"),
    undocumented("NetworkInterface:PrivateIPUnassigned"),
    undocumented("NetworkInterface:PrivateIPv6Assigned"),
    undocumented("NetworkInterface:PrivateIPv6Unassigned"),
    undocumented("NetworkInterface:SlaveEniWorkStateChanged"),
    notification("NetworkInterface:StateChange", Info),
    notification("Snapshot:CreateSnapshotCompleted", Info),
    undocumented("Snapshot:CreateSnapshotInitiated"),
    undocumented("Snapshot:SnapshotDeleted"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].name < pair[1].name));
        for entry in CATALOGUE {
            assert_eq!(find_name(entry.name), Some((entry, None)));
            for status in entry.statuses {
                let name = format!("{}:{status}", entry.name);
                assert_eq!(find_name(&name), Some((entry, Some(*status))));
            }
        }
    }

    #[test]
    fn undocumented_statuses_are_not_found() {
        assert_eq!(find_name("Instance:SystemFailure.Stop:Scheduled"), None);
        assert_eq!(find_name("Instance:StateChange:Normal"), None);
        assert_eq!(find_name("Instance:StateChanged"), None);
        assert_eq!(find_name(""), None);
    }

    #[test]
    fn every_name_fits_in_a_cloudevents_type() {
        assert!(
            CATALOGUE
                .iter()
                .all(|entry| entry.name.len() + "ecs:".len() <= 64)
        );
    }
}
