//! One thing that happened, and its JSON document.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use reflexarc::{AnsweredCall, Evaluation};
use reflexarc_delivery::{Decision, Delivery, DeliveryId, EventRef};
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_reaction::Action;

use super::LiveLimits;
use super::reactions::{LISTED, Reactions, short};
use crate::store::{Accepted, AttemptOutcome, DueMatch};

/// Bytes that an entry counts besides its event.
const ENTRY_BYTES: usize = 512;

/// Something that happened.
#[derive(Debug)]
pub(crate) struct LiveEntry {
    content: Content,
    /// Rendered by the first stream that sends it, for all of them: under load most entries leave
    /// the ring without having been sent.
    text: OnceLock<Arc<str>>,
    bytes: usize,
}

#[derive(Debug)]
enum Content {
    Event(EventEntry),
    Firing(FiringEntry),
    Attempt(AttemptEntry),
    Answer(AnswerEntry),
}

/// An event that was accepted.
#[derive(Debug)]
pub(crate) struct EventEntry {
    pub(super) at: Timestamp,
    pub(super) accepted: Accepted,
    pub(super) name: EventRef,
    pub(super) native: NativeEvent,
    pub(super) reactions: Reactions,
}

/// A deadline that has passed.
#[derive(Debug)]
pub(crate) struct FiringEntry {
    due: DueMatch,
    accepted: Accepted,
    event: Option<Event>,
    outcome: &'static str,
    reactions: Reactions,
}

/// An attempt to send a delivery, or to make a call.
#[derive(Debug)]
pub(crate) struct AttemptEntry {
    pub(crate) delivery: DeliveryId,
    pub(crate) target: String,
    pub(crate) rule: String,
    pub(crate) event: EventRef,
    /// Of a call.
    pub(crate) operation: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) started: Timestamp,
    pub(crate) took: SignedDuration,
    pub(crate) outcome: &'static str,
    pub(crate) answer: String,
    /// What follows: `None` where an answer does.
    pub(crate) decision: Option<Decision>,
}

/// The answer to a call.
#[derive(Debug)]
struct AnswerEntry {
    at: Timestamp,
    accepted: Accepted,
    delivery: DeliveryId,
    call: AnsweredCall,
    reactions: Reactions,
}

impl LiveEntry {
    /// An event with its verdicts.
    pub(crate) fn event(entry: EventEntry) -> Self {
        let bytes = entry.native.bytes().len() + entry.native.original().bytes().len();
        Self::new(Content::Event(entry), bytes)
    }

    /// A deadline, and what became of it.
    pub(crate) fn firing(
        due: DueMatch,
        accepted: Accepted,
        outcome: &'static str,
        evaluation: &Evaluation,
    ) -> Self {
        let event = evaluation.rules.first();
        let event = event.and_then(|effects| effects.event.clone());
        let bytes = event.as_ref().map_or(0, |event| event.bytes().len());
        let entry = FiringEntry {
            due,
            accepted,
            event,
            outcome,
            reactions: Reactions::of(evaluation),
        };
        Self::new(Content::Firing(entry), bytes)
    }

    /// An attempt and its outcome.
    pub(crate) fn attempt(entry: AttemptEntry) -> Self {
        let bytes = entry.answer.len();
        Self::new(Content::Attempt(entry), bytes)
    }

    /// The answer to a call, with what its rule did.
    pub(crate) fn answer(
        at: Timestamp,
        delivery: DeliveryId,
        call: AnsweredCall,
        accepted: Accepted,
        evaluation: &Evaluation,
    ) -> Self {
        // What the API responded may be large, and is in the archive.
        let mut call = call;
        call.answer.body = Json::Null;
        call.parameters = Json::Null;
        let event = call.event.as_ref();
        let bytes = event.map_or(0, |event| event.bytes().len());
        let reactions = Reactions::of(evaluation);
        let entry = AnswerEntry {
            at,
            accepted,
            delivery,
            call,
            reactions,
        };
        Self::new(Content::Answer(entry), bytes)
    }

    fn new(content: Content, bytes: usize) -> Self {
        Self {
            content,
            text: OnceLock::new(),
            // Twice: as it is, and rendered.
            bytes: ENTRY_BYTES + 2 * bytes,
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// `event`, `firing`, `delivery`, `call` or `answer`.
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Event(_) => "event",
            Content::Firing(_) => "firing",
            Content::Attempt(entry) if entry.operation.is_some() => "call",
            Content::Attempt(_) => "delivery",
            Content::Answer(_) => "answer",
        }
    }

    /// Whether it is about this rule: it matched, fired, failed, or its action was sent.
    pub(super) fn is_about_rule(&self, rule: &str) -> bool {
        match &self.content {
            Content::Event(entry) => entry.reactions.has_rule(rule),
            Content::Firing(entry) => entry.due.rule == rule || entry.reactions.has_rule(rule),
            Content::Attempt(entry) => entry.rule == rule,
            Content::Answer(entry) => entry.call.rule == rule || entry.reactions.has_rule(rule),
        }
    }

    /// Whether it is about this target: something is to be sent, or was sent, to it.
    pub(super) fn is_about_target(&self, target: &str) -> bool {
        match &self.content {
            Content::Event(entry) => entry.reactions.has_target(target),
            Content::Firing(entry) => entry.reactions.has_target(target),
            Content::Attempt(entry) => entry.target == target,
            Content::Answer(entry) => {
                entry.call.target == target || entry.reactions.has_target(target)
            }
        }
    }

    /// The event that it is about, in native form; `None` where it only names it.
    pub(super) fn native(&self) -> Option<&Event> {
        match &self.content {
            Content::Event(entry) => Some(entry.native.event()),
            Content::Firing(entry) => entry.event.as_ref(),
            Content::Answer(entry) => entry.call.event.as_ref().map(NativeEvent::event),
            Content::Attempt(_) => None,
        }
    }

    /// The position in the archive of what its deliveries come from.
    pub(super) fn position(&self) -> i64 {
        match &self.content {
            Content::Event(entry) => entry.accepted.seq,
            Content::Firing(entry) => entry.accepted.seq,
            Content::Answer(entry) => entry.accepted.seq,
            Content::Attempt(entry) => entry.delivery.position(),
        }
    }

    /// The document on one line.
    pub(super) fn text(&self) -> Arc<str> {
        self.text.get_or_init(|| self.render().into()).clone()
    }

    fn render(&self) -> String {
        let kind = ("kind", Json::from(self.kind()));
        match &self.content {
            Content::Event(entry) => {
                let identity = entry.native.identity().unwrap_or_default();
                let members = [
                    kind,
                    ("at", entry.at.to_string().into()),
                    ("seq", entry.accepted.seq.into()),
                    ("id", entry.name.id.as_str().into()),
                    ("source", entry.name.source.as_str().into()),
                    ("name", identity.name.into()),
                    ("resource", identity.resource.into()),
                    ("duplicate", entry.accepted.duplicate.into()),
                ];
                let members = members.into_iter().chain(entry.reactions.members());
                let members = members.chain([deliveries(&entry.accepted)]);
                with_event(members, entry.native.event())
            }
            Content::Firing(entry) => {
                let key = &entry.due.key;
                let members = [
                    kind,
                    ("at", entry.due.at.to_string().into()),
                    ("seq", entry.accepted.seq.into()),
                    ("rule", entry.due.rule.as_str().into()),
                    (
                        "key",
                        Json::parse(key).unwrap_or_else(|_| key.as_str().into()),
                    ),
                    ("outcome", entry.outcome.into()),
                ];
                let members = members.into_iter().chain(entry.reactions.members());
                let members = members.chain([deliveries(&entry.accepted)]);
                match &entry.event {
                    Some(event) => with_event(members, event),
                    None => Json::object(members).to_string(),
                }
            }
            Content::Attempt(entry) => {
                let mut members = vec![
                    kind,
                    ("at", entry.started.to_string().into()),
                    ("delivery", entry.delivery.to_string().into()),
                    ("target", entry.target.as_str().into()),
                    ("rule", entry.rule.as_str().into()),
                    ("event", entry.event.id.as_str().into()),
                    ("source", entry.event.source.as_str().into()),
                ];
                if let Some(operation) = &entry.operation {
                    members.push(("operation", operation.as_str().into()));
                }
                members.extend([
                    ("attempt", Json::count(entry.attempt)),
                    ("milliseconds", Json::count(entry.took.as_millis())),
                    ("outcome", entry.outcome.into()),
                    ("answer", short(&entry.answer).into()),
                    ("next", entry.next()),
                ]);
                if let Some(Decision::RetryAt(at)) = &entry.decision {
                    members.push(("due", at.to_string().into()));
                }
                Json::object(members).to_string()
            }
            Content::Answer(entry) => {
                let AnsweredCall {
                    rule,
                    target,
                    operation,
                    answer,
                    ..
                } = &entry.call;
                let status = answer.status.map_or(Json::Null, Json::count);
                let members = [
                    kind,
                    ("at", entry.at.to_string().into()),
                    ("seq", entry.accepted.seq.into()),
                    ("delivery", entry.delivery.to_string().into()),
                    ("target", target.as_str().into()),
                    ("rule", rule.as_str().into()),
                    ("operation", operation.as_str().into()),
                    ("ok", answer.ok.into()),
                    ("status", status),
                    ("code", answer.code.as_str().into()),
                    ("answer", short(&answer.summary()).into()),
                ];
                let members = members.into_iter().chain(entry.reactions.members());
                Json::object(members.chain([deliveries(&entry.accepted)])).to_string()
            }
        }
    }
}

impl AttemptEntry {
    /// An attempt to send a delivery or to make a call.
    pub(crate) fn new(
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        decision: Option<Decision>,
    ) -> Self {
        let operation = match &delivery.action {
            Action::Call { operation, .. } => Some(operation.clone()),
            _ => None,
        };
        Self {
            delivery: delivery.id,
            target: delivery.target.clone(),
            rule: delivery.rule.clone(),
            event: delivery.event.clone(),
            operation,
            attempt: delivery.attempt,
            started: outcome.started,
            took: outcome.took,
            outcome: outcome.outcome,
            answer: outcome.answer.clone(),
            decision,
        }
    }

    /// What follows from it.
    fn next(&self) -> Json {
        match &self.decision {
            None => "answer".into(),
            Some(Decision::Delivered) => Json::Null,
            Some(Decision::NextPart) => "next part".into(),
            Some(Decision::RetryAt(_)) => "retry".into(),
            Some(Decision::DeadLetter { .. }) => "dead letter".into(),
        }
    }
}

fn deliveries(accepted: &Accepted) -> (&'static str, Json) {
    let ids = accepted.deliveries.iter().take(LISTED);
    let ids = ids.map(|id| id.to_string().into());
    ("deliveries", Json::Array(ids.collect()))
}

/// The members and the event, which is not parsed for it where it is on one line.
fn with_event(members: impl IntoIterator<Item = (&'static str, Json)>, event: &Event) -> String {
    let size = event.bytes().len();
    if size > LiveLimits::DEFAULT.event_bytes {
        let size = ("event_bytes", Json::count(size));
        return Json::object(members.into_iter().chain([size])).to_string();
    }
    let text = std::str::from_utf8(event.bytes()).unwrap_or("null").trim();
    let mut document = Json::object(members).to_string();
    document.pop();
    document.push_str(",\"event\":");
    if text.contains(['\n', '\r']) {
        document.push_str(&event.tree().to_string());
    } else {
        document.push_str(text);
    }
    document.push('}');
    document
}
