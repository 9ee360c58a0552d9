//! A text in JSON notation with its comments: the order and nesting of its author, canonical spelling, and each comment
//! before the member or element that it was written before, or behind the one whose line it ended.

use reflexarc_diagnostic::Span;
use reflexarc_event::Json;

use super::{DEEPEST_INDENT, json, quoted};

/// The text with `comments` in their places. It has been read before, so that it is known to be well formed.
pub(crate) fn print(source: &str, comments: &[Span]) -> Option<String> {
    let mut walk = Walk {
        source,
        at: 0,
        comments,
    };
    let mut lines = Vec::new();
    walk.skip(&mut lines);
    let value = walk.value()?;
    let mut line = value.print(0);
    if let Some(comment) = walk.behind() {
        line = format!("{line}  {comment}");
    }
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).chain([line]).collect();
    let mut last = Vec::new();
    walk.skip(&mut last);
    lines.extend(last.into_iter().map(str::to_owned));
    Some(lines.join("\n"))
}

enum Value<'s> {
    /// As JSON spells it.
    Scalar(String),
    /// An object or array.
    Group {
        is_object: bool,
        parts: Vec<Part<'s>>,
        /// The comments behind the last part.
        last: Vec<&'s str>,
    },
}

/// A member or element.
struct Part<'s> {
    before: Vec<&'s str>,
    /// The key in quotes; an element has none.
    key: Option<String>,
    value: Value<'s>,
    behind: Option<&'s str>,
}

struct Walk<'s> {
    source: &'s str,
    at: usize,
    /// Those that lie ahead.
    comments: &'s [Span],
}

impl<'s> Walk<'s> {
    /// Steps over space, and over comments, which it takes along.
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

    /// The comment that ends this line, if nothing but space stands before it.
    fn behind(&mut self) -> Option<&'s str> {
        let (comment, others) = self.comments.split_first()?;
        let between = self.source.get(self.at..comment.start)?;
        if !between.trim().is_empty() || between.contains('\n') {
            return None;
        }
        (self.at, self.comments) = (comment.end, others);
        Some(self.source[comment.clone()].trim_end())
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.source[self.at..].starts_with(sign);
        self.at += if found { sign.len_utf8() } else { 0 };
        found
    }

    fn value(&mut self) -> Option<Value<'s>> {
        let is_object = self.takes('{');
        if !is_object && !self.takes('[') {
            return self.scalar().map(Value::Scalar);
        }
        let (mut parts, mut last) = (Vec::new(), Vec::new());
        loop {
            self.skip(&mut last);
            if self.takes(if is_object { '}' } else { ']' }) {
                return Some(Value::Group {
                    is_object,
                    parts,
                    last,
                });
            }
            let mut before = std::mem::take(&mut last);
            let mut key = None;
            if is_object {
                let word = self.scalar()?;
                key = Some(if word.starts_with('"') {
                    word
                } else {
                    quoted(&word)
                });
                self.skip(&mut before);
                self.takes(':');
                self.skip(&mut before);
            }
            let value = self.value()?;
            let mut behind = self.behind();
            self.skip(&mut last);
            self.takes(',');
            if behind.is_none() && last.is_empty() {
                behind = self.behind();
            }
            parts.push(Part {
                before,
                key,
                value,
                behind,
            });
        }
    }

    /// Text in quotes, or anything else up to the next sign.
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
        // One spelling of each escape.
        Some(Json::parse(text.as_bytes()).map_or_else(|_| text.to_owned(), |json| json.to_string()))
    }
}

impl Value<'_> {
    fn print(&self, indent: usize) -> String {
        let Value::Group {
            is_object,
            parts,
            last,
        } = self
        else {
            return self.flat();
        };
        if !self.has_comments() {
            let flat = self.flat();
            return Json::parse(flat.as_bytes()).map_or(flat, |json| json::layout(&json, indent));
        }
        let (open, close) = if *is_object { ('{', '}') } else { ('[', ']') };
        let inside = format!("\n{}", " ".repeat((indent + 2).min(DEEPEST_INDENT)));
        let mut text = String::from(open);
        for (i, part) in parts.iter().enumerate() {
            for comment in &part.before {
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
            if let Some(comment) = part.behind {
                text.push_str("  ");
                text.push_str(comment);
            }
        }
        for comment in last {
            text.push_str(&inside);
            text.push_str(comment);
        }
        text.push('\n');
        text.push_str(&" ".repeat(indent.min(DEEPEST_INDENT)));
        text.push(close);
        text
    }

    /// The value as JSON without its comments.
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
        let Value::Group { parts, last, .. } = self else {
            return false;
        };
        !last.is_empty()
            || parts.iter().any(|part| {
                !part.before.is_empty() || part.behind.is_some() || part.value.has_comments()
            })
    }
}
