//! Time windows: what a rule keeps of the events of one key, and when it reacts.
//!
//! Everything here is data in, data out. The state of a key goes in with an event or a time, and
//! the new state comes out with what is to run. Nothing here knows rules, scripts or stores.

mod absence;
mod batch;
mod count;
#[cfg(any(test, fuzzing))]
pub(crate) mod naive;
mod sequence;
mod silence;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::absence::Absence;
pub(crate) use self::batch::Batch;
pub(crate) use self::count::{Count, Span};
pub(crate) use self::sequence::Sequence;
pub(crate) use self::silence::Silence;

/// Microseconds, since 1970-01-01T00:00:00Z where it is a time.
// Not `Timestamp`: states are stored by the million, and an integer is their shortest form. A
// microsecond is finer than any clock that events are stamped with.
pub(crate) type Micros = i64;

/// The number of events of a match whose positions are kept: `events` of a script.
pub(crate) const MAX_EVENTS: usize = 100;

/// A window of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) shape: Shape,
    /// How long to wait for events that are late.
    pub(crate) grace: Micros,
    /// What replaces `grace` where the opening event itself was late.
    pub(crate) settle: Micros,
    /// How long a match that has fired waits for the event that resolves it.
    pub(crate) forget: Micros,
    /// Whether the rule reacts to the end of a match that has fired.
    pub(crate) resolves: bool,
}

/// The kind of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `count`
    Count(Count),
    /// `followed_by`
    Sequence(Sequence),
    /// `not_followed_by`
    Absence(Absence),
    /// `absent_for`
    Silence(Silence),
    /// `batch`
    Batch(Batch),
}

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

/// An event that is applied to the state of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) seen: Seen,
    pub(crate) roles: Roles,
    /// The value of `distinct`.
    pub(crate) value: Option<&'a str>,
    /// The size of the event.
    pub(crate) bytes: usize,
    /// The number of `emit`s that led to it.
    pub(crate) hop: u64,
}

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
    #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
    pub(crate) hop: u64,
    /// No deadline ends before this: after a restart, the repeats of senders come first.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Micros>,
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

/// A reaction that is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Firing {
    /// Whether the match begins to fire or is resolved.
    #[serde(rename = "k", default, skip_serializing_if = "is_begin")]
    pub(crate) kind: FiringKind,
    /// The opening event.
    #[serde(rename = "o")]
    pub(crate) opening: Seen,
    /// The end of the time that was waited; none where an event completed the match.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Micros>,
    /// Whether one of its events came later than `grace` allows.
    #[serde(rename = "l", default, skip_serializing_if = "is_false")]
    pub(crate) late: bool,
    /// The number of events of the match.
    #[serde(rename = "n")]
    pub(crate) count: u64,
    /// The position of `event` of a script; none where no event has come.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<u64>,
    /// The positions of the first events of the match.
    #[serde(rename = "p")]
    pub(crate) events: Vec<u64>,
    /// The position of the event that resolved it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) closing: Option<u64>,
}

/// The script that a firing runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FiringKind {
    /// `then` or `notify`.
    #[default]
    Begin,
    /// `resolved`.
    Resolve,
}

/// How the reaction of a firing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ran to its end.
    Completed,
    /// `once` or `throttle` held it back.
    Suppressed,
    /// It failed.
    Failed,
}

/// What became of an event, for notes and traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It opened a match.
    Opened,
    /// It was added to one.
    Added,
    /// It ended one that had not fired.
    Closed,
    /// It changed nothing now, and is remembered for events that are late.
    Remembered,
    /// It came too late, or again, and changed nothing.
    Ignored,
}

/// The result of applying an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) step: Step,
    pub(crate) firing: Option<Firing>,
}

impl Seen {
    /// Whether it was applied more than `grace` after its own time.
    pub(crate) fn is_late(&self, grace: Micros) -> bool {
        self.at.saturating_sub(self.time) > grace
    }

    fn order(&self) -> (Micros, u64) {
        (self.time, self.position)
    }

    /// Whether it is after `other` in the order of events.
    fn is_after(&self, other: &Self) -> bool {
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

impl Window {
    /// Applies an event to the state of its key. Deadlines up to the time of the event must have
    /// fired before: see [`Window::fire`].
    pub(crate) fn apply(&self, state: &mut KeyState, arrival: &Arrival<'_>) -> Applied {
        let at = arrival.seen.at;
        self.forget_expired(state, at);
        let resolved = self.resolve(state, arrival);
        let (step, begun) = match &self.shape {
            Shape::Count(count) => count.apply(&mut state.progress, arrival, self.grace),
            Shape::Sequence(sequence) => sequence.apply(&mut state.progress, arrival, self.grace),
            Shape::Absence(absence) => absence.apply(&mut state.progress, arrival, self.grace),
            Shape::Silence(silence) => silence.apply(&mut state.progress, arrival),
            Shape::Batch(batch) => batch.apply(&mut state.progress, arrival, self.grace),
        };
        // A new match has no part in what led to those before it.
        let is_new = step == Step::Opened || matches!(self.shape, Shape::Silence(_));
        state.hop = if is_new {
            arrival.hop
        } else {
            state.hop.max(arrival.hop)
        };
        // Never both: what an event resolves begins again with a deadline, if at all.
        let firing = resolved.or(begun);
        Applied { step, firing }
    }

    /// Whether it waits for events although none has come.
    pub(crate) fn begins_without_event(&self) -> bool {
        matches!(self.shape, Shape::Silence(_))
    }

    /// Arms a window that waits for events although none has come.
    pub(crate) fn arm(&self, state: &mut KeyState, at: Micros) {
        if let Shape::Silence(silence) = &self.shape {
            silence.arm(&mut state.progress, at);
        }
    }

    /// When the key has to be looked at next, by [`Window::fire`]. `newest_late` is when the
    /// newest late event of the rule was applied.
    pub(crate) fn due(&self, state: &KeyState, newest_late: Option<Micros>) -> Option<Micros> {
        let progress = match (&self.shape, &state.progress) {
            (Shape::Absence(absence), Progress::Absence(progress)) => {
                absence.due(progress, self.grace, self.settle, newest_late)
            }
            (Shape::Silence(_), Progress::Silence(progress)) => progress.due(self.grace),
            (Shape::Batch(batch), Progress::Batch(progress)) => Some(batch.due(progress)),
            _ => None,
        };
        let not_before = state.not_before.unwrap_or(Micros::MIN);
        let progress = progress.map(|due| due.max(not_before));
        let retry = state.retry.as_ref().map(|retry| retry.at.saturating_add(1));
        let quiet = state.fired.as_ref().and_then(|fired| fired.until);
        let quiet = quiet.map(|until| until.max(not_before));
        [progress, retry, quiet].into_iter().flatten().min()
    }

    /// What is to run because its time has come; `None` if that is not yet so. `now` is the
    /// deadline or later.
    pub(crate) fn fire(
        &self,
        state: &mut KeyState,
        now: Micros,
        newest_late: Option<Micros>,
    ) -> Option<Firing> {
        if self.due(state, newest_late)? > now {
            return None;
        }
        if let Some(retry) = &state.retry
            && retry.at.saturating_add(1) <= now
        {
            return Some(retry.firing.clone());
        }
        let not_before = state.not_before.unwrap_or(Micros::MIN);
        if let Some(fired) = &state.fired
            && fired
                .until
                .is_some_and(|until| until.max(not_before) <= now)
        {
            let fired = state.fired.take()?;
            return Some(Firing {
                kind: FiringKind::Resolve,
                deadline: fired.until,
                ..fired.firing
            });
        }
        match (&self.shape, &mut state.progress) {
            (Shape::Absence(absence), Progress::Absence(progress)) => {
                absence.fire(progress, self.grace)
            }
            (Shape::Silence(_), Progress::Silence(progress)) => Some(progress.fire(now)),
            (Shape::Batch(batch), Progress::Batch(progress)) => {
                let firing = batch.fire(progress, self.grace);
                state.progress = Progress::Idle;
                Some(firing)
            }
            _ => None,
        }
    }

    /// Records how the reaction of a firing at `at` ended.
    pub(crate) fn end(&self, state: &mut KeyState, firing: &Firing, ending: Ending, at: Micros) {
        if firing.kind == FiringKind::Resolve {
            return;
        }
        let was_retry = state
            .retry
            .take()
            .is_some_and(|retry| retry.firing == *firing);
        let fired = |until| Fired {
            firing: firing.clone(),
            at,
            until,
        };
        match ending {
            Ending::Completed if self.resolves => {
                let quiet = match &self.shape {
                    Shape::Count(count) => count.quiet,
                    _ => None,
                };
                state.fired = Some(fired(quiet.map(|quiet| at.saturating_add(quiet))));
            }
            // Once: a script that fails again would fail for ever.
            Ending::Failed if !was_retry => state.retry = Some(fired(None)),
            Ending::Completed | Ending::Suppressed | Ending::Failed => {}
        }
    }

    /// When the state of a key is worth nothing any more; `None` while it waits for something.
    pub(crate) fn expires(&self, state: &KeyState) -> Option<Micros> {
        if state.retry.is_some() {
            return None;
        }
        let progress = match (&self.shape, &state.progress) {
            (_, Progress::Idle) => Micros::MIN,
            (Shape::Count(count), Progress::Count(progress)) => count.expires(progress, self.grace),
            (Shape::Count(count), Progress::Windows(progress)) => {
                count.windows_expire(progress, self.grace)
            }
            (Shape::Sequence(sequence), Progress::Sequence(progress)) => {
                sequence.expires(progress, self.grace)
            }
            (Shape::Absence(absence), Progress::Absence(progress)) => {
                absence.expires(progress, self.grace)?
            }
            (Shape::Silence(_), Progress::Silence(progress)) => progress.expires(self.forget)?,
            // A batch waits; and a progress of another shape is of another window.
            _ => return None,
        };
        let fired = match &state.fired {
            Some(Fired { until: Some(_), .. }) => return None,
            Some(fired) => fired.at.saturating_add(self.forget),
            None => Micros::MIN,
        };
        Some(progress.max(fired))
    }

    /// Whether the key waits for something to happen or not to happen. Keys that do not are kept
    /// for events that are late, or to be resolved.
    pub(crate) fn is_pending(&self, state: &KeyState) -> bool {
        state.retry.is_some()
            || match &state.progress {
                Progress::Idle => false,
                Progress::Count(progress) => progress.is_pending(),
                Progress::Windows(progress) => progress.is_pending(),
                Progress::Sequence(progress) => match &self.shape {
                    Shape::Sequence(sequence) => sequence.is_pending(progress),
                    _ => false,
                },
                Progress::Absence(progress) => progress.is_pending(),
                Progress::Silence(progress) => progress.is_pending(),
                Progress::Batch(_) => true,
            }
    }

    /// The positions of events that the state refers to, ascending, each once.
    pub(crate) fn positions(state: &KeyState) -> Vec<u64> {
        let mut positions = Vec::new();
        match &state.progress {
            Progress::Idle => {}
            Progress::Count(progress) => progress.positions(&mut positions),
            Progress::Windows(progress) => progress.positions(&mut positions),
            Progress::Sequence(progress) => progress.positions(&mut positions),
            Progress::Absence(progress) => progress.positions(&mut positions),
            Progress::Silence(progress) => progress.positions(&mut positions),
            Progress::Batch(progress) => progress.positions(&mut positions),
        }
        for fired in [&state.fired, &state.retry].into_iter().flatten() {
            positions.extend(&fired.firing.events);
            positions.extend(fired.firing.event);
        }
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// The end of a match that has fired, if the event is what it waits for.
    fn resolve(&self, state: &mut KeyState, arrival: &Arrival<'_>) -> Option<Firing> {
        let fired = state.fired.as_mut()?;
        match &self.shape {
            Shape::Absence(_) => {
                let closes = arrival.roles.has(Roles::step(0));
                // An event from before the opening one says nothing about it.
                if !closes || !arrival.seen.is_after(&fired.firing.opening) {
                    return None;
                }
            }
            Shape::Silence(_) => {}
            // Not by an event but by its absence: every event puts that off.
            Shape::Count(count) => {
                if arrival.roles.has(Roles::OPENING) {
                    let until = count
                        .quiet
                        .map(|quiet| arrival.seen.at.saturating_add(quiet));
                    fired.until = fired.until.max(until);
                }
                return None;
            }
            Shape::Sequence(_) | Shape::Batch(_) => return None,
        }
        let fired = state.fired.take()?;
        Some(Firing {
            kind: FiringKind::Resolve,
            closing: Some(arrival.seen.position),
            ..fired.firing
        })
    }

    /// Drops what the state remembers no longer at `at`.
    fn forget_expired(&self, state: &mut KeyState, at: Micros) {
        let is_over =
            |fired: &Fired| fired.until.is_none() && fired.at.saturating_add(self.forget) <= at;
        if state.fired.as_ref().is_some_and(is_over) {
            state.fired = None;
        }
    }
}

/// Adds a position to those that are kept of a match.
fn keep_position(positions: &mut Vec<u64>, position: u64) {
    if positions.len() < MAX_EVENTS {
        positions.push(position);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_begin(kind: &FiringKind) -> bool {
    *kind == FiringKind::Begin
}
