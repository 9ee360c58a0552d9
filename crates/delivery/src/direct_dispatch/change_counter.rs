//! How many changes the calls of a target have made, and whether it makes any more.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::ChangeLimit;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The changes of one target in the last day, as long as its queue lives.
#[derive(Debug, Default)]
pub(super) struct ChangeCounter {
    /// When each was reserved, oldest first.
    made: VecDeque<Instant>,
    /// The limit that was reached, in words: the target makes no changes until it is resumed.
    stopped: Option<String>,
}

impl ChangeCounter {
    /// Counts a change that is about to be sent.
    ///
    /// # Errors
    /// In words, if the target has made as many as it may; it makes no more then.
    pub(super) fn reserve(&mut self, limit: ChangeLimit, now: Instant) -> Result<(), String> {
        self.check()?;
        while self
            .made
            .front()
            .is_some_and(|first| now.duration_since(*first) >= DAY)
        {
            self.made.pop_front();
        }
        let limits = [
            (MINUTE, "minute", limit.per_minute),
            (DAY, "day", limit.per_day),
        ];
        for (per, name, most) in limits {
            let recent = self.made.iter().rev();
            let count = recent
                .take_while(|at| now.duration_since(**at) < per)
                .count();
            if count >= usize::try_from(most).unwrap_or(usize::MAX) {
                self.stopped = Some(format!("{most} changes a {name} were made"));
                return self.check();
            }
        }
        self.made.push_back(now);
        Ok(())
    }

    /// # Errors
    /// In words, if the target makes no more changes.
    pub(super) fn check(&self) -> Result<(), String> {
        self.stopped.clone().map_or(Ok(()), Err)
    }

    /// Lets the target make changes again; those that it has made count no more. Returns whether it
    /// was stopped.
    pub(super) fn resume(&mut self) -> bool {
        let was_stopped = self.stopped.take().is_some();
        if was_stopped {
            self.made.clear();
        }
        was_stopped
    }
}
