//! Walking a dict in place, only along the paths that patterns look at.

use std::borrow::Cow;
use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use reflexarc_event::Limits;
use reflexarc_pattern::{Elements, Fields, Path};

use crate::convert::{self, Scalar, ValuePath, scalar};

/// The used paths as keys to look up. A key that holds dots takes several steps of a path at once.
pub(crate) struct DictWalk {
    /// The first one is where a walk starts. Empty when there would be too many keys to look up.
    nodes: Vec<Node>,
}

/// Whom a walk shows what it meets; a slot is a position in the paths of the walk.
pub(crate) trait Visitor {
    /// A text.
    fn text(
        &mut self,
        slot: u32,
        text: &Bound<'_, PyString>,
        place: &ValuePath<'_>,
    ) -> PyResult<()>;

    /// Any other scalar, or a text that Python holds as something else.
    fn scalar(&mut self, slot: u32, scalar: Scalar);

    /// An element of an array that is an object or an array: what `show` shows lies in it.
    fn element(
        &mut self,
        elements: &mut Option<Elements>,
        show: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt>;
}

/// Why a walk ends early.
pub(crate) enum Interrupt {
    /// It met what is no JSON.
    Fault(PyErr),
    /// The visitor needs no more.
    Enough,
}

/// Beyond this many keys a dict is converted as a whole instead of being asked for each of them.
const MOST_KEYS: usize = 4096;

impl DictWalk {
    pub(crate) fn new(py: Python<'_>, paths: &[Path]) -> Self {
        Self {
            nodes: nodes(py, paths).unwrap_or_default(),
        }
    }

    /// Shows the fields of `event`, a mapping.
    pub(crate) fn show(
        &self,
        event: &Bound<'_, PyAny>,
        visitor: &mut impl Visitor,
    ) -> Result<(), Interrupt> {
        let event = as_dict(event)?;
        self.object(
            &self.nodes[0],
            &event,
            visitor,
            &ValuePath::Root,
            Limits::DEFAULT.depth,
        )
    }

    /// Shows the fields of `event`, a mapping, to a matcher.
    pub(crate) fn fields(&self, event: &Bound<'_, PyAny>, fields: &mut Fields<'_>) -> PyResult<()> {
        match self.show(event, fields) {
            Ok(()) | Err(Interrupt::Enough) => Ok(()),
            Err(Interrupt::Fault(fault)) => Err(fault),
        }
    }

    /// Whether [`DictWalk::show`] can be used; otherwise the event has to be converted.
    pub(crate) fn is_possible(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn object(
        &self,
        node: &Node,
        dict: &Bound<'_, PyDict>,
        visitor: &mut impl Visitor,
        place: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        let py = dict.py();
        let depth = deeper(depth, place)?;
        let mut dict = Cow::Borrowed(dict);
        let mut checked = false;
        for key in &node.keys {
            let mut value = dict.get_item(key.text.bind(py))?;
            if value.is_none() && key.is_plain && !checked {
                // What is not found may hide behind a key that is no text, or a text of another type.
                dict = with_plain_keys(dict, place)?;
                checked = true;
                value = dict.get_item(key.text.bind(py))?;
            }
            if let Some(value) = value {
                let place = ValuePath::Key(place, &key.name);
                self.value(&self.nodes[key.child], &value, visitor, &place, depth)?;
            }
        }
        Ok(())
    }

    fn value(
        &self,
        node: &Node,
        value: &Bound<'_, PyAny>,
        visitor: &mut impl Visitor,
        place: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            if let Some(slot) = node.slot {
                visitor.text(slot, text, place)?;
            }
            return Ok(());
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return if node.keys.is_empty() {
                Ok(())
            } else {
                self.object(node, dict, visitor, place, depth)
            };
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.array(node, list.iter(), visitor, place, depth);
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.array(node, tuple.iter(), visitor, place, depth);
        }
        if let Some(slot) = node.slot {
            match scalar(value, place)? {
                Some(scalar) => visitor.scalar(slot, scalar),
                None if value.cast::<PyMapping>().is_ok() => {
                    let dict = as_dict(value)?;
                    return self.object(node, &dict, visitor, place, depth);
                }
                None => return Err(convert::unsupported(value, place).into()),
            }
        } else if is_mapping(value) {
            let dict = as_dict(value)?;
            return self.object(node, &dict, visitor, place, depth);
        }
        Ok(())
    }

    fn array<'py>(
        &self,
        node: &Node,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        visitor: &mut impl Visitor,
        place: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        let depth = deeper(depth, place)?;
        let mut elements = None;
        for (index, item) in items.enumerate() {
            let place = ValuePath::Index(place, index);
            if is_container(&item) {
                visitor.element(&mut elements, |visitor| {
                    self.value(node, &item, visitor, &place, depth)
                })?;
            } else {
                self.value(node, &item, visitor, &place, depth)?;
            }
        }
        Ok(())
    }
}

impl Visitor for Fields<'_> {
    fn text(
        &mut self,
        slot: u32,
        text: &Bound<'_, PyString>,
        place: &ValuePath<'_>,
    ) -> PyResult<()> {
        convert::with_text(text, place, |text| self.string(slot, text))
    }

    fn scalar(&mut self, slot: u32, scalar: Scalar) {
        match scalar {
            Scalar::Null => self.null(slot),
            Scalar::Bool(value) => self.bool(slot, value),
            Scalar::Whole(value) => self.number(slot, &value.to_string()),
            Scalar::Number(text) => self.number(slot, &text),
            Scalar::Text(text) => self.string(slot, &text),
        }
    }

    fn element(
        &mut self,
        elements: &mut Option<Elements>,
        show: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let elements = elements.get_or_insert_with(|| self.array());
        Fields::element(self, elements, show)
    }
}

impl From<PyErr> for Interrupt {
    fn from(fault: PyErr) -> Self {
        Self::Fault(fault)
    }
}

/// Whether it is a mapping; asks Python only about what is of no type that JSON has.
pub(crate) fn is_mapping(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyDict>()
        || !(is_plain_scalar(value) || value.is_exact_instance_of::<PyList>())
            && value.cast::<PyMapping>().is_ok()
}

#[derive(Default)]
struct Node {
    slot: Option<u32>,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    text: Py<PyString>,
    /// Whether it takes a single step of a path.
    is_plain: bool,
    child: usize,
}

fn nodes(py: Python<'_>, paths: &[Path]) -> Option<Vec<Node>> {
    let mut nodes = vec![Node::default()];
    let mut children: HashMap<(usize, String), usize> = HashMap::new();
    let mut known: usize = 0;
    for (path, slot) in paths.iter().zip(0..) {
        let segments: Vec<&str> = path.segments().collect();
        let mut at = vec![0];
        for segment in &segments {
            let parent = at[at.len() - 1];
            let fresh = nodes.len();
            let child = *children
                .entry((parent, (*segment).to_owned()))
                .or_insert(fresh);
            if child == fresh {
                nodes.push(Node::default());
                // This node is reached from every node before it, by the pieces in between joined by dots.
                for (start, &from) in at.iter().enumerate() {
                    known += 1;
                    if known > MOST_KEYS {
                        return None;
                    }
                    let name = segments[start..at.len()].join(".");
                    let text = PyString::intern(py, &name).unbind();
                    let is_plain = start + 1 == at.len();
                    nodes[from].keys.push(Key {
                        name,
                        text,
                        is_plain,
                        child,
                    });
                }
            }
            at.push(child);
        }
        nodes[at[at.len() - 1]].slot = Some(slot);
    }
    for node in &mut nodes {
        node.keys.sort_by_key(|key| !key.is_plain);
    }
    Some(nodes)
}

/// The same dict if its keys are what look-ups find; a copy where a key is a text of a type of its own, which may be
/// filed elsewhere (members of an `Enum` are).
fn with_plain_keys<'a, 'py>(
    dict: Cow<'a, Bound<'py, PyDict>>,
    place: &ValuePath<'_>,
) -> PyResult<Cow<'a, Bound<'py, PyDict>>> {
    if dict
        .iter()
        .all(|(key, _)| key.is_exact_instance_of::<PyString>())
    {
        return Ok(dict);
    }
    let plain = PyDict::new(dict.py());
    for (key, value) in dict.iter() {
        plain.set_item(convert::key_text(&key, place)?, value)?;
    }
    Ok(Cow::Owned(plain))
}

fn is_container(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() || is_mapping(value)
}

fn is_plain_scalar(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_none()
}

fn as_dict<'a, 'py>(mapping: &'a Bound<'py, PyAny>) -> PyResult<Cow<'a, Bound<'py, PyDict>>> {
    match mapping.cast::<PyDict>() {
        Ok(dict) => Ok(Cow::Borrowed(dict)),
        Err(_) => Ok(Cow::Owned(
            mapping
                .py()
                .get_type::<PyDict>()
                .call1((mapping,))?
                .cast_into::<PyDict>()?,
        )),
    }
}

fn deeper(depth: usize, place: &ValuePath<'_>) -> PyResult<usize> {
    depth.checked_sub(1).ok_or_else(|| {
        place.fault(format!(
            "more than {} levels of arrays and objects",
            Limits::DEFAULT.depth
        ))
    })
}
