//! Digests: one message for several deliveries.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};
use sha2::{Digest, Sha256};

use crate::delivery::{Delivery, DeliveryId};
use crate::flood_control::{FiringIdentity, count_firings};
use crate::rendering::{ellipsize, one_line};

/// How a digest shows its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestKind {
    /// Every message, with its text: the target renders it.
    Messages,
    /// The number of firings of one rule, and the first keys.
    Firings,
    /// The number alone: a receiver has refused the keys.
    FiringsWithoutKeys,
}

/// The largest number of keys that a digest of firings lists.
pub const MAX_KEYS: usize = 20;
/// The longest key in such a digest, in bytes.
const KEY_BYTES: usize = 200;
/// The largest number of people whom it mentions.
const MAX_MENTIONS: usize = 100;

/// The first bytes of a digest's id. Those of a delivery are an archive position, of which there
/// will never be so many.
const PREFIX: [u8; 5] = [0xff; 5];

impl DigestKind {
    const ALL: [Self; 3] = [Self::Messages, Self::Firings, Self::FiringsWithoutKeys];
}

impl DeliveryId {
    /// The id of a digest of these deliveries: the same for the same deliveries, in any order.
    ///
    /// ```
    /// use jiff::Timestamp;
    /// use reflexarc_delivery::{Delivery, DeliveryId, DigestKind};
    /// use reflexarc_event::{EventIdentity, Json};
    /// use reflexarc_reaction::Action;
    ///
    /// let action = Action::send("t", Json::Null);
    /// let event = EventIdentity::default();
    /// let actions = [("r", &action), ("r", &action)];
    /// let deliveries = Delivery::for_actions(&event, actions, Timestamp::UNIX_EPOCH);
    /// let id = DeliveryId::of_digest(&deliveries, DigestKind::Messages);
    /// assert_eq!(id.digest_kind(), Some(DigestKind::Messages));
    /// assert_eq!(deliveries[0].id.digest_kind(), None);
    /// ```
    // A retry of the whole digest has the key of the first attempt; with a member more or less it
    // is another message.
    pub fn of_digest(deliveries: &[Delivery], kind: DigestKind) -> Self {
        let mut ids: Vec<_> = deliveries.iter().map(|one| *one.id.as_bytes()).collect();
        ids.sort_unstable();
        let hash = Sha256::digest(ids.as_flattened());
        let mut id = *Self::from_digest(&hash).as_bytes();
        id[..PREFIX.len()].copy_from_slice(&PREFIX);
        id[PREFIX.len()] = kind as u8;
        Self::from(id)
    }

    /// The kind of the digest that has this id; `None` for the id of a delivery.
    pub fn digest_kind(&self) -> Option<DigestKind> {
        let (number, is_digest) = (
            self.as_bytes()[PREFIX.len()],
            self.as_bytes().starts_with(&PREFIX),
        );
        let mut kinds = DigestKind::ALL.into_iter().filter(|_| is_digest);
        kinds.find(|kind| *kind as u8 == number)
    }
}

/// The message in place of these firings of one rule, which are never none: their number and the
/// first keys. It is a delivery, so that every target can render it.
///
/// ```text
/// 37 more firings of stuck-detaching
///
/// - eni-1
/// - eni-2 (3 times)
/// …
/// and 15 more
///
/// from 2026-11-26T10:00:01Z to 2026-11-26T10:00:59Z
/// ```
pub(crate) fn firings_message(firings: &[Delivery], id: DeliveryId) -> Delivery {
    let first = &firings[0];
    let count = count_firings(firings);
    let mut text = String::new();
    if id.digest_kind() == Some(DigestKind::Firings) {
        let keys = counted_keys(firings);
        for (key, count) in keys.iter().take(MAX_KEYS) {
            text.push_str(&match count {
                1 => format!("- {key}\n"),
                count => format!("- {key} ({count} times)\n"),
            });
        }
        match keys.len().saturating_sub(MAX_KEYS) {
            0 => {}
            more => text.push_str(&format!("and {more} more\n")),
        }
        if !text.is_empty() {
            text.push('\n');
        }
    }
    let created = || firings.iter().map(|one| one.created);
    let (from, to) = (created().min(), created().max());
    let [from, to] = [from, to].map(|at| at.unwrap_or(Timestamp::UNIX_EPOCH));
    text.push_str(&if from == to {
        format!("at {from:.0}")
    } else {
        format!("from {from:.0} to {to:.0}")
    });
    let message = Message::new(text)
        .with_title(format!("{count} more firings of {}", first.rule))
        .with_level(highest_level(firings))
        .with_at(mentions(firings));
    Delivery {
        id,
        action: Action::notify(&first.target, message),
        // Firings of several keys and resources: those of the first would mislead.
        key: None,
        resource: String::new(),
        digest: Some(id),
        ..first.clone()
    }
}

/// The keys of firings in their order, with how many there are of each. Where a rule has no `by`,
/// the resource of the event stands in for the key.
fn counted_keys(firings: &[Delivery]) -> Vec<(String, usize)> {
    let mut keys: Vec<(String, usize)> = Vec::new();
    let (mut places, mut known) = (HashMap::new(), HashSet::new());
    for firing in firings {
        // Another message of the same firing.
        if !known.insert(FiringIdentity::of(firing)) {
            continue;
        }
        let shown = match &firing.key {
            Some(key) => readable_key(key),
            None if firing.resource.is_empty() => continue,
            None => firing.resource.clone(),
        };
        let key = ellipsize(&one_line(&shown), KEY_BYTES);
        let place = *places.entry(key.clone()).or_insert(keys.len());
        match keys.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => keys.push((key, 1)),
        }
    }
    keys
}

/// A key as people read it: `eni-1` for `"eni-1"`, and `eni-1, cn-hangzhou` for an array.
fn readable_key(key: &str) -> String {
    let shown = |json: &Json| {
        json.as_str()
            .map_or_else(|| json.to_string(), str::to_owned)
    };
    match Json::parse(key) {
        Ok(Json::Array(elements)) => {
            let elements: Vec<_> = elements.iter().map(shown).collect();
            elements.join(", ")
        }
        Ok(json) => shown(&json),
        Err(_) => key.to_owned(),
    }
}

fn highest_level(firings: &[Delivery]) -> Level {
    let levels = firings.iter().map(|firing| match &firing.action {
        Action::Notify { message, .. } => message.level,
        Action::Send { .. } | Action::Call { .. } => Level::Info,
    });
    levels.max().unwrap_or(Level::Info)
}

/// Each person whom one of the messages mentions.
fn mentions(firings: &[Delivery]) -> Vec<String> {
    let mut people: Vec<String> = Vec::new();
    for firing in firings {
        if let Action::Notify { message, .. } = &firing.action {
            for person in &message.at {
                if people.len() < MAX_MENTIONS && !people.contains(person) {
                    people.push(person.clone());
                }
            }
        }
    }
    people
}

#[cfg(test)]
mod tests;
