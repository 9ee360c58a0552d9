//! Rows of Arrow structs as JSON text.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, OffsetSizeTrait, StringArray, StringViewArray,
};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use reflexarc_pattern::Path;

/// Writes the values of one array.
pub(crate) struct Encoder {
    nulls: Option<NullBuffer>,
    values: Values,
}

/// Why a row has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("event{path}: {what} has no JSON form")]
pub(crate) struct ValueError {
    path: String,
    what: String,
}

/// A place in the struct.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// As in messages: `["content"]["eniId"]`.
    shown: &'a str,
    /// As in patterns: `content.eniId`.
    path: &'a str,
    /// The paths that patterns read.
    read: &'a [Path],
}

enum Values {
    Null,
    Bool(BooleanArray),
    /// Integers and decimals, as their digits.
    Digits(StringArray),
    Floats(Float64Array, Unreadable),
    Text(StringViewArray),
    /// Each with its key as JSON, a colon behind it.
    Struct(Vec<(String, Encoder)>),
    List(Box<Encoder>, Vec<usize>),
    /// Keys and values of the entries, and where those of each row begin.
    Map(StringViewArray, Box<Encoder>, Vec<usize>),
    Unreadable(Unreadable),
}

/// Values without a JSON form.
struct Unreadable {
    path: String,
    what: String,
    /// Whether a pattern reads them, which is an error. Others are left out: no pattern can tell.
    is_read: bool,
}

impl Encoder {
    /// An encoder of the rows of a struct, of which patterns read `read`.
    ///
    /// # Errors
    /// If an array is invalid.
    pub(crate) fn new(rows: &ArrayRef, read: &[Path]) -> Result<Self, ArrowError> {
        let place = Place {
            shown: "",
            path: "",
            read,
        };
        Self::at(rows, place)
    }

    /// Writes the value of a row.
    pub(crate) fn write(&self, row: usize, out: &mut String) -> Result<(), ValueError> {
        if !self.write_readable(row, out)? {
            out.push_str("null");
        }
        Ok(())
    }

    fn at(array: &ArrayRef, place: Place<'_>) -> Result<Self, ArrowError> {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            kind if kind.is_integer() => Values::Digits(digits(array)?),
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Values::Digits(digits(array)?),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                let floats = cast(array, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>().clone();
                Values::Floats(floats, place.unreadable("a number that is not finite"))
            }
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..) => Values::Text(text(array)?),
            DataType::Dictionary(_, kind) => return Self::at(&cast(array, kind)?, place),
            DataType::Struct(fields) => {
                let members = fields.iter().zip(array.as_struct().columns());
                let members = members.map(|(field, column)| member(field.name(), column, place));
                Values::Struct(members.collect::<Result<_, _>>()?)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                list_values(list.values(), list.value_offsets(), place)?
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                list_values(list.values(), list.value_offsets(), place)?
            }
            DataType::FixedSizeList(field, _) => {
                let list = cast(array, &DataType::List(field.clone()))?;
                return Self::at(&list, place);
            }
            DataType::Map(entries, _) if has_text_keys(entries.data_type()) => {
                let map = array.as_map();
                let (offsets, from, len) = rebased(map.value_offsets());
                let keys = text(&map.keys().slice(from, len))?;
                // Its keys are data: what patterns read below the map may be any of them.
                let values = Self::at(&map.values().slice(from, len), place)?;
                Values::Map(keys, Box::new(values), offsets)
            }
            kind => Values::Unreadable(place.unreadable(&format!("a value of type {kind}"))),
        };
        let nulls = array.logical_nulls();
        Ok(Self { nulls, values })
    }

    /// Returns whether it has written anything: not for a value without a JSON form.
    fn write_readable(&self, row: usize, out: &mut String) -> Result<bool, ValueError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.push_str("null");
            return Ok(true);
        }
        match &self.values {
            Values::Null => out.push_str("null"),
            Values::Bool(values) => out.push_str(if values.value(row) { "true" } else { "false" }),
            Values::Digits(digits) => out.push_str(digits.value(row)),
            Values::Floats(values, unreadable) => {
                let value = values.value(row);
                if !value.is_finite() {
                    return unreadable.refuse();
                }
                // Debug and not Display: 1e300 has 301 digits.
                let _ = write!(out, "{value:?}");
            }
            Values::Text(texts) => push_text(texts.value(row), out),
            Values::Struct(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| (key.as_str(), value, row));
                write_members(members, out)?;
            }
            Values::List(elements, offsets) => {
                out.push('[');
                for element in offsets[row]..offsets[row + 1] {
                    if element > offsets[row] {
                        out.push(',');
                    }
                    elements.write(element, out)?;
                }
                out.push(']');
            }
            Values::Map(keys, values, offsets) => {
                let entries = offsets[row]..offsets[row + 1];
                let keys: Vec<String> =
                    entries.clone().map(|at| json_key(keys.value(at))).collect();
                let entries = keys.iter().zip(entries);
                write_members(entries.map(|(key, at)| (key.as_str(), &**values, at)), out)?;
            }
            Values::Unreadable(unreadable) => return unreadable.refuse(),
        }
        Ok(true)
    }
}

impl Place<'_> {
    fn unreadable(&self, what: &str) -> Unreadable {
        // The patterns read this value, something in it, or something that it is in.
        let is_read = self.path.is_empty()
            || self.read.iter().any(|read| {
                let read = read.as_str();
                is_prefix(read, self.path) || is_prefix(self.path, read)
            });
        Unreadable {
            path: self.shown.to_owned(),
            what: what.to_owned(),
            is_read,
        }
    }
}

impl Unreadable {
    fn refuse(&self) -> Result<bool, ValueError> {
        if !self.is_read {
            return Ok(false);
        }
        Err(ValueError {
            path: self.path.clone(),
            what: self.what.clone(),
        })
    }
}

/// Whether a path is another one or leads to it.
fn is_prefix(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A member of a struct: its key as JSON, and its values.
fn member(
    name: &str,
    column: &ArrayRef,
    place: Place<'_>,
) -> Result<(String, Encoder), ArrowError> {
    let shown = format!("{}[{name:?}]", place.shown);
    let path = match place.path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    let place = Place {
        shown: &shown,
        path: &path,
        ..place
    };
    Ok((json_key(name), Encoder::at(column, place)?))
}

fn list_values<O: OffsetSizeTrait>(
    values: &ArrayRef,
    offsets: &[O],
    place: Place<'_>,
) -> Result<Values, ArrowError> {
    let (offsets, from, len) = rebased(offsets);
    let elements = Encoder::at(&values.slice(from, len), place)?;
    Ok(Values::List(Box::new(elements), offsets))
}

/// Offsets that begin at 0, and the part of the values that they are about. A slice of rows keeps
/// all values: encoding them for each slice would take time quadratic in the rows.
fn rebased<O: OffsetSizeTrait>(offsets: &[O]) -> (Vec<usize>, usize, usize) {
    let offsets: Vec<usize> = offsets.iter().map(|offset| offset.as_usize()).collect();
    let from = offsets.first().copied().unwrap_or_default();
    let to = offsets.last().copied().unwrap_or_default();
    let rebased = offsets.iter().map(|offset| offset - from).collect();
    (rebased, from, to - from)
}

fn has_text_keys(entries: &DataType) -> bool {
    let DataType::Struct(fields) = entries else {
        return false;
    };
    let key = fields.first().map(|field| field.data_type());
    key.is_some_and(DataType::is_string)
}

fn digits(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let digits = cast(array, &DataType::Utf8)?;
    Ok(digits.as_string::<i32>().clone())
}

fn text(array: &ArrayRef) -> Result<StringViewArray, ArrowError> {
    let texts = cast(array, &DataType::Utf8View)?;
    Ok(texts.as_string_view().clone())
}

/// Writes an object; each member is a key as JSON and the value of a row.
fn write_members<'a>(
    members: impl Iterator<Item = (&'a str, &'a Encoder, usize)>,
    out: &mut String,
) -> Result<(), ValueError> {
    out.push('{');
    let mut is_first = true;
    for (key, value, row) in members {
        let before = out.len();
        if !is_first {
            out.push(',');
        }
        out.push_str(key);
        if value.write_readable(row, out)? {
            is_first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push('}');
    Ok(())
}

/// `"name":`
fn json_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 3);
    push_text(name, &mut key);
    key.push(':');
    key
}

/// Writes a text as a JSON string.
fn push_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        let escaped = rest.as_bytes()[at];
        if escaped < b' ' {
            let _ = write!(out, "\\u{escaped:04x}");
        } else {
            out.push('\\');
            out.push(char::from(escaped));
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
