//! A few threads for work that needs much memory.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;

use crate::store::StoreError;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that stay, unlike those for blocking calls.
//
// The system's allocator keeps what a thread has freed for that thread. Bodies of 8 MiB that are
// parsed on one of 16 threads each would leave as much memory with every one of them.
#[derive(Clone)]
pub(crate) struct WorkThreads {
    work: mpsc::Sender<Work>,
}

impl WorkThreads {
    /// Starts `count` threads, at least one. They end when this is dropped.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let (sender, work) = mpsc::channel::<Work>();
        let work = Arc::new(Mutex::new(work));
        for index in 0..count.max(1) {
            let work = work.clone();
            std::thread::Builder::new()
                .name(format!("parse {index}"))
                .spawn(move || {
                    loop {
                        // Held while waiting, by one thread at a time; released before the work.
                        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(next) = next else { return };
                        // A panic is that of one request, whose reply is dropped.
                        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(next)));
                    }
                })?;
        }
        Ok(Self { work: sender })
    }

    /// Runs `work` on one of the threads.
    ///
    /// # Errors
    /// If it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        // Fails only if all threads have ended; then the reply is dropped too.
        drop(self.work.send(Box::new(move || drop(reply.send(work())))));
        let ended = |_| StoreError::Failed("internal error while parsing a body".to_owned());
        result.await.map_err(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_that_of_one_piece_of_work() {
        let threads = WorkThreads::start(1).unwrap();
        let failed: Result<(), _> = threads.run(|| panic!("bug")).await;
        assert!(failed.is_err());
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }
}
