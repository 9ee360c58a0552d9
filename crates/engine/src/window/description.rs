//! What the state of a key says about the match in progress, for lists of matches.

use super::{KeyState, Micros, Progress, Seen, Shape};
use crate::WindowKind;

/// What is known of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Description {
    /// `None` if nothing is in progress: then only the rule knows.
    pub(crate) kind: Option<WindowKind>,
    /// The opening event, and how many events the match has; the wait for an event that never came
    /// has one with the position 0.
    pub(crate) opened: Option<(Seen, u64)>,
    /// When the match fired that waits to be resolved.
    pub(crate) fired: Option<Micros>,
    /// Whether its reaction failed and runs once more.
    pub(crate) retries: bool,
}

impl Description {
    /// Describes a state; `shape` is that of its window, if the rule still has it.
    pub(crate) fn new(state: &KeyState, shape: Option<&Shape>) -> Self {
        let (kind, opened) = match &state.progress {
            Progress::Idle => (None, None),
            Progress::Count(progress) => (Some(WindowKind::Count), progress.counted()),
            Progress::Windows(progress) => (Some(WindowKind::Count), progress.counted()),
            Progress::Sequence(progress) => {
                // Among events that are remembered, only the durations of the steps say which of
                // them belong to a match.
                let opened = match shape {
                    Some(Shape::Sequence(sequence)) => sequence.longest(progress),
                    _ => progress.first(),
                };
                (Some(WindowKind::FollowedBy), opened)
            }
            Progress::Absence(progress) => (Some(WindowKind::NotFollowedBy), progress.opened()),
            Progress::Silence(progress) => (Some(WindowKind::AbsentFor), Some(progress.opened())),
            Progress::Batch(progress) => (Some(WindowKind::Batch), Some(progress.opened())),
        };
        // Without a match in progress, of the one that has fired.
        let ended = state.retry.as_ref().or(state.fired.as_ref());
        let ended = ended.map(|ended| (ended.firing.opening, ended.firing.count));
        let fired = state.fired.as_ref();
        Self {
            kind,
            opened: opened.or(ended),
            fired: fired.map(|fired| fired.at.saturating_add(state.shift)),
            retries: state.retry.is_some(),
        }
    }
}
