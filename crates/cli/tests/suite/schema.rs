//! `reflexarc schema`: the schemas have the keys that readers know, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reflexarc::RuleSet;
use reflexarc_diagnostic::toml::{ANY_NAME, TableShape, ValueShape, ValueShapes};
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_service::Config;
use reflexarc_service::config::{Secrets, TEMPLATE, config_shape};

use crate::reflexarc;

/// A key in a TOML file: the keys that lead to it, with what is written around its value.
type Place = Vec<(String, &'static str)>;

/// Every key of a shape with its values, and every table.
#[derive(Default)]
struct Keys {
    keys: Vec<(Place, ValueShape)>,
    tables: Vec<(Place, bool)>,
}

impl Keys {
    fn of(shape: &TableShape) -> Self {
        let mut found = Self::default();
        found.collect(shape, &Vec::new());
        found
    }

    fn collect(&mut self, shape: &TableShape, place: &Place) {
        let is_closed = !shape.is_open && !shape.keys.contains_key(ANY_NAME);
        self.tables.push((place.clone(), is_closed));
        for (key, shapes) in &shape.keys {
            let key = if key == ANY_NAME { "some" } else { key };
            self.values(shapes, place, key);
        }
        for (name, variant) in &shape.variants {
            // `type = "email", ` before any other key of the table.
            let mut place = place.clone();
            let prefix: &'static str = format!("type = \"{name}\", ").leak();
            place.push((String::new(), prefix));
            let mut variant = variant.clone();
            variant.keys.remove("type");
            self.collect(&variant, &place);
        }
    }

    fn values(&mut self, shapes: &ValueShapes, place: &Place, key: &str) {
        for shape in shapes {
            let with = |around| {
                let mut place = place.clone();
                place.push((key.to_owned(), around));
                place
            };
            match shape {
                ValueShape::Table(table) => self.collect(table, &with("{")),
                ValueShape::Array(elements) if matches!(elements[..], [ValueShape::Table(_)]) => {
                    if let ValueShape::Table(table) = &elements[0] {
                        self.collect(table, &with("[{"));
                    }
                }
                shape => self.keys.push((with(""), shape.clone())),
            }
        }
    }
}

/// A file with one value at a place.
fn file(place: &[(String, &'static str)], value: &str) -> String {
    let Some(((key, around), rest)) = place.split_first() else {
        return value.to_owned();
    };
    if key.is_empty() {
        return format!("{around}{}", file(rest, value));
    }
    let inner = file(rest, value);
    match *around {
        "{" => format!("{key} = {{ {inner} }}"),
        "[{" => format!("{key} = [{{ {inner} }}]"),
        _ => format!("{key} = {inner}"),
    }
}

/// A value of a shape.
fn sample(shape: &ValueShape) -> String {
    match shape {
        ValueShape::Text => "\"x\"".to_owned(),
        ValueShape::Word(words) => format!("\"{}\"", words[0]),
        ValueShape::Duration => "\"90s\"".to_owned(),
        ValueShape::Time => "2027-01-01T00:00:00Z".to_owned(),
        ValueShape::Boolean => "true".to_owned(),
        ValueShape::Integer(min, _) => min.to_string(),
        ValueShape::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(sample).collect();
            format!("[{}]", elements.join(", "))
        }
        ValueShape::Table(_) => "{}".to_owned(),
    }
}

/// The codes with which a rule is refused.
fn rule_faults(text: &str) -> BTreeSet<Code> {
    match RuleSet::compile([("rule.toml", text)]) {
        Ok(_) => BTreeSet::new(),
        Err(error) => error.diagnostics().map(|found| found.code).collect(),
    }
}

fn config_faults(text: &str) -> BTreeSet<Code> {
    match Config::read(text, Path::new(""), Secrets::Skip) {
        Ok(_) => BTreeSet::new(),
        Err(error) => {
            let found: Vec<&Diagnostic> = error.diagnostics().collect();
            found.iter().map(|found| found.code).collect()
        }
    }
}

/// What readers take or look at only beside another key, and a key that is refused with its own
/// advice.
const IN_CONFLICT: [&str; 4] = [
    // Without `notify`.
    "message = { zzzzz = \"x\" }",
    // Without `ecs_role`.
    "targets = { some = { type = \"alibaba\", credentials = { metadata = \"x\" } } }",
    // Without `type`.
    "sources = { some = { zzzzz = \"x\" } }",
    "targets = { some = { zzzzz = \"x\" } }",
];

/// Asserts that the reader knows every key of the shape and takes its values, and that it refuses
/// another key exactly in the tables that have none in the shape.
fn assert_same_keys(shape: &TableShape, codes: [Code; 2], faults: fn(&str) -> BTreeSet<Code>) {
    let found = Keys::of(shape);
    assert!(found.keys.len() > 60, "{}", found.keys.len());
    let mut wrong = Vec::new();
    for (place, shape) in &found.keys {
        let text = file(place, &sample(shape));
        let faults = faults(&text);
        let is_refused = codes.iter().any(|code| faults.contains(code));
        if is_refused && !IN_CONFLICT.contains(&text.as_str()) {
            wrong.push(format!("{text}\n{faults:?}"));
        }
    }
    let [unknown_key, _] = codes;
    for (place, is_closed) in &found.tables {
        let text = file(place, "zzzzz = \"x\"");
        let faults = faults(&text);
        if !IN_CONFLICT.contains(&text.as_str()) && faults.contains(&unknown_key) != *is_closed {
            wrong.push(format!("{text}\n{faults:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asserts that no key becomes unknown because another key of its table is wrong.
fn assert_all_are_read(shape: &TableShape, unknown_key: Code, faults: fn(&str) -> BTreeSet<Code>) {
    let mut tables: BTreeMap<&[(String, &str)], BTreeMap<&str, String>> = BTreeMap::new();
    let found = Keys::of(shape);
    for (place, shape) in &found.keys {
        if let Some(((key, _), table)) = place.split_last() {
            let keys = tables.entry(table).or_default();
            keys.entry(key).or_insert_with(|| sample(shape));
        }
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for (table, keys) in tables {
        let separator = if table.is_empty() { "\n" } else { ", " };
        for faulty in keys.keys() {
            for value in ["{}", "[[1]]", "\"\"", "\"\\u0001 a.b/c\"", "-1"] {
                let written = keys.iter().map(|(key, sample)| {
                    let value = if key == faulty { value } else { sample };
                    format!("{key} = {value}")
                });
                let written: Vec<String> = written.collect();
                let text = file(table, &written.join(separator));
                count += 1;
                if faults(&text).contains(&unknown_key) {
                    wrong.push(text);
                }
            }
        }
    }
    assert!(count > 500, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fault_in_one_key_makes_no_other_unknown() {
    assert_all_are_read(&reflexarc::rule_shape(), Code::RULE_KEY, rule_faults);
    assert_all_are_read(&config_shape(), Code::CONFIG_KEY, config_faults);
}

#[test]
fn the_schema_of_rules_has_what_the_reader_knows() {
    let codes = [Code::RULE_KEY, Code::RULE_TYPE];
    assert_same_keys(&reflexarc::rule_shape(), codes, rule_faults);
}

#[test]
fn the_schema_of_the_configuration_has_what_the_reader_knows() {
    let codes = [Code::CONFIG_KEY, Code::CONFIG_TYPE];
    assert_same_keys(&config_shape(), codes, config_faults);
}

/// The keys without a type are those that take anything.
#[test]
fn only_free_values_have_no_type() {
    fn collect(shape: &TableShape, path: &str, found: &mut BTreeSet<String>) {
        for (key, shapes) in &shape.keys {
            if shapes.is_empty() {
                found.insert(format!("{path}{key}"));
            }
            if let Some(table) = shape.table(key) {
                collect(table, &format!("{path}{key}."), found);
            }
        }
        for (name, variant) in &shape.variants {
            collect(variant, &format!("{path}{name}."), found);
        }
    }
    let mut free = BTreeSet::new();
    collect(&reflexarc::rule_shape(), "", &mut free);
    // Of a step, and of a test without steps.
    let of_step = [
        "actions.at",
        "actions.link",
        "actions.operation",
        "actions.parameters",
        "actions.payload",
        "actions.target",
        "actions.text",
        "actions.title",
        "answer.body",
        "pending",
    ];
    let expected: BTreeSet<String> = of_step
        .into_iter()
        .flat_map(|key| [format!("test.{key}"), format!("test.step.{key}")])
        .collect();
    assert_eq!(free, expected);
    let mut free = BTreeSet::new();
    collect(&config_shape(), "", &mut free);
    assert_eq!(free, BTreeSet::new());
}

/// Every key of the schema of rules has a description, or is in a table that has one; and what the
/// template of the configuration explains is in the schema.
#[test]
fn schemas_explain_keys() {
    let schema = reflexarc(&["schema", "rule"]);
    assert_eq!(schema.code, 0, "{}", schema.stderr);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    let keys = schema["properties"].as_object().unwrap();
    for (key, value) in keys {
        assert!(value["description"].is_string(), "{key}");
    }
    let test = keys["test"]["items"]["properties"].as_object().unwrap();
    let of_test = test
        .iter()
        .filter(|(key, _)| !["name", "clock", "step"].contains(&key.as_str()));
    for (key, value) in of_test {
        assert!(value["description"].is_string(), "{key}");
    }

    let schema = reflexarc(&["schema", "config"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    let listen = &schema["properties"]["http"]["properties"]["listen"];
    assert_eq!(listen["description"], "Any other address requires tokens.");
    let email = schema
        .pointer("/properties/targets/additionalProperties/allOf")
        .unwrap();
    let mut of_email = email.as_array().unwrap().iter();
    let is_email = |rule: &&serde_json::Value| rule["if"]["properties"]["type"]["const"] == "email";
    let email = of_email.find(is_email).unwrap();
    let protection = &email["then"]["properties"]["protection"];
    assert_eq!(
        protection["description"],
        "Starttls (587), tls (465), none (25)"
    );
    assert!(TEMPLATE.contains("starttls (587), tls (465), none (25)"));
}
