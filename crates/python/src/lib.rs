//! The Python door: conversion, errors and documentation; every answer comes from the engine.

#![allow(clippy::disallowed_methods, reason = "a door is at the rim: it reads files and the clock for its callers")]
#![allow(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "the documentation of classes and methods is what Python's help() shows"
)]
#![allow(clippy::needless_pass_by_value, reason = "arguments are extracted for the function that takes them")]

mod batch;
mod command;
mod convert;
mod diagnostic;
mod eni;
mod error;
mod evaluation;
mod event;
mod explanation;
mod given;
mod many;
mod pattern;
mod rule;
mod rule_test;
mod rules;
mod state;
mod time;
mod walk;

use pyo3::prelude::*;

/// The compiled part of the package `reflexarc`; use that.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use crate::command::command;
    #[pymodule_export]
    use crate::diagnostic::PyDiagnostic;
    #[pymodule_export]
    use crate::eni::PyEniNotification;
    #[pymodule_export]
    use crate::error::{Error, EventError, InternalError, PatternError, ReactionError, RuleError, StateError};
    #[pymodule_export]
    use crate::evaluation::{PyAction, PyEvaluation, PyFailure};
    #[pymodule_export]
    use crate::event::PyEvent;
    #[pymodule_export]
    use crate::explanation::PyExplanation;
    #[pymodule_export]
    use crate::pattern::PyPattern;
    #[pymodule_export]
    use crate::rule::PyRule;
    #[pymodule_export]
    use crate::rule_test::PyRuleTest;
    #[pymodule_export]
    use crate::rules::PyRuleSet;
    #[pymodule_export]
    use crate::state::PyState;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
