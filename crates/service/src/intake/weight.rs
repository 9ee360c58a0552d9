//! What events hold in memory while they wait.

use crate::store::Incoming;

/// A tree takes about this many bytes for each value.
const VALUE_BYTES: usize = 64;
/// Events up to this size keep their trees while they wait.
const LARGE: usize = 4 << 10;

/// The event without its trees if they may be large: they are built again when a reaction needs
/// them. The queue is bounded by the bytes of the events, and a tree may take 60 times as much.
pub(crate) fn release_trees(mut incoming: Incoming) -> Incoming {
    let bytes = incoming.native.original().bytes();
    // Most events are some hundred bytes with a comma every 20 bytes, and are left alone.
    let tree = values_at_most(bytes).saturating_mul(VALUE_BYTES);
    if bytes.len() > LARGE || tree > 8 * bytes.len() {
        incoming.native = incoming.native.without_trees();
    }
    incoming
}

/// How many values a JSON text has, or more: those in strings count too.
pub(crate) fn values_at_most(text: &[u8]) -> usize {
    let commas: usize = text.iter().map(|byte| usize::from(*byte == b',')).sum();
    1 + commas
}
