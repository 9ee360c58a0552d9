//! The time at which each of many events is evaluated.

use jiff::Timestamp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::timestamp::timestamp_or_now;

/// The clock of many evaluations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EvaluationClock {
    /// One time for all events; `None` for the current time, which those that are evaluated
    /// together share.
    Fixed(Option<Timestamp>),
    /// The time of each event.
    Event {
        /// That of the first event that has one.
        first: Option<Timestamp>,
    },
}

/// The time of one evaluation.
pub(crate) struct Reading {
    pub(crate) now: Timestamp,
    /// Whether deadlines up to then have passed: not for an event without a time.
    pub(crate) has_passed: bool,
}

impl EvaluationClock {
    /// Reads the arguments `clock` and `now`.
    pub(crate) fn read(clock: &str, now: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match (clock, now) {
            ("now", None) => Ok(Self::Fixed(None)),
            ("now", now) => Ok(Self::Fixed(Some(timestamp_or_now(now)?))),
            ("event", None) => Ok(Self::Event { first: None }),
            ("event", Some(_)) => Err(PyValueError::new_err(
                "now= is not allowed with clock=\"event\": each event is evaluated at its own time",
            )),
            _ => Err(PyValueError::new_err(format!(
                "invalid clock={clock:?}: expected \"now\" or \"event\""
            ))),
        }
    }

    /// The clock for events that are evaluated together from now on.
    pub(crate) fn for_batch(self) -> Self {
        match self {
            Self::Fixed(now) => Self::Fixed(Some(now.unwrap_or_else(Timestamp::now))),
            event @ Self::Event { .. } => event,
        }
    }

    /// The clock after events that were evaluated with `batch`.
    pub(crate) fn after_batch(self, batch: Self) -> Self {
        match self {
            fixed @ Self::Fixed(_) => fixed,
            Self::Event { .. } => batch,
        }
    }

    /// Whether the times of events matter that no rule matches, only to find the first one.
    pub(crate) fn needs_first(&self) -> bool {
        matches!(self, Self::Event { first: None })
    }

    /// Whether events are evaluated at their own time.
    pub(crate) fn is_of_events(&self) -> bool {
        matches!(self, Self::Event { .. })
    }

    /// The time of an evaluation of an event with this time, if it depends on nothing else.
    pub(crate) fn at(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Fixed(now) => *now,
            Self::Event { .. } => time,
        }
    }

    /// The time at which the next event is evaluated, whose own time is `time`.
    pub(crate) fn next(&mut self, time: Option<Timestamp>) -> Reading {
        match self {
            Self::Fixed(now) => Reading {
                now: now.unwrap_or_else(Timestamp::now),
                has_passed: true,
            },
            Self::Event { first } => {
                *first = first.or(time);
                // As `reflexarc run` does it: the wall clock would make results depend on when
                // they are made, and the event before has nothing to do with this one.
                let assumed = first.unwrap_or(Timestamp::UNIX_EPOCH);
                Reading {
                    now: time.unwrap_or(assumed),
                    has_passed: time.is_some(),
                }
            }
        }
    }
}
