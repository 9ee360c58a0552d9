//! What other crates may do with a running service.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Extensions, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use reflexarc::RuleSet;
use secrecy::SecretString;

use crate::http::{AppState, Client, slow_down};
use crate::limits::Limits;
use crate::security::{ANONYMOUS, Role, Token};
use crate::store::{Store, StoreError};

/// A running service: what a console or another front end reads and operates.
#[derive(Clone)]
pub struct ServiceHandle {
    pub(crate) state: Arc<AppState>,
}

/// Who uses the console.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name of the token, or `anonymous` without tokens.
    pub name: String,
    /// The roles of the token; all without tokens.
    pub roles: Vec<Role>,
    /// Which of the tokens that have had this name; `None` without tokens.
    fingerprint: Option<[u8; 32]>,
}

/// The client of a request to the console, for [`ServiceHandle::log_in`].
pub struct ConsoleClient(Option<Client>);

impl Login {
    /// Everybody, where there are no tokens.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            roles: vec![Role::Ingest, Role::Read, Role::Operate],
            fingerprint: None,
        }
    }

    fn of(token: &Token) -> Self {
        Self {
            name: token.name().to_owned(),
            roles: token.roles().to_vec(),
            fingerprint: Some(token.fingerprint()),
        }
    }
}

impl ConsoleClient {
    /// The client of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        Self(extensions.get::<Client>().cloned())
    }

    /// Reads the body of a form, within the time limit for bodies.
    ///
    /// # Errors
    /// 400 for an incomplete body, 408 for one that takes too long, 413 for one of more than
    /// `limit` bytes.
    pub async fn read_body(
        &self,
        limits: &Limits,
        body: Body,
        limit: usize,
    ) -> Result<Bytes, (StatusCode, String)> {
        if let Some(client) = &self.0 {
            client.set_waiting();
        }
        let body = Limited::new(body, limit);
        let read = tokio::time::timeout(limits.body, body.collect()).await;
        if let Some(client) = &self.0 {
            client.set_working();
        }
        match read {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let message = format!("The form has more than {limit} bytes.");
                Err((StatusCode::PAYLOAD_TOO_LARGE, message))
            }
            Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "The form is incomplete.".into())),
            Err(_) => {
                let message = "Timeout while reading the form.";
                Err((StatusCode::REQUEST_TIMEOUT, message.into()))
            }
        }
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        self.0.as_ref()
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

    /// As [`ServiceHandle::query`], for work that may take seconds: as many of these at one time as
    /// there are processors for large work, and the others wait.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn query_large<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.state.large_work.acquire().await;
        let found = self.query(query).await;
        drop(turn);
        found
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

    /// Whether the service has a TLS certificate: then the console has it too.
    pub fn has_tls(&self) -> bool {
        self.state.live.tls_identity.load().is_some()
    }

    /// The limits of clients.
    pub fn limits(&self) -> &Limits {
        &self.state.limits
    }

    /// How many problems are open.
    pub fn problem_count(&self) -> usize {
        self.state.metrics.problems.active()
    }

    /// Checks a token that a person has entered. A wrong one is reported and its answer delayed,
    /// as wrong tokens of the API are.
    pub async fn log_in(&self, client: &ConsoleClient, token: &SecretString) -> Option<Login> {
        let tokens = self.state.live.tokens.load_full();
        let found = tokens.find(token, self.now()).map(Login::of);
        if let Some(client) = &client.0 {
            match found {
                Some(_) => client.set_authenticated(),
                None => slow_down(&self.state, client).await,
            }
        }
        found
    }

    /// The login as it is now: `None` if its token was removed or replaced or has expired. The
    /// client no longer counts as an unknown one.
    pub fn renew(&self, client: &ConsoleClient, login: &Login) -> Option<Login> {
        let tokens = self.state.live.tokens.load();
        let renewed = match login.fingerprint {
            None => tokens.is_open().then(Login::anonymous)?,
            Some(fingerprint) => Login::of(tokens.current(&login.name, fingerprint, self.now())?),
        };
        if let Some(client) = &client.0 {
            client.set_authenticated();
        }
        Some(renewed)
    }
}
