//! Connections: their number, their time limits, TLS where configured, and a graceful shutdown.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service;

use super::connections::{Connection, Connections, RESERVE};
use super::stream::GuardedStream;
use crate::limits::Limits;
use crate::live_config::LiveConfig;
use crate::security::TlsIdentity;
use crate::shutdown::stopped;
use crate::telemetry::Problems;

/// Largest head of a request in bytes. Beyond it hyper answers 431.
const HEAD_BYTES: usize = 32 << 10;
/// Largest buffer of a connection for reading and for writing, in bytes: a head must fit. A client
/// that pipelines requests without reading responses makes both full.
const BUFFER_BYTES: usize = HEAD_BYTES + (8 << 10);
/// Longest time for the head of a request on a reserve connection: health checks are quick.
const RESERVE_HEAD: Duration = Duration::from_secs(2);
/// Connections that may be ending beside those that are open.
const ENDING: usize = 16;

/// Descriptors that are open beyond the limit of connections.
pub(crate) const EXTRA_CONNECTIONS: usize = RESERVE + ENDING;

/// How connections are served.
struct ConnectionServer {
    router: Router,
    limits: Limits,
}

/// Serves connections, at most `connections` at one time, until `stop` becomes true; then finishes
/// open requests, for at most `shutdown_timeout`.
pub(crate) async fn listen(
    listener: TcpListener,
    live: &LiveConfig,
    router: Router,
    (connections, limits): (usize, &Limits),
    problems: Arc<Problems>,
    mut stop: watch::Receiver<bool>,
    shutdown_timeout: Duration,
) {
    // Of tasks, where `Connections` counts clients: one that was closed for another one still has
    // its descriptor until its task has run.
    let tasks = Arc::new(Semaphore::new(connections + EXTRA_CONNECTIONS));
    let connections = Arc::new(Connections::new(connections, limits, problems));
    let server = Arc::new(ConnectionServer {
        router,
        limits: limits.clone(),
    });
    let graceful = GracefulShutdown::new();
    loop {
        let accept = async {
            let permit = tasks.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = stopped(&mut stop) => break,
        };
        let (Ok(permit), Ok((stream, peer))) = (permit, accepted) else {
            // Most likely there are no file descriptors left. Trying again at once would spin;
            // other connections must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Responses are small and written at once; Nagle's algorithm would delay them for the
        // client's acknowledgement.
        drop(stream.set_nodelay(true));
        // Dropping the stream closes it: every other connection is being worked on.
        let Some(open) = connections.open(peer.ip(), &live.access.load()) else {
            continue;
        };
        let (server, watcher) = (server.clone(), graceful.watcher());
        // Loaded for each connection, so that a new certificate is presented to the next client.
        let tls_identity = live.tls_identity.load_full();
        tokio::spawn(async move {
            let _permit = permit;
            let connection = open.connection.clone();
            tokio::select! {
                () = server.serve(stream, tls_identity.as_deref(), &connection, watcher) => {}
                () = connection.closed() => {}
            }
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

impl ConnectionServer {
    async fn serve(
        &self,
        stream: TcpStream,
        tls_identity: Option<&TlsIdentity>,
        connection: &Arc<Connection>,
        watcher: Watcher,
    ) {
        match tls_identity {
            None => self.serve_http(stream, connection, watcher).await,
            Some(identity) => {
                let handshake = identity.acceptor().accept(stream);
                let handshake = tokio::time::timeout(self.head_limit(connection), handshake).await;
                if let Ok(Ok(stream)) = handshake {
                    self.serve_http(stream, connection, watcher).await;
                }
            }
        }
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        connection: &Arc<Connection>,
        watcher: Watcher,
    ) {
        let stream = GuardedStream::new(stream, connection.clone(), self.limits.write);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            self.router.clone().call(request.map(Body::new))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            // Counts from the end of the last response, so it also closes idle connections.
            .header_read_timeout(self.head_limit(connection))
            .max_header_size(HEAD_BYTES)
            .max_buf_size(BUFFER_BYTES)
            .keep_alive(!connection.is_reserve)
            .serve_connection(TokioIo::new(stream), service);
        // Errors here are broken requests and broken connections: the client's, not worth a log
        // line.
        drop(watcher.watch(served).await);
    }

    fn head_limit(&self, connection: &Connection) -> Duration {
        if connection.is_reserve {
            self.limits.head.min(RESERVE_HEAD)
        } else {
            self.limits.head
        }
    }
}
