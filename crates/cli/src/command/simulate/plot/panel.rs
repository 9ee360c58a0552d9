//! A part of the picture: the rows with something in it, their bars and marks, and the notes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use super::super::elapsed;
use super::axis::Axis;
use super::bars::{Bar, BarKind};
use super::cells::Cell;
use super::notes::{LINE, Notes};
use super::rows::{Row, RowKind};
use super::shapes::SHAPE;
use super::svg::{Svg, TextClass};
use super::{MARGIN, NAMES, Picture, count};
use crate::output::text::plural;

/// At most so many rows in a part.
const MAX_ROWS: usize = 40;
/// Up to so many interfaces have a row in every part, also without a change in it.
const MAX_STEADY: usize = 8;
/// The height of the times above the rows.
const TIMES: f64 = 22.0;
/// The height of a line of marks.
const MARKS: f64 = 20.0;
/// The height of a bar: of a status, which has its name in it, and of a match.
const STATUS_BAR: f64 = 22.0;
const MATCH_BAR: f64 = 12.0;
/// The space above and below the contents of a row.
const PADDING: f64 = 7.0;
/// The height of a line of a row's name.
const NAME: f64 = 15.0;
/// The most lines of a row's name, without the line below it.
const NAME_LINES: usize = 2;
/// The space below the rows.
const BELOW: f64 = 10.0;

/// A part of the picture.
pub(super) struct Panel<'a> {
    picture: &'a Picture,
    axis: &'a Axis,
    rows: Vec<PanelRow<'a>>,
    /// How many rows have a bar here but no change.
    unchanged: usize,
    /// How many rows are left out because there are too many.
    left_out: usize,
    notes: Notes,
}

/// A row as it is in this part.
struct PanelRow<'a> {
    row: &'a Row,
    name: Vec<String>,
    detail: String,
    cells: Vec<(Timestamp, bool, &'a Cell)>,
    bars: Vec<&'a Bar>,
    /// The numbers of lines of marks above and below the bar.
    above: usize,
    below: usize,
}

impl<'a> Panel<'a> {
    pub(super) fn new(picture: &'a Picture, axis: &'a Axis) -> Self {
        let mut cells: BTreeMap<usize, Vec<(Timestamp, bool, &Cell)>> = BTreeMap::new();
        for ((at, row, is_above), cell) in picture.cells_of(axis) {
            cells.entry(row).or_default().push((at, is_above, cell));
        }
        let mut bars: BTreeMap<usize, Vec<&Bar>> = BTreeMap::new();
        for bar in picture.bars.iter().filter(|bar| is_visible(bar, axis)) {
            bars.entry(bar.row).or_default().push(bar);
        }
        let is_steady = picture.rows.interfaces() <= MAX_STEADY;
        let mut rows = Vec::new();
        let mut unchanged = 0;
        for id in picture.rows.in_order() {
            let cells = cells.remove(&id).unwrap_or_default();
            let bars = bars.remove(&id).unwrap_or_default();
            let row = picture.rows.get(id);
            let is_shown = is_steady && row.kind == RowKind::Interface;
            if !cells.is_empty()
                || bars.iter().any(|bar| changes(bar, axis))
                || is_shown && !bars.is_empty()
            {
                rows.push(PanelRow::new(row, cells, bars));
            } else if !bars.is_empty() {
                unchanged += 1;
            }
        }
        let left_out = rows.len().saturating_sub(MAX_ROWS);
        if left_out > 0 {
            rows = most_important(rows);
        }
        Self {
            picture,
            axis,
            rows,
            unchanged,
            left_out,
            notes: Notes::default(),
        }
    }

    /// The statuses of its bars.
    pub(super) fn statuses(&self) -> impl Iterator<Item = EniStatus> {
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        bars.filter_map(|bar| match bar.kind {
            BarKind::Status(status) => Some(status),
            BarKind::Waiting | BarKind::Reported => None,
        })
    }

    /// Whether a deadline is in it.
    pub(super) fn has_deadlines(&self) -> bool {
        let mut bars = self.rows.iter().flat_map(|row| &row.bars);
        bars.any(|bar| bar.due.is_some_and(|due| self.axis.contains(due)))
    }

    /// The marks in it.
    pub(super) fn cells(&self) -> impl Iterator<Item = &'a Cell> {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.map(|(_, _, cell)| *cell)
    }

    /// Draws it from `top` on, with a title at the left of the times, and returns where it ends.
    pub(super) fn draw(&mut self, svg: &mut Svg, top: f64, title: &str) -> f64 {
        svg.text(MARGIN, top + 14.0, TextClass::Remark, title);
        let rows_top = top + TIMES;
        let height: f64 = self.rows.iter().map(PanelRow::height).sum();
        for (at, x) in self.axis.instants() {
            svg.line(x, rows_top, x, rows_top + height, "grid");
            let time = elapsed::short(self.picture.start, at);
            svg.text(x, top + 14.0, TextClass::Time, &time);
        }
        self.number_notes();
        let mut y = rows_top;
        for row in &self.rows {
            svg.line(MARGIN, y, self.axis.right, y, "rule");
            row.draw(svg, self.axis, y, &self.notes);
            y += row.height();
        }
        svg.line(MARGIN, y, self.axis.right, y, "rule");
        let y = self.draw_remarks(svg, y + BELOW);
        self.notes.draw(svg, y)
    }

    /// Gives the notes their numbers in the order of time.
    fn number_notes(&mut self) {
        let rows = self.rows.iter().enumerate();
        let mut cells: Vec<_> = rows
            .flat_map(|(i, row)| {
                let cells = row.cells.iter();
                cells.map(move |(at, is_above, cell)| ((*at, i, !is_above), *cell))
            })
            .collect();
        cells.sort_by_key(|(place, _)| *place);
        for (_, cell) in cells {
            let lines = cell.lines();
            let items = lines.iter().flatten();
            for note in items.filter_map(|(_, item)| item.note.as_deref()) {
                self.notes.add(note);
            }
        }
    }

    /// Draws what is left out, and returns where it ends.
    fn draw_remarks(&self, svg: &mut Svg, top: f64) -> f64 {
        let notes = self.notes.left_out();
        let remarks = [
            (
                self.unchanged,
                "row",
                "not shown, without a change in this part",
            ),
            (self.left_out, "row", "left out, because there are too many"),
            (
                notes,
                "mark",
                "without a number, because there are too many notes",
            ),
        ];
        let mut y = top;
        for (number, noun, text) in remarks {
            if number > 0 {
                let number = u64::try_from(number).unwrap_or(u64::MAX);
                let text = format!("{} {text}", plural(number, noun));
                svg.text(MARGIN, y + 13.0, TextClass::Remark, &text);
                y += LINE;
            }
        }
        y
    }
}

impl<'a> PanelRow<'a> {
    fn new(row: &'a Row, cells: Vec<(Timestamp, bool, &'a Cell)>, bars: Vec<&'a Bar>) -> Self {
        let lines = |above: bool| {
            let side = cells.iter().filter(|(_, is_above, _)| *is_above == above);
            side.map(|(_, _, cell)| cell.lines().len())
                .max()
                .unwrap_or(0)
        };
        let width = NAMES - MARGIN;
        Self {
            row,
            name: TextClass::Row.font().wrap(&row.name, width, NAME_LINES),
            detail: TextClass::Time.font().abbreviate(row.detail.trim(), width),
            above: lines(true),
            below: lines(false),
            cells,
            bars,
        }
    }

    /// Bars of statuses are as high as their names.
    fn bar_height(&self) -> f64 {
        match self.row.kind {
            RowKind::Interface => STATUS_BAR,
            RowKind::Match => MATCH_BAR,
            RowKind::NoInterface | RowKind::Target => 0.0,
        }
    }

    fn name_height(&self) -> f64 {
        let details = usize::from(!self.detail.is_empty());
        NAME * count(self.name.len() + details)
    }

    fn contents_height(&self) -> f64 {
        MARKS * count(self.above + self.below) + self.bar_height()
    }

    fn height(&self) -> f64 {
        self.contents_height().max(self.name_height()) + 2.0 * PADDING
    }

    fn draw(&self, svg: &mut Svg, axis: &Axis, top: f64, notes: &Notes) {
        let middle = top + self.height() / 2.0;
        let mut y = middle - self.name_height() / 2.0 + 11.0;
        for line in &self.name {
            svg.text(MARGIN, y, TextClass::Row, line);
            y += NAME;
        }
        if !self.detail.is_empty() {
            svg.text(MARGIN, y, TextClass::Time, &self.detail);
        }
        let top = middle - self.contents_height() / 2.0;
        let bar_top = top + MARKS * count(self.above);
        let below = bar_top + self.bar_height();
        for bar in &self.bars {
            draw_bar(svg, axis, bar, bar_top, self.bar_height());
        }
        for (at, is_above, cell) in &self.cells {
            let lines = cell.lines();
            // Above the bar the last line is next to it.
            let first = if *is_above {
                bar_top - MARKS * count(lines.len())
            } else {
                below
            };
            for (i, line) in lines.iter().enumerate() {
                let y = first + MARKS * (count(i) + 0.5);
                for (x, item) in line {
                    let mut x = axis.x(*at) + x + 1.0;
                    if let Some(shape) = item.shape {
                        shape.draw(svg, x + SHAPE / 2.0, y);
                        x += SHAPE + 1.0;
                    }
                    let number = item.note.as_deref().and_then(|note| notes.number(note));
                    let number = number.map_or_else(String::new, |number| number.to_string());
                    let text = format!("{number}{}", item.suffix);
                    if !text.is_empty() {
                        svg.text(x, y + 4.0, TextClass::Number, &text);
                    }
                }
            }
        }
    }
}

/// Draws a bar from its beginning to its end, as far as they are in this part, and its deadline.
fn draw_bar(svg: &mut Svg, axis: &Axis, bar: &Bar, y: f64, height: f64) {
    let from = axis.x(bar.from);
    let to = bar.to.map_or(axis.right, |to| axis.x(to));
    svg.rect(from, y, to - from, height, bar.kind.class());
    if let BarKind::Status(status) = bar.kind {
        // Light text on the two dark bars.
        let class = if matches!(status, EniStatus::InUse | EniStatus::CreateFailed) {
            TextClass::OnDark
        } else {
            TextClass::OnLight
        };
        // A name wider than its bar is left out; the legend has the colours.
        if class.font().width(status.as_str()) + 10.0 < to - from {
            svg.text(from + 5.0, y + height - 7.0, class, status.as_str());
        }
    }
    if let Some(due) = bar.due.filter(|due| axis.contains(*due)) {
        let x = axis.x(due);
        svg.line(x, y - 4.0, x, y + height + 4.0, "due");
    }
}

/// Whether a bar is in this part.
fn is_visible(bar: &Bar, axis: &Axis) -> bool {
    axis.next.is_none_or(|next| bar.from < next) && bar.to.is_none_or(|to| to >= axis.first)
}

/// Whether a bar begins or ends in this part, or has its deadline there.
fn changes(bar: &Bar, axis: &Axis) -> bool {
    let ends = [Some(bar.from), bar.to, bar.due].into_iter().flatten();
    ends.into_iter().any(|at| axis.contains(at))
}

/// As many rows as a part may have: those with problems, then the first ones, in their order.
fn most_important(rows: Vec<PanelRow<'_>>) -> Vec<PanelRow<'_>> {
    let has_problem = |row: &PanelRow<'_>| {
        let mut cells = row.cells.iter();
        cells.any(|(_, _, cell)| cell.shapes().any(super::Shape::is_problem))
    };
    let (important, others): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|i| has_problem(&rows[*i]));
    let kept = important.into_iter().chain(others).take(MAX_ROWS);
    let kept: BTreeSet<usize> = kept.collect();
    let rows = rows.into_iter().enumerate();
    rows.filter_map(|(i, row)| kept.contains(&i).then_some(row))
        .collect()
}
