//! The timeline as a picture: a row for each interface and target, its statuses as bars, with marks
//! for events and rules above the bar and for requests below it, and a row for each match of a time
//! window.

mod axis;
mod match_rows;
mod shapes;
mod svg;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use self::axis::Axis;
use self::match_rows::{MatchBar, match_bars, match_mark, targets_of};
use self::shapes::{Shape, draw_legend, draw_shape, is_above};
use self::svg::Svg;
use super::delayed_actions::DelayStep;
use super::elapsed;
use super::timeline::{Content, Entry, event_name};

// Lengths in pixels.

/// The width of the names to the left of the axis.
const NAMES: f64 = 150.0;
/// The height of title, legend and times above the rows.
const HEAD: f64 = 96.0;
/// The height of a row: marks, bar, marks.
const ROW: f64 = 74.0;
/// The height of a status bar.
const BAR: f64 = 22.0;
/// The distance from the top of a row to its bar.
const BAR_TOP: f64 = 26.0;
/// The width of a mark with its margin.
const MARK: f64 = 19.0;
/// The height of a line of notes.
const LINE: f64 = 18.0;
/// The width of a column of notes.
const COLUMN: f64 = 390.0;
/// The row of entries about no interface: refused creations, published events.
const NO_INTERFACE: &str = "—";

/// A mark in a row.
struct Mark<'a> {
    at: Timestamp,
    row: Cow<'a, str>,
    shape: Shape,
    /// The number of the note below the picture that explains it.
    note: Option<usize>,
}

/// A status of an interface over time.
struct StatusBar<'a> {
    row: &'a str,
    status: EniStatus,
    from: Timestamp,
    /// Absent when it lasts to the end of the picture.
    to: Option<Timestamp>,
}

/// Draws the entries as an SVG document. `before` has the statuses of the interfaces at the start;
/// of these, only interfaces with entries get a row.
pub(super) fn draw(
    before: &BTreeMap<String, EniStatus>,
    entries: &[Entry],
    start: Timestamp,
    title: &str,
) -> String {
    let (marks, notes) = marks(entries, start);
    let bars = status_bars(before, entries, start);
    let matches = match_bars(entries);
    let mut rows: Vec<&str> = Vec::new();
    let names = bars.iter().map(|bar| bar.row);
    let of_matches = matches.iter().map(|bar| bar.row.as_str());
    for row in names
        .chain(marks.iter().map(|mark| &*mark.row))
        .chain(of_matches)
    {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let axis = Axis::new(
        NAMES + 12.0,
        MARK,
        marks
            .iter()
            .map(|mark| (mark.at, &*mark.row, is_above(mark.shape))),
        std::iter::once(start)
            .chain(entries.iter().map(|entry| entry.at))
            .chain(matches.iter().filter_map(|bar| bar.due)),
    );
    let rows_height = ROW * count(rows.len());
    let notes_top = HEAD + rows_height + 34.0;
    let width = axis.end().max(3.0 * COLUMN) + 24.0;
    // As many columns of notes as fit, between 3 and 6: a wide picture should not become long too.
    let columns = [3, 4, 5, 6]
        .into_iter()
        .take_while(|columns| COLUMN * count(*columns) < width)
        .last()
        .unwrap_or(3);
    let lines = notes.len().div_ceil(columns).max(1);
    let mut svg = Svg::new(width, notes_top + LINE * count(lines) + 24.0);
    svg.text(
        16.0,
        26.0,
        "title",
        if title.is_empty() { "Timeline" } else { title },
    );
    // The legend has deliveries and matches only where there are any, to stay short.
    let is_delivery =
        |entry: &Entry| matches!(entry.content, Content::Delivery(_) | Content::Answer { .. });
    draw_legend(
        &mut svg,
        entries.iter().any(is_delivery),
        !matches.is_empty(),
    );
    draw_axis(&mut svg, &axis, start, HEAD, HEAD + rows_height);
    let top = |row: &str| {
        let at = rows
            .iter()
            .position(|found| *found == row)
            .unwrap_or_default();
        HEAD + ROW * count(at)
    };
    for row in &rows {
        svg.line(16.0, top(row), axis.end(), top(row), "rule");
        let y = top(row) + BAR_TOP + BAR - 7.0;
        // A match has two lines: the rule, and whose match it is.
        let (name, below) = row.split_once('\n').unwrap_or((row, ""));
        svg.text(16.0, y, "row", &abbreviated(name));
        if !below.is_empty() {
            svg.text(16.0, y + 15.0, "time", &abbreviated(below));
        }
    }
    for bar in &bars {
        draw_bar(&mut svg, &axis, bar, top(bar.row) + BAR_TOP);
    }
    for bar in &matches {
        draw_match(&mut svg, &axis, bar, top(&bar.row) + BAR_TOP);
    }
    draw_marks(&mut svg, &axis, &marks, top);
    for (i, note) in notes.iter().enumerate() {
        let (column, line) = (i / lines, i % lines);
        let (x, y) = (
            16.0 + COLUMN * count(column),
            notes_top + LINE * count(line),
        );
        svg.text(x, y, "note", note);
    }
    svg.finish()
}

/// The marks of all entries, and the numbered notes. Successful requests, events and deliveries
/// need no note: the legend explains them.
fn marks(entries: &[Entry], start: Timestamp) -> (Vec<Mark<'_>>, Vec<String>) {
    let mut notes = Vec::new();
    let mut marks = Vec::new();
    for entry in entries {
        if let Some(mark) = match_mark(entry, start, &mut notes) {
            marks.push(mark);
            continue;
        }
        let Some((shape, text)) = mark(entry) else {
            continue;
        };
        let note = text.map(|text| numbered(&mut notes, start, entry.at, &text));
        let row = match &entry.content {
            Content::Delivery(call) => &call.target,
            Content::Answer { target, .. } => target,
            _ => entry.interface.as_deref().unwrap_or(NO_INTERFACE),
        };
        marks.push(Mark {
            at: entry.at,
            row: row.into(),
            shape,
            note,
        });
    }
    (marks, notes)
}

/// Adds a note, and returns its number.
fn numbered(notes: &mut Vec<String>, start: Timestamp, at: Timestamp, text: &str) -> usize {
    let number = notes.len() + 1;
    notes.push(format!("{number}  {}  {text}", elapsed::short(start, at)));
    number
}

/// The mark of an entry and the text of its note; `None` for entries that are not marked.
fn mark(entry: &Entry) -> Option<(Shape, Option<String>)> {
    let marked = match &entry.content {
        // A refused request is marked itself; the others are in the text only.
        Content::NoEvent {
            is_refused: true, ..
        }
        | Content::Status { .. }
        | Content::Note { .. }
        | Content::Allow { .. }
        // What the rule does is marked.
        | Content::Deadline { .. }
        // Has a row of its own.
        | Content::Match { .. }
        | Content::Delay {
            step: DelayStep::Cancelled | DelayStep::Waiting(_),
            ..
        } => return None,
        Content::Rule(effects) if effects.actions.is_empty() => return None,
        Content::Request { error: None, .. } => (Shape::Accepted, None),
        Content::Request {
            action,
            error: Some((code, _)),
            ..
        } => {
            let account = entry.account.as_deref().unwrap_or_default();
            (
                Shape::Refused,
                Some(format!("{account}: {action} refused, {code}")),
            )
        }
        Content::Event { success: true, .. } => (Shape::Success, None),
        Content::Event {
            success: false,
            operation,
            ..
        } => (Shape::Failed, Some(format!("{operation} failed"))),
        Content::Published { event } => {
            (Shape::Success, Some(format!("event {}", event_name(event))))
        }
        Content::NoEvent {
            reason, operation, ..
        } => (
            Shape::NoEvent,
            Some(format!("{operation}: no event, {reason}")),
        ),
        Content::Rule(effects) => {
            let text = format!("rule {}{}", effects.rule, targets_of(effects));
            (Shape::Rule, Some(text))
        }
        Content::Delay { rule, action, .. } => {
            let text = format!("delayed by {rule} → {}", action.target());
            (Shape::Rule, Some(text))
        }
        Content::Answer { answer, .. } if answer.ok => (Shape::Delivered, None),
        Content::Answer {
            rule,
            operation,
            answer,
            ..
        } => {
            let text = format!("{operation} of {rule}: {}", answer.code);
            (Shape::Undelivered, Some(text))
        }
        Content::RuleFailed(failure) => {
            (Shape::Rule, Some(format!("rule {} failed", failure.rule)))
        }
        Content::Delivery(call) => match &call.outcome {
            Ok(_) => (Shape::Delivered, None),
            Err(error) => {
                let reason = abbreviated(error.reason());
                (
                    Shape::Undelivered,
                    Some(format!("to {}: {reason}", call.target)),
                )
            }
        },
    };
    Some(marked)
}

fn status_bars<'a>(
    before: &'a BTreeMap<String, EniStatus>,
    entries: &'a [Entry],
    start: Timestamp,
) -> Vec<StatusBar<'a>> {
    // The index of the last bar of each interface, which the next status ends.
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bars: Vec<StatusBar<'_>> = Vec::new();
    let has_entry = |name: &str| {
        entries
            .iter()
            .any(|entry| entry.interface.as_deref() == Some(name))
    };
    for (row, status) in before.iter().filter(|(name, _)| has_entry(name)) {
        open.insert(row, bars.len());
        bars.push(StatusBar {
            row,
            status: *status,
            from: start,
            to: None,
        });
    }
    for entry in entries {
        let (Content::Status { to, .. }, Some(row)) = (&entry.content, entry.interface.as_deref())
        else {
            continue;
        };
        if let Some(before) = open.insert(row, bars.len()) {
            bars[before].to = Some(entry.at);
        }
        bars.push(StatusBar {
            row,
            status: *to,
            from: entry.at,
            to: None,
        });
    }
    // A status that ends at once has no width, and after Deleted there is nothing to show.
    bars.retain(|bar| bar.to != Some(bar.from) && bar.status != EniStatus::Deleted);
    bars
}

fn draw_axis(svg: &mut Svg, axis: &Axis, start: Timestamp, top: f64, bottom: f64) {
    /// The width of a time label; a label that would overlap the one before is left out.
    const LABEL: f64 = 58.0;
    let mut free_from = 0.0;
    for (at, x) in axis.instants() {
        svg.line(x, top, x, bottom, "grid");
        if x >= free_from {
            svg.text(x, top - 8.0, "time", &elapsed::short(start, at));
            free_from = x + LABEL;
        }
    }
}

fn draw_bar(svg: &mut Svg, axis: &Axis, bar: &StatusBar<'_>, y: f64) {
    let from = axis.x(bar.from);
    let to = bar.to.map_or(axis.end(), |to| axis.x(to));
    let name = bar.status.as_str();
    svg.rect(from, y, to - from, BAR, name);
    // A name wider than its bar is left out; the colour shows the status too.
    let width = 7.0 * count(name.len());
    if to - from > width + 6.0 {
        // Light text on the two dark bars.
        let class = if matches!(bar.status, EniStatus::InUse | EniStatus::CreateFailed) {
            "on-dark"
        } else {
            "on-light"
        };
        svg.text(from + 5.0, y + BAR - 7.0, class, name);
    }
}

/// Draws what a rule waits for: a bar from the opening to the end, and its deadline.
fn draw_match(svg: &mut Svg, axis: &Axis, bar: &MatchBar, y: f64) {
    let from = axis.x(bar.from);
    let to = bar.to.map_or(axis.end(), |to| axis.x(to));
    let class = if bar.has_fired { "reported" } else { "waiting" };
    svg.rect(from, y + BAR / 4.0, to - from, BAR / 2.0, class);
    if let Some(due) = bar.due {
        let x = axis.x(due);
        svg.line(x, y, x, y + BAR, "due");
    }
}

/// Draws marks of one instant in one row side by side, those above the bar and those below it.
fn draw_marks(svg: &mut Svg, axis: &Axis, marks: &[Mark<'_>], top: impl Fn(&str) -> f64) {
    let mut used: BTreeMap<(Timestamp, &str, bool), f64> = BTreeMap::new();
    for mark in marks {
        let above = is_above(mark.shape);
        let shift = used.entry((mark.at, &*mark.row, above)).or_default();
        let x = axis.x(mark.at) + 7.0 + *shift;
        *shift += MARK;
        let y = top(&mark.row) + if above { 14.0 } else { BAR_TOP + BAR + 12.0 };
        draw_shape(svg, mark.shape, x, y);
        if let Some(number) = mark.note {
            svg.text(
                x,
                y + 3.5,
                if mark.shape == Shape::NoEvent {
                    "number-dark"
                } else {
                    "number"
                },
                &number.to_string(),
            );
        }
    }
}

/// A number of things as a factor of a length.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// At most 18 characters, the rest replaced by an ellipsis.
fn abbreviated(text: &str) -> String {
    let mut characters = text.chars();
    let shown: String = characters.by_ref().take(18).collect();
    if characters.next().is_some() {
        format!("{shown}…")
    } else {
        shown
    }
}
