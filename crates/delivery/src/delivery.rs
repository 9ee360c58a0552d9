//! One message on its way to one target, and what came of trying.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::EventIdentity;
use reflexarc_reaction::Action;
use sha2::{Digest, Sha256};

/// Names a delivery for ever: derived from the event, the rule, the action's number and the replay, so that accepting
/// the same event twice asks for the same delivery, and every copy that a target receives carries the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId([u8; 16]);

/// A text that is not a delivery id: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery id is 32 hexadecimal digits")]
pub struct NotADeliveryId;

/// One delivery as a target gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name, also the idempotency key.
    pub id: DeliveryId,
    /// The event that led here.
    pub event: EventName,
    /// What the event is about (its `resourceId`), empty when it names nothing.
    pub resource: String,
    /// The rule that asked for it.
    pub rule: String,
    /// The target's name.
    pub target: String,
    /// What to deliver.
    pub action: Action,
    /// When the event was accepted or the replay was asked for.
    pub created: Timestamp,
    /// The replay that asked for it, if one did.
    pub replay: Option<String>,
    /// Which attempt comes next, from 1; a delivery put back from the dead letters starts again at 1.
    pub attempt: u32,
    /// When the present series of attempts began: `created`, or when it was put back from the dead letters.
    pub since: Timestamp,
    /// The parts that were taken already, where a target sends a delivery in parts: recipients, pieces of a long message.
    /// They are not sent again.
    pub taken: Vec<String>,
}

/// Source and id of an event, by which people find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventName {
    /// Who says so, such as `acs.ecs`.
    pub source: String,
    /// The id that the source gave.
    pub id: String,
}

/// What a receiver said when it took a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The receiver's words, shortened.
    pub answer: String,
    /// The part that was taken, when there is more to send: the target is then called again at once.
    pub part: Option<String>,
}

/// Why an attempt failed, by what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may work later.
    #[error("{reason}")]
    Later {
        /// The receiver's words or the fault.
        reason: String,
        /// How long the receiver asks to be left alone.
        after: Option<SignedDuration>,
    },
    /// The target takes nothing from us for a while: the whole queue waits.
    #[error("{reason}")]
    Throttled {
        /// The receiver's words.
        reason: String,
        /// How long to wait before anything else is sent there.
        pause: SignedDuration,
    },
    /// It works only after somebody mends the configuration here or there.
    #[error("{reason}")]
    Configuration {
        /// The receiver's words, and what to mend.
        reason: String,
    },
    /// This message will never be taken.
    #[error("{reason}")]
    Refused {
        /// The receiver's words.
        reason: String,
    },
    /// Some parts were taken; the fault is about the others.
    #[error("{rest}")]
    Partly {
        /// The parts that were taken now.
        taken: Vec<String>,
        /// What became of the others.
        rest: Box<SendError>,
    },
}

impl Receipt {
    /// All was taken, with these words.
    pub fn whole(answer: impl Into<String>) -> Self {
        Self {
            answer: answer.into(),
            part: None,
        }
    }

    /// One word for logs, metrics and lists.
    pub fn outcome(&self) -> &'static str {
        if self.part.is_some() {
            "partly"
        } else {
            "delivered"
        }
    }
}

impl DeliveryId {
    /// The id for action `number` (0-based, counted over the rule's actions in one evaluation) of `rule` after `event`.
    pub fn derive(event: &EventIdentity, rule: &str, number: usize, replay: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        let number = (number as u64).to_be_bytes();
        // Lengths keep the parts apart: ("ab", "c") and ("a", "bc") are different deliveries.
        let identity = event.fields().map(str::as_bytes);
        for part in identity.into_iter().chain([rule.as_bytes(), &number]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        if let Some(replay) = replay {
            hash.update(replay.as_bytes());
        }
        Self::from_digest(&hash.finalize())
    }

    /// The first 16 bytes of a SHA-256 digest.
    pub(crate) fn from_digest(digest: &[u8]) -> Self {
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// The id as 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A number that differs from delivery to delivery, for jitter.
    pub fn seed(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |seed: u64, byte| seed.rotate_left(8) ^ u64::from(*byte))
    }
}

impl From<&EventIdentity> for EventName {
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
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for DeliveryId {
    type Err = NotADeliveryId;

    fn from_str(text: &str) -> Result<Self, NotADeliveryId> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotADeliveryId);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| NotADeliveryId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl SendError {
    /// A fault that may pass.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later {
            reason: reason.into(),
            after: None,
        }
    }

    /// The receiver's words or the fault.
    pub fn reason(&self) -> &str {
        match self {
            Self::Later { reason, .. }
            | Self::Throttled { reason, .. }
            | Self::Configuration { reason }
            | Self::Refused { reason } => reason,
            Self::Partly { rest, .. } => rest.reason(),
        }
    }

    /// The same in other words.
    #[must_use]
    pub fn with_reason(mut self, words: String) -> Self {
        match &mut self {
            Self::Later { reason, .. }
            | Self::Throttled { reason, .. }
            | Self::Configuration { reason }
            | Self::Refused { reason } => *reason = words,
            Self::Partly { rest, .. } => **rest = rest.as_ref().clone().with_reason(words),
        }
        self
    }

    /// One word for logs, metrics and lists.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Later { .. } => "failed",
            Self::Throttled { .. } => "throttled",
            Self::Configuration { .. } => "misconfigured",
            Self::Refused { .. } => "refused",
            Self::Partly { .. } => "partly",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(source: &str, id: &str) -> EventIdentity {
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

    #[test]
    fn an_id_depends_on_each_of_its_parts_and_on_where_they_part() {
        let base = DeliveryId::derive(&name("acs.ecs", "1"), "r", 0, None);
        assert_eq!(
            base,
            DeliveryId::derive(&name("acs.ecs", "1"), "r", 0, None)
        );
        for other in [
            DeliveryId::derive(&name("acs.ecs1", ""), "r", 0, None),
            DeliveryId::derive(&name("acs.ecs", "2"), "r", 0, None),
            DeliveryId::derive(&name("acs.ecs", "1"), "r2", 0, None),
            DeliveryId::derive(&name("acs.ecs", "1"), "r", 1, None),
            DeliveryId::derive(&name("acs.ecs", "1"), "r", 0, Some("monday")),
            DeliveryId::derive(&about("Disk:New", "", ""), "r", 0, None),
            DeliveryId::derive(&about("", "eni-1", ""), "r", 0, None),
            DeliveryId::derive(&about("", "", "2019-04-09T04:18:26Z"), "r", 0, None),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = DeliveryId::derive(&name("a", "b"), "c", 7, None);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("+".repeat(32).parse::<DeliveryId>(), Err(NotADeliveryId));
        assert_eq!("12".parse::<DeliveryId>(), Err(NotADeliveryId));
    }
}
