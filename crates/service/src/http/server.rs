//! Connections: so many, each with a time for everything, TLS where configured, and a graceful end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::limits::Limits;
use crate::reload::InForce;
use crate::service::stopped;

/// Who we are to TLS clients.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
}

impl Identity {
    /// From a chain of certificates and a private key, both in PEM.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("certificate: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("key: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

/// Serves connections until told to stop; then finishes the requests under way, for at most `patience`.
pub async fn listen(
    listener: TcpListener,
    in_force: &InForce,
    router: Router,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
    patience: Duration,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        // Beyond the limit, clients wait in the system's queue.
        let accepting = async {
            let place = connections.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepting => accepted,
            () = stopped(&mut stop) => break,
        };
        let (Ok(place), Ok((stream, _))) = (place, accepted) else {
            // Out of file descriptors, most likely: others must end before it can get better.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        drop(stream.set_nodelay(true));
        let (router, watcher, identity, head) = (
            router.clone(),
            graceful.watcher(),
            in_force.identity.load_full(),
            limits.head,
        );
        tokio::spawn(async move {
            let _place = place;
            match identity {
                None => converse(stream, router, head, watcher).await,
                Some(identity) => {
                    if let Ok(Ok(stream)) =
                        tokio::time::timeout(head, identity.acceptor.accept(stream)).await
                    {
                        converse(stream, router, head, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    head: Duration,
    watcher: Watcher,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_header_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A connection that ends badly is the client's affair.
    drop(watcher.watch(connection).await);
}
