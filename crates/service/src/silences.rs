//! Silences and inhibitions: which deliveries they select, and releasing what they have withheld.
//!
//! The store asks at each claim ([`SilencePatterns`] is its [`Withholding`]), so that evaluation
//! knows nothing of silences, and a delivery that waits for hours is judged by what is in effect
//! when it would be sent.
//!
//! ```text
//! claim      Withholding::decide: a document of each delivery against all patterns
//! begin      a silence has begun: queues release what they have claimed, and ask again
//! release    a task of its own: what is over is released in steps, and its queues are woken
//! ```

mod document;
mod inhibitions;
mod patterns;
mod release;
#[cfg(test)]
mod tests;

pub(crate) use self::document::document;
pub(crate) use self::patterns::{SilencePatterns, parse_pattern};
pub use self::release::WithholdingChanges;
pub(crate) use self::release::{Releases, release_regularly};
