//! The legend: only what is in the picture, in as many lines as it needs.

use std::collections::BTreeSet;

use reflexarc_event::EniStatus;

use super::shapes::{SHAPE, Shape};
use super::svg::{Svg, TextClass};
use super::{MARGIN, WIDTH};

/// The height of a line of the legend.
const LINE: f64 = 22.0;
/// The distance between a symbol and its text.
const SPACE: f64 = 4.0;
/// The distance between two entries.
const GAP: f64 = 18.0;

/// What the legend explains.
#[derive(Default)]
pub(super) struct Legend {
    pub(super) shapes: BTreeSet<Shape>,
    /// The statuses of bars, which may be too short for their names.
    pub(super) statuses: BTreeSet<EniStatus>,
    pub(super) has_deadlines: bool,
    pub(super) has_repeated: bool,
    pub(super) has_more: bool,
}

/// A symbol of the legend.
enum Symbol {
    Shape(Shape),
    Bar(EniStatus),
    Deadline,
    /// A text that may be beside a mark.
    Text(&'static str),
}

impl Legend {
    /// Draws it from `top` on, and returns where it ends.
    pub(super) fn draw(&self, svg: &mut Svg, top: f64) -> f64 {
        let (mut x, mut y) = (MARGIN, top + LINE / 2.0);
        for (symbol, label) in self.entries() {
            let size = match symbol {
                Symbol::Text(text) => TextClass::Number.font().width(text),
                _ => SHAPE,
            };
            let width = size + SPACE + TextClass::Note.font().width(label);
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            let middle = x + SHAPE / 2.0;
            match symbol {
                Symbol::Shape(shape) => shape.draw(svg, middle, y),
                Symbol::Bar(status) => svg.rect(x, y - 6.0, SHAPE, 12.0, status.as_str()),
                Symbol::Deadline => svg.line(middle, y - 8.0, middle, y + 8.0, "due"),
                Symbol::Text(text) => svg.text(x, y + 4.0, TextClass::Number, text),
            }
            svg.text(x + size + SPACE, y + 4.0, TextClass::Note, label);
            x += width + GAP;
        }
        y + LINE / 2.0
    }

    fn entries(&self) -> Vec<(Symbol, &'static str)> {
        let shapes = Shape::LEGEND.into_iter();
        let shapes = shapes.filter(|(shape, _)| self.shapes.contains(shape));
        let mut entries: Vec<_> = shapes
            .map(|(shape, label)| (Symbol::Shape(shape), label))
            .collect();
        if self.has_deadlines {
            entries.push((Symbol::Deadline, "deadline"));
        }
        if self.has_repeated {
            entries.push((Symbol::Text("×2"), "the same twice"));
        }
        if self.has_more {
            entries.push((Symbol::Text("+2"), "two more marks, left out"));
        }
        let statuses = self.statuses.iter();
        entries.extend(statuses.map(|status| (Symbol::Bar(*status), status.as_str())));
        entries
    }
}
