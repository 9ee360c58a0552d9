//! The address of a database: a URL as libpq has it.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// How long a connection may take to be made, and how long one may be idle before the other
/// machine is asked whether it is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay without an acknowledgement of the other machine.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a database is, and how to connect to it.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a URL.
    ///
    /// ```text
    /// postgresql://user:password@host:5432/database?sslmode=require&sslrootcert=/etc/ca.pem
    /// ```
    ///
    /// Certificates are verified whenever TLS is used: `require`, `verify-ca` and `verify-full`
    /// are one mode.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::InvalidUrl { reason };
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
            return Err(invalid("expected `postgresql://…`".to_owned()));
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut own_roots, mut verifies) = (None, false);
        let parameters = query.split('&').filter(|one| !one.is_empty());
        let others = parameters.filter(|parameter| {
            match parameter.split_once('=') {
                Some(("sslrootcert", path)) => own_roots = Some(path.to_owned()),
                Some(("sslmode", "verify-ca" | "verify-full")) => verifies = true,
                _ => return true,
            }
            false
        });
        let others: Vec<_> = others.collect();
        // Without its text, which has the password.
        let parsed = format!("{address}?{}", others.join("&")).parse();
        let mut config: Config = parsed.map_err(|error: tokio_postgres::Error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            invalid(source.unwrap_or_else(|| error.to_string()))
        })?;
        if verifies {
            config.ssl_mode(SslMode::Require);
        }
        if config.get_application_name().is_none() {
            config.application_name("reflexarc");
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(CONNECT_TIMEOUT)
            .tcp_user_timeout(SILENCE_TIMEOUT);
        let is_required = config.get_ssl_mode() == SslMode::Require;
        let roots = match own_roots {
            Some(path) => {
                let path = percent_decode_str(&path).decode_utf8_lossy();
                own_certificates(&path).map_err(|reason| {
                    invalid(format!("sslrootcert: cannot read {path}: {reason}"))
                })?
            }
            None => system_certificates(is_required).map_err(invalid)?,
        };
        let mut store = RootCertStore::empty();
        let (_, unusable) = store.add_parsable_certificates(roots);
        if is_required && store.is_empty() {
            return Err(invalid(format!(
                "TLS is required, but none of {unusable} certificates can be used; set sslrootcert"
            )));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls),
        })
    }

    /// What the database is called in messages: without user and password.
    pub(super) fn name(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let database = self.config.get_dbname().or(self.config.get_user());
        format!("postgresql://{host}/{}", database.unwrap_or_default())
    }
}

/// The certificates of the system. None is an error only if they are needed.
fn system_certificates(are_needed: bool) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    match found.errors.first() {
        Some(error) if are_needed && found.certs.is_empty() => Err(format!(
            "TLS is required, but the certificates of the system cannot be read: {error}; set \
             sslrootcert"
        )),
        _ => Ok(found.certs),
    }
}

/// The certificates of a file.
fn own_certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = certificates.collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it has no certificate".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let (folder, text) = (tempfile::tempdir().unwrap(), "no certificate");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, text).unwrap();
        for (url, expected) in [
            (
                "postgresql://u:p@db.example:5433/events",
                Ok("postgresql://db.example/events"),
            ),
            (
                "postgres://u:p@db/events?sslmode=verify-full",
                Ok("postgresql://db/events"),
            ),
            (
                "postgresql://u@/events?host=/run/postgresql",
                Ok("postgresql:///run/postgresql/events"),
            ),
            (
                "postgresql://u:p@a:5432,b:5433/events?target_session_attrs=read-write",
                Ok("postgresql://a/events"),
            ),
            ("mysql://u:p@db/events", Err("expected `postgresql://…`")),
            (
                "postgresql://u:p@db/events?colour=red",
                Err("unknown option `colour`"),
            ),
            (
                "postgresql://u:p@db/events?sslrootcert=/missing/ca.pem",
                Err("sslrootcert: cannot read /missing/ca.pem"),
            ),
            (
                &format!("postgresql://u:p@db/events?sslrootcert={}", file.display()),
                Err("it has no certificate"),
            ),
        ] {
            match (Address::parse(url), expected) {
                (Ok(address), Ok(name)) => assert_eq!(address.name(), name),
                (Err(error), Err(text)) => {
                    let error = error.to_string();
                    assert!(error.contains(text) && !error.contains(":p@"), "{error}");
                }
                (found, _) => panic!("{url}: {:?}", found.err()),
            }
        }
    }

    #[test]
    fn certificates_are_verified_where_tls_is_required() {
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            let address = Address::parse(&format!("postgresql://db/events?sslmode={mode}"));
            assert_eq!(address.unwrap().config.get_ssl_mode(), expected, "{mode}");
        }
    }
}
