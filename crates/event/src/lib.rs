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

mod arn;
mod catalogue;
mod check;
mod cloudevent;
mod code;
mod diagnostic;
mod eni;
mod envelope;
mod event;
mod form;
mod identity;
mod json;
mod level;
mod limits;
mod normalize;
mod reading;
mod time;
mod webhook;

pub use arn::Arn;
pub use catalogue::{CatalogueEntry, ENI_OPERATION_COMPLETED, EventClass, catalogue, find_name};
pub use check::check;
pub use code::Code;
pub use diagnostic::{Diagnostic, Fix, Label, Severity, Span};
pub use eni::{EniNotification, EniStatus, Operation, OperationResult, ReadError, WriteError};
pub use envelope::Envelope;
pub use event::{Event, EventError};
pub use json::{Json, JsonError, JsonErrorKind, Position};
pub use level::Level;
pub use limits::Limits;
pub use reading::Reading;
pub use time::parse_time;
