//! One pattern against a dict, value by value, without copying the values into the matcher.

use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyString};
use reflexarc_pattern::{Elements, FieldSet, Node, Path, ScalarMatcher};

use crate::convert::{self, Scalar, ValuePath};
use crate::dict_walk::{DictWalk, Interrupt, Visitor};

/// A pattern prepared for dicts.
///
/// Handing the values of a dict to the matcher costs more than testing them. So the strings of the
/// pattern are kept as Python objects. `level in ["WARN", "CRITICAL"]` becomes a frozenset of two
/// strings, and a value is tested by the hash that Python caches in it. It takes half the time of
/// the matcher (`python/benches/RESULTS.md`).
pub(crate) struct DictMatcher {
    matcher: ScalarMatcher,
    /// For each slot, the strings of the pattern at its path.
    columns: Vec<Column>,
}

/// What strings at one path match.
struct Column {
    /// Strings that occur in the pattern, grouped by the fields of the pattern that they
    /// match.
    groups: Vec<(Py<PyFrozenSet>, FieldSet)>,
    /// The fields that all other strings match; `None` if that depends on the string, as with a
    /// prefix.
    other: Option<FieldSet>,
}

/// Maximum groups of a column. Each costs a look-up in a set; with more of them, the string
/// is tested by the scalar matcher.
const MAX_GROUPS: usize = 4;

impl DictMatcher {
    /// Prepares a pattern; `None` if only the matcher can decide it.
    pub(crate) fn new(py: Python<'_>, pattern: &Node, paths: &[Path]) -> PyResult<Option<Self>> {
        let Some(matcher) = ScalarMatcher::new(pattern, paths) else {
            return Ok(None);
        };
        let columns = (0..paths.len())
            .map(|slot| Column::new(py, &matcher, slot))
            .collect::<PyResult<_>>()?;
        Ok(Some(Self { matcher, columns }))
    }

    /// Whether a mapping matches.
    ///
    /// `None` if an array has objects or arrays as elements: fields of one element belong together,
    /// which only the matcher tracks.
    pub(crate) fn matches(
        &self,
        walk: &DictWalk,
        event: &Bound<'_, PyAny>,
        root: &ValuePath<'_>,
    ) -> PyResult<Option<bool>> {
        let mut visitor = FieldCollector {
            dict_matcher: self,
            fields: FieldSet::default(),
        };
        match walk.visit(event, &mut visitor, root) {
            Ok(()) => Ok(Some(self.matcher.matches(visitor.fields))),
            Err(Interrupt::Stopped) => Ok(None),
            Err(Interrupt::Exception(error)) => Err(error),
        }
    }
}

impl Column {
    fn new(py: Python<'_>, matcher: &ScalarMatcher, slot: usize) -> PyResult<Self> {
        let mut groups: Vec<(FieldSet, Vec<&str>)> = Vec::new();
        for text in matcher.exact_strings(slot) {
            let fields = matcher.string(slot, text);
            match groups.iter_mut().find(|(known, _)| *known == fields) {
                Some((_, texts)) => texts.push(text),
                None => groups.push((fields, vec![text])),
            }
        }
        if groups.len() > MAX_GROUPS {
            return Ok(Self {
                groups: Vec::new(),
                other: None,
            });
        }
        let frozen = |(fields, texts): (FieldSet, Vec<&str>)| {
            Ok((PyFrozenSet::new(py, texts)?.unbind(), fields))
        };
        Ok(Self {
            groups: groups.into_iter().map(frozen).collect::<PyResult<_>>()?,
            other: matcher.other_string(slot),
        })
    }
}

/// Collects the fields of the pattern that the visited values match.
struct FieldCollector<'a> {
    dict_matcher: &'a DictMatcher,
    fields: FieldSet,
}

impl Visitor for FieldCollector<'_> {
    fn text(
        &mut self,
        slot: u32,
        text: &Bound<'_, PyString>,
        path: &ValuePath<'_>,
    ) -> PyResult<()> {
        let Column { groups, other } = &self.dict_matcher.columns[slot as usize];
        for (texts, fields) in groups {
            if texts.bind(text.py()).contains(text)? {
                self.fields |= *fields;
                return Ok(());
            }
        }
        self.fields |= if let Some(fields) = other {
            *fields
        } else {
            let text = convert::text_of(text, path)?;
            self.dict_matcher.matcher.string(slot as usize, text)
        };
        Ok(())
    }

    fn scalar(&mut self, slot: u32, scalar: Scalar) {
        let (matcher, slot) = (&self.dict_matcher.matcher, slot as usize);
        self.fields |= match scalar {
            Scalar::Null => matcher.null(slot),
            Scalar::Bool(value) => matcher.bool(slot, value),
            Scalar::Integer(value) => matcher.integer(slot, value),
            Scalar::Number(text) => matcher.number(slot, &text),
            Scalar::Text(text) => matcher.string(slot, &text),
        };
    }

    fn element(
        &mut self,
        _elements: &mut Option<Elements>,
        _visit: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        Err(Interrupt::Stopped)
    }
}
