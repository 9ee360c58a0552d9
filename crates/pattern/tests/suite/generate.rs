//! Patterns and events for property tests. Both draw keys and values from the same few, so that
//! patterns often match, and unusual shapes (dotted, duplicate and empty keys, nested arrays,
//! escapes, numbers that a double cannot hold) come up in most runs.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_event::Json;
use reflexarc_pattern::tree::{Bound, Regexp, Wildcard};
use reflexarc_pattern::{Alternative, Decimal, Field, Node, Path, Predicate, TextOp};

const KEYS: [&str; 12] = [
    "a", "a", "a", "b", "b", "c", "c", "a.b", "b.c", "", "odd key", "and",
];
const TEXTS: [&str; 28] = [
    "",
    "a",
    "b",
    "ab",
    "aB",
    "AB",
    "ba",
    "aba",
    "a*b",
    "a\\",
    "\"",
    "\n",
    "é",
    "e\u{301}",
    "ß",
    "SS",
    "ss",
    "😀",
    "1",
    "null",
    "10.0.0.1",
    "10.0.0.01",
    "::ffff:a00:1",
    "::FFFF:10.0.0.1",
    "::10.0.0.1",
    "2001:db8::1",
    "2001:DB8:0:0::0.0.0.1",
    "fe80::1%eth0",
];
const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "0.0",
    "1",
    "1.0",
    "10e-1",
    "2",
    "-1",
    "-1.5",
    "300",
    "3.0e2",
    "0.1",
    "0.10000000000000001",
    "9007199254740992",
    "9007199254740993",
    "1e400",
    "10E+399",
    "-1e400",
    "1e-400",
    "123456789012345678901234567890",
];
const NETWORKS: [&str; 9] = [
    "10.0.0.0/24",
    "10.0.0.1/32",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1/128",
    "::ffff:10.0.0.0/120",
    "::ffff:a00:1/128",
    "::/96",
];
const REGEXPS: [&str; 8] = [
    "",
    "a",
    "a|b",
    "[ab]+",
    "a.*",
    "(ab)?a",
    "\\p{Lu}+",
    "\\d+(\\.\\d+){3}",
];

/// Any pattern that the parser can produce: alternatives and conjunctions are never empty, ranges
/// are not reversed.
pub(crate) fn nodes() -> impl Strategy<Value = Node> {
    field()
        .prop_map(Node::Field)
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                3 => vec(inner.clone(), 1..4).prop_map(Node::All),
                2 => vec(inner.clone(), 1..4).prop_map(Node::Any),
                1 => inner.prop_map(|node| Node::Not(Box::new(node))),
            ]
        })
}

/// A field: a path and one to three alternatives.
pub(crate) fn field() -> impl Strategy<Value = Field> {
    (path(), vec(alternative(), 1..4)).prop_map(|(path, alternatives)| Field { path, alternatives })
}

/// A path of one to three keys.
pub(crate) fn path() -> impl Strategy<Value = Path> {
    vec(key(), 1..4).prop_map(Path::from_keys)
}

/// Predicates of one value, mostly a single one; `Missing` only alone.
pub(crate) fn alternative() -> impl Strategy<Value = Alternative> {
    prop_oneof![
        8 => predicate().prop_map(|predicate| Alternative(vec![predicate])),
        1 => vec(predicate(), 2..4).prop_map(Alternative),
        1 => Just(Alternative(vec![Predicate::Missing])),
    ]
}

/// Any predicate but `Missing`.
pub(crate) fn predicate() -> impl Strategy<Value = Predicate> {
    prop_oneof![
        2 => Just(Predicate::Exists),
        1 => Just(Predicate::Null),
        1 => any::<bool>().prop_map(Predicate::Bool),
        3 => number().prop_map(Predicate::Number),
        2 => range(),
        6 => text().prop_map(|text| Predicate::Text(TextOp::Equals, text.into())),
        3 => (text_op(), text()).prop_map(|(op, text)| Predicate::Text(op, text.into())),
        3 => (text_op(), text())
            .prop_map(|(op, text)| Predicate::TextIgnoringCase(op, text.into())),
        2 => (wildcard(), any::<bool>()).prop_map(|(wildcard, ignoring_case)| {
            Predicate::Wildcard { wildcard, ignoring_case }
        }),
        1 => (select(&REGEXPS), any::<bool>()).prop_map(|(text, ignoring_case)| {
            Predicate::Regexp { regexp: Regexp(text.into()), ignoring_case }
        }),
        2 => select(&NETWORKS).prop_map(|text| Predicate::Cidr(text.parse().expect("a network"))),
        4 => anything_but().prop_map(Predicate::AnythingBut),
    ]
}

/// An event as text, with unusual but valid spellings: white space, escapes, several spellings of
/// one number.
pub(crate) fn event_texts() -> impl Strategy<Value = String> {
    (events(), vec(any::<u8>(), 16)).prop_map(|(event, spellings)| {
        let mut text = String::new();
        spell(&event, &mut spellings.iter().copied().cycle(), &mut text);
        text
    })
}

/// An event as a tree: an object, sometimes with duplicate keys.
pub(crate) fn events() -> impl Strategy<Value = Json> {
    let value = scalar().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Json::Array),
            1 => vec(object_of(inner.clone()), 0..4).prop_map(Json::Array),
            2 => object_of(inner),
        ]
    });
    object_of(value)
}

fn object_of(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    vec((key().prop_map(str::to_owned), value), 0..4).prop_map(Json::Object)
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Bool),
        3 => select(&NUMBERS).prop_map(|text| Json::Number(text.into())),
        5 => text().prop_map(Json::from),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    select(&KEYS)
}

fn text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS)
}

fn number() -> impl Strategy<Value = Decimal> {
    select(&NUMBERS).prop_map(|text| text.parse::<Decimal>().expect("a number"))
}

fn text_op() -> impl Strategy<Value = TextOp> {
    select(&[
        TextOp::Equals,
        TextOp::Prefix,
        TextOp::Suffix,
        TextOp::Contains,
    ])
}

/// A wildcard without `**`.
fn wildcard() -> impl Strategy<Value = Wildcard> {
    let inner = text().prop_filter("an inner piece is never empty", |text| !text.is_empty());
    (text(), vec(inner, 0..3), proptest::option::of(text())).prop_map(|(first, inner, last)| {
        let inner = inner.into_iter().filter(|_| last.is_some());
        Wildcard {
            pieces: [first]
                .into_iter()
                .chain(inner)
                .chain(last)
                .map(Into::into)
                .collect(),
        }
    })
}

fn range() -> impl Strategy<Value = Predicate> {
    let bound =
        || (number(), any::<bool>()).prop_map(|(value, inclusive)| Bound { value, inclusive });
    (bound(), bound(), 0..3).prop_filter_map(
        "a range must contain numbers",
        |(one, other, sides)| {
            let (lower, upper) = if one.value < other.value {
                (one, other)
            } else {
                (other, one)
            };
            match sides {
                0 => Some(Predicate::Range {
                    lower: Some(lower),
                    upper: None,
                }),
                1 => Some(Predicate::Range {
                    lower: None,
                    upper: Some(upper),
                }),
                _ if lower.value == upper.value => None,
                _ => Some(Predicate::Range {
                    lower: Some(lower),
                    upper: Some(upper),
                }),
            }
        },
    )
}

/// The arguments of `anything-but`: texts, numbers, or one string operator with several operands.
fn anything_but() -> impl Strategy<Value = Vec<Predicate>> {
    let argument = || text().prop_filter("invalid inside anything-but", |text| !text.is_empty());
    let several = |op, ignoring_case| {
        vec(argument(), 1..3).prop_map(move |texts| {
            let predicate = if ignoring_case {
                Predicate::TextIgnoringCase
            } else {
                Predicate::Text
            };
            texts
                .into_iter()
                .map(|text| predicate(op, text.into()))
                .collect()
        })
    };
    prop_oneof![
        vec(text(), 1..3).prop_map(|texts| texts
            .into_iter()
            .map(|text| Predicate::Text(TextOp::Equals, text.into()))
            .collect()),
        vec(number(), 1..3)
            .prop_map(|numbers| numbers.into_iter().map(Predicate::Number).collect()),
        several(TextOp::Prefix, false),
        several(TextOp::Suffix, false),
        several(TextOp::Equals, true),
        vec(mixed(), 1..4),
        vec(wildcard(), 1..3).prop_map(|wildcards| {
            let predicate = |wildcard| Predicate::Wildcard {
                wildcard,
                ignoring_case: false,
            };
            wildcards.into_iter().map(predicate).collect()
        }),
    ]
}

/// Predicates of different kinds, which only our own dialect accepts in one `anything-but`.
fn mixed() -> impl Strategy<Value = Predicate> {
    prop_oneof![
        text().prop_map(|text| Predicate::Text(TextOp::Equals, text.into())),
        text().prop_map(|text| Predicate::TextIgnoringCase(TextOp::Equals, text.into())),
        number().prop_map(Predicate::Number),
        select(&NETWORKS).prop_map(|text| Predicate::Cidr(text.parse().expect("a network"))),
        Just(Predicate::Null),
    ]
}

fn spell(value: &Json, spellings: &mut impl Iterator<Item = u8>, text: &mut String) {
    space(spellings, text);
    match value {
        Json::String(string) => spell_string(string, spellings, text),
        Json::Array(elements) => {
            text.push('[');
            for (i, element) in elements.iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                spell(element, spellings, text);
            }
            space(spellings, text);
            text.push(']');
        }
        Json::Object(members) => {
            text.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                space(spellings, text);
                spell_string(key, spellings, text);
                space(spellings, text);
                text.push(':');
                spell(value, spellings, text);
            }
            space(spellings, text);
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
    space(spellings, text);
}

fn spell_string(string: &str, spellings: &mut impl Iterator<Item = u8>, text: &mut String) {
    if spellings.next().is_some_and(|byte| byte % 4 > 0) {
        text.push_str(&Json::from(string).to_string());
        return;
    }
    text.push('"');
    for unit in string.encode_utf16() {
        write!(text, "\\u{unit:04x}").expect("a string takes any text");
    }
    text.push('"');
}

fn space(spellings: &mut impl Iterator<Item = u8>, text: &mut String) {
    text.push_str(match spellings.next() {
        Some(0..16) => " ",
        Some(16..24) => "\r\n\t",
        _ => "",
    });
}
