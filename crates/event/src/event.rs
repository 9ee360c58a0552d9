//! One event: its bytes, checked once, and a tree when somebody asks.

use std::sync::{Arc, OnceLock};

use crate::json::{Json, JsonError};
use crate::limits::Limits;

/// One event: bounded, valid JSON whose top level is an object. Cloning is cheap and shares the bytes.
#[derive(Debug, Clone)]
pub struct Event {
    bytes: Arc<[u8]>,
    depth: usize,
    tree: Arc<OnceLock<Json>>,
}

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// More bytes than [`Limits::bytes`].
    #[error("the event has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What came.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not JSON, nested too deeply, or not UTF-8.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not an object.
    #[error("an event is a JSON object, but this is {found}")]
    NotAnObject {
        /// What came: "an array", "a string" …
        found: &'static str,
    },
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
    pub fn from_json_within(bytes: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, EventError> {
        let bytes = bytes.into();
        if bytes.len() > limits.bytes {
            return Err(EventError::TooLarge { bytes: bytes.len(), limit: limits.bytes });
        }
        let found = Json::check_within(&bytes, limits.depth)?;
        if found != "an object" {
            return Err(EventError::NotAnObject { found });
        }
        Ok(Self { bytes: bytes.into(), depth: limits.depth, tree: Arc::default() })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The event as a tree, always a [`Json::Object`].
    pub fn tree(&self) -> &Json {
        self.tree.get_or_init(|| {
            Json::parse_within(&self.bytes, self.depth).expect("the bytes were checked when the event was made")
        })
    }
}
