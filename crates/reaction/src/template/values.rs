//! Values of templates: made of JSON, and of the fields of events that a template reads.

use std::collections::BTreeMap;

use minijinja::value::Value;
use reflexarc_event::{Event, FieldSet, Json, Selected};

use crate::value::{Number, number};

/// What is read of an event as a template value; `None` if that is nothing.
pub(super) fn read_value(event: &Event, fields: &FieldSet) -> Option<Value> {
    (!fields.is_empty()).then(|| selected_value(&event.select(fields)))
}

/// What was selected of an event as a template value.
fn selected_value(selected: &Selected<'_>) -> Value {
    match selected {
        Selected::Object(members) => Value::from_object(
            members
                .iter()
                .map(|(key, member)| ((*key).to_owned(), selected_value(member)))
                .collect::<BTreeMap<String, Value>>(),
        ),
        Selected::String(text) => Value::from(*text),
        Selected::Text(_) => value(&selected.to_json()),
    }
}

/// A JSON value as a template value, with numbers as in scripts.
pub(super) fn value(json: &Json) -> Value {
    match json {
        // Undefined rather than none, which would print as `none`.
        Json::Null => Value::UNDEFINED,
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(text) => match number(text) {
            Number::Integer(integer) => Value::from(integer),
            Number::Float(float) => Value::from(float),
            Number::Text => Value::from(text.as_ref()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(value).collect(),
        Json::Object(members) => Value::from_object(
            members
                .iter()
                .map(|(key, member)| (key.clone(), value(member)))
                .collect::<BTreeMap<String, Value>>(),
        ),
    }
}
