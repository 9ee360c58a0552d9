//! Valid JSON as text: the members of an object without trees of their values, and writing a value
//! in the compact form that trees have.

use super::read::unescape;
use super::walk::{closing_quote, number_end, space_end};
use super::write::write_string;

/// A member of an object; the value is its text, valid JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawMember<'t> {
    pub(crate) key: &'t str,
    pub(crate) value: &'t str,
    /// Whether the value has no white space between its tokens and no escape sequences: it is
    /// written as it is.
    pub(crate) is_compact: bool,
}

impl<'t> RawMember<'t> {
    /// Whether its key is this one.
    // Keys of one length mostly begin differently.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.key.len() == key.len()
            && self.key.as_bytes().first() == key.as_bytes().first()
            && self.key == key
    }

    /// The text of a string without escape sequences; `None` for any other value.
    pub(crate) fn plain_string(&self) -> Option<&'t str> {
        let inner = self.value.strip_prefix('"').filter(|_| self.is_compact)?;
        Some(&inner[..inner.len() - 1])
    }
}

/// Room for the members of an object: an event of ECS has up to 20 on each level.
const MEMBERS: usize = 24;

/// The members of the object that a valid text is; `None` if it is no object, or if a key has an
/// escape sequence.
pub(crate) fn raw_members(text: &str) -> Option<Vec<RawMember<'_>>> {
    let mut members = Vec::with_capacity(MEMBERS);
    object_members(text, space_end(text.as_bytes(), 0), &mut members)?;
    Some(members)
}

/// The objects of a document that lie in each other, see [`nested_members`].
pub(crate) struct Nested<'t> {
    /// The members of each, from the outside to the inside. A caller may take one.
    pub(crate) objects: Vec<Vec<Option<RawMember<'t>>>>,
    /// The members of the object that is the member `aside`.
    pub(crate) aside: Option<Vec<RawMember<'t>>>,
}

/// As [`raw_members`], and the members of the objects that lie in each other under the keys of
/// `path`, as far as they do; also those of the object that is a member `aside` of the second.
/// `None` also if a key of the path is there twice.
// In one pass: a webhook has most of its bytes three levels deep.
pub(crate) fn nested_members<'t>(text: &'t str, path: &[&str], aside: &str) -> Option<Nested<'t>> {
    let mut nested = Nested {
        objects: Vec::with_capacity(path.len() + 1),
        aside: None,
    };
    visit_nested(
        text,
        space_end(text.as_bytes(), 0),
        path,
        aside,
        &mut nested,
    )?;
    Some(nested)
}

/// Appends the members of the object at a position and of those inside it; the position after it.
fn visit_nested<'t>(
    text: &'t str,
    at: usize,
    path: &[&str],
    aside: &str,
    nested: &mut Nested<'t>,
) -> Option<usize> {
    let level = nested.objects.len();
    nested.objects.push(Vec::with_capacity(MEMBERS));
    visit_members(text, at, |key, start| {
        let is_object = text.as_bytes().get(start) == Some(&b'{');
        let is_on_path = path.get(level) == Some(&key);
        if is_on_path
            && nested.objects[level]
                .iter()
                .flatten()
                .any(|other| other.key == key)
        {
            return None;
        }
        let (end, is_compact) = if is_on_path && is_object {
            // Written member by member.
            (visit_nested(text, start, path, aside, nested)?, false)
        } else if is_object && level == 1 && key == aside {
            let mut members = Vec::with_capacity(MEMBERS);
            let end = object_members(text, start, &mut members)?;
            nested.aside = Some(members);
            end
        } else {
            value_end(text.as_bytes(), start)?
        };
        let member = RawMember {
            key,
            value: &text[start..end],
            is_compact,
        };
        nested.objects[level].push(Some(member));
        Some(end)
    })
}

/// Appends the members of the object at a position; the position after it, and whether it is
/// compact.
fn object_members<'t>(
    text: &'t str,
    at: usize,
    members: &mut Vec<RawMember<'t>>,
) -> Option<(usize, bool)> {
    let (mut compact, mut all_compact) = (1, true);
    let end = visit_members(text, at, |key, start| {
        let (end, is_compact) = value_end(text.as_bytes(), start)?;
        // Quotes, colon, and the comma or brace after it.
        compact += key.len() + 3 + (end - start) + 1;
        all_compact &= is_compact;
        members.push(RawMember {
            key,
            value: &text[start..end],
            is_compact,
        });
        Some(end)
    })?;
    // Without white space, the members and what is between them fill the object.
    Some((end, all_compact && end - at == compact.max(2)))
}

/// Calls `visit` with the key of each member of the object at a position, and the position of the
/// value; it returns the position after the value. The position after the object; `None` if there
/// is no object, if a key has an escape sequence, or if `visit` returns `None`.
fn visit_members<'t>(
    text: &'t str,
    at: usize,
    mut visit: impl FnMut(&'t str, usize) -> Option<usize>,
) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = token(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        let (end, escaped) = closing_quote(bytes, at)?;
        if escaped {
            return None;
        }
        // Behind the colon.
        let start = token(bytes, token(bytes, end + 1) + 1);
        at = token(bytes, visit(&text[at + 1..end], start)?);
        if bytes.get(at) != Some(&b',') {
            return Some(at + 1);
        }
        at = token(bytes, at + 1);
    }
}

/// Calls `visit` with each element of the array that a valid text is, and whether it is compact,
/// until it returns false. Of an object or an array it is only the bracket.
pub(crate) fn for_each_element<'t>(array: &'t str, mut visit: impl FnMut(&'t str, bool) -> bool) {
    let bytes = array.as_bytes();
    let mut at = 0;
    loop {
        at = token(bytes, at + 1);
        let end = match bytes.get(at) {
            None | Some(b']') => return,
            Some(b'{' | b'[') => {
                visit(&array[at..=at], false);
                return;
            }
            _ => value_end(bytes, at),
        };
        match end {
            Some((end, is_compact)) if visit(&array[at..end], is_compact) => at = token(bytes, end),
            _ => return,
        }
        if bytes.get(at) != Some(&b',') {
            return;
        }
    }
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

/// The position after the value at a position, and whether the value is compact.
#[inline]
fn value_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let end = match bytes.get(start)? {
        b'"' => {
            let (end, escaped) = closing_quote(bytes, start)?;
            return Some((end + 1, !escaped));
        }
        b'{' | b'[' => return skip(bytes, start),
        b't' | b'n' => start + 4,
        b'f' => start + 5,
        _ => number_end(bytes, start),
    };
    Some((end, true))
}

/// The position after the object or array at a position, and whether it is compact.
fn skip(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let (mut at, mut open, mut is_compact) = (start, 0_usize, true);
    loop {
        match bytes.get(at)? {
            b'"' => {
                let (end, escaped) = closing_quote(bytes, at)?;
                is_compact &= !escaped;
                at = end;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return Some((at + 1, is_compact));
                }
            }
            0..=b' ' => is_compact = false,
            _ => {}
        }
        at += 1;
    }
}
