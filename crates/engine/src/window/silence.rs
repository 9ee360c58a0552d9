//! `absent_for`: no event for so long.

use serde::{Deserialize, Serialize};

use super::{Arrival, Firing, FiringKind, Micros, Seen, Step};

/// `absent_for = "24h"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silence {
    pub(crate) duration: Micros,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SilenceState {
    /// The last event; none if only the rule was seen.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    last: Option<Seen>,
    /// When the key was last seen.
    #[serde(rename = "a")]
    armed: Micros,
    /// The end of the time without an event.
    #[serde(rename = "d")]
    deadline: Micros,
    /// When it fired; it does so once until the next event.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fired: Option<Micros>,
}

impl Silence {
    pub(super) fn apply(
        &self,
        state: Option<&SilenceState>,
        arrival: &Arrival<'_>,
    ) -> (SilenceState, Step) {
        let step = match state {
            Some(SilenceState { fired: None, .. }) => Step::Added,
            _ => Step::Opened,
        };
        let state = SilenceState {
            last: Some(arrival.seen),
            ..self.armed(arrival.seen.at)
        };
        (state, step)
    }

    /// What waits from a time on for the first event.
    pub(super) fn armed(&self, at: Micros) -> SilenceState {
        SilenceState {
            last: None,
            armed: at,
            // By the time of application: a late event shows that its source is alive now.
            deadline: at.saturating_add(self.duration),
            fired: None,
        }
    }
}

impl SilenceState {
    pub(super) fn due(&self, grace: Micros) -> Option<Micros> {
        let waits = self.fired.is_none();
        waits.then(|| self.deadline.saturating_add(grace))
    }

    pub(super) fn fire(&mut self, now: Micros) -> Firing {
        self.fired = Some(now);
        let events: Vec<u64> = self.last.iter().map(|seen| seen.position).collect();
        Firing {
            kind: FiringKind::Begin,
            opening: self.last.unwrap_or(Seen {
                time: self.armed,
                position: 0,
                at: self.armed,
            }),
            deadline: Some(self.deadline),
            late: false,
            count: u64::from(self.last.is_some()),
            event: self.last.map(|seen| seen.position),
            events,
            closing: None,
        }
    }

    pub(super) fn expires(&self, forget: Micros) -> Option<Micros> {
        Some(self.fired?.saturating_add(forget))
    }

    /// The last event, or when the wait began if there was none.
    pub(super) fn opened(&self) -> (Seen, u64) {
        let armed = Seen {
            time: self.armed,
            position: 0,
            at: self.armed,
        };
        (self.last.unwrap_or(armed), u64::from(self.last.is_some()))
    }

    pub(super) fn is_pending(&self) -> bool {
        self.fired.is_none()
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        positions.extend(self.last.map(|seen| seen.position));
    }
}
