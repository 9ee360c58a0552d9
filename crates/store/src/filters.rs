//! Which deliveries a list has, or a change of many of them changes.

use jiff::Timestamp;

use crate::{DeliveryRecord, DeliveryStatus, PageCursor};

/// Selects deliveries of one status. What is `None` selects all.
///
/// ```
/// use reflexarc_store::{DeliveryFilter, DeliveryStatus};
///
/// let mut filter = DeliveryFilter::of(DeliveryStatus::Dead);
/// filter.target = Some("network-team".to_owned());
/// filter.reason = Some("timed out".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// The status.
    pub status: DeliveryStatus,
    /// The name of the target.
    pub target: Option<String>,
    /// The name of the rule that returned the action.
    pub rule: Option<String>,
    /// The id of the event.
    pub event: Option<String>,
    /// A text within the reason; capital letters of ASCII are equal to small ones.
    pub reason: Option<String>,
    /// Left the outbox at this time or before it; of deliveries that have not left it: created.
    pub finished_until: Option<Timestamp>,
    /// Left the outbox at this time or after it; of deliveries that have not left it: created.
    pub since: Option<Timestamp>,
}

/// What is done with each of many deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BulkChange {
    /// As [`Store::redrive`](crate::Store::redrive).
    Redrive,
    /// As [`Store::drop_dead_letter`](crate::Store::drop_dead_letter).
    Drop,
    /// As [`Store::cancel`](crate::Store::cancel).
    Cancel,
}

/// What became of deliveries that were to be changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectedChange {
    /// How many were changed.
    pub changed: u64,
    /// How many have another status, or were left as they are: see [`BulkStep::unchanged`].
    pub unchanged: u64,
    /// How many do not exist.
    pub missing: u64,
}

/// One step of a change of many deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkStep {
    /// How many were changed.
    pub changed: u64,
    /// How many matched and were left as they are: calls, which are not redriven, and those that
    /// were cancelled before and are still being sent.
    pub unchanged: u64,
    /// Where the next step begins; `None` if this was the last one.
    pub next: Option<PageCursor>,
}

impl DeliveryFilter {
    /// All deliveries of a status.
    pub fn of(status: DeliveryStatus) -> Self {
        Self {
            status,
            target: None,
            rule: None,
            event: None,
            reason: None,
            finished_until: None,
            since: None,
        }
    }

    /// Whether it selects this delivery.
    pub fn selects(&self, record: &DeliveryRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let delivery = &record.delivery;
        let time = record.finished.unwrap_or(delivery.created);
        let reason = record.reason.as_deref().unwrap_or_default();
        let within = |text: &String| {
            let reason = reason.to_ascii_lowercase();
            reason.contains(&text.to_ascii_lowercase())
        };
        record.status == self.status
            && is(&self.target, &delivery.target)
            && is(&self.rule, &delivery.rule)
            && is(&self.event, &delivery.event.id)
            && self.reason.as_ref().is_none_or(within)
            && self.finished_until.is_none_or(|until| time <= until)
            && self.since.is_none_or(|since| time >= since)
    }
}

impl BulkChange {
    /// The statuses of deliveries that it changes.
    pub(crate) fn changes(self, status: DeliveryStatus) -> bool {
        match self {
            Self::Redrive | Self::Drop => status == DeliveryStatus::Dead,
            Self::Cancel => {
                matches!(status, DeliveryStatus::Pending | DeliveryStatus::Withheld)
            }
        }
    }
}
