//! The scalars of an event that a pattern speaks of, each with its path and the array elements it lies in.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use reflexarc_event::Json;

use crate::value::Scalar;
use crate::{Node, Path};

/// Which element of which array: arrays are numbered in the order of the text, elements from 0.
pub(crate) type ElementChoice = BTreeMap<usize, usize>;

/// The way from the top of an event to a value; shares its beginning with its neighbours.
pub(crate) type Pointer<'e> = Option<Rc<PointerStep<'e>>>;

/// The last step of a pointer.
#[derive(Debug)]
pub(crate) enum PointerStep<'e> {
    /// Into the member at `index` of an object.
    Member {
        parent: Pointer<'e>,
        members: &'e [(String, Json)],
        index: usize,
    },
    /// Into that element of an array.
    Element { parent: Pointer<'e>, index: usize },
}

/// One scalar.
#[derive(Debug)]
pub(crate) struct FieldValue<'e> {
    pub(crate) value: Scalar<'e>,
    /// The elements that are objects or arrays, through which one gets to the scalar. A scalar that is itself an element
    /// of an array is not tied to that array: `["a", "b"]` holds both at once.
    pub(crate) choice: ElementChoice,
    pub(crate) pointer: Pointer<'e>,
}

/// The scalars at each path of a pattern, in the order of the text.
pub(crate) struct FieldValues<'p, 'e> {
    by_path: BTreeMap<&'p Path, Vec<FieldValue<'e>>>,
}

impl<'p, 'e> FieldValues<'p, 'e> {
    /// Looks up every path of the pattern; paths that it does not name cost nothing but the walk over their text.
    pub(crate) fn of(node: &'p Node, event: &'e Json) -> Self {
        let mut paths = BTreeSet::new();
        collect_paths(node, &mut paths);
        let mut walk = Walk {
            by_path: BTreeMap::new(),
            choice: ElementChoice::new(),
            arrays: 0,
        };
        let wanted: Vec<Wanted> = paths
            .into_iter()
            .map(|path| Wanted {
                path,
                rest: Some(path.as_str()),
            })
            .collect();
        if let Json::Object(members) = event {
            walk.object(members, &wanted, &None);
        }
        Self {
            by_path: walk.by_path,
        }
    }

    /// The scalars at `path`.
    pub(crate) fn at(&self, path: &Path) -> &[FieldValue<'e>] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }
}

/// A path, and what of it still lies ahead: `None` at its end, `Some("")` where an empty key is still to come.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    path: &'p Path,
    rest: Option<&'p str>,
}

impl<'p> Wanted<'p> {
    /// What lies ahead behind `key`. A key may hold dots and thereby take several segments at once.
    fn behind(&self, key: &str) -> Option<Wanted<'p>> {
        let rest = self.rest?.strip_prefix(key)?;
        let rest = if rest.is_empty() {
            None
        } else {
            Some(rest.strip_prefix('.')?)
        };
        Some(Wanted {
            path: self.path,
            rest,
        })
    }
}

struct Walk<'p, 'e> {
    by_path: BTreeMap<&'p Path, Vec<FieldValue<'e>>>,
    choice: ElementChoice,
    arrays: usize,
}

impl<'p, 'e> Walk<'p, 'e> {
    fn value(&mut self, value: &'e Json, wanted: &[Wanted<'p>], pointer: &Pointer<'e>) {
        match value {
            Json::Object(members) => self.object(members, wanted, pointer),
            Json::Array(elements) => self.array(elements, wanted, pointer),
            scalar => {
                for Wanted { path, .. } in wanted.iter().filter(|wanted| wanted.rest.is_none()) {
                    let value = Scalar::of(scalar);
                    let value = value.map(|value| FieldValue {
                        value,
                        choice: self.choice.clone(),
                        pointer: pointer.clone(),
                    });
                    self.by_path.entry(path).or_default().extend(value);
                }
            }
        }
    }

    fn object(
        &mut self,
        members: &'e [(String, Json)],
        wanted: &[Wanted<'p>],
        parent: &Pointer<'e>,
    ) {
        for (index, (key, value)) in members.iter().enumerate() {
            let behind: Vec<Wanted> = wanted
                .iter()
                .filter_map(|wanted| wanted.behind(key))
                .collect();
            if !behind.is_empty() {
                let pointer = Some(Rc::new(PointerStep::Member {
                    parent: parent.clone(),
                    members,
                    index,
                }));
                self.value(value, &behind, &pointer);
            }
        }
    }

    fn array(&mut self, elements: &'e [Json], wanted: &[Wanted<'p>], parent: &Pointer<'e>) {
        let array = self.arrays;
        self.arrays += 1;
        for (index, element) in elements.iter().enumerate() {
            if matches!(element, Json::Object(_) | Json::Array(_)) {
                self.choice.insert(array, index);
            }
            self.value(
                element,
                wanted,
                &Some(Rc::new(PointerStep::Element {
                    parent: parent.clone(),
                    index,
                })),
            );
            self.choice.remove(&array);
        }
    }
}

fn collect_paths<'p>(node: &'p Node, paths: &mut BTreeSet<&'p Path>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            nodes.iter().for_each(|node| collect_paths(node, paths))
        }
        Node::Not(node) => collect_paths(node, paths),
        Node::Field(field) => {
            paths.insert(&field.path);
        }
    }
}
