//! The Python class `EvaluationIterator`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, TryLockError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::batch_evaluation::{BatchEvaluator, Outcome};
use crate::error::catch_panics;
use crate::evaluation_pace::{Pace, thread_time};
use crate::evaluation_run::EvaluationRun;
use crate::evaluation_source::{Batch, BatchSize, EvaluationSource};
use crate::on_error::{OnError, SkippedItems};
use crate::state::PyState;

/// The evaluations of many events, in order: what `RuleSet.evaluate_many` returns.
///
/// Evaluations are made in batches, when the first of a batch is asked for.
#[pyclass(name = "EvaluationIterator", module = "reflexarc", frozen, generic)]
pub(crate) struct PyEvaluationIterator {
    progress: Mutex<Progress>,
    /// The state after the last evaluation that was given out.
    state: Mutex<Py<PyState>>,
}

/// How far the events were read and evaluated.
pub(crate) struct Progress {
    /// `None` after the end.
    source: Option<EvaluationSource>,
    evaluator: BatchEvaluator,
    on_error: OnError,
    pace: Pace,
    /// The size of the next batch.
    size: BatchSize,
    /// Evaluated and not yet given out.
    outcomes: VecDeque<Outcome>,
    /// What ended the source, to be raised after the evaluations before it.
    end: Option<PyErr>,
    skipped: SkippedItems,
}

/// Bytes of effects in a batch, beyond which the next batch is small.
// An event may have effects of 64 MiB.
const MAX_EFFECT_BYTES: usize = 64 << 20;

impl PyEvaluationIterator {
    pub(crate) fn new(
        source: EvaluationSource,
        evaluator: BatchEvaluator,
        on_error: OnError,
        state: Py<PyState>,
    ) -> Self {
        let progress = Progress {
            source: Some(source),
            evaluator,
            on_error,
            pace: Pace::default(),
            size: BatchSize::SMALL,
            outcomes: VecDeque::new(),
            end: None,
            skipped: SkippedItems::default(),
        };
        Self {
            progress: Mutex::new(progress),
            state: Mutex::new(state),
        }
    }
}

#[pymethods]
impl PyEvaluationIterator {
    /// The state after the last evaluation that was returned; at first the one that
    /// `RuleSet.evaluate_many` got.
    #[getter]
    fn state(&self, py: Python<'_>) -> Py<PyState> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone_ref(py)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        catch_panics(|| {
            // Waiting could wait forever: for another thread, or for the very events that this one
            // is reading. Generators raise an exception, too.
            let mut progress = match self.progress.try_lock() {
                Ok(progress) => progress,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Err(PyRuntimeError::new_err(
                        "the iterator is evaluating already, for another thread or for itself",
                    ));
                }
            };
            loop {
                let Some(outcome) = progress.next(py)? else {
                    return Ok(None);
                };
                match outcome {
                    Ok(run) => {
                        let rules = progress.evaluator.rules();
                        let evaluation = run.finish(py, rules, false)?;
                        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                        *state = evaluation.state(py);
                        return Ok(Some(Py::new(py, evaluation)?.into_any()));
                    }
                    Err(error) => match progress.on_error {
                        OnError::Raise => {
                            progress.finish();
                            return Err(error);
                        }
                        OnError::Collect => return Ok(Some(error.into_value(py).into_any())),
                        OnError::Skip => progress.skipped.add(error),
                    },
                }
            }
        })
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        // While it is locked, it is in use, and so alive.
        if let Ok(progress) = self.progress.try_lock()
            && let Some(EvaluationSource::Events {
                events, default, ..
            }) = &progress.source
        {
            visit.call(events)?;
            visit.call(default)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        if let Ok(mut progress) = self.progress.try_lock() {
            progress.source = None;
        }
    }
}

impl Progress {
    /// The next outcome; `None` at the end.
    fn next(&mut self, py: Python<'_>) -> PyResult<Option<Outcome>> {
        while self.outcomes.is_empty() {
            if let Some(error) = self.end.take() {
                self.finish();
                return Err(error);
            }
            let Some(source) = &mut self.source else {
                return Ok(None);
            };
            py.check_signals()?;
            let Batch { parts, end } = source.next(py, self.size);
            self.end = end;
            if parts.is_empty() && self.end.is_none() {
                self.finish();
                self.skipped.log(py)?;
                return Ok(None);
            }
            let evaluator = &mut self.evaluator;
            let start = thread_time();
            match py.detach(|| evaluator.evaluate(parts)) {
                Ok(outcomes) => {
                    let elapsed = thread_time().saturating_sub(start);
                    self.pace.add(outcomes.len(), elapsed);
                    self.outcomes = outcomes.into();
                }
                Err(exception) => {
                    self.finish();
                    return Err(exception);
                }
            }
            let outcomes = self.outcomes.iter().flatten();
            let bytes: usize = outcomes.map(EvaluationRun::effect_bytes).sum();
            self.size = if self.pace.is_worth_threads() && bytes <= MAX_EFFECT_BYTES {
                BatchSize::LARGE
            } else {
                BatchSize::SMALL
            };
        }
        Ok(self.outcomes.pop_front())
    }

    /// Ends it: an iterator that has raised an exception gives nothing more.
    fn finish(&mut self) {
        self.source = None;
        self.outcomes.clear();
        self.end = None;
    }
}
