//! Valid JSON as text: the members of an object without trees of their values, and writing a value
//! in the compact form that trees have.

use super::read::unescape;
use super::walk::{closing_quote, number_end, skip, space_end};
use super::write::write_string;

/// A member of an object; the value is its text, valid JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawMember<'t> {
    pub(crate) key: &'t str,
    pub(crate) value: &'t str,
}

/// The members of the object that a valid text is; `None` if it is no object, or if a key has an
/// escape sequence.
pub(crate) fn raw_members(text: &str) -> Option<Vec<RawMember<'_>>> {
    let bytes = text.as_bytes();
    let mut at = space_end(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    // An event of ECS has up to 20 members on each level.
    let mut members = Vec::with_capacity(24);
    loop {
        at = token(bytes, at + 1);
        if bytes.get(at) != Some(&b'"') {
            return Some(members);
        }
        let (end, escaped) = closing_quote(bytes, at)?;
        if escaped {
            return None;
        }
        let key = &text[at + 1..end];
        // Behind the colon.
        let start = token(bytes, token(bytes, end + 1) + 1);
        let end = value_end(bytes, start)?;
        members.push(RawMember {
            key,
            value: &text[start..end],
        });
        at = token(bytes, end);
        if bytes.get(at) != Some(&b',') {
            return Some(members);
        }
    }
}

/// Calls `visit` with each element of the array that a valid text is, until it returns false. Of an
/// object or an array it is only the bracket.
pub(crate) fn for_each_element<'t>(array: &'t str, mut visit: impl FnMut(&'t str) -> bool) {
    let bytes = array.as_bytes();
    let mut at = 0;
    loop {
        at = token(bytes, at + 1);
        let end = match bytes.get(at) {
            None | Some(b']') => return,
            Some(b'{' | b'[') => {
                visit(&array[at..=at]);
                return;
            }
            _ => value_end(bytes, at),
        };
        let Some(end) = end.filter(|end| visit(&array[at..*end])) else {
            return;
        };
        at = token(bytes, end);
        if bytes.get(at) != Some(&b',') {
            return;
        }
    }
}

/// The text of a string without escape sequences; `None` for any other value.
pub(crate) fn plain_string(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// Appends a valid text without white space and with the escape sequences of [`super::Json`], as
/// its tree would be written.
// Most texts are compact already: what is between two places that change is copied at once.
pub(crate) fn write_compact(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some((end, escaped)) = closing_quote(bytes, at) else {
                    break;
                };
                if escaped {
                    out.push_str(&text[copied..at]);
                    // Writing to a string does not fail.
                    let _ = write_string(out, &unescape(&text[at + 1..end]));
                    copied = end + 1;
                }
                at = end + 1;
            }
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&text[copied..at]);
                at = space_end(bytes, at);
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
}

/// Whether two valid texts differ at most in white space between their tokens. If not, they may
/// still be the same value.
pub(crate) fn is_same_text(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let (mut a, mut b) = (0, 0);
    loop {
        (a, b) = (token(one, a), token(other, b));
        match (one.get(a), other.get(b)) {
            (None, None) => return true,
            (Some(b'"'), Some(b'"')) => {
                let (Some((end, _)), Some((other_end, _))) =
                    (closing_quote(one, a), closing_quote(other, b))
                else {
                    return false;
                };
                if one[a..end] != other[b..other_end] {
                    return false;
                }
                (a, b) = (end + 1, other_end + 1);
            }
            (Some(x), Some(y)) if x == y => (a, b) = (a + 1, b + 1),
            _ => return false,
        }
    }
}

/// The position of the token at or after a position.
#[inline]
fn token(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at).is_some_and(|byte| *byte > b' ') {
        at
    } else {
        space_end(bytes, at)
    }
}

/// The position after the value at a position.
#[inline]
fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    Some(match bytes.get(at)? {
        b'"' => closing_quote(bytes, at)?.0 + 1,
        b'{' | b'[' => skip(bytes, at)?,
        b't' | b'n' => at + 4,
        b'f' => at + 5,
        _ => number_end(bytes, at),
    })
}
