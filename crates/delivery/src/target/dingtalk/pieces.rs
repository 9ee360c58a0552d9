//! A text that is longer than a robot takes, in pieces that it does take.

/// Cuts a text into pieces of at most `room` bytes as JSON has them, at the ends of lines where there are any: the newline
/// between two pieces is the only thing that is left out. An empty text is one piece.
pub(super) fn pieces(text: &str, room: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(end) = beyond(rest, room) {
        let newline = if rest[end..].starts_with('\n') {
            Some(end)
        } else {
            rest[..end].rfind('\n')
        };
        let newline = newline.filter(|newline| *newline > end / 2);
        let (piece, after) = match newline {
            Some(newline) => (&rest[..newline], &rest[newline + 1..]),
            None => rest.split_at(whole_escape(rest, end)),
        };
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Where the first character begins that has no room any more; there is one before it.
fn beyond(text: &str, room: usize) -> Option<usize> {
    let mut bytes = 0;
    let mut letters = text.char_indices().map(|(at, letter)| {
        bytes += escaped_bytes(letter);
        (at, bytes)
    });
    letters
        .find(|(at, bytes)| *bytes > room && *at > 0)
        .map(|(at, _)| at)
}

/// A backslash stays with the sign that it escapes.
fn whole_escape(text: &str, end: usize) -> usize {
    let slashes = text[..end]
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count();
    if slashes % 2 == 1 && end > 1 {
        end - 1
    } else {
        end
    }
}

/// How long a character is in JSON.
fn escaped_bytes(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
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
    fn lines_stay_whole_where_they_can() {
        assert_eq!(pieces("", 8), [""]);
        assert_eq!(pieces("ab\ncd\nef", 9), ["ab\ncd", "ef"]);
        assert_eq!(pieces("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(
            pieces("abc\\[d", 5),
            ["abc", "\\[d"],
            "not between a backslash and its sign"
        );
        assert_eq!(pieces("好好好", 4), ["好", "好", "好"]);
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing(text in "[a-c\\\\\"\n好\u{1}]{0,200}", room in 14_usize..60) {
            let cut = pieces(&text, room);
            for piece in &cut {
                prop_assert!(Json::from(*piece).to_string().len() - 2 <= room, "{piece:?}");
            }
            let newlines = |text: &str| text.matches('\n').count();
            let joined = cut.concat();
            prop_assert_eq!(joined.replace('\n', ""), text.replace('\n', ""));
            prop_assert!(newlines(&joined) <= newlines(&text) && newlines(&text) < newlines(&joined) + cut.len());
        }
    }
}
