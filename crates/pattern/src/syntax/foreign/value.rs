//! Values of other languages: texts in any quotes, numbers, dates and networks without them.

use std::net::IpAddr;

use crate::Decimal;
use crate::syntax::string_literal;

/// A value with its spelling here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The JSON text.
    pub(super) json: String,
    pub(super) kind: ValueKind,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Text,
    Number,
    /// `true`, `false`, `null`.
    Literal,
    /// A word of another language for a missing value.
    Undefined,
    /// A network without quotes.
    Network,
    /// A date or a time, with or without quotes.
    Time,
    /// A text with `*` that is not in quotes.
    Glob,
    /// A word without quotes that may be a path.
    Word,
    /// `/…/`, with its flags before it in the JSON text, after a space.
    Regexp,
}

impl Value {
    /// The value of a text in any quotes.
    pub(super) fn of_text(quoted: &str) -> Self {
        let inner = inner(quoted);
        // JMESPath writes JSON between back quotes.
        let is_json =
            inner.parse::<Decimal>().is_ok() || matches!(&*inner, "true" | "false" | "null");
        if quoted.starts_with('`') && is_json {
            return Self {
                json: inner,
                kind: ValueKind::Literal,
            };
        }
        let kind = if is_time(&inner) {
            ValueKind::Time
        } else {
            ValueKind::Text
        };
        Self {
            json: json(&inner),
            kind,
        }
    }

    /// The value of a text without quotes.
    pub(super) fn of_bare(text: &str) -> Self {
        let kind = if text.parse::<Decimal>().is_ok() {
            return Self {
                json: text.to_owned(),
                kind: ValueKind::Number,
            };
        } else if is_network(text) {
            ValueKind::Network
        } else if is_time(text) {
            ValueKind::Time
        } else if text.contains('*') {
            ValueKind::Glob
        } else {
            ValueKind::Text
        };
        // `+05` is a number elsewhere; here numbers are those of JSON.
        let trimmed = text.trim_start_matches(['+', '0']);
        if text.starts_with(['+', '0']) && trimmed.parse::<Decimal>().is_ok() {
            return Self::of_bare(trimmed);
        }
        Self {
            json: json(text),
            kind,
        }
    }

    /// The value of a word.
    pub(super) fn of_word(word: &str) -> Self {
        let literal = match word.to_ascii_lowercase().as_str() {
            "true" | "yes" => Some("true"),
            "false" | "no" => Some("false"),
            "null" | "none" | "nil" => Some("null"),
            "undefined" | "missing" | "absent" => {
                return Self {
                    json: "null".to_owned(),
                    kind: ValueKind::Undefined,
                };
            }
            _ => None,
        };
        let (json, kind) = match literal {
            Some(literal) => (literal.to_owned(), ValueKind::Literal),
            None if word.contains('*') => (json(word), ValueKind::Glob),
            None => (json(word), ValueKind::Word),
        };
        Self { json, kind }
    }

    /// The text of a number, also of one in quotes.
    pub(super) fn number(&self) -> Option<String> {
        match self.kind {
            ValueKind::Number => Some(self.json.clone()),
            ValueKind::Text => self.text().filter(|text| text.parse::<Decimal>().is_ok()),
            _ => None,
        }
    }

    pub(super) fn is_network(&self) -> bool {
        self.text().is_some_and(|text| is_network(&text))
    }

    /// The text of a value in quotes.
    pub(super) fn text(&self) -> Option<String> {
        decoded(&self.json)
    }
}

/// A JSON string.
pub(in crate::syntax) fn json(text: &str) -> String {
    reflexarc_event::Json::from(text).to_string()
}

/// Whether a text is a date, alone or with a time.
pub(in crate::syntax) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && bytes[4] == bytes[7]
        && b"-/".contains(&bytes[4])
        || digits(0..8) && bytes.get(8) == Some(&b'T')
}

/// Whether a text is a network with a prefix length.
fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        address.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok()
    })
}

/// The text between quotes of any sort, with its escapes decoded.
fn inner(quoted: &str) -> String {
    let mut characters = quoted.chars();
    let (first, last) = (characters.next(), characters.next_back());
    let inner = characters.as_str();
    if first == Some('"') && last == Some('"') {
        return decoded(quoted).unwrap_or_else(|| inner.to_owned());
    }
    inner.replace("\\'", "'").replace("''", "'")
}

fn decoded(literal: &str) -> Option<String> {
    let is_string = literal.len() > 1 && literal.starts_with('"') && literal.ends_with('"');
    if !is_string {
        return None;
    }
    string_literal::decode(literal, &(0..literal.len())).ok()
}
