//! Does a wildcard match a whole value? Greedy, piece by piece: the first piece stands at the start, the last at the end,
//! and each one between is taken where it ends first, which leaves the most room for the rest.

use super::ignoring_case;
use crate::Wildcard;

/// By the exact characters; linear in the value.
pub(crate) fn matches(wildcard: &Wildcard, value: &str) -> bool {
    let Some((first, rest)) = wildcard.pieces.split_first() else {
        return value.is_empty();
    };
    let Some((last, between)) = rest.split_last() else {
        return value == &**first;
    };
    let Some(mut room) = value
        .strip_prefix(&**first)
        .and_then(|room| room.strip_suffix(&**last))
    else {
        return false;
    };
    for piece in between {
        let Some(at) = room.find(&**piece) else {
            return false;
        };
        room = &room[at + piece.len()..];
    }
    true
}

/// With letters compared ignoring case; at most value × wildcard.
pub(crate) fn matches_ignoring_case(wildcard: &Wildcard, value: &str) -> bool {
    let Some((first, rest)) = wildcard.pieces.split_first() else {
        return value.is_empty();
    };
    let Some(mut room) = ignoring_case::strip_prefix(first, value) else {
        return false;
    };
    let Some((last, between)) = rest.split_last() else {
        return room.is_empty();
    };
    room = match ignoring_case::strip_suffix(last, room) {
        Some(room) => room,
        None => return false,
    };
    for piece in between {
        let Some(end) = ignoring_case::first_end(piece, room) else {
            return false;
        };
        room = &room[end..];
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wildcard(text: &str) -> Wildcard {
        Wildcard {
            pieces: text.split('*').map(Into::into).collect(),
        }
    }

    /// One character at a time, as the definition says; a star tries every length.
    fn by_definition(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| by_definition(rest, &value[skip..])),
            Some((c, rest)) => value.first() == Some(c) && by_definition(rest, &value[1..]),
        }
    }

    #[test]
    fn pieces_do_not_overlap() {
        assert!(matches(&wildcard("a*a"), "aa"));
        assert!(!matches(&wildcard("a*a"), "a"));
        assert!(!matches(&wildcard("ab*ba"), "aba"));
        assert!(matches(&wildcard("*"), ""));
        assert!(matches(&wildcard(""), ""));
        assert!(!matches(&wildcard(""), "a"));
        assert!(matches(&wildcard("a*"), "a\n/"));
    }

    #[test]
    fn a_sharp_s_takes_two_characters() {
        assert!(matches_ignoring_case(&wildcard("Straße*"), "STRASSE 1"));
        assert!(matches_ignoring_case(
            &wildcard("*aße*"),
            "in der STRASSE 1"
        ));
        assert!(!matches_ignoring_case(&wildcard("*ße"), "strasse"));
        assert!(!matches_ignoring_case(&wildcard("s*ß"), "SS"));
    }

    proptest! {
        #[test]
        fn equals_the_definition(text in "[ab*]{0,8}", value in "[ab]{0,12}") {
            let pattern: Vec<char> = text.chars().collect();
            let characters: Vec<char> = value.chars().collect();
            prop_assert_eq!(matches(&wildcard(&text), &value), by_definition(&pattern, &characters));
        }

        #[test]
        fn ignoring_case_equals_the_definition_where_characters_map_one_to_one(
            text in "[aBb*]{0,8}", value in "[aAbB]{0,12}",
        ) {
            let pattern: Vec<char> = text.to_lowercase().chars().collect();
            let characters: Vec<char> = value.to_lowercase().chars().collect();
            prop_assert_eq!(matches_ignoring_case(&wildcard(&text), &value), by_definition(&pattern, &characters));
        }
    }
}
