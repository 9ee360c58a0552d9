//! The bytes of a connection: a client that does not read is cut off, and every head is scanned
//! before it is parsed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::connections::Connection;
use super::framing::FramingScanner;

/// Bytes that the client must read within the time limit for writing. It starts anew after each:
/// a large response to a slow client takes as long as it takes, at 6.4 KiB a second.
const WRITE_STEP: usize = 64 << 10;

/// A stream with a time limit for writing.
pub(super) struct GuardedStream<S> {
    stream: S,
    connection: Arc<Connection>,
    scanner: FramingScanner,
    write_limit: Duration,
    /// Runs while bytes wait to be written. Made when the first write has to wait, which most
    /// connections never do.
    deadline: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    /// Bytes written since the deadline was set.
    written: usize,
}

impl<S> GuardedStream<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>, write_limit: Duration) -> Self {
        Self {
            stream,
            connection,
            scanner: FramingScanner::default(),
            write_limit,
            deadline: None,
            is_waiting: false,
            written: 0,
        }
    }

    /// Starts the time limit if it does not run, and checks it.
    fn check_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let limit = self.write_limit;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_waiting {
            self.is_waiting = true;
            self.written = 0;
            deadline.as_mut().reset(Instant::now() + limit);
        }
        match deadline.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                let message = "the client does not read the response";
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
        }
    }

    /// Takes the result of a write of the stream below.
    fn after_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.written += bytes;
                if self.written >= WRITE_STEP {
                    self.is_waiting = false;
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => match self.check_deadline(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        // Before hyper parses it: the flag is set when the request that it is about arrives at the
        // handlers.
        let this = &mut *self;
        if buffer.filled().len() > before {
            this.connection.set_begun();
        }
        if this.scanner.scan(&buffer.filled()[before..]) {
            this.connection.set_framing_fault();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after_write(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            // hyper flushes when it has written everything that it has.
            Poll::Ready(result) => {
                self.is_waiting = false;
                Poll::Ready(result)
            }
            Poll::Pending => match self.check_deadline(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result),
            // The last message of TLS may have to wait for the client too.
            Poll::Pending => match self.check_deadline(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.after_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
