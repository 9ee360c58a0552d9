//! JSON notation, step 1: parses a text into JSON values with spans. Step 2 is `objects`.

use pest::Parser as _;
use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::Json;

use super::{Grammar, Rule, TreeBuilder, foreign, string_literal, syntax_error};
use crate::spanned::SpannedNode;
use crate::{Decimal, Dialect};

/// A JSON value and its span.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) kind: ValueKind,
}

/// The content of a [`Value`].
#[derive(Debug, Clone)]
pub(super) enum ValueKind {
    Object(Vec<Member>),
    Array(Vec<Value>),
    String(String),
    Number(Decimal),
    Bool(bool),
    Null,
    /// A value with an error that has been reported; it causes no further diagnostics.
    Invalid,
}

/// One member of an object.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Value,
}

impl Value {
    /// Whether it is `[]`.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.kind, ValueKind::Array(elements) if elements.is_empty())
    }

    /// The type of the value in a message, with its article.
    pub(super) fn type_name(&self) -> &'static str {
        match &self.kind {
            ValueKind::Object(_) => "an object",
            ValueKind::Array(_) => "an array",
            ValueKind::String(_) => "a string",
            ValueKind::Number(_) => "a number",
            ValueKind::Bool(true) => "true",
            ValueKind::Bool(false) => "false",
            ValueKind::Null => "null",
            ValueKind::Invalid => "an invalid value",
        }
    }
}

impl TreeBuilder<'_> {
    /// Parses a text in JSON notation.
    pub(super) fn json(&mut self, text: &str) -> Option<SpannedNode> {
        let mut pairs = match Grammar::parse(Rule::json, text) {
            Ok(pairs) => pairs,
            Err(error) => {
                let diagnostic = syntax_error::diagnostic(text, &error);
                self.push(diagnostic);
                return None;
            }
        };
        let object = pairs.next()?.into_inner().next()?;
        let value = self.value(object);
        self.pattern(value)
    }

    /// Builds a value from its pair.
    pub(super) fn value(&mut self, pair: Pair<'_, Rule>) -> Value {
        let span = span_of(&pair);
        let kind = match pair.as_rule() {
            Rule::object => ValueKind::Object(
                self.parts(pair)
                    .into_iter()
                    .map(|member| self.member(member))
                    .collect(),
            ),
            Rule::array => ValueKind::Array(
                self.parts(pair)
                    .into_iter()
                    .map(|element| self.value(element))
                    .collect(),
            ),
            Rule::string | Rule::single => self
                .string(&pair)
                .map_or(ValueKind::Invalid, ValueKind::String),
            _ => self.bare_value(pair.as_str(), &span),
        };
        Value { span, kind }
    }

    /// Decodes a string literal. Single quotes are an error with a fix.
    pub(super) fn string(&mut self, pair: &Pair<'_, Rule>) -> Option<String> {
        let span = span_of(pair);
        if pair.as_rule() == Rule::single {
            let inner = &self.source[span.start + 1..span.end - 1];
            let message = "expected a string in double quotes, found single quotes";
            let error = Diagnostic::error(Code::INVALID_STRING, span.clone(), message);
            self.push(match in_double_quotes(inner) {
                Some(replacement) => error.with_fix(span, replacement),
                None => error,
            });
            return None;
        }
        match string_literal::decode(self.source, &span) {
            Ok(string) => Some(string),
            Err(errors) => {
                self.diagnostics.extend(errors);
                None
            }
        }
    }

    fn member(&mut self, pair: Pair<'_, Rule>) -> Member {
        let mut parts = pair
            .into_inner()
            .filter(|part| part.as_rule() != Rule::colon);
        let key = parts
            .next()
            .and_then(|key| key.into_inner().next())
            .expect("the grammar starts a member with its key");
        let key_span = span_of(&key);
        let text = if key.as_rule() == Rule::bare {
            if self.dialect != Dialect::Reflexarc {
                let message = format!(
                    "{} requires double quotes around keys",
                    self.dialect.title()
                );
                self.push(
                    Diagnostic::error(Code::NOT_STRICT, key_span.clone(), message)
                        .with_fix(key_span.clone(), Json::from(key.as_str()).to_string()),
                );
            }
            key.as_str().to_owned()
        } else {
            // An invalid key has been reported; its source text keeps the path, so that the
            // conditions below it are checked as well.
            self.string(&key)
                .unwrap_or_else(|| key.as_str().trim_matches(['"', '\'']).to_owned())
        };
        let value = parts
            .next()
            .expect("the grammar ends a member with its value");
        let value = self.value(value);
        Member {
            key: text,
            key_span,
            value,
        }
    }

    /// The members of an object or the elements of an array, without the punctuation. A trailing
    /// comma is an error in the strict dialects.
    fn parts<'i>(&mut self, pair: Pair<'i, Rule>) -> Vec<Pair<'i, Rule>> {
        let mut parts = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::comma | Rule::end_array | Rule::end_object => {}
                Rule::trailing_comma => self.trailing_comma(&part),
                _ => parts.push(part),
            }
        }
        parts
    }

    fn trailing_comma(&mut self, pair: &Pair<'_, Rule>) {
        if self.dialect != Dialect::Reflexarc {
            let message = format!("{} does not allow trailing commas", self.dialect.title());
            let span = span_of(pair);
            self.push(
                Diagnostic::error(Code::NOT_STRICT, span.clone(), message).with_fix(span, ""),
            );
        }
    }

    /// Builds a value that is written without quotes: a literal, or a common mistake.
    fn bare_value(&mut self, word: &str, span: &Span) -> ValueKind {
        match word {
            "null" => return ValueKind::Null,
            "true" => return ValueKind::Bool(true),
            "false" => return ValueKind::Bool(false),
            _ => {}
        }
        if let Ok(number) = word.parse::<Decimal>() {
            return ValueKind::Number(number);
        }
        let looks_like_a_number =
            word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        if looks_like_a_number || matches!(word, "NaN" | "Infinity") {
            self.invalid_number(word, span);
            return ValueKind::Invalid;
        }
        let error = Diagnostic::error(
            Code::INVALID_LITERAL,
            span.clone(),
            format!("expected a value, found `{word}`"),
        );
        // Without a fix: what is undefined has no value that could be compared.
        if matches!(word, "undefined" | "missing") {
            let help = "to require that a field is missing, write `{\"exists\": false}`, \
                        or `is missing` in an expression";
            self.push(error.with_help(help));
            return ValueKind::Invalid;
        }
        // Word processors put these around a text.
        let unquoted = word.trim_matches(['“', '”', '„', '«', '»', '‘', '’']);
        let error = match literal_meant(word) {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span.clone(), meant),
            // JMESPath writes any JSON value between back quotes.
            None if word.starts_with('`') => error.with_help("put strings in double quotes"),
            None => error
                .with_help("put strings in double quotes")
                .with_fix(span.clone(), Json::from(unquoted).to_string()),
        };
        self.push(error);
        ValueKind::Invalid
    }

    /// Reports a malformed number. The fix removes a leading `+` and leading zeros, `+05` → `5`,
    /// and puts an address into quotes.
    fn invalid_number(&mut self, word: &str, span: &Span) {
        let unsigned = word.trim_start_matches('+');
        let plain = match unsigned.trim_start_matches('0') {
            digits if digits.starts_with(|c: char| c.is_ascii_digit()) => digits,
            _ => unsigned,
        };
        let error = Diagnostic::error(
            Code::INVALID_LITERAL,
            span.clone(),
            format!("invalid number `{word}`"),
        )
        .with_help("write numbers like `0`, `-1.5` or `3e9`, without `+` and leading zeros");
        self.push(if plain.parse::<Decimal>().is_ok() {
            error.with_fix(span.clone(), plain)
        } else if word.parse::<std::net::Ipv4Addr>().is_ok() {
            let mut error = error.with_fix(span.clone(), format!("\"{word}\""));
            error.help = Some("put addresses in double quotes".into());
            error
        } else if foreign::is_time(word) {
            let mut error = error.with_fix(span.clone(), format!("\"{word}\""));
            error.help = Some("put dates in double quotes".into());
            error
        } else {
            error
        });
    }
}

/// Whether the word is a literal, or in all likelihood means one: `None`, `TRUE`.
pub(super) fn is_literal(word: &str) -> bool {
    matches!(word, "null" | "true" | "false") || literal_meant(word).is_some()
}

/// The literal that a word evidently means.
fn literal_meant(word: &str) -> Option<&'static str> {
    match word {
        // Names for null in Python, Ruby and Go, too far from `null` for the edit distance.
        "None" | "nil" => Some("null"),
        _ => nearest(word, ["null", "true", "false"]),
    }
}

/// The content of a single-quoted string as a string in double quotes: `it\'s "x"` → `"it's
/// \"x\""`. `None` if it has an escape that JSON does not know.
fn in_double_quotes(inner: &str) -> Option<String> {
    let mut text = String::from("\"");
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => match characters.next()? {
                '\'' => text.push('\''),
                escape @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u') => {
                    text.push('\\');
                    text.push(escape);
                }
                _ => return None,
            },
            character => text.push(character),
        }
    }
    text.push('"');
    // `\u12` is an escape that JSON does not know, either.
    Json::parse(&text).is_ok().then_some(text)
}

/// The span of a pair, without trailing white space and comments.
// A pest span ends where the rule stopped looking for more: the span of `(a == 1 )`'s condition
// would include the space before `)`. The last token inside the pair has the exact end.
pub(super) fn span_of(pair: &Pair<'_, Rule>) -> Span {
    let start = pair.as_span().start();
    let mut last = pair.clone();
    while let Some(inner) = last.clone().into_inner().next_back() {
        last = inner;
    }
    start..last.as_span().end()
}
