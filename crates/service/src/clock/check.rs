//! The decision whether a wall clock has jumped, without clocks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::record::ClockRecord;

/// A jump by more than this is suspected.
// Time zones and summer time do not change the wall clock; corrections of a running NTP client are
// far smaller. Deadlines of minutes must not end because of a jump, so that an hour is too much.
const LIMIT: SignedDuration = SignedDuration::from_mins(1);
/// A jump that lasts this long is accepted.
const PERIOD: Duration = Duration::from_secs(10 * 60);
/// Time before a start in which the machine seems to have been off; more than this is suspected.
const MAX_DOWNTIME: SignedDuration = SignedDuration::from_hours(1);

/// A jump that is neither over nor accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SuspectedJump {
    /// How far the wall clock is ahead.
    pub(crate) offset: SignedDuration,
    /// When it is accepted if it lasts, on the clock of [`Reading::elapsed`].
    until: Duration,
    /// It is accepted, and becomes the time with [`ClockCheck::adopt`].
    is_accepted: bool,
}

/// Two clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) wall: Timestamp,
    /// Since the boot, suspended time included: a machine that slept for a day has not jumped.
    pub(super) elapsed: Duration,
}

/// What is known of both clocks.
#[derive(Debug, Clone)]
pub(super) struct ClockCheck {
    /// The last reading at which the wall clock was trusted.
    anchor: Reading,
    jump: Option<SuspectedJump>,
    /// Hours before the start in which the machine was off, unless they are a jump.
    downtime: Option<SuspectedJump>,
}

impl SuspectedJump {
    /// A sentence for operators.
    pub(crate) fn message(&self) -> String {
        let direction = if self.offset.is_negative() {
            "behind"
        } else {
            "ahead of"
        };
        format!(
            "the wall clock is {:#} {direction} the time that is expected; deadlines go on \
             by the time before, and nothing is dropped or pruned because of its age, until this has \
             lasted {:#} or is accepted",
            SignedDuration::from_secs(self.offset.as_secs().saturating_abs()),
            SignedDuration::try_from(PERIOD).unwrap_or(SignedDuration::MAX)
        )
    }
}

impl ClockCheck {
    /// Trusts a reading.
    pub(super) fn new(anchor: Reading) -> Self {
        Self {
            anchor,
            jump: None,
            downtime: None,
        }
    }

    /// The check of a process that starts. `last` is the record of the process before it, `boot`
    /// the boot now, `newest` the time of the newest event in the store.
    ///
    /// | what is known | then |
    /// |---|---|
    /// | a record of this boot | exactly how much time has passed: any difference is a jump |
    /// | a record of an earlier boot, or an event; the clock is ahead | the machine was off, or a jump |
    /// | the same; the clock is behind | a jump: time does not run backwards |
    /// | nothing | the wall clock is trusted |
    pub(super) fn start(
        now: Reading,
        last: Option<&ClockRecord>,
        boot: &str,
        newest: Option<Timestamp>,
    ) -> Self {
        let is_of_this_boot = |last: &&ClockRecord| {
            // Less than before: the namespace of a container with a clock of its own.
            last.boot == boot && !boot.is_empty() && last.at.elapsed <= now.elapsed
        };
        if let Some(last) = last.filter(is_of_this_boot) {
            return Self::from_anchor(last.at, now);
        }
        let Some(known) = newest.max(last.map(|last| last.at.wall)) else {
            return Self::new(now);
        };
        let offset = now.wall.duration_since(known);
        if offset < -LIMIT {
            let anchor = Reading { wall: known, ..now };
            return Self::from_anchor(anchor, now);
        }
        let is_long = offset > MAX_DOWNTIME;
        Self {
            downtime: is_long.then(|| SuspectedJump::begin(offset, now)),
            ..Self::new(now)
        }
    }

    fn from_anchor(anchor: Reading, now: Reading) -> Self {
        let mut check = Self::new(anchor);
        check.observe(now);
        // From now on, so that a small difference is not held against later ones.
        if check.jump.is_none() {
            check.anchor = now;
        }
        check
    }

    /// Looks at both clocks; returns the time.
    pub(super) fn observe(&mut self, now: Reading) -> Timestamp {
        let since = now.elapsed.saturating_sub(self.anchor.elapsed);
        let expected = self.anchor.wall.saturating_add(since);
        let expected = expected.unwrap_or(Timestamp::MAX);
        let offset = now.wall.duration_since(expected);
        if is_near(offset) {
            self.jump = None;
            // Not at each reading: ten jumps of 50 minutes each would pass unnoticed.
            if since >= PERIOD {
                self.anchor = now;
            }
            return now.wall;
        }
        match &mut self.jump {
            Some(jump) if is_near(offset.saturating_sub(jump.offset)) => {
                jump.is_accepted |= now.elapsed >= jump.until;
            }
            // A first jump, or another one: what agrees for the whole period begins here.
            jump => *jump = Some(SuspectedJump::begin(offset, now)),
        }
        expected
    }

    /// Whether there is a jump that is accepted, and not the time yet.
    pub(super) fn has_accepted(&self) -> bool {
        self.jump.is_some_and(|jump| jump.is_accepted)
    }

    /// The time from now on and by how much it differs from the time until now, if a jump is
    /// accepted.
    pub(super) fn adopt(&mut self, now: Reading) -> Option<(Timestamp, SignedDuration)> {
        let before = self.observe(now);
        if !self.has_accepted() {
            return None;
        }
        (self.anchor, self.jump) = (now, None);
        Some((now.wall, now.wall.duration_since(before)))
    }

    /// Looks at both clocks; returns the time for ages.
    pub(super) fn observe_age(&mut self, now: Reading) -> Timestamp {
        let time = self.observe(now);
        self.downtime = self
            .downtime
            .filter(|downtime| now.elapsed < downtime.until);
        let lag = self.downtime.map(|downtime| downtime.offset);
        time.saturating_sub(lag.unwrap_or_default())
            .unwrap_or(Timestamp::MIN)
    }

    /// The jump, or the hours before the start, that are suspected.
    pub(super) fn suspected(&self) -> Option<SuspectedJump> {
        self.jump.or(self.downtime)
    }

    /// Accepts the jump that is suspected; returns it.
    pub(super) fn confirm(&mut self, now: Reading) -> Option<SuspectedJump> {
        self.observe_age(now);
        let accepted = self.suspected();
        if let Some(jump) = &mut self.jump {
            jump.is_accepted = true;
        }
        self.downtime = None;
        accepted
    }
}

impl SuspectedJump {
    fn begin(offset: SignedDuration, now: Reading) -> Self {
        Self {
            offset,
            until: now.elapsed.saturating_add(PERIOD),
            is_accepted: false,
        }
    }
}

fn is_near(difference: SignedDuration) -> bool {
    difference.abs() <= LIMIT
}

#[cfg(test)]
mod tests;
