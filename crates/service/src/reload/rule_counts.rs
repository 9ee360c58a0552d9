//! How many rules were in effect of late.

use std::collections::VecDeque;
use std::time::Duration;

/// The numbers of rules that were in effect within a day, as far as they can be the largest.
///
/// Rules that go away bit by bit, each time less than half, are as wrong as half of them at once: a
/// disk that fails or a deployment that stops again and again removes one file after the other.
#[derive(Debug)]
pub(super) struct RuleCounts {
    /// When each number was replaced, if it was; the numbers fall from the front to the back.
    recent: VecDeque<(Option<Duration>, usize)>,
}

/// How long a number counts after it was replaced.
const PERIOD: Duration = Duration::from_secs(24 * 3600);

impl RuleCounts {
    /// So many rules are in effect.
    pub(super) fn new(count: usize) -> Self {
        Self {
            recent: VecDeque::from([(None, count)]),
        }
    }

    /// The largest number that was in effect within a day.
    pub(super) fn largest(&mut self, now: Duration) -> usize {
        let is_old = |replaced: Duration| now.saturating_sub(replaced) > PERIOD;
        while let Some((Some(replaced), _)) = self.recent.front()
            && is_old(*replaced)
        {
            self.recent.pop_front();
        }
        self.recent.front().map_or(0, |(_, count)| *count)
    }

    /// From now on so many are in effect. If that is confirmed, larger numbers count no longer.
    pub(super) fn record(&mut self, count: usize, is_confirmed: bool, now: Duration) {
        if is_confirmed {
            self.recent.clear();
        }
        if let Some((replaced @ None, _)) = self.recent.back_mut() {
            *replaced = Some(now);
        }
        // A smaller number that was replaced by this one can no longer be the largest.
        while self
            .recent
            .back()
            .is_some_and(|(_, earlier)| *earlier <= count)
        {
            self.recent.pop_back();
        }
        self.recent.push_back((None, count));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600;

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * HOUR)
    }

    #[test]
    fn a_number_counts_for_a_day_after_it_was_replaced() {
        let mut counts = RuleCounts::new(10);
        counts.record(6, false, hours(48));
        assert_eq!(
            counts.largest(hours(49)),
            10,
            "it was in effect until an hour ago"
        );
        counts.record(4, false, hours(60));
        assert_eq!(counts.largest(hours(72)), 10);
        assert_eq!(counts.largest(hours(73)), 6);
        assert_eq!(counts.largest(hours(85)), 4);
        counts.record(7, false, hours(85));
        assert_eq!(counts.largest(hours(200)), 7);
    }

    #[test]
    fn a_confirmed_number_is_the_measure() {
        let mut counts = RuleCounts::new(10);
        counts.record(2, true, hours(1));
        assert_eq!(counts.largest(hours(1)), 2);
    }

    proptest! {
        #[test]
        fn the_largest_equals_that_of_all_numbers(
            steps in prop::collection::vec((1_u64..20, 0_usize..6), 0..30),
            after in 0_u64..30,
        ) {
            let mut counts = RuleCounts::new(3);
            // Every number with the time from which and until which it was in effect.
            let mut all: Vec<(usize, Option<u64>)> = vec![(3, None)];
            let mut now = 0;
            for (hours_later, count) in steps {
                now += hours_later;
                all.last_mut().unwrap().1 = Some(now);
                all.push((count, None));
                counts.record(count, false, hours(now));
            }
            now += after;
            let recent = all.iter().filter(|(_, until)| until.is_none_or(|until| now - until <= 24));
            let largest = recent.map(|(count, _)| *count).max();
            prop_assert_eq!(Some(counts.largest(hours(now))), largest);
        }
    }
}
