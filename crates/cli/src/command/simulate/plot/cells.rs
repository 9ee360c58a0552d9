//! The marks of one instant in one row: side by side, in several lines where there are many.
//!
//! The same mark at the same instant is drawn once with its number of times, `×200`. Of different
//! ones only the first are drawn, with the number of the others behind them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::marks::Mark;
use super::shapes::{SHAPE, Shape};
use super::svg::TextClass;

/// At most so many different marks at one instant, on one side of one row.
const MARKS_AT_ONCE: usize = 24;
/// The width of a line of marks; wider ones are broken.
const LINE_WIDTH: f64 = 260.0;
/// The distance to the next mark.
const GAP: f64 = 5.0;

/// The time, the row, and whether it is above the bar of the row.
pub(super) type Place = (Timestamp, usize, bool);

/// The marks of a place.
#[derive(Default)]
pub(super) struct Cell {
    items: Vec<Item>,
    /// How many marks are left out.
    more: usize,
    /// How many marks it has with those that are left out.
    pub(super) total: usize,
}

/// A mark that may stand for several.
#[derive(Clone)]
pub(super) struct Item {
    /// Absent where it is only a text: the number of marks that are left out.
    pub(super) shape: Option<Shape>,
    pub(super) note: Option<String>,
    /// What is written behind the number of the note.
    pub(super) suffix: String,
    count: usize,
}

/// The marks by their places.
pub(super) fn cells(marks: Vec<Mark>) -> BTreeMap<Place, Cell> {
    let mut cells: BTreeMap<Place, Cell> = BTreeMap::new();
    for mark in marks {
        let place = (mark.at, mark.row, mark.shape.is_above());
        cells.entry(place).or_default().add(mark);
    }
    cells
}

impl Cell {
    fn add(&mut self, mark: Mark) {
        self.total += 1;
        let is_same = |item: &&mut Item| item.shape == Some(mark.shape) && item.note == mark.note;
        if let Some(item) = self.items.iter_mut().find(is_same) {
            item.count += 1;
            item.suffix = format!("×{}", item.count);
        } else if self.items.len() < MARKS_AT_ONCE {
            self.items.push(Item {
                shape: Some(mark.shape),
                note: mark.note,
                suffix: String::new(),
                count: 1,
            });
        } else {
            self.more += 1;
        }
    }

    /// The lines of marks, each with their distances from its left edge.
    pub(super) fn lines(&self) -> Vec<Vec<(f64, Item)>> {
        let more = (self.more > 0).then(|| Item {
            shape: None,
            note: None,
            suffix: format!("+{}", self.more),
            count: self.more,
        });
        let mut lines: Vec<Vec<(f64, Item)>> = Vec::new();
        let mut x = 0.0;
        for item in self.items.iter().cloned().chain(more) {
            let width = item.width();
            match lines.last_mut() {
                Some(line) if x + width <= LINE_WIDTH => line.push((x, item)),
                _ => {
                    x = 0.0;
                    lines.push(vec![(x, item)]);
                }
            }
            x += width;
        }
        lines
    }

    pub(super) fn width(&self) -> f64 {
        let lines = self.lines();
        let ends = lines.iter().filter_map(|line| line.last());
        let ends = ends.map(|(x, item)| x + item.width());
        ends.fold(0.0, f64::max)
    }

    pub(super) fn shapes(&self) -> impl Iterator<Item = Shape> {
        self.items.iter().filter_map(|item| item.shape)
    }

    pub(super) fn has_more(&self) -> bool {
        self.more > 0
    }

    pub(super) fn has_repeated(&self) -> bool {
        self.items.iter().any(|item| item.count > 1)
    }
}

impl Item {
    /// The width with the number of its note, which has at most two digits, and the distance to
    /// the next one.
    fn width(&self) -> f64 {
        let number = if self.note.is_some() { "88" } else { "" };
        let font = TextClass::Number.font();
        let shape = self.shape.map_or(0.0, |_| SHAPE);
        shape + font.width(number) + font.width(&self.suffix) + GAP
    }
}
