//! The event crate against the corpus, the examples and its own twin.
#![allow(clippy::disallowed_methods, reason = "tests read their cases from files")]

mod envelopes;
mod notification;
