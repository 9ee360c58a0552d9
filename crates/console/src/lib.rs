//! The console: pages that show and operate a running service, rendered on the server.
//!
//! ```no_run
//! use reflexarc::RuleSet;
//! use reflexarc_service::{Config, ServiceBuilder, SqliteStore, StoreOptions};
//! use tokio::net::TcpListener;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open("reflexarc.db".as_ref(), &StoreOptions::default())?;
//! let rules = RuleSet::load("rules".as_ref())?;
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
//! This crate must not know how events are evaluated, stored or delivered.

mod assets;
mod now;
mod page;

use axum::Router;
use axum::routing::get;
use reflexarc_service::ServiceHandle;

/// All pages of the console of this service.
pub fn router(handle: ServiceHandle) -> Router {
    Router::new()
        .route("/", get(now::show))
        .route("/assets/{name}", get(assets::get))
        .with_state(handle)
}
