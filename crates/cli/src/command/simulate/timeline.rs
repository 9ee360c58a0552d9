//! The timeline of a simulation: its entries, and their text.

mod calls;
mod event_text;
mod json;

pub(super) use event_text::{event_name, interface_of};

use jiff::Timestamp;
use reflexarc::{Failure as RuleFailure, RuleEffects};
use reflexarc_eni::StatusChange;
use reflexarc_eni::events::{NoEventReason, Notification, RequestOutcome};
use reflexarc_eni::scenario::{TargetFault, TargetFaultMode, TimelineEvent, World};
use reflexarc_event::{EniStatus, Event, Json};
use reflexarc_reaction::{Action, CallAnswer};

use self::event_text::event_detail;
use super::delayed_actions::DelayStep;
use super::open_matches::MatchStep;
use super::target_queues::TargetCall;
use super::{attempt, elapsed};
use crate::exit::Failure;
use crate::output::evaluation::{action_title, print_rule};
use crate::output::match_text::match_title;
use crate::output::{Output, Paint};

/// One entry of the timeline. Accounts and interfaces have their names in the scenario.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    /// The account that made the request, or whose bus it is.
    pub(super) account: Option<String>,
    /// The interface that the entry is about.
    pub(super) interface: Option<String>,
    pub(super) content: Content,
}

/// What an entry is about.
#[derive(Debug)]
pub(super) enum Content {
    /// A request and its reply.
    Request {
        action: String,
        request_id: String,
        /// Code and message of the error with which it was refused.
        error: Option<(String, String)>,
        /// The rule that made it.
        rule: Option<String>,
        /// The code that the script expects, if the reply is another one.
        expected: Option<String>,
    },
    /// A change of an interface's status.
    Status {
        from: Option<EniStatus>,
        to: EniStatus,
        instance: Option<String>,
    },
    /// The event at the end of a request.
    Event {
        operation: String,
        success: bool,
        status: EniStatus,
        request_id: String,
        event: Event,
    },
    /// The end of a request without an event.
    NoEvent {
        operation: String,
        request_id: String,
        reason: String,
        /// Whether the reason is that the request was refused.
        is_refused: bool,
    },
    /// An event that ends no request: one of the script, or a notification of the cloud.
    Published { event: Event },
    /// A note about the simulation itself.
    Note { text: String },
    /// A deadline of a match that has passed.
    Deadline {
        rule: String,
        /// As JSON.
        key: String,
        /// The name of the interface whose id the key is.
        name: Option<String>,
    },
    /// What else happens to a match.
    Match {
        rule: String,
        /// As JSON.
        key: String,
        /// The name of the interface whose id the key is.
        name: Option<String>,
        step: MatchStep,
    },
    /// What becomes of an action that a rule has delayed.
    Delay {
        rule: String,
        action: Action,
        step: DelayStep,
    },
    /// The answer to a call of a rule.
    Answer {
        rule: String,
        target: String,
        operation: String,
        parameters: Json,
        answer: CallAnswer,
    },
    /// The operations that a target has to allow.
    Allow {
        target: String,
        operations: Vec<String>,
    },
    /// The effects of a rule.
    Rule(Box<RuleEffects>),
    /// A call of a target.
    Delivery(Box<TargetCall>),
    /// A rule that failed.
    RuleFailed(RuleFailure),
}

impl Entry {
    /// The entry of a timeline event; `name_of` returns the name of an interface id.
    pub(super) fn new(
        event: &TimelineEvent,
        world: &World,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let account_name = |id: &str| Some(world.account_name(id).to_owned());
        match event {
            TimelineEvent::Request {
                at,
                account,
                action,
                interface,
                request_id,
                result,
                rule,
                expected,
            } => {
                let error = result.as_ref().err();
                Self {
                    at: *at,
                    account: account_name(account),
                    interface: interface.as_deref().map(name_of),
                    content: Content::Request {
                        action: action.clone(),
                        request_id: request_id.clone(),
                        error: error.map(|error| (error.code.to_owned(), error.message.clone())),
                        rule: rule.clone(),
                        expected: expected.clone(),
                    },
                }
            }
            TimelineEvent::StatusChanged(StatusChange {
                at,
                interface,
                from,
                to,
                instance,
                ..
            }) => {
                let (from, to, instance) = (*from, *to, instance.clone());
                Self {
                    at: *at,
                    account: None,
                    interface: Some(name_of(interface)),
                    content: Content::Status { from, to, instance },
                }
            }
            TimelineEvent::Ended(outcome) => Self::ended(outcome, world, name_of),
            TimelineEvent::Published {
                at, account, event, ..
            } => Self {
                at: *at,
                account: account_name(account),
                interface: interface_of(event)
                    .filter(|id| world.cloud.interface(id).is_some())
                    .map(name_of),
                content: Content::Published {
                    event: event.clone(),
                },
            },
            TimelineEvent::TargetFault { at, fault } => Self::note(*at, target_fault_text(fault)),
            TimelineEvent::Note { at, text } => Self::note(*at, text.clone()),
        }
    }

    /// A note about the simulation itself.
    pub(super) fn note(at: Timestamp, text: String) -> Self {
        Self {
            at,
            account: None,
            interface: None,
            content: Content::Note { text },
        }
    }

    /// An event that ends no request, in its native form.
    pub(super) fn notified(sent: &Notification, world: &World) -> Self {
        Self {
            at: sent.at,
            account: Some(world.account_name(&sent.recipient).to_owned()),
            interface: interface_of(&sent.event).map(str::to_owned),
            content: Content::Published {
                event: sent.event.clone(),
            },
        }
    }

    /// The end of a request.
    pub(super) fn ended(
        outcome: &RequestOutcome,
        world: &World,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let operation = outcome.operation.to_string();
        let request_id = outcome.request_id.clone();
        let (account, content) = match &outcome.published {
            Ok(published) => {
                let (success, status) = (published.success, published.status);
                let event = published.event.clone();
                let content = Content::Event {
                    operation,
                    success,
                    status,
                    request_id,
                    event,
                };
                (&published.recipient, content)
            }
            Err(reason) => {
                let is_refused = matches!(reason, NoEventReason::Refused(_));
                let reason = reason.to_string();
                let content = Content::NoEvent {
                    operation,
                    request_id,
                    reason,
                    is_refused,
                };
                (&outcome.caller, content)
            }
        };
        Self {
            at: outcome.at,
            account: Some(world.account_name(account).to_owned()),
            interface: outcome.interface.as_deref().map(name_of),
            content,
        }
    }

    /// The text of an entry about what a rule waits for, or has delayed.
    fn waiting_text(&self, start: Timestamp, output: &Output) -> String {
        let account = self.account.as_deref().unwrap_or_default();
        match &self.content {
            Content::Deadline { rule, key, name } => {
                let rule = format!("deadline of {rule}");
                format!("● {account}: {}", match_title(&rule, key, name.as_deref()))
            }
            Content::Match {
                rule,
                key,
                name,
                step,
            } => {
                let title = match_title(rule, key, name.as_deref());
                let text = step.text(start);
                output.paint(Paint::Dim, format_args!("◷ {account}: {title}  {text}"))
            }
            Content::Delay { rule, action, step } => {
                let text = match step {
                    DelayStep::Due => "due".to_owned(),
                    DelayStep::Cancelled => "cancelled".to_owned(),
                    DelayStep::Waiting(due) => {
                        format!("waiting at the end, due {}", elapsed::inline(start, *due))
                    }
                };
                let action = action_title(action, output);
                let text = output.paint(Paint::Dim, format_args!("◷ {account}: {rule}  {text}"));
                format!("{text} {action}")
            }
            _ => String::new(),
        }
    }

    /// Prints the entry as text, with the time since `start`.
    pub(super) fn print(&self, start: Timestamp, output: &mut Output) -> Result<(), Failure> {
        let time = output.paint(Paint::Dim, elapsed::column(start, self.at));
        let account = self.account.as_deref().unwrap_or_default();
        let interface = self.interface.as_deref().unwrap_or_default();
        match &self.content {
            Content::Request {
                action,
                error,
                rule,
                expected,
                ..
            } => {
                let rule = rule
                    .as_ref()
                    .map_or_else(String::new, |rule| format!(" (rule {rule})"));
                let reply = match error {
                    None => output.paint(Paint::Green, "accepted"),
                    Some((code, message)) => {
                        format!("{}  {message}", output.paint(Paint::Red, code))
                    }
                };
                let request = format!("{action} {interface}");
                let request = output.paint(Paint::Bold, request.trim_end());
                output.line(format_args!("{time}  {account}{rule}: {request} → {reply}"))?;
                if let Some(expected) = expected {
                    let expected = format!("unexpected reply, expected {expected}");
                    let expected = output.paint(Paint::Red, expected);
                    output.line(format_args!("{:9}  {expected}", ""))?;
                }
                Ok(())
            }
            Content::Status { from, to, instance } => {
                let from = from.map_or_else(|| "(new)".to_owned(), |from| from.to_string());
                let instance = instance
                    .as_ref()
                    .map_or_else(String::new, |instance| format!("  {instance}"));
                output.line(format_args!(
                    "{time}    {interface}: {from} → {to}{instance}"
                ))
            }
            Content::Event {
                operation,
                success,
                status,
                ..
            } => {
                let (paint, result, level) = if *success {
                    (Paint::Green, "success", "INFO")
                } else {
                    (Paint::Yellow, "failed", "WARN")
                };
                let result = output.paint(paint, result);
                output.line(format_args!(
                    "{time}    ● event to {account}: {operation} {result}, \
                     {interface} is {status} ({level})"
                ))
            }
            Content::NoEvent {
                operation, reason, ..
            } => {
                let of = if interface.is_empty() {
                    String::new()
                } else {
                    format!(" of {interface}")
                };
                let text = format!("○ no event for {operation}{of}: {reason}");
                let text = output.paint(Paint::Dim, text);
                output.line(format_args!("{time}    {text}"))
            }
            Content::Published { event } => {
                let name = event_name(event);
                let detail = event_detail(event, interface);
                output.line(format_args!(
                    "{time}    ● event to {account}: {name}{detail}"
                ))
            }
            Content::Note { text } => {
                let text = output.paint(Paint::Yellow, text);
                output.line(format_args!("{time}  ! {text}"))
            }
            Content::Deadline { .. } | Content::Match { .. } | Content::Delay { .. } => {
                let text = self.waiting_text(start, output);
                output.line(format_args!("{time}    {text}"))
            }
            Content::Answer { .. } => {
                let text = calls::answer_text(&self.content, output);
                output.line(format_args!("{time}    {text}"))
            }
            Content::Allow { target, operations } => {
                output.line(calls::allow_text(target, operations))
            }
            // Without a time: the reaction belongs to the event above it.
            Content::Rule(effects) => print_rule(effects, output),
            Content::Delivery(call) => {
                let text = attempt::as_text(call, start, output);
                output.line(format_args!("{time}    {text}"))
            }
            Content::RuleFailed(RuleFailure { rule, message, .. }) => {
                let cross = output.paint(Paint::Red, "✗");
                output.line(format_args!("  {cross} {rule} failed: {message}"))
            }
        }
    }
}

fn target_fault_text(fault: &TargetFault) -> String {
    let state = match fault.mode {
        TargetFaultMode::Down => "does not respond",
        TargetFaultMode::Throttle => "limits the rate of calls",
        TargetFaultMode::Refuse => "rejects every delivery",
    };
    let duration = fault.duration.map_or_else(
        || "until the end".to_owned(),
        |duration| format!("for {duration:#}"),
    );
    format!("target {} {state} {duration}", fault.target)
}
