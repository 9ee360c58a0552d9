//! What happened: an event as bounded JSON that keeps its bytes.
//!
//! ```
//! use reflexarc_event::Event;
//!
//! let event = Event::from_json(r#"{"level": "WARN", "content": {"eniId": "eni-1"}}"#)?;
//! assert_eq!(event.tree().get("content").and_then(|c| c.get("eniId")).and_then(|id| id.as_str()), Some("eni-1"));
//! # Ok::<(), reflexarc_event::EventError>(())
//! ```
//!
//! This crate must not know patterns, rules, scripts or how anything is delivered, and has no clock and no I/O.

mod code;
mod diagnostic;
mod event;
mod json;
mod level;
mod limits;

pub use code::Code;
pub use diagnostic::{Diagnostic, Fix, Label, Severity, Span};
pub use event::{Event, EventError};
pub use json::{Json, JsonError, JsonErrorKind};
pub use level::Level;
pub use limits::Limits;
