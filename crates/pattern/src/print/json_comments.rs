//! Formats JSON notation with comments.

// Works on the text and not on the tree: normalizing would reorder members and leave comments
// without the member they belong to. So order and nesting are kept; only white space, quotes,
// escapes and trailing commas change. A comment stays before the member or element that it was
// written before, or at the end of the line of the one that it followed.

use reflexarc_diagnostic::Span;
use reflexarc_event::Json;

use super::{DEEPEST_INDENT, json, quoted};

/// The formatted text; `None` if it is not well-formed, which a text that has been parsed is not.
pub(crate) fn print(source: &str, comments: &[Span]) -> Option<String> {
    let mut reader = Reader {
        source,
        at: 0,
        comments,
    };
    let mut leading = Vec::new();
    reader.skip(&mut leading);
    let value = reader.value()?;
    let mut line = value.print(0);
    if let Some(comment) = reader.line_comment() {
        line = format!("{line}  {comment}");
    }
    let mut lines: Vec<String> = leading
        .into_iter()
        .map(str::to_owned)
        .chain([line])
        .collect();
    let mut trailing = Vec::new();
    reader.skip(&mut trailing);
    lines.extend(trailing.into_iter().map(str::to_owned));
    Some(lines.join("\n"))
}

/// The array that starts at `open`, formatted for a line with that indentation, and the number of
/// its elements. `comments` are those inside it.
pub(crate) fn array(
    source: &str,
    open: usize,
    comments: &[Span],
    indent: usize,
) -> Option<(String, usize)> {
    let mut reader = Reader {
        source,
        at: open,
        comments,
    };
    let value = reader.value()?;
    match &value {
        Value::Group { parts, .. } => Some((value.print(indent), parts.len())),
        Value::Scalar(_) => None,
    }
}

enum Value<'s> {
    /// The JSON text of a scalar.
    Scalar(String),
    /// An object or array.
    Group {
        is_object: bool,
        parts: Vec<Part<'s>>,
        /// The comments after the last part.
        trailing: Vec<&'s str>,
    },
}

/// A member or element with its comments.
struct Part<'s> {
    leading: Vec<&'s str>,
    /// The key as a string literal; `None` for an element.
    key: Option<String>,
    value: Value<'s>,
    /// The comment at the end of its line.
    line_comment: Option<&'s str>,
}

/// Reads well-formed JSON notation.
struct Reader<'s> {
    source: &'s str,
    at: usize,
    /// The comments after `at`.
    comments: &'s [Span],
}

impl<'s> Reader<'s> {
    /// Skips white space and comments, and collects the comments.
    fn skip(&mut self, into: &mut Vec<&'s str>) {
        loop {
            let rest = &self.source[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let Some((comment, others)) = self
                .comments
                .split_first()
                .filter(|(first, _)| first.start == self.at)
            else {
                return;
            };
            into.push(self.source[comment.clone()].trim_end());
            (self.at, self.comments) = (comment.end, others);
        }
    }

    /// The comment on the rest of this line, if only white space precedes it.
    fn line_comment(&mut self) -> Option<&'s str> {
        let (comment, others) = self.comments.split_first()?;
        let between = self.source.get(self.at..comment.start)?;
        if !between.trim().is_empty() || between.contains('\n') {
            return None;
        }
        (self.at, self.comments) = (comment.end, others);
        Some(self.source[comment.clone()].trim_end())
    }

    /// Skips the character, if it is next.
    fn skip_char(&mut self, c: char) -> bool {
        let found = self.source[self.at..].starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn value(&mut self) -> Option<Value<'s>> {
        let is_object = self.skip_char('{');
        if !is_object && !self.skip_char('[') {
            return self.scalar().map(Value::Scalar);
        }
        let (mut parts, mut comments) = (Vec::new(), Vec::new());
        loop {
            self.skip(&mut comments);
            if self.skip_char(if is_object { '}' } else { ']' }) {
                return Some(Value::Group {
                    is_object,
                    parts,
                    trailing: comments,
                });
            }
            // Comments before the comma that are not on the line of the previous part belong to the
            // next one.
            let mut leading = std::mem::take(&mut comments);
            let mut key = None;
            if is_object {
                let text = self.scalar()?;
                key = Some(if text.starts_with('"') {
                    text
                } else {
                    quoted(&text)
                });
                // Comments around the colon move before the member.
                self.skip(&mut leading);
                self.skip_char(':');
                self.skip(&mut leading);
            }
            let value = self.value()?;
            // The comment may be before the comma or after it: `1 # one` and `1, # one`.
            let mut line_comment = self.line_comment();
            self.skip(&mut comments);
            self.skip_char(',');
            if line_comment.is_none() && comments.is_empty() {
                line_comment = self.line_comment();
            }
            parts.push(Part {
                leading,
                key,
                value,
                line_comment,
            });
        }
    }

    /// A string literal, or anything else up to white space or punctuation.
    fn scalar(&mut self) -> Option<String> {
        let rest = &self.source[self.at..];
        let length = if let Some(inner) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = inner.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end? + 2
        } else {
            let ends = |c: char| c.is_whitespace() || ",:[]{}#/".contains(c);
            rest.find(ends).filter(|length| *length > 0)?
        };
        self.at += length;
        let text = &rest[..length];
        // Parsed and written again, so that `\u00e9` and `é` become the same text.
        Some(Json::parse(text.as_bytes()).map_or_else(|_| text.to_owned(), |json| json.to_string()))
    }
}

impl Value<'_> {
    fn print(&self, indent: usize) -> String {
        let Value::Group {
            is_object,
            parts,
            trailing,
        } = self
        else {
            return self.flat();
        };
        // Without comments inside, the value is laid out like any other JSON.
        if !self.has_comments() {
            let flat = self.flat();
            // What is no JSON here is printed as it is written: a comma too many, single quotes.
            return Json::parse(flat.as_bytes()).map_or(flat, |json| json::layout(&json, indent));
        }
        let (open, close) = if *is_object { ('{', '}') } else { ('[', ']') };
        let inside = format!("\n{}", " ".repeat((indent + 2).min(DEEPEST_INDENT)));
        let mut text = String::from(open);
        for (i, part) in parts.iter().enumerate() {
            for comment in &part.leading {
                text.push_str(&inside);
                text.push_str(comment);
            }
            text.push_str(&inside);
            if let Some(key) = &part.key {
                text.push_str(key);
                text.push_str(": ");
            }
            text.push_str(&part.value.print(indent + 2));
            text.push_str(if i + 1 < parts.len() { "," } else { "" });
            if let Some(comment) = part.line_comment {
                text.push_str("  ");
                text.push_str(comment);
            }
        }
        for comment in trailing {
            text.push_str(&inside);
            text.push_str(comment);
        }
        text.push('\n');
        text.push_str(&" ".repeat(indent.min(DEEPEST_INDENT)));
        text.push(close);
        text
    }

    /// The value as JSON on one line, without comments.
    fn flat(&self) -> String {
        match self {
            Value::Scalar(text) => text.clone(),
            Value::Group {
                is_object, parts, ..
            } => {
                let part = |part: &Part<'_>| match &part.key {
                    Some(key) => format!("{key}: {}", part.value.flat()),
                    None => part.value.flat(),
                };
                let parts = parts.iter().map(part).collect::<Vec<_>>().join(", ");
                if *is_object {
                    format!("{{{parts}}}")
                } else {
                    format!("[{parts}]")
                }
            }
        }
    }

    fn has_comments(&self) -> bool {
        let Value::Group {
            parts, trailing, ..
        } = self
        else {
            return false;
        };
        !trailing.is_empty()
            || parts.iter().any(|part| {
                !part.leading.is_empty() || part.line_comment.is_some() || part.value.has_comments()
            })
    }
}
