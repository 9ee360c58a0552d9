//! The console: pages that show and operate a running service, rendered on the server.
//!
//! ```no_run
//! use reflexarc::RuleSet;
//! use reflexarc_service::{Config, ServiceBuilder, SqliteStore, StoreOptions};
//! use tokio::net::TcpListener;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open("reflexarc.db".as_ref(), &StoreOptions::default())?;
//! let rules = RuleSet::load("rules")?;
//! let console = TcpListener::bind("127.0.0.1:8326").await?;
//! let (_stop, stopped) = tokio::sync::watch::channel(false);
//! ServiceBuilder::new(Config::default(), rules, std::sync::Arc::new(store))
//!     .with_console(console, Box::new(reflexarc_console::router))
//!     .serve(TcpListener::bind("127.0.0.1:8321").await?, stopped)
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every page works without JavaScript. What a page shows comes from a
//! [`ServiceHandle`]; what it changes goes through the operations of the service, which record it.
//!
//! A page is a template in `templates/` that extends `base.html`, with a struct of the same name
//! whose field `page` is the `Page` around it. Its handler takes a
//! `Session`, which exists only for a login with the role `read`, and the
//! `Fields` of its query:
//!
//! ```text
//! async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
//!     let page = session.page(Screen::Events, "Events").command("reflexarc events");
//!     let found = session.handle().query(…).await?;
//!     html(&Events { page, found })
//! }
//! ```
//!
//! This crate must not know how events are evaluated, stored or delivered.

#![allow(
    clippy::disallowed_methods,
    reason = "sessions end by the clock, and their ids are random"
)]

mod assets;
mod audit;
mod confirm;
mod cookie;
mod deliveries;
mod delivery;
mod delivery_view;
mod effects;
mod entry;
mod error;
mod events;
mod fields;
mod incidents;
mod inline;
mod jobs;
mod links;
mod live;
mod login;
mod now;
mod outcome;
mod page;
mod parts;
mod pending;
mod rule;
mod rules;
mod secret;
mod session;
mod sessions;
mod silences;
mod targets;
mod text;
mod times;
mod try_event;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use reflexarc_service::ServiceHandle;

use crate::outcome::Outcomes;
use crate::secret::{Key, Unavailable};
use crate::sessions::Sessions;

/// What the pages share.
#[derive(Clone)]
pub(crate) struct Console {
    handle: ServiceHandle,
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Sessions,
    outcomes: Outcomes,
    /// Makes the CSRF tokens; `None` without a source of random numbers, and then there are no
    /// pages.
    key: Result<Key, Unavailable>,
}

/// All pages of the console of this service.
pub fn router(handle: ServiceHandle) -> Router {
    let console = Console {
        handle,
        shared: Arc::new(Shared {
            sessions: Sessions::default(),
            outcomes: Outcomes::default(),
            key: Key::random(),
        }),
    };
    Router::new()
        .route("/", get(now::show))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/confirm", get(confirm::show))
        .route("/perform", post(confirm::perform))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::show))
        .route("/targets", get(targets::list))
        .route("/targets/{name}", get(targets::show))
        .route("/audit", get(audit::show))
        .route(session::LIVE, get(live::show))
        .merge(screens())
        .route("/assets/{name}", get(assets::get))
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(console)
}

/// The pages of events, deliveries and rules.
fn screens() -> Router<Console> {
    Router::new()
        .route("/events", get(events::show))
        .route("/events/{seq}", get(entry::show))
        .route("/events/{seq}/raw", get(entry::raw))
        .route("/events/{seq}/why/{rule}", get(entry::show_why))
        .route("/dead-letters", get(deliveries::show_dead))
        .route("/outbox", get(deliveries::show_outbox))
        .route("/deliveries/{id}", get(delivery::show))
        .route("/pending", get(pending::show))
        .route("/incidents/{id}", get(incidents::show))
        .route("/silences", get(silences::show))
        .route("/rules", get(rules::show))
        .route("/rules/{name}", get(rule::show))
        .route("/rules/{name}/raw", get(rule::raw))
        .route("/rules/{name}/tests", get(rule::show_tests))
        .route("/rules/{name}/what-if", post(rule::show_what_if))
        .route("/try", get(try_event::show).post(try_event::run))
}
