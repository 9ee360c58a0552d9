//! The tokens of a template that minijinja has parsed, with their places. minijinja does not give
//! out its syntax tree.

use std::ops::Range;

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: &'s str,
    /// The byte at which it begins.
    pub(super) start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text outside of tags, which is printed as it stands.
    Outside,
    /// The begin of an expression or a tag, `{{` or `{%`.
    Open,
    /// The end of one.
    Close,
    /// A name or keyword.
    Name,
    /// A string with its quotes, or a number.
    Constant,
    /// An operator or a bracket.
    Symbol,
}

impl Token<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    pub(super) fn is(&self, kind: Kind, text: &str) -> bool {
        self.kind == kind && self.text == text
    }
}

/// The tokens in order, without comments and without what is between `{% raw %}` and `{% endraw
/// %}`.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let open = ["{{", "{%", "{#"].into_iter();
        let open = open.filter_map(|open| Some((source[at..].find(open)? + at, open)));
        let Some((start, open)) = open.min() else {
            push_outside(&mut tokens, source, at..source.len());
            return tokens;
        };
        push_outside(&mut tokens, source, at..start);
        if open == "{#" {
            at = end_of(source, start, "#}");
            continue;
        }
        let first = tokens.len();
        at = inside(&mut tokens, source, start);
        if tokens
            .get(first + 1)
            .is_some_and(|token| token.is(Kind::Name, "raw"))
        {
            tokens.truncate(first);
            let end = source[at..]
                .find("endraw")
                .map_or(source.len(), |end| at + end);
            at = end_of(source, end, "%}");
        }
    }
}

fn push_outside<'s>(tokens: &mut Vec<Token<'s>>, source: &'s str, span: Range<usize>) {
    if !span.is_empty() {
        tokens.push(Token {
            kind: Kind::Outside,
            text: &source[span.clone()],
            start: span.start,
        });
    }
}

/// The byte after the next `close`.
fn end_of(source: &str, from: usize, close: &str) -> usize {
    let end = source[from..].find(close);
    end.map_or(source.len(), |end| from + end + close.len())
}

/// Reads an expression or tag, from its opening braces to the closing ones; returns the byte after.
fn inside<'s>(tokens: &mut Vec<Token<'s>>, source: &'s str, start: usize) -> usize {
    let mut push = |kind, span: Range<usize>| {
        tokens.push(Token {
            kind,
            text: &source[span.clone()],
            start: span.start,
        });
        span.end
    };
    let close = if source[start..].starts_with("{{") {
        "}}"
    } else {
        "%}"
    };
    let mut at = push(Kind::Open, start..start + 2);
    // Open brackets of the expression: `{{ {"a": {}} }}` ends at the last two braces.
    let mut depth = 0_usize;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        if depth == 0 && rest.starts_with(close) {
            return push(Kind::Close, at..at + close.len());
        }
        let length = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        at = match c {
            _ if c.is_whitespace() => at + c.len_utf8(),
            '"' | '\'' => push(Kind::Constant, at..at + string_length(rest, c)),
            _ if c.is_alphabetic() || c == '_' => {
                let length = length(|c| c.is_alphanumeric() || c == '_');
                push(Kind::Name, at..at + length)
            }
            '0'..='9' => {
                let length = length(|c| c.is_alphanumeric() || c == '_');
                push(Kind::Constant, at..at + length)
            }
            _ => {
                match c {
                    '{' | '[' | '(' => depth += 1,
                    '}' | ']' | ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                // `=` alone names an argument, so it must not be taken from these.
                let length = match rest.get(..2) {
                    Some("==" | "!=" | "<=" | ">=") => 2,
                    _ => c.len_utf8(),
                };
                push(Kind::Symbol, at..at + length)
            }
        };
    }
    source.len()
}

/// The length of the string literal at the start of the text, quotes included.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let is_end = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn strings_braces_and_comments_are_read_as_minijinja_does() {
        assert_eq!(
            read("a {{ event.x|default('}} \\' x') }} b"),
            [
                "a ",
                "{{",
                "event",
                ".",
                "x",
                "|",
                "default",
                "(",
                "'}} \\' x'",
                ")",
                "}}",
                " b"
            ]
        );
        assert_eq!(
            read("{{ {\"a\": {}}.a }}{# {{ no }} #}c"),
            ["{{", "{", "\"a\"", ":", "{", "}", "}", ".", "a", "}}", "c"]
        );
        assert_eq!(
            read("{%- if a != 1 -%}"),
            ["{%", "-", "if", "a", "!=", "1", "-", "%}"]
        );
        assert_eq!(read("{% raw %}${a}{% endraw %}b"), ["b"]);
    }

    #[test]
    fn unfinished_templates_end_at_their_end() {
        for source in ["{{", "{{ a", "{{ 'a", "{# a", "{% raw %}", "{", "网{{网"] {
            tokens(source);
        }
    }
}
