//! The TLS identity of the service.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate chain and its private key, ready to accept TLS connections.
#[derive(Clone)]
pub struct TlsIdentity {
    acceptor: TlsAcceptor,
}

/// Why a certificate and a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTlsIdentity {
    /// The certificate is not PEM.
    #[error("invalid certificate: {0}")]
    Certificate(String),
    /// The private key is not PEM.
    #[error("invalid key: {0}")]
    Key(String),
    /// They do not belong together, or the TLS library does not support them.
    #[error("{0}")]
    Rejected(String),
}

impl TlsIdentity {
    /// Reads a certificate chain and a private key, both in PEM.
    ///
    /// # Errors
    /// If one of them is invalid or they do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, InvalidTlsIdentity> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| InvalidTlsIdentity::Certificate(error.to_string()))?;
        // The TLS library would say that the other side has presented none.
        if chain.is_empty() {
            let message = "there is none in PEM".to_owned();
            return Err(InvalidTlsIdentity::Certificate(message));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| InvalidTlsIdentity::Key(error.to_string()))?;
        let rejected = |error: rustls::Error| InvalidTlsIdentity::Rejected(error.to_string());
        // Named, because a process that links two providers has no default one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(rejected)?
            // Clients authenticate by tokens or signatures, also without TLS behind a proxy.
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(rejected)?;
        // The server speaks HTTP/1.1 only: without this, clients that prefer HTTP/2 would use it.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}
