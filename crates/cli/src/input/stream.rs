//! Working through a stream on several threads, with the answers in the order of the stream.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use indicatif::{ProgressBar, ProgressStyle};
use reflexarc_event::{Event, EventError, Limits};

use super::{Record, Records, Source};
use crate::exit::Failure;

/// The answer to one record.
pub(crate) struct Answer<T> {
    /// The line that the record begins on, from 1.
    pub(crate) line: u64,
    /// What the work made of the event, or why the record is no event.
    pub(crate) outcome: Result<T, BrokenRecord>,
}

/// Why a record is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenRecord {
    /// The line it is broken on, from 1.
    pub(crate) line: u64,
    /// The character it is broken at, from 1, where that is known.
    pub(crate) column: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
}

/// `12:7: what is wrong`, line and column.
impl fmt::Display for BrokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// So many records go to a thread at once; at most two batches wait for each thread.
const BATCH: usize = 128;
/// So many bytes of records, if that comes first.
const BATCH_BYTES: usize = 1 << 18;

/// Reads every event of `source`, does `work` on each on `jobs` threads, and hands the answers to `take` in the order of
/// the stream, until that breaks off. A record for which `work` fails is a broken record.
pub(crate) fn for_each<T: Send + 'static>(
    source: Source,
    jobs: usize,
    work: impl Fn(Event) -> Result<T, EventError> + Send + Sync + Clone + 'static,
    mut take: impl FnMut(Answer<T>) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let bar = progress(source.size);
    let consumed = source.consumed.clone();
    let mut records = Records::new(source.reader, Limits::DEFAULT.bytes);
    let mut taken = |answer| {
        bar.set_position(consumed.load(Ordering::Relaxed));
        take(answer)
    };
    if jobs <= 1 {
        while let Some(record) = next(&mut records)? {
            if taken(answer(record, &work))?.is_break() {
                break;
            }
        }
        bar.finish_and_clear();
        return Ok(());
    }

    // Batches go round the workers in turn and are collected in the same turn, so that order needs no bookkeeping.
    // The threads are not joined: one that waits for a terminal must not hold up the end.
    let (mut to_workers, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..jobs {
        let (records_to, worker) = Worker::spawn(work.clone());
        to_workers.push(records_to);
        workers.push(worker);
    }
    let (fault_to, fault_from) = sync_channel(1);
    thread::spawn(move || {
        if let Err(failure) = deal(&mut records, &to_workers) {
            // Nobody waits for the fault if the collector has stopped.
            let _ = fault_to.send(failure);
        }
    });
    for turn in 0.. {
        let Ok(batch) = workers[turn % jobs].answers.recv() else {
            break;
        };
        for answer in batch {
            if taken(answer)?.is_break() {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }
    bar.finish_and_clear();
    for worker in workers {
        if worker.thread.join().is_err() {
            return Err(Failure::Runtime(
                "a thread broke down; this is a fault of reflexarc itself".to_owned(),
            ));
        }
    }
    match fault_from.try_recv() {
        Ok(failure) => Err(failure),
        Err(_) => Ok(()),
    }
}

/// A thread that turns batches of records into batches of answers.
struct Worker<T> {
    answers: Receiver<Vec<Answer<T>>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Worker<T> {
    fn spawn(
        work: impl Fn(Event) -> Result<T, EventError> + Send + 'static,
    ) -> (SyncSender<Vec<Record>>, Self) {
        let (records_to, records) = sync_channel::<Vec<Record>>(1);
        let (answers_to, answers) = sync_channel(1);
        let thread = thread::spawn(move || {
            for batch in records {
                let batch = batch
                    .into_iter()
                    .map(|record| answer(record, &work))
                    .collect();
                if answers_to.send(batch).is_err() {
                    return;
                }
            }
        });
        (records_to, Self { answers, thread })
    }
}

/// Deals the records out in turn until there are no more or nobody takes them.
fn deal(
    records: &mut Records<impl std::io::BufRead>,
    workers: &[SyncSender<Vec<Record>>],
) -> Result<(), Failure> {
    for worker in workers.iter().cycle() {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut end = None;
        while end.is_none() && batch.len() < BATCH && bytes < BATCH_BYTES {
            match next(records) {
                Ok(Some(record)) => {
                    bytes += record.text.as_ref().map_or(0, Vec::len);
                    batch.push(record);
                }
                Ok(None) => end = Some(Ok(())),
                Err(failure) => end = Some(Err(failure)),
            }
        }
        if !batch.is_empty() && worker.send(batch).is_err() {
            break;
        }
        if let Some(end) = end {
            return end;
        }
    }
    Ok(())
}

fn next(records: &mut Records<impl std::io::BufRead>) -> Result<Option<Record>, Failure> {
    records.next().map_err(|error| {
        Failure::Input(format!("line {}: cannot read on: {error}", records.line()))
    })
}

fn answer<T>(record: Record, work: &impl Fn(Event) -> Result<T, EventError>) -> Answer<T> {
    let line = record.line;
    let outcome = match record.text {
        Err(message) => Err(BrokenRecord {
            line,
            column: None,
            message,
        }),
        Ok(text) => match Event::from_json(text.as_slice()).and_then(work) {
            Ok(done) => Ok(done),
            Err(error) => {
                let position = error.position(&text);
                Err(BrokenRecord {
                    line: line
                        + position
                            .as_ref()
                            .map_or(0, |position| position.line as u64 - 1),
                    column: position.map(|position| position.column),
                    message: error.to_string(),
                })
            }
        },
    };
    Answer { line, outcome }
}

/// A bar on stderr, if that is a terminal and the answers do not scroll past on the same one.
fn progress(size: Option<u64>) -> ProgressBar {
    use std::io::{IsTerminal as _, stderr, stdout};
    match size {
        Some(size) if stderr().is_terminal() && !stdout().is_terminal() => {
            let bar = ProgressBar::new(size);
            match ProgressStyle::with_template(
                "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            ) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        }
        _ => ProgressBar::hidden(),
    }
}
