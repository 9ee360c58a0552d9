//! Matching of columns of events: on all cores, without the interpreter lock or Python objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use arrow_array::builder::{BooleanBuilder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryViewArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field};
use arrow_select::concat::concat;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use reflexarc::{Rule, RuleSet};
use reflexarc_pattern::{Matcher, Path, Scratch};

use crate::arrow_column::{Column, PyArrowColumn, arrow_error};
use crate::arrow_json::{Encoder, ValueError};
use crate::batch_matching::{self, MatchError, threads};
use crate::error::{EventError, catch_panics};
use crate::event;
use crate::pattern::PyPattern;
use crate::rules::PyRuleSet;
use crate::signal_check::{SIGNAL_INTERVAL, SignalCheck};

/// The ids of the rules that match each event of a column, as a column of lists.
#[pyfunction]
pub(crate) fn _arrow_matching(
    rules: &Bound<'_, PyRuleSet>,
    column: &Bound<'_, PyAny>,
    is_table: bool,
    on_error: &str,
) -> PyResult<PyArrowColumn> {
    catch_panics(|| {
        let rules = &rules.get().rules;
        let names: Vec<&str> = rules.rules().map(Rule::name).collect();
        let make = || IdsBuilder {
            rules,
            names: &names,
            ids: ListBuilder::new(StringBuilder::new()).with_field(item_field()),
        };
        let paths = rules.matcher().paths();
        match_column(
            column,
            is_table,
            on_error,
            DataType::List(item_field()),
            paths,
            make,
        )
    })
}

/// Whether each event of a column matches a pattern, as a column of booleans.
#[pyfunction]
pub(crate) fn _arrow_mask(
    pattern: &Bound<'_, PyPattern>,
    column: &Bound<'_, PyAny>,
    is_table: bool,
    on_error: &str,
) -> PyResult<PyArrowColumn> {
    catch_panics(|| {
        let matcher = pattern.get().matcher();
        let make = || MaskBuilder {
            matcher,
            scratch: Scratch::new(),
            matched: BooleanBuilder::new(),
        };
        match_column(
            column,
            is_table,
            on_error,
            DataType::Boolean,
            matcher.paths(),
            make,
        )
    })
}

/// Builds the results of some rows.
trait RowBuilder {
    /// Adds the result for an event. On an error it adds nothing.
    fn event(&mut self, text: &[u8]) -> Result<(), MatchError>;

    /// Adds a null.
    fn null(&mut self);

    fn finish(self) -> ArrayRef;
}

struct IdsBuilder<'a> {
    rules: &'a RuleSet,
    names: &'a [&'a str],
    ids: ListBuilder<StringBuilder>,
}

struct MaskBuilder<'a> {
    matcher: &'a Matcher,
    scratch: Scratch,
    matched: BooleanBuilder,
}

/// Rows of one chunk that a thread matches at a time. The number of the first one counts from the
/// beginning of the column.
#[derive(Clone, Copy)]
struct Part {
    chunk: usize,
    from: usize,
    len: usize,
    number: usize,
}

/// Rows of a part: some hundred KiB of text, much beside what it costs to hand it over.
const PART_ROWS: usize = 1024;

enum RowError {
    Match(MatchError),
    Value(ValueError),
    Arrow(ArrowError),
}

/// The results of a part, or the number of the first row with an error.
type PartResult = Result<ArrayRef, (usize, RowError)>;

/// What the threads share.
struct Shared<'a, M> {
    column: &'a Column,
    parts: &'a [Part],
    /// The paths that patterns read.
    paths: &'a [Path],
    /// Whether a row with an error gives null.
    errors_are_null: bool,
    make: M,
    next: AtomicUsize,
    stop: AtomicBool,
}

fn match_column<B: RowBuilder>(
    column: &Bound<'_, PyAny>,
    is_table: bool,
    on_error: &str,
    kind: DataType,
    paths: &[Path],
    make: impl Fn() -> B + Sync,
) -> PyResult<PyArrowColumn> {
    let errors_are_null = match on_error {
        "raise" => false,
        "null" => true,
        _ => {
            return Err(PyValueError::new_err(format!(
                "invalid on_error={on_error:?}: expected \"raise\" or \"null\""
            )));
        }
    };
    let py = column.py();
    let column = Column::read(column, is_table)?;
    if !is_readable(&column.kind) {
        return Err(PyTypeError::new_err(format!(
            "expected a column of JSON text, bytes or structs, found {}",
            column.kind
        )));
    }
    let parts = parts(&column);
    let shared = Shared {
        column: &column,
        parts: &parts,
        paths,
        errors_are_null,
        make,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let results = py.detach(|| shared.match_parts())?;
    let chunks = py.detach(|| join(&column, &parts, results));
    let chunks = chunks.map_err(|error| arrow_error(&error))?;
    Ok(PyArrowColumn::new(kind, chunks))
}

fn is_readable(kind: &DataType) -> bool {
    let is_binary = matches!(
        kind,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    );
    is_binary || kind.is_string() || matches!(kind, DataType::Struct(_) | DataType::Null)
}

/// The rows of a column in parts.
fn parts(column: &Column) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut number = 0;
    for (chunk, array) in column.chunks.iter().enumerate() {
        for from in (0..array.len()).step_by(PART_ROWS) {
            let len = PART_ROWS.min(array.len() - from);
            parts.push(Part {
                chunk,
                from,
                len,
                number: number + from,
            });
        }
        number += array.len();
    }
    parts
}

/// The results of parts as chunks of the lengths that the column has.
fn join(
    column: &Column,
    parts: &[Part],
    results: Vec<ArrayRef>,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut chunks = Vec::with_capacity(column.chunks.len());
    let mut results = parts.iter().zip(&results).peekable();
    for chunk in 0..column.chunks.len() {
        let mut joined: Vec<&dyn Array> = Vec::new();
        while let Some((_, result)) = results.next_if(|(part, _)| part.chunk == chunk) {
            joined.push(result);
        }
        if !joined.is_empty() {
            chunks.push(concat(&joined)?);
        }
    }
    Ok(chunks)
}

impl<B: RowBuilder, M: Fn() -> B + Sync> Shared<'_, M> {
    /// The results of all parts, in order; the error of the first row that has one.
    fn match_parts(&self) -> PyResult<Vec<ArrayRef>> {
        let mut results: Vec<Option<PartResult>> = Vec::new();
        results.resize_with(self.parts.len(), || None);
        let threads = threads().min(self.parts.len());
        if threads <= 1 {
            for (part, result) in self.parts.iter().zip(&mut results) {
                *result = Some(self.match_part(part));
            }
        } else {
            self.match_on_threads(threads, &mut results)?;
        }
        // Parts are taken in order, so that all before one with an error have a result.
        let results = results.into_iter().flatten();
        let results: Result<Vec<_>, _> = results.collect();
        results.map_err(|(row, error)| error.exception(row))
    }

    fn match_on_threads(&self, threads: usize, results: &mut [Option<PartResult>]) -> PyResult<()> {
        thread::scope(|scope| {
            let (sender, matched) = channel();
            for _ in 0..threads {
                let sender = sender.clone();
                scope.spawn(|| self.match_next_parts(sender));
            }
            // The channel closes when the last thread drops its sender.
            drop(sender);
            let mut signals = SignalCheck::new();
            let ended = loop {
                match matched.recv_timeout(SIGNAL_INTERVAL) {
                    Ok((part, result)) => results[part] = Some(result),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break Ok(()),
                }
                if let Err(exception) = signals.check() {
                    break Err(exception);
                }
            };
            self.stop.store(true, Ordering::Relaxed);
            ended
        })
    }

    /// Matches parts until there are none, one has an error, or all are stopped.
    fn match_next_parts(&self, sender: Sender<(usize, PartResult)>) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = self.parts.get(number) else {
                return;
            };
            let result = self.match_part(part);
            if result.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            if sender.send((number, result)).is_err() {
                return;
            }
        }
    }

    fn match_part(&self, part: &Part) -> PartResult {
        let rows = self.column.chunks[part.chunk].slice(part.from, part.len);
        let rows = Rows::new(&rows, self.paths);
        let rows = rows.map_err(|error| (part.number, RowError::Arrow(error)))?;
        let mut builder = (self.make)();
        let mut text = String::new();
        for row in 0..part.len {
            if rows.is_null(row) {
                builder.null();
                continue;
            }
            let matched = rows.text(row, &mut text).map_err(RowError::Value);
            let matched = matched.and_then(|text| builder.event(text).map_err(RowError::Match));
            match matched {
                Ok(()) => {}
                Err(_) if self.errors_are_null => builder.null(),
                Err(error) => return Err((part.number + row, error)),
            }
        }
        Ok(builder.finish())
    }
}

/// Rows of a chunk as JSON text.
enum Rows {
    Null,
    Text(BinaryViewArray),
    Struct(ArrayRef, Encoder),
}

impl Rows {
    fn new(rows: &ArrayRef, read: &[Path]) -> Result<Self, ArrowError> {
        Ok(match rows.data_type() {
            DataType::Null => Self::Null,
            DataType::Struct(_) => Self::Struct(Arc::clone(rows), Encoder::new(rows, read)?),
            // A view of the same bytes.
            _ => Self::Text(cast(rows, &DataType::BinaryView)?.as_binary_view().clone()),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Text(texts) => texts.is_null(row),
            Self::Struct(rows, _) => rows.is_null(row),
        }
    }

    /// The text of a row that is not null; in `buffer`, where it has to be written.
    fn text<'a>(&'a self, row: usize, buffer: &'a mut String) -> Result<&'a [u8], ValueError> {
        buffer.clear();
        match self {
            Self::Null => {}
            Self::Text(texts) => return Ok(texts.value(row)),
            Self::Struct(_, encoder) => encoder.write(row, buffer)?,
        }
        Ok(buffer.as_bytes())
    }
}

impl RowBuilder for IdsBuilder<'_> {
    fn event(&mut self, text: &[u8]) -> Result<(), MatchError> {
        let ids = batch_matching::matching_text(self.rules, text)?;
        for id in ids {
            self.ids.values().append_value(self.names[id as usize]);
        }
        self.ids.append(true);
        Ok(())
    }

    fn null(&mut self) {
        self.ids.append(false);
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.ids.finish())
    }
}

impl RowBuilder for MaskBuilder<'_> {
    fn event(&mut self, text: &[u8]) -> Result<(), MatchError> {
        event::check_limits(text)?;
        let matched = self.matcher.has_match_bytes(text, &mut self.scratch);
        let matched = matched.map_err(reflexarc_event::EventError::from)?;
        if !self.scratch.undecided().is_empty() {
            return Err(MatchError::UndecidedPattern);
        }
        self.matched.append_value(matched);
        Ok(())
    }

    fn null(&mut self) {
        self.matched.append_null();
    }

    fn finish(mut self) -> ArrayRef {
        Arc::new(self.matched.finish())
    }
}

impl RowError {
    fn exception(&self, row: usize) -> PyErr {
        match self {
            Self::Match(error) => error.of_item("row", row),
            Self::Value(error) => EventError::new_err(format!("row {row}: {error}")),
            Self::Arrow(error) => arrow_error(error),
        }
    }
}

/// The field of the elements of a list of ids.
fn item_field() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, true))
}
