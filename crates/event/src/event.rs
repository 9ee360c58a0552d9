//! One event: its bytes, checked once, and a tree when somebody asks.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::envelope::{Envelope, Signs};
use crate::event_error::EventError;
use crate::json::{Json, read};
use crate::limits::Limits;

/// One event: bounded, valid JSON whose top level is an object. Cloning is cheap and shares the bytes.
#[derive(Clone)]
pub struct Event {
    bytes: Arc<[u8]>,
    limits: Limits,
    signs: Signs,
    tree: Arc<OnceLock<Json>>,
}

impl Event {
    /// Reads one event under [`Limits::DEFAULT`].
    ///
    /// # Errors
    /// When there are more than 1 MiB or 128 levels, or the bytes are not one JSON object in UTF-8; the error carries the byte offset.
    pub fn from_json(bytes: impl Into<Vec<u8>>) -> Result<Self, EventError> {
        Self::from_json_within(bytes, &Limits::DEFAULT)
    }

    /// Reads one event under the limits given.
    ///
    /// # Errors
    /// As [`Event::from_json`], with the caller's limits.
    pub fn from_json_within(
        bytes: impl Into<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Self, EventError> {
        let bytes = bytes.into();
        if bytes.len() > limits.bytes {
            return Err(EventError::TooLarge {
                bytes: bytes.len(),
                limit: limits.bytes,
            });
        }
        let signs = Signs::of(read(&bytes, limits.depth)?)?;
        Ok(Self {
            bytes: bytes.into(),
            limits: *limits,
            signs,
            tree: Arc::default(),
        })
    }

    /// An event from a tree, under [`Limits::DEFAULT`]; its bytes are the compact text of the tree.
    ///
    /// # Errors
    /// When the tree is not an object or exceeds the limits.
    pub fn from_tree(tree: Json) -> Result<Self, EventError> {
        Self::from_tree_within(tree, &Limits::DEFAULT)
    }

    pub(crate) fn from_tree_within(tree: Json, limits: &Limits) -> Result<Self, EventError> {
        let event = Self::from_json_within(tree.to_string(), limits)?;
        Ok(Self {
            tree: Arc::new(tree.into()),
            ..event
        })
    }

    /// An event in the native form, which must not be taken for another envelope because of members that were kept.
    pub(crate) fn normalised(tree: Json, limits: &Limits) -> Result<Self, EventError> {
        Ok(Self {
            signs: Signs::NORMALISED,
            ..Self::from_tree_within(tree, limits)?
        })
    }

    /// An event that we write ourselves and that may exceed the limits a little.
    pub(crate) fn written(tree: Json, limits: &Limits) -> Self {
        let text = tree.to_string();
        let wider = Limits {
            bytes: limits.bytes.max(text.len()),
            depth: limits.depth.saturating_add(1),
            ..*limits
        };
        let event = Self::from_json_within(text, &wider)
            .expect("a tree of an event one level deeper is an event");
        Self {
            tree: Arc::new(tree.into()),
            ..event
        }
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The event as a tree, always a [`Json::Object`].
    #[allow(
        clippy::missing_panics_doc,
        reason = "the bytes were checked when the event was made"
    )]
    pub fn tree(&self) -> &Json {
        self.tree.get_or_init(|| {
            Json::parse_within(&*self.bytes, self.limits.depth)
                .expect("the bytes were checked when the event was made")
        })
    }

    /// Who sent it, by its shape; costs nothing.
    pub fn envelope(&self) -> Envelope {
        self.signs.envelope()
    }

    /// The limits it was read under.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn signs(&self) -> Signs {
        self.signs
    }
}

/// Envelope and text.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Event({}: {})",
            self.envelope(),
            String::from_utf8_lossy(&self.bytes)
        )
    }
}
