//! Findings about a text that a user wrote, as data: code, severity, location, help and fix.
//!
//! ```
//! use reflexarc_diagnostic::{Code, Diagnostic};
//!
//! let text = "result = failed";
//! let finding = Diagnostic::error(Code::SYNTAX, 7..8, "unexpected `=`; use `==` to compare")
//!     .with_fix(7..8, "==");
//! assert_eq!(finding.code.to_string(), "RA0101");
//! assert!(finding.render("filter", text, false).contains("--> filter:1:8"));
//! ```
//!
//! Types of other crates in the interface: durations and points in time are those of [`jiff`]; the
//! module [`toml`] exports the values of the crate `toml` that it reads.
//!
//! This crate must not know what the texts mean: no event, filter, rule, script or setting.

mod allowed;
mod code;
mod diagnostic;
mod duration;
mod file;
mod most_severe;
mod nearest;
mod render;
pub mod toml;
mod truncate;

pub use allowed::remove_allowed;
pub use code::{Code, UnknownCode};
pub use diagnostic::{Diagnostic, Fix, Label, Severity, Span};
pub use duration::{DurationError, format_duration, parse_duration};
pub use file::{FileDiagnostics, InvalidFiles};
pub use most_severe::keep_most_severe;
pub use nearest::{nearest, similar};
pub use truncate::{Truncated, truncate, truncate_to_bytes, truncate_to_line};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
