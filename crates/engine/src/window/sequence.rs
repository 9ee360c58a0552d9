//! `followed_by`: events in an order.

use serde::{Deserialize, Serialize};

use super::{Arrival, Firing, Micros, Roles, Seen, Step};

/// `followed_by`. The event that opens a match has the role of an opening event, and those that
/// follow the roles of the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// For each step the time since the one before, ends included.
    pub(crate) within: Vec<Micros>,
}

/// The events of a key that may still be part of a match, from which the partial matches follow.
// The events and not the partial matches: with an event that is late, it is as if it had come in
// its place, and what came after it is read again. A key has one or two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SequenceState {
    /// In order.
    #[serde(rename = "e")]
    events: Vec<StepEvent>,
    /// The last event that a match has used. Events up to it are not used again.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    used: Option<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Seen, Roles)", into = "(Seen, Roles)")]
struct StepEvent {
    seen: Seen,
    roles: Roles,
}

/// The partial matches of a key: for each step the most recent one, as positions in the events.
type Partial = Vec<Option<Vec<usize>>>;

/// Events of one role that are remembered beside those of partial matches: the newest. An event
/// that is so late that as many of its role came before it may miss its match.
pub(super) const MAX_REMEMBERED: usize = 32;

impl From<(Seen, Roles)> for StepEvent {
    fn from((seen, roles): (Seen, Roles)) -> Self {
        Self { seen, roles }
    }
}

impl From<StepEvent> for (Seen, Roles) {
    fn from(event: StepEvent) -> Self {
        (event.seen, event.roles)
    }
}

impl Sequence {
    pub(super) fn apply(
        &self,
        mut state: SequenceState,
        arrival: &Arrival<'_>,
        grace: Micros,
    ) -> (Option<SequenceState>, Step, Option<Firing>) {
        self.forget(&mut state, arrival.seen.at, grace);
        let seen = arrival.seen;
        let (step, firing) = if state.used.is_some_and(|used| !seen.is_after(&used)) {
            (Step::Ignored, None)
        } else {
            let before = self.partial(&state.events).0;
            let event = StepEvent {
                seen,
                roles: arrival.roles,
            };
            let at = state
                .events
                .partition_point(|other| seen.is_after(&other.seen));
            state.events.insert(at, event);
            let (partial, complete) = self.partial(&state.events);
            let step = step(&before, &partial, complete.is_some());
            let firing = complete.map(|complete| {
                let seen = complete.iter().map(|at| state.events[*at].seen);
                let seen: Vec<Seen> = seen.collect();
                state.used = seen.last().copied();
                let last = complete.last().copied().unwrap_or_default();
                state.events.drain(..=last);
                Firing::complete(&seen, seen[0], grace)
            });
            (step, firing)
        };
        self.forget(&mut state, seen.at, grace);
        let is_kept = !state.events.is_empty() || state.used.is_some();
        (is_kept.then_some(state), step, firing)
    }

    pub(super) fn expires(&self, state: &SequenceState, grace: Micros) -> Micros {
        let events = state.events.iter().map(|event| event.seen);
        let last = events.chain(state.used).map(|seen| seen.at).max();
        last.map_or(Micros::MIN, |at| self.forgotten_at(at, grace))
    }

    pub(super) fn is_pending(&self, state: &SequenceState) -> bool {
        self.partial(&state.events).0.iter().any(Option::is_some)
    }

    /// From when on an event that was applied `at` is not remembered.
    /// The first event of the longest partial match, and how many there are.
    pub(super) fn longest(&self, state: &SequenceState) -> Option<(Seen, u64)> {
        let partial = self.partial(&state.events).0;
        let longest = partial
            .iter()
            .flatten()
            .max_by_key(|partial| partial.len())?;
        let first = state.events.get(*longest.first()?)?;
        Some((first.seen, u64::try_from(longest.len()).unwrap_or(u64::MAX)))
    }

    fn forgotten_at(&self, at: Micros, grace: Micros) -> Micros {
        let within = self.within.iter().copied().max().unwrap_or(0);
        // 1 more, as the ends of a time are part of it.
        at.saturating_add(within)
            .saturating_add(grace)
            .saturating_add(1)
    }

    /// Drops the events that cannot be part of a match any more.
    fn forget(&self, state: &mut SequenceState, at: Micros, grace: Micros) {
        let partial = self.partial(&state.events).0;
        let is_forgotten = |seen: &Seen| self.forgotten_at(seen.at, grace) <= at;
        // Events of a partial match are kept as long as its last one.
        let mut kept = vec![false; state.events.len()];
        for partial in partial.iter().flatten() {
            let last = partial.last().map(|last| state.events[*last].seen);
            if last.is_some_and(|last| !is_forgotten(&last)) {
                for at in partial {
                    kept[*at] = true;
                }
            }
        }
        let mut remembered = [0; Roles::MAX_STEPS + 2];
        for (at, event) in state.events.iter().enumerate().rev() {
            let count = &mut remembered[event.roles.highest()];
            if !kept[at] && !is_forgotten(&event.seen) && *count < MAX_REMEMBERED {
                *count += 1;
                kept[at] = true;
            }
        }
        let mut kept = kept.into_iter();
        state.events.retain(|_| kept.next().unwrap_or(false));
        state.used = state.used.filter(|used| !is_forgotten(used));
    }

    /// The partial matches of events in order, and the first complete one.
    fn partial(&self, events: &[StepEvent]) -> (Partial, Option<Vec<usize>>) {
        let last = self.within.len();
        let mut partial: Partial = vec![None; last];
        for (at, event) in events.iter().enumerate() {
            if event.roles.has(Roles::UNTIL) {
                partial.fill(None);
            }
            // From the last step to the first: an event that continues a match and opens another
            // must not continue the one that it opens.
            for step in (0..last).rev() {
                if !event.roles.has(Roles::step(step)) {
                    continue;
                }
                let Some(before) = &partial[step] else {
                    continue;
                };
                let previous = before.last().map(|previous| events[*previous].seen.time);
                let within = self.within[step];
                if previous.is_none_or(|previous| event.seen.time - previous > within) {
                    continue;
                }
                let mut longer = partial[step].take().unwrap_or_default();
                longer.push(at);
                if step + 1 == last {
                    return (partial, Some(longer));
                }
                partial[step + 1] = Some(longer);
            }
            if event.roles.has(Roles::OPENING) {
                partial[0] = Some(vec![at]);
            }
        }
        (partial, None)
    }
}

impl SequenceState {
    /// The first event, which may only be remembered, and how many there are.
    pub(super) fn first(&self) -> Option<(Seen, u64)> {
        let count = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        Some((self.events.first()?.seen, count))
    }

    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    pub(super) fn positions(&self, positions: &mut Vec<u64>) {
        positions.extend(self.events.iter().map(|event| event.seen.position));
    }
}

impl Roles {
    /// The highest of the roles, from 0.
    fn highest(self) -> usize {
        if self.has(Self::UNTIL) {
            return Self::MAX_STEPS + 1;
        }
        let step = (0..Self::MAX_STEPS)
            .rev()
            .find(|step| self.has(Self::step(*step)));
        step.map_or(0, |step| step + 1)
    }
}

/// What became of an event that made one set of partial matches into the other.
fn step(before: &Partial, after: &Partial, is_complete: bool) -> Step {
    let count = |partial: &Partial| partial.iter().flatten().count();
    let length = |partial: &Partial| partial.iter().flatten().map(Vec::len).sum::<usize>();
    if is_complete || length(after) > length(before) && count(before) > 0 {
        Step::Added
    } else if count(after) > count(before) {
        Step::Opened
    } else if count(after) < count(before) {
        Step::Closed
    } else if before == after {
        Step::Remembered
    } else {
        Step::Added
    }
}
