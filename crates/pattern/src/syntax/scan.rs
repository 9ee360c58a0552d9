//! The look over a text before the grammar sees it: size, nesting, brackets, quotes, comments.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use crate::{Dialect, PatternLimits};

/// What the look over a text found.
pub(super) struct Scan {
    /// Whether the text is in JSON notation.
    pub(super) is_json: bool,
    /// Where the pattern ends; AWS reads one JSON value and does not look at what follows.
    pub(super) end: usize,
    /// Faults that do not stand in the way of reading on.
    pub(super) remarks: Vec<Diagnostic>,
    /// Where the comments stand, in order.
    pub(super) comments: Vec<Span>,
}

/// Looks over a text.
///
/// # Errors
/// With what makes the text unreadable: nothing there, too long, too deep, an open quote, a bracket without its partner.
pub(super) fn scan(
    source: &str,
    dialect: Dialect,
    limits: &PatternLimits,
) -> Result<Scan, Vec<Diagnostic>> {
    if source.len() > limits.bytes {
        let message = format!(
            "the pattern has {} bytes, more than the {} allowed",
            source.len(),
            limits.bytes
        );
        return Err(vec![Diagnostic::error(
            Code::TOO_LONG,
            end_of(source),
            message,
        )]);
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
        let help =
            "write a test such as `name == \"x\"`, or a JSON object such as `{\"name\": [\"x\"]}`";
        return Err(vec![
            Diagnostic::error(Code::EMPTY_TEXT, end_of(source), "there is no pattern")
                .with_help(help),
        ]);
    };
    let mut remarks = Vec::new();
    if dialect != Dialect::Reflexarc {
        remarks.extend(scanner.comments.iter().cloned().map(|span| {
            Diagnostic::error(
                Code::NOT_STRICT,
                span.clone(),
                format!("{} knows no comments", dialect.title()),
            )
            .with_fix(span, "")
        }));
    }
    Ok(Scan {
        is_json: first == '{',
        end,
        remarks,
        comments: scanner.comments,
    })
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    open: Vec<(u8, usize)>,
    comments: Vec<Span>,
    /// The first character of the pattern itself.
    first: Option<char>,
}

impl Scanner<'_> {
    /// Walks to the end of the pattern and says where that is.
    fn run(&mut self, dialect: Dialect, limits: &PatternLimits) -> Result<usize, Vec<Diagnostic>> {
        let bytes = self.source.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            if !byte.is_ascii_whitespace() && !self.comment() {
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
                                format!("the pattern nests more than {} levels deep", limits.depth);
                            return Err(vec![Diagnostic::error(
                                Code::TOO_DEEP,
                                start..start + 1,
                                message,
                            )]);
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
            } else if self.at == start {
                self.at += 1;
            }
        }
        match self.open.pop() {
            None => Ok(self.source.len()),
            Some((bracket, at)) => {
                let closing = closing(bracket);
                let message = format!("`{}` is never closed", bracket as char);
                let end = self.source.trim_end().len();
                Err(vec![
                    Diagnostic::error(Code::UNCLOSED, at..at + 1, message)
                        .with_help(format!("put the missing `{closing}` where it belongs"))
                        .with_label(
                            end_of(self.source),
                            format!("the text ends here without `{closing}`"),
                        )
                        .with_fix(end..end, closing.to_string()),
                ])
            }
        }
    }

    /// Steps over a comment, if one begins here.
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

    /// Steps over the rest of a string that was opened by `quote`.
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
        let line = self.source[start..]
            .find('\n')
            .map_or(self.source.len(), |length| start + length);
        let quote = quote as char;
        Err(vec![
            Diagnostic::error(Code::UNCLOSED, start..line, "this text is never closed")
                .with_help(format!("put `{quote}` where it ends")),
        ])
    }

    fn close(&mut self, byte: u8, at: usize) -> Result<(), Vec<Diagnostic>> {
        let found = byte as char;
        match self.open.pop() {
            Some((bracket, _)) if closing(bracket) == found => Ok(()),
            Some((bracket, opened)) => {
                let expected = closing(bracket);
                Err(vec![
                    Diagnostic::error(
                        Code::UNCLOSED,
                        at..at + 1,
                        format!("expected `{expected}`, found `{found}`"),
                    )
                    .with_label(
                        opened..opened + 1,
                        format!("this `{}` is open", bracket as char),
                    )
                    .with_help(format!("close it with `{expected}` first")),
                ])
            }
            None => Err(vec![
                Diagnostic::error(
                    Code::UNCLOSED,
                    at..at + 1,
                    format!("`{found}` closes nothing"),
                )
                .with_help("take it away, or open it before")
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

fn end_of(source: &str) -> Span {
    source.len()..source.len()
}
