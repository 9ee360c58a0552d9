//! One pattern against a dict, value by value, without bringing the values into the matcher's form.

use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyString};
use reflexarc_pattern::{Elements, FieldSet, Node, Path, ScalarMatcher};

use crate::convert::{self, Scalar, ValuePath};
use crate::dict_walk::{DictWalk, Interrupt, Visitor};

/// The pattern as a scalar matcher, with the texts that it names as Python's own, so that a text is compared
/// with all of them at once by the hash that Python keeps in it.
pub(crate) struct DictMatcher {
    matcher: ScalarMatcher,
    /// Per slot.
    columns: Vec<Column>,
}

struct Column {
    /// Texts that settle the same.
    texts: Vec<(Py<PyFrozenSet>, FieldSet)>,
    /// What all other texts settle, unless it depends on the text.
    other: Option<FieldSet>,
}

/// A column whose texts fall into more groups than this is asked by the text alone.
const MOST_GROUPS: usize = 4;

impl DictMatcher {
    /// `None` for a pattern that only the matcher answers.
    pub(crate) fn new(py: Python<'_>, pattern: &Node, paths: &[Path]) -> PyResult<Option<Self>> {
        let Some(matcher) = ScalarMatcher::new(pattern, paths) else {
            return Ok(None);
        };
        let columns = (0..paths.len())
            .map(|slot| Column::new(py, &matcher, slot))
            .collect::<PyResult<_>>()?;
        Ok(Some(Self { matcher, columns }))
    }

    /// Whether the event, a mapping, meets the pattern; `None` where only the matcher can tell, because objects or arrays
    /// are elements of an array.
    pub(crate) fn matches(
        &self,
        walk: &DictWalk,
        event: &Bound<'_, PyAny>,
    ) -> PyResult<Option<bool>> {
        let mut asking = Asking {
            direct: self,
            fields: FieldSet::default(),
        };
        match walk.show(event, &mut asking) {
            Ok(()) => Ok(Some(self.matcher.matches(asking.fields))),
            Err(Interrupt::Enough) => Ok(None),
            Err(Interrupt::Fault(fault)) => Err(fault),
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
        if groups.len() > MOST_GROUPS {
            return Ok(Self {
                texts: Vec::new(),
                other: None,
            });
        }
        let set = |(fields, texts): (FieldSet, Vec<&str>)| {
            Ok((PyFrozenSet::new(py, texts)?.unbind(), fields))
        };
        Ok(Self {
            texts: groups.into_iter().map(set).collect::<PyResult<_>>()?,
            other: matcher.other_string(slot),
        })
    }
}

struct Asking<'a> {
    direct: &'a DictMatcher,
    fields: FieldSet,
}

impl Visitor for Asking<'_> {
    fn text(
        &mut self,
        slot: u32,
        text: &Bound<'_, PyString>,
        place: &ValuePath<'_>,
    ) -> PyResult<()> {
        let Column { texts, other } = &self.direct.columns[slot as usize];
        for (set, fields) in texts {
            if set.bind(text.py()).contains(text)? {
                self.fields |= *fields;
                return Ok(());
            }
        }
        self.fields |= match other {
            Some(fields) => *fields,
            None => convert::with_text(text, place, |text| {
                self.direct.matcher.string(slot as usize, text)
            })?,
        };
        Ok(())
    }

    fn scalar(&mut self, slot: u32, scalar: Scalar) {
        let (matcher, slot) = (&self.direct.matcher, slot as usize);
        self.fields |= match scalar {
            Scalar::Null => matcher.null(slot),
            Scalar::Bool(value) => matcher.bool(slot, value),
            Scalar::Whole(value) => matcher.integer(slot, value),
            Scalar::Number(text) => matcher.number(slot, &text),
            Scalar::Text(text) => matcher.string(slot, &text),
        };
    }

    fn element(
        &mut self,
        _elements: &mut Option<Elements>,
        _show: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        Err(Interrupt::Enough)
    }
}
