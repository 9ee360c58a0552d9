//! Converting values from JSON to rhai and back.
//!
//! To rhai: integers within 64 bits are integers; decimals that a float represents exactly as
//! written are floats; every other number is a string, so that no digit is lost. Of duplicate keys
//! the last one counts; maps are sorted by key.
//!
//! | JSON | in a script |
//! |---|---|
//! | `7` | the integer 7 |
//! | `0.50`, `1e3` | the floats 0.5 and 1000.0: they print the same value |
//! | `9223372036854775808` | the string `"9223372036854775808"`: beyond 64 bits |
//! | `0.10000000000000000001` | the string `"0.10000000000000000001"`: the float prints as 0.1 |
//!
//! To JSON: integers and floats are numbers, characters are strings; values that JSON does not have
//! are errors.

use std::sync::OnceLock;

use reflexarc_event::{Decimal, Event, FieldSet, Json, JsonValue, Selected};
use rhai::{Array, Dynamic, Identifier, ImmutableString, Map};

/// An event for scripts, whatever they read of it: each run converts only the fields that its
/// script names. The event as a whole is converted once, for all reactions that use it as a value.
///
/// ```
/// use reflexarc_reaction::{Event, Input, NoState, Reaction, ReactionLimits, RuleInfo};
/// use reflexarc_reaction::{ScriptEvent, Timestamp};
///
/// let event = ScriptEvent::new(&Event::from_json(r#"{"id": 18446744073709551615}"#)?);
/// let rule = RuleInfo::named("r");
/// let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
/// let reaction = Reaction::compile("log(event.id)", &ReactionLimits::DEFAULT)?;
/// assert_eq!(reaction.run(&input, &NoState)?.log, ["18446744073709551615"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ScriptEvent {
    event: Event,
    whole: OnceLock<Dynamic>,
}

/// What a script reads of an event.
pub(crate) enum EventValue<'a> {
    /// There is no event.
    Missing,
    /// Nothing.
    Nothing,
    /// The event as a whole.
    Whole(&'a Dynamic),
    /// Some fields.
    Fields(Selected<'a>),
}

impl ScriptEvent {
    /// The event for scripts.
    pub fn new(event: &Event) -> Self {
        Self {
            event: event.clone(),
            whole: OnceLock::new(),
        }
    }

    /// What is read of the event.
    pub(crate) fn value<'a>(&'a self, read: &'a FieldSet) -> EventValue<'a> {
        if read.is_empty() {
            EventValue::Nothing
        } else if read.is_all() {
            // A copy of it has maps and arrays of its own, and shares the strings.
            EventValue::Whole(self.whole.get_or_init(|| to_script(self.event.tree())))
        } else {
            // A tree costs more than the run of most scripts.
            EventValue::Fields(self.event.select(read))
        }
    }

    /// The length of the event's text: a measure of what copying its value costs.
    pub(crate) fn bytes(&self) -> usize {
        self.event.bytes().len()
    }
}

/// A JSON value as a script value.
pub(crate) fn to_script(json: &Json) -> Dynamic {
    match json {
        Json::Null => Dynamic::UNIT,
        Json::Bool(value) => (*value).into(),
        Json::Number(text) => number_to_script(text),
        Json::String(text) => string(text),
        Json::Array(elements) => {
            Dynamic::from_array(elements.iter().map(to_script).collect::<Array>())
        }
        // rhai's maps are `BTreeMap`s: of a duplicate key the last value stays, and iteration is in
        // the order of the keys, the same every time.
        Json::Object(members) => Dynamic::from_map(
            members
                .iter()
                .map(|(key, value)| (key.as_str().into(), to_script(value)))
                .collect::<Map>(),
        ),
    }
}

fn number_to_script(text: &str) -> Dynamic {
    match number(text) {
        Number::Integer(integer) => integer.into(),
        Number::Float(float) => float.into(),
        Number::Text => text.into(),
    }
}

fn string(text: &str) -> Dynamic {
    // Made of a `&str`, one that does not fit into an `Identifier` would be copied twice.
    let mut string = Identifier::new();
    string.push_str(text);
    ImmutableString::from(string).into()
}

/// What was selected of an event as a script value. Where fields are read of something that is no
/// object, it is there as a whole: whether that is an error, and which, depends on what it is.
pub(crate) fn selected_to_script(selected: &Selected<'_>) -> Dynamic {
    selected.build::<ScriptValue>().0
}

/// A script value that is built of the text of an event, as [`to_script`] builds it of a tree.
struct ScriptValue(Dynamic);

impl JsonValue for ScriptValue {
    type Members = Map;
    type Elements = Array;

    fn null() -> Self {
        Self(Dynamic::UNIT)
    }

    fn bool(value: bool) -> Self {
        Self(value.into())
    }

    fn number(text: &str) -> Self {
        Self(number_to_script(text))
    }

    fn string(text: &str) -> Self {
        Self(string(text))
    }

    fn member(members: &mut Map, key: &str, value: Self) {
        members.insert(key.into(), value.0);
    }

    fn element(elements: &mut Array, value: Self) {
        elements.push(value.0);
    }

    fn object(members: Map) -> Self {
        Self(Dynamic::from_map(members))
    }

    fn array(elements: Array) -> Self {
        Self(Dynamic::from_array(elements))
    }
}

/// What is read of an event as a script value; `()` if that is nothing.
pub(crate) fn fields_to_script(event: &Event, read: &FieldSet) -> Dynamic {
    if read.is_empty() {
        Dynamic::UNIT
    } else if read.is_all() {
        to_script(event.tree())
    } else {
        selected_to_script(&event.select(read))
    }
}

/// A string as it is, any other value as its JSON; `None` for null.
pub(crate) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The bytes of the texts in a JSON value.
pub(crate) fn text_bytes(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) => 0,
        Json::Number(text) => text.len(),
        Json::String(text) => text.len(),
        Json::Array(elements) => elements.iter().map(text_bytes).sum(),
        Json::Object(members) => {
            let members = members.iter();
            members
                .map(|(key, value)| key.len() + text_bytes(value))
                .sum()
        }
    }
}

/// Why a script value cannot be converted to JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// JSON has no such value.
    Kind {
        /// The location in the value: `.a[0]`.
        path: String,
        /// The kind of value, with its article.
        found: String,
    },
    /// The JSON has more bytes than allowed.
    TooLarge,
    /// Arrays and maps are nested deeper than allowed.
    TooDeep,
}

/// The JSON of a script value and the size of its text, if it has at most `max_bytes` and
/// `max_depth` levels of arrays and objects.
pub(crate) fn to_json(
    value: &Dynamic,
    max_bytes: usize,
    max_depth: usize,
) -> Result<(Json, usize), NotJson> {
    let mut writer = Writer {
        bytes_left: max_bytes,
        max_depth,
        depth: 0,
    };
    let json = writer.convert(value)?;
    Ok((json, max_bytes - writer.bytes_left))
}

/// The size of a script value, nested values included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Elements of arrays.
    pub(crate) elements: usize,
    /// Members of maps.
    pub(crate) members: usize,
    /// Bytes of strings and keys.
    pub(crate) text: usize,
}

impl Size {
    pub(crate) fn of(value: &Dynamic) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    fn add(&mut self, value: &Dynamic) {
        // Nested values count with their outer ones, as rhai counts them: [[1, 2], [3]] has 2 + 2 +
        // 1 elements. Otherwise an array of arrays could be as large as the product of the limits.
        if let Ok(text) = value.as_immutable_string_ref() {
            self.text += text.len();
        } else if let Ok(elements) = value.as_array_ref() {
            self.elements += elements.len();
            elements.iter().for_each(|element| self.add(element));
        } else if let Ok(members) = value.as_map_ref() {
            self.members += members.len();
            for (key, member) in members.iter() {
                self.text += key.len();
                self.add(member);
            }
        }
    }
}

/// The kind of a value with its article, in the terms of the reference.
pub(crate) fn kind(value: &Dynamic) -> &'static str {
    kind_of(value.type_name())
}

/// The kind of values of a rhai type.
pub(crate) fn kind_of(type_name: &str) -> &'static str {
    // rhai names a type in several ways: by its own name, in the signature of a function, and by
    // the Rust name where it has no other.
    match type_name {
        "()" => "a missing value (`()`)",
        "bool" => "a boolean",
        "i64" => "an integer",
        "f64" => "a float",
        "char" => "a character",
        "string" | "&str | ImmutableString | String" | "&str" => "a string",
        "array" => "an array",
        "map" => "a map",
        "Fn" => "a function",
        name if name.contains("range") || name.contains("Range") => "a range",
        name if name.ends_with("String") => "a string",
        name if name.contains("Vec<") => "an array",
        name if name.contains("Map<") => "a map",
        _ => "a value of another type",
    }
}

/// Converts one value to JSON.
struct Writer {
    /// The bytes that may still be written.
    bytes_left: usize,
    max_depth: usize,
    /// Levels around the value.
    depth: usize,
}

impl Writer {
    // The size is counted on the way and not measured on the result, so that a value that is too
    // large costs only as much as is allowed: the conversion ends at the byte that exceeds it.
    //
    //     [1, "ab"]    2 brackets + 2 separators + 1 + (2 quotes + 2) = 9
    //     {"k": null}  2 braces + 1 separator + (2 quotes, colon and 1) + 4 = 11
    //
    // A separator is counted for each element, one more than the text has. Escapes are not counted.
    fn convert(&mut self, value: &Dynamic) -> Result<Json, NotJson> {
        if let Ok(text) = value.as_immutable_string_ref() {
            self.spend(2 + text.len())?;
            return Ok(Json::String(text.as_str().to_owned()));
        }
        if let Ok(elements) = value.as_array_ref() {
            self.descend(elements.len())?;
            return elements
                .iter()
                .enumerate()
                .map(|(index, element)| self.inside(element, || format!("[{index}]")))
                .collect::<Result<_, _>>()
                .map(Json::Array);
        }
        if let Ok(members) = value.as_map_ref() {
            self.descend(members.len())?;
            let mut object = Vec::with_capacity(members.len());
            for (key, member) in members.iter() {
                self.spend(3 + key.len())?;
                let member = self.inside(member, || format!(".{key}"))?;
                object.push((key.as_str().to_owned(), member));
            }
            return Ok(Json::Object(object));
        }
        let json = Self::scalar(value)?;
        self.spend(match &json {
            Json::Null => 4,
            Json::Bool(_) => 5,
            Json::Number(text) => text.len(),
            Json::String(text) => 2 + text.len(),
            Json::Array(_) | Json::Object(_) => 0,
        })?;
        Ok(json)
    }

    fn scalar(value: &Dynamic) -> Result<Json, NotJson> {
        if value.is_unit() {
            Ok(Json::Null)
        } else if let Ok(truth) = value.as_bool() {
            Ok(Json::Bool(truth))
        } else if let Ok(integer) = value.as_int() {
            Ok(Json::from(integer))
        } else if let Ok(character) = value.as_char() {
            Ok(Json::String(character.to_string()))
        } else {
            match value.as_float() {
                // `{:?}` prints the shortest digits that read back as the same float, with a point
                // or an exponent: 1.0, not 1. So a float stays a float when it is read again.
                Ok(float) if float.is_finite() => Ok(Json::Number(format!("{float:?}").into())),
                Ok(float) => Err(not_json(format!("the number {float}"))),
                Err(_) => Err(not_json(kind(value).to_owned())),
            }
        }
    }

    /// The JSON of a nested value; `step` is the way to it.
    fn inside(&mut self, value: &Dynamic, step: impl FnOnce() -> String) -> Result<Json, NotJson> {
        self.depth += 1;
        let json = self.convert(value);
        self.depth -= 1;
        json.map_err(|error| match error {
            NotJson::Kind { path, found } => NotJson::Kind {
                path: step() + path.as_str(),
                found,
            },
            other => other,
        })
    }

    fn descend(&mut self, inside: usize) -> Result<(), NotJson> {
        // Before going deeper, not after: the conversion itself is recursive.
        if self.depth >= self.max_depth {
            return Err(NotJson::TooDeep);
        }
        self.spend(2 + inside)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), NotJson> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes)
            .ok_or(NotJson::TooLarge)?;
        Ok(())
    }
}

/// The error for a value that JSON does not have.
fn not_json(found: String) -> NotJson {
    NotJson::Kind {
        path: String::new(),
        found,
    }
}

/// How a number of an event is represented in scripts and templates.
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
    /// As the string of its text.
    Text,
}

/// The representation of the number with this text.
pub(crate) fn number(text: &str) -> Number {
    if let Ok(integer) = text.parse() {
        return Number::Integer(integer);
    }
    // An integer beyond 64 bits has no point or exponent and stays a string: account numbers and
    // ids are compared digit by digit, and 2^64 as a float equals its neighbours.
    match text.parse::<f64>() {
        Ok(float)
            if text.contains(['.', 'e', 'E'])
                && text
                    .parse::<Decimal>()
                    .is_ok_and(|exact| exact.fits_double()) =>
        {
            Number::Float(float)
        }
        _ => Number::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script_value(text: &str) -> Dynamic {
        to_script(&Json::parse(text).unwrap())
    }

    #[test]
    fn every_digit_of_a_number_is_kept() {
        assert_eq!(script_value("9223372036854775807").as_int(), Ok(i64::MAX));
        assert_eq!(
            script_value("9223372036854775808").into_string().unwrap(),
            "9223372036854775808"
        );
        for float in [
            "0.1",
            "1.0",
            "1.50",
            "1e3",
            "3.0e2",
            "-2.5E-1",
            "5e-324",
            "0e99999999999999999999",
            "0.0",
        ] {
            assert_eq!(
                script_value(float).as_float(),
                Ok(float.parse().unwrap()),
                "{float}"
            );
        }
        for text in [
            "0.1000000000000000055511151231257827",
            "1e400",
            "1e-400",
            "12345678901234567890.5",
        ] {
            assert_eq!(script_value(text).into_string().unwrap(), text);
        }
    }

    #[test]
    fn json_survives_conversion_to_a_script_value() {
        let text = r#"{"a":[1,-9223372036854775808,1.5,1e300,null,true,"网卡\n"],"b":{"c":{}}}"#;
        let (json, bytes) = to_json(&script_value(text), 1000, 9).unwrap();
        assert_eq!(json.to_string(), text);
        assert!(
            bytes >= text.len() - 1,
            "{bytes} counts the text without escapes"
        );
    }

    #[test]
    fn values_without_json_form_are_located() {
        let mut inner = Map::new();
        inner.insert("f".into(), Dynamic::from_float(f64::NAN));
        let value = Dynamic::from_array(vec![Dynamic::UNIT, Dynamic::from_map(inner)]);
        let Err(NotJson::Kind { path, found }) = to_json(&value, 1000, 9) else {
            panic!("NaN was converted")
        };
        assert_eq!((path.as_str(), found.as_str()), ("[1].f", "the number NaN"));
        assert_eq!(to_json(&"12345".into(), 6, 9), Err(NotJson::TooLarge));
        assert!(to_json(&script_value("[[{}]]"), 1000, 3).is_ok());
        assert_eq!(
            to_json(&script_value("[[{}]]"), 1000, 2),
            Err(NotJson::TooDeep)
        );
    }
}
