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
pub struct ReplySender<T> {
    sender: oneshot::Sender<Result<T, StoreError>>,
    /// Gets the result of a job that was committed.
    observer: Option<Observer<T>>,
}

type Observer<T> = Box<dyn FnOnce(&T) + Send>;

impl<T> Reply<T> {
    /// A sender and the reply that it sends.
    pub fn channel() -> (ReplySender<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        let sender = ReplySender {
            sender,
            observer: None,
        };
        (sender, Self(receiver))
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
    /// The same; before it is sent, `observe` gets the result of a job that has succeeded, also if
    /// nothing waits for the reply any more. It runs on the thread of the store's writer, so it must
    /// not wait. In place of an earlier one.
    #[must_use]
    pub fn observed(mut self, observe: impl FnOnce(&T) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observe));
        self
    }

    /// Sends the result. If nothing waits for it any more, it is dropped.
    pub fn send(self, result: Result<T, StoreError>) {
        if let (Some(observe), Ok(value)) = (self.observer, &result) {
            observe(value);
        }
        drop(self.sender.send(result));
    }
}

impl<T> std::fmt::Debug for ReplySender<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReplySender")
            .finish_non_exhaustive()
    }
}
