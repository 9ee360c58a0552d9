//! The content of an event: what the conversions read from it, and contents that are JSON text.

use std::borrow::Cow;

use crate::canonical::{ContentKey, Scope};
use crate::envelope_detector::EnvelopeDetector;
use crate::json::raw::{RawMember, for_each_element, raw_members};
use crate::json::unescape;
use crate::json::walk::walk;
use crate::markers::{EnvelopeMarkers, Shape, Texts};

/// The content that a value stands for: the object in a JSON text, else the value.
pub(super) struct Content<'t> {
    /// Valid JSON.
    pub(super) text: Cow<'t, str>,
    pub(super) is_compact: bool,
    /// Those of the object in a JSON text.
    markers: Option<EnvelopeMarkers>,
}

impl<'t> Content<'t> {
    pub(super) fn of(member: RawMember<'t>, depth: usize) -> Self {
        Self::of_json_text(member.value, depth).unwrap_or(Self {
            text: member.value.into(),
            is_compact: member.is_compact,
            markers: None,
        })
    }

    /// What its members say about the spelling of values; `None` if a key has escape sequences.
    pub(super) fn markers(&self) -> Option<EnvelopeMarkers> {
        match self.markers {
            Some(markers) => Some(markers),
            None if self.text.starts_with('{') => Some(markers(&raw_members(&self.text)?)),
            None => Some(EnvelopeMarkers::default()),
        }
    }

    /// That of a string which is the text of an object.
    // One walk over the text validates it and shows how it will be written and whether its values
    // are canonical. It is one level below the outermost object.
    fn of_json_text(value: &str, depth: usize) -> Option<Self> {
        let raw = value.strip_prefix('"')?;
        let text = unescape(&raw[..raw.len() - 1]);
        if !text.trim_ascii_start().starts_with('{') {
            return None;
        }
        let mut detector = EnvelopeDetector::new(&text);
        let root = EnvelopeDetector::CONTENT;
        walk(
            text.as_bytes(),
            depth.saturating_sub(1),
            root,
            &mut detector,
        )
        .ok()?;
        let is_compact = !detector.has_space() && !text.contains('\\');
        let markers = Some(detector.content_markers());
        // Without white space around it, as the text of a value is.
        let text = match text.trim_ascii() {
            trimmed if trimmed.len() == text.len() => text,
            trimmed => trimmed.to_owned(),
        };
        Some(Self {
            text: text.into(),
            is_compact,
            markers,
        })
    }
}

/// What the members of a content say about the spelling of their values.
pub(super) fn markers(members: &[RawMember<'_>]) -> EnvelopeMarkers {
    let mut markers = EnvelopeMarkers::default();
    for member in members {
        if let Some(key) = ContentKey::of(member.key) {
            markers.record_content(key, shape(member.value));
        }
    }
    markers
}

/// Whether values of a content with these markers may have another spelling than the canonical one,
/// in an event of this scope.
pub(super) fn may_vary(markers: EnvelopeMarkers, scope: Scope) -> bool {
    match scope {
        Scope::Nothing => false,
        Scope::Lists => markers.has_list(),
        Scope::EniOperation => markers.has_list() || markers.has_scalar(),
    }
}

/// Whether the text of a string, with its escape sequences, is an object with exactly these
/// members, in any order. They may be equal otherwise too.
// Cloud Monitor sends the content as a map and as JSON text, mostly in the opposite order. What is
// found to be equal to a valid text is neither decoded nor validated:
//
//     {"eniId":"eni-1","ipv6s":[]}   and   {\"ipv6s\": [], \"eniId\":\"eni-1\"}
pub(super) fn is_escaped_object(text: &str, members: &[RawMember<'_>]) -> bool {
    // One bit each.
    if members.len() > 64 {
        return false;
    }
    let Some(mut rest) = text.as_bytes().strip_prefix(b"{").map(without_spaces) else {
        return false;
    };
    let (mut found, mut last) = (0_u64, usize::MAX);
    let mut in_order = true;
    for number in 0..members.len() {
        if number > 0 {
            match rest.strip_prefix(b",") {
                Some(after) => rest = without_spaces(after),
                None => return false,
            }
        }
        let member_at = |at: usize| {
            let member = members.get(at).filter(|_| found >> at & 1 == 0)?;
            Some((at, strip_member(rest, member)?))
        };
        let next = member_at(last.wrapping_sub(1))
            .or_else(|| member_at(last.wrapping_add(1)))
            .or_else(|| (0..members.len()).rev().find_map(member_at));
        let Some((at, after)) = next else {
            return false;
        };
        in_order &= at == number;
        found |= 1 << at;
        (rest, last) = (without_spaces(after), at);
    }
    // The last member of a key counts, which is another one in another order.
    rest == b"}" && (in_order || has_distinct_keys(members))
}

/// The text after a member whose quotes are escaped, if it begins with that.
fn strip_member<'t>(text: &'t [u8], member: &RawMember<'_>) -> Option<&'t [u8]> {
    const QUOTE: &[u8] = b"\\\"";
    let rest = text
        .strip_prefix(QUOTE)?
        .strip_prefix(member.key.as_bytes())?;
    let rest = without_spaces(rest.strip_prefix(b"\\\":")?);
    if let Some(string) = member.plain_string() {
        let rest = rest.strip_prefix(QUOTE)?.strip_prefix(string.as_bytes())?;
        return rest.strip_prefix(QUOTE);
    }
    if !member.is_compact {
        return None;
    }
    member
        .value
        .bytes()
        .try_fold(rest, |rest, byte| match byte {
            b'"' => rest.strip_prefix(QUOTE),
            _ => rest.strip_prefix(&[byte]),
        })
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    rest
}

fn has_distinct_keys(members: &[RawMember<'_>]) -> bool {
    members.iter().enumerate().all(|(at, member)| {
        !members[at + 1..]
            .iter()
            .any(|other| other.has_key(member.key))
    })
}

/// The shape of a valid text, as far as markers of a content go by it.
fn shape(value: &str) -> Shape<'_> {
    match value.as_bytes().first() {
        Some(b'"') => Shape::String(&value[1..value.len() - 1]),
        Some(b'[') => {
            let mut texts = Texts::default();
            for_each_element(value, |element, is_compact| {
                match element.strip_prefix('"') {
                    Some(raw) => texts.add_string(&raw[..raw.len() - 1], !is_compact),
                    None => texts.add(Shape::Null),
                }
                texts.plain
            });
            Shape::Array(texts)
        }
        Some(b'{') => Shape::Object(EnvelopeMarkers::default()),
        Some(b't' | b'f') => Shape::Bool(true),
        Some(b'n') | None => Shape::Null,
        _ => Shape::Number,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::json::Json;

    const VALUES: [&str; 12] = [
        "1",
        "1.0",
        "true",
        r#""""#,
        r#""a""#,
        r#""a b""#,
        r#""网""#,
        r#""\n""#,
        r#""\"""#,
        "[]",
        r#"["a",{"b":"c"}]"#,
        r#"{"a": 1}"#,
    ];

    fn member() -> impl Strategy<Value = (String, String)> {
        let value = prop::sample::select(VALUES.as_slice()).prop_map(str::to_owned);
        ("[a-c]{1,2}", value)
    }

    fn object(members: &[(String, String)], space: &str) -> String {
        let members = members.iter();
        let members = members.map(|(key, value)| format!("{space}\"{key}\":{space}{value}{space}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn equal_texts_of_contents_are_equal_objects(
            members in prop::collection::vec(member(), 0..6),
            moved in prop::collection::vec((any::<Index>(), any::<Index>()), 0..4),
            replaced in prop::option::weighted(0.3, (any::<Index>(), member())),
            is_reversed in any::<bool>(),
            space in prop::sample::select(vec!["", " ", "  ", "\t"]),
        ) {
            let map = object(&members, "");
            let mut others = members.clone();
            if is_reversed {
                others.reverse();
            }
            if !others.is_empty() {
                for (from, to) in moved {
                    let member = others.remove(from.index(others.len()));
                    others.insert(to.index(others.len() + 1), member);
                }
                if let Some((at, member)) = replaced.clone() {
                    let at = at.index(others.len());
                    others[at] = member;
                }
            }
            let text = object(&others, space);
            let raw = Json::from(text.as_str()).to_string();
            let raw = &raw[1..raw.len() - 1];
            let found = is_escaped_object(raw, &raw_members(&map).unwrap());
            let map = Json::parse(&map).unwrap();
            let is_equal = map.eq_ignoring_order(&Json::parse(&text).unwrap());
            prop_assert!(!found || is_equal, "{} {}", map, text);
            // What Cloud Monitor sends is recognised without decoding it.
            let mut keys: Vec<_> = others.iter().map(|(key, _)| key).collect();
            keys.sort();
            keys.dedup();
            let is_simple = keys.len() == members.len()
                && replaced.is_none()
                && space != "\t"
                && !members.iter().any(|(_, value)| value.contains('\\') || *value == VALUES[11]);
            prop_assert!(!is_simple || found, "{} {}", map, text);
        }
    }
}
