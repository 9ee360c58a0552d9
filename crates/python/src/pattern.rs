//! Patterns, as Python sees them.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString, PyTuple};
use reflexarc_diagnostic::Diagnostic;
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch, explain};

use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::dict_matcher::DictMatcher;
use crate::dict_walk::DictWalk;
use crate::error::{PatternError, carrying, catch_panics, refused};
use crate::event_argument::{self, EventArgument};
use crate::explanation::PyExplanation;

thread_local! {
    /// The matcher's working storage, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What messages call the text of a pattern.
const SOURCE: &str = "<pattern>";

/// A filter for events, compiled once, immutable.
///
/// Args:
///     pattern: an expression, a pattern in JSON notation as text or as a dict, or another pattern.
///     dialect: which service's language it is written in; "aws" and "alibaba" accept what those services accept.
///
/// Raises:
///     PatternError: with every finding, if the pattern is refused.
///     ValueError: if there is no such dialect.
///
/// >>> pattern = Pattern({"content": {"result": ["failed"]}})
/// >>> pattern
/// Pattern("content.result == \"failed\"")
/// >>> pattern == Pattern('content.result == "failed"')
/// True
#[pyclass(name = "Pattern", module = "reflexarc", frozen)]
pub(crate) struct PyPattern {
    pub(crate) pattern: Pattern,
    matcher: Matcher,
    walk: DictWalk,
    direct: Option<DictMatcher>,
}

#[pymethods]
impl PyPattern {
    #[new]
    #[pyo3(signature = (pattern, *, dialect = "reflexarc"))]
    fn new(pattern: &Bound<'_, PyAny>, dialect: &str) -> PyResult<Self> {
        catch_panics(|| Self::read(pattern, read_dialect(dialect)?))
    }

    /// The text it was compiled from.
    #[getter]
    fn source(&self) -> &str {
        self.pattern.source()
    }

    /// The dialect it is written in.
    #[getter]
    fn dialect(&self) -> String {
        self.pattern.dialect().to_string()
    }

    /// What was accepted but is probably not meant.
    #[getter]
    fn warnings(&self) -> Vec<PyDiagnostic> {
        self.found(self.pattern.warnings())
    }

    /// Whether the event meets the pattern, as it is: envelopes are not unwrapped.
    ///
    /// A dict is walked in place, only along the pattern's paths; what no path leads to is not looked at. Where a path
    /// ends in a dict that has not the next key, a key of that dict that is not text is an error.
    ///
    /// Raises:
    ///     EventError: if it is no event; the message says where.
    ///
    /// >>> Pattern("content.count > 2").matches({"content": {"count": 3}})
    /// True
    fn matches(&self, event: &Bound<'_, PyAny>) -> PyResult<bool> {
        catch_panics(|| {
            let mapping = match EventArgument::new(event)? {
                EventArgument::Bytes(bytes) => {
                    event_argument::check_limits(&bytes)?;
                    return self.matches_text(&bytes);
                }
                EventArgument::Mapping(mapping) => mapping,
            };
            if !self.walk.is_possible() {
                return self.matches_text(
                    convert::to_json(mapping, &ValuePath::Root)?
                        .to_string()
                        .as_bytes(),
                );
            }
            if let Some(direct) = &self.direct
                && let Some(answer) = direct.matches(&self.walk, mapping)?
            {
                return Ok(answer);
            }
            with_scratch(|scratch| {
                self.matcher
                    .has_match_fields(|fields| self.walk.fields(mapping, fields), scratch)
            })
        })
    }

    /// Why the event meets the pattern or does not.
    ///
    /// >>> print(Pattern('result == "failed"').explain({"result": "Failed"}), end="")
    /// ✗ result == "failed"
    ///     result is "Failed"
    ///     hint: the value differs only in case; add `ignoring case`
    fn explain(&self, event: &Bound<'_, PyAny>) -> PyResult<PyExplanation> {
        catch_panics(|| {
            let event = event_argument::to_event(event)?;
            Ok(explain::explain(self.pattern.node(), event.tree()).into())
        })
    }

    /// The pattern in JSON notation.
    ///
    /// >>> Pattern('a.b == "x"').to_json()
    /// '{"a": {"b": ["x"]}}'
    fn to_json(&self) -> String {
        self.pattern.to_json()
    }

    /// The pattern as an expression.
    ///
    /// >>> Pattern({"a": {"b": ["x"]}}).to_expression()
    /// 'a.b == "x"'
    fn to_expression(&self) -> String {
        self.pattern.to_expression()
    }

    /// What another dialect would not accept or would answer differently, and what is probably not meant.
    #[pyo3(signature = (dialect = "reflexarc"))]
    fn check(&self, dialect: &str) -> PyResult<Vec<PyDiagnostic>> {
        catch_panics(|| Ok(self.found(&self.pattern.check(read_dialect(dialect)?))))
    }

    /// The pattern in JSON notation, ready for that service.
    ///
    /// Raises:
    ///     PatternError: with what does not carry over.
    ///
    /// >>> Pattern('a == "x"').export("aws")
    /// '{"a": ["x"]}'
    fn export(&self, py: Python<'_>, dialect: &str) -> PyResult<String> {
        catch_panics(|| {
            let dialect = read_dialect(dialect)?;
            self.pattern
                .export(dialect)
                .map_err(|found| refused::<PatternError>(py, SOURCE, self.pattern.source(), &found))
        })
    }

    fn __str__(&self) -> String {
        self.pattern.to_expression()
    }

    fn __repr__(&self) -> String {
        format!("Pattern({:?})", self.pattern.to_expression())
    }

    /// Patterns are equal when they ask for the same, in whichever notation they were written.
    fn __eq__(&self, other: &Self) -> bool {
        self.pattern.node() == other.pattern.node()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.pattern.node().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let rebuild = slf.get_type().getattr("_rebuild")?;
        let state = PyTuple::new(
            py,
            [
                this.pattern.source().to_owned(),
                this.pattern.dialect().to_string(),
            ],
        )?;
        Ok((rebuild, state))
    }

    #[staticmethod]
    fn _rebuild(py: Python<'_>, source: &str, dialect: &str) -> PyResult<Self> {
        catch_panics(|| {
            Self::compile(
                py,
                Self::parse_alone(py, source, read_dialect(dialect)?, SOURCE)?,
            )
        })
    }
}

impl PyPattern {
    fn read(pattern: &Bound<'_, PyAny>, dialect: Dialect) -> PyResult<Self> {
        Self::compile(pattern.py(), Self::read_alone(pattern, dialect, SOURCE)?)
    }

    /// Reads what a caller gives as a pattern: text, a mapping in JSON notation, or a pattern. Messages call it `name`.
    pub(crate) fn read_alone(
        pattern: &Bound<'_, PyAny>,
        dialect: Dialect,
        name: &str,
    ) -> PyResult<Pattern> {
        let py = pattern.py();
        if let Ok(text) = pattern.cast::<PyString>() {
            return Self::parse_alone(py, &text.to_cow()?, dialect, name);
        }
        if let Ok(other) = pattern.cast::<Self>() {
            return Ok(other.get().pattern.clone());
        }
        if pattern.cast::<PyMapping>().is_ok() {
            let json = convert::to_json(pattern, &ValuePath::Root)?;
            return Self::parse_alone(py, &json.to_string(), dialect, name);
        }
        let kind = pattern.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "a pattern is an expression, JSON text or a dict, not {kind}"
        )))
    }

    pub(crate) fn parse_alone(
        py: Python<'_>,
        text: &str,
        dialect: Dialect,
        name: &str,
    ) -> PyResult<Pattern> {
        Pattern::parse(text, dialect)
            .map_err(|found| refused::<PatternError>(py, name, text, &found))
    }

    pub(crate) fn compile(py: Python<'_>, pattern: Pattern) -> PyResult<Self> {
        let matcher = Matcher::build([pattern.node()])
            .map_err(|error| carrying::<PatternError>(py, error.to_string(), vec![]))?;
        let walk = DictWalk::new(py, matcher.paths());
        let direct = DictMatcher::new(py, pattern.node(), matcher.paths())?;
        Ok(Self {
            pattern,
            matcher,
            walk,
            direct,
        })
    }

    fn matches_text(&self, bytes: &[u8]) -> PyResult<bool> {
        with_scratch(|scratch| self.matcher.has_match_bytes(bytes, scratch))
            .map_err(event_argument::event_error)
    }

    fn found(&self, found: &[Diagnostic]) -> Vec<PyDiagnostic> {
        found
            .iter()
            .map(|diagnostic| PyDiagnostic::new(SOURCE, self.pattern.source(), diagnostic))
            .collect()
    }
}

/// Lends the thread's working storage; a call from within a call (a mapping that matches while it is read) gets its own.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|cell| match cell.try_borrow_mut() {
        Ok(mut kept) => work(&mut kept),
        Err(_) => work(&mut Scratch::new()),
    })
}

pub(crate) fn read_dialect(name: &str) -> PyResult<Dialect> {
    name.parse()
        .map_err(|error: reflexarc_pattern::UnknownDialect| {
            PyValueError::new_err(error.to_string())
        })
}
