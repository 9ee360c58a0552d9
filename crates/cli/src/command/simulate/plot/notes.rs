//! The numbered notes below a part of the picture. The same text has one number.

use std::collections::BTreeMap;

use super::svg::{Svg, TextClass};
use super::{MARGIN, WIDTH, count};

/// At most so many notes in a part, which keeps their numbers at two digits.
const MAX_NOTES: usize = 60;
/// The height of a line.
pub(super) const LINE: f64 = 17.0;
/// The width of the numbers.
const NUMBERS: f64 = 24.0;
/// The distance between columns.
const GAP: f64 = 24.0;
/// The width of the widest columns.
const MAX_COLUMN: f64 = 585.0;
/// Longer notes are cut.
const MAX_LINES: usize = 3;

/// The notes of a part.
#[derive(Default)]
pub(super) struct Notes {
    texts: Vec<String>,
    numbers: BTreeMap<String, usize>,
    /// How many marks have a note that is left out.
    left_out: usize,
}

impl Notes {
    /// Adds the note of a mark, unless it is there or there are too many.
    pub(super) fn add(&mut self, text: &str) {
        if self.numbers.contains_key(text) {
            return;
        }
        if self.texts.len() == MAX_NOTES {
            self.left_out += 1;
            return;
        }
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), self.texts.len());
    }

    /// The number of a note; `None` if it is left out.
    pub(super) fn number(&self, text: &str) -> Option<usize> {
        self.numbers.get(text).copied()
    }

    /// How many marks have no number because their notes are left out.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Draws the notes in columns, and returns where they end.
    pub(super) fn draw(&self, svg: &mut Svg, top: f64) -> f64 {
        let font = TextClass::Note.font();
        let widths = self.texts.iter().map(|text| font.width(text));
        let widest = widths.fold(0.0, f64::max).min(MAX_COLUMN);
        let room = WIDTH - 2.0 * MARGIN + GAP;
        let fits = |columns: &usize| count(*columns) * (NUMBERS + widest + GAP) <= room;
        let columns = (1..=5).take_while(fits).last().unwrap_or(1);
        let column = room / count(columns);
        let text_width = column - NUMBERS - GAP;
        let notes: Vec<Vec<String>> = self
            .texts
            .iter()
            .map(|text| font.wrap(text, text_width, MAX_LINES))
            .collect();
        let lines: usize = notes.iter().map(Vec::len).sum();
        let per_column = lines.div_ceil(columns).max(1);
        let (mut x, mut used, mut bottom) = (MARGIN, 0, top);
        for (i, note) in notes.iter().enumerate() {
            // Never more columns than fit: the last one takes the rest.
            if used >= per_column && x + 1.5 * column <= MARGIN + room {
                (x, used) = (x + column, 0);
            }
            for (j, line) in note.iter().enumerate() {
                let y = top + LINE * count(used) + 13.0;
                if j == 0 {
                    svg.text(x, y, TextClass::NoteNumber, &(i + 1).to_string());
                }
                svg.text(x + NUMBERS, y, TextClass::Note, line);
                used += 1;
                bottom = bottom.max(y + 4.0);
            }
        }
        bottom
    }
}
