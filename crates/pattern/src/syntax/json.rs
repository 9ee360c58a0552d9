//! The JSON notation, first half: from text to values with their places.

use pest::Parser as _;
use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::{Grammar, Rule, TreeBuilder, string_literal, syntax_error};
use crate::spanned::SpannedNode;
use crate::{Decimal, Dialect};
use reflexarc_diagnostic::nearest;

/// A JSON value and its place.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) kind: ValueKind,
}

/// What a [`Value`] is.
#[derive(Debug, Clone)]
pub(super) enum ValueKind {
    Object(Vec<Member>),
    Array(Vec<Value>),
    Text(String),
    Number(Decimal),
    Bool(bool),
    Null,
    /// Something that could not be read, and about which all has been said.
    Broken,
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

    /// What it is, with its article.
    pub(super) fn name(&self) -> &'static str {
        match &self.kind {
            ValueKind::Object(_) => "an object",
            ValueKind::Array(_) => "a list",
            ValueKind::Text(_) => "text",
            ValueKind::Number(_) => "a number",
            ValueKind::Bool(true) => "true",
            ValueKind::Bool(false) => "false",
            ValueKind::Null => "null",
            ValueKind::Broken => "something unreadable",
        }
    }
}

impl TreeBuilder<'_> {
    /// Reads a text in JSON notation.
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

    /// Reads one value, from the grammar's pair for it.
    pub(super) fn value(&mut self, pair: Pair<'_, Rule>) -> Value {
        let span = span_of(&pair);
        let kind = match pair.as_rule() {
            Rule::object => ValueKind::Object(
                self.parts(pair, Rule::member)
                    .into_iter()
                    .map(|part| self.member(part))
                    .collect(),
            ),
            Rule::array => {
                let elements = pair
                    .into_inner()
                    .filter(|part| !matches!(part.as_rule(), Rule::comma | Rule::end_array));
                let elements: Vec<_> = elements.collect();
                let elements = elements
                    .into_iter()
                    .filter(|part| !self.is_trailing_comma(part))
                    .collect::<Vec<_>>();
                ValueKind::Array(
                    elements
                        .into_iter()
                        .map(|element| self.value(element))
                        .collect(),
                )
            }
            Rule::string | Rule::single => {
                self.text(&pair).map_or(ValueKind::Broken, ValueKind::Text)
            }
            _ => self.bare(pair.as_str(), &span),
        };
        Value { span, kind }
    }

    /// Reads text in quotes.
    pub(super) fn text(&mut self, pair: &Pair<'_, Rule>) -> Option<String> {
        let span = span_of(pair);
        if pair.as_rule() == Rule::single {
            let inner = &self.source[span.start + 1..span.end - 1];
            let replacement = format!("\"{}\"", inner.replace("\\'", "'").replace('"', "\\\""));
            let fault = Diagnostic::error(
                Code::BAD_STRING,
                span.clone(),
                "text stands in double quotes",
            );
            self.push(fault.with_fix(span, replacement));
            return None;
        }
        match string_literal::decode(self.source, &span) {
            Ok(text) => Some(text),
            Err(faults) => {
                self.diagnostics.extend(faults);
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
            .expect("a member begins with its key");
        let key_span = span_of(&key);
        let text = if key.as_rule() == Rule::bare {
            if self.dialect != Dialect::Reflexarc {
                let message = format!("{} wants keys in double quotes", self.dialect.title());
                self.push(
                    Diagnostic::error(Code::NOT_STRICT, key_span.clone(), message)
                        .with_fix(key_span.clone(), format!("\"{}\"", key.as_str())),
                );
            }
            key.as_str().to_owned()
        } else {
            self.text(&key)
                .unwrap_or_else(|| key.as_str().trim_matches(['"', '\'']).to_owned())
        };
        let value = self.value(parts.next().expect("a member ends with its value"));
        Member {
            key: text,
            key_span,
            value,
        }
    }

    /// The parts of that rule.
    fn parts<'i>(&mut self, pair: Pair<'i, Rule>, rule: Rule) -> Vec<Pair<'i, Rule>> {
        pair.into_inner()
            .filter(|part| !self.is_trailing_comma(part) && part.as_rule() == rule)
            .collect()
    }

    fn is_trailing_comma(&mut self, pair: &Pair<'_, Rule>) -> bool {
        let is = pair.as_rule() == Rule::trailing_comma;
        if is && self.dialect != Dialect::Reflexarc {
            let message = format!("{} allows no comma at the end", self.dialect.title());
            let span = span_of(pair);
            self.push(
                Diagnostic::error(Code::NOT_STRICT, span.clone(), message).with_fix(span, ""),
            );
        }
        is
    }

    /// Reads what stands without quotes where a value belongs.
    fn bare(&mut self, word: &str, span: &Span) -> ValueKind {
        match word {
            "null" => return ValueKind::Null,
            "true" => return ValueKind::Bool(true),
            "false" => return ValueKind::Bool(false),
            _ => {}
        }
        if let Some(number) = Decimal::parse(word) {
            return ValueKind::Number(number);
        }
        let begins_like_a_number =
            word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        if begins_like_a_number || matches!(word, "NaN" | "Infinity") {
            let help = "a number is digits, perhaps with a sign `-` before them, a fraction and an exponent: \
                        `0`, `-1.5`, `3e9`";
            let error = Diagnostic::error(
                Code::BAD_LITERAL,
                span.clone(),
                format!("`{word}` is no number"),
            );
            let plain = word.trim_start_matches('+');
            let plain = match plain.trim_start_matches('0') {
                rest if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
                _ => plain,
            };
            let error = if Decimal::parse(plain).is_some() {
                error.with_fix(span.clone(), plain)
            } else {
                error
            };
            self.push(error.with_help(help));
            return ValueKind::Broken;
        }
        let error = Diagnostic::error(
            Code::BAD_LITERAL,
            span.clone(),
            format!("expected a value, found `{word}`"),
        );
        let meant = if word == "None" || word == "nil" {
            Some("null")
        } else {
            None
        };
        let error = match meant.or_else(|| nearest(word, ["null", "true", "false"])) {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span.clone(), meant),
            None => error
                .with_help("text stands in double quotes")
                .with_fix(span.clone(), format!("\"{}\"", word.replace('\\', "\\\\"))),
        };
        self.push(error);
        ValueKind::Broken
    }
}

/// The place of a pair, without the spaces and comments that the grammar skipped in search of more of it.
pub(super) fn span_of(pair: &Pair<'_, Rule>) -> Span {
    let start = pair.as_span().start();
    let mut last = pair.clone();
    while let Some(inner) = last.clone().into_inner().next_back() {
        last = inner;
    }
    start..last.as_span().end()
}
