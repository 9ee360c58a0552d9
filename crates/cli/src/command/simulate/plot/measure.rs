//! The width of text, estimated: the font is that of the viewer.
//!
//! The estimates are those of `DejaVu` Sans, which is among the widest of the usual fonts, rounded
//! up. Where the viewer's font is narrower, there is only more space between the texts.

/// Size and weight of a text.
#[derive(Clone, Copy)]
pub(super) struct Font {
    /// In pixels.
    pub(super) size: f64,
    pub(super) is_bold: bool,
}

/// How much wider bold text is.
const BOLD: f64 = 1.15;
const ELLIPSIS: char = '…';

impl Font {
    /// The width of a text in pixels.
    pub(super) fn width(self, text: &str) -> f64 {
        text.chars().map(|character| self.width_of(character)).sum()
    }

    /// Breaks a text into lines that are at most `width` wide, at spaces where there are any. What
    /// does not fit into `most` lines is replaced by an ellipsis.
    pub(super) fn wrap(self, text: &str, width: f64, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if lines.len() + 1 == most {
                lines.push(self.abbreviate(rest, width));
                break;
            }
            let fitting = self.fitting(rest, width);
            if fitting == rest.len() {
                lines.push(rest.to_owned());
                break;
            }
            // A space right behind what fits is a place to break too.
            let is_at_space = rest[fitting..].starts_with(' ');
            let end = match rest[..fitting].rfind(' ') {
                Some(space) if space > 0 && !is_at_space => space,
                _ => fitting,
            };
            lines.push(rest[..end].trim_end().to_owned());
            rest = rest[end..].trim_start();
        }
        lines
    }

    /// The text, or as much of it as fits with an ellipsis behind it.
    pub(super) fn abbreviate(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let end = self.fitting(text, width - self.width_of(ELLIPSIS));
        format!("{}{ELLIPSIS}", text[..end].trim_end())
    }

    /// The length in bytes of the longest beginning that fits, at least of one character.
    fn fitting(self, text: &str, width: f64) -> usize {
        let mut used = 0.0;
        let mut characters = text.char_indices();
        let first = characters.next();
        used += first.map_or(0.0, |(_, character)| self.width_of(character));
        for (at, character) in characters {
            used += self.width_of(character);
            if used > width {
                return at;
            }
        }
        text.len()
    }

    fn width_of(self, character: char) -> f64 {
        let ems = match character {
            ' ' | '!' | '\'' | '(' | ')' | ',' | '-' | '.' | '/' | ':' | ';' | 'I' | '[' | ']'
            | 'f' | 'i' | 'j' | 'l' | 'r' | 't' | '|' => 0.42,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.0,
            '#' | '&' | '+' | '<' | '=' | '>' | '^' | '~' => 0.86,
            'A'..='Z' => 0.79,
            ' '..='~' => 0.64,
            '\u{1f000}'.. => 1.3,
            _ => 1.0,
        };
        let factor = if self.is_bold { BOLD } else { 1.0 };
        ems * factor * self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FONT: Font = Font {
        size: 10.0,
        is_bold: false,
    };

    #[test]
    fn text_is_broken_at_spaces_and_where_there_are_none() {
        // 6.4 pixels for a letter, 4.2 for a space.
        assert_eq!(FONT.wrap("aaa bbb c", 45.0, 9), ["aaa bbb", "c"]);
        assert_eq!(FONT.wrap("aaa bbb c", 30.0, 9), ["aaa", "bbb c"]);
        assert_eq!(FONT.wrap("aaa bbb", 1.0, 3), ["a", "a", "a…"]);
        assert_eq!(FONT.wrap("网卡挂载失败", 30.0, 9), ["网卡挂", "载失败"]);
        assert!(FONT.wrap(" ", 30.0, 9).is_empty());
    }

    #[test]
    fn what_does_not_fit_becomes_an_ellipsis() {
        assert_eq!(FONT.wrap("aaa bbb ccc", 25.0, 2), ["aaa", "bb…"]);
        assert_eq!(FONT.abbreviate("aaa", 30.0), "aaa");
        assert_eq!(FONT.abbreviate("aaaaaa", 30.0), "aaa…");
    }
}
