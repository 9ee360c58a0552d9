//! `expect`: the keys that `absent_for` waits for although no event has come.

use std::collections::BTreeSet;

use reflexarc_diagnostic::toml::{DeValue, Spanned, ValueShape};
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_event::Json;
use reflexarc_pattern::canonical_scalar;

use crate::event_key::MAX_KEY_BYTES;
use crate::rule_file::RuleReader;

/// Reads the key; values as [`EventKey::of`](crate::event_key::EventKey::of) makes them.
pub(super) fn read(reader: &RuleReader<'_>, max_pending: usize) -> Vec<Json> {
    let (root, by) = (reader.root, reader.by);
    // Of strings, numbers and booleans, or of arrays of them: `key` says it better.
    root.declare("expect", vec![ValueShape::Array(Vec::new())]);
    let Some(value) = root.lookup("expect") else {
        return Vec::new();
    };
    let DeValue::Array(elements) = value.get_ref() else {
        root.fault(
            "expect",
            Code::RULE_TYPE,
            "`expect`: expected an array of keys",
            "write expect = [\"cn-hangzhou\", \"cn-beijing\"]",
        );
        return Vec::new();
    };
    let paths = by.map_or(0, |by| by.paths().len());
    if paths == 0 {
        // A `by` that could not be read was reported.
        if by.is_some() || !reader.has("by") {
            root.fault(
                "expect",
                Code::RULE_CONFLICT,
                "`expect` needs `by`",
                "name the field that has these values, for example by = \"regionId\"",
            );
        }
        return Vec::new();
    }
    if elements.is_empty() {
        let help = "list at least one key, or remove `expect`";
        root.fault("expect", Code::RULE_VALUE, "`expect` is empty", help);
    }
    if elements.len() > max_pending {
        let message = format!(
            "`expect` has {} keys, more than the {max_pending} of `max_pending`",
            elements.len()
        );
        root.fault("expect", Code::RULE_LIMIT, message, "raise `max_pending`");
    }
    let mut seen = BTreeSet::new();
    let keys = elements.iter().filter_map(|element| {
        let fault = |code, message: String, help: &str| {
            let fault = Diagnostic::error(code, element.span(), message);
            root.report(fault.with_help(help));
        };
        let Some(key) = key(element, paths) else {
            let (message, help) = if paths == 1 {
                (
                    "expected a string, a number or a boolean".to_owned(),
                    "write the value of `by`, for example \"cn-hangzhou\"",
                )
            } else {
                (
                    format!("expected an array of {paths} values, one for each path of `by`"),
                    "write them in the order of `by`: [\"cn-hangzhou\", \"1\"]",
                )
            };
            fault(Code::RULE_TYPE, format!("`expect`: {message}"), help);
            return None;
        };
        let text = key.to_string();
        if text.len() > MAX_KEY_BYTES {
            let message = format!("a key of `expect` has more than {MAX_KEY_BYTES} bytes");
            fault(
                Code::RULE_LIMIT,
                message,
                "no event with this key is followed",
            );
            return None;
        }
        // Values that filters take for equal are one key: `1` and `1.0`.
        if !seen.insert(text) {
            let message = format!("duplicate key {key} in `expect`");
            fault(Code::RULE_VALUE, message, "remove one of them");
            return None;
        }
        Some(key)
    });
    keys.collect()
}

/// A value, or an array of them if there are several paths.
fn key(value: &Spanned<DeValue<'_>>, paths: usize) -> Option<Json> {
    if paths == 1 {
        return scalar(value.get_ref());
    }
    let DeValue::Array(values) = value.get_ref() else {
        return None;
    };
    let values: Option<Vec<Json>> = values.iter().map(|value| scalar(value.get_ref())).collect();
    let values = values.filter(|values| values.len() == paths)?;
    Some(Json::Array(values))
}

fn scalar(value: &DeValue<'_>) -> Option<Json> {
    let json = match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Boolean(value) => Json::from(*value),
        // Decimal digits of any number are a number of JSON; other radixes have 64 bits.
        DeValue::Integer(number) if number.radix() == 10 => decimal(number.as_str())?,
        DeValue::Integer(number) => {
            Json::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        // `inf` and `nan` are no numbers of JSON.
        DeValue::Float(number) => decimal(number.as_str())?,
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    };
    canonical_scalar(&json)
}

/// `+1_000.5` is 1000.5.
fn decimal(text: &str) -> Option<Json> {
    let text = text.trim_start_matches('+').replace('_', "");
    Json::parse(&text)
        .ok()
        .filter(|json| matches!(json, Json::Number(_)))
}
