//! Where something is in a script: rhai counts lines and characters, everybody else counts bytes.

use std::fmt;

use reflexarc_diagnostic::Span;
use rhai::Position;

/// A place in the source of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The same in bytes from the start of the source.
    pub offset: usize,
}

impl Place {
    /// The place of rhai's position, which is none for errors outside the script.
    pub(crate) fn of(position: Position, source: &str) -> Option<Self> {
        let line = position.line()?;
        let column = position.position().unwrap_or(1);
        let start: usize = source
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let text = source[start..]
            .split_inclusive('\n')
            .next()
            .unwrap_or_default();
        let within: usize = text.chars().take(column - 1).map(char::len_utf8).sum();
        Some(Self {
            line,
            column,
            offset: start + within,
        })
    }

    /// The place that many bytes into the source.
    pub(crate) fn at_offset(offset: usize, source: &str) -> Option<Self> {
        let before = source.get(..offset)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset,
        })
    }

    /// The token that begins at `position`: a word, or one character; the end of the source where there is no position.
    pub(crate) fn token(position: Position, source: &str) -> Span {
        let start = Self::of(position, source).map_or(source.len(), |place| place.offset);
        let rest = &source[start..];
        let word: usize = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .map(char::len_utf8)
            .sum();
        let end = if word > 0 {
            word
        } else {
            rest.chars().next().map_or(0, char::len_utf8)
        };
        start..start + end
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_bytes() {
        let source = "let a = 1;\n\"网卡\" + b;\n";
        let place = Place::of(Position::new(2, 8), source).unwrap();
        assert_eq!((place.line, place.column), (2, 8));
        assert_eq!(&source[place.offset..=place.offset], "b");
        assert_eq!(&source[Place::token(Position::new(1, 5), source)], "a");
    }

    #[test]
    fn beyond_the_end_is_the_end() {
        assert_eq!(Place::token(Position::new(9, 9), "x"), 1..1);
        assert_eq!(Place::token(Position::NONE, "x"), 1..1);
        assert_eq!(Place::of(Position::NONE, "x"), None);
    }
}
