//! Comparing strings ignoring case.
//!
//! A pattern character accepts itself, its full lower-case form and its full upper-case form. The
//! forms may be several characters long (`ß` accepts `SS`), and the relation is not symmetric (`S`
//! does not accept `ß`). It works by code point, so letters outside of the basic plane are
//! included.

// Example. The pattern `Maß` on "MASSE": M accepts "M", a accepts "A", ß has the forms ß, ß and SS
// and accepts "SS". What is left is "E", so the value has the pattern as a prefix and does not
// equal it.
//
// There is no backtracking. No form of a character is the beginning or the end of another of its
// forms (a test below goes through all of Unicode), so at one position a pattern character accepts
// in at most one way, and comparing is linear.

use crate::TextOp;

/// Whether `value` equals, begins with, ends with or contains `wanted`, ignoring case.
pub(crate) fn text(op: TextOp, wanted: &str, value: &str) -> bool {
    match op {
        TextOp::Equals => strip_prefix(wanted, value) == Some(""),
        TextOp::Prefix => strip_prefix(wanted, value).is_some(),
        TextOp::Suffix => strip_suffix(wanted, value).is_some(),
        TextOp::Contains => first_end(wanted, value).is_some(),
    }
}

/// The rest of `value` after a beginning that `wanted` accepts.
pub(crate) fn strip_prefix<'v>(wanted: &str, value: &'v str) -> Option<&'v str> {
    wanted.chars().try_fold(value, |rest, c| {
        forms(c)
            .into_iter()
            .find_map(|form| form.strip_from_start(rest))
    })
}

/// The rest of `value` before an end that `wanted` accepts.
pub(crate) fn strip_suffix<'v>(wanted: &str, value: &'v str) -> Option<&'v str> {
    wanted.chars().rev().try_fold(value, |rest, c| {
        forms(c)
            .into_iter()
            .find_map(|form| form.strip_from_end(rest))
    })
}

/// The end, in bytes, of the part of `value` that `wanted` accepts and that ends first.
pub(crate) fn first_end(wanted: &str, value: &str) -> Option<usize> {
    // A part that starts later may end earlier: `ß` accepts both "ß" (two bytes) and "SS". So later
    // starts are tried until they lie behind the best end.
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

/// The spellings that a pattern character accepts, without duplicates.
pub(crate) fn spellings(c: char) -> Vec<String> {
    let mut spellings: Vec<String> = forms(c)
        .iter()
        .map(|Form(characters)| characters.iter().flatten().collect())
        .collect();
    spellings.sort();
    spellings.dedup();
    spellings
}

/// One spelling that a pattern character accepts. No form in Unicode is longer than three
/// characters (the test of that is below), so it needs no allocation.
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

    /// Every position that `wanted` can end at if it starts at the beginning of `value`, by trying
    /// all ways.
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
    fn a_character_accepts_only_its_own_forms() {
        assert!(equals("ß", "ß") && equals("ß", "SS") && !equals("ß", "ss") && !equals("ß", "Ss"));
        assert!(!equals("SS", "ß") && !equals("ss", "ß"));
        assert!(equals("ς", "Σ") && !equals("σ", "ς"));
        assert!(equals("\u{212a}", "k") && !equals("k", "\u{212a}"));
        assert!(equals("İ", "i\u{307}") && !equals("İ", "i"));
        assert!(equals("ﬃ", "FFI") && equals("Straße", "STRASSE"));
    }

    #[test]
    fn characters_outside_the_basic_plane_are_included() {
        assert!(equals("😀", "😀") && !equals("😀", "??"));
        assert!(equals("𐐀", "𐐨") && equals("𐐨", "𐐀"));
    }

    #[test]
    fn each_operator_compares_its_part_of_the_value() {
        assert!(text(TextOp::Prefix, "ß", "SSabc") && !text(TextOp::Prefix, "ß", "ssabc"));
        assert!(text(TextOp::Suffix, "ß", "abcSS") && !text(TextOp::Suffix, "ß", "abcss"));
        assert!(
            text(TextOp::Contains, "OnE", "a oNe b") && !text(TextOp::Contains, "one", "o n e")
        );
        assert!(text(TextOp::Contains, "", "") && text(TextOp::Prefix, "", "x"));
    }

    #[test]
    fn no_form_is_a_prefix_or_suffix_of_another_form() {
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
        fn agrees_with_trying_all_ways(
            wanted in "[aAßsSﬃfFiIİŉΐ]{0,4}",
            value in "[aAßsSﬃfFiIİŉʼNΐΙ\u{307}\u{308}\u{301}]{0,8}",
        ) {
            let characters: Vec<char> = value.chars().collect();
            let ends_from = |at: usize| -> BTreeSet<usize> {
                ends(&wanted, &characters[at..]).into_iter().map(|end| at + end).collect()
            };
            let last = characters.len();
            let all: Vec<BTreeSet<usize>> = (0..=last).map(ends_from).collect();
            let to_end = all.iter().any(|ends| ends.contains(&last));
            let anywhere = all.iter().any(|ends| !ends.is_empty());
            prop_assert_eq!(text(TextOp::Equals, &wanted, &value), all[0].contains(&last));
            prop_assert_eq!(text(TextOp::Prefix, &wanted, &value), !all[0].is_empty());
            prop_assert_eq!(text(TextOp::Suffix, &wanted, &value), to_end);
            prop_assert_eq!(text(TextOp::Contains, &wanted, &value), anywhere);
            let bytes = |&end: &usize| characters[..end].iter().collect::<String>().len();
            let first = all.iter().flatten().min().map(bytes);
            prop_assert_eq!(first_end(&wanted, &value), first);
        }
    }
}
