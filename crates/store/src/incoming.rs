//! An event as intake sees it: as received, in native form, and with its identity.

use reflexarc_delivery::{DeliveryId, EventRef};
use reflexarc_event::{Event, EventError, EventIdentity, NativeEvent};
use sha2::{Digest, Sha256};

/// An event that is about to be accepted.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_store::Incoming;
///
/// let event = Event::from_json(r#"{"id": "8B2A", "product": "ECS", "name": "Disk:Stalled"}"#)?;
/// let incoming = Incoming::new(event)?;
/// assert_eq!(incoming.name.id, "8B2A");
///
/// let anonymous = Incoming::new(Event::from_json("{}")?)?;
/// assert_eq!(anonymous.name.id.len(), 32);
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The event in native form, for the rules, and as it was received, for the archive.
    pub native: NativeEvent,
    /// Source and id. An event without an id gets a random one.
    pub name: EventRef,
    /// The whole identity, with the same source and id.
    pub identity: EventIdentity,
    /// Digest of the identity, by which duplicates are recognised; `None` for an event without an
    /// id, which cannot be distinguished from a copy.
    pub(crate) fingerprint: Option<[u8; 16]>,
}

impl Incoming {
    /// Reads what intake needs from an event.
    ///
    /// # Errors
    /// If the event's envelope is known but cannot be converted to the native form.
    pub fn new(received: Event) -> Result<Self, EventError> {
        NativeEvent::new(received).map(Self::from_native)
    }

    /// Reads what intake needs from an event in native form.
    pub fn from_native(native: NativeEvent) -> Self {
        let identity = native.identity();
        let fingerprint = identity.as_ref().map(fingerprint);
        // Random, not derived from the content: two identical events without ids are two events
        // (two ticks of a clock), and their deliveries must have different ids.
        let identity = identity.unwrap_or_else(|| EventIdentity::with_id(&native, random_id()));
        Self {
            name: EventRef::from(&identity),
            identity,
            native,
            fingerprint,
        }
    }

    /// Gives an event without an id this one, by which its copies are recognised from then on. An
    /// event with an id keeps it.
    ///
    /// ```
    /// use reflexarc_event::Event;
    /// use reflexarc_store::Incoming;
    ///
    /// let mut tick = Incoming::new(Event::from_json(r#"{"type": "tick"}"#)?)?;
    /// tick.identify("message-7");
    /// assert_eq!((&*tick.name.id, &*tick.identity.name), ("message-7", "tick"));
    /// let mut known = Incoming::new(Event::from_json(r#"{"id": "1"}"#)?)?;
    /// known.identify("message-8");
    /// assert_eq!(known.name.id, "1");
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn identify(&mut self, id: &str) {
        if self.fingerprint.is_none() {
            self.set_id(id);
            self.fingerprint = Some(fingerprint(&self.identity));
        }
    }

    /// Assigns an id to an event that has none of its own, instead of the random one.
    pub fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.name.id);
        id.clone_into(&mut self.identity.id);
    }
}

/// The digest of an identity.
fn fingerprint(identity: &EventIdentity) -> [u8; 16] {
    let mut hash = Sha256::new();
    for field in identity.fields() {
        // Lengths keep the fields apart: ("ab", "c") and ("a", "bc") are different events.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// 32 hexadecimal digits from the operating system's random source.
fn random_id() -> String {
    let mut bytes = [0; 16];
    // Fails only where the kernel has no random source, where TLS would not work either.
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    DeliveryId::from(bytes).to_string()
}
