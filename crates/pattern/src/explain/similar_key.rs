//! Finds a key of a similar name in the object where the wanted key is missing.

use std::cell::Cell;
use std::rc::Rc;

use reflexarc_diagnostic::nearest;
use reflexarc_event::Json;

use super::key_index::Member;
use crate::Path;
use crate::field_values::{Pointer, PointerStep};
use crate::value::Scalar;

/// The objects of an event, searched along paths that end one key too soon.
pub(crate) struct SimilarKeys<'e> {
    event: &'e Json,
    /// How many members and elements may still be looked at, for all paths together: event and pattern may both be large.
    left: Cell<usize>,
}

impl<'e> SimilarKeys<'e> {
    const LOOKED_AT: usize = 10_000;
    /// Keys of fewer letters are like every other short key.
    const LETTERS: usize = 3;

    pub(crate) fn new(event: &'e Json) -> Self {
        Self {
            event,
            left: Cell::new(Self::LOOKED_AT),
        }
    }

    /// The first member with a value to test whose key is like the last one of the path, in the object that the rest of
    /// the path leads to.
    pub(crate) fn of(&self, path: &Path) -> Option<Member<'e>> {
        let segments: Vec<&str> = path.segments().collect();
        self.below(self.event, &segments, &None)
    }

    fn below(&self, value: &'e Json, wanted: &[&str], parent: &Pointer<'e>) -> Option<Member<'e>> {
        for (index, element) in value.elements().iter().enumerate() {
            self.look()?;
            let pointer = Some(Rc::new(PointerStep::Element {
                parent: parent.clone(),
                index,
            }));
            if let found @ Some(_) = self.below(element, wanted, &pointer) {
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
        if let [last] = wanted {
            if last.chars().count() < Self::LETTERS {
                return None;
            }
            let mut candidates = Vec::new();
            for (key, value) in members {
                self.look()?;
                candidates.extend(holds(value).then_some(key.as_str()));
            }
            let near = nearest(last, candidates)?;
            return members
                .iter()
                .position(|(key, value)| key == near && holds(value))
                .map(member);
        }
        for (index, (key, value)) in members.iter().enumerate() {
            self.look()?;
            let parts = key.split('.').count();
            if parts < wanted.len() && key.split('.').eq(wanted[..parts].iter().copied()) {
                let pointer = member(index).pointer;
                if let found @ Some(_) = self.below(value, &wanted[parts..], &pointer) {
                    return found;
                }
            }
        }
        None
    }

    fn look(&self) -> Option<()> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some(())
    }
}

/// Whether there is a value that tests can look at.
pub(crate) fn holds(value: &Json) -> bool {
    let scalar = |value: &Json| Scalar::of(value).is_some();
    scalar(value) || value.elements().iter().any(scalar)
}
