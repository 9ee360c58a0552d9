//! Which action of which event it is: the id of its delivery, and what receivers get of the event.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use reflexarc::MatchFiring;
use reflexarc_delivery::{ArchivePosition, DeliveryId, EventRef};
use reflexarc_event::{Event, EventIdentity, Json, NativeEvent};

/// Where an action comes from. The id of its delivery is derived from it, when it is needed first.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActionOrigin {
    /// The event that was evaluated; of a deadline, that of the match.
    event: Option<Event>,
    /// The number of the action among those of its rule in the evaluation.
    number: usize,
    /// The call whose answer led to it.
    answered: OnceLock<DeliveryId>,
    derived: OnceLock<DeliveryOrigin>,
}

/// What a delivery has of the event.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryOrigin {
    pub(crate) id: DeliveryId,
    pub(crate) event: EventRef,
    pub(crate) resource: String,
}

impl ActionOrigin {
    /// Of action `number`, from 0, of a rule in the evaluation of `event`.
    pub(crate) fn new(event: Option<Event>, number: usize) -> Self {
        Self {
            event,
            number,
            ..Self::default()
        }
    }

    /// The answer to this call led to the action.
    pub(crate) fn set_answered(&self, call: DeliveryId) {
        // Set once, by the evaluation of the answer.
        let _ = self.answered.set(call);
    }

    /// What its delivery has: the same each time the event is evaluated, if the event has an id.
    pub(crate) fn delivery(&self, rule: &str, firing: Option<&MatchFiring>) -> &DeliveryOrigin {
        self.derived.get_or_init(|| self.derive(rule, firing))
    }

    fn derive(&self, rule: &str, firing: Option<&MatchFiring>) -> DeliveryOrigin {
        let native = self.event.clone().map(NativeEvent::as_is);
        let known = native.as_ref().and_then(NativeEvent::identity);
        let mut context = match &known {
            Some(_) => String::new(),
            // Each arrival of an event without an id is an event of its own, and so is a deadline.
            None if firing.is_some() => String::new(),
            None => unique(),
        };
        let without_id = || match &native {
            Some(event) => EventIdentity::with_id(event, ""),
            None => EventIdentity::default(),
        };
        let identity = known.unwrap_or_else(without_id);
        if let Some(firing) = firing {
            context.push_str(&format!(
                "{:?} {} {} {:?} {}",
                firing.reason, firing.key, firing.opened, firing.deadline, firing.count
            ));
        }
        if let Some(call) = self.answered.get() {
            context.push_str(&call.to_string());
        }
        // As the archive gives a position to each evaluation, with which its ids begin.
        let whole = DeliveryId::derive(&identity, position(0), "", 0, Some(&context));
        let seq = whole.as_bytes()[8..].iter();
        let seq = seq.fold(0_i64, |seq, byte| (seq << 8) | i64::from(*byte));
        // Ids that begin with ones are those of digests.
        let at = position(seq & 0x7fff_ffff_ffff);
        DeliveryOrigin {
            id: DeliveryId::derive(&identity, at, rule, self.number, Some(&context)),
            event: EventRef::from(&identity),
            resource: identity.resource,
        }
    }
}

impl From<DeliveryOrigin> for ActionOrigin {
    fn from(origin: DeliveryOrigin) -> Self {
        Self {
            derived: OnceLock::from(origin),
            ..Self::default()
        }
    }
}

impl DeliveryOrigin {
    pub(crate) fn to_json(&self) -> Json {
        Json::object([
            ("id", self.id.to_string().into()),
            ("source", self.event.source.as_str().into()),
            ("event", self.event.id.as_str().into()),
            ("resource", self.resource.as_str().into()),
        ])
    }

    pub(crate) fn from_json(json: &Json) -> Option<Self> {
        let text = |key| Some(json.get(key)?.as_str()?.to_owned());
        Some(Self {
            id: text("id")?.parse().ok()?,
            event: EventRef {
                source: text("source")?,
                id: text("event")?,
            },
            resource: text("resource")?,
        })
    }
}

fn position(seq: i64) -> ArchivePosition {
    ArchivePosition {
        seq,
        received: Timestamp::UNIX_EPOCH,
    }
}

/// A text that is no other one.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{} {} {number}", std::process::id(), Timestamp::now())
}
