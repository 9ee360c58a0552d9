//! One pattern against a dict, value by value, without bringing the values into the matcher's form.

use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyString};
use reflexarc_pattern::{Checklist, Elements, Node, Path, Ticks};

use crate::convert::{self, Scalar, ValuePath};
use crate::dict_walk::{DictWalk, Interrupt, Visitor};

/// The pattern as a list of what to look for, with the texts that it names as Python's own, so that a text is compared
/// with all of them at once by the hash that Python keeps in it.
pub(crate) struct DictMatcher {
    list: Checklist,
    /// Per slot.
    columns: Vec<Column>,
}

struct Column {
    /// Texts that settle the same.
    texts: Vec<(Py<PyFrozenSet>, Ticks)>,
    /// What all other texts settle, unless it depends on the text.
    other: Option<Ticks>,
}

/// A column whose texts fall into more groups than this is asked by the text alone.
const MOST_GROUPS: usize = 4;

impl DictMatcher {
    /// `None` for a pattern that only the matcher answers.
    pub(crate) fn new(py: Python<'_>, pattern: &Node, paths: &[Path]) -> PyResult<Option<Self>> {
        let Some(list) = Checklist::new(pattern, paths) else {
            return Ok(None);
        };
        let columns = (0..paths.len())
            .map(|slot| Column::new(py, &list, slot))
            .collect::<PyResult<_>>()?;
        Ok(Some(Self { list, columns }))
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
            ticks: Ticks::default(),
        };
        match walk.show(event, &mut asking) {
            Ok(()) => Ok(Some(self.list.holds(asking.ticks))),
            Err(Interrupt::Enough) => Ok(None),
            Err(Interrupt::Fault(fault)) => Err(fault),
        }
    }
}

impl Column {
    fn new(py: Python<'_>, list: &Checklist, slot: usize) -> PyResult<Self> {
        let mut groups: Vec<(Ticks, Vec<&str>)> = Vec::new();
        for text in list.texts(slot) {
            let ticks = list.string(slot, text);
            match groups.iter_mut().find(|(known, _)| *known == ticks) {
                Some((_, texts)) => texts.push(text),
                None => groups.push((ticks, vec![text])),
            }
        }
        if groups.len() > MOST_GROUPS {
            return Ok(Self {
                texts: Vec::new(),
                other: None,
            });
        }
        let set =
            |(ticks, texts): (Ticks, Vec<&str>)| Ok((PyFrozenSet::new(py, texts)?.unbind(), ticks));
        Ok(Self {
            texts: groups.into_iter().map(set).collect::<PyResult<_>>()?,
            other: list.other_text(slot),
        })
    }
}

struct Asking<'a> {
    direct: &'a DictMatcher,
    ticks: Ticks,
}

impl Visitor for Asking<'_> {
    fn text(
        &mut self,
        slot: u32,
        text: &Bound<'_, PyString>,
        place: &ValuePath<'_>,
    ) -> PyResult<()> {
        let Column { texts, other } = &self.direct.columns[slot as usize];
        for (set, ticks) in texts {
            if set.bind(text.py()).contains(text)? {
                self.ticks |= *ticks;
                return Ok(());
            }
        }
        self.ticks |= match other {
            Some(ticks) => *ticks,
            None => convert::with_text(text, place, |text| {
                self.direct.list.string(slot as usize, text)
            })?,
        };
        Ok(())
    }

    fn scalar(&mut self, slot: u32, scalar: Scalar) {
        let (list, slot) = (&self.direct.list, slot as usize);
        self.ticks |= match scalar {
            Scalar::Null => list.null(slot),
            Scalar::Bool(value) => list.bool(slot, value),
            Scalar::Whole(value) => list.integer(slot, value),
            Scalar::Number(text) => list.number(slot, &text),
            Scalar::Text(text) => list.string(slot, &text),
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
