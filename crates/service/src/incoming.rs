//! An event at the door: as it came, in its normal form, and by what it is known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_event::{Event, EventError, EventIdentity, NativeEvent};
use reflexarc_reaction::Action;
use sha2::{Digest, Sha256};

use reflexarc_delivery::{Delivery, DeliveryId, EventRef};

/// An event that is about to be accepted.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The event in native form, for the rules, and as it was received, for the archive.
    pub native: NativeEvent,
    /// Source and id. An event without an id gets a random one.
    pub name: EventRef,
    /// All that identifies it, with the same source and id.
    pub(crate) identity: EventIdentity,
    /// What makes a second copy a duplicate; `None` for an event without an id, which cannot be told from its copy.
    pub(crate) fingerprint: Option<[u8; 16]>,
}

impl Incoming {
    /// Reads what the service needs to know of an event.
    ///
    /// # Errors
    /// When the event's envelope is a known one, but cannot be brought into the native form.
    pub fn new(received: Event) -> Result<Self, EventError> {
        NativeEvent::new(received).map(Self::from_native)
    }

    /// Reads what the service needs to know of an event in native form.
    pub fn from_native(native: NativeEvent) -> Self {
        let identity = native.identity();
        let fingerprint = identity.as_ref().map(fingerprint);
        let identity = identity.unwrap_or_else(|| EventIdentity::with_id(&native, random_id()));
        Self {
            name: EventRef::from(&identity),
            identity,
            native,
            fingerprint,
        }
    }

    /// Assigns the id of an event that has none of its own, instead of a random one.
    pub fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.name.id);
        id.clone_into(&mut self.identity.id);
    }

    /// What the store would put into the outbox after this evaluation.
    pub fn deliveries(&self, evaluation: &Evaluation, now: Timestamp) -> Vec<Delivery> {
        let delivery = |(rule, number, action): (&str, usize, &Action)| Delivery {
            id: DeliveryId::derive(&self.identity, rule, number, None),
            event: self.name.clone(),
            resource: self.identity.resource.clone(),
            rule: rule.to_owned(),
            target: action.target().to_owned(),
            action: action.clone(),
            created: now,
            replay: None,
            attempt: 1,
            queued_at: now,
            delivered_parts: Vec::new(),
        };
        numbered(evaluation).into_iter().map(delivery).collect()
    }

    /// The lane of `lanes` that evaluates it: one resource always has the same lane.
    pub(crate) fn lane(&self, lanes: usize) -> usize {
        let key = if self.identity.resource.is_empty() {
            &self.identity.id
        } else {
            &self.identity.resource
        };
        let digest = Sha256::digest(key.as_bytes());
        digest[0] as usize % lanes
    }
}

/// Every action with its rule and its number among all that this rule asks for in this evaluation; a rule can speak more
/// than once, when derived events lead to it.
pub(crate) fn numbered(evaluation: &Evaluation) -> Vec<(&str, usize, &Action)> {
    let mut counts = BTreeMap::new();
    let mut numbered = Vec::new();
    for (effects, _, action) in evaluation.actions() {
        let count = counts.entry(effects.rule.as_str()).or_insert(0_usize);
        numbered.push((effects.rule.as_str(), *count, action));
        *count += 1;
    }
    numbered
}

/// The digest under which an event is remembered to recognise its copies.
fn fingerprint(identity: &EventIdentity) -> [u8; 16] {
    let mut hash = Sha256::new();
    for field in identity.fields() {
        // Lengths keep the fields apart: ("ab", "c") and ("a", "bc") are different events.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// 32 hexadecimal digits from the system's source of randomness.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system hands out random bytes");
    DeliveryId::from(bytes).to_string()
}
