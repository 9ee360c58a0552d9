//! The service: accepts events durably, evaluates them, and delivers the resulting actions.
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use reflexarc::RuleSet;
//! use reflexarc_event::Event;
//! use reflexarc_reaction::NoState;
//! use reflexarc_service::{Incoming, SqliteStore, Store, StoreOptions};
//!
//! let rule = "when = 'level == \"WARN\"'\nthen = 'send(\"inventory\", event.id);'";
//! let rules = RuleSet::compile([("warnings.toml", rule)]).expect("the rule is valid");
//! let folder = tempfile::tempdir()?;
//! let options = StoreOptions::default();
//! let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options)?;
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
//! The modules follow an event: `http` admits it, `intake` evaluates it and decides when it is
//! committed, [`store`] commits it with its deliveries, [`dispatch`] sends those. [`config`] is
//! read at the start and at each reload; `live_config` holds what is in effect.
//!
//! Types of other crates in the public API: times and durations are those of [`jiff`], headers and
//! URLs those of [`axum`] and [`reqwest`], secrets those of [`secrecy`], listeners and channels
//! those of [`tokio`]; rules, evaluations and events are those of `reflexarc`, `reflexarc-event`,
//! `reflexarc-reaction` and `reflexarc-delivery`; those of the store are those of
//! `reflexarc-store`.
//!
//! This crate must not know how filters match, how scripts run, or how a target sends.

#![allow(
    clippy::disallowed_methods,
    reason = "the service uses the clock, files, the network and processes"
)]

pub mod budgets;
mod clock;
pub mod config;
mod deadlines;
mod descriptors;
pub mod dispatch;
mod feed;
mod handle;
mod heartbeat;
mod http;
mod intake;
mod limits;
mod live;
mod live_config;
mod maintenance;
mod nodes;
pub mod operate;
mod reload;
mod rule_calls;
mod rule_targets;
pub mod security;
mod service;
mod shutdown;
mod silences;
mod sources;
mod store_health;
mod store_location;
pub mod telemetry;
mod timeline;

pub use clock::ServiceClock;
pub use config::Config;
pub use feed::Feed;
pub use handle::{ConsoleClient, Login, ServiceHandle};
pub use heartbeat::Heartbeat;
pub use limits::Limits;
pub use live::LiveBroadcast;
pub use nodes::{NodeOverview, Nodes};
pub use reflexarc_store as store;
pub use reload::Reloaded;
pub use rule_calls::check_calls;
pub use rule_targets::check_targets;
pub use service::{ConsoleRouter, ServiceBuilder};
pub use sources::SourceConfig;
pub use store::{Accepted, Incoming, SqliteStore, Store, StoreError, StoreOptions};
pub use store_location::{StoreLocation, StoreUrl, open_store};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
