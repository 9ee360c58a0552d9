//! Values on their way into a script and out of it.
//!
//! In: integers within i64 arrive as integers; decimals whose value is what a double prints arrive as floats; every other
//! number arrives as its text, so that no digit is lost. Of duplicate keys the last one counts; maps are sorted by key.
//! Out: integers and floats as numbers, characters as strings; what JSON cannot hold is an error.

use reflexarc_event::{Decimal, Event, Json};
use rhai::{Array, Dynamic, Map};

/// An event as scripts see it: converted once, shared by all reactions to it.
#[derive(Debug, Clone)]
pub struct ScriptEvent {
    value: Dynamic,
    bytes: usize,
}

impl ScriptEvent {
    /// Converts the event.
    pub fn new(event: &Event) -> Self {
        Self {
            value: to_script(event.tree()),
            bytes: event.bytes().len(),
        }
    }

    pub(crate) fn value(&self) -> Dynamic {
        self.value.clone()
    }

    /// How long the event's text is: what copying the value costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A JSON value as scripts see it.
pub(crate) fn to_script(json: &Json) -> Dynamic {
    match json {
        Json::Null => Dynamic::UNIT,
        Json::Bool(value) => (*value).into(),
        Json::Number(text) => match number(text) {
            Number::Integer(integer) => integer.into(),
            Number::Float(float) => float.into(),
            Number::Text => text.as_ref().into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => {
            Dynamic::from_array(elements.iter().map(to_script).collect::<Array>())
        }
        Json::Object(members) => Dynamic::from_map(
            members
                .iter()
                .map(|(key, value)| (key.as_str().into(), to_script(value)))
                .collect::<Map>(),
        ),
    }
}

/// A scalar as text; an array or object as its JSON; nothing for null.
pub(crate) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Why a script's value is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// There is no such thing in JSON.
    Kind {
        /// Where in the value, as in `.a[0]`.
        path: String,
        /// What it is, with its article.
        found: String,
    },
    /// The JSON would be longer than allowed.
    TooLarge,
    /// Arrays and maps are nested deeper than whoever reads the JSON accepts.
    TooDeep,
}

/// The JSON of a script's value, with the bytes that its text takes, if that is no more than `allowed` and no more than
/// `depth` levels of arrays and objects.
pub(crate) fn to_json(
    value: &Dynamic,
    allowed: usize,
    depth: usize,
) -> Result<(Json, usize), NotJson> {
    let mut writer = Writer {
        left: allowed,
        depth,
        path: Vec::new(),
    };
    let json = writer.convert(value)?;
    Ok((json, allowed - writer.left))
}

/// How much a script's value holds, everything inside included.
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

/// What a value is, with its article, in the words of the reference.
pub(crate) fn kind(value: &Dynamic) -> &'static str {
    kind_of(value.type_name())
}

/// The same for a type's name in rhai.
pub(crate) fn kind_of(type_name: &str) -> &'static str {
    match type_name {
        "()" => "nothing, `()`",
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
        _ => "something else",
    }
}

/// One step into a value.
enum Step {
    Key(String),
    Index(usize),
}

/// A value on its way out.
struct Writer {
    /// The bytes that may still be written.
    left: usize,
    depth: usize,
    path: Vec<Step>,
}

impl Writer {
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
                .map(|(index, element)| self.inside(Step::Index(index), element))
                .collect::<Result<_, _>>()
                .map(Json::Array);
        }
        if let Ok(members) = value.as_map_ref() {
            self.descend(members.len())?;
            let mut object = Vec::with_capacity(members.len());
            for (key, member) in members.iter() {
                self.spend(3 + key.len())?;
                object.push((
                    key.to_string(),
                    self.inside(Step::Key(key.to_string()), member)?,
                ));
            }
            return Ok(Json::Object(object));
        }
        let json = self.scalar(value)?;
        self.spend(match &json {
            Json::Null => 4,
            Json::Bool(_) => 5,
            Json::Number(text) => text.len(),
            Json::String(text) => 2 + text.len(),
            Json::Array(_) | Json::Object(_) => 0,
        })?;
        Ok(json)
    }

    fn scalar(&self, value: &Dynamic) -> Result<Json, NotJson> {
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
                Ok(float) if float.is_finite() => Ok(Json::Number(format!("{float:?}").into())),
                Ok(float) => Err(self.not_json(format!("the number {float}"))),
                Err(_) => Err(self.not_json(kind(value).to_owned())),
            }
        }
    }

    fn inside(&mut self, step: Step, value: &Dynamic) -> Result<Json, NotJson> {
        self.path.push(step);
        let json = self.convert(value)?;
        self.path.pop();
        Ok(json)
    }

    fn descend(&mut self, inside: usize) -> Result<(), NotJson> {
        if self.path.len() >= self.depth {
            return Err(NotJson::TooDeep);
        }
        self.spend(2 + inside)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), NotJson> {
        self.left = self.left.checked_sub(bytes).ok_or(NotJson::TooLarge)?;
        Ok(())
    }

    fn not_json(&self, found: String) -> NotJson {
        let steps = self.path.iter().map(|step| match step {
            Step::Key(key) => format!(".{key}"),
            Step::Index(index) => format!("[{index}]"),
        });
        NotJson::Kind {
            path: steps.collect::<Vec<_>>().concat(),
            found,
        }
    }
}

/// How a number arrives.
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
    /// As its text.
    Text,
}

/// How the number of this text arrives.
pub(crate) fn number(text: &str) -> Number {
    if let Ok(integer) = text.parse() {
        return Number::Integer(integer);
    }
    match text.parse::<f64>() {
        Ok(float)
            if text.contains(['.', 'e', 'E'])
                && Decimal::parse(text).is_some_and(|exact| exact.fits_double()) =>
        {
            Number::Float(float)
        }
        _ => Number::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrives(text: &str) -> Dynamic {
        to_script(&Json::parse(text).unwrap())
    }

    #[test]
    fn no_digit_is_lost_on_the_way_in() {
        assert_eq!(arrives("9223372036854775807").as_int(), Ok(i64::MAX));
        assert_eq!(
            arrives("9223372036854775808").into_string().unwrap(),
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
                arrives(float).as_float(),
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
            assert_eq!(arrives(text).into_string().unwrap(), text);
        }
    }

    #[test]
    fn out_and_in_again_is_the_same() {
        let text = r#"{"a":[1,-9223372036854775808,1.5,1e300,null,true,"网卡\n"],"b":{"c":{}}}"#;
        let (json, bytes) = to_json(&arrives(text), 1000, 9).unwrap();
        assert_eq!(json.to_string(), text);
        assert!(
            bytes >= text.len() - 1,
            "{bytes} counts all of the text but escapes"
        );
    }

    #[test]
    fn what_json_cannot_hold_is_named() {
        let mut inner = Map::new();
        inner.insert("f".into(), Dynamic::from_float(f64::NAN));
        let value = Dynamic::from_array(vec![Dynamic::UNIT, Dynamic::from_map(inner)]);
        let Err(NotJson::Kind { path, found }) = to_json(&value, 1000, 9) else {
            panic!("NaN went through")
        };
        assert_eq!((path.as_str(), found.as_str()), ("[1].f", "the number NaN"));
        assert_eq!(to_json(&"12345".into(), 6, 9), Err(NotJson::TooLarge));
        assert!(to_json(&arrives("[[{}]]"), 1000, 3).is_ok());
        assert_eq!(to_json(&arrives("[[{}]]"), 1000, 2), Err(NotJson::TooDeep));
    }
}
