//! `batch`: one reaction for many events.

use serde::{Deserialize, Serialize};

use super::{Arrival, Firing, FiringKind, Micros, Roles, Seen, Step, keep_position};

/// `batch = { within, idle, max }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) within: Micros,
    pub(crate) idle: Option<Micros>,
    pub(crate) max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchState {
    #[serde(rename = "o")]
    opening: Seen,
    #[serde(rename = "l")]
    last: Seen,
    #[serde(rename = "n")]
    count: u64,
    #[serde(rename = "b")]
    bytes: usize,
    #[serde(rename = "p")]
    events: Vec<u64>,
    #[serde(rename = "t", default)]
    late: bool,
}

/// The bytes of the events of a batch, at which it is full.
pub(super) const MAX_BYTES: usize = 4 << 20;

impl Batch {
    pub(super) fn apply(
        &self,
        state: Option<BatchState>,
        arrival: &Arrival<'_>,
        grace: Micros,
    ) -> (Option<BatchState>, Step, Option<Firing>) {
        if !arrival.roles.has(Roles::OPENING) {
            return (state, Step::Ignored, None);
        }
        let seen = arrival.seen;
        let (step, mut state) = match state {
            Some(state) => (Step::Added, state),
            None => (
                Step::Opened,
                BatchState {
                    opening: seen,
                    last: seen,
                    count: 0,
                    bytes: 0,
                    events: Vec::new(),
                    late: false,
                },
            ),
        };
        state.last = seen;
        state.count += 1;
        state.bytes = state.bytes.saturating_add(arrival.bytes);
        state.late |= seen.is_late(grace);
        keep_position(&mut state.events, seen.position);
        if state.count >= self.max || state.bytes >= MAX_BYTES {
            return (None, step, Some(self.fire(&state)));
        }
        (Some(state), step, None)
    }

    pub(super) fn due(&self, state: &BatchState) -> Micros {
        let within = state.opening.at.saturating_add(self.within);
        let idle = self.idle.map(|idle| state.last.at.saturating_add(idle));
        within.min(idle.unwrap_or(Micros::MAX))
    }

    pub(super) fn fire(&self, state: &BatchState) -> Firing {
        Firing {
            kind: FiringKind::Begin,
            opening: state.opening,
            deadline: Some(self.due(state)),
            late: state.late,
            count: state.count,
            event: Some(state.last.position),
            events: state.events.clone(),
            closing: None,
        }
    }
}

impl BatchState {
    /// The first event, and how many there are.
    pub(super) fn opened(&self) -> (Seen, u64) {
        (self.opening, self.count)
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        positions.extend(&self.events);
        positions.push(self.last.position);
    }
}
