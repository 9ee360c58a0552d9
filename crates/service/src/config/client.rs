//! What a client of the service needs of its configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use jiff::Timestamp;
use reflexarc::{FileDiagnostics, InvalidFiles};
use reflexarc_delivery::config::{self as delivery_config, ConfigContext, ConfigTable, Secrets};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use secrecy::SecretString;

use super::{Config, read_file, sections};
use crate::security::Role;

/// How a client on the same machine reaches the service of a configuration.
pub struct ClientSettings {
    /// The address, with `https` if the service has a certificate. An unspecified address such as
    /// `0.0.0.0` is replaced by loopback.
    pub url: String,
    /// The first valid token with the role whose secret can be resolved.
    pub token: Option<SecretString>,
    /// The certificate chain of the service in PEM: to trust, because it may be self-signed.
    pub certificate: Option<Vec<u8>>,
}

impl ClientSettings {
    /// Reads `[http]` of a file. Everything else may be invalid: a client must reach the running
    /// service to be given the diagnostics. `environment` returns environment variables.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, or the address is invalid.
    pub fn load(
        path: &Path,
        role: Role,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFiles> {
        let (name, text) = read_file(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG)
            .with_advice(&delivery_config::ADVICE);
        let context = ConfigContext::new(folder, Secrets::Resolve(environment));
        let settings = if document.has_syntax_errors() {
            None
        } else {
            Self::read(&ConfigTable::new(&context, document.root()), role)
        };
        let invalid = || FileDiagnostics {
            name,
            diagnostics: document.into_diagnostics(),
            text: text.clone(),
        };
        Ok(settings.ok_or_else(invalid)?)
    }

    /// `None` if the address is invalid, which is reported.
    fn read(root: &ConfigTable<'_>, role: Role) -> Option<Self> {
        let Some(http) = root.table("http") else {
            let listen = Config::default().listen;
            return Some(Self {
                url: format!("http://{}", reachable(listen)),
                token: None,
                certificate: None,
            });
        };
        let listen = sections::listen(&http)?;
        let tls = http.table("tls");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tokens = http.tables("tokens");
        Some(Self {
            url: format!("{scheme}://{}", reachable(listen)),
            token: tokens.iter().find_map(|token| token_with(token, role)),
            certificate: tls.and_then(|tls| tls.file("certificate")),
        })
    }
}

/// The address to connect to: loopback if the service listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The secret of a token, if it has the role, is valid now and can be resolved here: an operator's
/// shell often has only some of the secrets.
fn token_with(token: &ConfigTable<'_>, role: Role) -> Option<SecretString> {
    let roles = token.nonempty_strings("roles")?;
    let has_role = sections::ROLES
        .iter()
        .filter(|(_, named)| *named == role)
        .any(|(name, _)| roles.iter().any(|text| text.text() == *name));
    let is_valid = match token.timestamp("expires") {
        Some(end) => Timestamp::now() < end,
        None => !token.has("expires"),
    };
    if has_role && is_valid {
        token.secret("token")
    } else {
        None
    }
}
