//! The marks of a picture: each kind has a shape and a colour of its own.

use super::svg::Svg;

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Accepted,
    /// A request of a rule.
    Called,
    Refused,
    Success,
    Failed,
    NoEvent,
    Rule,
    RuleFailed,
    /// A delayed action that will not be executed.
    Cancelled,
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
    /// A note about the simulation.
    Notice,
}

/// The width and the height of the box around a mark.
pub(super) const SHAPE: f64 = 16.0;

impl Shape {
    /// All shapes in the order of the legend, with its text.
    pub(super) const LEGEND: [(Self, &'static str); 16] = [
        (Self::Accepted, "request accepted"),
        (Self::Called, "request of a rule"),
        (Self::Refused, "request refused, no event"),
        (Self::Success, "event"),
        (Self::Failed, "event: failed"),
        (Self::NoEvent, "no event published"),
        (Self::Notice, "fault or note"),
        (Self::Rule, "rule with actions"),
        (Self::RuleFailed, "rule failed"),
        (Self::Cancelled, "action cancelled"),
        (Self::Delivered, "delivered or answered"),
        (Self::Undelivered, "not delivered or refused"),
        (Self::Opened, "rule begins to wait"),
        (Self::Closed, "wait ended in time"),
        (Self::Fired, "fired"),
        (Self::Resolved, "resolved"),
    ];

    /// Whether marks of this shape are above the bar of their row.
    pub(super) fn is_above(self) -> bool {
        !matches!(self, Self::Accepted | Self::Called | Self::Refused)
    }

    /// Whether it is something to look at first: rows with such marks are left out last.
    pub(super) fn is_problem(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Failed
                | Self::NoEvent
                | Self::RuleFailed
                | Self::Undelivered
                | Self::Fired
        )
    }

    /// Draws the mark around a point.
    pub(super) fn draw(self, svg: &mut Svg, x: f64, y: f64) {
        let diamond = [(x, y - 8.0), (x + 8.0, y), (x, y + 8.0), (x - 8.0, y)];
        let triangle = [(x, y - 6.0), (x + 6.5, y + 5.5), (x - 6.5, y + 5.5)];
        match self {
            Self::Accepted => svg.polygon(&triangle, "accepted"),
            Self::Called => svg.polygon(&triangle, "called"),
            Self::Refused => {
                svg.rect(x - 7.0, y - 7.0, 14.0, 14.0, "refused");
                cross(svg, x, y, 3.5);
            }
            Self::Success => svg.circle(x, y, 6.5, "success"),
            Self::Failed => {
                svg.circle(x, y, 7.0, "failed");
                cross(svg, x, y, 3.0);
            }
            Self::NoEvent => {
                svg.circle(x, y, 6.5, "silent");
                svg.line(x - 4.0, y + 4.0, x + 4.0, y - 4.0, "slash");
            }
            Self::Rule => svg.polygon(&diamond, "reaction"),
            Self::RuleFailed => {
                let inner = [(x, y - 7.0), (x + 7.0, y), (x, y + 7.0), (x - 7.0, y)];
                svg.polygon(&inner, "rule-failed");
            }
            Self::Cancelled => {
                svg.rect(x - 6.0, y - 6.0, 12.0, 12.0, "cancelled");
                svg.line(x - 4.0, y + 4.0, x + 4.0, y - 4.0, "slash");
            }
            Self::Delivered => svg.rect(x - 7.0, y - 5.0, 14.0, 10.0, "delivered"),
            Self::Undelivered => {
                svg.rect(x - 7.0, y - 5.0, 14.0, 10.0, "undelivered");
                cross(svg, x, y, 3.0);
            }
            Self::Opened => svg.polygon(
                &[(x - 5.0, y - 6.0), (x + 6.0, y), (x - 5.0, y + 6.0)],
                "opened",
            ),
            Self::Closed => svg.rect(x - 5.0, y - 5.0, 10.0, 10.0, "closed"),
            Self::Fired => svg.polygon(&diamond, "fired"),
            Self::Resolved => svg.polygon(&diamond, "resolved"),
            Self::Notice => svg.polygon(
                &[(x, y + 6.0), (x + 6.5, y - 5.5), (x - 6.5, y - 5.5)],
                "notice",
            ),
        }
    }
}

/// A white cross in a mark, so that failures are visible without colours too.
fn cross(svg: &mut Svg, x: f64, y: f64, size: f64) {
    svg.line(x - size, y - size, x + size, y + size, "cross");
    svg.line(x - size, y + size, x + size, y - size, "cross");
}
