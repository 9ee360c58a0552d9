//! `count`: so many events in a time.

use serde::{Deserialize, Serialize};

use super::{Arrival, Firing, Micros, Seen, Step};

/// `count = { at_least, within or every, distinct, quiet }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// At least 1.
    pub(crate) at_least: usize,
    pub(crate) span: Span,
    /// After how long without an event a match that has fired is resolved.
    pub(crate) quiet: Option<Micros>,
}

/// In which time events count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// `within`: any time of this length, both ends included.
    Within(Micros),
    /// `every`: each of the times of this length that follow each other since 1970-01-01T00:00Z.
    Every(Micros),
}

/// An event that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Seen, Option<String>)", into = "(Seen, Option<String>)")]
struct Counted {
    seen: Seen,
    /// Its value of `distinct`.
    value: Option<String>,
}

/// The progress of `within`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountState {
    /// The newest events that no match has used, in order; at most `at_least`.
    #[serde(rename = "c")]
    counted: Vec<Counted>,
    /// The last event that a match has used. Events up to it are not used again.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    used: Option<Seen>,
    /// When an event was last added or used.
    #[serde(rename = "a")]
    last_at: Micros,
}

/// The progress of `every`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowsState {
    /// The newest windows by their start, at most [`MAX_WINDOWS`].
    #[serde(rename = "w")]
    windows: Vec<AlignedWindow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AlignedWindow {
    #[serde(rename = "s")]
    start: Micros,
    /// In order; none once it has fired.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    counted: Vec<Counted>,
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    fired: bool,
    /// When an event of it was last applied.
    #[serde(rename = "a")]
    last_at: Micros,
}

/// Aligned windows that are open for late events: the newest one, and the one before.
const MAX_WINDOWS: usize = 2;

impl From<(Seen, Option<String>)> for Counted {
    fn from((seen, value): (Seen, Option<String>)) -> Self {
        Self { seen, value }
    }
}

impl From<Counted> for (Seen, Option<String>) {
    fn from(counted: Counted) -> Self {
        (counted.seen, counted.value)
    }
}

impl Counted {
    fn of(arrival: &Arrival<'_>) -> Self {
        Self {
            seen: arrival.seen,
            value: arrival.value.map(str::to_owned),
        }
    }

    /// The match of events in order, at least one. Its `event` is the last.
    fn complete(events: &[Self], grace: Micros) -> Firing {
        let seen: Vec<Seen> = events.iter().map(|counted| counted.seen).collect();
        Firing::complete(&seen, seen[seen.len() - 1], grace)
    }
}

impl Count {
    /// Applies an event where the times slide.
    pub(super) fn apply(
        &self,
        mut state: CountState,
        arrival: &Arrival<'_>,
        grace: Micros,
    ) -> (CountState, Step, Option<Firing>) {
        let (Span::Within(within) | Span::Every(within)) = self.span;
        if arrival.seen.at >= self.expires(&state, grace) {
            state = CountState::default();
        }
        let (step, firing) = self.add(&mut state, Counted::of(arrival), within, grace);
        (state, step, firing)
    }

    /// Applies an event where the times are aligned.
    pub(super) fn apply_aligned(
        &self,
        mut state: WindowsState,
        arrival: &Arrival<'_>,
        grace: Micros,
    ) -> (WindowsState, Step, Option<Firing>) {
        let (Span::Within(every) | Span::Every(every)) = self.span;
        let (step, firing) = self.add_aligned(&mut state, Counted::of(arrival), every, grace);
        (state, step, firing)
    }

    pub(super) fn expires(&self, state: &CountState, grace: Micros) -> Micros {
        let (Span::Within(length) | Span::Every(length)) = self.span;
        // 1 more, as the ends of a time are part of it.
        let kept = length.saturating_add(grace).saturating_add(1);
        if state.counted.is_empty() && state.used.is_none() {
            return Micros::MAX;
        }
        state.last_at.saturating_add(kept)
    }

    pub(super) fn windows_expire(&self, state: &WindowsState, grace: Micros) -> Micros {
        let (Span::Within(every) | Span::Every(every)) = self.span;
        let ends = state.windows.iter().map(|window| {
            let end = window.start.saturating_add(every);
            // One window more, so that copies of its events that are late start no new one.
            let kept = every.saturating_add(grace).saturating_add(1);
            end.max(window.last_at).saturating_add(kept)
        });
        ends.max().unwrap_or(Micros::MIN)
    }

    /// Adds an event to those of a sliding time.
    fn add(
        &self,
        state: &mut CountState,
        new: Counted,
        within: Micros,
        grace: Micros,
    ) -> (Step, Option<Firing>) {
        let seen = new.seen;
        if state.used.is_some_and(|used| !seen.is_after(&used)) {
            return (Step::Ignored, None);
        }
        let step = if state.counted.is_empty() {
            Step::Opened
        } else {
            Step::Added
        };
        // Of each value its newest event counts.
        if new.value.is_some()
            && let Some(same) = state
                .counted
                .iter()
                .position(|other| other.value == new.value)
        {
            if state.counted[same].seen.is_after(&seen) {
                return (Step::Ignored, None);
            }
            state.counted.remove(same);
        }
        state.last_at = state.last_at.max(seen.at);
        let at = state
            .counted
            .partition_point(|other| seen.is_after(&other.seen));
        state.counted.insert(at, new);
        // In order, the new event is the last one and only one group ends with it. A late event is
        // in the middle, and may complete any group that it is in. Example of 3 within 10: 0, 5 and
        // 15 are known, and 4 comes late; 0, 4, 5 is a group.
        let group = self.at_least;
        let first = (at + 1).saturating_sub(group);
        let found = (first..=at).find(|start| {
            let end = start + group - 1;
            let last = state.counted.get(end);
            last.is_some_and(|last| last.seen.time - state.counted[*start].seen.time <= within)
        });
        let Some(start) = found else {
            if state.counted.len() > self.at_least {
                state.counted.remove(0);
            }
            return (step, None);
        };
        let last = start + group - 1;
        let firing = Counted::complete(&state.counted[start..=last], grace);
        state.used = Some(state.counted[last].seen);
        state.counted.drain(..=last);
        (step, Some(firing))
    }

    /// Adds an event to those of its aligned window.
    fn add_aligned(
        &self,
        state: &mut WindowsState,
        new: Counted,
        every: Micros,
        grace: Micros,
    ) -> (Step, Option<Firing>) {
        let seen = new.seen;
        let expired = |window: &AlignedWindow| {
            let of_one = WindowsState {
                windows: vec![window.clone()],
            };
            self.windows_expire(&of_one, grace) <= seen.at
        };
        state.windows.retain(|window| !expired(window));
        let start = seen.time.div_euclid(every).saturating_mul(every);
        let at = state.windows.partition_point(|window| window.start < start);
        if state
            .windows
            .get(at)
            .is_none_or(|window| window.start != start)
        {
            if at == 0 && state.windows.len() >= MAX_WINDOWS {
                return (Step::Ignored, None);
            }
            let window = AlignedWindow {
                start,
                counted: Vec::new(),
                fired: false,
                last_at: seen.at,
            };
            state.windows.insert(at, window);
            if state.windows.len() > MAX_WINDOWS {
                state.windows.remove(0);
            }
        }
        let window = state
            .windows
            .iter_mut()
            .find(|window| window.start == start);
        let Some(window) = window else {
            return (Step::Ignored, None);
        };
        window.last_at = window.last_at.max(seen.at);
        let is_known = |other: &Counted| new.value.is_some() && other.value == new.value;
        if window.fired || window.counted.iter().any(is_known) {
            return (Step::Ignored, None);
        }
        let step = if window.counted.is_empty() {
            Step::Opened
        } else {
            Step::Added
        };
        let at = window
            .counted
            .partition_point(|other| seen.is_after(&other.seen));
        window.counted.insert(at, new);
        if window.counted.len() < self.at_least {
            return (step, None);
        }
        window.fired = true;
        let firing = Counted::complete(&std::mem::take(&mut window.counted), grace);
        (step, Some(firing))
    }
}

impl CountState {
    /// The first event that is counted, and how many there are.
    pub(super) fn counted(&self) -> Option<(Seen, u64)> {
        first_and_count(&self.counted)
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.counted.is_empty()
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        add_positions(&self.counted, positions);
    }
}

impl WindowsState {
    /// The same of the earliest window that has any.
    pub(super) fn counted(&self) -> Option<(Seen, u64)> {
        let mut windows = self.windows.iter();
        windows.find_map(|window| first_and_count(&window.counted))
    }

    pub(super) fn is_pending(&self) -> bool {
        self.windows.iter().any(|window| !window.counted.is_empty())
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        for window in &self.windows {
            add_positions(&window.counted, positions);
        }
    }
}

/// Adds the positions that scripts may see: those of the first events and the last.
fn first_and_count(counted: &[Counted]) -> Option<(Seen, u64)> {
    let count = u64::try_from(counted.len()).unwrap_or(u64::MAX);
    Some((counted.first()?.seen, count))
}

fn add_positions(counted: &[Counted], positions: &mut Vec<u64>) {
    // All of them: which ones are the first of a match is known when it fires.
    positions.extend(counted.iter().map(|counted| counted.seen.position));
}
