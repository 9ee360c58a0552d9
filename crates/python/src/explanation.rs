//! The Python class `Explanation`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use reflexarc::{RuleSet, explain_native};
use reflexarc_event::{Event, Json, NativeEvent};
use reflexarc_pattern::Pattern;
use reflexarc_pattern::explain::{Explanation, Part, Test, explain};

use crate::convert;
use crate::error::catch_panics;
use crate::event::{event_error, json_error};
use crate::html;
use crate::pattern::{PyPattern, read_dialect};

/// Why a pattern matches an event or does not, part by part; true if it matches. `str()`
/// shows only the parts that fail.
#[pyclass(name = "Explanation", module = "reflexarc", frozen)]
pub(crate) struct PyExplanation {
    explanation: Explanation,
    /// The row that each lookup of the rule finds, by name.
    lookups: Vec<(String, Option<Json>)>,
    /// A pickle has what was explained, and explains it again.
    pattern: Pattern,
    event: Explained,
}

/// The event of an explanation.
enum Explained {
    /// For a pattern, which matches events as they are.
    AsIs(Event),
    /// For a rule.
    Native(NativeEvent),
}

impl PyExplanation {
    /// Why a pattern matches an event or does not.
    pub(crate) fn of_pattern(pattern: &Pattern, event: Event) -> Self {
        Self {
            explanation: explain(pattern.node(), event.tree()),
            lookups: Vec::new(),
            pattern: pattern.clone(),
            event: Explained::AsIs(event),
        }
    }

    /// Why a rule matches an event or does not; `None` if the rule is unknown.
    pub(crate) fn of_rule(rules: &RuleSet, event: &NativeEvent, rule: &str) -> Option<Self> {
        let pattern = rules.get(rule)?.pattern();
        let lookups = rules.explain_lookups(event, rule).into_iter();
        let lookups = lookups.map(|lookup| (lookup.name, lookup.row.ok()));
        Some(Self {
            explanation: rules.explain(event, rule)?,
            lookups: lookups.collect(),
            pattern: pattern.clone(),
            event: Explained::Native(event.clone()),
        })
    }

    pub(crate) fn is_match(&self) -> bool {
        self.explanation.matched()
    }
}

#[pymethods]
impl PyExplanation {
    /// Whether the event matches the pattern; false too if that is undecided.
    #[getter]
    fn matched(&self) -> bool {
        self.explanation.matched()
    }

    /// Whether it is undecided if the event matches, because there are too many combinations of
    /// the elements of its arrays.
    #[getter]
    fn undecided(&self) -> bool {
        self.explanation.undecided()
    }

    /// Every part of the pattern with its result, the values found and the nearest miss.
    #[getter]
    fn tree<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.explanation.to_json())
    }

    /// The row that each lookup of the rule finds for the event, by name; `None` if there is
    /// none. Empty for a pattern, and for a rule without lookups.
    #[getter]
    fn lookups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rows = PyDict::new(py);
        for (name, row) in &self.lookups {
            let row = row.as_ref().map(|row| convert::to_python(py, row));
            rows.set_item(name, row.transpose()?)?;
        }
        Ok(rows)
    }

    /// Likely mistakes in the pattern, each once.
    #[getter]
    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        collect_hints(&self.explanation.root, &mut hints);
        hints
    }

    /// The explanation as text: only the parts that fail, or all parts.
    #[pyo3(signature = (*, all = false))]
    fn render(&self, all: bool) -> String {
        self.explanation.render(all)
    }

    fn _repr_html_(&self) -> String {
        html::explanation(&self.explanation.render(true))
    }

    fn __str__(&self) -> String {
        self.explanation.render(false)
    }

    fn __repr__(&self) -> String {
        let result = match (self.undecided(), self.matched()) {
            (true, _) => "undecided",
            (false, true) => "matched",
            (false, false) => "not matched",
        };
        format!("<Explanation: {result}>")
    }

    fn __bool__(&self) -> bool {
        self.explanation.matched()
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
        let (event, is_native) = match &this.event {
            Explained::AsIs(event) => (event, false),
            // As it was received, because hints are about what the conversion changed.
            Explained::Native(event) => (event.original(), true),
        };
        let lookups = this.lookups.iter();
        let lookups = lookups.map(|(name, row)| (name, row.as_ref().map(Json::to_string)));
        let (source, dialect) = (this.pattern.source(), this.pattern.dialect().to_string());
        let event = (PyBytes::new(py, event.bytes()), is_native);
        let arguments = ((source, dialect), event, lookups.collect::<Vec<_>>());
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _rebuild(
        py: Python<'_>,
        pattern: (String, String),
        event: (Vec<u8>, bool),
        lookups: Vec<(String, Option<String>)>,
    ) -> PyResult<Self> {
        catch_panics(|| {
            let ((source, dialect), (bytes, is_native)) = (pattern, event);
            let dialect = read_dialect(&dialect)?;
            let pattern = PyPattern::parse_text(py, &source, dialect, "<pattern>")?;
            let event = Event::from_json(bytes).map_err(event_error)?;
            if !is_native {
                return Ok(Self::of_pattern(&pattern, event));
            }
            let event = NativeEvent::new(event).map_err(event_error)?;
            let lookups = lookups.into_iter().map(|(name, row)| {
                let row = row.map(Json::parse).transpose().map_err(json_error)?;
                Ok((name, row))
            });
            Ok(Self {
                explanation: explain_native(pattern.node(), &event),
                lookups: lookups.collect::<PyResult<_>>()?,
                pattern,
                event: Explained::Native(event),
            })
        })
    }
}

/// The hints of the parts that fail, in the order of the pattern, each once.
fn collect_hints(part: &Part, hints: &mut Vec<String>) {
    match &part.test {
        Test::All { parts, .. } | Test::Any { parts } => {
            for part in parts {
                collect_hints(part, hints);
            }
        }
        Test::Not { part } => collect_hints(part, hints),
        Test::Field(field) => {
            for hint in field.hints.iter().map(ToString::to_string) {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
    }
}
