//! Texts of events, rules and receivers as pages show them: bounded, and with every character
//! visible that would otherwise change how its neighbours look.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use reflexarc_event::Json;

/// Bytes of a text that a page shows as a block.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// Characters of a text on one line.
const LINE_CHARS: usize = 300;

/// A text for a template, which escapes it. Control characters, and those that reverse or hide
/// text, are shown as escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown(String);

/// A text of several lines, which may have been cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) text: Shown,
    pub(crate) is_cut: bool,
}

impl Shown {
    /// A text on one line, of at most 300 characters.
    pub(crate) fn line(text: &str) -> Self {
        Self::within(text, LINE_CHARS)
    }

    /// A text on one line, of at most so many characters.
    pub(crate) fn within(text: &str, chars: usize) -> Self {
        let mut shown = String::with_capacity(text.len().min(chars));
        for (count, character) in text.chars().enumerate() {
            if count == chars {
                shown.push('…');
                break;
            }
            push(&mut shown, character);
        }
        Self(shown)
    }

    /// A value on one line: a string without quotes, anything else as JSON.
    pub(crate) fn value(value: &Json) -> Self {
        match value.as_str() {
            Some(text) => Self::line(text),
            None => Self::line(&value.to_string()),
        }
    }

    /// A member of an object on one line; empty if it is missing or null.
    pub(crate) fn field(json: &Json, name: &str) -> Self {
        match json.get(name) {
            None | Some(Json::Null) => Self::default(),
            Some(value) => Self::value(value),
        }
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Block {
    /// A text with its lines, at most 64 KiB of it.
    pub(crate) fn new(text: &str) -> Self {
        let cut = cut_at(text, BLOCK_BYTES);
        let mut shown = String::with_capacity(cut.len());
        for character in cut.chars() {
            match character {
                '\n' | '\t' => shown.push(character),
                other => push(&mut shown, other),
            }
        }
        Self {
            text: Shown(shown),
            is_cut: cut.len() < text.len(),
        }
    }

    /// JSON with a member or element a line, at most 64 KiB of it.
    pub(crate) fn json(json: &Json) -> Self {
        let mut text = String::new();
        let is_cut = write_json(json, 0, &mut text).is_err();
        let block = Self::new(&text);
        Self {
            is_cut: is_cut || block.is_cut,
            ..block
        }
    }

    /// Bytes that should be UTF-8.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        // A character that is cut in two would look like an invalid one.
        let end = bytes.len().min(BLOCK_BYTES + 4);
        let text: Cow<'_, str> = String::from_utf8_lossy(&bytes[..end]);
        let block = Self::new(&text);
        Self {
            is_cut: block.is_cut || end < bytes.len(),
            ..block
        }
    }
}

/// A command line, quoted for a shell.
pub(crate) fn command_line(command: &str, arguments: &[&str]) -> String {
    let mut line = command.to_owned();
    if arguments.iter().any(|argument| argument.starts_with('-')) {
        line.push_str(" --");
    }
    for argument in arguments {
        line.push(' ');
        line.push_str(&shell_word(argument));
    }
    line
}

/// A command line with those options that have a value, quoted for a shell.
pub(crate) fn command_with(command: &str, options: &[(&str, Option<&str>)]) -> String {
    let mut line = command.to_owned();
    for (name, value) in options {
        if let Some(value) = value {
            let separator = if value.starts_with('-') { '=' } else { ' ' };
            // Writing to a string cannot fail.
            let _ = write!(line, " --{name}{separator}{}", shell_word(value));
        }
    }
    line
}

/// A word for a POSIX shell.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let word = word.replace('\0', "\u{FFFD}").replace('\'', r"'\''");
    format!("'{}'", Block::new(&word).text)
}

fn push(shown: &mut String, character: char) {
    if is_hidden(character) {
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

/// Whether a character is not seen, or changes the order in which others are seen.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// As many of the first characters of a text as have at most so many bytes.
fn cut_at(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Writes JSON indented, until the text is as long as a page shows it.
fn write_json(json: &Json, depth: usize, text: &mut String) -> Result<(), fmt::Error> {
    if text.len() > BLOCK_BYTES {
        return Err(fmt::Error);
    }
    let indent = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    match json {
        Json::Object(members) if !members.is_empty() => {
            text.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                write!(text, "{}: ", Json::from(name.as_str()))?;
                write_json(value, depth + 1, text)?;
            }
            indent(text, depth);
            text.push('}');
        }
        Json::Array(elements) if !elements.is_empty() => {
            text.push('[');
            for (index, value) in elements.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                indent(text, depth + 1);
                write_json(value, depth + 1, text)?;
            }
            indent(text, depth);
            text.push(']');
        }
        other => write!(text, "{other}")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_visible() {
        let text = "a\u{202e}b\u{0}\n\u{200b}\u{feff}c";
        let shown = Shown::line(text).to_string();
        assert_eq!(shown, r"a\u{202e}b\u{0}\n\u{200b}\u{feff}c");
        assert_eq!(Block::new("a\n\tb\r").text.to_string(), "a\n\tb\\r");
        assert_eq!(Shown::line("网络 é 👩‍🚒").to_string(), "网络 é 👩‍🚒");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(
            Shown::line(&"é".repeat(301)).to_string().chars().count(),
            301
        );
        let block = Block::new(&"é".repeat(BLOCK_BYTES));
        assert!(block.is_cut);
        assert_eq!(block.text.to_string().len(), BLOCK_BYTES);
        assert!(Block::bytes(&vec![b'a'; BLOCK_BYTES + 1]).is_cut);
        assert!(!Block::bytes(&vec![b'a'; BLOCK_BYTES]).is_cut);
        let many = Json::Array(vec![Json::from(1); BLOCK_BYTES]);
        assert!(Block::json(&many).is_cut);
    }

    #[test]
    fn json_has_a_member_a_line() {
        let json = Json::parse(r#"{"a":[1,{}],"b":"x"}"#).unwrap();
        let expected = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x\"\n}";
        assert_eq!(Block::json(&json).text.to_string(), expected);
    }

    #[test]
    fn commands_are_quoted() {
        let line = command_line("reflexarc trace", &["it's\u{202e}"]);
        assert_eq!(line, r"reflexarc trace 'it'\''s\u{202e}'");
        assert_eq!(
            command_line("reflexarc trace", &["-x"]),
            "reflexarc trace -- -x"
        );
        let line = command_with(
            "reflexarc dlq list",
            &[
                ("target", Some("a b")),
                ("rule", None),
                ("event", Some("-x")),
            ],
        );
        assert_eq!(line, "reflexarc dlq list --target 'a b' --event=-x");
    }
}
