//! An event at the door: as it came, in its normal form, and by what it is known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc::Evaluation;
use reflexarc_event::{Envelope, Event, EventError, Json, NativeEvent};
use reflexarc_reaction::Action;
use sha2::{Digest, Sha256};

use reflexarc_delivery::{Delivery, DeliveryId, EventName};

/// An event that is about to be accepted.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The event in native form, for the rules, and as it was received, for the archive.
    pub native: NativeEvent,
    /// Source and id. An event without an id gets a random one.
    pub name: EventName,
    /// What kind of event it is, its `name` (or a CloudEvent's `type`), empty when it has none.
    pub kind: String,
    /// What it is about, its `resourceId`: events about one resource are evaluated in the order in which they came.
    pub resource: String,
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
        let (tree, received) = (native.tree(), native.original());
        // A CloudEvent says itself what names it; the native form says it by its product.
        let own = if received.envelope() == Envelope::CloudEvent {
            received.tree()
        } else {
            tree
        };
        let id = text(own, "id");
        let source = match (text(own, "source"), text(own, "product")) {
            ("", "") => String::new(),
            ("", product) => format!("acs.{}", product.to_lowercase()),
            (source, _) => source.to_owned(),
        };
        let kind = [
            text(tree, "name"),
            text(tree, "type"),
            text(tree, "detail-type"),
        ];
        let kind = kind
            .into_iter()
            .find(|kind| !kind.is_empty())
            .unwrap_or_default()
            .to_owned();
        let resource = [text(tree, "resourceId"), text(tree, "subject")];
        let resource = resource
            .into_iter()
            .find(|kind| !kind.is_empty())
            .unwrap_or_default()
            .to_owned();
        let fingerprint = (!id.is_empty()).then(|| fingerprint(&source, id, tree));
        let name = EventName {
            source,
            id: if id.is_empty() {
                random_id()
            } else {
                id.to_owned()
            },
        };
        Self {
            native,
            name,
            kind,
            resource,
            fingerprint,
        }
    }

    /// What the store would put into the outbox after this evaluation.
    pub fn deliveries(&self, evaluation: &Evaluation, now: Timestamp) -> Vec<Delivery> {
        let delivery = |(rule, number, action): (&str, usize, &Action)| Delivery {
            id: DeliveryId::derive(&self.name, rule, number, None),
            event: self.name.clone(),
            resource: self.resource.clone(),
            rule: rule.to_owned(),
            target: action.target().to_owned(),
            action: action.clone(),
            created: now,
            replay: None,
            attempt: 1,
            since: now,
            taken: Vec::new(),
        };
        numbered(evaluation).into_iter().map(delivery).collect()
    }

    /// The lane of `lanes` that evaluates it: one resource always has the same lane.
    pub(crate) fn lane(&self, lanes: usize) -> usize {
        let key = if self.resource.is_empty() {
            &self.name.id
        } else {
            &self.resource
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

/// Two events are copies of one when source and id agree. An id whose middle was masked (`8B***A5`, as in the cloud's
/// debug messages) names many events, so name, resource and time must agree as well.
fn fingerprint(source: &str, id: &str, tree: &Json) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(source);
    part(id);
    if id.contains("**") {
        for key in ["name", "resourceId", "eventTime"] {
            part(text(tree, key));
        }
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// 32 hexadecimal digits from the system's source of randomness.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system hands out random bytes");
    DeliveryId::from(bytes).to_string()
}

fn text<'a>(tree: &'a Json, key: &str) -> &'a str {
    tree.get(key).and_then(Json::as_str).unwrap_or_default()
}
