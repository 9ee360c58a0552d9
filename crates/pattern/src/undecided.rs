//! The error of a comparison that would take too long.

/// A pattern cannot be compared with an event within the limit of steps.
///
/// This concerns patterns with many fields in arrays of objects, and events with many objects in
/// them: the combinations of elements that may match together grow with a power of their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter cannot be compared with this event: there are too many combinations of the \
     elements of its arrays; use fewer fields in arrays, or several rules"
)]
pub struct Undecided;
