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
//!
//! What does not fit into the width of the picture continues in another part below. All parts have
//! about the same number of pixels before their distances are stretched to the whole width.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The distance between two instants, without the part that grows with the time between them.
const GAP: f64 = 40.0;
/// How fast the distance grows: pixels for each factor of e.
const GROWTH: f64 = 14.0;
/// Where the first instant of a part is that is not the first part: bars continue from the left.
const LEAD: f64 = 24.0;

/// The horizontal axis of a part of the picture.
pub(super) struct Axis {
    positions: BTreeMap<Timestamp, f64>,
    /// The first instant.
    pub(super) first: Timestamp,
    /// The first instant of the next part.
    pub(super) next: Option<Timestamp>,
    left: f64,
    pub(super) right: f64,
}

/// An instant before it has a position.
#[derive(Clone, Copy)]
struct Instant {
    at: Timestamp,
    /// The distance from the instant before it.
    gap: f64,
    width: f64,
}

/// The axes of all parts. `widths` has all instants and how wide their marks are, and no instant is
/// wider than half a part.
pub(super) fn parts(widths: &BTreeMap<Timestamp, f64>, left: f64, right: f64) -> Vec<Axis> {
    let mut before: Option<Timestamp> = None;
    let instants = widths.iter().map(|(at, width)| {
        let seconds = before.map_or(0.0, |before| at.duration_since(before).as_secs_f64());
        before = Some(*at);
        Instant {
            at: *at,
            gap: GAP + GROWTH * seconds.ln_1p(),
            width: *width,
        }
    });
    let instants: Vec<Instant> = instants.collect();
    let available = right - left - LEAD - GAP;
    let parts = balanced(&instants, available);
    let firsts: Vec<Timestamp> = parts
        .iter()
        .filter_map(|part| part.first())
        .map(|one| one.at)
        .collect();
    let parts = parts.iter().enumerate();
    parts
        .filter_map(|(i, part)| {
            let lead = if i == 0 { 0.0 } else { LEAD };
            Axis::new(part, firsts.get(i + 1).copied(), lead, left, right)
        })
        .collect()
}

/// Splits the instants into as few parts as possible, and these as evenly as possible.
fn balanced(instants: &[Instant], available: f64) -> Vec<&[Instant]> {
    /// How often the width is halved: to a pixel or less.
    const STEPS: usize = 12;
    let (mut best, mut too_little) = (available, 0.0);
    let parts = split(instants, available).len();
    for _ in 0..STEPS {
        let width = f64::midpoint(best, too_little);
        if split(instants, width).len() > parts {
            too_little = width;
        } else {
            best = width;
        }
    }
    split(instants, best)
}

/// Splits the instants into parts that are at most `width` wide, or have only one instant.
fn split(instants: &[Instant], width: f64) -> Vec<&[Instant]> {
    let mut parts = Vec::new();
    let (mut used, mut first) = (0.0, 0);
    for (i, instant) in instants.iter().enumerate() {
        let wide = instant.gap + instant.width;
        if i > first && used + wide > width {
            parts.push(&instants[first..i]);
            (used, first) = (0.0, i);
        }
        used += wide;
    }
    if first < instants.len() {
        parts.push(&instants[first..]);
    }
    parts
}

impl Axis {
    /// `None` without instants.
    fn new(
        instants: &[Instant],
        next: Option<Timestamp>,
        lead: f64,
        left: f64,
        right: f64,
    ) -> Option<Self> {
        let first = instants.first()?.at;
        let marks: f64 = instants.iter().map(|one| one.width).sum();
        let gaps: f64 = GAP + instants.iter().skip(1).map(|one| one.gap).sum::<f64>();
        let stretch = (right - left - lead - marks) / gaps;
        let mut x = left + lead;
        let mut positions = BTreeMap::new();
        for (i, instant) in instants.iter().enumerate() {
            if i > 0 {
                x += instant.gap * stretch;
            }
            positions.insert(instant.at, x);
            x += instant.width;
        }
        Some(Self {
            positions,
            first,
            next,
            left,
            right,
        })
    }

    /// Whether an instant is in this part.
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        at >= self.first && self.next.is_none_or(|next| at < next)
    }

    /// The position of an instant: that of the last one of the axis by then; the left edge before
    /// the first one, and the right edge from the next part on.
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        if self.next.is_some_and(|next| at >= next) {
            return self.right;
        }
        let by_then = self.positions.range(..=at).next_back();
        by_then.map_or(self.left, |(_, x)| *x)
    }

    /// Every instant and its position.
    pub(super) fn instants(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        self.positions.iter().map(|(at, x)| (*at, *x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn positions_are_ordered_and_long_waits_compressed() {
        let widths = BTreeMap::from([(at(0), 30.0), (at(1), 15.0), (at(3600), 15.0)]);
        let axes = parts(&widths, 10.0, 510.0);
        assert_eq!(axes.len(), 1);
        let positions: Vec<f64> = axes[0].instants().map(|(_, x)| x).collect();
        assert!((positions[0] - 10.0).abs() < f64::EPSILON, "{positions:?}");
        let (second, hour) = (positions[1] - positions[0], positions[2] - positions[1]);
        assert!(second > 30.0 + GAP, "{positions:?}");
        assert!(hour > second && hour < 4.0 * second, "{positions:?}");
        assert!(positions[2] + 15.0 < 510.0, "{positions:?}");
    }

    #[test]
    fn a_long_axis_is_split_into_balanced_parts() {
        let widths: BTreeMap<_, _> = (0..100).map(|second| (at(second), 20.0)).collect();
        let axes = parts(&widths, 0.0, 1000.0);
        let sizes: Vec<usize> = axes.iter().map(|axis| axis.positions.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 100);
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(*most <= least + 5, "{sizes:?}");
        for axis in &axes {
            let end = axis.instants().map(|(_, x)| x + 20.0).fold(0.0, f64::max);
            assert!(end <= axis.right, "{end}");
        }
        // Each part ends where the next one begins.
        assert_eq!(axes[0].next, Some(axes[1].first));
        assert!((axes[0].x(axes[1].first) - 1000.0).abs() < f64::EPSILON);
        assert!(axes[1].x(at(0)).abs() < f64::EPSILON);
    }
}
