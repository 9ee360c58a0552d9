//! Which rules reacted to what: for programs that run a handler of their own with a rule.

use reflexarc_event::Event;

use crate::time_window::PyMatchFiring;

/// A rule that reacted, with the event that its script saw, and the match of its time window.
pub(crate) struct RuleReaction {
    pub(crate) rule: String,
    /// `None` where a time has come and there was no event.
    pub(crate) event: Option<Event>,
    /// `None` for a rule without a time window, and for an event that only became part of a match.
    pub(crate) firing: Option<PyMatchFiring>,
}

/// What an evaluation has, as bits, so that a program sees with one call that there is nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Contents(pub(crate) u8);

impl Contents {
    /// Actions to deliver, or cancellations.
    pub(crate) const ACTIONS: u8 = 1;
    /// Failed reactions.
    pub(crate) const FAILURES: u8 = 2;
    /// Logged lines.
    pub(crate) const LOG: u8 = 4;
    /// Rules that reacted.
    pub(crate) const REACTIONS: u8 = 8;

    pub(crate) fn add(&mut self, bit: u8, is_present: bool) {
        if is_present {
            self.0 |= bit;
        }
    }
}
