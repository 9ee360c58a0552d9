//! What runs because of a match, and how it ends.

use serde::{Deserialize, Serialize};

use super::{MAX_EVENTS, Micros, Seen};

/// A reaction that is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Firing {
    /// Whether the match begins to fire or is resolved.
    #[serde(rename = "k", default, skip_serializing_if = "is_begin")]
    pub(crate) kind: FiringKind,
    /// The opening event.
    #[serde(rename = "o")]
    pub(crate) opening: Seen,
    /// The end of the time that was waited; none where an event completed the match.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Micros>,
    /// Whether one of its events came later than `grace` allows.
    #[serde(rename = "l", default, skip_serializing_if = "is_false")]
    pub(crate) late: bool,
    /// The number of events of the match.
    #[serde(rename = "n")]
    pub(crate) count: u64,
    /// The position of `event` of a script; none where no event has come.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<u64>,
    /// The positions of the first events of the match.
    #[serde(rename = "p")]
    pub(crate) events: Vec<u64>,
    /// The position of the event that resolved it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) closing: Option<u64>,
}

/// The script that a firing runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FiringKind {
    /// `then` or `notify`.
    #[default]
    Begin,
    /// `resolved`.
    Resolve,
}

/// How the reaction of a firing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ran to its end.
    Completed,
    /// `once` or `throttle` held it back.
    Suppressed,
    /// It failed.
    Failed,
}

impl Firing {
    /// A match that its last event completes: its events in order, at least one, and which of them
    /// scripts see as `event`.
    pub(super) fn complete(events: &[Seen], event: Seen, grace: Micros) -> Self {
        let positions = events.iter().map(|seen| seen.position);
        Self {
            kind: FiringKind::Begin,
            opening: events[0],
            deadline: None,
            late: events.iter().any(|seen| seen.is_late(grace)),
            count: u64::try_from(events.len()).unwrap_or(u64::MAX),
            event: Some(event.position),
            events: positions.take(MAX_EVENTS).collect(),
            closing: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_begin(kind: &FiringKind) -> bool {
    *kind == FiringKind::Begin
}
