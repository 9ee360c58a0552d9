//! The scan before the grammar: notation, size, nesting, brackets, quotes and comments.

// pest recurses once per bracket and reports an unbalanced one at the end of the text. The scan
// runs first, without recursion: it bounds the depth, and it points at the bracket or quote that
// has no partner.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::foreign;
use crate::{Dialect, PatternLimits};

/// The result of a scan.
pub(super) struct Scan {
    /// Whether the text is in JSON notation.
    pub(super) is_json: bool,
    /// Where the pattern ends. AWS parses one JSON value and ignores what follows it.
    pub(super) end: usize,
    /// Errors that do not prevent parsing.
    pub(super) errors: Vec<Diagnostic>,
    /// The spans of the comments, in order.
    pub(super) comments: Vec<Span>,
}

/// Scans a text.
///
/// # Errors
/// One diagnostic, if the text cannot be parsed at all: it is empty, too long or nested too deeply,
/// a string is unterminated, or a bracket is unmatched.
pub(super) fn scan(
    source: &str,
    dialect: Dialect,
    limits: &PatternLimits,
) -> Result<Scan, Vec<Diagnostic>> {
    if source.len() > limits.bytes {
        let message = format!(
            "pattern is {} bytes long; the limit is {}",
            source.len(),
            limits.bytes
        );
        return Err(vec![Diagnostic::error(Code::TOO_LONG, 0..0, message)]);
    }
    let mut scanner = Scanner {
        source,
        at: 0,
        open: Vec::new(),
        comments: Vec::new(),
        first: None,
    };
    let end = scanner.run(dialect, limits)?;
    let Some(first) = scanner.first else {
        let help = "write a condition such as `name == \"x\"`, \
                    or a JSON object such as `{\"name\": [\"x\"]}`";
        return Err(vec![
            Diagnostic::error(Code::EMPTY_TEXT, 0..0, "empty pattern").with_help(help),
        ]);
    };
    let mut errors = Vec::new();
    if dialect != Dialect::Reflexarc {
        errors.extend(scanner.comments.iter().cloned().map(|span| {
            let message = format!("{} does not allow comments", dialect.title());
            Diagnostic::error(Code::NOT_STRICT, span.clone(), message).with_fix(span, "")
        }));
    }
    Ok(Scan {
        is_json: first == '{',
        end,
        errors,
        comments: scanner.comments,
    })
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    /// The open brackets and their positions.
    open: Vec<(u8, usize)>,
    comments: Vec<Span>,
    /// The first character that is neither white space nor in a comment.
    first: Option<char>,
}

impl Scanner<'_> {
    /// Scans to the end of the pattern and returns its position.
    // Bytes suffice: every character that matters is ASCII, and no byte of a longer UTF-8 sequence
    // is. `//` and `#` start comments only outside strings, so `"http://x"` is one string.
    fn run(&mut self, dialect: Dialect, limits: &PatternLimits) -> Result<usize, Vec<Diagnostic>> {
        let bytes = self.source.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            if byte.is_ascii_whitespace() {
                self.at += 1;
                continue;
            }
            if self.comment() {
                continue;
            }
            if self.first.is_none() {
                self.first = self.source[start..].chars().next();
            }
            self.at += 1;
            match byte {
                b'"' | b'\'' => self.string(byte)?,
                b'{' | b'[' | b'(' => {
                    self.open.push((byte, start));
                    if self.open.len() > limits.depth {
                        let message =
                            format!("pattern is nested more than {} levels deep", limits.depth);
                        let span = start..start + 1;
                        return Err(vec![Diagnostic::error(Code::TOO_DEEP, span, message)]);
                    }
                }
                b'}' | b']' | b')' => {
                    self.close(byte, start)?;
                    if self.open.is_empty() && dialect == Dialect::Aws {
                        return Ok(self.at);
                    }
                }
                _ => {}
            }
        }
        match self.open.pop() {
            None => Ok(self.source.len()),
            Some((bracket, at)) => {
                // All of them in one fix: one alone would leave the text unclosed.
                let others = self.open.iter().rev().map(|(bracket, _)| *bracket);
                let missing: String = [bracket].into_iter().chain(others).map(closing).collect();
                let closing = closing(bracket);
                let end = self.source.trim_end().len();
                let message = format!("unclosed `{}`", bracket as char);
                Err(vec![
                    Diagnostic::error(Code::UNCLOSED, at..at + 1, message)
                        .with_help(format!("add the missing `{closing}`"))
                        .with_label(end..end, format!("the pattern ends without `{closing}`"))
                        .with_fix(end..end, missing),
                ])
            }
        }
    }

    /// Skips a comment, if one starts here.
    fn comment(&mut self) -> bool {
        let rest = &self.source.as_bytes()[self.at..];
        if !rest.starts_with(b"#") && !rest.starts_with(b"//") {
            return false;
        }
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(rest.len());
        self.comments.push(self.at..self.at + length);
        self.at += length;
        true
    }

    /// Skips the rest of a string that was opened by `quote`.
    fn string(&mut self, quote: u8) -> Result<(), Vec<Diagnostic>> {
        let start = self.at - 1;
        let bytes = self.source.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at = (self.at + 1).min(bytes.len()),
                _ if byte == quote => return Ok(()),
                _ => {}
            }
        }
        // The string swallows the rest of the text; only its first line is underlined, where the
        // closing quote is most likely missing.
        let line_end = self.source[start..]
            .find('\n')
            .map_or(self.source.len(), |length| start + length);
        let quote = quote as char;
        // `a isn't "x"`: an apostrophe and no quote.
        let before = self.source[..start].trim_end_matches(char::is_alphabetic);
        let word = before.len()..start;
        if quote == '\'' && !word.is_empty() && self.source[start..].starts_with("'t") {
            let plain = self.source.replace("n't", " not");
            let help = foreign::whole(&plain).map_or_else(
                || "write `not` in place of `n't`".to_owned(),
                |right| format!("write `{right}`"),
            );
            let span = word.start..start + 2;
            let message = format!("unknown operator `{}`", &self.source[span.clone()]);
            return Err(vec![
                Diagnostic::error(Code::UNKNOWN_OPERATOR, span, message).with_help(help),
            ]);
        }
        Err(vec![
            Diagnostic::error(Code::UNCLOSED, start..line_end, "unterminated string")
                .with_help(format!("add the closing `{quote}`")),
        ])
    }

    fn close(&mut self, byte: u8, at: usize) -> Result<(), Vec<Diagnostic>> {
        let found = byte as char;
        match self.open.pop() {
            Some((bracket, _)) if closing(bracket) == found => Ok(()),
            Some((bracket, opened)) => {
                let expected = closing(bracket);
                let bracket = bracket as char;
                let message = format!("expected `{expected}`, found `{found}`");
                Err(vec![
                    Diagnostic::error(Code::UNCLOSED, at..at + 1, message)
                        .with_label(opened..opened + 1, format!("unclosed `{bracket}`"))
                        .with_help(format!("close the `{bracket}` with `{expected}` first")),
                ])
            }
            None => Err(vec![
                Diagnostic::error(Code::UNCLOSED, at..at + 1, format!("unmatched `{found}`"))
                    .with_help(format!("remove it, or add the opening `{}`", opening(byte)))
                    .with_fix(at..at + 1, ""),
            ]),
        }
    }
}

fn closing(bracket: u8) -> char {
    match bracket {
        b'{' => '}',
        b'[' => ']',
        _ => ')',
    }
}

fn opening(bracket: u8) -> char {
    match bracket {
        b'}' => '{',
        b']' => '[',
        _ => '(',
    }
}
