//! Whether a dict is in native form, decided without converting it to JSON.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use reflexarc_event::{Envelope, Member, ObjectMarkers};

use crate::convert::{self, ValuePath};

/// Whether a mapping needs no conversion: it is in native form with canonical values, or has no
/// native form.
pub(crate) fn is_native(mapping: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Ok(dict) = mapping.cast::<PyDict>() else {
        return Ok(false);
    };
    let Some(members) = Members::of(dict, &ValuePath::Root)? else {
        return Ok(false);
    };
    // Most events are native whatever their content has. Only that of ENI events is looked at too.
    let (_, native) = Envelope::detect(members.iter(ObjectMarkers::UNKNOWN));
    if native {
        return Ok(true);
    }
    let Some(content) = dict.get_item("content")? else {
        return Ok(false);
    };
    let Ok(content) = content.cast::<PyDict>() else {
        return Ok(false);
    };
    let Some(content) = Members::of(content, &ValuePath::Key(&ValuePath::Root, "content"))? else {
        return Ok(false);
    };
    let content = Envelope::object(content.iter(ObjectMarkers::UNKNOWN));
    Ok(Envelope::detect(members.iter(content)).1)
}

/// The members of a dict, as far as they decide about its envelope.
struct Members(Vec<(String, Value)>);

enum Value {
    Text(String),
    Object,
    /// Whether all elements are strings without white space around them.
    Array(bool),
    Number,
    Other,
}

impl Members {
    /// `None` if a value is of a type that only the conversion to JSON knows, such as a dataclass.
    fn of(dict: &Bound<'_, PyDict>, path: &ValuePath<'_>) -> PyResult<Option<Self>> {
        let mut members = Vec::with_capacity(dict.len());
        for (key, value) in dict {
            let key = convert::key_text(&key, path)?;
            let value = if let Ok(text) = value.cast_exact::<PyString>() {
                let path = ValuePath::Key(path, &key);
                Value::Text(convert::text_of(text, &path)?.to_owned())
            } else if value.is_exact_instance_of::<PyDict>() {
                Value::Object
            } else if let Ok(list) = value.cast_exact::<PyList>() {
                Value::Array(list.iter().all(|element| is_trimmed_text(&element)))
            } else if value.is_exact_instance_of::<PyInt>()
                || value.is_exact_instance_of::<PyFloat>()
            {
                Value::Number
            } else if value.is_none() || value.is_exact_instance_of::<PyBool>() {
                Value::Other
            } else {
                return Ok(None);
            };
            members.push((key, value));
        }
        Ok(Some(Self(members)))
    }

    /// The members for [`Envelope::detect`], with `objects` for each object.
    fn iter(&self, objects: ObjectMarkers) -> impl Iterator<Item = (&str, Member<'_>)> {
        self.0.iter().map(move |(key, value)| {
            let member = match value {
                Value::Text(text) => Member::Text(text),
                Value::Object => Member::Object(objects),
                Value::Array(plain) => Member::Array(*plain),
                Value::Number => Member::Number,
                Value::Other => Member::Other,
            };
            (key.as_str(), member)
        })
    }
}

fn is_trimmed_text(value: &Bound<'_, PyAny>) -> bool {
    value.cast_exact::<PyString>().is_ok_and(|text| {
        text.to_str()
            .is_ok_and(|text| !text.is_empty() && text.trim().len() == text.len())
    })
}
