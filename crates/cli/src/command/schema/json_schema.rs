//! The shape of a file as a JSON Schema, draft 7: the newest one that Taplo supports.

use std::collections::BTreeMap;

use reflexarc_diagnostic::toml::{ANY_NAME, TableShape, ValueShape, ValueShapes};
use serde_json::{Map, Value, json};

use super::descriptions::Descriptions;

/// The largest number that every reader of JSON has exactly.
const MAX_EXACT: u64 = 1 << 53;

/// The schema of a file.
pub(super) fn document(title: &str, shape: &TableShape, descriptions: &Descriptions) -> String {
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        "http://json-schema.org/draft-07/schema#".into(),
    );
    schema.insert("title".into(), title.into());
    schema.extend(table(shape, "", descriptions));
    let mut text = format!("{:#}", Value::Object(schema));
    text.push('\n');
    text
}

/// The members of the schema of a table, at a path such as `http.tokens`.
fn table(shape: &TableShape, path: &str, descriptions: &Descriptions) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    let mut properties = properties(shape, path, descriptions);
    let mut rules = Vec::new();
    for (name, variant) in &shape.variants {
        let own = table(variant, &join(path, name), descriptions);
        // Editors complete by the properties of all types; what fits the type is checked below.
        if let Some(Value::Object(own)) = own.get("properties") {
            for (key, value) in own {
                let common = properties
                    .entry(key.clone())
                    .or_insert_with(|| value.clone());
                if common != value {
                    *common = described(common);
                }
            }
        }
        let is_type = json!({"properties": {"type": {"const": name}}, "required": ["type"]});
        rules.push(json!({"if": is_type, "then": own}));
    }
    schema.insert("properties".into(), Value::Object(properties));
    let others = match shape.keys.get(ANY_NAME) {
        Some(shapes) => value(shapes, &join(path, ANY_NAME), descriptions),
        None => Value::Bool(shape.is_open),
    };
    schema.insert("additionalProperties".into(), others);
    let mut required = Vec::new();
    for keys in &shape.required {
        match keys.as_slice() {
            [key] => required.push(key.as_str()),
            keys => {
                let one_of = keys.iter().map(|key| json!({"required": [key]}));
                rules.push(json!({"anyOf": one_of.collect::<Vec<_>>()}));
            }
        }
    }
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    if !rules.is_empty() {
        schema.insert("allOf".into(), Value::Array(rules));
    }
    schema
}

fn properties(shape: &TableShape, path: &str, descriptions: &Descriptions) -> Map<String, Value> {
    let keys: BTreeMap<_, _> = shape
        .keys
        .iter()
        .filter(|(key, _)| *key != ANY_NAME)
        .collect();
    let property = |(key, shapes): (&String, &ValueShapes)| {
        let path = join(path, key);
        let mut schema = value(shapes, &path, descriptions);
        if let (Some(text), Value::Object(schema)) = (descriptions.of(&path), &mut schema) {
            schema.insert("description".into(), text.into());
        }
        (key.clone(), schema)
    };
    keys.into_iter().map(property).collect()
}

/// The schema of a value that is one of these.
fn value(shapes: &[ValueShape], path: &str, descriptions: &Descriptions) -> Value {
    let schemas = shapes.iter().map(|shape| one(shape, path, descriptions));
    let mut schemas: Vec<Value> = schemas.collect();
    match schemas.len() {
        0 => json!({}),
        1 => schemas.remove(0),
        _ => json!({"anyOf": schemas}),
    }
}

fn one(shape: &ValueShape, path: &str, descriptions: &Descriptions) -> Value {
    match shape {
        ValueShape::Text | ValueShape::Time => json!({"type": "string"}),
        ValueShape::Word(words) => json!({"type": "string", "enum": words}),
        ValueShape::Duration => json!({"type": "string", "examples": ["90s", "10m", "24h", "7d"]}),
        ValueShape::Boolean => json!({"type": "boolean"}),
        ValueShape::Integer(min, max) if *max < MAX_EXACT => {
            json!({"type": "integer", "minimum": min, "maximum": max})
        }
        ValueShape::Integer(min, _) => json!({"type": "integer", "minimum": min}),
        ValueShape::Array(elements) => {
            json!({"type": "array", "items": value(elements, path, descriptions)})
        }
        ValueShape::Table(shape) => Value::Object(table(shape, path, descriptions)),
    }
}

/// Only the description of a schema: its values differ.
fn described(schema: &Value) -> Value {
    match schema.get("description") {
        Some(text) => json!({"description": text}),
        None => json!({}),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
