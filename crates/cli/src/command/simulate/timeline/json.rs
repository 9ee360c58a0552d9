//! The entries of a timeline as JSON.

use reflexarc_event::EniStatus;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::attempt;
use super::super::delayed_actions::DelayStep;
use super::{Content, Entry};
use crate::output::evaluation::RuleReport;
use crate::output::match_text::script_key;

/// An object with `at` and `kind`, and further members for each kind.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at.to_string())?;
        map.serialize_entry("kind", self.content.kind())?;
        if let Some(account) = &self.account {
            map.serialize_entry("account", account)?;
        }
        if let Some(interface) = &self.interface {
            map.serialize_entry("interface", interface)?;
        }
        match &self.content {
            Content::Request {
                action,
                request_id,
                error,
                rule,
                expected,
            } => {
                map.serialize_entry("action", action)?;
                map.serialize_entry("requestId", request_id)?;
                map.serialize_entry(
                    "answer",
                    error.as_ref().map_or("accepted", |(code, _)| code),
                )?;
                if let Some((_, message)) = error {
                    map.serialize_entry("message", message)?;
                }
                if let Some(rule) = rule {
                    map.serialize_entry("rule", rule)?;
                }
                if let Some(expected) = expected {
                    map.serialize_entry("expected", expected)?;
                }
            }
            Content::Status { from, to, instance } => {
                map.serialize_entry("from", &from.map(EniStatus::as_str))?;
                map.serialize_entry("to", to.as_str())?;
                map.serialize_entry("instance", instance)?;
            }
            Content::Event {
                operation,
                success,
                status,
                request_id,
                event,
            } => {
                map.serialize_entry("operation", operation)?;
                map.serialize_entry("result", if *success { "success" } else { "failed" })?;
                map.serialize_entry("eniStatus", status.as_str())?;
                map.serialize_entry("requestId", request_id)?;
                map.serialize_entry("event", event.tree())?;
            }
            Content::NoEvent {
                operation,
                request_id,
                reason,
                ..
            } => {
                map.serialize_entry("operation", operation)?;
                map.serialize_entry("requestId", request_id)?;
                map.serialize_entry("reason", reason)?;
            }
            Content::Published { event } => map.serialize_entry("event", event.tree())?,
            Content::Note { text } => map.serialize_entry("what", text)?,
            Content::Deadline { .. }
            | Content::Match { .. }
            | Content::Delay { .. }
            | Content::Answer { .. }
            | Content::Allow { .. } => waiting_members(&self.content, &mut map)?,
            Content::Rule(effects) => {
                RuleReport(effects).serialize_members(&mut map)?;
            }
            Content::Delivery(call) => {
                for (key, value) in attempt::as_json(call).members() {
                    map.serialize_entry(key, value)?;
                }
            }
            Content::RuleFailed(failure) => {
                map.serialize_entry("rule", &failure.rule)?;
                map.serialize_entry("message", &failure.message)?;
            }
        }
        map.end()
    }
}

/// The members of what rules wait for, have delayed or have called.
fn waiting_members<M: SerializeMap>(content: &Content, map: &mut M) -> Result<(), M::Error> {
    match content {
        Content::Deadline { rule, key, .. } => {
            map.serialize_entry("rule", rule)?;
            map.serialize_entry("key", &script_key(key))?;
        }
        Content::Match {
            rule, key, step, ..
        } => {
            map.serialize_entry("rule", rule)?;
            map.serialize_entry("key", &script_key(key))?;
            if step.waits() {
                map.serialize_entry("due", &step.due().map(|due| due.to_string()))?;
            }
        }
        Content::Delay { rule, action, step } => {
            map.serialize_entry("rule", rule)?;
            if let DelayStep::Waiting(due) = step {
                map.serialize_entry("due", &due.to_string())?;
            }
            map.serialize_entry("action", &action.to_flat_json())?;
        }
        Content::Answer {
            rule,
            target,
            operation,
            parameters,
            answer,
        } => {
            map.serialize_entry("rule", rule)?;
            map.serialize_entry("target", target)?;
            map.serialize_entry("operation", operation)?;
            map.serialize_entry("parameters", parameters)?;
            map.serialize_entry("answer", &answer.to_json())?;
        }
        Content::Allow { target, operations } => {
            map.serialize_entry("target", target)?;
            map.serialize_entry("operations", operations)?;
        }
        _ => {}
    }
    Ok(())
}

impl Content {
    /// The value of `kind` in JSON.
    fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Status { .. } => "status",
            Self::Event { .. } => "event",
            // `silence`, `staged` and `failure` are older names of these kinds. Scripts read them,
            // so they stay.
            Self::NoEvent { .. } => "silence",
            Self::Published { .. } => "published",
            Self::Note { .. } => "staged",
            Self::Deadline { .. } => "deadline",
            Self::Match { step, .. } => step.kind(),
            Self::Delay { step, .. } => step.kind(),
            Self::Answer { .. } => "answer",
            Self::Allow { .. } => "allow",
            Self::Rule(_) => "rule",
            Self::Delivery(_) => "delivery",
            Self::RuleFailed(_) => "failure",
        }
    }
}
