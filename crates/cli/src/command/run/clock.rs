//! `--clock`: the time at which `run` evaluates an event.

use std::str::FromStr;

use jiff::Timestamp;

/// The value of `--clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockArg {
    /// `event`: the time of each event.
    Event,
    /// `now`: the current time.
    Now,
    /// One time for all events.
    At(Timestamp),
}

/// The clock of a run.
#[derive(Debug)]
pub(super) struct Clock {
    arg: ClockArg,
    /// The time of the first event that has one.
    first: Option<Timestamp>,
    /// The time that was last reported as that of events without one.
    reported: Option<Timestamp>,
}

/// The time of an evaluation.
pub(super) struct Reading {
    /// The time.
    pub(super) now: Timestamp,
    /// Whether the event has no time.
    pub(super) is_assumed: bool,
    /// Whether the event has no time, and `now` was not yet reported for such events.
    pub(super) is_new: bool,
}

impl FromStr for ClockArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "event" => Ok(Self::Event),
            "now" => Ok(Self::Now),
            time => time.parse().map(Self::At).map_err(|_| {
                "expected event, now, or a time with offset such as 2026-11-25T08:00:00Z".to_owned()
            }),
        }
    }
}

impl ClockArg {
    /// The time at which to evaluate an event whose own time is `time`, if that depends on nothing
    /// else.
    pub(super) fn at(self, time: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Event => time,
            Self::Now => None,
            Self::At(now) => Some(now),
        }
    }
}

impl Clock {
    pub(super) fn new(arg: ClockArg) -> Self {
        Self {
            arg,
            first: None,
            reported: None,
        }
    }

    pub(super) fn arg(&self) -> ClockArg {
        self.arg
    }

    /// Whether the times of events that no rule matches matter: until the first time is known.
    pub(super) fn needs_first(&self) -> bool {
        self.arg == ClockArg::Event && self.first.is_none()
    }

    /// The time that has passed when an event with this time comes, also if no rule matches it.
    pub(super) fn passed(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        match self.arg {
            ClockArg::Event => time,
            ClockArg::Now => Some(Timestamp::now()),
            ClockArg::At(now) => Some(now),
        }
    }

    /// Notes the time of the next event, if it has one.
    pub(super) fn see(&mut self, time: Option<Timestamp>) {
        self.first = self.first.or(time);
    }

    /// The time at which to evaluate the event that was seen last, whose own time is `time`.
    pub(super) fn read(&mut self, time: Option<Timestamp>) -> Reading {
        let now = match (self.arg, time) {
            (ClockArg::Now, _) => Timestamp::now(),
            (ClockArg::At(now), _) | (ClockArg::Event, Some(now)) => now,
            // Neither the wall clock, with which no run could be repeated, nor the time of the
            // event before, which has nothing to do with this one. As in rule tests, there is one
            // fixed time for events without one.
            (ClockArg::Event, None) => {
                let now = self.first.unwrap_or(Timestamp::UNIX_EPOCH);
                let is_new = self.reported.replace(now) != Some(now);
                return Reading {
                    now,
                    is_assumed: true,
                    is_new,
                };
            }
        };
        Reading {
            now,
            is_assumed: false,
            is_new: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// For each event, its time in seconds: that of its evaluation, and whether it is reported.
    fn readings(arg: &str, events: &[Option<i64>]) -> Vec<(i64, bool)> {
        let mut clock = Clock::new(arg.parse().unwrap());
        let read = |time: &Option<i64>| {
            let time = time.map(at);
            clock.see(time);
            let reading = clock.read(time);
            (reading.now.as_second(), reading.is_new)
        };
        events.iter().map(read).collect()
    }

    #[test]
    fn events_without_time_have_that_of_the_first_with_one() {
        assert_eq!(
            readings("event", &[Some(5), None, Some(9), None]),
            [(5, false), (5, true), (9, false), (5, false)]
        );
        assert_eq!(
            readings("event", &[None, None, Some(9), None, None]),
            [(0, true), (0, false), (9, false), (9, true), (9, false)]
        );
    }

    #[test]
    fn a_given_time_is_that_of_all_events() {
        assert_eq!(
            readings("1970-01-01T00:00:07Z", &[Some(5), None]),
            [(7, false), (7, false)]
        );
    }

    #[test]
    fn the_current_time_is_read_for_each_event() {
        let before = Timestamp::now().as_second();
        let readings = readings("now", &[Some(5), None]);
        assert!(
            readings
                .iter()
                .all(|(now, is_new)| *now >= before && !is_new)
        );
    }

    #[test]
    fn a_word_that_is_no_clock_is_an_error() {
        for text in ["", "Event", "today", "2026-11-25", "08:00"] {
            assert!(text.parse::<ClockArg>().is_err(), "{text}");
        }
    }
}
