//! Connections to NATS servers, of targets and of sources.

use std::path::PathBuf;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use secrecy::{ExposeSecret, SecretString};

use crate::http::error_chain;

/// Where NATS servers are, and how a client proves who it is.
///
/// Only these servers are connected to, not those that they announce: a client behind a proxy
/// cannot reach those, and what the operator lists is what may be called.
#[derive(Clone)]
pub struct NatsSettings {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) login: NatsLogin,
    pub(crate) tls: NatsTls,
}

/// How a client proves who it is.
#[derive(Clone)]
pub(crate) enum NatsLogin {
    /// Not at all.
    Anonymous,
    /// A token.
    Token(SecretString),
    /// A user and a password.
    Password(String, SecretString),
    /// The seed of a key, which signs what the server sends.
    NKey(SecretString),
    /// The text of a credentials file: a JWT and the seed of its key.
    Credentials(SecretString),
}

/// TLS, besides what servers require themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NatsTls {
    /// Whether a server without TLS is refused.
    pub(crate) required: bool,
    /// A file of authorities in PEM to trust in place of those of the system.
    pub(crate) authorities: Option<PathBuf>,
    /// The files of a certificate and its key, by which the server knows the client.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NatsConnectError {
    /// What went wrong, in one line.
    pub reason: String,
    /// Whether only a change of the configuration helps: wrong credentials or certificates.
    pub is_misconfigured: bool,
}

impl NatsSettings {
    /// The servers for people: hosts and ports.
    pub fn endpoint(&self) -> String {
        let servers = self.servers.iter();
        let servers = servers.map(|server| format!("{}:{}", server.host(), server.port()));
        servers.collect::<Vec<_>>().join(", ")
    }

    /// Connects under this name. A connection that breaks later is made again by itself;
    /// `observe` is called with what happens to it.
    ///
    /// # Errors
    /// If no server accepts the client.
    pub async fn connect(
        &self,
        name: &str,
        observe: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Client, NatsConnectError> {
        let options = self.options()?.name(name).event_callback(move |event| {
            observe(event);
            std::future::ready(())
        });
        let connected = options.connect(self.servers.as_slice()).await;
        connected.map_err(|error| {
            let reason = error_chain(&error);
            // A certificate is checked while data is read, so it is an I/O error.
            let is_misconfigured = matches!(
                error.kind(),
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
            ) || reason.contains("certificate");
            NatsConnectError {
                reason: format!("cannot connect to {}: {reason}", self.endpoint()),
                is_misconfigured,
            }
        })
    }

    fn options(&self) -> Result<ConnectOptions, NatsConnectError> {
        let options = ConnectOptions::new()
            .ignore_discovered_servers()
            .require_tls(self.tls.required);
        let options = match &self.login {
            NatsLogin::Anonymous => options,
            NatsLogin::Token(token) => options.token(token.expose_secret().to_owned()),
            NatsLogin::Password(user, password) => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
            NatsLogin::NKey(seed) => options.nkey(seed.expose_secret().to_owned()),
            NatsLogin::Credentials(text) => {
                // Its text was checked when the configuration was read.
                let options = options.credentials(text.expose_secret());
                options.map_err(|error| NatsConnectError {
                    reason: format!("invalid credentials: {error}"),
                    is_misconfigured: true,
                })?
            }
        };
        let options = match &self.tls.authorities {
            Some(path) => options.add_root_certificates(path.clone()),
            None => options,
        };
        Ok(match &self.tls.identity {
            Some((certificate, key)) => {
                options.add_client_certificate(certificate.clone(), key.clone())
            }
            None => options,
        })
    }
}
