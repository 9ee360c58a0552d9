//! The references of targets, `TARGETS.md` and `REFERENCE.md` (those that take calls), as constants.
//! Their configurations are read by the tests.

/// The keys of targets for messages and documents, and what they make of them.
///
/// ```
/// assert!(reflexarc_delivery::TARGETS.starts_with("# Targets for messages and documents"));
/// ```
pub const TARGETS: &str = include_str!("../TARGETS.md");

/// The keys of targets that take calls, and what they make of calls and answers.
///
/// ```
/// assert!(reflexarc_delivery::REFERENCE.starts_with("# Targets that take calls"));
/// ```
pub const REFERENCE: &str = include_str!("../REFERENCE.md");
