//! The horizontal axis: where each instant is in the picture.
//!
//! The axis is not linear. A scenario may have ten marks within a second and then nothing for a
//! day, so each instant gets the width of its marks, and the distance to the next one grows with
//! the logarithm of the time between them:
//!
//! ```text
//! 1 s     40 + 14 ln 2       50 px
//! 1 min   40 + 14 ln 61      98 px
//! 1 h     40 + 14 ln 3601   155 px
//! 1 day   40 + 14 ln 86401  199 px
//! ```

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// The distance between two instants, without the part that grows with the time between them.
const GAP: f64 = 40.0;
/// How fast the distance grows: pixels for each factor of e.
const GROWTH: f64 = 14.0;

/// The horizontal axis.
pub(super) struct Axis {
    positions: BTreeMap<Timestamp, f64>,
    end: f64,
}

impl Axis {
    /// An axis from `left` on for all `instants`. Marks of the same instant, row and side (above or
    /// below the bar) are drawn side by side, each `mark_width` wide.
    pub(super) fn new<'a>(
        left: f64,
        mark_width: f64,
        marks: impl Iterator<Item = (Timestamp, &'a str, bool)>,
        instants: impl Iterator<Item = Timestamp>,
    ) -> Self {
        let mut counts: BTreeMap<Timestamp, BTreeMap<(&str, bool), u32>> = BTreeMap::new();
        for (at, row, is_above) in marks {
            *counts
                .entry(at)
                .or_default()
                .entry((row, is_above))
                .or_default() += 1;
        }
        let mut positions = BTreeMap::new();
        let mut x = left;
        let mut before: Option<Timestamp> = None;
        for at in instants.collect::<BTreeSet<_>>() {
            if let Some(before) = before {
                x += GAP + GROWTH * at.duration_since(before).as_secs_f64().ln_1p();
            }
            positions.insert(at, x);
            // The row with the most marks decides, so that bars begin at one position in all rows.
            let most = counts
                .get(&at)
                .and_then(|rows| rows.values().max())
                .copied()
                .unwrap_or(1);
            x += mark_width * f64::from(most);
            before = Some(at);
        }
        Self {
            positions,
            end: x + GAP,
        }
    }

    /// The position of an instant: that of the last one of the axis by then, 0 before the first
    /// one.
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        self.positions
            .range(..=at)
            .next_back()
            .map_or(0.0, |(_, x)| *x)
    }

    /// Every instant and its position.
    pub(super) fn instants(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        self.positions.iter().map(|(at, x)| (*at, *x))
    }

    /// The right edge.
    pub(super) fn end(&self) -> f64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_and_long_waits_compressed() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let marks = [(at(0), "a", true), (at(0), "a", true), (at(0), "b", true)];
        let axis = Axis::new(
            10.0,
            15.0,
            marks.into_iter(),
            [at(3600), at(0), at(1)].into_iter(),
        );
        let positions: Vec<f64> = axis.instants().map(|(_, x)| x).collect();
        assert!((positions[0] - 10.0).abs() < f64::EPSILON, "{positions:?}");
        assert!(positions[1] > 10.0 + 2.0 * 15.0, "{positions:?}");
        assert!(
            positions[2] > positions[1] && positions[2] - positions[1] < 250.0,
            "{positions:?}"
        );
        assert!(axis.end() > positions[2]);
    }
}
