//! The Python class `Pattern`.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString, PyTuple};
use reflexarc::check_vocabulary;
use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Fields, Matcher, Node, Path, Pattern, Scratch, Undecided};

use crate::convert::{self, ValuePath};
use crate::diagnostic::PyDiagnostic;
use crate::dict_matcher::DictMatcher;
use crate::dict_walk::DictWalk;
use crate::error::{
    PatternError, UndecidedError, catch_panics, exception_from_diagnostics, exception_with,
};
use crate::event::{self, EventArgument};
use crate::explanation::PyExplanation;
use crate::html;
use crate::repr::repr;
use crate::scratch::with_scratch;

/// The name of the pattern's text in diagnostics.
const SOURCE: &str = "<pattern>";

/// A compiled event pattern, immutable. Patterns are joined by `&` and `|`; `~` negates one.
/// `field` builds patterns without text.
///
/// Args:
///     pattern: an expression, a pattern in JSON notation as text or dict, or another pattern.
///     dialect: the dialect of the pattern; "aws" and "alibaba" accept what those services
///         accept.
///
/// Raises:
///     PatternError: if the pattern is invalid, with all diagnostics.
///     ValueError: if the dialect is unknown.
///
/// >>> pattern = Pattern({"content": {"result": ["failed"]}})
/// >>> pattern
/// Pattern('content.result == "failed"')
/// >>> pattern == Pattern('content.result == "failed"')
/// True
#[pyclass(name = "Pattern", module = "reflexarc", frozen)]
pub(crate) struct PyPattern {
    pub(crate) pattern: Pattern,
    matcher: Matcher,
    walk: DictWalk,
    dict_matcher: Option<DictMatcher>,
}

#[pymethods]
impl PyPattern {
    #[new]
    #[pyo3(signature = (pattern, *, dialect = "reflexarc"))]
    fn new(pattern: &Bound<'_, PyAny>, dialect: &str) -> PyResult<Self> {
        catch_panics(|| Self::read(pattern, read_dialect(dialect)?))
    }

    /// The text that the pattern was compiled from.
    #[getter]
    fn source(&self) -> &str {
        self.pattern.source()
    }

    /// The dialect of the pattern.
    #[getter]
    fn dialect(&self) -> String {
        self.pattern.dialect().to_string()
    }

    /// Diagnostics about a valid pattern that is probably not intended.
    #[getter]
    fn warnings(&self) -> Vec<PyDiagnostic> {
        let misspelt = check_vocabulary(&self.pattern).into_iter();
        let misspelt = misspelt.filter(|one| one.severity == Severity::Warning);
        let spanned = self.pattern.spanned();
        let warnings = spanned.map(|spanned| spanned.warnings(&holds_one_value));
        let warnings: Vec<_> = warnings.into_iter().flatten().chain(misspelt).collect();
        self.found(&warnings)
    }

    /// Whether the event matches the pattern. Envelopes are not converted.
    ///
    /// Only the values of a dict at the paths of the pattern are read and checked. A key that is
    /// not a string is an error in dicts in which a path finds no key.
    ///
    /// Args:
    ///     event: the event.
    ///     default: a function that replaces values without a JSON form, as for `Event`.
    ///
    /// Raises:
    ///     EventError: if it is not an event; the message has the position.
    ///     UndecidedError: if it cannot be compared with the pattern.
    ///
    /// >>> Pattern("content.count > 2").matches({"content": {"count": 3}})
    /// True
    #[pyo3(signature = (event, *, default = None))]
    fn matches(
        &self,
        event: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        catch_panics(|| {
            let root = ValuePath::event(default);
            let mapping = match EventArgument::at(event, &root)? {
                EventArgument::Bytes(bytes) => {
                    event::check_limits(&bytes).map_err(event::event_error)?;
                    return self.matches_text(&bytes);
                }
                EventArgument::Mapping(mapping) => mapping,
            };
            // A dict takes the first of these ways that is possible:
            // 1. conversion to JSON text, if the pattern has too many keys to look up;
            // 2. value by value, which is fastest;
            // 3. the values at the paths passed to the matcher, if elements of arrays are objects.
            if !self.walk.is_possible() {
                let text = convert::to_json(&mapping, &root)?.to_string();
                return self.matches_text(text.as_bytes());
            }
            if let Some(dict_matcher) = &self.dict_matcher
                && let Some(matched) = dict_matcher.matches(&self.walk, &mapping, &root)?
            {
                return Ok(matched);
            }
            with_scratch(|scratch| {
                let visit = |fields: &mut Fields<'_>| self.walk.fields(&mapping, fields, &root);
                let matched = self.matcher.has_match_fields(visit, scratch)?;
                decided(matched, scratch)
            })
        })
    }

    /// Explain why the event matches the pattern or does not.
    ///
    /// >>> print(Pattern('result == "failed"').explain({"result": "Failed"}), end="")
    /// ✗ result == "failed"
    ///     result is "Failed"
    ///     hint: the value differs only in case; add `ignoring case`
    #[pyo3(signature = (event, *, default = None))]
    fn explain(
        &self,
        event: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyExplanation> {
        catch_panics(|| {
            let event = event::to_event(event, &ValuePath::event(default))?;
            Ok(PyExplanation::of_pattern(&self.pattern, event))
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

    /// Diagnostics about the pattern in a dialect: what it would not accept or would match
    /// differently, and what is probably not intended.
    #[pyo3(signature = (dialect = "reflexarc"))]
    fn check(&self, dialect: &str) -> PyResult<Vec<PyDiagnostic>> {
        catch_panics(|| {
            let dialect = read_dialect(dialect)?;
            let spanned = self.pattern.spanned();
            let found = spanned.map(|spanned| spanned.check(dialect, &holds_one_value));
            let mut found = found.unwrap_or_default();
            if dialect == Dialect::Reflexarc {
                found.extend(check_vocabulary(&self.pattern));
            }
            Ok(self.found(&found))
        })
    }

    /// The pattern in JSON notation, in the dialect of another service.
    ///
    /// Raises:
    ///     PatternError: if the dialect cannot express the pattern.
    ///
    /// >>> Pattern('a == "x"').export("aws")
    /// '{"a": ["x"]}'
    fn export(&self, py: Python<'_>, dialect: &str) -> PyResult<String> {
        catch_panics(|| {
            let dialect = read_dialect(dialect)?;
            self.pattern.export(dialect).map_err(|error| {
                exception_from_diagnostics::<PatternError>(
                    py,
                    SOURCE,
                    self.pattern.source(),
                    error.diagnostics(),
                )
            })
        })
    }

    fn __str__(&self) -> String {
        self.pattern.to_expression()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Pattern({})",
            repr(py, &self.pattern.to_expression())?
        ))
    }

    fn _repr_html_(&self) -> String {
        let warnings = self.warnings();
        let warnings = warnings.iter().map(PyDiagnostic::to_string);
        let warnings: String = warnings.map(|text| html::code(&text)).collect();
        html::code(&self.pattern.to_expression()) + warnings.as_str()
    }

    /// A pattern that an event matches if it matches both.
    fn __and__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.joined(py, other, Node::All)
    }

    /// A pattern that an event matches if it matches one of them or both.
    fn __or__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.joined(py, other, Node::Any)
    }

    /// A pattern that an event matches if it does not match this one.
    fn __invert__(&self, py: Python<'_>) -> PyResult<Self> {
        Self::of_node(py, Node::Not(Box::new(self.pattern.node().clone())))
    }

    /// Raises an exception: `and` and `or` of Python would take one pattern and drop the other.
    #[allow(clippy::unused_self, reason = "the slot of Python passes it")]
    fn __bool__(&self) -> PyResult<bool> {
        Err(PyTypeError::new_err(
            "a pattern is not true or false; join patterns by &, | and ~ with each comparison in \
             parentheses, and use matches(event) to test an event",
        ))
    }

    /// Patterns are equal if they mean the same, in either notation.
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
                Self::parse_text(py, source, read_dialect(dialect)?, SOURCE)?,
            )
        })
    }
}

impl PyPattern {
    fn read(pattern: &Bound<'_, PyAny>, dialect: Dialect) -> PyResult<Self> {
        Self::compile(
            pattern.py(),
            Self::parse_argument(pattern, dialect, SOURCE)?,
        )
    }

    /// Parses a pattern argument: text, a mapping in JSON notation, or a pattern. Diagnostics
    /// call it `name`.
    pub(crate) fn parse_argument(
        pattern: &Bound<'_, PyAny>,
        dialect: Dialect,
        name: &str,
    ) -> PyResult<Pattern> {
        let py = pattern.py();
        if let Ok(text) = pattern.cast::<PyString>() {
            return Self::parse_text(py, text.to_str()?, dialect, name);
        }
        if let Ok(other) = pattern.cast::<Self>() {
            return Ok(other.get().pattern.clone());
        }
        if pattern.cast::<PyMapping>().is_ok() {
            let json = convert::to_json(pattern, &ValuePath::Root)?;
            return Self::parse_text(py, &json.to_string(), dialect, name);
        }
        let kind = pattern.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "expected a pattern as an expression, JSON text or dict, found {kind}"
        )))
    }

    /// Parses text; diagnostics call it `name`.
    pub(crate) fn parse_text(
        py: Python<'_>,
        text: &str,
        dialect: Dialect,
        name: &str,
    ) -> PyResult<Pattern> {
        Pattern::parse(text, dialect).map_err(|error| {
            exception_from_diagnostics::<PatternError>(py, name, text, error.diagnostics())
        })
    }

    /// Compiles a pattern for text and for dicts.
    pub(crate) fn compile(py: Python<'_>, pattern: Pattern) -> PyResult<Self> {
        let matcher = Matcher::build([pattern.node()])
            .map_err(|error| exception_with::<PatternError>(py, error.to_string(), vec![]))?;
        let walk = DictWalk::new(py, matcher.paths());
        let dict_matcher = DictMatcher::new(pattern.node(), matcher.paths());
        Ok(Self {
            pattern,
            matcher,
            walk,
            dict_matcher,
        })
    }

    fn joined(&self, py: Python<'_>, other: &Self, join: fn(Vec<Node>) -> Node) -> PyResult<Self> {
        let parts = [&self.pattern, &other.pattern].map(|pattern| pattern.node().clone());
        Self::of_node(py, join(parts.into()))
    }

    fn of_node(py: Python<'_>, node: Node) -> PyResult<Self> {
        catch_panics(|| {
            // Parsed from its text, so that it has the limits and warnings of one.
            let text = Pattern::from_node(node).to_expression();
            Self::compile(py, Self::parse_text(py, &text, Dialect::Reflexarc, SOURCE)?)
        })
    }

    pub(crate) fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    fn matches_text(&self, bytes: &[u8]) -> PyResult<bool> {
        with_scratch(|scratch| {
            let matched = self.matcher.has_match_bytes(bytes, scratch);
            decided(matched.map_err(event::json_error)?, scratch)
        })
    }

    fn found(&self, found: &[Diagnostic]) -> Vec<PyDiagnostic> {
        found
            .iter()
            .map(|diagnostic| PyDiagnostic::new(SOURCE, self.pattern.source(), diagnostic))
            .collect()
    }
}

/// Whether an event matches the only pattern of a matcher.
fn decided(matched: bool, scratch: &Scratch) -> PyResult<bool> {
    if scratch.undecided().is_empty() {
        Ok(matched)
    } else {
        Err(UndecidedError::new_err(Undecided.to_string()))
    }
}

/// Parses the name of a dialect.
pub(crate) fn read_dialect(name: &str) -> PyResult<Dialect> {
    name.parse()
        .map_err(|error: reflexarc_pattern::UnknownDialect| {
            PyValueError::new_err(error.to_string())
        })
}

/// Whether the field is documented to hold one value.
fn holds_one_value(path: &Path) -> bool {
    field_shape(path.as_str()) == Some(FieldShape::One)
}
