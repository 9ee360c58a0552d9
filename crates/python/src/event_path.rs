//! The values at a path of an event.

use pyo3::prelude::*;
use pyo3::types::PyList;
use reflexarc_event::Json;

use crate::convert;

/// What a path leads to.
pub(crate) enum Found<'a> {
    /// A value outside of arrays, or an array.
    One(&'a Json),
    /// The values inside an array of objects; at least one.
    Several(Vec<&'a Json>),
}

impl<'a> Found<'a> {
    /// The values at `path`, keys joined by dots; `None` if it leads to none.
    ///
    /// A key may contain dots: `a.b` is a member `a.b`, or a member `b` of the member `a`. Each
    /// object of the event is visited at most once, since only one part of the path leads to it.
    pub(crate) fn at(json: &'a Json, path: &str) -> Option<Self> {
        match json {
            Json::Object(_) => {
                if let Some(value) = json.get(path) {
                    return Some(Self::One(value));
                }
                let dots = path.match_indices('.').map(|(dot, _)| dot);
                dots.filter_map(|dot| Some((json.get(&path[..dot])?, &path[dot + 1..])))
                    .find_map(|(value, rest)| Self::at(value, rest))
            }
            Json::Array(elements) => {
                let mut values = Vec::new();
                for found in elements
                    .iter()
                    .filter_map(|element| Self::at(element, path))
                {
                    match found {
                        Self::One(value) => values.push(value),
                        Self::Several(inner) => values.extend(inner),
                    }
                }
                (!values.is_empty()).then_some(Self::Several(values))
            }
            _ => None,
        }
    }

    /// The value as Python has it; several as a list.
    pub(crate) fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::One(value) => convert::to_python(py, value),
            Self::Several(values) => {
                let values = values.iter().map(|value| convert::to_python(py, value));
                Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
        }
    }
}
