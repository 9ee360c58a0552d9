//! Comparing while ignoring case.
//!
//! A pattern character accepts itself, its full lower-case form and its full upper-case form. The forms may be several
//! characters long (`ß` accepts `SS`), and the relation is not symmetric (`S` does not accept `ß`). It works by code
//! point, so letters beyond the basic plane fold too.
//!
//! No form of a character is the beginning or the end of another of its forms (tested below over all of Unicode), so
//! at one place a pattern matches in at most one way: nothing is ever tried twice.

use crate::TextOp;

/// Whether `value` compares with `wanted`.
pub(crate) fn text(op: TextOp, wanted: &str, value: &str) -> bool {
    match op {
        TextOp::Equals => strip_prefix(wanted, value) == Some(""),
        TextOp::Prefix => strip_prefix(wanted, value).is_some(),
        TextOp::Suffix => strip_suffix(wanted, value).is_some(),
        TextOp::Contains => first_end(wanted, value).is_some(),
    }
}

/// What follows the beginning of `value` that `wanted` accepts.
pub(crate) fn strip_prefix<'v>(wanted: &str, value: &'v str) -> Option<&'v str> {
    wanted.chars().try_fold(value, |rest, c| {
        forms(c)
            .into_iter()
            .find_map(|form| form.strip_from_start(rest))
    })
}

/// What precedes the end of `value` that `wanted` accepts.
pub(crate) fn strip_suffix<'v>(wanted: &str, value: &'v str) -> Option<&'v str> {
    wanted.chars().rev().try_fold(value, |rest, c| {
        forms(c)
            .into_iter()
            .find_map(|form| form.strip_from_end(rest))
    })
}

/// Where the first-ending part of `value` that `wanted` accepts ends, in bytes.
pub(crate) fn first_end(wanted: &str, value: &str) -> Option<usize> {
    let mut first: Option<usize> = None;
    for start in value.char_indices().map(|(at, _)| at).chain([value.len()]) {
        if first.is_some_and(|end| end <= start) {
            break;
        }
        if let Some(rest) = strip_prefix(wanted, &value[start..]) {
            let end = value.len() - rest.len();
            first = Some(first.map_or(end, |first| first.min(end)));
        }
    }
    first
}

/// One spelling that a pattern character accepts; no case form is longer than three characters.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form([Option<char>; 3]);

impl Form {
    fn new(characters: impl Iterator<Item = char>) -> Self {
        let mut form = [None; 3];
        form.iter_mut()
            .zip(characters)
            .for_each(|(place, c)| *place = Some(c));
        Self(form)
    }

    fn strip_from_start<'v>(&self, value: &'v str) -> Option<&'v str> {
        self.0
            .iter()
            .flatten()
            .try_fold(value, |rest, &c| rest.strip_prefix(c))
    }

    fn strip_from_end<'v>(&self, value: &'v str) -> Option<&'v str> {
        self.0
            .iter()
            .rev()
            .flatten()
            .try_fold(value, |rest, &c| rest.strip_suffix(c))
    }
}

fn forms(c: char) -> [Form; 3] {
    [
        Form::new([c].into_iter()),
        Form::new(c.to_lowercase()),
        Form::new(c.to_uppercase()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn equals(wanted: &str, value: &str) -> bool {
        text(TextOp::Equals, wanted, value)
    }

    /// Every place that `wanted` can end at when it starts at the beginning of `value`, tried in every way.
    fn ends(wanted: &str, value: &[char]) -> BTreeSet<usize> {
        wanted.chars().fold(BTreeSet::from([0]), |places, c| {
            let spellings: [Vec<char>; 3] = [
                vec![c],
                c.to_lowercase().collect(),
                c.to_uppercase().collect(),
            ];
            let step = |at: usize| {
                let spellings = spellings
                    .iter()
                    .filter(move |spelling| value[at..].starts_with(spelling));
                spellings.map(move |spelling| at + spelling.len())
            };
            places.into_iter().flat_map(step).collect()
        })
    }

    #[test]
    fn a_character_accepts_its_own_forms_and_no_others() {
        assert!(equals("ß", "ß") && equals("ß", "SS") && !equals("ß", "ss") && !equals("ß", "Ss"));
        assert!(!equals("SS", "ß") && !equals("ss", "ß"));
        assert!(equals("ς", "Σ") && !equals("σ", "ς"));
        assert!(equals("\u{212a}", "k") && !equals("k", "\u{212a}"));
        assert!(equals("İ", "i\u{307}") && !equals("İ", "i"));
        assert!(equals("ﬃ", "FFI") && equals("Straße", "STRASSE"));
    }

    #[test]
    fn characters_beyond_the_basic_plane_fold_too() {
        assert!(equals("😀", "😀") && !equals("😀", "??"));
        assert!(equals("𐐀", "𐐨") && equals("𐐨", "𐐀"));
    }

    #[test]
    fn each_test_looks_at_its_own_part_of_the_value() {
        assert!(text(TextOp::Prefix, "ß", "SSabc") && !text(TextOp::Prefix, "ß", "ssabc"));
        assert!(text(TextOp::Suffix, "ß", "abcSS") && !text(TextOp::Suffix, "ß", "abcss"));
        assert!(
            text(TextOp::Contains, "OnE", "a oNe b") && !text(TextOp::Contains, "one", "o n e")
        );
        assert!(text(TextOp::Contains, "", "") && text(TextOp::Prefix, "", "x"));
    }

    #[test]
    fn no_form_begins_or_ends_another_and_none_is_longer_than_three() {
        for c in (char::MIN..=char::MAX).filter(|c| !c.is_ascii()) {
            let spellings: [Vec<char>; 3] = [
                vec![c],
                c.to_lowercase().collect(),
                c.to_uppercase().collect(),
            ];
            for one in &spellings {
                assert!(one.len() <= 3, "{c:?}");
                for other in spellings.iter().filter(|other| other != &one) {
                    assert!(
                        !other.starts_with(one) && !other.ends_with(one),
                        "{c:?}: {one:?} and {other:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn equals_trying_everything(wanted in "[aAßsSﬃfFiIİŉΐ]{0,4}", value in "[aAßsSﬃfFiIİŉʼNΐΙ\u{307}\u{308}\u{301}]{0,8}") {
            let characters: Vec<char> = value.chars().collect();
            let starts = 0..=characters.len();
            let all: Vec<BTreeSet<usize>> =
                starts.map(|at| ends(&wanted, &characters[at..]).into_iter().map(|end| at + end).collect()).collect();
            let last = characters.len();
            prop_assert_eq!(text(TextOp::Equals, &wanted, &value), all[0].contains(&last));
            prop_assert_eq!(text(TextOp::Prefix, &wanted, &value), !all[0].is_empty());
            prop_assert_eq!(text(TextOp::Suffix, &wanted, &value), all.iter().any(|ends| ends.contains(&last)));
            prop_assert_eq!(text(TextOp::Contains, &wanted, &value), all.iter().any(|ends| !ends.is_empty()));
            let first = all.iter().flatten().min().map(|&end| characters[..end].iter().collect::<String>().len());
            prop_assert_eq!(first_end(&wanted, &value), first);
        }
    }
}
