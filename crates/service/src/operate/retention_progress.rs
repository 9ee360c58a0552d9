//! Whether retention keeps up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A pass that takes longer than this, or fails for as long, is behind. A pass begins every ten
/// seconds, and one that removes what came in ten seconds takes less.
const MAX_PASS: Duration = Duration::from_secs(600);

/// The passes of pruning.
#[derive(Debug)]
pub(crate) struct RetentionProgress {
    latest: Mutex<Latest>,
}

#[derive(Debug)]
struct Latest {
    /// When a pass last ended without an error.
    completed: Instant,
    /// Why the last one failed, if it did.
    error: Option<String>,
}

impl RetentionProgress {
    /// As if a pass had just ended.
    pub(crate) fn new() -> Self {
        Self {
            latest: Mutex::new(Latest {
                completed: Instant::now(),
                error: None,
            }),
        }
    }

    /// A pass has removed all that it had to.
    pub(crate) fn succeeded(&self) {
        *self.lock() = Latest {
            completed: Instant::now(),
            error: None,
        };
    }

    /// A pass has failed.
    pub(crate) fn failed(&self, error: &str) {
        self.lock().error = Some(error.to_owned());
    }

    /// Why retention is behind at `now`, if it is.
    pub(crate) fn problem(&self, now: Instant) -> Option<String> {
        let latest = self.lock();
        let since = now.saturating_duration_since(latest.completed);
        match &latest.error {
            Some(error) => Some(format!("cannot prune the archive: {error}")),
            None if since > MAX_PASS => Some(format!(
                "events have been removed for {} s, and there are more to remove",
                since.as_secs()
            )),
            None => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_that_fail_or_take_long_are_behind() {
        let progress = RetentionProgress::new();
        let now = Instant::now();
        assert_eq!(progress.problem(now), None);
        let late = progress.problem(now + MAX_PASS + Duration::from_secs(2));
        assert!(late.unwrap().contains("602 s"));
        progress.failed("disk full");
        assert!(progress.problem(now).unwrap().contains("disk full"));
        progress.succeeded();
        assert_eq!(progress.problem(Instant::now()), None);
    }
}
