//! Events as JSON within limits: envelopes, the native form, fields and paths, numbers.
//!
//! ```
//! use reflexarc_event::{EniNotification, NativeEvent, Operation};
//!
//! let event = NativeEvent::from_json(
//!     r#"{
//!         "product": "ECS",
//!         "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
//!         "content": {
//!             "eniId": "eni-bp1a4k7x", "operation": "AttachNetworkInterface", "result": "failed"
//!         }
//!     }"#,
//! )?;
//! let notification = EniNotification::read(&event)?;
//! assert_eq!(notification.operation, Operation::Attach.into());
//! assert_eq!(notification.eni_id.value().map(String::as_str), Some("eni-bp1a4k7x"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types of other crates in the interface: points in time are those of [`jiff`], address prefixes
//! those of [`ipnet`], findings those of [`reflexarc_diagnostic`]. [`Json`] implements
//! [`serde::Serialize`].
//!
//! This crate must not know patterns, rules, scripts or delivery. It has no clock and no I/O.

mod address;
mod arn;
mod canonical;
mod catalogue;
mod check;
mod cloudevent;
mod decimal;
mod document;
mod eni;
mod envelope;
mod envelope_detector;
mod event;
mod event_error;
mod field_shape;
mod form;
mod history;
mod identity;
mod json;
mod level;
mod limits;
mod markers;
mod native;
mod native_field;
mod normalize;
mod other_format;
mod parse_error;
mod parsed;
mod path;
mod provenance;
mod records;
mod rewrite;
mod time;
mod webhook;

pub use address::{parse_address, parse_network, unmapped_network};
pub use arn::Arn;
pub use catalogue::{
    CatalogueEntry, CatalogueField, ENI_OPERATION_COMPLETED, EventClass, FieldShape, catalogue,
    catalogue_fields, find_name,
};
pub use check::check;
pub use decimal::Decimal;
pub use document::Document;
pub use eni::{EniNotification, EniStatus, Operation, OperationResult, ReadError, WriteError};
pub use envelope::{Envelope, Member, ObjectMarkers};
pub use envelope_detector::EnvelopeDetector;
pub use event::Event;
pub use event_error::EventError;
pub use field_shape::{field_shape, is_payload};
pub use identity::EventIdentity;
pub use json::walk;
pub use json::{FieldSet, Json, JsonError, JsonErrorKind, JsonValue, Position, Selected};
pub use level::Level;
pub use limits::Limits;
pub use native::NativeEvent;
pub use other_format::OtherFormat;
pub use parse_error::ParseError;
pub use parsed::Parsed;
pub use path::Path;
pub use provenance::MovedField;
pub use records::{Record, RecordCutter, RecordError, ndjson_lines};
pub use time::parse_time;

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
