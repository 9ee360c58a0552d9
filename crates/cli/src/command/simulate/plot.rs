//! The timeline as a picture: a lane for each interface, its statuses as bars, with what happened above and below.

mod axis;
mod svg;

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use self::axis::Axis;
use self::svg::Svg;
use super::timeline::{Entry, What};

const GUTTER: f64 = 150.0;
const HEAD: f64 = 96.0;
const LANE: f64 = 74.0;
const BAR: f64 = 22.0;
const MARK: f64 = 19.0;
const LINE: f64 = 18.0;
const COLUMN: f64 = 390.0;
/// The lane of what has to do with no interface: refused creations, published events.
const NOWHERE: &str = "—";

/// What is marked, and what stands below the picture about it.
struct Mark<'a> {
    at: Timestamp,
    lane: &'a str,
    shape: Shape,
    /// The number that the list below explains; shapes without one explain themselves.
    number: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Accepted,
    Refused,
    Success,
    Failed,
    Silent,
    Rule,
    Delivered,
    Undelivered,
}

/// A status of an interface and how long it lasted.
struct Stay<'a> {
    lane: &'a str,
    status: EniStatus,
    from: Timestamp,
    /// Until the end of the picture when absent.
    to: Option<Timestamp>,
}

/// Draws the entries as an SVG document; `before` says how the interfaces stood when it began, and only those have a
/// lane to which something happens.
pub(super) fn draw(
    before: &BTreeMap<String, EniStatus>,
    entries: &[Entry],
    start: Timestamp,
    title: &str,
) -> String {
    let (marks, notes) = marks(entries, start);
    let stays = stays(before, entries, start);
    let mut lanes: Vec<&str> = Vec::new();
    for lane in stays
        .iter()
        .map(|stay| stay.lane)
        .chain(marks.iter().map(|mark| mark.lane))
    {
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    let axis = Axis::new(
        GUTTER + 12.0,
        MARK,
        marks
            .iter()
            .map(|mark| (mark.at, mark.lane, is_above(mark.shape))),
        std::iter::once(start).chain(entries.iter().map(|entry| entry.at)),
    );
    let lanes_height = LANE * count(lanes.len());
    let notes_top = HEAD + lanes_height + 34.0;
    let width = axis.end().max(3.0 * COLUMN) + 24.0;
    let columns = [3, 4, 5, 6]
        .into_iter()
        .take_while(|columns| COLUMN * count(*columns) < width)
        .last()
        .unwrap_or(3);
    let rows = notes.len().div_ceil(columns).max(1);
    let mut svg = Svg::new(width, notes_top + LINE * count(rows) + 24.0);
    svg.text(
        16.0,
        26.0,
        "title",
        if title.is_empty() { "Timeline" } else { title },
    );
    legend(
        &mut svg,
        entries
            .iter()
            .any(|entry| matches!(entry.what, What::Delivery(_))),
    );
    draw_axis(&mut svg, &axis, start, HEAD, HEAD + lanes_height);
    let top = |lane: &str| {
        let at = lanes
            .iter()
            .position(|found| *found == lane)
            .unwrap_or_default();
        HEAD + LANE * count(at)
    };
    for lane in &lanes {
        svg.line(16.0, top(lane), axis.end(), top(lane), "rule");
        svg.text(16.0, top(lane) + 26.0 + BAR - 7.0, "lane", &short(lane));
    }
    for stay in &stays {
        draw_stay(&mut svg, &axis, stay, top(stay.lane) + 26.0);
    }
    draw_marks(&mut svg, &axis, &marks, top);
    for (i, note) in notes.iter().enumerate() {
        let (column, line) = (i / rows, i % rows);
        svg.text(
            16.0 + COLUMN * count(column),
            notes_top + LINE * count(line),
            "note",
            note,
        );
    }
    svg.finish()
}

/// Every mark in order, and the numbered notes.
fn marks(entries: &[Entry], start: Timestamp) -> (Vec<Mark<'_>>, Vec<String>) {
    let mut notes = Vec::new();
    let mut marks = Vec::new();
    for entry in entries {
        let mut note = |words: String| {
            notes.push(format!(
                "{}  {}  {words}",
                notes.len() + 1,
                clock(start, entry.at)
            ));
            Some(notes.len())
        };
        let (shape, number) = match &entry.what {
            What::Request { refusal: None, .. } => (Shape::Accepted, None),
            What::Request {
                action,
                refusal: Some((code, _)),
                ..
            } => {
                let account = entry.account.as_deref().unwrap_or_default();
                (
                    Shape::Refused,
                    note(format!("{account}: {action} refused, {code}")),
                )
            }
            What::Event { success: true, .. } => (Shape::Success, None),
            What::Event {
                success: false,
                operation,
                ..
            } => (Shape::Failed, note(format!("{operation} failed"))),
            What::Published { event } => {
                let name = event
                    .tree()
                    .get("name")
                    .and_then(|name| name.as_str())
                    .unwrap_or("an event");
                (Shape::Success, note(format!("event {name}")))
            }
            What::NoEventReason { reason, .. } if reason.starts_with("the request was refused") => {
                continue;
            }
            What::NoEventReason {
                reason, operation, ..
            } => (
                Shape::Silent,
                note(format!("{operation}: no event, {reason}")),
            ),
            // A rule that matched and asked for nothing is in the text, not in the picture.
            What::Rule(effects) if effects.actions.is_empty() => continue,
            What::Rule(effects) => {
                let targets: Vec<&str> = effects
                    .actions
                    .iter()
                    .map(reflexarc_reaction::Action::target)
                    .collect();
                (
                    Shape::Rule,
                    note(format!("rule {} → {}", effects.rule, targets.join(", "))),
                )
            }
            What::RuleFailed(failure) => {
                (Shape::Rule, note(format!("rule {} failed", failure.rule)))
            }
            What::Delivery(call) => match &call.outcome {
                Ok(_) => (Shape::Delivered, None),
                Err(error) => (
                    Shape::Undelivered,
                    note(format!("to {}: {}", call.target, short(error.reason()))),
                ),
            },
            What::Status { .. } | What::Staged { .. } => continue,
        };
        let lane = match &entry.what {
            What::Delivery(call) => &call.target,
            _ => entry.interface.as_deref().unwrap_or(NOWHERE),
        };
        marks.push(Mark {
            at: entry.at,
            lane,
            shape,
            number,
        });
    }
    (marks, notes)
}

fn stays<'a>(
    before: &'a BTreeMap<String, EniStatus>,
    entries: &'a [Entry],
    start: Timestamp,
) -> Vec<Stay<'a>> {
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stays: Vec<Stay<'_>> = Vec::new();
    let touched = |name: &str| {
        entries
            .iter()
            .any(|entry| entry.interface.as_deref() == Some(name))
    };
    for (lane, status) in before.iter().filter(|(name, _)| touched(name)) {
        open.insert(lane, stays.len());
        stays.push(Stay {
            lane,
            status: *status,
            from: start,
            to: None,
        });
    }
    for entry in entries {
        let (What::Status { to, .. }, Some(lane)) = (&entry.what, entry.interface.as_deref())
        else {
            continue;
        };
        if let Some(before) = open.insert(lane, stays.len()) {
            stays[before].to = Some(entry.at);
        }
        stays.push(Stay {
            lane,
            status: *to,
            from: entry.at,
            to: None,
        });
    }
    stays.retain(|stay| stay.to != Some(stay.from) && stay.status != EniStatus::Deleted);
    stays
}

fn draw_axis(svg: &mut Svg, axis: &Axis, start: Timestamp, top: f64, bottom: f64) {
    let mut free_from = 0.0;
    for (at, x) in axis.instants() {
        svg.line(x, top, x, bottom, "grid");
        let label = clock(start, at);
        if x >= free_from {
            svg.text(x, top - 8.0, "time", &label);
            free_from = x + 58.0;
        }
    }
}

fn draw_stay(svg: &mut Svg, axis: &Axis, stay: &Stay<'_>, y: f64) {
    let from = axis.x(stay.from);
    let to = stay.to.map_or(axis.end(), |to| axis.x(to));
    svg.rect(from, y, to - from, BAR, stay.status.as_str());
    let name = stay.status.as_str();
    let width = 7.0 * count(name.len());
    if to - from > width + 6.0 {
        let class = if matches!(stay.status, EniStatus::InUse | EniStatus::CreateFailed) {
            "on-dark"
        } else {
            "on-light"
        };
        svg.text(from + 5.0, y + BAR - 7.0, class, name);
    }
}

/// Marks of one instant in one lane stand side by side: events and rules above the bar, requests below.
fn draw_marks(svg: &mut Svg, axis: &Axis, marks: &[Mark<'_>], top: impl Fn(&str) -> f64) {
    let mut taken: BTreeMap<(Timestamp, &str, bool), f64> = BTreeMap::new();
    for mark in marks {
        let above = is_above(mark.shape);
        let shift = taken.entry((mark.at, mark.lane, above)).or_default();
        let x = axis.x(mark.at) + 7.0 + *shift;
        *shift += MARK;
        let y = top(mark.lane) + if above { 14.0 } else { 26.0 + BAR + 12.0 };
        shape(svg, mark.shape, x, y);
        if let Some(number) = mark.number {
            svg.text(
                x,
                y + 3.5,
                if mark.shape == Shape::Silent {
                    "number-dark"
                } else {
                    "number"
                },
                &number.to_string(),
            );
        }
    }
}

fn shape(svg: &mut Svg, shape: Shape, x: f64, y: f64) {
    match shape {
        Shape::Accepted => svg.polygon(
            &[(x, y - 6.0), (x + 6.0, y + 5.0), (x - 6.0, y + 5.0)],
            "accepted",
        ),
        Shape::Refused => svg.rect(x - 6.5, y - 6.5, 13.0, 13.0, "refused"),
        Shape::Success => svg.circle(x, y, 6.5, "success"),
        Shape::Failed => svg.circle(x, y, 6.5, "failed"),
        Shape::Silent => svg.circle(x, y, 6.0, "silent"),
        Shape::Delivered => svg.rect(x - 6.5, y - 5.0, 13.0, 10.0, "delivered"),
        Shape::Undelivered => svg.rect(x - 6.5, y - 5.0, 13.0, 10.0, "undelivered"),
        Shape::Rule => svg.polygon(
            &[(x, y - 10.0), (x + 10.0, y), (x, y + 10.0), (x - 10.0, y)],
            "reaction",
        ),
    }
}

fn legend(svg: &mut Svg, with_deliveries: bool) {
    let mut words = vec![
        (Shape::Accepted, "request accepted"),
        (Shape::Refused, "request refused"),
        (Shape::Success, "event"),
        (Shape::Failed, "event: failed"),
        (Shape::Silent, "no event"),
        (Shape::Rule, "rule asked for something"),
    ];
    if with_deliveries {
        words.extend([
            (Shape::Delivered, "delivered"),
            (Shape::Undelivered, "not delivered"),
        ]);
    }
    let mut x = 22.0;
    for (sign, word) in words {
        shape(svg, sign, x, 48.0);
        svg.text(x + 12.0, 52.0, "note", word);
        x += 40.0 + 6.6 * count(word.len());
    }
}

/// A small number as a length.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn is_above(shape: Shape) -> bool {
    !matches!(shape, Shape::Accepted | Shape::Refused)
}

fn short(lane: &str) -> String {
    let mut characters = lane.chars();
    let shown: String = characters.by_ref().take(18).collect();
    if characters.next().is_some() {
        format!("{shown}…")
    } else {
        shown
    }
}

fn clock(start: Timestamp, at: Timestamp) -> String {
    let seconds = at.duration_since(start).as_secs().max(0);
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}
