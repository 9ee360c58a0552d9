//! One pattern against a dict, value by value, without copying the values into the matcher.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyString;
use reflexarc_pattern::{Elements, FieldSet, Node, Path, ScalarMatcher};

use crate::convert::{self, Scalar, ValuePath};
use crate::dict_walk::{DictWalk, Interrupt, Visitor};

/// A pattern prepared for dicts.
///
/// Handing the values of a dict to the matcher costs more than testing them. So the strings that
/// the pattern compares whole values with are kept apart, each with what it matches: for
/// `level in ["WARN", "CRITICAL"]` a value is compared with two strings, as the text that Python
/// lends. It takes half the time of the matcher (`python/benches/RESULTS.md`).
pub(crate) struct DictMatcher {
    matcher: ScalarMatcher,
    /// For each slot, the strings of the pattern at its path.
    columns: Vec<Column>,
}

/// What strings at one path match.
struct Column {
    /// Strings that occur in the pattern, and the fields of the pattern that each matches.
    exact: ExactStrings,
    /// The fields that all other strings match; `None` if that depends on the string, as with a
    /// prefix.
    other: Option<FieldSet>,
}

enum ExactStrings {
    Few(Vec<(Box<str>, FieldSet)>),
    Many(HashMap<Box<str>, FieldSet>),
}

/// Maximum number of strings that a value is compared with one by one. Most differ in length, so
/// that some comparisons cost less than a hash.
const MAX_COMPARED: usize = 8;

impl DictMatcher {
    /// Prepares a pattern; `None` if only the matcher can decide it.
    pub(crate) fn new(pattern: &Node, paths: &[Path]) -> Option<Self> {
        let matcher = ScalarMatcher::new(pattern, paths)?;
        let slots = 0..paths.len();
        let columns = slots.map(|slot| Column::new(&matcher, slot)).collect();
        Some(Self { matcher, columns })
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
    fn new(matcher: &ScalarMatcher, slot: usize) -> Self {
        let texts = matcher.exact_strings(slot).into_iter();
        let texts = texts.map(|text| (text.into(), matcher.string(slot, text)));
        Self {
            exact: ExactStrings::new(texts.collect()),
            other: matcher.other_string(slot),
        }
    }
}

impl ExactStrings {
    fn new(texts: Vec<(Box<str>, FieldSet)>) -> Self {
        if texts.len() <= MAX_COMPARED {
            Self::Few(texts)
        } else {
            Self::Many(texts.into_iter().collect())
        }
    }

    fn get(&self, text: &str) -> Option<FieldSet> {
        match self {
            Self::Few(texts) => {
                let found = texts.iter().find(|(known, _)| **known == *text);
                found.map(|(_, fields)| *fields)
            }
            Self::Many(texts) => texts.get(text).copied(),
        }
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
        let DictMatcher { matcher, columns } = self.dict_matcher;
        let Column { exact, other } = &columns[slot as usize];
        self.fields |= match (convert::text_of(text, path), *other) {
            (Ok(text), Some(other)) => exact.get(text).unwrap_or(other),
            (Ok(text), None) => {
                let found = exact.get(text);
                found.unwrap_or_else(|| matcher.string(slot as usize, text))
            }
            // A text with a lone surrogate is none of the strings of the pattern.
            (Err(_), Some(other)) => other,
            (Err(error), None) => return Err(error),
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
