//! Looks up the scalars of an event at the paths of a pattern, each with the array elements that
//! contain it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use reflexarc_event::Json;

use crate::value::Scalar;
use crate::{Node, Path};

/// A choice of array elements: from the number of an array to the index of its chosen element.
/// Arrays are numbered in text order; arrays that are not in the map are undecided.
///
/// In `{"nics": [{"ips": [{"v": 1}, {"v": 2}]}]}` the value 2 has the choice `{0: 0, 1: 1}`.
pub(crate) type ElementChoice = BTreeMap<usize, usize>;

/// The location of a value in an event: a linked list from the value up to the root, `None` being
/// the root. Values share the nodes of their common ancestors.
pub(crate) type Pointer<'e> = Option<Rc<PointerStep<'e>>>;

/// The last step of a [`Pointer`].
#[derive(Debug)]
pub(crate) enum PointerStep<'e> {
    /// To the member at `index` of an object.
    Member {
        parent: Pointer<'e>,
        members: &'e [(String, Json)],
        index: usize,
    },
    /// To the element at `index` of an array.
    Element { parent: Pointer<'e>, index: usize },
}

/// A scalar at a path of the pattern.
#[derive(Debug)]
pub(crate) struct FieldValue<'e> {
    pub(crate) value: Scalar<'e>,
    /// The array elements that contain the scalar. Only elements that are objects or arrays count:
    /// a scalar that is itself an element is not bound to that array, so `["a", "b"]` has both
    /// values at once.
    pub(crate) choice: ElementChoice,
    pub(crate) pointer: Pointer<'e>,
}

/// The scalars at each path of a pattern, in text order.
pub(crate) struct FieldValues<'p, 'e> {
    by_path: BTreeMap<&'p Path, Vec<FieldValue<'e>>>,
}

impl<'p, 'e> FieldValues<'p, 'e> {
    /// Looks up every path of the pattern in one traversal of the event. Members that no path leads
    /// to are not traversed.
    pub(crate) fn of(node: &'p Node, event: &'e Json) -> Self {
        let mut paths = BTreeSet::new();
        collect_paths(node, &mut paths);
        let mut traversal = Traversal {
            by_path: BTreeMap::new(),
            choice: ElementChoice::new(),
            arrays: 0,
        };
        let remaining: Vec<RemainingPath> = paths
            .into_iter()
            .map(|path| RemainingPath {
                path,
                rest: Some(path.as_str()),
            })
            .collect();
        if let Json::Object(members) = event {
            traversal.object(members, &remaining, &None);
        }
        Self {
            by_path: traversal.by_path,
        }
    }

    /// The scalars at `path`.
    pub(crate) fn at(&self, path: &Path) -> &[FieldValue<'e>] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }
}

/// A path and what is left of it below the current value: `None` at its end. `Some("")` is not the
/// end: an empty key follows (`a.` has the keys `a` and the empty one).
#[derive(Clone, Copy)]
struct RemainingPath<'p> {
    path: &'p Path,
    rest: Option<&'p str>,
}

impl<'p> RemainingPath<'p> {
    /// What is left of the path below `key`; `None` if the path does not lead through `key`.
    // A key may contain dots and match several segments at once. For the path `a.b.c`:
    // key `a` leaves `b.c`, key `a.b` leaves `c`, key `a.b.c` is the end, key `a.` does not match.
    fn below(&self, key: &str) -> Option<RemainingPath<'p>> {
        let rest = self.rest?.strip_prefix(key)?;
        let rest = if rest.is_empty() {
            None
        } else {
            Some(rest.strip_prefix('.')?)
        };
        Some(RemainingPath {
            path: self.path,
            rest,
        })
    }
}

struct Traversal<'p, 'e> {
    by_path: BTreeMap<&'p Path, Vec<FieldValue<'e>>>,
    /// The array elements that contain the current value.
    choice: ElementChoice,
    /// How many arrays have been entered; the number of the next one.
    arrays: usize,
}

impl<'p, 'e> Traversal<'p, 'e> {
    fn value(&mut self, value: &'e Json, paths: &[RemainingPath<'p>], pointer: &Pointer<'e>) {
        match value {
            Json::Object(members) => self.object(members, paths, pointer),
            Json::Array(elements) => self.array(elements, paths, pointer),
            scalar => {
                for RemainingPath { path, .. } in paths.iter().filter(|path| path.rest.is_none()) {
                    let field_value = Scalar::of(scalar).map(|value| FieldValue {
                        value,
                        choice: self.choice.clone(),
                        pointer: pointer.clone(),
                    });
                    self.by_path.entry(path).or_default().extend(field_value);
                }
            }
        }
    }

    fn object(
        &mut self,
        members: &'e [(String, Json)],
        paths: &[RemainingPath<'p>],
        parent: &Pointer<'e>,
    ) {
        for (index, (key, value)) in members.iter().enumerate() {
            let below: Vec<RemainingPath> =
                paths.iter().filter_map(|path| path.below(key)).collect();
            if !below.is_empty() {
                let pointer = Some(Rc::new(PointerStep::Member {
                    parent: parent.clone(),
                    members,
                    index,
                }));
                self.value(value, &below, &pointer);
            }
        }
    }

    fn array(&mut self, elements: &'e [Json], paths: &[RemainingPath<'p>], parent: &Pointer<'e>) {
        let array = self.arrays;
        self.arrays += 1;
        for (index, element) in elements.iter().enumerate() {
            // A scalar element has no entry for its own array (see `FieldValue::choice`): in
            // `{"a": [1, 2]}` the conditions `a == 1 and a == 2` both match, while in
            // `{"a": [{"b": 1}, {"b": 2}]}` no element meets `a.b == 1 and a.b == 2`.
            if matches!(element, Json::Object(_) | Json::Array(_)) {
                self.choice.insert(array, index);
            }
            let pointer = Some(Rc::new(PointerStep::Element {
                parent: parent.clone(),
                index,
            }));
            self.value(element, paths, &pointer);
            self.choice.remove(&array);
        }
    }
}

fn collect_paths<'p>(node: &'p Node, paths: &mut BTreeSet<&'p Path>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            for node in nodes {
                collect_paths(node, paths);
            }
        }
        Node::Not(node) => collect_paths(node, paths),
        Node::Field(field) => {
            paths.insert(&field.path);
        }
    }
}
