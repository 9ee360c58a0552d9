//! The thread that writes, with group commit.
//!
//! A commit costs a sync of the disk (0.3 to 5 ms in RESULTS.md), however much is in it. So the
//! jobs that wait when the writer becomes free share one transaction, and all of them get their
//! replies after its commit; while one group is being synced, the next one gathers in the channel.
//! With a sync of 1 ms, one commit for each event would bound the service to 1,000 events/s; 100
//! clients whose events share each commit get up to 100 times as many through.
//!
//! Inside the transaction each job runs in a savepoint of its own, so that one that fails is undone
//! without the others:
//!
//! ```text
//! BEGIN IMMEDIATE
//!   SAVEPOINT job  … job 1 …  RELEASE job
//!   SAVEPOINT job  … job 2, fails …  ROLLBACK TO job  RELEASE job
//!   SAVEPOINT job  … job 3 …  RELEASE job
//! COMMIT                            then the replies: 1 Ok, 2 its error, 3 Ok
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use crate::database::Connection;
use crate::engine::Engine;
use crate::{Reply, ReplySender, StoreError};

/// A group takes no further job once its jobs weigh this much (an event weighs 1): bounds how long
/// the first job waits for the last. A single heavier job is still one transaction.
const GROUP_WEIGHT: usize = 2_000;

/// The connection that writes. Only the writer thread locks it; the lock is there because a
/// reaction reads state through a shared reference.
pub(crate) type SharedConnection = Mutex<Connection>;

/// Sends the reply of a job: its own result if the commit succeeded, else the commit's error.
type SendReply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs a job in the open transaction, or gives it the error that prevented the transaction.
/// Returns the job's error, which decides whether its savepoint is kept, and its reply.
type Work = Box<
    dyn FnOnce(Result<&SharedConnection, StoreError>) -> (Option<StoreError>, SendReply) + Send,
>;

struct Job {
    weight: usize,
    /// Whether it is the last one of its transaction.
    is_last: bool,
    work: Work,
}

/// Hands jobs to the writer thread. Dropping it finishes the jobs that were submitted.
pub(super) struct Writer<E> {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    engine: Arc<E>,
}

impl<E: Engine> Writer<E> {
    /// Starts the thread. It calls `forget` when the entries that are stored may be others than it
    /// has stored: something of a job was undone, or other processes store entries, too; and
    /// `committed` after each commit, before the replies.
    pub(super) fn start(
        connection: Connection,
        engine: Arc<E>,
        forget: impl Fn() + Send + 'static,
        committed: impl Fn() + Send + 'static,
    ) -> Result<Self, StoreError> {
        let own_engine = engine.clone();
        let (sender, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new()
            // Named, so that `top -H` and stack dumps show which thread is busy.
            .name("store".into())
            .spawn(move || {
                let connection = Mutex::new(connection);
                run(&connection, &jobs, &*own_engine, &forget, &committed);
            })
            .map_err(|error| {
                StoreError::Failed(format!("cannot start the writer thread: {error}"))
            })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
            engine,
        })
    }

    /// Runs `job` in a transaction that it may share with others. The reply comes after the commit;
    /// a job that fails is undone without the others.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<T> {
        let (reply, receiver) = Reply::channel();
        self.submit_to(reply, 1, move |connection| job(&lock(connection)), |_| {});
        receiver
    }

    /// As [`Writer::submit`]; after the commit, and before the reply, `observe` gets the result.
    pub(super) fn submit_observed<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        observe: impl FnOnce(&T) + Send + 'static,
    ) -> Reply<T> {
        let (reply, receiver) = Reply::channel();
        self.submit_to(reply, 1, move |connection| job(&lock(connection)), observe);
        receiver
    }

    /// As [`Writer::submit_observed`] for a job that locks the connection itself and weighs as much
    /// as `weight` others.
    pub(super) fn submit_to<T: Send + 'static>(
        &self,
        reply: ReplySender<T>,
        weight: usize,
        job: impl FnOnce(&SharedConnection) -> Result<T, StoreError> + Send + 'static,
        observe: impl FnOnce(&T) + Send + 'static,
    ) {
        self.send(reply, weight, false, job, observe);
    }

    /// As [`Writer::submit_to`] for a job after which nothing shares its transaction: no job begins
    /// before `observe` has run.
    pub(super) fn submit_last<T: Send + 'static>(
        &self,
        reply: ReplySender<T>,
        job: impl FnOnce(&SharedConnection) -> Result<T, StoreError> + Send + 'static,
        observe: impl FnOnce(&T) + Send + 'static,
    ) {
        self.send(reply, 1, true, job, observe);
    }

    fn send<T: Send + 'static>(
        &self,
        reply: ReplySender<T>,
        weight: usize,
        is_last: bool,
        job: impl FnOnce(&SharedConnection) -> Result<T, StoreError> + Send + 'static,
        observe: impl FnOnce(&T) + Send + 'static,
    ) {
        let engine = self.engine.clone();
        let work: Work = Box::new(move |connection| {
            let result = connection.and_then(job);
            let result = result.map_err(|error| engine.locate(error));
            // The error goes two ways: to the writer, which undoes the savepoint, and to the
            // caller.
            let error = result.as_ref().err().cloned();
            let send: SendReply = Box::new(move |commit| {
                let outcome = result.and_then(|value| commit.map(|()| value));
                if let Ok(value) = &outcome {
                    observe(value);
                }
                // The caller may be gone, for example when its HTTP connection broke off: the
                // events are stored all the same.
                reply.send(outcome);
            });
            (error, send)
        });
        // If the thread is gone, the job is dropped and its sender with it: the caller sees
        // `StoreError::Closed`.
        if let Some(jobs) = &self.jobs {
            drop(jobs.send(Job {
                weight,
                is_last,
                work,
            }));
        }
    }
}

impl<E> Drop for Writer<E> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The connection, even if a job panicked while it held the lock: SQLite undoes what was not
/// committed.
pub(crate) fn lock(connection: &SharedConnection) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run<E: Engine>(
    connection: &SharedConnection,
    jobs: &mpsc::Receiver<Job>,
    engine: &E,
    forget: &dyn Fn(),
    committed: &dyn Fn(),
) {
    while let Ok(first) = jobs.recv() {
        let mut replies = Vec::new();
        let outcome = run_group(connection, first, jobs, engine, &mut replies, forget);
        let outcome = outcome.map_err(|error| engine.locate(error));
        match outcome {
            Ok(()) => committed(),
            Err(_) => forget(),
        }
        // Not if the database has rolled back itself: a second ROLLBACK would be an error.
        let open = lock(connection);
        if outcome.is_err() && !engine.is_undone(&open) {
            drop(open.execute_batch("ROLLBACK"));
        }
        drop(open);
        for reply in replies {
            reply(outcome.clone());
        }
    }
    engine.close(&lock(connection));
}

/// Runs one transaction. The replies of all jobs that joined it are in `replies`, even if it fails.
fn run_group<E: Engine>(
    connection: &SharedConnection,
    first: Job,
    jobs: &mpsc::Receiver<Job>,
    engine: &E,
    replies: &mut Vec<SendReply>,
    forget: &dyn Fn(),
) -> Result<(), StoreError> {
    // Cached, because these statements run for every job.
    let run = |sql: &str| {
        lock(connection)
            .prepare_cached(sql)?
            .run(())
            .map_err(StoreError::from)
    };
    let (mut next, mut weight) = (Some(first), 0);
    // Not locked while a job gets an error.
    let begun = engine.begin(&mut lock(connection));
    if let Err(error) = begun {
        let waiting = match error {
            // Each would wait as long for a database that does not answer.
            StoreError::Unavailable { .. } => usize::MAX,
            _ => 0,
        };
        let refused = next.take().into_iter().chain(jobs.try_iter().take(waiting));
        replies.extend(refused.map(|job| (job.work)(Err(error.clone())).1));
        return Err(error);
    }
    if E::IS_SHARED {
        forget();
    }
    while let Some(job) = next {
        weight += job.weight;
        let is_last = job.is_last;
        if let Err(error) = run("SAVEPOINT job") {
            replies.push((job.work)(Err(error.clone())).1);
            return Err(error);
        }
        let (mut error, reply) = (job.work)(Ok(connection));
        // What it has run without waiting for it may have failed.
        let settled = lock(connection).settle().map_err(StoreError::from);
        match settled {
            Err(late) if error.is_none() => {
                let located = engine.locate(late);
                error = Some(located.clone());
                replies.push(Box::new(move |_| reply(Err(located))));
            }
            _ => replies.push(reply),
        }
        match error {
            None => run("RELEASE job")?,
            // No savepoint is left, and no job of the group is stored.
            Some(error) if engine.is_undone(&lock(connection)) => return Err(error),
            Some(_) => {
                forget();
                lock(connection).forget_position();
                run("ROLLBACK TO job").and_then(|()| run("RELEASE job"))?;
            }
        }
        next = if weight < GROUP_WEIGHT && !is_last {
            // Only jobs that are waiting already: pausing to gather more would add its whole length
            // to the latency of the first.
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    engine.commit(&mut lock(connection))
}
