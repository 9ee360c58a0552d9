//! Time windows: what a rule keeps of the events of one key, and when it reacts.
//!
//! Everything here is data in, data out. The state of a key goes in with an event or a time, and
//! the new state comes out with what is to run. Nothing here knows rules, scripts or stores.

mod absence;
mod batch;
mod count;
mod description;
mod firing;
mod key_state;
#[cfg(any(test, fuzzing))]
pub(crate) mod naive;
mod seen;
mod sequence;
mod silence;
#[cfg(test)]
mod tests;

pub(crate) use self::absence::Absence;
pub(crate) use self::batch::Batch;
pub(crate) use self::count::{Count, Span};
pub(crate) use self::description::Description;
pub(crate) use self::firing::{Ending, Firing, FiringKind};
pub(crate) use self::key_state::{Fired, KeyState, Progress};
pub(crate) use self::seen::{Roles, Seen};
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

/// An event that is applied to the state of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) seen: Seen,
    pub(crate) roles: Roles,
    /// The time that the event itself has, which is no time of this clock.
    pub(crate) own_time: Option<Micros>,
    /// The value of `distinct`.
    pub(crate) value: Option<&'a str>,
    /// The size of the event.
    pub(crate) bytes: usize,
    /// The number of `emit`s that led to it.
    pub(crate) hop: u64,
}

impl Arrival<'_> {
    /// The event on a clock that was set by `shift` since.
    fn shifted(&self, shift: Micros) -> Self {
        let at = self.seen.at.saturating_sub(shift);
        let time = self.own_time.map_or(at, |time| time.min(at));
        let seen = Seen {
            time,
            at,
            ..self.seen
        };
        Self { seen, ..*self }
    }
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

impl Window {
    /// Applies an event to the state of its key. Deadlines up to the time of the event must have
    /// fired before: see [`Window::fire`].
    pub(crate) fn apply(&self, state: &mut KeyState, arrival: &Arrival<'_>) -> Applied {
        if !state.has_times() {
            state.shift = 0;
        }
        self.forget_expired(state, arrival.seen.at);
        let arrival = &arrival.shifted(state.shift);
        let resolved = self.resolve(state, arrival);
        let progress = std::mem::take(&mut state.progress);
        let (progress, step, begun) = self.advance(progress, arrival);
        state.progress = progress;
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
        if let Shape::Silence(silence) = &self.shape
            && !matches!(state.progress, Progress::Silence(_))
        {
            state.progress = Progress::Silence(silence.armed(at));
        }
    }

    /// When the key has to be looked at next, by [`Window::fire`]. `newest_late` is when the
    /// newest late event of the rule was applied.
    pub(crate) fn due(&self, state: &KeyState, newest_late: Option<Micros>) -> Option<Micros> {
        let shift = state.shift;
        let progress = match (&self.shape, &state.progress) {
            (Shape::Absence(absence), Progress::Absence(progress)) => {
                let newest_late = newest_late.map(|at| at.saturating_sub(shift));
                absence.due(progress, self.grace, self.settle, newest_late)
            }
            (Shape::Silence(_), Progress::Silence(progress)) => progress.due(self.grace),
            (Shape::Batch(batch), Progress::Batch(progress)) => Some(batch.due(progress)),
            _ => None,
        };
        let not_before = state.not_before.unwrap_or(Micros::MIN);
        let moved = |due: Micros| due.saturating_add(shift);
        let progress = progress.map(|due| moved(due).max(not_before));
        let retry = state.retry.as_ref();
        let retry = retry.map(|retry| moved(retry.at.saturating_add(1)).max(not_before));
        let quiet = state.fired.as_ref().and_then(|fired| fired.until);
        let quiet = quiet.map(|until| moved(until).max(not_before));
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
        let not_before = state.not_before.unwrap_or(Micros::MIN);
        let not_before = not_before.saturating_sub(state.shift);
        let now = now.saturating_sub(state.shift);
        if let Some(retry) = &state.retry
            && retry.at.saturating_add(1).max(not_before) <= now
        {
            return Some(retry.firing.clone());
        }
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
                let firing = batch.fire(progress);
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
        let at = at.saturating_sub(state.shift);
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
        Some(progress.max(fired).saturating_add(state.shift))
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

    /// The progress with an event, what became of the event, and what it completed. Progress of
    /// another shape is of another window, and counts for nothing.
    fn advance(
        &self,
        progress: Progress,
        arrival: &Arrival<'_>,
    ) -> (Progress, Step, Option<Firing>) {
        let grace = self.grace;
        match &self.shape {
            Shape::Count(_) if !arrival.roles.has(Roles::OPENING) => {
                (progress, Step::Ignored, None)
            }
            Shape::Count(count) => match (count.span, progress) {
                (Span::Within(_), progress) => {
                    let state = match progress {
                        Progress::Count(state) => state,
                        _ => count::CountState::default(),
                    };
                    let (state, step, firing) = count.apply(state, arrival, grace);
                    (Progress::Count(state), step, firing)
                }
                (Span::Every(_), progress) => {
                    let state = match progress {
                        Progress::Windows(state) => state,
                        _ => count::WindowsState::default(),
                    };
                    let (state, step, firing) = count.apply_aligned(state, arrival, grace);
                    (Progress::Windows(state), step, firing)
                }
            },
            Shape::Sequence(sequence) => {
                let state = match progress {
                    Progress::Sequence(state) => state,
                    _ => sequence::SequenceState::default(),
                };
                let (state, step, firing) = sequence.apply(state, arrival, grace);
                (
                    state.map_or(Progress::Idle, Progress::Sequence),
                    step,
                    firing,
                )
            }
            Shape::Absence(absence) => {
                let state = match progress {
                    Progress::Absence(state) => state,
                    _ => absence::AbsenceState::default(),
                };
                let (state, step) = absence.apply(state, arrival, grace);
                (state.map_or(Progress::Idle, Progress::Absence), step, None)
            }
            Shape::Silence(silence) => {
                let state = match &progress {
                    Progress::Silence(state) => Some(state),
                    _ => None,
                };
                let (state, step) = silence.apply(state, arrival);
                (Progress::Silence(state), step, None)
            }
            Shape::Batch(batch) => {
                let state = match progress {
                    Progress::Batch(state) => Some(state),
                    _ => None,
                };
                let (state, step, firing) = batch.apply(state, arrival, grace);
                (state.map_or(Progress::Idle, Progress::Batch), step, firing)
            }
        }
    }

    /// Whether an event with these roles is kept beside those of its key. One that only ends a wait
    /// is not, and one that also does must count in any case.
    pub(crate) fn keeps(&self, roles: Roles, had_match: bool) -> bool {
        match &self.shape {
            Shape::Count(_) | Shape::Batch(_) => true,
            Shape::Sequence(_) => !roles.has(Roles::UNTIL),
            Shape::Absence(_) => roles.has(Roles::OPENING) && !roles.has(Roles::step(0)),
            // The last event takes the place of the one before.
            Shape::Silence(_) => !had_match,
        }
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
        state.not_before = state.not_before.filter(|not_before| *not_before > at);
        let at = at.saturating_sub(state.shift);
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
