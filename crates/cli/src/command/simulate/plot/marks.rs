//! The marks of a picture: what happens at an instant.

use jiff::Timestamp;
use reflexarc_reaction::CallAnswer;

use super::super::delayed_actions::DelayStep;
use super::super::timeline::{Content, Entry, event_name};
use super::match_rows::{match_mark, targets_of};
use super::rows::{RowKind, Rows};
use super::shapes::Shape;

/// A mark in a row.
pub(super) struct Mark {
    pub(super) at: Timestamp,
    pub(super) row: usize,
    pub(super) shape: Shape,
    /// The text of the note that explains it.
    pub(super) note: Option<String>,
}

/// The marks of all entries. Successful events and deliveries need no note: the legend explains
/// them.
pub(super) fn marks(entries: &[Entry], rows: &mut Rows) -> Vec<Mark> {
    let mut marks = Vec::new();
    for entry in entries {
        if let Some(mark) = match_mark(entry, rows) {
            marks.push(mark);
            continue;
        }
        let Some((shape, note)) = mark(entry) else {
            continue;
        };
        let row = match (&entry.content, &entry.interface) {
            (Content::Delivery(call), _) => rows.id(RowKind::Target, &call.target, "target"),
            (Content::Answer { target, .. }, _) => rows.id(RowKind::Target, target, "target"),
            (_, Some(interface)) => rows.id(RowKind::Interface, interface, ""),
            (_, None) => rows.id(RowKind::NoInterface, "no interface", ""),
        };
        marks.push(Mark {
            at: entry.at,
            row,
            shape,
            note,
        });
    }
    marks
}

/// The mark of an entry and the text of its note; `None` for entries that are not marked.
fn mark(entry: &Entry) -> Option<(Shape, Option<String>)> {
    let account = entry.account.as_deref().unwrap_or_default();
    let marked = match &entry.content {
        // A refused request is marked itself.
        Content::NoEvent {
            is_refused: true, ..
        }
        | Content::Status { .. }
        | Content::Allow { .. }
        // What the rule does is marked.
        | Content::Deadline { .. }
        // Has a row of its own.
        | Content::Match { .. }
        | Content::Delay {
            step: DelayStep::Waiting(_),
            ..
        } => return None,
        Content::Rule(effects) if effects.actions.is_empty() => return None,
        Content::Request { .. } => return request_mark(&entry.content, account),
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
        Content::Note { text } => (Shape::Notice, Some(text.clone())),
        Content::Rule(effects) => {
            let text = format!("rule {}{}", effects.rule, targets_of(effects));
            (Shape::Rule, Some(text))
        }
        Content::Delay { rule, action, step } => {
            let (shape, verb) = match step {
                DelayStep::Cancelled => (Shape::Cancelled, "cancelled"),
                _ => (Shape::Rule, "delayed"),
            };
            let text = format!("{verb} by {rule} → {}", action.target());
            (shape, Some(text))
        }
        Content::Answer {
            rule,
            operation,
            answer,
            ..
        } => answer_mark(rule, operation, answer),
        Content::RuleFailed(failure) => (
            Shape::RuleFailed,
            Some(format!("rule {} failed", failure.rule)),
        ),
        Content::Delivery(call) => match &call.outcome {
            Ok(_) => (Shape::Delivered, None),
            Err(error) => {
                let text = format!("to {}: {}", call.target, error.reason());
                (Shape::Undelivered, Some(text))
            }
        },
    };
    Some(marked)
}

fn request_mark(request: &Content, account: &str) -> Option<(Shape, Option<String>)> {
    let Content::Request {
        action,
        error,
        rule,
        expected,
        ..
    } = request
    else {
        return None;
    };
    let caller = match rule {
        Some(rule) => format!("{account}, rule {rule}"),
        None => account.to_owned(),
    };
    let (shape, mut text) = match error {
        Some((code, _)) => (
            Shape::Refused,
            format!("{caller}: {action} refused, {code}"),
        ),
        None if rule.is_some() => (Shape::Called, format!("{caller}: {action}")),
        None => (Shape::Accepted, format!("{caller}: {action}")),
    };
    if let Some(expected) = expected {
        text = format!("{text}; unexpected, expected {expected}");
    }
    Some((shape, Some(text)))
}

fn answer_mark(rule: &str, operation: &str, answer: &CallAnswer) -> (Shape, Option<String>) {
    let (shape, result) = if answer.ok {
        (Shape::Delivered, "ok")
    } else {
        (Shape::Undelivered, answer.code.as_str())
    };
    (shape, Some(format!("{operation} of {rule}: {result}")))
}
