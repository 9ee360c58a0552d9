//! What PostgreSQL writes otherwise than SQLite.
//!
//! | in a statement | for PostgreSQL |
//! |---|---|
//! | `?1` | `$1` |
//! | `INDEXED BY name`, `NOT INDEXED` | left out: it chooses by statistics |
//! | `a LIKE b`, which does not distinguish `a` and `A` | `a ILIKE b` |
//! | `window`, a column | `"window"` |
//! | `a IS ?1`, equal or both NULL | `a IS NOT DISTINCT FROM $1` |
//!
//! `max` and `min` of two values, and `ifnull`, are functions of the schema.
//!
//! A text cannot have the character U+0000 there. It is stored as two characters, in such a way
//! that texts keep their order:
//!
//! ```text
//! U+0000  →  U+0001 U+0001
//! U+0001  →  U+0001 U+0002
//! ```

use std::borrow::Cow;

/// A statement for PostgreSQL.
pub(super) fn translate(sql: &str) -> String {
    let tokens = tokens(sql);
    let word = |number: usize| {
        let mut words = tokens.iter().filter(|token| !token.trim().is_empty());
        words.nth(number).copied().unwrap_or_default()
    };
    let mut translated = String::with_capacity(sql.len());
    // Of the tokens that are not spaces.
    let (mut number, mut left_out) = (0, 0);
    for token in &tokens {
        if token.trim().is_empty() {
            translated.push_str(token);
            continue;
        }
        number += 1;
        if left_out > 0 {
            left_out -= 1;
            continue;
        }
        match *token {
            "INDEXED" => left_out = 2,
            "NOT" if word(number) == "INDEXED" => left_out = 1,
            "IS" if word(number) == "?" => translated.push_str("IS NOT DISTINCT FROM"),
            "window" => translated.push_str("\"window\""),
            "LIKE" => translated.push_str("ILIKE"),
            "?" => translated.push('$'),
            token => translated.push_str(token),
        }
    }
    translated
}

/// The words, spaces, texts in quotes and other characters of a statement.
fn tokens(sql: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = if first == '\'' || first == '"' {
            rest[1..].find(first).map_or(rest.len(), |end| end + 2)
        } else if is_word(first) {
            rest.find(|next| !is_word(next)).unwrap_or(rest.len())
        } else if first.is_whitespace() {
            let end = rest.find(|next: char| !next.is_whitespace());
            end.unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind;
    }
    tokens
}

/// A text as it is stored.
pub(super) fn encode_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return text.into();
    }
    text.replace('\u{1}', "\u{1}\u{2}")
        .replace('\0', "\u{1}\u{1}")
        .into()
}

/// The text that was stored as this one, if it is another.
pub(super) fn decode_text(stored: &str) -> Option<String> {
    if !stored.contains('\u{1}') {
        return None;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\u{1}' => match characters.next() {
                Some('\u{2}') => '\u{1}',
                _ => '\0',
            },
            character => character,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_are_translated() {
        for (ours, theirs) in [
            (
                "SELECT a FROM b WHERE c = ?1",
                "SELECT a FROM b WHERE c = $1",
            ),
            (
                "FROM archive INDEXED BY archive_by_id WHERE",
                "FROM archive   WHERE",
            ),
            ("FROM delivery NOT INDEXED WHERE", "FROM delivery  WHERE"),
            (
                "a IS ?12 AND b IS NULL",
                "a IS NOT DISTINCT FROM $12 AND b IS NULL",
            ),
            (r"a LIKE ?1 ESCAPE '\'", r"a ILIKE $1 ESCAPE '\'"),
            ("SELECT '?1 LIKE', \"LIKE\"", "SELECT '?1 LIKE', \"LIKE\""),
        ] {
            let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(spaces(&translate(ours)), spaces(theirs));
        }
    }

    proptest! {
        #[test]
        fn texts_are_stored_in_their_order(
            left in "[\u{0}\u{1}\u{2}\u{3}a]{0,6}",
            right in "[\u{0}\u{1}\u{2}\u{3}a]{0,6}",
        ) {
            let [stored_left, stored_right] = [&left, &right].map(|text| encode_text(text));
            prop_assert!(!stored_left.contains('\0'));
            prop_assert_eq!(left.cmp(&right), stored_left.cmp(&stored_right));
            let decoded = decode_text(&stored_left).unwrap_or_else(|| stored_left.to_string());
            prop_assert_eq!(decoded, left);
        }
    }
}
