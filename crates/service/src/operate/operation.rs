//! What an operator can do with a service, as data: it is previewed, performed and recorded in the
//! same words by the console, the HTTP API and the command line.

mod command;
mod fields;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::DeliveryId;

pub use self::fields::InvalidOperation;
use crate::store::{BulkChange, DeliveryFilter, DeliveryStatus};

/// Something that an operator does.
///
/// ```
/// use reflexarc_service::operate::Operation;
///
/// let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
/// let fields = [field("operation", "redrive_matching"), field("target", "network-team")];
/// let operation = Operation::from_fields(&fields)?;
/// assert_eq!(operation.name(), "redrive_matching");
/// assert_eq!(operation.subject(), "target network-team");
/// assert_eq!(operation.command(), "reflexarc dlq redrive --all --target network-team");
/// # Ok::<(), reflexarc_service::operate::InvalidOperation>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Moves a dead letter back to the outbox.
    Redrive {
        /// The delivery.
        id: DeliveryId,
    },
    /// Drops a dead letter.
    Drop {
        /// The delivery.
        id: DeliveryId,
    },
    /// Cancels a pending delivery.
    Cancel {
        /// The delivery.
        id: DeliveryId,
    },
    /// Moves these dead letters back to the outbox.
    RedriveSelected {
        /// The deliveries.
        ids: Vec<DeliveryId>,
    },
    /// Drops these dead letters.
    DropSelected {
        /// The deliveries.
        ids: Vec<DeliveryId>,
    },
    /// Cancels these pending or withheld deliveries.
    CancelSelected {
        /// The deliveries.
        ids: Vec<DeliveryId>,
    },
    /// Moves dead letters back to the outbox, in the background.
    RedriveMatching {
        /// Which of them.
        filter: DeliveryFilter,
    },
    /// Drops dead letters, in the background.
    DropMatching {
        /// Which of them.
        filter: DeliveryFilter,
    },
    /// Cancels pending or withheld deliveries, in the background.
    CancelMatching {
        /// Which of them.
        filter: DeliveryFilter,
    },
    /// Stops all calls of a target until it is resumed.
    PauseTarget {
        /// The name of the target.
        target: String,
        /// Why.
        reason: Option<String>,
    },
    /// Ends the pause of a target, or that of its circuit breaker.
    ResumeTarget {
        /// The name of the target.
        target: String,
    },
    /// Sends a test message to a target.
    TestTarget {
        /// The name of the target.
        target: String,
    },
    /// Withholds deliveries for a time.
    AddSilence(SilenceRequest),
    /// Ends a silence.
    EndSilence {
        /// Its number.
        id: i64,
        /// Whether what it withholds is never sent.
        drops: bool,
    },
    /// Acknowledges an incident.
    AcknowledgeIncident {
        /// Its number.
        id: i64,
        /// What is done about it.
        note: Option<String>,
    },
    /// Ends an incident.
    CloseIncident {
        /// Its number.
        id: i64,
        /// Why.
        reason: Option<String>,
    },
    /// Closes the match of a rule at a key.
    ClosePending {
        /// The name of the rule.
        rule: String,
        /// The key, as [`keys_named`](super::keys_named) reads it.
        key: String,
        /// Why.
        reason: Option<String>,
    },
    /// Removes the state of a rule that does not exist.
    ForgetState {
        /// The name of the rule.
        rule: String,
    },
    /// Reloads rules and configuration.
    Reload {
        /// Whether a number of rules that falls to 0 or by more than half is intended.
        force: bool,
    },
    /// Accepts the wall clock after a jump.
    AcceptClock,
}

/// A silence that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceRequest {
    /// A filter over deliveries.
    pub pattern: String,
    /// When it begins; `None` for now.
    pub from: Option<Timestamp>,
    /// When it ends.
    pub end: SilenceSpan,
    /// Who is responsible; `None` for who adds it.
    pub owner: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether what it selects is never sent.
    pub drops: bool,
    /// Whether it is added although it matches nothing now.
    pub confirm: bool,
}

/// When a silence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceSpan {
    /// At this time.
    Until(Timestamp),
    /// This long after its beginning.
    For(SignedDuration),
}

/// Bounds of the parameters of operations. Those of texts are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationLimits {
    /// A reason; 500. It is shown in lists.
    pub reason: usize,
    /// A note; 1,024.
    pub note: usize,
    /// Any other text; 8,192.
    pub text: usize,
    /// Number of selected deliveries; 100. The record of the operation has all of them.
    pub ids: usize,
}

impl OperationLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        reason: 500,
        note: 1_024,
        text: 8_192,
        ids: 100,
    };
}

impl Operation {
    /// The names of all operations.
    pub const NAMES: [&'static str; 20] = [
        "redrive",
        "drop",
        "cancel",
        "redrive_selected",
        "drop_selected",
        "cancel_selected",
        "redrive_matching",
        "drop_matching",
        "cancel_matching",
        "pause_target",
        "resume_target",
        "test_target",
        "add_silence",
        "end_silence",
        "acknowledge_incident",
        "close_incident",
        "close_pending",
        "forget_state",
        "reload",
        "accept_clock",
    ];

    /// Its name in forms and in the audit table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redrive",
            Self::Drop { .. } => "drop",
            Self::Cancel { .. } => "cancel",
            Self::RedriveSelected { .. } => "redrive_selected",
            Self::DropSelected { .. } => "drop_selected",
            Self::CancelSelected { .. } => "cancel_selected",
            Self::RedriveMatching { .. } => "redrive_matching",
            Self::DropMatching { .. } => "drop_matching",
            Self::CancelMatching { .. } => "cancel_matching",
            Self::PauseTarget { .. } => "pause_target",
            Self::ResumeTarget { .. } => "resume_target",
            Self::TestTarget { .. } => "test_target",
            Self::AddSilence(_) => "add_silence",
            Self::EndSilence { .. } => "end_silence",
            Self::AcknowledgeIncident { .. } => "acknowledge_incident",
            Self::CloseIncident { .. } => "close_incident",
            Self::ClosePending { .. } => "close_pending",
            Self::ForgetState { .. } => "forget_state",
            Self::Reload { .. } => "reload",
            Self::AcceptClock => "accept_clock",
        }
    }

    /// What it is about, for people: `target network-team, rule lost`.
    pub fn subject(&self) -> String {
        match self {
            Self::Redrive { id } | Self::Drop { id } | Self::Cancel { id } => {
                format!("delivery {id}")
            }
            Self::RedriveSelected { ids }
            | Self::DropSelected { ids }
            | Self::CancelSelected { ids } => match ids.as_slice() {
                [id] => format!("delivery {id}"),
                ids => format!("{} deliveries", ids.len()),
            },
            Self::RedriveMatching { filter }
            | Self::DropMatching { filter }
            | Self::CancelMatching { filter } => subject_of(filter),
            Self::PauseTarget { target, .. }
            | Self::ResumeTarget { target }
            | Self::TestTarget { target } => format!("target {target}"),
            Self::AddSilence(request) => format!("deliveries with {}", request.pattern),
            Self::EndSilence { id, .. } => format!("silence {id}"),
            Self::AcknowledgeIncident { id, .. } | Self::CloseIncident { id, .. } => {
                format!("incident {id}")
            }
            Self::ClosePending { rule, key, .. } => format!("rule {rule}, key {key}"),
            Self::ForgetState { rule } => format!("rule {rule}"),
            Self::Reload { .. } => "rules and configuration".to_owned(),
            Self::AcceptClock => "the clock".to_owned(),
        }
    }

    /// What it does with many deliveries, and with which; `None` of other operations.
    pub fn bulk(&self) -> Option<(BulkChange, &DeliveryFilter)> {
        match self {
            Self::RedriveMatching { filter } => Some((BulkChange::Redrive, filter)),
            Self::DropMatching { filter } => Some((BulkChange::Drop, filter)),
            Self::CancelMatching { filter } => Some((BulkChange::Cancel, filter)),
            _ => None,
        }
    }

    /// What it does with selected deliveries, and with which; `None` of other operations.
    pub fn selected(&self) -> Option<(BulkChange, &[DeliveryId])> {
        match self {
            Self::RedriveSelected { ids } => Some((BulkChange::Redrive, ids)),
            Self::DropSelected { ids } => Some((BulkChange::Drop, ids)),
            Self::CancelSelected { ids } => Some((BulkChange::Cancel, ids)),
            _ => None,
        }
    }

    /// The same with what it selects at this time: what comes to match later is not changed.
    #[must_use]
    pub fn bounded(mut self, now: Timestamp) -> Self {
        // As precise as the store, which compares with it: further digits say nothing.
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        if let Self::RedriveMatching { filter }
        | Self::DropMatching { filter }
        | Self::CancelMatching { filter } = &mut self
        {
            let until = filter.finished_until;
            filter.finished_until = Some(until.map_or(now, |until| until.min(now)));
        }
        self
    }
}

/// What a filter selects, without the status, which the operation has.
fn subject_of(filter: &DeliveryFilter) -> String {
    let part = |label: &str, value: &Option<String>| {
        let value = value.as_ref();
        value.map(|value| format!("{label} {value}"))
    };
    let time = |label: &str, value: Option<Timestamp>| value.map(|at| format!("{label} {at}"));
    let is_withheld = filter.status == DeliveryStatus::Withheld;
    let parts = [
        is_withheld.then(|| "withheld".to_owned()),
        part("target", &filter.target),
        part("rule", &filter.rule),
        part("event", &filter.event),
        part("reason with", &filter.reason),
        time("since", filter.since),
        time("until", filter.finished_until),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    // Times alone are no selection: `all, until 2026-11-27T06:00:00Z`.
    let times = usize::from(filter.since.is_some()) + usize::from(filter.finished_until.is_some());
    if parts.len() == times {
        parts.insert(0, "all".to_owned());
    }
    parts.join(", ")
}
