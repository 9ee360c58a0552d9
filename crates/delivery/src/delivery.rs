//! One action on its way to one target.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::Action;
use sha2::{Digest, Sha256};

use crate::phase::Phase;

/// One delivery as a target receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery's id, which is also its idempotency key.
    pub id: DeliveryId,
    /// The event that caused it.
    pub event: EventRef,
    /// The resource that the event is about (its `resourceId`); empty when it has none.
    pub resource: String,
    /// The rule whose reaction returned the action.
    pub rule: String,
    /// The key of the event or match by the rule's `by`, as JSON text; `None` for a rule without
    /// `by`, and for an event without the value.
    pub key: Option<String>,
    /// Whether an event led to it, or a match of the rule's time window, and how.
    pub phase: Phase,
    /// The target's name.
    pub target: String,
    /// What to deliver.
    pub action: Action,
    /// When the event was accepted or the replay was requested.
    pub created: Timestamp,
    /// The replay that produced it, if one did.
    pub replay: Option<String>,
    /// The number of the next attempt, from 1; redriving a dead letter resets it to 1.
    pub attempt: u32,
    /// When it entered the outbox: `created`, or the time when it was redriven from the dead
    /// letters. [`RetryPolicy::max_age`](crate::RetryPolicy::max_age) counts from here.
    pub queued_at: Timestamp,
    /// The parts that earlier attempts delivered, where a target sends a delivery in parts:
    /// addresses of a mail, pieces of a long message. They are not sent again.
    pub delivered_parts: Vec<String>,
    /// The digest that carried it at its last attempt, and carries it again.
    pub digest: Option<DeliveryId>,
}

/// The id of a delivery.
///
/// It is derived from the event, its [`ArchivePosition`], the rule, the action's number and the
/// replay: the number of the position in 6 bytes, and 10 bytes of a digest. So ids are in the order
/// of acceptance. All attempts and redrives carry the same id, and so does a replay that is
/// repeated under its name. An event that is accepted again, after the duplicate window, is another
/// event in the archive, and its deliveries have other ids.
///
/// ```
/// use jiff::Timestamp;
/// use reflexarc_delivery::{ArchivePosition, DeliveryId};
/// use reflexarc_event::EventIdentity;
///
/// let event = EventIdentity { id: "8B2A".into(), ..EventIdentity::default() };
/// let first = ArchivePosition { seq: 1, received: Timestamp::UNIX_EPOCH };
/// let id = DeliveryId::derive(&event, first, "failed-attach", 0, None);
/// assert_eq!(id, DeliveryId::derive(&event, first, "failed-attach", 0, None));
/// assert_ne!(id, DeliveryId::derive(&event, first, "failed-attach", 0, Some("monday")));
/// let second = ArchivePosition { seq: 2, ..first };
/// assert_ne!(id, DeliveryId::derive(&event, second, "failed-attach", 0, None));
/// assert_eq!(id.position(), 1);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("8B2A".parse::<DeliveryId>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId([u8; 16]);

/// Where the archive keeps an event: which arrival of it this is.
// Both, because a position alone comes again: an archive of which every event was pruned counts
// from 1 again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchivePosition {
    /// Its number, in the order of acceptance.
    pub seq: i64,
    /// When it was accepted.
    pub received: Timestamp,
}

/// A text that is not a delivery id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid delivery id: expected 32 hexadecimal digits")]
pub struct InvalidDeliveryId;

/// Source and id of an event, by which people find it. Its whole identity is an
/// [`EventIdentity`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventRef {
    /// The sender, such as `acs.ecs`.
    pub source: String,
    /// The id that the source gave it.
    pub id: String,
}

impl Delivery {
    /// The deliveries of the actions that one evaluation returned for an event, as they enter the
    /// outbox. `actions` are pairs of a rule and an action, in the order of the evaluation.
    ///
    /// For callers without an archive: the ids are derived from `now` and position 0. `key` and
    /// `phase` are the caller's to set.
    pub fn for_actions<'a>(
        event: &EventIdentity,
        actions: impl IntoIterator<Item = (&'a str, &'a Action)>,
        now: Timestamp,
    ) -> Vec<Self> {
        let position = ArchivePosition {
            seq: 0,
            received: now,
        };
        let delivery = |(rule, number, action): (&str, usize, &Action)| Self {
            id: DeliveryId::derive(event, position, rule, number, None),
            event: EventRef::from(event),
            resource: event.resource.clone(),
            rule: rule.to_owned(),
            key: None,
            phase: Phase::Event,
            target: action.target().to_owned(),
            action: action.clone(),
            created: now,
            replay: None,
            attempt: 1,
            queued_at: now,
            delivered_parts: Vec::new(),
            digest: None,
        };
        number_actions(actions).map(delivery).collect()
    }

    /// About how many bytes it takes in memory: its texts, and what the tree of its payload takes
    /// besides.
    pub fn bytes(&self) -> usize {
        let texts = [
            &self.event.source,
            &self.event.id,
            &self.resource,
            &self.rule,
            &self.target,
        ];
        let parts = self.delivered_parts.iter().chain(&self.key);
        let parts = parts.map(String::len);
        let action = match &self.action {
            Action::Send { payload, .. } => tree_bytes(payload),
            Action::Call {
                operation,
                parameters,
                ..
            } => operation.len() + tree_bytes(parameters),
            Action::Notify { message, .. } => {
                let at: usize = message.at.iter().map(String::len).sum();
                let link = message.link.as_ref().map_or(0, String::len);
                message.title.len() + message.text.len() + link + at
            }
        };
        let texts = texts.into_iter().map(String::len).chain(parts);
        size_of::<Self>() + texts.sum::<usize>() + action
    }
}

/// The bytes of a tree: of its values, keys and texts.
fn tree_bytes(json: &Json) -> usize {
    // A member is a key and a value; `1` in an array is 2 bytes of text and a value of 32.
    let inner: usize = match json {
        Json::Object(members) => members
            .iter()
            .map(|(key, value)| size_of::<String>() + key.len() + tree_bytes(value))
            .sum(),
        Json::Array(elements) => elements.iter().map(tree_bytes).sum(),
        other => other.as_str().map_or(0, str::len),
    };
    size_of::<Json>() + inner
}

/// Numbers each rule's actions from 0, for [`DeliveryId::derive`].
///
/// A rule can run more than once in an evaluation, when an event that it emitted matches it again.
/// Its actions are then counted on: `r`, `s`, `r` become `(r, 0)`, `(s, 0)`, `(r, 1)`. They are not
/// numbered over all rules, so that a new rule does not change the ids of the others' deliveries.
///
/// ```
/// use reflexarc_delivery::number_actions;
/// use reflexarc_event::Json;
/// use reflexarc_reaction::Action;
///
/// let action = Action::send("t", Json::Null);
/// let numbered = number_actions(["r", "s", "r"].map(|rule| (rule, &action)));
/// let numbers: Vec<_> = numbered.map(|(rule, number, _)| (rule, number)).collect();
/// assert_eq!(numbers, [("r", 0), ("s", 0), ("r", 1)]);
/// ```
pub fn number_actions<'a>(
    actions: impl IntoIterator<Item = (&'a str, &'a Action)>,
) -> impl Iterator<Item = (&'a str, usize, &'a Action)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    actions.into_iter().map(move |(rule, action)| {
        let count = counts.entry(rule).or_default();
        *count += 1;
        (rule, *count - 1, action)
    })
}

impl DeliveryId {
    /// The id for the action with this `number` (from 0, counted over all actions of the rule in
    /// one evaluation) that `rule` returned for `event`.
    pub fn derive(
        event: &EventIdentity,
        position: ArchivePosition,
        rule: &str,
        number: usize,
        replay: Option<&str>,
    ) -> Self {
        let mut hash = Sha256::new();
        let number = (number as u64).to_be_bytes();
        let seq = position.seq.to_be_bytes();
        let received = position.received.as_microsecond().to_be_bytes();
        let identity = event.fields().map(str::as_bytes);
        let others = [&seq[..], &received, rule.as_bytes(), &number];
        for part in identity.into_iter().chain(others) {
            // Each part is preceded by its length; otherwise source `a` with id `bc` and source
            // `ab` with id `c` would have the same digest.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        // The last part needs no length, as nothing follows it.
        if let Some(replay) = replay {
            hash.update(replay.as_bytes());
        }
        let Self(mut id) = Self::from_digest(&hash.finalize());
        // First the position, as far as it has room, so that ids are in the order of acceptance:
        // what a store keeps by id is then kept beside what came with it, and a claim of 256
        // deliveries changes 20 pages and not 256. What is left of the digest, 80 bits, has to
        // differ only among the deliveries of one position.
        let [_, _, place @ ..] = seq;
        let (first, _) = id.split_at_mut(place.len());
        first.copy_from_slice(&place);
        Self(id)
    }

    /// The [`ArchivePosition::seq`] of what it was derived from.
    pub fn position(&self) -> i64 {
        let place = self.0.iter().take(6);
        place.fold(0, |seq, byte| seq << 8 | i64::from(*byte))
    }

    /// The id as 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A number that differs from delivery to delivery, the seed of the retry jitter.
    pub fn seed(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte))
    }

    /// The first 16 bytes of a SHA-256 digest: with 128 bits a collision is to be expected after
    /// about 2^64 deliveries, which is never, and stored keys stay short.
    pub(crate) fn from_digest(digest: &[u8]) -> Self {
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

impl From<&EventIdentity> for EventRef {
    fn from(identity: &EventIdentity) -> Self {
        Self {
            source: identity.source.clone(),
            id: identity.id.clone(),
        }
    }
}

impl From<[u8; 16]> for DeliveryId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidDeliveryId;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryId> {
        // Fails for any other number of digits too.
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidDeliveryId)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: &str, id: &str) -> EventIdentity {
        EventIdentity {
            source: source.into(),
            id: id.into(),
            ..EventIdentity::default()
        }
    }

    fn about(name: &str, resource: &str, time: &str) -> EventIdentity {
        EventIdentity {
            source: "acs.ecs".into(),
            id: "1".into(),
            name: name.into(),
            resource: resource.into(),
            time: time.into(),
        }
    }

    const FIRST: ArchivePosition = ArchivePosition {
        seq: 1,
        received: Timestamp::UNIX_EPOCH,
    };

    fn derive(
        event: &EventIdentity,
        rule: &str,
        number: usize,
        replay: Option<&str>,
    ) -> DeliveryId {
        DeliveryId::derive(event, FIRST, rule, number, replay)
    }

    #[test]
    fn ids_depend_on_the_archive_position() {
        let at = |seq, second| {
            let received = Timestamp::from_second(second).unwrap();
            DeliveryId::derive(
                &event("a", "b"),
                ArchivePosition { seq, received },
                "r",
                0,
                None,
            )
        };
        assert_eq!(at(1, 0), at(1, 0));
        assert_ne!(at(1, 0), at(2, 0));
        assert_ne!(at(1, 0), at(1, 1));
    }

    #[test]
    fn ids_are_in_the_order_of_acceptance() {
        let at = |seq| {
            let position = ArchivePosition { seq, ..FIRST };
            DeliveryId::derive(&event("a", "b"), position, "r", 0, None)
        };
        for seq in [1, 255, 256, 1_000_000, (1 << 48) - 2] {
            assert!(at(seq) < at(seq + 1));
            let (first, next) = (at(seq).0, at(seq + 1).0);
            assert_ne!(first[6..], next[6..]);
        }
        assert_eq!(at(0x0102_0304_0506).0[..6], [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn ids_depend_on_every_part_and_its_length() {
        let base = derive(&event("acs.ecs", "1"), "r", 0, None);
        assert_eq!(base, derive(&event("acs.ecs", "1"), "r", 0, None));
        for other in [
            derive(&event("acs.ecs1", ""), "r", 0, None),
            derive(&event("acs.ecs", "2"), "r", 0, None),
            derive(&event("acs.ecs", "1"), "r2", 0, None),
            derive(&event("acs.ecs", "1"), "r", 1, None),
            derive(&event("acs.ecs", "1"), "r", 0, Some("monday")),
            derive(&about("Disk:New", "", ""), "r", 0, None),
            derive(&about("", "eni-1", ""), "r", 0, None),
            derive(&about("", "", "2019-04-09T04:18:26Z"), "r", 0, None),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn bytes_count_texts_and_the_values_of_trees() {
        let bytes = |payload: Json| {
            let action = Action::send("t", payload);
            let event = event("a", "b");
            let deliveries = Delivery::for_actions(&event, [("r", &action)], FIRST.received);
            deliveries[0].bytes()
        };
        let none = bytes(Json::Null);
        assert_eq!(bytes(Json::from("x".repeat(1_000))), none + 1_000);
        // 2 bytes of text each, and a value of some tens.
        let numbers = bytes(Json::Array(vec![Json::from(1); 1_000]));
        assert_eq!(numbers, none + 1_000 * size_of::<Json>());
        let members = bytes(Json::object([("key", Json::from("text"))]));
        assert_eq!(members, none + size_of::<(String, Json)>() + 7);
    }

    #[test]
    fn ids_round_trip_through_text() {
        let id = derive(&event("a", "b"), "c", 7, None);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("+".repeat(32).parse::<DeliveryId>(), Err(InvalidDeliveryId));
        assert_eq!("12".parse::<DeliveryId>(), Err(InvalidDeliveryId));
    }
}
