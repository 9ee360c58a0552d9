//! Reactions: sandboxed rhai scripts that read an event and return effects as data.
//!
//! ```
//! use reflexarc_event::Event;
//! use reflexarc_reaction::{Input, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent};
//!
//! let script = r#"notify("network-team", `look at ${event.content.eniId}`)"#;
//! let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
//! let event = ScriptEvent::new(&Event::from_json(r#"{"content": {"eniId": "eni-1"}}"#)?);
//! let rule = RuleInfo::named("failed-operation");
//!
//! let input = Input::new(&event, &rule, jiff::Timestamp::UNIX_EPOCH);
//! let effects = reaction.run(&input, &NoState)?;
//! assert_eq!(effects.actions[0].target(), "network-team");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Times are those of [`jiff`]: [`Timestamp`] and [`SignedDuration`] are re-exported. Nothing else
//! of the public API is of a crate outside this project.
//!
//! This crate must not know patterns, rule files or how an action is delivered, and has no clock
//! and no I/O.

mod action;
mod answer;
mod builtins;
mod call_input;
mod call_name;
mod check;
mod default_message;
mod default_window_message;
mod effects;
mod error;
mod foreign_syntax;
mod gate;
mod input;
mod kept_match;
mod limits;
mod location;
mod memory_state;
mod parse_error;
mod placeholder;
mod reaction;
mod read_fields;
mod reference;
mod run;
mod run_error;
mod run_log;
mod sandbox;
mod state;
mod state_view;
mod targets;
mod template;
mod trace;
mod value;
mod variable_field;
mod variable_scope;
mod walk;
mod window_input;
mod workspace;

pub use jiff::{SignedDuration, Timestamp};
pub use reflexarc_diagnostic::Diagnostic;
pub use reflexarc_event::{Event, Json, Level};

pub use action::{Action, Message};
pub use answer::{CallAnswer, OwnCode};
pub use call_input::CallInput;
pub use default_message::default_message;
pub use default_window_message::{WindowReason, default_window_message};
pub use effects::{Effects, StateChange};
pub use error::{CompileError, ReactionError};
pub use gate::{Gate, ThrottleDecision};
pub use input::{Input, RuleInfo, Stopwatch};
pub use kept_match::{KeptEvent, KeptMatch};
pub use limits::ReactionLimits;
pub use location::SourceLocation;
pub use memory_state::{MemoryState, StateDifference, StateFormatError};
pub use reaction::Reaction;
pub use reference::REFERENCE;
pub use state::{Entry, KeptMatches, NoState, State, sealed};
pub use targets::{NamedCall, NamedTarget};
pub use template::{Template, TemplateInput, TemplateNames};
pub use value::ScriptEvent;
pub use variable_field::VariableField;
pub use variable_scope::{ScriptVariables, VariableScope};
pub use window_input::WindowInput;

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
