//! Making it happen: accepts events durably, evaluates them, and delivers what the rules ask for, for certain.
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use reflexarc::RuleSet;
//! use reflexarc_event::Event;
//! use reflexarc_reaction::NoState;
//! use reflexarc_service::{Incoming, Store, StoreOptions};
//!
//! let rule = "when = 'level == \"WARN\"'\nthen = 'send(\"inventory\", event.id);'";
//! let rules = RuleSet::compile([("warnings.toml", rule)]).expect("the rule is right");
//! let folder = tempfile::tempdir()?;
//! let options = StoreOptions { duplicates: SignedDuration::from_hours(24), max_bytes: None, check: true };
//! let store = Store::open(&folder.path().join("reflexarc.db"), &options)?;
//!
//! let incoming = Incoming::new(Event::from_json(r#"{"id": "1", "level": "WARN"}"#)?)?;
//! let now = Timestamp::now();
//! let evaluation = rules.evaluate(&incoming.native, &NoState, now);
//! let accepted = store.accept(incoming, evaluation, now)?;
//!
//! let claimed = store.claim("inventory", now, SignedDuration::from_secs(60), 10)?;
//! assert_eq!(accepted.deliveries, [claimed[0].id]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate must not know how filters match or scripts run; it stores, schedules and sends.

#![allow(
    clippy::disallowed_methods,
    reason = "the service is the rim: clock, files, network and processes are its trade"
)]

mod client;
mod config;
mod dispatch;
mod failing;
mod feed;
mod http;
mod incoming;
mod intake;
mod limits;
mod log;
mod metrics;
mod queues;
mod record;
mod reload;
mod replay;
mod service;
mod store;
mod telemetry;
mod trace;
mod watching;

pub use client::{Remote, RemoteError, Taken};
pub use config::{Config, Fixed, Secrets, Source, TEMPLATE};
pub use dispatch::{Exchange, Queue, Settings, Wake, serve};
pub use feed::Feed;
pub use http::{
    BadRequest, Certificates, Denied, Door, EventBridge, Fault, Fetching, Identity, OverHttps,
    Role, SignatureError, Token, Tokens, listen, posted, queried, router,
};
pub use incoming::Incoming;
pub use intake::{Intake, Overloaded};
pub use limits::Limits;
pub use log::{Redactor, start as start_logging};
pub use metrics::Metrics;
pub use record::evaluation_to_json;
pub use reload::{InForce, Reloaded, Reloader};
pub use replay::{Replay, Replayed};
pub use service::Plan;
pub use store::{
    Accepted, Archived, Attempt, Entry, Ownership, Retention, Selection, Status, Store, StoreError,
    StoreOptions, Tried, Verdict,
};
pub use telemetry::{Collector, Telemetry};
pub use trace::{entry_to_json, trace};
