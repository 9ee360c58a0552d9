//! What to do: sandboxed rhai scripts that read an event and ask for actions.
//!
//! ```
//! use reflexarc_event::Event;
//! use reflexarc_reaction::{Input, Limits, NoState, Reaction, RuleFacts, ScriptEvent};
//!
//! let reaction = Reaction::compile(r#"notify("network-team", `look at ${event.content.eniId}`)"#, &Limits::DEFAULT)
//!     .map_err(|diagnostics| diagnostics[0].message.clone())?;
//! let event = ScriptEvent::new(&Event::from_json(r#"{"content": {"eniId": "eni-1"}}"#)?);
//! let rule = RuleFacts::named("failed-operation");
//!
//! let effects = reaction.run(&Input::new(&event, &rule, jiff::Timestamp::UNIX_EPOCH), &NoState)?;
//! assert_eq!(effects.actions[0].target(), "network-team");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate must not know patterns, rule files or how an action is delivered, and has no clock and no I/O.

mod action;
mod check;
mod default_message;
mod effects;
mod error;
mod fault;
mod gate;
mod limits;
mod place;
mod reaction;
mod reference;
mod run;
mod sandbox;
mod state;
mod syntax;
mod template;
mod trace;
mod value;
mod vocabulary;

pub use action::{Action, Message};
pub use default_message::default_message;
pub use effects::{Effects, StateChange};
pub use error::ReactionError;
pub use gate::{Gate, Passage};
pub use limits::Limits;
pub use place::Place;
pub use reaction::{Input, Reaction, RuleFacts, Stopwatch};
pub use reference::REFERENCE;
pub use reflexarc_event::Level;
pub use state::{Entry, MemoryState, NoState, State};
pub use template::Template;
pub use value::ScriptEvent;
