//! Where an instant stands: long waits are drawn short, and busy instants are given room.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// The horizontal axis.
pub(super) struct Axis {
    places: BTreeMap<Timestamp, f64>,
    end: f64,
}

impl Axis {
    /// An axis from `left` on for all `instants`, with `room` for each mark that shares instant, lane and side.
    pub(super) fn new<'a>(
        left: f64,
        room: f64,
        marks: impl Iterator<Item = (Timestamp, &'a str, bool)>,
        instants: impl Iterator<Item = Timestamp>,
    ) -> Self {
        let mut crowds: BTreeMap<Timestamp, BTreeMap<(&str, bool), u32>> = BTreeMap::new();
        for (at, lane, above) in marks {
            *crowds
                .entry(at)
                .or_default()
                .entry((lane, above))
                .or_default() += 1;
        }
        let mut places = BTreeMap::new();
        let mut x = left;
        let mut before: Option<Timestamp> = None;
        for at in instants.collect::<BTreeSet<_>>() {
            if let Some(before) = before {
                x += 40.0 + 14.0 * at.duration_since(before).as_secs_f64().ln_1p();
            }
            places.insert(at, x);
            let crowd = crowds
                .get(&at)
                .and_then(|lanes| lanes.values().max())
                .copied()
                .unwrap_or(1);
            x += room * f64::from(crowd);
            before = Some(at);
        }
        Self {
            places,
            end: x + 40.0,
        }
    }

    /// The place of one of the instants; the left edge for any other.
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        self.places
            .range(..=at)
            .next_back()
            .map_or(0.0, |(_, x)| *x)
    }

    /// Every instant and its place.
    pub(super) fn instants(&self) -> impl Iterator<Item = (Timestamp, f64)> {
        self.places.iter().map(|(at, x)| (*at, *x))
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
    fn places_are_in_order_and_long_waits_are_short() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let marks = [(at(0), "a", true), (at(0), "a", true), (at(0), "b", true)];
        let axis = Axis::new(
            10.0,
            15.0,
            marks.into_iter(),
            [at(3600), at(0), at(1)].into_iter(),
        );
        let places: Vec<f64> = axis.instants().map(|(_, x)| x).collect();
        assert!((places[0] - 10.0).abs() < f64::EPSILON, "{places:?}");
        assert!(places[1] > 10.0 + 2.0 * 15.0, "{places:?}");
        assert!(
            places[2] > places[1] && places[2] - places[1] < 250.0,
            "{places:?}"
        );
        assert!(axis.end() > places[2]);
    }
}
