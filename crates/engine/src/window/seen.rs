//! An event as windows see it: its place in time, and what it is to a window.

use serde::{Deserialize, Serialize};

use super::Micros;

/// An event as windows see it. Events are ordered by their own time, and equal times by position.
// A tuple when serialized: a pending match is mostly these three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Micros, u64, Micros)", into = "(Micros, u64, Micros)")]
pub(crate) struct Seen {
    /// The event's own time, at most `at`.
    pub(crate) time: Micros,
    /// Its position among all events that were kept.
    pub(crate) position: u64,
    /// When it was applied.
    pub(crate) at: Micros,
}

/// What an event is to a window, as a set: it may open a match and continue another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roles(u32);

impl Seen {
    /// Whether it was applied more than `grace` after its own time.
    pub(crate) fn is_late(&self, grace: Micros) -> bool {
        self.at.saturating_sub(self.time) > grace
    }

    pub(super) fn order(&self) -> (Micros, u64) {
        (self.time, self.position)
    }

    /// Whether it is after `other` in the order of events.
    pub(super) fn is_after(&self, other: &Self) -> bool {
        self.order() > other.order()
    }
}

impl From<(Micros, u64, Micros)> for Seen {
    fn from((time, position, at): (Micros, u64, Micros)) -> Self {
        Self { time, position, at }
    }
}

impl From<Seen> for (Micros, u64, Micros) {
    fn from(seen: Seen) -> Self {
        (seen.time, seen.position, seen.at)
    }
}

impl Roles {
    /// Of an event that `when` matches.
    pub(crate) const OPENING: Self = Self(1);
    /// Of an event that `until` matches.
    pub(crate) const UNTIL: Self = Self(1 << 31);
    /// The number of steps that a window may have after `when`.
    pub(crate) const MAX_STEPS: usize = 16;

    /// Of an event that the step matches, from 0: the steps after `when`, or what closes a match.
    pub(crate) fn step(step: usize) -> Self {
        debug_assert!(step < Self::MAX_STEPS, "the reader of rule files bounds it");
        Self(2 << step)
    }

    /// The roles of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}
