//! Incidents, as the store lists them.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;

/// An incident: of a rule and a key, from the firing of the match to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// The name of the rule.
    pub rule: String,
    /// The key of the match, as JSON; `[]` for a rule without `by`.
    pub key: String,
    /// When the match fired first.
    pub opened: Timestamp,
    /// Archive position of the entry that fired first.
    pub seq: i64,
    /// Archive position of the event that the first reaction saw: the opening event, or the last
    /// one of a count; `None` if there was none.
    pub event: Option<u64>,
    /// When it fired last.
    pub last: Timestamp,
    /// How often it has fired, those firings included that a gate held back.
    pub count: u64,
    /// When it was acknowledged.
    pub acknowledged: Option<Timestamp>,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<String>,
    /// What was written with the acknowledgement.
    pub note: Option<String>,
    /// When it ended; `None` while it is open.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub how: Option<IncidentEnd>,
    /// The operator who has closed it.
    pub ended_by: Option<String>,
    /// The operator's reason.
    pub reason: Option<String>,
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IncidentEnd {
    /// By the event, or the quiet time, that the rule waits for.
    Resolved,
    /// By an operator.
    Closed,
    /// Nothing came for so long that the match was forgotten.
    Forgotten,
    /// The rule was removed, or its time window changed.
    RuleChanged,
}

/// Which incidents a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those that are open.
    pub open: bool,
}

/// Who acknowledges an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The operator.
    pub by: String,
    /// What the operator wrote.
    pub note: Option<String>,
    /// The targets that get a delivery of the phase `acknowledged` if they got one of the firing.
    pub informed: Vec<String>,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// The incident, as it is now.
    pub incident: Incident,
    /// Whether it was acknowledged by this: it was open and not acknowledged before.
    pub is_new: bool,
    /// How many delayed deliveries were cancelled.
    pub cancelled: u64,
    /// The deliveries that inform targets.
    pub deliveries: Vec<DeliveryId>,
}

impl Incident {
    /// `open`, `acknowledged`, or how it ended.
    pub fn status(&self) -> &'static str {
        match (self.how, self.ended, self.acknowledged) {
            (Some(how), ..) => how.as_str(),
            // Written by a later version.
            (None, Some(_), _) => "ended",
            (None, None, Some(_)) => "acknowledged",
            (None, None, None) => "open",
        }
    }
}

impl IncidentEnd {
    const ALL: [Self; 4] = [
        Self::Resolved,
        Self::Closed,
        Self::Forgotten,
        Self::RuleChanged,
    ];

    /// Its name in lists and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Forgotten => "forgotten",
            Self::RuleChanged => "rule changed",
        }
    }

    /// Its number in the file.
    pub(crate) fn number(self) -> i64 {
        // The numbers are in the files of all installations: a new one must be added at the end.
        self as i64
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.number() == number)
    }
}
