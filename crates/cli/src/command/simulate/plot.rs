//! The timeline as a picture: a row for each interface and target, its statuses as bars, with marks
//! for events and rules above the bar and for requests below it, and a row for each match of a time
//! window.
//!
//! The picture has a fixed width, so that its text is readable on any screen. What does not fit
//! continues in another part below, and each part has the notes of its marks. Everything is
//! bounded: rows, marks at one instant, notes and parts; the picture says what it leaves out.

mod axis;
mod bars;
mod cells;
mod legend;
mod marks;
mod match_rows;
mod measure;
mod notes;
mod panel;
mod rows;
mod shapes;
mod svg;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use self::axis::Axis;
use self::bars::{Bar, status_bars};
use self::cells::{Cell, Place, cells};
use self::legend::Legend;
use self::match_rows::match_bars;
use self::panel::Panel;
use self::rows::Rows;
use self::shapes::Shape;
use self::svg::{Svg, TextClass};
use super::elapsed;
use super::timeline::Entry;

// Lengths in pixels.

/// The width of the picture.
const WIDTH: f64 = 1280.0;
/// The space around everything.
const MARGIN: f64 = 16.0;
/// The width of the names to the left of the axis, without the margin.
const NAMES: f64 = 170.0;
/// The height of a line of the title.
const TITLE: f64 = 22.0;
/// The most lines of the title.
const TITLE_LINES: usize = 4;
/// The space between two parts.
const BETWEEN: f64 = 22.0;
/// How many parts are drawn of the beginning, and how many of the end.
const FIRST_PARTS: usize = 16;
const LAST_PARTS: usize = 8;

/// What is drawn, without positions.
struct Picture {
    start: Timestamp,
    rows: Rows,
    bars: Vec<Bar>,
    cells: BTreeMap<Place, Cell>,
}

/// Draws the entries as an SVG document. `before` has the statuses of the interfaces at the start;
/// of these, only interfaces with entries get a row.
pub(super) fn draw(
    before: &BTreeMap<String, EniStatus>,
    entries: &[Entry],
    start: Timestamp,
    title: &str,
) -> String {
    let picture = Picture::new(before, entries, start);
    let axes = axis::parts(&picture.widths(), MARGIN + NAMES, WIDTH - MARGIN);
    let last = axes.len().saturating_sub(LAST_PARTS).max(FIRST_PARTS);
    let (first_axes, others) = axes.split_at(FIRST_PARTS.min(axes.len()));
    let left_out = &others[..last.saturating_sub(FIRST_PARTS).min(others.len())];
    let last_axes = &others[left_out.len()..];
    let shown = first_axes.iter().chain(last_axes);
    let mut panels: Vec<Panel<'_>> = shown.map(|axis| Panel::new(&picture, axis)).collect();

    let mut svg = Svg::new(WIDTH);
    let mut y = draw_title(&mut svg, title);
    y = legend_of(&panels).draw(&mut svg, y) + BETWEEN / 2.0;
    for (i, panel) in panels.iter_mut().enumerate() {
        let mut part = i + 1;
        if i >= FIRST_PARTS {
            part += left_out.len();
        }
        if i == FIRST_PARTS && !left_out.is_empty() {
            y = draw_left_out(&mut svg, &picture, left_out, y);
        }
        let title = if axes.len() > 1 {
            format!("part {part} of {}", axes.len())
        } else {
            String::new()
        };
        y = panel.draw(&mut svg, y, &title) + BETWEEN;
    }
    svg.finish(y)
}

impl Picture {
    fn new(before: &BTreeMap<String, EniStatus>, entries: &[Entry], start: Timestamp) -> Self {
        let mut rows = Rows::default();
        let mut bars = status_bars(before, entries, start, &mut rows);
        let cells = cells(marks::marks(entries, &mut rows));
        bars.extend(match_bars(entries, &mut rows));
        Self {
            start,
            rows,
            bars,
            cells,
        }
    }

    /// All instants of the axis and how wide their widest row and their time are.
    fn widths(&self) -> BTreeMap<Timestamp, f64> {
        let ends = self.bars.iter();
        let ends = ends.flat_map(|bar| [Some(bar.from), bar.to, bar.due].into_iter().flatten());
        let marks = self
            .cells
            .iter()
            .map(|((at, _, _), cell)| (*at, cell.width()));
        let start = std::iter::once((self.start, 0.0));
        let mut widths: BTreeMap<Timestamp, f64> = BTreeMap::new();
        for (at, width) in start.chain(marks).chain(ends.map(|at| (at, 0.0))) {
            let time = elapsed::short(self.start, at);
            let time = TextClass::Time.font().width(&time) + 6.0;
            let widest = widths.entry(at).or_insert(time);
            *widest = widest.max(width);
        }
        widths
    }

    /// The marks in a part of the picture.
    fn cells_of(&self, axis: &Axis) -> impl Iterator<Item = (Place, &Cell)> {
        let from = self.cells.range((axis.first, 0, false)..);
        let cells = from.take_while(|((at, _, _), _)| axis.contains(*at));
        cells.map(|(place, cell)| (*place, cell))
    }
}

/// Draws the title, and returns where it ends.
fn draw_title(svg: &mut Svg, title: &str) -> f64 {
    let title = if title.trim().is_empty() {
        "Timeline"
    } else {
        title
    };
    let font = TextClass::Title.font();
    let mut y = 10.0;
    for line in font.wrap(title, WIDTH - 2.0 * MARGIN, TITLE_LINES) {
        svg.text(MARGIN, y + 16.0, TextClass::Title, &line);
        y += TITLE;
    }
    y
}

fn legend_of(panels: &[Panel<'_>]) -> Legend {
    let mut legend = Legend::default();
    for panel in panels {
        legend.statuses.extend(panel.statuses());
        legend.has_deadlines |= panel.has_deadlines();
        for cell in panel.cells() {
            legend.shapes.extend(cell.shapes());
            legend.has_repeated |= cell.has_repeated();
            legend.has_more |= cell.has_more();
        }
    }
    legend
}

/// Says what is between the first and the last parts, and returns where that ends.
fn draw_left_out(svg: &mut Svg, picture: &Picture, axes: &[Axis], y: f64) -> f64 {
    let cells = axes.iter().flat_map(|axis| picture.cells_of(axis));
    let marks: usize = cells.map(|(_, cell)| cell.total).sum();
    let time = |axis: Option<&Axis>| {
        let at = axis.map_or(picture.start, |axis| axis.first);
        elapsed::short(picture.start, at)
    };
    let end = axes.last().and_then(|axis| axis.next);
    let end = end.map_or_else(|| time(axes.last()), |at| elapsed::short(picture.start, at));
    let text = format!(
        "left out: {} parts with {marks} marks, from {} to {end}; \
         the output of the command has all of them",
        axes.len(),
        time(axes.first()),
    );
    svg.text(MARGIN, y + 12.0, TextClass::Remark, &text);
    y + 12.0 + BETWEEN
}

/// A number of things as a factor of a length.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
