//! The connections of the simulated API.
//!
//! The HTTP library refuses an address of more than 64 KiB, or headers of more than 400 KiB, before
//! there is a request, with an empty response that SDKs cannot read. Here that response is replaced
//! by the API's own error, as for any other request that is too large.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

use super::shared_cloud::SharedCloud;

/// The first bytes of the responses that are replaced: `URI Too Long` and `Request Header Fields
/// Too Large`.
const REPLACED: [&[u8]; 2] = [b"HTTP/1.1 414 ", b"HTTP/1.1 431 "];
/// How long a refused client may go on sending.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts connections to the simulated API.
pub(super) struct ApiListener {
    pub(super) listener: TcpListener,
    pub(super) cloud: Arc<SharedCloud>,
}

/// The address of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) SocketAddr);

/// A connection to the simulated API.
pub(super) struct ApiStream {
    stream: TcpStream,
    cloud: Arc<SharedCloud>,
    /// The response to a request that is too large, until it is written; after that, empty.
    refusal: Option<Vec<u8>>,
    drain: Option<Pin<Box<Sleep>>>,
}

impl Listener for ApiListener {
    type Io = ApiStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (ApiStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let stream = ApiStream {
            stream,
            cloud: Arc::clone(&self.cloud),
            refusal: None,
            drain: None,
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, ApiListener>> for ClientAddress {
    fn connect_info(stream: IncomingStream<'_, ApiListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl ApiStream {
    /// Writes what is left of the refusal.
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = self.refusal.as_mut().filter(|refusal| !refusal.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusal.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what a refused client still sends. To close the connection before would
    /// reset it, and the client would report that in place of the response.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let drain = self.drain.get_or_insert_with(|| Box::pin(sleep(DRAIN)));
        if drain.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut buffer = [0; 8 << 10];
        loop {
            let mut read = ReadBuf::new(&mut buffer);
            let result = ready!(Pin::new(&mut self.stream).poll_read(context, &mut read));
            if result.is_err() || read.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for ApiStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ApiStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if REPLACED.iter().any(|status| buffer.starts_with(status)) {
            let refusal = self.cloud.too_large();
            let length = refusal.body.len();
            let head = format!(
                "HTTP/1.1 {} Payload Too Large\r\n\
                 content-type: application/json;charset=utf-8\r\n\
                 x-acs-request-id: {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
                refusal.status, refusal.request_id
            );
            self.refusal = Some([head.as_bytes(), refusal.body.as_bytes()].concat());
        }
        if self.refusal.is_some() {
            // The response of the library counts as written.
            return Poll::Ready(Ok(buffer.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.refusal.is_some() {
            ready!(self.poll_drain(context));
        }
        Poll::Ready(Ok(()))
    }
}
