//! Replies to jobs of a store's writer.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::StoreError;

/// The result of a job that was handed to a store, once it is committed: a future for async code,
/// or [`Reply::wait`]. Dropping it does not undo the job.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Receiver<Result<T, StoreError>>);

/// Sends a [`Reply`]. If it is dropped, the reply is [`StoreError::Closed`].
#[derive(Debug)]
pub struct ReplySender<T>(oneshot::Sender<Result<T, StoreError>>);

impl<T> Reply<T> {
    /// A sender and the reply that it sends.
    pub fn channel() -> (ReplySender<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (ReplySender(sender), Self(receiver))
    }

    /// Blocks until the job has ended. Must not be called from async code.
    ///
    /// # Errors
    /// If nothing was stored.
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = Pin::new(&mut self.0).poll(context);
        reply.map(|result| result.unwrap_or(Err(StoreError::Closed)))
    }
}

impl<T> ReplySender<T> {
    /// Sends the result. If nothing waits for it any more, it is dropped.
    pub fn send(self, result: Result<T, StoreError>) {
        drop(self.0.send(result));
    }
}
