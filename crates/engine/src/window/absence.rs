//! `not_followed_by`: an event that another one should follow, and the time by which it should.

use serde::{Deserialize, Serialize};

use super::{Arrival, Firing, FiringKind, MAX_EVENTS, Micros, Roles, Seen, Step};

/// `not_followed_by = { when, within, restart }`. The closing event has the role of step 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) within: Micros,
    /// Whether a later opening event moves the deadline.
    pub(crate) restart: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AbsenceState {
    /// The opening events of the match in the order in which they were applied: the first opened
    /// it. Of more than [`MAX_EVENTS`], the first ones and the last.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    openings: Vec<Seen>,
    /// How many there were.
    #[serde(rename = "n", default, skip_serializing_if = "super::is_zero")]
    count: u64,
    /// Closing events, for opening events that are late. None of them is both earlier and
    /// forgotten sooner than another.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    closings: Vec<Seen>,
}

/// Closing events that are remembered of one key. In order, one is enough; each further one was
/// applied later than one that is newer by its own time.
pub(super) const MAX_CLOSINGS: usize = 8;

impl Absence {
    pub(super) fn apply(
        &self,
        mut state: AbsenceState,
        arrival: &Arrival<'_>,
        grace: Micros,
    ) -> (Option<AbsenceState>, Step) {
        let seen = arrival.seen;
        state
            .closings
            .retain(|closing| seen.at < self.forgotten_at(closing, grace));
        let mut step = Step::Ignored;
        if arrival.roles.has(Roles::step(0)) {
            step = state.close(&seen);
        }
        // After closing: an event that ends one match and opens the next one does both.
        if arrival.roles.has(Roles::OPENING) {
            step = state.open(seen);
        }
        let is_kept = !state.openings.is_empty() || !state.closings.is_empty();
        (is_kept.then_some(state), step)
    }

    pub(super) fn due(
        &self,
        state: &AbsenceState,
        grace: Micros,
        settle: Micros,
        newest_late: Option<Micros>,
    ) -> Option<Micros> {
        let anchor = self.anchor(state)?;
        let deadline = anchor.time.saturating_add(self.within).max(anchor.at);
        Some(if anchor.is_late(grace) {
            // Late events come in floods, after a sender was cut off: what closes the match may be
            // among them, as long as they come.
            let newest = newest_late.unwrap_or(Micros::MIN);
            deadline.max(newest).saturating_add(settle)
        } else {
            deadline.saturating_add(grace)
        })
    }

    pub(super) fn fire(&self, state: &mut AbsenceState, grace: Micros) -> Option<Firing> {
        let anchor = self.anchor(state)?;
        let openings = std::mem::take(&mut state.openings);
        let opening = *openings.first()?;
        Some(Firing {
            kind: FiringKind::Begin,
            opening,
            deadline: Some(anchor.time.saturating_add(self.within)),
            late: openings.iter().any(|opening| opening.is_late(grace)),
            count: std::mem::take(&mut state.count),
            event: Some(opening.position),
            events: openings.iter().map(|opening| opening.position).collect(),
            closing: None,
        })
    }

    pub(super) fn expires(&self, state: &AbsenceState, grace: Micros) -> Option<Micros> {
        if state.is_pending() {
            return None;
        }
        let forgotten = state.closings.iter();
        let forgotten = forgotten.map(|closing| self.forgotten_at(closing, grace));
        Some(forgotten.max().unwrap_or(Micros::MIN))
    }

    /// The opening event that the deadline counts from.
    fn anchor(&self, state: &AbsenceState) -> Option<Seen> {
        if self.restart {
            state.openings.iter().copied().max_by_key(Seen::order)
        } else {
            state.openings.first().copied()
        }
    }

    /// From when on a closing event is not remembered.
    fn forgotten_at(&self, closing: &Seen, grace: Micros) -> Micros {
        // 1 more, as the ends of a time are part of it.
        closing
            .at
            .saturating_add(self.within)
            .saturating_add(grace)
            .saturating_add(1)
    }
}

impl AbsenceState {
    #[cfg(test)]
    pub(super) fn closings(&self) -> usize {
        self.closings.len()
    }

    /// The event that opened the match, and how many opening events there were.
    pub(super) fn opened(&self) -> Option<(Seen, u64)> {
        Some((*self.openings.first()?, self.count))
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.openings.is_empty()
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        positions.extend(self.openings.iter().map(|opening| opening.position));
    }

    fn close(&mut self, closing: &Seen) -> Step {
        let opens = self.openings.first();
        let step = if opens.is_some_and(|opening| closing.is_after(opening)) {
            Step::Closed
        } else {
            Step::Remembered
        };
        // Opening events that are later than the closing one open the next match. Example, in the
        // order of application: A at 0, A at 10, then, late, the B of 5: the second A waits for a B
        // of its own.
        let before = self.openings.len();
        self.openings.retain(|opening| opening.is_after(closing));
        let closed = u64::try_from(before - self.openings.len()).unwrap_or(u64::MAX);
        self.count = match self.openings.len() {
            0 => 0,
            _ => self.count.saturating_sub(closed),
        };
        let covers = |a: &Seen, b: &Seen| a.order() >= b.order() && a.at >= b.at;
        if !self.closings.iter().any(|other| covers(other, closing)) {
            self.closings.retain(|other| !covers(closing, other));
            self.closings.push(*closing);
            if self.closings.len() > MAX_CLOSINGS {
                self.closings.remove(0);
            }
        }
        step
    }

    fn open(&mut self, opening: Seen) -> Step {
        // It is late, and what closes it was applied before.
        if self
            .closings
            .iter()
            .any(|closing| closing.is_after(&opening))
        {
            return Step::Closed;
        }
        self.count = self.count.saturating_add(1);
        let step = if self.openings.is_empty() {
            Step::Opened
        } else {
            Step::Added
        };
        if self.openings.len() >= MAX_EVENTS {
            self.openings.pop();
        }
        self.openings.push(opening);
        step
    }
}
