//! The marks of a picture, and its legend.

use super::count;
use super::svg::Svg;

/// The shape of a mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Accepted,
    Refused,
    Success,
    Failed,
    NoEvent,
    Rule,
    Delivered,
    Undelivered,
    /// A rule begins to wait.
    Opened,
    /// It ends to wait, without a reaction.
    Closed,
    /// It reacts to what it has waited for.
    Fired,
    /// It reacts to the end of that.
    Resolved,
}

/// Whether marks of this shape are above the bar of their row.
pub(super) fn is_above(shape: Shape) -> bool {
    !matches!(shape, Shape::Accepted | Shape::Refused)
}

/// Draws a mark around a point.
pub(super) fn draw_shape(svg: &mut Svg, shape: Shape, x: f64, y: f64) {
    let diamond = [(x, y - 10.0), (x + 10.0, y), (x, y + 10.0), (x - 10.0, y)];
    match shape {
        Shape::Accepted => svg.polygon(
            &[(x, y - 6.0), (x + 6.0, y + 5.0), (x - 6.0, y + 5.0)],
            "accepted",
        ),
        Shape::Refused => svg.rect(x - 6.5, y - 6.5, 13.0, 13.0, "refused"),
        Shape::Success => svg.circle(x, y, 6.5, "success"),
        Shape::Failed => svg.circle(x, y, 6.5, "failed"),
        Shape::NoEvent => svg.circle(x, y, 6.0, "silent"),
        Shape::Delivered => svg.rect(x - 6.5, y - 5.0, 13.0, 10.0, "delivered"),
        Shape::Undelivered => svg.rect(x - 6.5, y - 5.0, 13.0, 10.0, "undelivered"),
        Shape::Rule => svg.polygon(&diamond, "reaction"),
        Shape::Opened => svg.polygon(
            &[(x - 5.0, y - 6.0), (x + 6.0, y), (x - 5.0, y + 6.0)],
            "opened",
        ),
        Shape::Closed => svg.rect(x - 5.0, y - 5.0, 10.0, 10.0, "closed"),
        Shape::Fired => svg.polygon(&diamond, "fired"),
        Shape::Resolved => svg.polygon(&diamond, "resolved"),
    }
}

/// Draws the legend: all shapes, those of deliveries and matches only on demand.
pub(super) fn draw_legend(svg: &mut Svg, with_deliveries: bool, with_matches: bool) {
    let mut shapes = vec![
        (Shape::Accepted, "request accepted"),
        (Shape::Refused, "request refused"),
        (Shape::Success, "event"),
        (Shape::Failed, "event: failed"),
        (Shape::NoEvent, "no event"),
        (Shape::Rule, "rule with actions"),
    ];
    if with_deliveries {
        shapes.extend([
            (Shape::Delivered, "delivered or answered"),
            (Shape::Undelivered, "not delivered or refused"),
        ]);
    }
    let mut x = 22.0;
    for (shape, label) in shapes {
        x = draw_entry(svg, shape, x, 48.0, label);
    }
    if !with_matches {
        return;
    }
    // On a line of its own: the picture need not be wider.
    let mut x = 22.0;
    for (shape, label) in [
        (Shape::Opened, "rule begins to wait"),
        (Shape::Closed, "wait ended in time"),
        (Shape::Fired, "fired"),
        (Shape::Resolved, "resolved"),
    ] {
        x = draw_entry(svg, shape, x, 70.0, label);
    }
    svg.line(x, 62.0, x, 78.0, "due");
    svg.text(x + 8.0, 74.0, "note", "deadline");
}

/// Draws a shape with its label, and returns where the next one begins.
fn draw_entry(svg: &mut Svg, shape: Shape, x: f64, y: f64, label: &str) -> f64 {
    draw_shape(svg, shape, x, y);
    svg.text(x + 12.0, y + 4.0, "note", label);
    x + 40.0 + 6.6 * count(label.len())
}
