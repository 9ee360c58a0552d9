//! Reports about deliveries to targets of rules.

use std::time::Duration;

use jiff::Timestamp;
use reflexarc_eni::subscriptions::RuleTarget;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::elapsed;
use crate::exit::Failure;
use crate::output::{Output, Paint};

/// One attempt to deliver an event to a target, or why there was none.
#[derive(Debug)]
pub(in super::super) struct TargetReport {
    pub(super) at: Timestamp,
    /// The name of the account.
    pub(super) account: String,
    pub(super) target: RuleTarget,
    /// The id of the event.
    pub(super) event: String,
    pub(super) endpoint: String,
    /// From 1; 0 if there was no attempt.
    pub(super) attempt: u32,
    pub(super) outcome: Outcome,
}

/// The outcome of an attempt.
#[derive(Debug)]
pub(in super::super) enum Outcome {
    /// Delivered, with this HTTP status.
    Delivered(u16),
    /// It failed.
    Failed {
        reason: String,
        /// When it is repeated; never when absent.
        retry_after: Option<Duration>,
    },
    /// It is not sent, or not sent again.
    NotSent(String),
}

impl TargetReport {
    /// Prints the report as text, with the time since `start`.
    pub(in super::super) fn print(
        &self,
        start: Timestamp,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let time = output.paint(Paint::Dim, elapsed::column(start, self.at));
        let Self {
            account,
            target,
            event,
            endpoint,
            ..
        } = self;
        let outcome = match &self.outcome {
            Outcome::Delivered(status) => {
                output.paint(Paint::Green, format_args!("delivered ({status})"))
            }
            Outcome::Failed {
                reason,
                retry_after,
            } => {
                let next = match retry_after {
                    Some(delay) => format!("again in {} s", delay.as_secs()),
                    None => "given up".to_owned(),
                };
                output.paint(Paint::Red, format_args!("failed: {reason}; {next}"))
            }
            Outcome::NotSent(reason) => {
                output.paint(Paint::Yellow, format_args!("not sent: {reason}"))
            }
        };
        output.line(format_args!(
            "{time}    → {account}: {target} {endpoint}  {event}  {outcome}"
        ))
    }
}

/// An object like the entries of a timeline, of the kind `target`.
impl Serialize for TargetReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at.to_string())?;
        map.serialize_entry("kind", "target")?;
        map.serialize_entry("account", &self.account)?;
        map.serialize_entry("service", self.target.service.name())?;
        if let Some(bus) = self.target.service.bus() {
            map.serialize_entry("bus", bus)?;
        }
        map.serialize_entry("rule", &self.target.rule)?;
        map.serialize_entry("target", &self.target.id)?;
        map.serialize_entry("endpoint", &self.endpoint)?;
        map.serialize_entry("event", &self.event)?;
        map.serialize_entry("attempt", &self.attempt)?;
        let (outcome, reason) = match &self.outcome {
            Outcome::Delivered(_) => ("delivered", None),
            Outcome::Failed { reason, .. } => ("failed", Some(reason)),
            Outcome::NotSent(reason) => ("not_sent", Some(reason)),
        };
        map.serialize_entry("outcome", outcome)?;
        if let Some(reason) = reason {
            map.serialize_entry("reason", reason)?;
        }
        match &self.outcome {
            Outcome::Delivered(status) => map.serialize_entry("status", status)?,
            Outcome::Failed {
                retry_after: Some(delay),
                ..
            } => {
                let again = self.at.checked_add(*delay).unwrap_or(Timestamp::MAX);
                map.serialize_entry("retryAt", &again.to_string())?;
            }
            _ => {}
        }
        map.end()
    }
}
