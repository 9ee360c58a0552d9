//! Processing the events of a stream on several threads, with results in the order of the stream.

use std::fmt;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use indicatif::{ProgressBar, ProgressStyle};
use reflexarc_event::{Document, Event, EventError, Limits};

use super::{Record, Records, Source};
use crate::exit::Failure;

/// A record after processing.
pub(crate) struct Processed<T> {
    /// The line on which the record begins, from 1.
    pub(crate) line: u64,
    /// The result for the event, or why the record could not be read as an event.
    pub(crate) result: Result<T, UnreadableEvent>,
}

/// Why a record could not be read as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadableEvent {
    /// The line of the error, from 1.
    pub(crate) line: u64,
    /// The character of the error in the record's line, from 1, if the error has a position.
    pub(crate) column: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
}

/// `12:7: message`, with line and column.
impl fmt::Display for UnreadableEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Records in a batch. Handing a batch to another thread costs about as much as matching a few
/// events, so a batch must have many; at most two batches wait for each thread.
const BATCH_RECORDS: usize = 128;
/// Bytes at which a batch ends earlier, so that large events do not fill the memory.
const BATCH_BYTES: usize = 1 << 18;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A document: an event, or a notification or list that contains events.
    Documents,
    /// An event, whatever it contains.
    AsIs,
}

/// Reads the events of `source`, calls `work` for each, and calls `collect` with the results until
/// it breaks.
///
/// An event for which `work` fails counts as unreadable, as a record that is not JSON does. Fails
/// when the stream cannot be read further or `collect` fails.
pub(crate) fn for_each<T>(
    source: Source,
    work: impl Fn(Event) -> Result<T, EventError>,
    mut collect: impl FnMut(Processed<T>) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let work = |record| process(record, Reading::Documents, &work);
    let collect = |results| each(results, &mut collect);
    with_progress(
        source,
        Reading::Documents,
        collect,
        |mut records, collect| process_here(&mut records, &work, collect),
    )
}

/// As [`for_each`], for records of either kind, with `work` on `jobs` threads and `collect` in the
/// order of the stream.
pub(crate) fn for_each_on_threads<T: Send + 'static>(
    source: Source,
    reading: Reading,
    jobs: usize,
    work: impl Fn(Event) -> Result<T, EventError> + Send + Sync + Clone + 'static,
    mut collect: impl FnMut(Processed<T>) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let collect = |results| each(results, &mut collect);
    for_each_batch_on_threads(source, reading, jobs, work, collect)
}

/// As [`for_each_on_threads`], with the results of several records at once.
pub(crate) fn for_each_batch_on_threads<T: Send + 'static>(
    source: Source,
    reading: Reading,
    jobs: usize,
    work: impl Fn(Event) -> Result<T, EventError> + Send + Sync + Clone + 'static,
    collect: impl FnMut(Vec<Processed<T>>) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let work = move |record| process(record, reading, &work);
    with_progress(source, reading, collect, |mut records, collect| {
        if jobs <= 1 {
            process_here(&mut records, &work, collect)
        } else {
            process_on_threads(records, jobs, &work, collect)
        }
    })
}

type StreamRecords = Records<Box<dyn BufRead + Send>>;

/// The function that gets the results, of one or several records at once.
type Collect<'c, T> = dyn FnMut(Vec<Processed<T>>) -> Result<ControlFlow<()>, Failure> + 'c;

/// Calls `collect` with each result until it breaks.
fn each<T>(
    results: Vec<Processed<T>>,
    collect: &mut impl FnMut(Processed<T>) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<()>, Failure> {
    for processed in results {
        if collect(processed)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Shows a progress bar while `process` hands the results of the source's records to `collect`.
fn with_progress<T>(
    source: Source,
    reading: Reading,
    mut collect: impl FnMut(Vec<Processed<T>>) -> Result<ControlFlow<()>, Failure>,
    process: impl FnOnce(StreamRecords, &mut Collect<'_, T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bar = progress_bar(source.size);
    let consumed = source.consumed.clone();
    let limit = match reading {
        Reading::Documents => Limits::DEFAULT.document_bytes,
        Reading::AsIs => Limits::DEFAULT.bytes,
    };
    let records = Records::new(source.reader, limit);
    let result = process(records, &mut |results| {
        bar.set_position(consumed.load(Ordering::Relaxed));
        collect(results)
    });
    bar.finish_and_clear();
    result
}

fn process_here<T>(
    records: &mut Records<impl BufRead>,
    work: &impl Fn(Record) -> Vec<Processed<T>>,
    collect: &mut Collect<'_, T>,
) -> Result<(), Failure> {
    while let Some(record) = next_record(records)? {
        if collect(work(record))?.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// Processes the records on `jobs` threads; a further thread reads.
///
/// Batches go to the workers round-robin, and results are collected round-robin too, so their order
/// is that of the stream and needs no sequence numbers. With two workers:
///
/// ```text
/// reader   batch 0 → worker 0   batch 1 → worker 1   batch 2 → worker 0 …
/// here     worker 0 → batch 0   worker 1 → batch 1   worker 0 → batch 2 …
/// ```
///
/// The price is that a slow batch stops the others after one more batch each; with batches of many
/// events their costs are alike. The channels hold one batch each, so a slow `collect`, such as a
/// terminal, stops the reader too: memory is bounded for any size of the stream.
fn process_on_threads<T: Send + 'static>(
    mut records: Records<impl BufRead + Send + 'static>,
    jobs: usize,
    work: &(impl Fn(Record) -> Vec<Processed<T>> + Send + Clone + 'static),
    collect: &mut Collect<'_, T>,
) -> Result<(), Failure> {
    let (mut batch_senders, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..jobs {
        let (batches, worker) = Worker::spawn(work.clone());
        batch_senders.push(batches);
        workers.push(worker);
    }
    let (failure_sender, read_failure) = sync_channel(1);
    thread::spawn(move || {
        if let Err(failure) = read_batches(&mut records, &batch_senders) {
            // Sending fails only if `collect` broke off, and then the failure does not matter.
            let _ = failure_sender.send(failure);
        }
    });
    // `recv` fails when a worker has ended, which it does when the reader has no more batches for
    // it. Being the next in the round, it was the first to run out of them: all are collected.
    for turn in 0.. {
        let Ok(batch) = workers[turn % jobs].results.recv() else {
            break;
        };
        if collect(batch)?.is_break() {
            // The threads are not joined here: the reader may wait for input from a terminal.
            return Ok(());
        }
    }
    for Worker { results, thread } in workers {
        // After a panic of another worker this one may still have results, which nothing collects:
        // dropping the receiver lets it end.
        drop(results);
        if thread.join().is_err() {
            return Err(Failure::thread_panicked());
        }
    }
    match read_failure.try_recv() {
        Ok(failure) => Err(failure),
        Err(_) => Ok(()),
    }
}

/// A thread that turns batches of records into batches of results.
struct Worker<T> {
    results: Receiver<Vec<Processed<T>>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a worker; it ends when the sender of batches is dropped.
    fn spawn(
        work: impl Fn(Record) -> Vec<Processed<T>> + Send + 'static,
    ) -> (SyncSender<Vec<Record>>, Self) {
        let (batch_sender, batches) = sync_channel::<Vec<Record>>(1);
        let (result_sender, results) = sync_channel(1);
        let thread = thread::spawn(move || {
            for batch in batches {
                let processed = batch.into_iter().flat_map(&work).collect();
                if result_sender.send(processed).is_err() {
                    return;
                }
            }
        });
        (batch_sender, Self { results, thread })
    }
}

/// Reads records and sends them to the workers round-robin until the stream ends or a worker has.
fn read_batches(
    records: &mut Records<impl BufRead>,
    workers: &[SyncSender<Vec<Record>>],
) -> Result<(), Failure> {
    for worker in workers.iter().cycle() {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut end = None;
        while end.is_none() && batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            match next_record(records) {
                Ok(Some(record)) => {
                    bytes += record.text.as_ref().map_or(0, Vec::len);
                    batch.push(record);
                }
                Ok(None) => end = Some(Ok(())),
                Err(failure) => end = Some(Err(failure)),
            }
        }
        // The records before a read failure are processed all the same.
        if !batch.is_empty() && worker.send(batch).is_err() {
            break;
        }
        if let Some(end) = end {
            return end;
        }
    }
    Ok(())
}

fn next_record(records: &mut Records<impl BufRead>) -> Result<Option<Record>, Failure> {
    records.next().map_err(|error| {
        Failure::Input(format!(
            "line {}: cannot read further: {error}",
            records.line()
        ))
    })
}

/// The results for the events of a record.
fn process<T>(
    record: Record,
    reading: Reading,
    work: &impl Fn(Event) -> Result<T, EventError>,
) -> Vec<Processed<T>> {
    let line = record.line;
    let text = match record.text {
        Ok(text) => text,
        Err(error) => {
            let message = error.to_string();
            return vec![Processed {
                line,
                result: Err(UnreadableEvent {
                    line,
                    column: None,
                    message,
                }),
            }];
        }
    };
    let unreadable = |error: EventError| {
        // The limit is at no place that could be corrected.
        let position = match error {
            EventError::TooLarge { .. } => None,
            _ => error.position(&text),
        };
        let line_in_record = position.as_ref().map_or(1, |position| position.line);
        UnreadableEvent {
            line: line + line_in_record as u64 - 1,
            column: position.map(|position| position.column),
            message: error.to_string(),
        }
    };
    let read = match reading {
        Reading::Documents => Document::read(text.as_slice()),
        Reading::AsIs => Event::from_json(text.as_slice()).map(Document::Event),
    };
    let events = match read {
        Ok(document) => document.into_events(),
        Err(error) => vec![Err(error)],
    };
    let processed = events.into_iter().map(|event| Processed {
        line,
        result: event.and_then(work).map_err(&unreadable),
    });
    processed.collect()
}

/// A progress bar on stderr, if that is a terminal.
///
/// There is none for pipes, whose size is unknown, nor if stdout is a terminal too: the output
/// would scroll through the bar.
fn progress_bar(size: Option<u64>) -> ProgressBar {
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
