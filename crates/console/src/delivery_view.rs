//! Deliveries as pages show them.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::store::DeliveryStatus;

use crate::effects::{ActionView, elements, text};
use crate::links;
use crate::page::Page;
use crate::parts::{Badge, Tone, When};
use crate::text::{Block, Shown};

/// A delivery with its attempts.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryView {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) status: Badge,
    pub(crate) target: Shown,
    pub(crate) target_href: String,
    pub(crate) rule: Shown,
    pub(crate) rule_href: String,
    pub(crate) event: Shown,
    pub(crate) source: Shown,
    pub(crate) created: Option<When>,
    /// When it is attempted next, while it is pending.
    pub(crate) due: Option<When>,
    pub(crate) finished: Option<When>,
    pub(crate) waits: bool,
    pub(crate) reason: Shown,
    pub(crate) replay: Shown,
    pub(crate) parts: Vec<Shown>,
    pub(crate) scope: Shown,
    pub(crate) phase: Shown,
    pub(crate) incident: Option<(i64, String)>,
    pub(crate) action: ActionView,
    pub(crate) is_call: bool,
    pub(crate) attempts: Vec<AttemptView>,
    pub(crate) withheld: Vec<WithheldView>,
    /// What an operator can do with it.
    pub(crate) operations: Vec<OperationLink>,
}

/// An attempt to deliver, or several in a row.
#[derive(Debug, Clone)]
pub(crate) struct AttemptView {
    pub(crate) number: Shown,
    pub(crate) started: Option<When>,
    /// How many were folded into this one, and when the last one began.
    pub(crate) folded: Option<(Shown, Option<When>)>,
    pub(crate) milliseconds: Shown,
    pub(crate) outcome: Badge,
    pub(crate) answer: Block,
    pub(crate) digest: Shown,
}

/// A time in which a delivery was withheld.
#[derive(Debug, Clone)]
pub(crate) struct WithheldView {
    pub(crate) by: Shown,
    pub(crate) since: Option<When>,
    pub(crate) until: Option<When>,
    pub(crate) ended: Option<When>,
}

/// A link to the page that confirms an operation.
#[derive(Debug, Clone)]
pub(crate) struct OperationLink {
    pub(crate) name: &'static str,
    pub(crate) href: String,
}

impl DeliveryView {
    /// Of a delivery as the API has it; `page` is where it is shown.
    pub(crate) fn of(delivery: &Json, page: &Page) -> Self {
        let status = text(delivery, "status");
        let (id, target, rule) = (
            text(delivery, "id"),
            text(delivery, "target"),
            text(delivery, "rule"),
        );
        let action = delivery.get("action").unwrap_or(&Json::Null);
        let incident = delivery.get("incident").and_then(Json::as_i64);
        let strings = |name| elements(delivery, name).iter().map(Shown::value).collect();
        let is_call = action.get("call").is_some();
        Self {
            href: links::delivery(id),
            status: Badge::new(status, tone(status)),
            target: Shown::line(target),
            target_href: links::target(target),
            rule: Shown::line(rule),
            rule_href: links::rule(rule),
            event: Shown::field(delivery, "event"),
            source: Shown::field(delivery, "source"),
            created: time(delivery, "created"),
            due: time(delivery, "due").filter(|_| status == "pending"),
            finished: time(delivery, "finished"),
            waits: delivery.get("waits").and_then(Json::as_bool) == Some(true),
            reason: Shown::field(delivery, "reason"),
            replay: Shown::field(delivery, "replay"),
            parts: strings("taken"),
            scope: Shown::field(delivery, "scope"),
            phase: Shown::field(delivery, "phase"),
            incident: incident.map(|id| (id, links::incident(id))),
            action: ActionView::of(action),
            is_call,
            attempts: elements(delivery, "attempts").iter().map(attempt).collect(),
            withheld: elements(delivery, "withheld")
                .iter()
                .map(withheld)
                .collect(),
            operations: operations(id, status, is_call, page),
            id: id.to_owned(),
        }
    }
}

/// What an operator can do with a delivery of this status; nothing without the role.
pub(crate) fn operations(id: &str, status: &str, is_call: bool, page: &Page) -> Vec<OperationLink> {
    if !page.operates() {
        return Vec::new();
    }
    let link = |name, operation| OperationLink {
        name,
        href: page.confirm(operation, &[("id", id)]),
    };
    match status {
        "dead" if is_call => vec![link("Drop", "drop")],
        "dead" => vec![link("Redrive", "redrive"), link("Drop", "drop")],
        "pending" | "withheld" => vec![link("Cancel", "cancel")],
        _ => Vec::new(),
    }
}

/// The badge of a status.
pub(crate) fn status_badge(status: DeliveryStatus) -> Badge {
    Badge::new(status.as_str(), tone(status.as_str()))
}

/// A member that is a time.
pub(crate) fn time(json: &Json, name: &str) -> Option<When> {
    let time: Result<Timestamp, _> = text(json, name).parse();
    time.ok().map(When)
}

fn attempt(attempt: &Json) -> AttemptView {
    let outcome = text(attempt, "outcome");
    let tone = match outcome {
        "delivered" | "answered" => Tone::Good,
        "partly" | "throttled" => Tone::Warning,
        _ => Tone::Bad,
    };
    let folded = attempt.get("count");
    AttemptView {
        number: Shown::field(attempt, "number"),
        started: time(attempt, "started"),
        folded: folded.map(|count| (Shown::value(count), time(attempt, "last_started"))),
        milliseconds: Shown::field(attempt, "milliseconds"),
        outcome: Badge::new(outcome, tone),
        answer: Block::new(text(attempt, "answer")),
        digest: Shown::field(attempt, "digest"),
    }
}

fn withheld(period: &Json) -> WithheldView {
    WithheldView {
        by: Shown::field(period, "by"),
        since: time(period, "since"),
        until: time(period, "until"),
        ended: time(period, "ended"),
    }
}

fn tone(status: &str) -> Tone {
    match status {
        "delivered" | "answered" => Tone::Good,
        "dead" | "unreadable" => Tone::Bad,
        "withheld" | "silenced" => Tone::Warning,
        _ => Tone::Plain,
    }
}
