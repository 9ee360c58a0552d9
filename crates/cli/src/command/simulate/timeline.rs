//! The timeline: what happened, as data and as lines for people.

use jiff::Timestamp;
use reflexarc::{Failure as RuleFailure, RuleEffects};
use reflexarc_eni::StatusChange;
use reflexarc_eni::events::RequestOutcome;
use reflexarc_eni::scenario::{TargetFault, TargetFaultMode, TimelineEvent, World};
use reflexarc_event::{EniStatus, Event, Json};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::delivery;
use super::outbox::Call;
use crate::exit::Failure;
use crate::output::evaluation::{print_rule, rule_json};
use crate::output::{Output, Paint};

/// One entry. Accounts and interfaces have the names that the scenario gives them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    /// Who asked, or whose bus it is.
    pub(super) account: Option<String>,
    /// The interface it is about.
    pub(super) interface: Option<String>,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    Request {
        action: String,
        request_id: String,
        /// Code and message of a refusal.
        refusal: Option<(String, String)>,
        rule: Option<String>,
        expected: Option<String>,
    },
    Status {
        from: Option<EniStatus>,
        to: EniStatus,
        instance: Option<String>,
    },
    Event {
        operation: String,
        success: bool,
        status: EniStatus,
        request_id: String,
        event: Event,
    },
    NoEventReason {
        operation: String,
        request_id: String,
        reason: String,
    },
    Published {
        event: Event,
    },
    Staged {
        words: String,
    },
    Rule(Box<RuleEffects>),
    Delivery(Box<Call>),
    RuleFailed(RuleFailure),
}

impl Entry {
    /// The entry for a moment; `name_of` says what an interface is called.
    pub(super) fn of(
        moment: &TimelineEvent,
        world: &World,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let account_name = |id: &str| world.account(id).map_or(id, |found| &found.name).to_owned();
        match moment {
            TimelineEvent::Request {
                at,
                account,
                action,
                interface,
                request_id,
                result,
                rule,
                expected,
            } => Self {
                at: *at,
                account: Some(account_name(account)),
                interface: interface.as_deref().map(name_of),
                what: What::Request {
                    action: action.clone(),
                    request_id: request_id.clone(),
                    refusal: result
                        .as_ref()
                        .err()
                        .map(|refusal| (refusal.code.to_owned(), refusal.message.clone())),
                    rule: rule.clone(),
                    expected: expected.clone(),
                },
            },
            TimelineEvent::StatusChanged(StatusChange {
                at,
                interface,
                from,
                to,
                instance,
            }) => Self {
                at: *at,
                account: None,
                interface: Some(name_of(interface)),
                what: What::Status {
                    from: *from,
                    to: *to,
                    instance: instance.clone(),
                },
            },
            TimelineEvent::Ended(outcome) => Self::told(outcome, account_name, name_of),
            TimelineEvent::Published {
                at, account, event, ..
            } => Self {
                at: *at,
                account: Some(account_name(account)),
                interface: None,
                what: What::Published {
                    event: event.clone(),
                },
            },
            TimelineEvent::TargetFault { at, fault } => Self::staged(*at, fault_words(fault)),
            TimelineEvent::Note { at, text } => Self::staged(*at, text.clone()),
        }
    }

    /// The entry for a change from outside, in words.
    pub(super) fn staged(at: Timestamp, words: String) -> Self {
        Self {
            at,
            account: None,
            interface: None,
            what: What::Staged { words },
        }
    }

    /// The entry for the end of a request.
    pub(super) fn told(
        outcome: &RequestOutcome,
        account_name: impl Fn(&str) -> String,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let operation = outcome.operation.to_string();
        let request_id = outcome.request_id.clone();
        let (account, what) = match &outcome.published {
            Ok(publication) => {
                let (success, status, event) = (
                    publication.success,
                    publication.status,
                    publication.event.clone(),
                );
                (
                    &publication.recipient,
                    What::Event {
                        operation,
                        success,
                        status,
                        request_id,
                        event,
                    },
                )
            }
            Err(silence) => (
                &outcome.caller,
                What::NoEventReason {
                    operation,
                    request_id,
                    reason: silence.to_string(),
                },
            ),
        };
        let interface = outcome.interface.as_deref().map(name_of);
        Self {
            at: outcome.at,
            account: Some(account_name(account)),
            interface,
            what,
        }
    }

    /// Prints it for people, with the time since `start`.
    pub(super) fn print(&self, start: Timestamp, output: &mut Output) -> Result<(), Failure> {
        let time = output.paint(Paint::Dim, since(start, self.at));
        let account = self.account.as_deref().unwrap_or_default();
        let interface = self.interface.as_deref().unwrap_or_default();
        match &self.what {
            What::Request {
                action,
                refusal,
                rule,
                expected,
                ..
            } => {
                let by = rule
                    .as_ref()
                    .map_or_else(String::new, |rule| format!(" (rule {rule})"));
                let answer = match refusal {
                    None => output.paint(Paint::Green, "accepted"),
                    Some((code, message)) => {
                        format!("{}  {message}", output.paint(Paint::Red, code))
                    }
                };
                let asked = output.paint(
                    Paint::Bold,
                    format_args!("{action} {interface}").to_string().trim_end(),
                );
                output.line(format_args!("{time}  {account}{by}: {asked} → {answer}"))?;
                if let Some(expected) = expected {
                    let expected =
                        output.paint(Paint::Red, format_args!("but {expected} was expected"));
                    output.line(format_args!("{:9}  {expected}", ""))?;
                }
                Ok(())
            }
            What::Status { from, to, instance } => {
                let from = from.map_or_else(|| "(new)".to_owned(), |from| from.to_string());
                let whereabouts = instance
                    .as_ref()
                    .map_or_else(String::new, |instance| format!("  {instance}"));
                output.line(format_args!(
                    "{time}    {interface}: {from} → {to}{whereabouts}"
                ))
            }
            What::Event {
                operation,
                success,
                status,
                ..
            } => {
                let (paint, words) = if *success {
                    (Paint::Green, "success")
                } else {
                    (Paint::Yellow, "failed")
                };
                let level = if *success { "INFO" } else { "WARN" };
                let words = output.paint(paint, words);
                output.line(format_args!(
                    "{time}    ● event to {account}: {operation} {words}, {interface} is {status} ({level})"
                ))
            }
            What::NoEventReason {
                operation, reason, ..
            } => {
                let subject = if interface.is_empty() {
                    String::new()
                } else {
                    format!(" of {interface}")
                };
                let silence = output.paint(
                    Paint::Dim,
                    format_args!("○ no event for {operation}{subject}: {reason}"),
                );
                output.line(format_args!("{time}    {silence}"))
            }
            What::Published { event } => {
                let name = event
                    .tree()
                    .get("name")
                    .and_then(Json::as_str)
                    .unwrap_or("an event");
                output.line(format_args!("{time}    ● event to {account}: {name}"))
            }
            What::Staged { words } => {
                let words = output.paint(Paint::Yellow, words);
                output.line(format_args!("{time}  ! {words}"))
            }
            What::Rule(effects) => print_rule(effects, output),
            What::Delivery(call) => output.line(format_args!(
                "{time}    {}",
                delivery::told(call, start, output)
            )),
            What::RuleFailed(failure) => {
                let cross = output.paint(Paint::Red, "✗");
                output.line(format_args!(
                    "  {cross} {} failed: {}",
                    failure.rule, failure.message
                ))
            }
        }
    }
}

/// Members by kind; `at` and `kind` are always there.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at.to_string())?;
        map.serialize_entry("kind", self.what.kind())?;
        if let Some(account) = &self.account {
            map.serialize_entry("account", account)?;
        }
        if let Some(interface) = &self.interface {
            map.serialize_entry("interface", interface)?;
        }
        match &self.what {
            What::Request {
                action,
                request_id,
                refusal,
                rule,
                expected,
            } => {
                map.serialize_entry("action", action)?;
                map.serialize_entry("requestId", request_id)?;
                map.serialize_entry(
                    "answer",
                    refusal.as_ref().map_or("accepted", |(code, _)| code),
                )?;
                if let Some((_, message)) = refusal {
                    map.serialize_entry("message", message)?;
                }
                if let Some(rule) = rule {
                    map.serialize_entry("rule", rule)?;
                }
                if let Some(expected) = expected {
                    map.serialize_entry("expected", expected)?;
                }
            }
            What::Status { from, to, instance } => {
                map.serialize_entry("from", &from.map(EniStatus::as_str))?;
                map.serialize_entry("to", to.as_str())?;
                map.serialize_entry("instance", instance)?;
            }
            What::Event {
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
            What::NoEventReason {
                operation,
                request_id,
                reason,
            } => {
                map.serialize_entry("operation", operation)?;
                map.serialize_entry("requestId", request_id)?;
                map.serialize_entry("reason", reason)?;
            }
            What::Published { event } => map.serialize_entry("event", event.tree())?,
            What::Staged { words } => map.serialize_entry("what", words)?,
            What::Rule(effects) => {
                for (key, value) in rule_json(effects).members() {
                    map.serialize_entry(key, value)?;
                }
            }
            What::Delivery(call) => {
                for (key, value) in delivery::as_json(call).members() {
                    map.serialize_entry(key, value)?;
                }
            }
            What::RuleFailed(failure) => {
                map.serialize_entry("rule", &failure.rule)?;
                map.serialize_entry("message", &failure.message)?;
            }
        }
        map.end()
    }
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Status { .. } => "status",
            Self::Event { .. } => "event",
            Self::NoEventReason { .. } => "silence",
            Self::Published { .. } => "published",
            Self::Staged { .. } => "staged",
            Self::Rule(_) => "rule",
            Self::Delivery(_) => "delivery",
            Self::RuleFailed(_) => "failure",
        }
    }
}

fn fault_words(
    TargetFault {
        target,
        mode,
        duration,
    }: &TargetFault,
) -> String {
    let how = match mode {
        TargetFaultMode::Down => "does not answer",
        TargetFaultMode::Throttle => "says that it is called too often",
        TargetFaultMode::Refuse => "refuses everything",
    };
    duration.map_or_else(
        || format!("{target} {how} from now on"),
        |lasts| format!("{target} {how} for {lasts:#}"),
    )
}

/// The time since the start, as hours, minutes and seconds.
pub(super) fn since(start: Timestamp, at: Timestamp) -> String {
    let seconds = at.duration_since(start).as_secs().max(0);
    format!(
        "{:3}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
