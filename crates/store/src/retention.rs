//! How long events and dead letters are kept.

use jiff::SignedDuration;

use crate::{DamagedEvent, MAX_LISTED_DAMAGE};

/// How long events and dead letters are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Older events are removed, with their deliveries.
    pub age: SignedDuration,
    /// When the pages in use are more than this many bytes, the oldest events are removed.
    pub bytes: Option<u64>,
    /// Dead letters that became one longer ago are dropped; then their events can be removed.
    /// `None` keeps them until an operator drops them.
    pub dead_letters: Option<SignedDuration>,
}

/// What a pass of [`Store::prune`](crate::Store::prune) has removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Number of events.
    pub events: u64,
    /// Number of dead letters that were dropped because of their age, for each target.
    pub dead_letters: Vec<(String, u64)>,
    /// Events that were removed although something of them could not be read which retention would
    /// have kept: their fingerprints, without which copies of them are accepted as new events. At
    /// most [`MAX_LISTED_DAMAGE`].
    pub damage: Vec<DamagedEvent>,
    /// Number of all of these.
    pub damaged: u64,
}

impl Pruned {
    /// Counts a dead letter of this target that was dropped.
    pub(crate) fn dropped(&mut self, target: String) {
        match self
            .dead_letters
            .binary_search_by(|(known, _)| known.cmp(&target))
        {
            Ok(place) => self.dead_letters[place].1 += 1,
            Err(place) => self.dead_letters.insert(place, (target, 1)),
        }
    }

    /// Adds a damaged event.
    pub(crate) fn found(&mut self, event: DamagedEvent) {
        self.damaged += 1;
        if self.damage.len() < MAX_LISTED_DAMAGE {
            self.damage.push(event);
        }
    }
}

impl Default for Retention {
    /// 30 days, dead letters 90 days, without a bound on the size.
    fn default() -> Self {
        Self {
            age: SignedDuration::from_hours(30 * 24),
            bytes: None,
            dead_letters: Some(SignedDuration::from_hours(90 * 24)),
        }
    }
}
