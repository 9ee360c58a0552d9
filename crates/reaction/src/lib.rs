//! What to do: sandboxed rhai scripts that read an event and ask for actions.
//!
//! This crate must not know patterns, rule files or how an action is delivered, and has no clock and no I/O.

mod effects;
mod state;

pub use effects::{Action, Effects, Message, StateChange};
pub use reflexarc_event::Level;
pub use state::{MemoryState, NoState, State};
