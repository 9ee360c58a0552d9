//! The rules that match an event of Python.

use pyo3::prelude::*;
use reflexarc::RuleSet;
use reflexarc_pattern::Fields;

use crate::batch_matching::{self, RuleIds};
use crate::convert::{self, ValuePath};
use crate::dict_walk::DictWalk;
use crate::event::EventArgument;
use crate::native_dict::is_native;
use crate::scratch::with_scratch;

/// Matches events of every type against the rules of one set.
pub(crate) struct EventMatcher {
    walk: DictWalk,
    /// The number of rules: ids from here on are filters of time windows.
    rules: usize,
}

impl EventMatcher {
    pub(crate) fn new(py: Python<'_>, rules: &RuleSet) -> Self {
        Self {
            walk: DictWalk::new(py, rules.matcher().paths()),
            rules: rules.len(),
        }
    }

    /// The positions of the rules of the set whose `when` matches, ascending.
    pub(crate) fn matching(
        &self,
        rules: &RuleSet,
        event: &Bound<'_, PyAny>,
        root: &ValuePath<'_>,
    ) -> PyResult<RuleIds> {
        let mapping = match EventArgument::at(event, root)? {
            EventArgument::Bytes(bytes) => {
                return Ok(batch_matching::matching_text(rules, &bytes)?);
            }
            EventArgument::Mapping(mapping) => mapping,
        };
        // Walking in place is only right for events in native form: the paths of rules do not lead
        // through an envelope. Other dicts are converted to text, which the engine normalises.
        if self.walk.is_possible() && is_native(&mapping)? {
            return self.matching_in_place(rules, &mapping, root);
        }
        let text = convert::to_json(&mapping, root)?.to_string();
        Ok(batch_matching::matching_text(rules, text.as_bytes())?)
    }

    fn matching_in_place(
        &self,
        rules: &RuleSet,
        mapping: &Bound<'_, PyAny>,
        root: &ValuePath<'_>,
    ) -> PyResult<RuleIds> {
        with_scratch(|scratch| {
            let mut ids = RuleIds::new();
            let visit = |fields: &mut Fields<'_>| self.walk.fields(mapping, fields, root);
            let matcher = rules.matcher();
            matcher.matching_fields(visit, scratch, &mut ids)?;
            // With 3 rules, the ids from 3 on are the other filters of time windows: whether one of
            // those matches is not what the caller wants to know.
            if ids.last().is_some_and(|last| *last as usize >= self.rules) {
                ids.truncate(ids.partition_point(|id| (*id as usize) < self.rules));
            }
            if scratch.undecided().is_empty() {
                return Ok(ids);
            }
            let undecided = scratch.undecided().iter();
            let undecided = undecided.filter_map(|id| rules.position_of_filter(*id));
            let undecided: Vec<u32> = undecided.collect();
            Ok(batch_matching::decided(rules, ids, &undecided)?)
        })
    }
}
