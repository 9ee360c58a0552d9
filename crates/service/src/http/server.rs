//! Connections: their number, their time limits, TLS where configured, and a graceful shutdown.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
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
/// How long a connection waits for its first request when the service ends.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Descriptors that are open beyond the limit of connections.
pub(crate) const EXTRA_CONNECTIONS: usize = RESERVE + ENDING;

/// The connections of a port.
struct Opened<'a> {
    live: &'a LiveConfig,
    connections: Arc<Connections>,
    server: Arc<ConnectionServer>,
    stop: watch::Receiver<bool>,
    /// Each task has a clone, so that the channel is closed when all have ended.
    ended: mpsc::Sender<Infallible>,
}

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
    let server = Arc::new(ConnectionServer {
        router,
        limits: limits.clone(),
    });
    let (ended, mut all_ended) = mpsc::channel(1);
    let opened = Opened {
        live,
        connections: Arc::new(Connections::new(connections, limits, problems)),
        server,
        stop: stop.clone(),
        ended,
    };
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
        opened.serve(permit, stream, peer);
    }
    // Closes the port before the open requests are finished: new clients are refused at once
    // instead of waiting for a service that is about to end.
    close(listener, &tasks, &opened);
    drop(opened);
    let finished = tokio::time::timeout(shutdown_timeout, all_ended.recv()).await;
    if finished.is_err() {
        tracing::warn!("requests did not finish within shutdown_timeout and were cut off");
    }
}

/// Closes the port. Clients that have connected already are served: with the port their connections
/// would be reset, also of those whose request is on its way.
fn close(listener: TcpListener, tasks: &Arc<Semaphore>, opened: &Opened<'_>) {
    // Without the runtime, which may not know of the newest ones yet.
    let Ok(listener) = listener.into_std() else {
        return;
    };
    // As many as may be open, also if further ones go on connecting.
    for _ in 0..tasks.available_permits() {
        let Ok(permit) = tasks.clone().try_acquire_owned() else {
            return;
        };
        let accepted = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        });
        match accepted {
            Ok((stream, peer)) => opened.serve(permit, stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // A client that is gone again; others may wait behind it.
            Err(_) => {}
        }
    }
}

impl Opened<'_> {
    /// Serves a connection in a task of its own.
    fn serve(&self, permit: OwnedSemaphorePermit, stream: TcpStream, peer: SocketAddr) {
        // Responses are small and written at once; Nagle's algorithm would delay them for the
        // client's acknowledgement.
        drop(stream.set_nodelay(true));
        // Dropping the stream closes it: every other connection is being worked on.
        let Some(open) = self.connections.open(peer.ip(), &self.live.access.load()) else {
            return;
        };
        let (server, stop, ended) = (self.server.clone(), self.stop.clone(), self.ended.clone());
        // Loaded for each connection, so that a new certificate is presented to the next client.
        let tls_identity = self.live.tls_identity.load_full();
        tokio::spawn(async move {
            let _held = (permit, ended);
            let connection = open.connection.clone();
            tokio::select! {
                () = server.serve(stream, tls_identity.as_deref(), &connection, stop) => {}
                () = connection.closed() => {}
            }
        });
    }
}

impl ConnectionServer {
    async fn serve(
        &self,
        stream: TcpStream,
        tls_identity: Option<&TlsIdentity>,
        connection: &Arc<Connection>,
        stop: watch::Receiver<bool>,
    ) {
        match tls_identity {
            None => self.serve_http(stream, connection, stop).await,
            Some(identity) => {
                let handshake = identity.acceptor().accept(stream);
                let handshake = tokio::time::timeout(self.head_limit(connection), handshake).await;
                if let Ok(Ok(stream)) = handshake {
                    self.serve_http(stream, connection, stop).await;
                }
            }
        }
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        connection: &Arc<Connection>,
        mut stop: watch::Receiver<bool>,
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
        tokio::pin!(served);
        // Errors here are broken requests and broken connections: the client's, not worth a log
        // line.
        tokio::select! {
            _ = &mut served => return,
            () = stopped(&mut stop) => {}
        }
        // hyper would close a connection over which nothing came, though a request may be on its
        // way: a load balancer would answer it with 502.
        tokio::select! {
            _ = &mut served => return,
            () = connection.begun() => {}
            () = tokio::time::sleep(FIRST_REQUEST) => {}
        }
        served.as_mut().graceful_shutdown();
        drop(served.await);
    }

    fn head_limit(&self, connection: &Connection) -> Duration {
        if connection.is_reserve {
            self.limits.head.min(RESERVE_HEAD)
        } else {
            self.limits.head
        }
    }
}
