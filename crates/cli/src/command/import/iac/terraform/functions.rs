//! Functions of Terraform that patterns are made with.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::expr::FuncCall;
use reflexarc_event::Json;

use super::super::value::Value;
use super::evaluate::{Bindings, Scope, select};
use super::template;

/// The result of a function call.
pub(super) fn call(call: &FuncCall, scope: &Scope<'_>, bound: Bindings<'_>, depth: usize) -> Value {
    let name = call.name.name.as_str();
    let values = call.args.iter();
    let mut values: Vec<Value> = values
        .map(|one| scope.value_at(one, bound, depth + 1))
        .collect();
    if call.args.expand_final() {
        match values.pop() {
            Some(Value::List(last)) => values.extend(last),
            Some(Value::Unknown(reason)) => return Value::Unknown(reason),
            _ => return Value::Unknown(format!("{name}(…...) expects a list")),
        }
    }
    // These take values that are not known completely.
    match (name, values.as_mut_slice()) {
        ("jsonencode", [value]) => {
            let value = std::mem::replace(value, Value::Null);
            return match value {
                Value::Unknown(reason) => Value::Unknown(reason),
                value => match value.to_json() {
                    Ok(json) => Value::Text(json.to_string()),
                    Err(_) => Value::Encoded(Box::new(value)),
                },
            };
        }
        ("jsondecode", [Value::Encoded(value)]) => {
            return std::mem::replace(value.as_mut(), Value::Null);
        }
        (
            "tolist" | "toset" | "tomap" | "tostring" | "tonumber" | "sensitive" | "nonsensitive",
            [value],
        ) => {
            return convert(name, std::mem::replace(value, Value::Null));
        }
        ("concat" | "setunion" | "flatten" | "merge", _) => {
            return collect(name, values);
        }
        ("try", _) => {
            let known = values.iter().find(|value| value.unknown().is_none());
            let first = known.or(values.first()).cloned();
            return first.unwrap_or(Value::Null);
        }
        ("coalesce", _) => {
            let empty =
                |value: &&Value| !matches!(value, Value::Null) && value.as_str() != Some("");
            let first = values.iter().find(empty).cloned();
            return first.unwrap_or_else(|| unexpected(name));
        }
        ("lookup", [map, key, default @ ..]) => {
            let key = key.to_text().unwrap_or_default();
            return match (select(map, &key), default) {
                (Ok(value), _) => value,
                (Err(Some(reason)), _) => Value::Unknown(reason),
                (Err(None), [default, ..]) => default.clone(),
                (Err(None), []) => Value::Unknown(format!("lookup: no key `{key}`")),
            };
        }
        _ => {}
    }
    if let Some(reason) = values.iter().find_map(Value::unknown) {
        return Value::Unknown(reason.to_owned());
    }
    scope.charge(known(name, &values, scope, depth))
}

/// Functions of known values.
fn known(name: &str, values: &[Value], scope: &Scope<'_>, depth: usize) -> Value {
    let first = values.first().and_then(Value::to_text).unwrap_or_default();
    let result = match (name, values) {
        ("jsondecode", [Value::Text(json)]) => match Json::parse(json) {
            Ok(json) => Some(Value::from(&json)),
            Err(error) => return Value::Unknown(format!("jsondecode: {error}")),
        },
        ("file", [_]) => return scope.files.read(scope.module, &first),
        ("templatefile", [_, names]) => {
            let file = scope.files.read(scope.module, &first);
            let Value::Text(source) = file else {
                return file;
            };
            let names: Vec<(String, Value)> = names
                .members()
                .iter()
                .map(|one| (one.key.clone(), one.value.clone()))
                .collect();
            match hcl_edit::parser::parse_template(&source) {
                Ok(parsed) => Some(template::evaluate(parsed.iter(), scope, &names, depth + 1)),
                Err(error) => {
                    return Value::Unknown(format!("templatefile: {}", error.message()));
                }
            }
        }
        ("can", [_]) => Some(Value::Bool(true)),
        _ if TEXT_FUNCTIONS.contains(&name) => of_texts(name, values),
        _ if LIST_FUNCTIONS.contains(&name) => of_collections(name, values),
        _ => return Value::Unknown(format!("the function `{name}` is not supported here")),
    };
    result.unwrap_or_else(|| unexpected(name))
}

const TEXT_FUNCTIONS: [&str; 11] = [
    "join",
    "split",
    "format",
    "formatlist",
    "lower",
    "upper",
    "trimspace",
    "chomp",
    "trimprefix",
    "trimsuffix",
    "replace",
];

const LIST_FUNCTIONS: [&str; 8] = [
    "length", "element", "keys", "values", "contains", "distinct", "sort", "compact",
];

/// Functions of texts.
fn of_texts(name: &str, values: &[Value]) -> Option<Value> {
    let texts: Vec<Option<String>> = values.iter().map(Value::to_text).collect();
    let text = |at: usize| texts.get(at).cloned().flatten();
    match (name, values) {
        ("join", [_, lists @ ..]) => {
            let parts: Option<Vec<String>> = lists
                .iter()
                .flat_map(Value::elements)
                .map(Value::to_text)
                .collect();
            text(0)
                .zip(parts)
                .map(|(separator, parts)| Value::Text(parts.join(&separator)))
        }
        ("split", [_, _]) => text(0).zip(text(1)).map(|(separator, whole)| {
            Value::List(whole.split(&separator).map(Value::from).collect())
        }),
        ("format", [_, arguments @ ..]) => text(0).and_then(|format| formatted(&format, arguments)),
        ("formatlist", [_, list]) => text(0).and_then(|format| {
            let each = list.elements().iter();
            let each = each.map(|one| formatted(&format, std::slice::from_ref(one)));
            each.collect::<Option<Vec<_>>>().map(Value::List)
        }),
        ("lower", [_]) => text(0).map(|text| Value::Text(text.to_lowercase())),
        ("upper", [_]) => text(0).map(|text| Value::Text(text.to_uppercase())),
        ("trimspace" | "chomp", [_]) => text(0).map(|text| Value::from(text.trim())),
        ("trimprefix", [_, _]) => text(0)
            .zip(text(1))
            .map(|(whole, part)| Value::from(whole.strip_prefix(part.as_str()).unwrap_or(&whole))),
        ("trimsuffix", [_, _]) => text(0)
            .zip(text(1))
            .map(|(whole, part)| Value::from(whole.strip_suffix(part.as_str()).unwrap_or(&whole))),
        // A pattern between slashes is a regular expression.
        ("replace", [_, _, _]) => match (text(0), text(1), text(2)) {
            (Some(whole), Some(from), Some(to)) if !from.starts_with('/') && !from.is_empty() => {
                Some(Value::Text(whole.replace(&from, &to)))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Functions of lists and maps.
fn of_collections(name: &str, values: &[Value]) -> Option<Value> {
    match (name, values) {
        ("length", [value]) => {
            let length = match value {
                Value::Text(text) => text.chars().count(),
                Value::Map(members) => members.len(),
                value => value.elements().len(),
            };
            Some(Value::Number(length.to_string()))
        }
        ("element", [Value::List(list), _]) => {
            let index = values.get(1).and_then(Value::to_text);
            let index: Option<usize> = index.and_then(|index| index.parse().ok());
            index
                .and_then(|index| list.get(index.checked_rem(list.len())?))
                .cloned()
        }
        ("keys", [Value::Map(members)]) => {
            let mut keys: Vec<&str> = members.iter().map(|one| one.key.as_str()).collect();
            keys.sort_unstable();
            Some(Value::List(keys.into_iter().map(Value::from).collect()))
        }
        ("values", [Value::Map(members)]) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|one, other| one.key.cmp(&other.key));
            Some(Value::List(
                members.into_iter().map(|one| one.value.clone()).collect(),
            ))
        }
        ("contains", [list, value]) => Some(Value::Bool(list.elements().contains(value))),
        ("distinct", [list]) => Some(distinct(list.elements())),
        ("sort", [list]) => {
            let parts: Option<Vec<String>> = list.elements().iter().map(Value::to_text).collect();
            parts.map(|mut parts| {
                parts.sort();
                Value::List(parts.into_iter().map(Value::Text).collect())
            })
        }
        ("compact", [list]) => {
            let kept = list
                .elements()
                .iter()
                .filter(|one| !matches!(one, Value::Null) && one.as_str() != Some(""));
            Some(Value::List(kept.cloned().collect()))
        }
        _ => None,
    }
}

fn convert(name: &str, value: Value) -> Value {
    match (name, value) {
        ("toset", Value::List(elements)) => distinct(&elements),
        ("tostring", value @ (Value::Bool(_) | Value::Number(_))) => {
            Value::Text(value.to_text().unwrap_or_default())
        }
        ("tonumber", Value::Text(text)) if Json::parse(&text).is_ok() => Value::Number(text),
        (_, value) => value,
    }
}

/// Lists and maps made of others. Unknown parts stay where they are, unless a whole list or map
/// is not known.
fn collect(name: &str, values: Vec<Value>) -> Value {
    let whole = |value: &Value| match value {
        Value::Unknown(reason) => Some(Value::Unknown(reason.clone())),
        _ => None,
    };
    if let Some(unknown) = values.iter().find_map(whole) {
        return unknown;
    }
    if name == "merge" {
        // Terraform sorts the keys of maps.
        let members = values.iter().flat_map(Value::members);
        let merged: BTreeMap<String, Value> = members
            .map(|member| (member.key.clone(), member.value.clone()))
            .collect();
        return Value::map(merged);
    }
    let mut elements = Vec::new();
    for value in values {
        match value {
            Value::List(list) if name == "flatten" => flatten(list, &mut elements),
            Value::List(list) => elements.extend(list),
            _ => return unexpected(name),
        }
    }
    if name == "setunion" {
        return distinct(&elements);
    }
    Value::List(elements)
}

fn flatten(list: Vec<Value>, elements: &mut Vec<Value>) {
    for value in list {
        match value {
            Value::List(inner) => flatten(inner, elements),
            value => elements.push(value),
        }
    }
}

fn distinct(elements: &[Value]) -> Value {
    let mut seen = BTreeSet::new();
    let kept = elements.iter().filter(|element| seen.insert(*element));
    Value::List(kept.cloned().collect())
}

/// `format` with the verbs `%s`, `%d`, `%v` and `%%`.
fn formatted(format: &str, arguments: &[Value]) -> Option<Value> {
    let mut arguments = arguments.iter();
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => text.push('%'),
            's' | 'd' | 'v' => text.push_str(&arguments.next()?.to_text()?),
            _ => return None,
        }
    }
    Some(Value::Text(text))
}

fn unexpected(name: &str) -> Value {
    Value::Unknown(format!(
        "`{name}` has arguments that are not supported here"
    ))
}
