//! Wildcards as text: `*` is any characters, also none; `\*` and `\\` are the characters themselves.

use std::fmt;
use std::ops::Range;

use crate::Wildcard;

/// What is wrong with the text of a wildcard, and where in it (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WildcardFault {
    pub(crate) at: Range<usize>,
    pub(crate) kind: WildcardFaultKind,
}

/// The two ways a wildcard can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WildcardFaultKind {
    /// `**`
    TwoStars,
    /// A backslash before something else than `*` or `\`, or at the end.
    BadEscape,
}

impl Wildcard {
    /// Reads the text of a wildcard.
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
}

/// The text it is written as, escapes included.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_text_go_back_and_forth() {
        for (text, pieces) in [
            ("", vec![""]),
            ("*", vec!["", ""]),
            ("a*b", vec!["a", "b"]),
            (r"\*a\\*", vec![r"*a\", ""]),
            (r"a*\**", vec!["a", "*", ""]),
        ] {
            let wildcard = Wildcard::parse(text).expect(text);
            assert_eq!(
                wildcard
                    .pieces
                    .iter()
                    .map(|piece| &**piece)
                    .collect::<Vec<_>>(),
                pieces,
                "{text}"
            );
            assert_eq!(wildcard.to_string(), text);
        }
    }

    #[test]
    fn two_stars_and_strange_escapes_are_refused_where_they_stand() {
        let fault = |text| Wildcard::parse(text).expect_err(text);
        assert_eq!(
            fault("a***b"),
            WildcardFault {
                at: 1..4,
                kind: WildcardFaultKind::TwoStars
            }
        );
        assert_eq!(
            fault(r"a\é"),
            WildcardFault {
                at: 1..4,
                kind: WildcardFaultKind::BadEscape
            }
        );
        assert_eq!(
            fault(r"a\"),
            WildcardFault {
                at: 1..2,
                kind: WildcardFaultKind::BadEscape
            }
        );
        assert_eq!(fault(r"\***").at, 2..4);
    }
}
