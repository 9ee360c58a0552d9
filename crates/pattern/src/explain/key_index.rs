//! Finds the last key of a path anywhere in the event, for patterns with a wrong path.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use reflexarc_event::Json;

use crate::Path;
use crate::field_values::{Pointer, PointerStep};

/// The members of an event by the last segment of their key in lower case. The index is built on
/// first use: most explanations do not need it.
pub(crate) struct KeyIndex<'e> {
    event: &'e Json,
    by_key: OnceCell<BTreeMap<String, Vec<Member<'e>>>>,
}

/// One member of some object in the event.
#[derive(Debug, Clone)]
pub(crate) struct Member<'e> {
    pub(crate) pointer: Pointer<'e>,
    pub(crate) value: &'e Json,
}

impl<'e> KeyIndex<'e> {
    /// Most members kept for one key. An event may have thousands with the same key (`id`), and a
    /// hint names one of them.
    const MEMBERS_PER_KEY: usize = 32;

    pub(crate) fn new(event: &'e Json) -> Self {
        Self {
            event,
            by_key: OnceCell::new(),
        }
    }

    /// The members whose key equals the last key of the path, ignoring case. Those that share most
    /// segments with the end of the path come first: for `content.id`, `data.content.id` comes
    /// before `id` and `disk.id`.
    pub(crate) fn similar_to(&self, path: &Path) -> Vec<Member<'e>> {
        let by_key = self.by_key.get_or_init(|| {
            let mut by_key = BTreeMap::new();
            collect(self.event, &None, &mut by_key);
            by_key
        });
        let mut members = by_key
            .get(&last_segment(path.as_str()).to_lowercase())
            .cloned()
            .unwrap_or_default();
        members.sort_by_cached_key(|member| {
            std::cmp::Reverse(shared(path, &segments(&member.pointer)))
        });
        members
    }
}

/// The segments of the keys to a value, outermost first.
pub(crate) fn segments<'e>(pointer: &Pointer<'e>) -> Vec<&'e str> {
    // The pointer leads from the value to the root, so segments are collected in reverse, also
    // those of one key with dots: `a.b` gives `b`, `a`.
    let mut segments = Vec::new();
    let mut last = pointer;
    while let Some(step) = last {
        last = match step.as_ref() {
            PointerStep::Member {
                parent,
                members,
                index,
            } => {
                let members: &'e [(String, Json)] = members;
                segments.extend(members[*index].0.rsplit('.'));
                parent
            }
            PointerStep::Element { parent, .. } => parent,
        };
    }
    segments.reverse();
    segments
}

/// How many segments at the end are equal ignoring case, and how many are equal exactly.
fn shared(path: &Path, segments: &[&str]) -> (usize, usize) {
    let expected: Vec<&str> = path.segments().collect();
    let pairs = || expected.iter().rev().zip(segments.iter().rev());
    let ignoring_case = pairs()
        .take_while(|(one, other)| one.to_lowercase() == other.to_lowercase())
        .count();
    let exactly = pairs().take_while(|(one, other)| one == other).count();
    (ignoring_case, exactly)
}

fn collect<'e>(
    value: &'e Json,
    parent: &Pointer<'e>,
    by_key: &mut BTreeMap<String, Vec<Member<'e>>>,
) {
    let members = value.members();
    for (index, (key, value)) in members.iter().enumerate() {
        let pointer = Some(Rc::new(PointerStep::Member {
            parent: parent.clone(),
            members,
            index,
        }));
        let same_key = by_key.entry(last_segment(key).to_lowercase()).or_default();
        if same_key.len() < KeyIndex::MEMBERS_PER_KEY {
            same_key.push(Member {
                pointer: pointer.clone(),
                value,
            });
        }
        collect(value, &pointer, by_key);
    }
    for (index, element) in value.elements().iter().enumerate() {
        collect(
            element,
            &Some(Rc::new(PointerStep::Element {
                parent: parent.clone(),
                index,
            })),
            by_key,
        );
    }
}

fn last_segment(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
