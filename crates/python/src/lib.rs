//! The Python extension module: conversion of values, errors and documentation.
//!
//! This crate must not define what patterns, rules or scripts mean; it calls the engine.

#![allow(
    clippy::disallowed_methods,
    reason = "the extension module reads files and the clock for its callers"
)]
#![allow(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "the documentation of classes and methods is what Python's help() shows"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments are extracted for the function that takes them"
)]

mod action;
mod action_delivery;
mod action_new;
mod action_origin;
mod action_pickle;
mod arrow_column;
mod arrow_json;
mod arrow_matching;
mod batch_argument;
mod batch_evaluation;
mod batch_matching;
mod call_answer;
mod command;
mod convert;
mod delivery_runtime;
mod diagnostic;
mod dict_matcher;
mod dict_walk;
mod eni;
mod error;
mod evaluation;
mod evaluation_clock;
mod evaluation_effects;
mod evaluation_html;
mod evaluation_iterator;
mod evaluation_origin;
mod evaluation_pace;
mod evaluation_pickle;
mod evaluation_run;
mod evaluation_source;
mod event;
mod event_matcher;
mod event_path;
mod event_preparer;
mod event_source;
mod explanation;
mod failure;
mod handler_match;
mod handler_table;
mod html;
mod logging;
mod native_dict;
mod on_error;
mod pattern;
mod quote;
mod receipt;
mod repr;
mod rule;
mod rule_reaction;
mod rule_set_source;
mod rule_test;
mod rules;
mod scratch;
mod signal_check;
mod state;
mod state_file;
mod state_pickle;
mod structure;
mod targets;
mod time_window;
mod timestamp;

use mimalloc::MiMalloc;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The allocator of this library, and of nothing else in the process.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The extension module of the package `reflexarc`; import the package instead.
// The module needs no interpreter lock: all classes are frozen, and buffers are per thread.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::action::{PyAction, PyCancellation};
    #[pymodule_export]
    use crate::arrow_column::PyArrowColumn;
    #[pymodule_export]
    use crate::arrow_matching::{_arrow_mask, _arrow_matching};
    #[pymodule_export]
    use crate::command::command;
    #[pymodule_export]
    use crate::diagnostic::PyDiagnostic;
    #[pymodule_export]
    use crate::eni::PyEniNotification;
    #[pymodule_export]
    use crate::evaluation::PyEvaluation;
    #[pymodule_export]
    use crate::evaluation_iterator::PyEvaluationIterator;
    #[pymodule_export]
    use crate::event::PyEvent;
    #[pymodule_export]
    use crate::explanation::PyExplanation;
    #[pymodule_export]
    use crate::failure::PyFailure;
    #[pymodule_export]
    use crate::handler_match::PyMatch;
    #[pymodule_export]
    use crate::handler_table::PyHandlerTable;
    #[pymodule_export]
    use crate::pattern::PyPattern;
    #[pymodule_export]
    use crate::quote::quote;
    #[pymodule_export]
    use crate::receipt::PyReceipt;
    #[pymodule_export]
    use crate::rule::PyRule;
    #[pymodule_export]
    use crate::rule_test::PyRuleTest;
    #[pymodule_export]
    use crate::rules::PyRuleSet;
    #[pymodule_export]
    use crate::state::PyState;
    #[pymodule_export]
    use crate::state_file::PyStateFile;
    #[pymodule_export]
    use crate::targets::PyTargets;
    #[pymodule_export]
    use crate::time_window::{PyDeadline, PyDueEvaluation, PyMatchFiring};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::refuse_subinterpreters(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Raises `ImportError` in a subinterpreter.
///
/// The module keeps Python objects in statics, which interpreters must not share. Python 3.12 and
/// later refuse such a module in subinterpreters on their own; earlier versions do not.
fn refuse_subinterpreters(py: Python<'_>) -> PyResult<()> {
    if py.version_info() >= (3, 12) {
        return Ok(());
    }
    let Ok(interpreters) = py.import("_xxsubinterpreters") else {
        return Ok(());
    };
    if interpreters
        .call_method0("get_current")?
        .eq(interpreters.call_method0("get_main")?)?
    {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "module reflexarc._core does not support loading in subinterpreters",
    ))
}
