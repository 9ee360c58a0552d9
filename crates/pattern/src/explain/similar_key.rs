//! Finds a key with a similar name in the object that lacks the last key of a path.

use std::cell::Cell;
use std::rc::Rc;

use reflexarc_diagnostic::similar;
use reflexarc_event::Json;

use super::key_index::Member;
use crate::Path;
use crate::field_values::{Pointer, PointerStep};
use crate::value::Scalar;

/// Searches the objects of an event for misspelled keys.
pub(crate) struct SimilarKeys<'e> {
    event: &'e Json,
    /// How many more members and elements may be visited. One budget for all fields of the pattern:
    /// a large pattern and a large event would otherwise multiply.
    budget: Cell<usize>,
}

impl<'e> SimilarKeys<'e> {
    const BUDGET: usize = 10_000;
    /// Shorter keys have no suggestion: at one edit, `id` is as close to `ip` as to `it`.
    const SHORTEST_KEY: usize = 3;

    pub(crate) fn new(event: &'e Json) -> Self {
        Self {
            event,
            budget: Cell::new(Self::BUDGET),
        }
    }

    /// The member whose key is most similar to the last key of the path, in the first object at
    /// the rest of the path that has a similar key with a scalar value.
    pub(crate) fn find(&self, path: &Path) -> Option<Member<'e>> {
        let segments: Vec<&str> = path.segments().collect();
        self.find_below(self.event, &segments, &None)
    }

    fn find_below(
        &self,
        value: &'e Json,
        segments: &[&str],
        parent: &Pointer<'e>,
    ) -> Option<Member<'e>> {
        for (index, element) in value.elements().iter().enumerate() {
            self.visit()?;
            let pointer = Some(Rc::new(PointerStep::Element {
                parent: parent.clone(),
                index,
            }));
            if let found @ Some(_) = self.find_below(element, segments, &pointer) {
                return found;
            }
        }
        let members = value.members();
        let member = |index: usize| Member {
            pointer: Some(Rc::new(PointerStep::Member {
                parent: parent.clone(),
                members,
                index,
            })),
            value: &members[index].1,
        };
        if let [last] = segments {
            if last.chars().count() < Self::SHORTEST_KEY {
                return None;
            }
            let mut candidates = Vec::new();
            for (key, value) in members {
                self.visit()?;
                candidates.extend(has_scalar(value).then_some(key.as_str()));
            }
            // The same rule as for misspelled operators. Only keys with a scalar are candidates:
            // suggesting an object would replace one missing field by another.
            let similar = similar(last, candidates)?;
            return members
                .iter()
                .position(|(key, value)| key == similar && has_scalar(value))
                .map(member);
        }
        for (index, (key, value)) in members.iter().enumerate() {
            self.visit()?;
            // A key with dots covers several segments of the path.
            let covered = key.split('.').count();
            if covered < segments.len() && key.split('.').eq(segments[..covered].iter().copied()) {
                let pointer = member(index).pointer;
                let found = self.find_below(value, &segments[covered..], &pointer);
                if found.is_some() {
                    return found;
                }
            }
        }
        self.find_below_similar(members, segments, member)
    }

    /// The member below a key that is similar to the first one of several: `contnet.result`.
    fn find_below_similar(
        &self,
        members: &'e [(String, Json)],
        segments: &[&str],
        member: impl Fn(usize) -> Member<'e>,
    ) -> Option<Member<'e>> {
        let (first, rest) = segments.split_first()?;
        if first.chars().count() < Self::SHORTEST_KEY || members.iter().any(|(key, _)| key == first)
        {
            return None;
        }
        let has_members =
            |value: &Json| !value.members().is_empty() || !value.elements().is_empty();
        let mut candidates = Vec::new();
        for (key, value) in members {
            self.visit()?;
            candidates.extend(has_members(value).then_some(key.as_str()));
        }
        let similar = similar(first, candidates)?;
        let at = members.iter().position(|(key, _)| key == similar)?;
        let below = member(at);
        self.find_below(below.value, rest, &below.pointer)
    }

    /// Takes one from the budget; `None` when it is used up.
    fn visit(&self) -> Option<()> {
        self.budget.set(self.budget.get().checked_sub(1)?);
        Some(())
    }
}

/// Whether the value is a scalar or an array with one, so that conditions can compare it.
pub(crate) fn has_scalar(value: &Json) -> bool {
    let scalar = |value: &Json| Scalar::of(value).is_some();
    scalar(value) || value.elements().iter().any(scalar)
}
