//! Splits a text that is longer than a robot accepts into pieces that it does accept.

/// Splits `text` into pieces that cost at most `limit` each, where `cost` is that of a character;
/// at ends of lines where possible. The newline between two pieces is all that is left out. An
/// empty text is one piece.
///
/// With [`json_bytes`] and a limit of 9 `"ab\ncd\nef"` becomes `"ab\ncd"` and `"ef"`: each newline
/// is two bytes in JSON, so the whole text is 10 bytes long.
pub(super) fn split(text: &str, limit: usize, cost: fn(char) -> usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(end) = first_beyond(rest, limit, cost) {
        let newline = if rest[end..].starts_with('\n') {
            Some(end)
        } else {
            rest[..end].rfind('\n')
        };
        // A newline in the first half would make a short piece, and a text of one short line and
        // one very long one would become many of them; then the line is cut instead.
        let newline = newline.filter(|newline| *newline > end / 2);
        let (piece, after) = match newline {
            Some(newline) => (&rest[..newline], &rest[newline + 1..]),
            None => rest.split_at(before_escape(rest, end)),
        };
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Where the first character begins that exceeds `limit`, but never 0: a piece has at least one
/// character, or splitting would not end.
fn first_beyond(text: &str, limit: usize, cost: fn(char) -> usize) -> Option<usize> {
    let mut bytes = 0;
    let mut ends = text.char_indices().map(|(at, letter)| {
        bytes += cost(letter);
        (at, bytes)
    });
    ends.find(|(at, bytes)| *bytes > limit && *at > 0)
        .map(|(at, _)| at)
}

/// `end`, or one less where that would part a backslash from the character that it escapes. The
/// text is escaped Markdown: a piece that ends with `\` and another that begins with `[` would be a
/// stray backslash and the start of a link.
fn before_escape(text: &str, end: usize) -> usize {
    // `\\[`: two backslashes are one escaped backslash, and the bracket is not escaped. So only an
    // odd number of them escapes what follows.
    let backslashes = text[..end]
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count();
    if backslashes % 2 == 1 && end > 1 {
        end - 1
    } else {
        end
    }
}

/// The size of a character in a JSON string, in bytes.
pub(super) fn json_bytes(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        // `\u0001`
        letter if letter.is_control() => 6,
        letter => letter.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reflexarc_event::Json;

    use super::*;

    #[test]
    fn lines_stay_whole_where_possible() {
        assert_eq!(split("", 8, json_bytes), [""]);
        assert_eq!(split("ab\ncd\nef", 9, json_bytes), ["ab\ncd", "ef"]);
        assert_eq!(split("abcdefghij", 4, json_bytes), ["abcd", "efgh", "ij"]);
        assert_eq!(
            split("abc\\[d", 5, json_bytes),
            ["abc", "\\[d"],
            "a backslash stays with the character that it escapes"
        );
        assert_eq!(split("好好好", 4, json_bytes), ["好", "好", "好"]);
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing(
            text in "[a-c\\\\\"\n好\u{1}]{0,200}",
            limit in 14_usize..60,
        ) {
            let pieces = split(&text, limit, json_bytes);
            for piece in &pieces {
                prop_assert!(Json::from(*piece).to_string().len() - 2 <= limit, "{piece:?}");
            }
            let newlines = |text: &str| text.matches('\n').count();
            let joined = pieces.concat();
            prop_assert_eq!(joined.replace('\n', ""), text.replace('\n', ""));
            prop_assert!(newlines(&joined) <= newlines(&text));
            prop_assert!(newlines(&text) < newlines(&joined) + pieces.len());
        }
    }
}
