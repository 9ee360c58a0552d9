//! A condition with the meaning that its author most likely intended, and its spelling here.

use std::net::IpAddr;

use crate::Decimal;
use crate::syntax::string_literal;

/// A path, an operator and its values.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// The path as it is written here.
    pub(super) path: String,
    pub(super) test: Test,
    /// `not` after the path: a value is required that differs.
    pub(super) is_negated: bool,
    /// `not` before the path: no value may be like that.
    pub(super) is_excluded: bool,
    pub(super) values: Vec<Value>,
    pub(super) is_ignoring_case: bool,
    pub(super) precision: Precision,
}

/// Whether a condition has the meaning of the original for every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Exact,
    Approximate,
}

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Equals,
    /// A member of a list.
    In,
    /// An element of an array: the value comes first, `"x" in path`.
    Element,
    /// Less, less or equal, greater, greater or equal: the symbol.
    Compare(&'static str),
    /// `starts with`, `ends with`, `contains`.
    Part(&'static str),
    Like,
    /// `like` with the placeholders of SQL.
    SqlLike,
    /// `matches`; true if the whole text must match, as here.
    Matches(bool),
    InNetwork,
    Exists,
    Missing,
    IsEmpty,
    Between,
}

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

    fn is_network(&self) -> bool {
        self.text().is_some_and(|text| is_network(&text))
    }

    /// The text of a value in quotes.
    pub(super) fn text(&self) -> Option<String> {
        decoded(&self.json)
    }
}

impl Condition {
    /// The spelling here; `None` if there is none, as for an order of texts.
    pub(super) fn spell(&self) -> Option<String> {
        if !self.is_excluded {
            return self.spell_included();
        }
        let mut included = Self {
            is_excluded: false,
            ..self.clone()
        };
        // `not exists(a)` has an operator of its own.
        if matches!(self.test, Test::Exists | Test::Missing) {
            included.is_negated = !included.is_negated;
            return included.spell_included();
        }
        let inner = included.spell_included()?;
        Some(match inner.strip_suffix(" is missing") {
            Some(path) => format!("{path} exists"),
            None => format!("not ({inner})"),
        })
    }

    /// Whether the edit from the original is evidently right.
    pub(super) fn is_exact(&self) -> bool {
        let is_plain = |value: &Value| {
            // A backslash is an escape in some languages and itself in others.
            !value.json.contains('\\')
                && matches!(
                    value.kind,
                    ValueKind::Text | ValueKind::Number | ValueKind::Literal | ValueKind::Network
                )
        };
        let is_plain_test = !matches!(
            self.test,
            Test::Matches(_) | Test::IsEmpty | Test::Element | Test::SqlLike
        );
        // `a includes ["x", "y"]` may mean both; `a contains null` no text at all.
        let is_one_text =
            self.values.iter().all(|value| value.json.starts_with('"')) && self.values.len() == 1;
        let is_plain_test =
            is_plain_test && (is_one_text || !matches!(self.test, Test::Part(_) | Test::Like));
        self.precision == Precision::Exact && is_plain_test && self.values.iter().all(is_plain)
    }

    fn spell_included(&self) -> Option<String> {
        let Self { path, .. } = self;
        let is_kind = |kind: ValueKind| {
            !self.values.is_empty() && self.values.iter().all(|value| value.kind == kind)
        };
        let not = if self.is_negated { "not " } else { "" };
        let case = if self.is_ignoring_case {
            " ignoring case"
        } else {
            ""
        };
        Some(match self.test {
            Test::In if self.values.iter().all(Value::is_network) => {
                format!("{path} {not}in cidr {}", self.operand()?)
            }
            Test::Equals if is_kind(ValueKind::Undefined) => self.presence(self.is_negated),
            Test::Equals if is_kind(ValueKind::Network) => {
                format!("{path} {not}in cidr {}", self.operand()?)
            }
            Test::Equals if is_kind(ValueKind::Glob) => {
                format!("{path} {not}like {}{case}", self.operand()?)
            }
            Test::Equals | Test::Matches(_) if is_kind(ValueKind::Regexp) => self.regexp(false)?,
            Test::Element => format!("{path} == {}{case}", self.only()?.json),
            Test::In if self.values.len() == 1 => {
                format!("{path} {not}in [{}]{case}", self.operand()?)
            }
            Test::Equals | Test::In => match (self.values.as_slice(), self.is_negated) {
                ([_], false) => format!("{path} == {}{case}", self.operand()?),
                ([_], true) => format!("{path} != {}{case}", self.operand()?),
                _ => format!("{path} {not}in {}{case}", self.operand()?),
            },
            Test::InNetwork => format!("{path} {not}in cidr {}", self.strings()?),
            Test::Part(operator) => format!("{path} {not}{operator} {}{case}", self.strings()?),
            Test::Like => format!("{path} {not}like {}{case}", self.strings()?),
            Test::SqlLike => {
                let text = self.only()?.text()?;
                let wildcard = json(&text.replace('%', "*").replace("**", "*"));
                format!("{path} {not}like {wildcard}{case}")
            }
            Test::Matches(is_whole) => self.regexp(is_whole)?,
            Test::Exists => self.presence(!self.is_negated),
            Test::Missing => self.presence(self.is_negated),
            Test::IsEmpty if self.is_negated => format!("{path} != \"\""),
            Test::IsEmpty => format!("{path} == \"\""),
            Test::Compare(symbol) => {
                let number = self.number()?;
                if self.is_negated {
                    format!("not ({path} {symbol} {number})")
                } else {
                    format!("{path} {symbol} {number}")
                }
            }
            Test::Between => {
                let [low, high] = self.values.as_slice() else {
                    return None;
                };
                let is_number = |value: &Value| value.kind == ValueKind::Number;
                if !is_number(low) || !is_number(high) {
                    return None;
                }
                let range = format!("{} <= {path} <= {}", low.json, high.json);
                if self.is_negated {
                    format!("not ({range})")
                } else {
                    range
                }
            }
        })
    }

    /// The operator and its values, for use after a path: `> 5`.
    pub(super) fn after_path(&self) -> Option<String> {
        let spelled = self.spell()?;
        let rest = spelled.strip_prefix(&self.path)?;
        Some(rest.trim_start().to_owned())
    }

    fn presence(&self, is_present: bool) -> String {
        let operator = if is_present { "exists" } else { "is missing" };
        format!("{} {operator}", self.path)
    }

    fn only(&self) -> Option<&Value> {
        match self.values.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// One value, or an array.
    fn operand(&self) -> Option<String> {
        let values: Vec<&str> = self
            .values
            .iter()
            .map(|value| value.json.as_str())
            .collect();
        match values.as_slice() {
            [] => None,
            [only] => Some((*only).to_owned()),
            _ => Some(format!("[{}]", values.join(", "))),
        }
    }

    /// The values in quotes: string operators take strings only.
    fn strings(&self) -> Option<String> {
        let values: Vec<String> = self
            .values
            .iter()
            .map(|value| {
                if value.json.starts_with('"') {
                    value.json.clone()
                } else {
                    json(&value.json)
                }
            })
            .collect();
        match values.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            _ => Some(format!("[{}]", values.join(", "))),
        }
    }

    fn number(&self) -> Option<String> {
        let value = self.only()?;
        match value.kind {
            ValueKind::Number => Some(value.json.clone()),
            ValueKind::Text => value.text().filter(|text| text.parse::<Decimal>().is_ok()),
            _ => None,
        }
    }

    /// `matches`. Elsewhere an expression may match a part of the text: `/x/` is `.*x.*` here.
    fn regexp(&self, is_whole: bool) -> Option<String> {
        let value = self.only()?;
        let (mut expression, mut case) = (value.json.clone(), self.is_ignoring_case);
        if value.kind == ValueKind::Regexp {
            let (flags, inner) = expression.split_once(' ')?;
            case |= flags.contains('i');
            expression = inner.replace("\\/", "/");
        } else {
            expression = value.text().unwrap_or(expression);
        }
        let whole = if is_whole {
            expression
        } else {
            whole_regexp(&expression)
        };
        let not = if self.is_negated { "not " } else { "" };
        let case = if case { " ignoring case" } else { "" };
        Some(format!("{} {not}matches {}{case}", self.path, json(&whole)))
    }
}

/// A regular expression for the whole text in place of one for a part of it: `x` gives `.*x.*`.
pub(in crate::syntax) fn whole_regexp(expression: &str) -> String {
    let start = expression.strip_prefix('^');
    let open = if start.is_some() { "" } else { ".*" };
    let inner = start.unwrap_or(expression);
    let end = inner
        .strip_suffix('$')
        .filter(|inner| !inner.ends_with('\\'));
    let close = if end.is_some() { "" } else { ".*" };
    let inner = end.unwrap_or(inner);
    let inner = if inner.contains('|') {
        format!("({inner})")
    } else {
        inner.to_owned()
    };
    format!("{open}{inner}{close}").replace(".*.*", ".*")
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
pub(super) fn is_network(text: &str) -> bool {
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
