//! The one thread that writes: whatever is waiting shares a transaction, and so a sync of the disk.

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

/// The most work in one transaction, unless one job is more: bounds how long the first waits for the last.
const GROUP: usize = 2_000;

/// Told after the commit, or after what prevented it.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Works within the open transaction, or is told why there is none. Says what went wrong, for the transaction's sake.
type Work = Box<dyn FnOnce(Result<&Shared, StoreError>) -> (Option<StoreError>, Reply) + Send>;
struct Job {
    weight: usize,
    work: Work,
}
/// Only the writing thread locks it; the lock lets a reaction, which wants a state that may be shared, read through it.
pub(crate) type Shared = Mutex<Connection>;

/// Hands jobs to the writing thread; dropping it lets the thread finish what it has and stop.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write(&Mutex::new(connection), &queue))
            .map_err(|error| {
                StoreError::Failed(format!("cannot start the writing thread: {error}"))
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Does `job` within a transaction that others may share. The answer comes after the commit; a job that fails is
    /// undone without disturbing the others.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (answer, waiting) = oneshot::channel();
        self.submit_to(answer, 1, move |connection| job(&lock(connection)));
        waiting
    }

    /// As [`Writer::submit`], for a job that locks the connection itself, does the work of `weight` others, and has its
    /// answer sent somewhere.
    pub(super) fn submit_to<T: Send + 'static>(
        &self,
        answer: oneshot::Sender<Result<T, StoreError>>,
        weight: usize,
        job: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) {
        let work: Work = Box::new(move |connection| {
            let result = connection.and_then(job);
            let fault = result.as_ref().err().cloned();
            (
                fault,
                Box::new(move |commit| {
                    drop(answer.send(result.and_then(|value| commit.map(|()| value))))
                }),
            )
        });
        // When the thread is gone the job is dropped, and its `answer` with it: the caller sees a closed store.
        if let Some(jobs) = &self.jobs {
            drop(jobs.send(Job { weight, work }));
        }
    }
}

/// The connection, also after a panic somewhere: SQLite undoes what was not committed.
pub(crate) fn lock(connection: &Shared) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn write(connection: &Shared, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut replies = Vec::new();
        let outcome = group(connection, first, queue, &mut replies);
        if outcome.is_err() && !lock(connection).is_autocommit() {
            drop(lock(connection).execute_batch("ROLLBACK"));
        }
        for reply in replies {
            reply(outcome.clone());
        }
    }
    // Everything into the one file: whoever copies or checks it then sees all of it. A reader at work prevents that, which
    // harms nothing.
    drop(lock(connection).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
}

/// One transaction. Whatever joined it is in `replies`, also when it fails.
fn group(
    connection: &Shared,
    first: Job,
    queue: &mpsc::Receiver<Job>,
    replies: &mut Vec<Reply>,
) -> Result<(), StoreError> {
    let run = |sql: &str| {
        lock(connection)
            .prepare_cached(sql)?
            .execute([])
            .map_err(StoreError::from)
            .map(drop)
    };
    let (mut next, mut weight) = (Some(first), 0);
    if let Err(error) = run("BEGIN IMMEDIATE") {
        replies.extend(next.take().map(|job| (job.work)(Err(error.clone())).1));
        return Err(error);
    }
    while let Some(job) = next {
        weight += job.weight;
        if let Err(error) = run("SAVEPOINT job") {
            replies.push((job.work)(Err(error.clone())).1);
            return Err(error);
        }
        let (fault, reply) = (job.work)(Ok(connection));
        replies.push(reply);
        match fault {
            None => run("RELEASE job")?,
            // Disk full and I/O errors can end the whole transaction, not only the job: then nobody's work is kept.
            Some(error) if lock(connection).is_autocommit() => return Err(error),
            Some(_) => run("ROLLBACK TO job").and_then(|()| run("RELEASE job"))?,
        }
        next = if weight < GROUP {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    run("COMMIT")
}
