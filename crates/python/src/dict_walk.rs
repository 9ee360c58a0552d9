//! Walking a dict in place, only along the paths of patterns.
//!
//! Serializing a dict to JSON for the matcher would touch every value, and most events have many
//! more fields than a pattern has paths. Looking up the keys of the paths costs a few hash
//! look-ups, with hashes that Python caches in each string.

use std::borrow::Cow;
use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use reflexarc_event::Limits;
use reflexarc_pattern::{Elements, Fields, Path};

use crate::convert::{self, Scalar, ValuePath, scalar};
use crate::structure::{self, Structure};

/// The paths of patterns as keys to look up.
///
/// A key may contain dots: the path `a.b` leads to `x["a"]["b"]` and to `x["a.b"]`, so the root
/// has the keys `a` and `a.b`, and both lead on to the node of `a.b`.
pub(crate) struct DictWalk {
    /// The first node is the root. Empty if there would be too many keys to look up.
    nodes: Vec<Node>,
}

/// Receives the values at the paths; a slot is a position in the paths of the walk.
pub(crate) trait Visitor {
    /// Visits a string.
    fn text(&mut self, slot: u32, text: &Bound<'_, PyString>, path: &ValuePath<'_>)
    -> PyResult<()>;

    /// Visits any other scalar, or one that stands for a string, such as a `datetime`.
    fn scalar(&mut self, slot: u32, scalar: Scalar);

    /// Visits an element of an array that is an object or an array; `visit` visits what is in
    /// it.
    fn element(
        &mut self,
        elements: &mut Option<Elements>,
        visit: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt>;
}

/// Why a walk ended early.
pub(crate) enum Interrupt {
    /// A value has no JSON form.
    Exception(PyErr),
    /// The visitor stopped the walk.
    Stopped,
}

/// Maximum number of keys. A path of n segments has n(n+1)/2 of them, dotted ones included,
/// so long paths and large rule sets could need more look-ups than a dict has members; such
/// dicts are converted as a whole.
const MAX_KEYS: usize = 4096;

impl DictWalk {
    /// Prepares a walk along `paths`.
    pub(crate) fn new(py: Python<'_>, paths: &[Path]) -> Self {
        Self {
            nodes: nodes(py, paths).unwrap_or_default(),
        }
    }

    /// Visits the values of `event`, a mapping, at the paths.
    pub(crate) fn visit(
        &self,
        event: &Bound<'_, PyAny>,
        visitor: &mut impl Visitor,
        root: &ValuePath<'_>,
    ) -> Result<(), Interrupt> {
        let event = as_dict(event)?;
        let depth = Limits::DEFAULT.depth;
        self.object(&self.nodes[0], &event, visitor, root, depth)
    }

    /// Passes the values of `event`, a mapping, to a matcher.
    pub(crate) fn fields(
        &self,
        event: &Bound<'_, PyAny>,
        fields: &mut Fields<'_>,
        root: &ValuePath<'_>,
    ) -> PyResult<()> {
        match self.visit(event, fields, root) {
            Ok(()) | Err(Interrupt::Stopped) => Ok(()),
            Err(Interrupt::Exception(error)) => Err(error),
        }
    }

    /// Whether [`DictWalk::visit`] can be used; otherwise the event must be converted.
    pub(crate) fn is_possible(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn object(
        &self,
        node: &Node,
        dict: &Bound<'_, PyDict>,
        visitor: &mut impl Visitor,
        path: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        let py = dict.py();
        let depth = deeper(depth, path)?;
        let mut dict = Cow::Borrowed(dict);
        let mut checked = false;
        for key in &node.keys {
            let mut value = dict.get_item(key.text.bind(py))?;
            if value.is_none() && key.is_plain && !checked {
                // A key of a type derived from `str` may have another hash and be missed by the
                // look-up, and a key that is not a string is an error. Only dicts that lack a key
                // are searched for such keys: searching all would cost more than matching.
                dict = with_str_keys(dict, path)?;
                checked = true;
                value = dict.get_item(key.text.bind(py))?;
            }
            if let Some(value) = value {
                let path = ValuePath::Key(path, &key.name);
                self.value(&self.nodes[key.child], &value, visitor, &path, depth)?;
            }
        }
        Ok(())
    }

    fn value(
        &self,
        node: &Node,
        value: &Bound<'_, PyAny>,
        visitor: &mut impl Visitor,
        path: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        // A cast that fails costs some calls of the interpreter; comparing exact types costs none.
        if !value.is_exact_instance_of::<PyDict>()
            && let Ok(text) = value.cast_exact::<PyString>()
        {
            if let Some(slot) = node.slot {
                visitor.text(slot, text, path)?;
            }
            return Ok(());
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return if node.keys.is_empty() {
                Ok(())
            } else {
                self.object(node, dict, visitor, path, depth)
            };
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.array(node, list.iter(), visitor, path, depth);
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return self.array(node, tuple.iter(), visitor, path, depth);
        }
        let may_be_nan = value.is_exact_instance_of::<PyFloat>();
        if node.slot.is_none() && is_plain_scalar(value) && !may_be_nan {
            return Ok(());
        }
        // A value of any other type is converted or refused also where a path only leads through
        // it: skipping a dataclass would be a wrong answer.
        if let Some(scalar) = scalar(value, path)? {
            if let Some(slot) = node.slot {
                visitor.scalar(slot, scalar);
            }
            return Ok(());
        }
        match structure::plain(value, path)? {
            Structure::Plain(plain) => return self.value(node, &plain, visitor, path, depth),
            Structure::Unsupported => {}
            Structure::Unknown => {
                if let Ok(tuple) = value.cast::<PyTuple>() {
                    return self.array(node, tuple.iter(), visitor, path, depth);
                }
                if value.cast::<PyMapping>().is_ok() {
                    let dict = as_dict(value)?;
                    return self.object(node, &dict, visitor, path, depth);
                }
            }
        }
        let replaced = convert::replaced(value, path)?;
        self.value(node, &replaced, visitor, path, deeper(depth, path)?)
    }

    fn array<'py>(
        &self,
        node: &Node,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        visitor: &mut impl Visitor,
        path: &ValuePath<'_>,
        depth: usize,
    ) -> Result<(), Interrupt> {
        let depth = deeper(depth, path)?;
        let mut elements = None;
        for (index, item) in items.enumerate() {
            let path = ValuePath::Index(path, index);
            let item = structure::plain_if_unusual(&item, &path)?;
            if is_container(&item) {
                visitor.element(&mut elements, |visitor| {
                    self.value(node, &item, visitor, &path, depth)
                })?;
            } else {
                self.value(node, &item, visitor, &path, depth)?;
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
        path: &ValuePath<'_>,
    ) -> PyResult<()> {
        self.string(slot, convert::text_of(text, path)?);
        Ok(())
    }

    fn scalar(&mut self, slot: u32, scalar: Scalar) {
        match scalar {
            Scalar::Null => self.null(slot),
            Scalar::Bool(value) => self.bool(slot, value),
            Scalar::Integer(value) => self.number(slot, &value.to_string()),
            Scalar::Number(text) => self.number(slot, &text),
            Scalar::Text(text) => self.string(slot, &text),
        }
    }

    fn element(
        &mut self,
        elements: &mut Option<Elements>,
        visit: impl FnOnce(&mut Self) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let elements = elements.get_or_insert_with(|| self.array());
        Fields::element(self, elements, visit)
    }
}

impl From<PyErr> for Interrupt {
    fn from(error: PyErr) -> Self {
        Self::Exception(error)
    }
}

/// Whether a value is a mapping. The check for the abstract class is slow, so it is made only
/// for types other than those of JSON.
fn is_mapping(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyDict>()
        || !(is_plain_scalar(value) || value.is_exact_instance_of::<PyList>())
            && value.cast::<PyMapping>().is_ok()
}

/// A position on the paths.
#[derive(Default)]
struct Node {
    /// The slot of the path that ends here.
    slot: Option<u32>,
    keys: Vec<Key>,
}

struct Key {
    name: String,
    text: Py<PyString>,
    /// Whether it is a single segment of the path.
    is_plain: bool,
    /// Position of the node that the key leads to.
    child: usize,
}

/// The nodes of the paths; `None` if they have more than [`MAX_KEYS`] keys.
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
                // The node is reached from every node before it, by the segments in between joined
                // with dots.
                for (start, &from) in at.iter().enumerate() {
                    known += 1;
                    if known > MAX_KEYS {
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

/// The dict itself if all its keys are exactly `str`, else a copy with such keys.
///
/// Members of a `str` enum, for example, equal their text but have another hash, so that a look-up
/// by text misses them.
fn with_str_keys<'a, 'py>(
    dict: Cow<'a, Bound<'py, PyDict>>,
    path: &ValuePath<'_>,
) -> PyResult<Cow<'a, Bound<'py, PyDict>>> {
    if dict
        .iter()
        .all(|(key, _)| key.is_exact_instance_of::<PyString>())
    {
        return Ok(dict);
    }
    let plain = PyDict::new(dict.py());
    for (key, value) in dict.iter() {
        plain.set_item(convert::key_text(&key, path)?, value)?;
    }
    Ok(Cow::Owned(plain))
}

fn is_container(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() || is_mapping(value)
}

pub(crate) fn is_plain_scalar(value: &Bound<'_, PyAny>) -> bool {
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

/// The levels that remain below a container.
fn deeper(depth: usize, path: &ValuePath<'_>) -> PyResult<usize> {
    depth.checked_sub(1).ok_or_else(|| {
        path.error(format!(
            "more than {} levels of arrays and objects",
            Limits::DEFAULT.depth
        ))
    })
}
