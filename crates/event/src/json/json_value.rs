//! Other types than [`Json`](super::Json) that are built of JSON text.

use super::cursor::with_unescaped;
use super::read::Value;

/// A type that is built of JSON text without a tree between them.
///
/// ```
/// use reflexarc_event::{Event, FieldSet, JsonValue};
///
/// /// The number of strings in a value.
/// struct Strings(usize);
///
/// impl JsonValue for Strings {
///     type Members = usize;
///     type Elements = usize;
///     fn null() -> Self { Self(0) }
///     fn bool(_: bool) -> Self { Self(0) }
///     fn number(_: &str) -> Self { Self(0) }
///     fn string(_: &str) -> Self { Self(1) }
///     fn member(members: &mut usize, _: &str, value: Self) { *members += value.0; }
///     fn element(elements: &mut usize, value: Self) { *elements += value.0; }
///     fn object(members: usize) -> Self { Self(members) }
///     fn array(elements: usize) -> Self { Self(elements) }
/// }
///
/// let event = Event::from_json(r#"{"id": 7, "tags": ["a", "b", {"c": "d"}]}"#)?;
/// assert_eq!(event.select(&FieldSet::from(["tags"])).build::<Strings>().0, 3);
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
pub trait JsonValue: Sized {
    /// The members of an object so far.
    type Members: Default;
    /// The elements of an array so far.
    type Elements: Default;
    /// `null`.
    fn null() -> Self;
    /// `true` or `false`.
    fn bool(value: bool) -> Self;
    /// A number, by its text.
    fn number(text: &str) -> Self;
    /// A string, without quotes and escapes.
    fn string(text: &str) -> Self;
    /// Adds a member to those of an object, in the order of the text; a key may come again.
    fn member(members: &mut Self::Members, key: &str, value: Self);
    /// Adds an element to those of an array.
    fn element(elements: &mut Self::Elements, value: Self);
    /// An object.
    fn object(members: Self::Members) -> Self;
    /// An array.
    fn array(elements: Self::Elements) -> Self;
}

/// What the parser builds, for a type that wants its strings without escapes.
pub(super) struct Built<V>(pub(super) V);

impl<V: JsonValue> Value<'_> for Built<V> {
    type Members = V::Members;
    type Elements = V::Elements;

    fn null() -> Self {
        Self(V::null())
    }

    fn bool(value: bool) -> Self {
        Self(V::bool(value))
    }

    fn number(text: &str) -> Self {
        Self(V::number(text))
    }

    fn string(raw: &str) -> Self {
        Self(with_unescaped(raw, raw.contains('\\'), V::string))
    }

    fn member(members: &mut Self::Members, raw_key: &str, _: usize, value: Self) {
        let is_escaped = raw_key.contains('\\');
        with_unescaped(raw_key, is_escaped, |key| V::member(members, key, value.0));
    }

    fn element(elements: &mut Self::Elements, value: Self) {
        V::element(elements, value.0);
    }

    fn object(members: Self::Members) -> Self {
        Self(V::object(members))
    }

    fn array(elements: Self::Elements) -> Self {
        Self(V::array(elements))
    }
}
