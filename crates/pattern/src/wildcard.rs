//! Wildcards: their text (`*` is any number of characters, `\*` and `\\` are the characters
//! themselves) and how they match.
//!
//! There is one matching algorithm for both evaluators. They store a wildcard differently (a list
//! of pieces in the tree, one byte string in the matcher), so it takes the pieces as an iterator.

use std::fmt;
use std::ops::Range;

use crate::Wildcard;
use crate::value::ignoring_case;

/// A syntax error in the text of a wildcard, with the bytes it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WildcardFault {
    pub(crate) at: Range<usize>,
    pub(crate) kind: WildcardFaultKind,
}

/// The two syntax errors of a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WildcardFaultKind {
    /// `**`
    TwoStars,
    /// A backslash at the end, or before another character than `*` and `\`.
    BadEscape,
}

impl Wildcard {
    /// Parses the text of a wildcard.
    pub(crate) fn parse(text: &str) -> Result<Self, WildcardFault> {
        let mut pieces = Vec::new();
        let mut piece = String::new();
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '*' => {
                    let stars = 1 + text[at + 1..]
                        .bytes()
                        .take_while(|&byte| byte == b'*')
                        .count();
                    if stars > 1 {
                        return Err(WildcardFault {
                            at: at..at + stars,
                            kind: WildcardFaultKind::TwoStars,
                        });
                    }
                    pieces.push(std::mem::take(&mut piece).into_boxed_str());
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => piece.push(escaped),
                    other => {
                        let end = other.map_or(at + 1, |(next, wrong)| next + wrong.len_utf8());
                        return Err(WildcardFault {
                            at: at..end,
                            kind: WildcardFaultKind::BadEscape,
                        });
                    }
                },
                plain => piece.push(plain),
            }
        }
        pieces.push(piece.into_boxed_str());
        Ok(Self {
            pieces: pieces.into(),
        })
    }

    /// Whether the whole value matches, by exact characters; linear in the value.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let pieces = self.pieces.iter().map(|piece| piece.as_bytes());
        matches(pieces, value.as_bytes())
    }

    /// Whether the whole value matches ignoring case; at most value × wildcard steps.
    pub(crate) fn matches_ignoring_case(&self, value: &str) -> bool {
        matches_ignoring_case(self.pieces.iter().map(|piece| &**piece), value)
    }
}

/// The text of the wildcard, with its escapes.
impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, piece) in self.pieces.iter().enumerate() {
            if i > 0 {
                f.write_str("*")?;
            }
            f.write_str(&piece.replace('\\', "\\\\").replace('*', "\\*"))?;
        }
        Ok(())
    }
}

/// Whether the pieces, with any bytes between two neighbours, make up the whole value.
///
/// Bytes are enough although the value is text: UTF-8 is self-synchronizing, so a piece that is
/// valid UTF-8 is only found at character boundaries.
#[inline]
pub(crate) fn matches<'p>(
    mut pieces: impl DoubleEndedIterator<Item = &'p [u8]>,
    value: &[u8],
) -> bool {
    let Some(first) = pieces.next() else {
        return value.is_empty();
    };
    // The ends are fixed and cheap to compare, so they reject most values before any search.
    let Some(rest) = value.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return false;
    };
    // Greedy from the left: taking each inner piece at its first occurrence leaves the most text
    // for the pieces after it, so backtracking could never find a match that this misses. Example:
    // `*ab*b*` on "abab" takes "ab" at 0 and "b" at 3.
    for piece in pieces {
        let Some(at) = find(rest, piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// As [`matches`], ignoring case.
pub(crate) fn matches_ignoring_case<'p>(
    mut pieces: impl DoubleEndedIterator<Item = &'p str>,
    value: &str,
) -> bool {
    let Some(first) = pieces.next() else {
        return value.is_empty();
    };
    let Some(rest) = ignoring_case::strip_prefix(first, value) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    let Some(mut rest) = ignoring_case::strip_suffix(last, rest) else {
        return false;
    };
    for piece in pieces {
        // The occurrence that *ends* first, not the one that starts first: `ß` also matches "SS",
        // so occurrences of one piece differ in length.
        let Some(end) = ignoring_case::first_end(piece, rest) else {
            return false;
        };
        rest = &rest[end..];
    }
    true
}

#[inline]
fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    match piece {
        // `memmem` prepares a searcher first, which costs more than it saves for one byte.
        [byte] => memchr::memchr(*byte, text),
        _ => memchr::memmem::find(text, piece),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The wildcard of a text without escapes; unlike [`Wildcard::parse`] it accepts `**`.
    fn wildcard(text: &str) -> Wildcard {
        Wildcard {
            pieces: text.split('*').map(Into::into).collect(),
        }
    }

    /// The definition, one character at a time: a star tries every length.
    fn by_definition(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| by_definition(rest, &value[skip..])),
            Some((c, rest)) => value.first() == Some(c) && by_definition(rest, &value[1..]),
        }
    }

    #[test]
    fn parsing_and_printing_are_inverse() {
        for (text, pieces) in [
            ("", vec![""]),
            ("*", vec!["", ""]),
            ("a*b", vec!["a", "b"]),
            (r"\*a\\*", vec![r"*a\", ""]),
            (r"a*\**", vec!["a", "*", ""]),
        ] {
            let wildcard = Wildcard::parse(text).expect(text);
            let parsed: Vec<&str> = wildcard.pieces.iter().map(|piece| &**piece).collect();
            assert_eq!(parsed, pieces, "{text}");
            assert_eq!(wildcard.to_string(), text);
        }
    }

    #[test]
    fn syntax_errors_have_a_span() {
        let fault = |text| Wildcard::parse(text).expect_err(text);
        let expected = |at, kind| WildcardFault { at, kind };
        assert_eq!(fault("a***b"), expected(1..4, WildcardFaultKind::TwoStars));
        assert_eq!(fault(r"a\é"), expected(1..4, WildcardFaultKind::BadEscape));
        assert_eq!(fault(r"a\"), expected(1..2, WildcardFaultKind::BadEscape));
        assert_eq!(fault(r"\***").at, 2..4);
    }

    #[test]
    fn pieces_do_not_overlap() {
        assert!(wildcard("a*a").matches("aa"));
        assert!(!wildcard("a*a").matches("a"));
        assert!(!wildcard("ab*ba").matches("aba"));
        assert!(wildcard("*").matches(""));
        assert!(wildcard("").matches(""));
        assert!(!wildcard("").matches("a"));
        assert!(wildcard("a*").matches("a\n/"));
    }

    #[test]
    fn a_sharp_s_takes_two_characters() {
        assert!(wildcard("Straße*").matches_ignoring_case("STRASSE 1"));
        assert!(wildcard("*aße*").matches_ignoring_case("in der STRASSE 1"));
        assert!(!wildcard("*ße").matches_ignoring_case("strasse"));
        assert!(!wildcard("s*ß").matches_ignoring_case("SS"));
    }

    proptest! {
        #[test]
        fn equals_the_definition(text in "[ab*]{0,8}", value in "[ab]{0,12}") {
            let pattern: Vec<char> = text.chars().collect();
            let characters: Vec<char> = value.chars().collect();
            let expected = by_definition(&pattern, &characters);
            prop_assert_eq!(wildcard(&text).matches(&value), expected);
        }

        #[test]
        fn ignoring_case_equals_the_definition_for_one_to_one_letters(
            text in "[aBb*]{0,8}", value in "[aAbB]{0,12}",
        ) {
            let pattern: Vec<char> = text.to_lowercase().chars().collect();
            let characters: Vec<char> = value.to_lowercase().chars().collect();
            let expected = by_definition(&pattern, &characters);
            prop_assert_eq!(wildcard(&text).matches_ignoring_case(&value), expected);
        }
    }
}
