//! The ECS event names that the documentation of Cloud Monitor and EventBridge lists, with level and statuses.

use crate::Level;

/// What is documented about one event name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The name without its status part, `<Resource>:<Event>`.
    pub name: &'static str,
    /// The class that Cloud Monitor puts it into; `None` where only EventBridge lists the name.
    pub class: Option<EventClass>,
    /// The level; a failed operation raises INFO to WARN. `None` where no document gives one.
    pub level: Option<Level>,
    /// The statuses that a name may end in; empty for events that have none.
    pub statuses: &'static [&'static str],
}

/// How Cloud Monitor classes system events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventClass {
    /// Something has been done or has changed.
    StatusNotification,
    /// Something is planned by the cloud.
    Maintenance,
    /// Something broke.
    Exception,
}

impl EventClass {
    /// The word that Cloud Monitor uses, in `eventType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatusNotification => "StatusNotification",
            Self::Maintenance => "Maintenance",
            Self::Exception => "Exception",
        }
    }
}

/// The name of the event that tells of a completed ENI operation.
pub const ENI_OPERATION_COMPLETED: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

/// Every documented name, sorted.
pub fn catalogue() -> &'static [CatalogueEntry] {
    CATALOGUE
}

/// The entry of a name, with or without its status part, and the status part if there is one.
///
/// ```
/// let (entry, status) = reflexarc_event::find_name("Instance:SystemFailure.Reboot:Executing").expect("documented");
/// assert_eq!((entry.name, status), ("Instance:SystemFailure.Reboot", Some("Executing")));
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

const fn note(name: &'static str, level: Level) -> CatalogueEntry {
    CatalogueEntry {
        name,
        class: Some(EventClass::StatusNotification),
        level: Some(level),
        statuses: &[],
    }
}

const fn planned(
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

const fn broken(
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

/// A name of which nothing but itself is documented.
const fn bare(name: &'static str) -> CatalogueEntry {
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

/// Levels are those of the Cloud Monitor catalogue, also where a sample in the ECS documentation shows a lighter one.
const CATALOGUE: &[CatalogueEntry] = &[
    bare("ActionTrail:AliyunServiceEvent"),
    bare("ActionTrail:ApiCall"),
    bare("ActionTrail:ConsoleOperation"),
    note("Disk:ConvertToPostpaidCompleted", Info),
    note("Disk:DiskOperationCompleted", Info),
    broken("Disk:ErrorDetected", Critical, START_AND_END),
    note("Disk:OverduePaymentRelease", Critical),
    broken("Disk:Stalled", Critical, START_AND_END),
    bare("Instance:AccountUnbalanced.Delete"),
    bare("Instance:AccountUnbalanced.Stop"),
    bare("Instance:AutoReactivateCompleted"),
    note("Instance:BurstablePerformanceRestricted", Warn),
    bare("Instance:InstanceExpiration.Delete"),
    bare("Instance:InstanceExpiration.Stop"),
    broken("Instance:InstanceFailure.Reboot", Critical, START_AND_END),
    note("Instance:LiveMigrationAcrossDDH", Info),
    note("Instance:PerformanceModeChange", Info),
    note("Instance:PreemptibleInstanceInterruption", Warn),
    broken("Instance:Security.TpmAlert", Warn, START_AND_END),
    note("Instance:StateChange", Info),
    note("Instance:SurplusCreditIncurCharge", Warn),
    broken(
        "Instance:SystemFailure.Delete",
        Critical,
        &["Executing", "Executed", "Avoided"],
    ),
    broken(
        "Instance:SystemFailure.Reboot",
        Critical,
        &["Executing", "Executed", "Failed"],
    ),
    broken(
        "Instance:SystemFailure.Redeploy",
        Critical,
        &["Scheduled", "Executing", "Executed", "Avoided", "Canceled"],
    ),
    broken("Instance:SystemFailure.Stop", Critical, START_AND_END),
    bare("Instance:SystemMaintenance.CleanInactiveDisks"),
    bare("Instance:SystemMaintenance.CleanReleasedDisks"),
    planned(
        "Instance:SystemMaintenance.IsolateErrorDisk",
        Critical,
        DISK_REPAIR,
    ),
    planned(
        "Instance:SystemMaintenance.PerformanceImpact",
        Warn,
        START_AND_END,
    ),
    planned(
        "Instance:SystemMaintenance.ReInitErrorDisk",
        Critical,
        DISK_REPAIR,
    ),
    planned(
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
    planned(
        "Instance:SystemMaintenance.RebootAndIsolateErrorDisk",
        Critical,
        DISK_REPAIR_WITH_REBOOT,
    ),
    planned(
        "Instance:SystemMaintenance.RebootAndReInitErrorDisk",
        Critical,
        DISK_REPAIR_WITH_REBOOT,
    ),
    planned(
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
    planned(
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
    bare("Instance:VSwitchChanged"),
    // The preview event of this project's first document; no catalogue lists it yet, its level follows the result.
    note(ENI_OPERATION_COMPLETED, Info),
    bare("NetworkInterface:PrivateIPAssigned"),
    bare("NetworkInterface:PrivateIPUnassigned"),
    bare("NetworkInterface:PrivateIPv6Assigned"),
    bare("NetworkInterface:PrivateIPv6Unassigned"),
    bare("NetworkInterface:SlaveEniWorkStateChanged"),
    note("NetworkInterface:StateChange", Info),
    note("Snapshot:CreateSnapshotCompleted", Info),
    bare("Snapshot:CreateSnapshotInitiated"),
    bare("Snapshot:SnapshotDeleted"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_so_that_names_are_found() {
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
    fn a_status_that_the_event_does_not_have_is_not_found() {
        assert_eq!(find_name("Instance:SystemFailure.Stop:Scheduled"), None);
        assert_eq!(find_name("Instance:StateChange:Normal"), None);
        assert_eq!(find_name("Instance:StateChanged"), None);
        assert_eq!(find_name(""), None);
    }

    #[test]
    fn eventbridge_carries_every_name_as_a_type() {
        assert!(
            CATALOGUE
                .iter()
                .all(|entry| entry.name.len() + "ecs:".len() <= 64)
        );
    }
}
