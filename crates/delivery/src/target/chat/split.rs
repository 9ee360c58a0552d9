//! Splits a text that is longer than a chat accepts into pieces that it does accept.

use crate::rendering::truncate;

/// The most messages that one text becomes. What is beyond them is left out with a remark: a chat
/// is no place to read it, and no other message would get through meanwhile.
pub(super) const MAX_PARTS: usize = 10;

/// How close a piece comes to the longest one that fits, in bytes.
const PRECISION: usize = 32;
/// Room for the remark in the last piece.
const REMARK_BYTES: usize = 64;

/// The pieces of `text`, each of at most `limit` bytes and one that `fits`; at ends of lines where
/// possible. The newline between two pieces is left out.
pub(super) fn pieces(text: &str, limit: usize, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    loop {
        let is_last = pieces.len() + 1 == MAX_PARTS;
        let room = if is_last {
            limit.saturating_sub(REMARK_BYTES)
        } else {
            limit
        };
        // The remark is measured as well.
        let with_remark = |piece: &str| {
            if is_last {
                fits(&format!("{piece}{}", remark(usize::MAX)))
            } else {
                fits(piece)
            }
        };
        if rest.len() <= limit && fits(rest) {
            pieces.push(rest.to_owned());
            return pieces;
        }
        let end = longest(rest, room, with_remark);
        if is_last {
            let left = rest.len() - end;
            pieces.push(format!("{}{}", &rest[..end], remark(left)));
            return pieces;
        }
        let (piece, after) = at_line_end(rest, end);
        pieces.push(piece.to_owned());
        rest = after;
    }
}

fn remark(bytes: usize) -> String {
    format!("… ({bytes} more bytes were left out)")
}

/// The end of the longest beginning that fits, but of one character at least: without progress the
/// splitting would not end.
fn longest(text: &str, limit: usize, fits: impl Fn(&str) -> bool) -> usize {
    let mut beyond = truncate(text, limit).len();
    if fits(&text[..beyond]) && beyond > 0 {
        return beyond;
    }
    let mut fitting = 0;
    while beyond - fitting > PRECISION {
        let middle = truncate(text, fitting.midpoint(beyond)).len();
        if middle <= fitting {
            break;
        }
        if fits(&text[..middle]) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    fitting.max(first)
}

/// Splits at `end`, or at the newline before it.
fn at_line_end(text: &str, end: usize) -> (&str, &str) {
    let newline = if text[end..].starts_with('\n') {
        Some(end)
    } else {
        text[..end].rfind('\n')
    };
    // A newline in the first half would make a short piece, and a text of one short line and one
    // very long one would become many of them; then the line is cut instead.
    match newline.filter(|newline| *newline > end / 2) {
        Some(newline) => (&text[..newline], &text[newline + 1..]),
        None => text.split_at(end),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_stay_whole_where_possible() {
        let lines = "word word word\n".repeat(20);
        let pieces = pieces(&lines, 100, |piece| piece.len() <= 100);
        assert!(pieces.len() > 2, "{pieces:?}");
        for piece in &pieces {
            assert!(
                piece.lines().all(|line| line == "word word word"),
                "{piece}"
            );
        }
    }

    #[test]
    fn very_long_texts_end_with_a_remark() {
        let text = "网".repeat(2_000);
        let pieces = pieces(&text, 300, |piece| piece.len() <= 300);
        assert_eq!(pieces.len(), MAX_PARTS);
        let shown = pieces.concat().matches('网').count();
        let left = (2_000 - shown) * 3;
        assert!(pieces[9].ends_with(&format!("… ({left} more bytes were left out)")));
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing(text in "[a-c\n好]{0,400}", limit in 120_usize..300) {
            // A newline costs more when it is rendered.
            let cost = |piece: &str| piece.len() + piece.matches('\n').count();
            let pieces = pieces(&text, limit, |piece| cost(piece) <= limit);
            for piece in &pieces {
                prop_assert!(cost(piece) <= limit, "{piece:?}");
            }
            if pieces.len() < MAX_PARTS {
                prop_assert_eq!(pieces.concat().replace('\n', ""), text.replace('\n', ""));
            }
        }
    }
}
