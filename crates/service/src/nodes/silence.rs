//! Which nodes have been silent for too long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A node that has not beaten for so long is lost.
// Three beats are missing. With a look every three seconds, it is noticed within three more; a claim
// is released within 15 s.
const MAX_SILENCE: Duration = Duration::from_secs(9);
/// Most of the time between two looks that counts as silence.
// When the database was away, or this process was stopped, the others could not beat either, or had
// no time to do so since.
const MAX_GAP: Duration = Duration::from_secs(4);

/// Looks at the beats of other nodes, by the clock of this machine: the clocks of others, and that
/// of the database, may be set.
#[derive(Default)]
pub(super) struct SilenceWatch {
    nodes: BTreeMap<i64, Silent>,
    looked: Option<Instant>,
}

struct Silent {
    beats: i64,
    duration: Duration,
}

impl SilenceWatch {
    /// Looks at all live nodes, each with the number of its beats. Returns those that are lost.
    pub(super) fn look(
        &mut self,
        nodes: impl IntoIterator<Item = (i64, i64)>,
        now: Instant,
    ) -> Vec<i64> {
        let since = self.looked.map_or(Duration::ZERO, |looked| now - looked);
        self.looked = Some(now);
        let gap = since.min(MAX_GAP);
        let mut before = std::mem::take(&mut self.nodes);
        let mut lost = Vec::new();
        for (number, beats) in nodes {
            let duration = match before.remove(&number) {
                Some(silent) if silent.beats == beats => silent.duration + gap,
                _ => Duration::ZERO,
            };
            if duration >= MAX_SILENCE {
                lost.push(number);
            }
            self.nodes.insert(number, Silent { beats, duration });
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: u64 = 3;
    const NONE: [i64; 0] = [];

    fn second(zero: Instant, second: u64) -> Instant {
        zero + Duration::from_secs(second)
    }

    #[test]
    fn a_node_is_lost_after_three_beats() {
        let (mut watch, zero) = (SilenceWatch::default(), Instant::now());
        let looks: Vec<bool> = (0..6_u32)
            .map(|look| {
                let lost = watch.look(
                    [(2, look.into()), (3, 7)],
                    second(zero, BEAT * u64::from(look)),
                );
                assert!(!lost.contains(&2), "it beats");
                lost == [3]
            })
            .collect();
        assert_eq!(looks, [false, false, false, true, true, true]);
        assert_eq!(
            watch.look([(3, 8)], second(zero, 99)),
            NONE,
            "it beats again"
        );
    }

    #[test]
    fn time_without_a_look_says_little() {
        let (mut watch, zero) = (SilenceWatch::default(), Instant::now());
        // The database was away for minutes, so that no node could beat.
        assert_eq!(watch.look([(2, 5)], zero), NONE);
        assert_eq!(watch.look([(2, 5)], second(zero, 600)), NONE);
        assert_eq!(watch.look([(2, 5)], second(zero, 603)), NONE);
        assert_eq!(watch.look([(2, 5)], second(zero, 606)), [2]);
        // One that was not there before has just begun.
        assert_eq!(watch.look([(3, 0)], second(zero, 1_600)), NONE);
    }
}
