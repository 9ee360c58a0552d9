//! Locations in a script. rhai counts lines and characters; diagnostics count bytes.

use std::fmt;

use reflexarc_diagnostic::Span;
use rhai::Position;

/// A location in the source of a script.
///
/// ```
/// # use reflexarc_reaction::{Event, Input, NoState, Reaction, ReactionLimits, RuleInfo};
/// # use reflexarc_reaction::{ScriptEvent, Timestamp};
/// let reaction = Reaction::compile("let a = 1;\nthrow `no`;", &ReactionLimits::DEFAULT)?;
/// # let event = ScriptEvent::new(&Event::from_json("{}")?);
/// # let rule = RuleInfo::named("r");
/// # let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
/// let error = reaction.run(&input, &NoState).expect_err("the script throws");
/// let at = error.at().ok_or("no location")?;
/// assert_eq!((at.line, at.column, at.offset), (2, 1, 11));
/// assert_eq!(at.to_string(), "line 2, column 1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SourceLocation {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The byte in the source.
    pub offset: usize,
}

impl SourceLocation {
    /// The location of rhai's position; `None` for an error outside the script.
    pub(crate) fn of(position: Position, source: &str) -> Option<Self> {
        let line = position.line()?;
        // A position at the start of a line has no character.
        let column = position.position().unwrap_or(1);
        // Example: line 2, column 8 of "let a = 1;\n\"网卡\" + b;" is `b`. The line starts at byte
        // 11; the 7 characters before the column, two of which have 3 bytes, are 11 bytes: offset
        // 22.
        let start: usize = source
            .split_inclusive('\n')
            .take(line - 1)
            .map(str::len)
            .sum();
        let text = source[start..]
            .split_inclusive('\n')
            .next()
            .unwrap_or_default();
        let before: usize = text.chars().take(column - 1).map(char::len_utf8).sum();
        Some(Self {
            line,
            column,
            offset: start + before,
        })
    }

    /// The location of a byte of the source.
    pub(crate) fn at_offset(offset: usize, source: &str) -> Option<Self> {
        let before = source.get(..offset)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset,
        })
    }

    /// The span of the token at `position`: a word, or one character. Without a position, the end
    /// of the source.
    pub(crate) fn token(position: Position, source: &str) -> Span {
        // rhai gives only the start of a token. A word is enough to mark a name; of other tokens,
        // such as `==` or a string, the first character is marked.
        let start = Self::of(position, source).map_or(source.len(), |location| location.offset);
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

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_converted_to_bytes() {
        let source = "let a = 1;\n\"网卡\" + b;\n";
        let location = SourceLocation::of(Position::new(2, 8), source).unwrap();
        assert_eq!((location.line, location.column), (2, 8));
        assert_eq!(&source[location.offset..=location.offset], "b");
        assert_eq!(
            &source[SourceLocation::token(Position::new(1, 5), source)],
            "a"
        );
    }

    #[test]
    fn a_position_after_the_end_is_the_end() {
        assert_eq!(SourceLocation::token(Position::new(9, 9), "x"), 1..1);
        assert_eq!(SourceLocation::token(Position::NONE, "x"), 1..1);
        assert_eq!(SourceLocation::of(Position::NONE, "x"), None);
    }
}
