//! Connections: their number, their time limits, TLS where configured, and a graceful shutdown.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::limits::Limits;
use crate::live_config::LiveConfig;
use crate::security::TlsIdentity;
use crate::shutdown::stopped;

/// Largest head of a request in bytes. Beyond it hyper answers 431.
const HEAD_BYTES: usize = 64 << 10;

/// Serves connections until `stop` becomes true; then finishes open requests, for at most
/// `shutdown_timeout`.
pub(crate) async fn listen(
    listener: TcpListener,
    live: &LiveConfig,
    router: Router,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
    shutdown_timeout: Duration,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        // The permit comes first: beyond the limit, clients wait in the kernel's accept queue,
        // which costs us neither a file descriptor nor memory.
        let accept = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stopped(&mut stop) => break,
        };
        let (Ok(permit), Ok((stream, _))) = (permit, accepted) else {
            // Most likely there are no file descriptors left. Trying again at once would spin;
            // other connections must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Responses are small and written at once; Nagle's algorithm would delay them for the
        // client's acknowledgement.
        drop(stream.set_nodelay(true));
        let (router, watcher, head) = (router.clone(), graceful.watcher(), limits.head);
        // Loaded for each connection, so that a new certificate is presented to the next client.
        let tls_identity = live.tls_identity.load_full();
        tokio::spawn(async move {
            let _permit = permit;
            serve_connection(stream, tls_identity.as_deref(), router, head, watcher).await;
        });
    }
    // Closes the port before the open requests are finished: new clients are refused at once
    // instead of waiting for a service that is about to end.
    drop(listener);
    let finished = tokio::time::timeout(shutdown_timeout, graceful.shutdown()).await;
    if finished.is_err() {
        tracing::warn!("requests did not finish within shutdown_timeout and were cut off");
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls_identity: Option<&TlsIdentity>,
    router: Router,
    head: Duration,
    watcher: Watcher,
) {
    match tls_identity {
        None => serve_http(stream, router, head, watcher).await,
        Some(identity) => {
            let handshake = tokio::time::timeout(head, identity.acceptor().accept(stream)).await;
            if let Ok(Ok(stream)) = handshake {
                serve_http(stream, router, head, watcher).await;
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
    head: Duration,
    watcher: Watcher,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Counts from the end of the last response, so it also closes idle connections.
        .header_read_timeout(head)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Errors here are broken requests and broken connections: the client's, not worth a log line.
    drop(watcher.watch(connection).await);
}
