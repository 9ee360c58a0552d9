//! Walking a dict in place, only along the paths that patterns look at.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};
use reflexarc_event::Limits;
use reflexarc_pattern::{Fields, Matcher, Path};

use crate::convert::{self, Place, Scalar, scalar};

/// The used paths as keys to look up. A key that holds dots takes several steps of a path at once.
pub(crate) struct Walk {
    /// The first one is where a walk starts. Empty when there would be too many keys to look up.
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    slot: Option<u32>,
    keys: Vec<(String, Py<PyString>, usize)>,
}

/// Beyond this many keys a dict is converted as a whole instead of being asked for each of them.
const MOST_KEYS: usize = 4096;

impl Walk {
    pub(crate) fn new(py: Python<'_>, matcher: &Matcher) -> Self {
        Self { nodes: nodes(py, matcher.paths()).unwrap_or_default() }
    }

    /// Shows the fields of `event`, a mapping.
    pub(crate) fn show(&self, event: &Bound<'_, PyAny>, fields: &mut Fields<'_>) -> PyResult<()> {
        let dict = as_dict(event)?;
        self.object(&self.nodes[0], &dict, fields, &Place::Root, Limits::DEFAULT.depth)
    }

    /// Whether [`Walk::show`] can be used; otherwise the event has to be converted.
    pub(crate) fn is_possible(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn object(
        &self,
        node: &Node,
        dict: &Bound<'_, PyDict>,
        fields: &mut Fields<'_>,
        place: &Place<'_>,
        depth: usize,
    ) -> PyResult<()> {
        let py = dict.py();
        let depth = deeper(depth, place)?;
        for key in dict.keys() {
            if !key.is_instance_of::<PyString>() {
                convert::key_text(&key, place)?;
            }
        }
        for (text, key, child) in &node.keys {
            if let Some(value) = dict.get_item(key.bind(py))? {
                self.value(&self.nodes[*child], &value, fields, &Place::Key(place, text), depth)?;
            }
        }
        Ok(())
    }

    fn value(
        &self,
        node: &Node,
        value: &Bound<'_, PyAny>,
        fields: &mut Fields<'_>,
        place: &Place<'_>,
        depth: usize,
    ) -> PyResult<()> {
        if value.is_exact_instance_of::<PyString>() {
            if let (Some(slot), Ok(text)) = (node.slot, value.cast::<PyString>()) {
                fields.string(slot, &text.to_cow().map_err(|_| convert::half_a_pair(place))?);
            }
            return Ok(());
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return if node.keys.is_empty() { Ok(()) } else { self.object(node, dict, fields, place, depth) };
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.array(node, list.iter(), fields, place, depth);
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.array(node, tuple.iter(), fields, place, depth);
        }
        if let Some(slot) = node.slot {
            match scalar(value, place)? {
                Some(Scalar::Null) => fields.null(slot),
                Some(Scalar::Bool(value)) => fields.bool(slot, value),
                Some(Scalar::Number(text)) => fields.number(slot, &text),
                Some(Scalar::Text(text)) => fields.string(slot, &text),
                None if value.cast::<PyMapping>().is_ok() => {
                    return self.object(node, &as_dict(value)?, fields, place, depth);
                }
                None => return Err(convert::unsupported(value, place)),
            }
        } else if value.cast::<PyMapping>().is_ok() {
            return self.object(node, &as_dict(value)?, fields, place, depth);
        }
        Ok(())
    }

    fn array<'py>(
        &self,
        node: &Node,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        fields: &mut Fields<'_>,
        place: &Place<'_>,
        depth: usize,
    ) -> PyResult<()> {
        let depth = deeper(depth, place)?;
        let mut elements = None;
        for (index, item) in items.enumerate() {
            let place = Place::Index(place, index);
            if is_container(&item) {
                let elements = elements.get_or_insert_with(|| fields.array());
                fields.element(elements, |fields| self.value(node, &item, fields, &place, depth))?;
            } else {
                self.value(node, &item, fields, &place, depth)?;
            }
        }
        Ok(())
    }
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
            let child = *children.entry((parent, (*segment).to_owned())).or_insert(fresh);
            if child == fresh {
                nodes.push(Node::default());
                // This node is reached from every node before it, by the pieces in between joined by dots.
                for (start, &from) in at.iter().enumerate() {
                    known += 1;
                    if known > MOST_KEYS {
                        return None;
                    }
                    let key = segments[start..at.len()].join(".");
                    let text = PyString::intern(py, &key).unbind();
                    nodes[from].keys.push((key, text, child));
                }
            }
            at.push(child);
        }
        nodes[at[at.len() - 1]].slot = Some(slot);
    }
    Some(nodes)
}

fn is_container(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyDict>()
        || value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || (!value.is_instance_of::<PyString>() && value.cast::<PyMapping>().is_ok())
}

fn as_dict<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    match mapping.cast::<PyDict>() {
        Ok(dict) => Ok(dict.clone()),
        Err(_) => Ok(mapping.py().get_type::<PyDict>().call1((mapping,))?.cast_into::<PyDict>()?),
    }
}

fn deeper(depth: usize, place: &Place<'_>) -> PyResult<usize> {
    depth
        .checked_sub(1)
        .ok_or_else(|| place.fault(format!("more than {} levels of arrays and objects", Limits::DEFAULT.depth)))
}
