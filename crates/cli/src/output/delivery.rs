//! Deliveries for people: state, attempts and the responses of the receiver.

use reflexarc_event::Json;

use super::Output;
use super::table::time_of;
use super::text::printable;
use crate::exit::Failure;

/// Prints a delivery, given as the JSON of the store, and each of its attempts on a line.
pub(crate) fn print(delivery: &Json, output: &mut Output) -> Result<(), Failure> {
    let (id, status, target) = (
        field(delivery, "id"),
        field(delivery, "status"),
        field(delivery, "target"),
    );
    let (rule, event) = (field(delivery, "rule"), field(delivery, "event"));
    output.line(format_args!(
        "delivery {id} to {target}: {status} (rule {rule}, event {event})"
    ))?;
    if let Some(reason) = delivery.get("reason").and_then(Json::as_str) {
        output.line(format_args!("  {reason}"))?;
    }
    if delivery.get("waits") == Some(&Json::Bool(true)) {
        output.line(format_args!(
            "  waits for the delivery before of its key or resource"
        ))?;
    }
    if let Some(delay) = delay_text(delivery) {
        let is_pending = delivery.get("status").and_then(Json::as_str) == Some("pending");
        let due = if is_pending {
            format!(", due {}", time_of(&field(delivery, "due")))
        } else {
            String::new()
        };
        output.line(format_args!("  {delay}{due}"))?;
    }
    if let Some(incident) = delivery.get("incident") {
        let (incident, phase) = (printable(incident), field(delivery, "phase"));
        output.line(format_args!("  of incident {incident}: {phase}"))?;
    }
    for period in elements(delivery, "withheld") {
        let is_open = period.get("ended") == Some(&Json::Null);
        let end = if is_open { "until" } else { "ended" };
        let time = time_of(&field(period, end));
        let (by, since) = (field(period, "by"), time_of(&field(period, "since")));
        output.line(format_args!(
            "  withheld by {by} since {since} {} {time}",
            if is_open { "until" } else { "to" }
        ))?;
    }
    for attempt in elements(delivery, "attempts") {
        let (number, started) = (
            field(attempt, "number"),
            time_of(&field(attempt, "started")),
        );
        let (duration, outcome, response) = (
            field(attempt, "milliseconds"),
            field(attempt, "outcome"),
            field(attempt, "answer"),
        );
        // Several that were folded into one: how many, and when the last one was.
        let until = attempt.get("count").map_or_else(String::new, |count| {
            let last = time_of(&field(attempt, "last_started"));
            format!(" and {} more until {last}", later(count))
        });
        let digest = attempt.get("digest").map_or_else(String::new, |digest| {
            format!(", in digest {}", printable(digest))
        });
        output.line(format_args!(
            "  attempt {number}, {started}{until}, {duration} ms{digest}: {outcome}: {response}"
        ))?;
    }
    Ok(())
}

/// `delayed by 15m, key manager` of a delivery, given as the JSON of the store.
fn delay_text(delivery: &Json) -> Option<String> {
    let after = delivery.get("after").map(printable);
    let after = after.map(|after| format!("delayed by {after}"));
    let key = delivery.get("key").map(printable);
    let key = key.map(|key| format!("key {key}"));
    let parts: Vec<String> = [after, key].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// One less than a count; what is no count as it is.
fn later(count: &Json) -> String {
    let later = count.as_i64().map(|count| count.saturating_sub(1));
    later.map_or_else(|| printable(count), |later| later.to_string())
}

/// A member of an object as printable text; empty if it is missing.
pub(crate) fn field(json: &Json, key: &str) -> String {
    json.get(key).map_or(String::new(), printable)
}

/// The elements of an array member; none if it is missing.
pub(crate) fn elements<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).map_or(&[], Json::elements)
}
