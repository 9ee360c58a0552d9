//! Letting the interpreter handle signals during long work without its lock.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Interval at which the interpreter handles signals, and so the delay of Ctrl-C: short for a
/// person, and long beside the microseconds that taking the lock costs.
pub(crate) const SIGNAL_INTERVAL: Duration = Duration::from_millis(40);

/// When the interpreter last handled signals.
pub(crate) struct SignalCheck {
    last: Instant,
}

impl SignalCheck {
    pub(crate) fn new() -> Self {
        Self {
            last: Instant::now(),
        }
    }

    /// Lets the interpreter handle signals, if that is due. Only it can: Python's handlers run
    /// where it is asked to.
    ///
    /// # Errors
    /// The exception of a handler, such as `KeyboardInterrupt`.
    pub(crate) fn check(&mut self) -> PyResult<()> {
        if self.last.elapsed() < SIGNAL_INTERVAL {
            return Ok(());
        }
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is not general enough in its lifetime"
        )]
        let checked = Python::attach(|py| py.check_signals());
        self.last = Instant::now();
        checked
    }
}
