//! What is kept of one key of a rule.

use serde::{Deserialize, Serialize};

use super::firing::Firing;
use super::{Micros, absence, batch, count, sequence, silence};

/// The state of one key of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyState {
    #[serde(flatten)]
    pub(crate) progress: Progress,
    /// The match that has fired and waits for what resolves it.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) fired: Option<Fired>,
    /// The match whose reaction failed, to be run once more.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Fired>,
    /// The most `emit`s that led to one of its events.
    #[serde(rename = "h", default, skip_serializing_if = "super::is_zero")]
    pub(crate) hop: u64,
    /// No deadline ends before this: after a restart, the repeats of senders come first.
    // Not part of the data, as `shift`: a store sets both for many matches at once.
    #[serde(skip)]
    pub(crate) not_before: Option<Micros>,
    /// By how much the clock was set since the state was empty. All other times of the state are
    /// those of the clock as it was then.
    ///
    /// ```text
    /// 12:00  A opens a match; within = 30m, so that it is due at 12:30
    /// 12:10  the clock is set to 15:10: shift = 3h, due at 15:30
    /// 15:20  B comes: to the state it is one of 12:20
    /// ```
    #[serde(skip)]
    pub(crate) shift: Micros,
}

/// What a key has of the match in progress, by the shape of its window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// Nothing.
    #[default]
    #[serde(rename = "-")]
    Idle,
    #[serde(rename = "c")]
    Count(count::CountState),
    #[serde(rename = "e")]
    Windows(count::WindowsState),
    #[serde(rename = "s")]
    Sequence(sequence::SequenceState),
    #[serde(rename = "a")]
    Absence(absence::AbsenceState),
    #[serde(rename = "q")]
    Silence(silence::SilenceState),
    #[serde(rename = "b")]
    Batch(batch::BatchState),
}

/// A match that has fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fired {
    #[serde(rename = "m")]
    pub(crate) firing: Firing,
    /// When.
    #[serde(rename = "t")]
    pub(crate) at: Micros,
    /// When it is resolved if no event comes before.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Micros>,
}

impl KeyState {
    /// Whether anything in it has a time.
    pub(crate) fn has_times(&self) -> bool {
        self.progress != Progress::Idle || self.fired.is_some() || self.retry.is_some()
    }
}
