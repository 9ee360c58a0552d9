//! What other crates may do with a running service.

use std::sync::Arc;

use axum::http::Extensions;
use jiff::Timestamp;
use reflexarc::RuleSet;
use secrecy::SecretString;

use crate::http::{AppState, Client, slow_down};
use crate::security::Role;
use crate::store::{Store, StoreError};

/// A running service: what a console or another front end reads and operates.
#[derive(Clone)]
pub struct ServiceHandle {
    pub(crate) state: Arc<AppState>,
}

/// Who uses the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name of the token, or `anonymous` without tokens.
    pub name: String,
    /// The roles of the token; all without tokens.
    pub roles: Vec<Role>,
}

/// The client of a request to the console, for [`ServiceHandle::log_in`].
pub struct ConsoleClient(Option<Client>);

impl ConsoleClient {
    /// The client of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        Self(extensions.get::<Client>().cloned())
    }
}

impl ServiceHandle {
    pub(crate) fn new(state: Arc<AppState>) -> Self {
        Self { state }
    }

    /// The store. Its methods may block: use [`ServiceHandle::query`] from async code.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.state.store
    }

    /// Queries the store on a thread that may block.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.state.store.clone();
        crate::service::blocking(move || query(&*store)).await
    }

    /// The rules in effect.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.state.intake.rules().load_full()
    }

    /// The service's time.
    pub fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// Whether there are no tokens: then no login is needed.
    pub fn is_open(&self) -> bool {
        self.state.live.tokens.load().is_open()
    }

    /// Checks a token that a person has entered. A wrong one is reported and its answer delayed,
    /// as wrong tokens of the API are.
    pub async fn log_in(&self, client: &ConsoleClient, token: &SecretString) -> Option<Login> {
        let found = self.state.live.tokens.load().find(token, self.now());
        match (found, &client.0) {
            (Some((name, roles)), client) => {
                if let Some(client) = client {
                    client.set_authenticated();
                }
                Some(Login { name, roles })
            }
            (None, client) => {
                if let Some(client) = client {
                    slow_down(&self.state, client).await;
                }
                None
            }
        }
    }

    /// The login as it is now: of a token that was removed or has expired, `None`. The client no
    /// longer counts as an unknown one.
    pub fn renew(&self, client: &ConsoleClient, name: &str) -> Option<Login> {
        let roles = self.state.live.tokens.load().roles_of(name, self.now())?;
        if let Some(client) = &client.0 {
            client.set_authenticated();
        }
        Some(Login {
            name: name.to_owned(),
            roles,
        })
    }
}
