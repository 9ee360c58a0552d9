//! Entries as lines for people.

use reflexarc_event::Json;

use crate::exit::Failure;
use crate::output::text::{printable, truncate};
use crate::output::{Output, Paint};

/// Prints an entry: a line, and one more for each rule.
pub(super) fn print(entry: &Json, output: &mut Output) -> Result<(), Failure> {
    let kind = text(entry, "kind");
    let time = output.paint(Paint::Dim, text(entry, "at"));
    let label = output.paint(Paint::Bold, format_args!("{kind:<8}"));
    let what = match kind.as_str() {
        "event" => event(entry),
        "firing" => format!(
            "{} {} {}",
            text(entry, "rule"),
            text(entry, "key"),
            text(entry, "outcome")
        ),
        "answer" => answer(entry, output),
        _ => attempt(entry, output),
    };
    output.line(format_args!("{time} {label} {what}"))?;
    for rule in elements(entry, "rules") {
        output.line(format_args!("    {}", verdict(rule, output)))?;
        for line in elements(rule, "log") {
            output.line(format_args!("        log: {}", short(line)))?;
        }
    }
    for failure in elements(entry, "failures") {
        let failed = output.paint(Paint::Red, "failed");
        let message = text(failure, "message");
        output.line(format_args!(
            "    {} {failed}: {message}",
            text(failure, "rule")
        ))?;
    }
    Ok(())
}

/// What was not sent.
pub(super) fn left_out(entry: &Json) -> String {
    let reason = text(entry, "reason");
    match entry.get("count").and_then(Json::as_i64) {
        Some(1) => format!("1 entry was left out: {reason}"),
        Some(count) => format!("{count} entries were left out: {reason}"),
        None => format!("entries may have been left out: {reason}"),
    }
}

fn event(entry: &Json) -> String {
    let mut line = format!("{} {}", text(entry, "seq"), text(entry, "id"));
    for member in ["name", "resource"] {
        let text = text(entry, member);
        if !text.is_empty() {
            line.push(' ');
            line.push_str(&text);
        }
    }
    if entry.get("duplicate") == Some(&Json::Bool(true)) {
        line.push_str(" (duplicate)");
    }
    line
}

fn attempt(entry: &Json, output: &Output) -> String {
    let outcome = text(entry, "outcome");
    let paint = match outcome.as_str() {
        "delivered" | "answered" => Paint::Green,
        _ => Paint::Red,
    };
    let operation = entry.get("operation").map(short);
    let operation = operation.map_or_else(String::new, |operation| format!(" {operation}"));
    let mut line = format!(
        "{} to {}{operation}: {} in {} ms, attempt {}",
        text(entry, "delivery"),
        text(entry, "target"),
        output.paint(paint, &outcome),
        text(entry, "milliseconds"),
        text(entry, "attempt"),
    );
    let next = text(entry, "next");
    if next == "retry" {
        line.push_str(&format!("; again at {}", text(entry, "due")));
    } else if next == "dead letter" {
        line.push_str("; dead letter");
    }
    let answer = text(entry, "answer");
    if paint == Paint::Red && !answer.is_empty() {
        line.push_str(&format!(": {answer}"));
    }
    let (rule, event) = (text(entry, "rule"), text(entry, "event"));
    line.push_str(&format!(" (rule {rule}, event {event})"));
    line
}

fn answer(entry: &Json, output: &Output) -> String {
    let is_ok = entry.get("ok") == Some(&Json::Bool(true));
    let (paint, word) = if is_ok {
        (Paint::Green, "ok".to_owned())
    } else {
        (Paint::Red, text(entry, "code"))
    };
    format!(
        "{} of {} for rule {}: {} {}",
        text(entry, "operation"),
        text(entry, "target"),
        text(entry, "rule"),
        output.paint(paint, word),
        text(entry, "answer")
    )
}

fn verdict(rule: &Json, output: &Output) -> String {
    let outcome = text(rule, "outcome");
    let paint = match outcome.as_str() {
        "reacted" => Paint::Green,
        _ => Paint::Yellow,
    };
    let mut line = format!("{} {}", text(rule, "rule"), output.paint(paint, &outcome));
    let reason = rule.get("reason").map(short);
    if let Some(reason) = reason {
        line.push_str(&format!(": {reason}"));
    }
    for step in elements(rule, "steps") {
        line.push_str(&format!("; {}", short(step)));
    }
    let actions = elements(rule, "actions").iter().map(|action| {
        let operation = action.get("operation").map(short);
        let operation = operation.map_or_else(String::new, |name| format!(" {name}"));
        format!(
            "{}{operation} to {}",
            text(action, "kind"),
            text(action, "target")
        )
    });
    let actions = actions.collect::<Vec<_>>().join(", ");
    if !actions.is_empty() {
        line.push_str(&format!(": {actions}"));
    }
    line
}

/// A member of untrusted content, on one line, with control characters escaped; empty for members
/// that an entry of this kind does not have.
fn text(json: &Json, member: &str) -> String {
    json.get(member).map(short).unwrap_or_default()
}

fn short(value: &Json) -> String {
    let text = match value {
        Json::Null => String::new(),
        value => printable(value),
    };
    truncate(&text).into_owned()
}

fn elements<'j>(json: &'j Json, member: &str) -> &'j [Json] {
    json.get(member).map_or(&[][..], Json::elements)
}
