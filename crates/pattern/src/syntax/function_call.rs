//! Expression notation: conditions written as functions, methods or with the operator first:
//! `has(a)`, `contains(a, "x")`, `a.startsWith("x")`, `exists a`.

// The grammar reads `has(a)` as a path `has` with a group of conditions, and stops at the comma of
// `contains(a, "x")`. A text with an error is therefore read again here, token by token, and a
// condition of this form gets one diagnostic instead of those of its parts.

use std::ops::Range;

use reflexarc_diagnostic::{Code, Diagnostic};

use super::foreign_operator::{ForeignOperator, Meaning, Quantifier};
use super::json::is_literal;
use super::operator_names::{has_our_meaning, name_of};
use crate::keywords::is_keyword;

/// Names of functions that compare without case: `lower(a) == "x"`.
const FOLDS: [&str; 8] = [
    "lower",
    "lowercase",
    "tolower",
    "tolowercase",
    "upper",
    "uppercase",
    "toupper",
    "casefold",
];

/// Names that stand before a path: `exists a`. `has` alone means `contains` after a path.
const BEFORE_PATH: [&str; 9] = [
    "exists", "exist", "has", "hasfield", "haskey", "defined", "isset", "present", "missing",
];

/// A token of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A path, a keyword or a number.
    Word,
    Text,
    Symbol,
    Bracket(char),
    Comma,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    span: Range<usize>,
}

/// The diagnostics for the conditions of `text` that are written as functions, at most as many as a
/// filter can have.
pub(super) fn diagnostics(text: &str) -> Vec<Diagnostic> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let call = Reader {
            text,
            tokens: &tokens,
        }
        .condition(at);
        match call {
            Some((diagnostic, next)) => {
                found.push(diagnostic);
                at = next;
            }
            None => at += 1,
        }
    }
    found
}

/// Whether an expression has `and` as well as `or`, in any spelling.
pub(super) fn has_both_connectives(text: &str) -> bool {
    let words: Vec<&str> = tokens(text)
        .into_iter()
        .map(|token| &text[token.span])
        .collect();
    let has = |word: &str, symbol: &str| {
        words
            .iter()
            .any(|other| other.eq_ignore_ascii_case(word) || other.starts_with(symbol))
    };
    has("and", "&&") && has("or", "||")
}

struct Reader<'t> {
    text: &'t str,
    tokens: &'t [Token],
}

impl<'t> Reader<'t> {
    /// The diagnostic for a function at token `at`, and the token after it.
    fn condition(&self, at: usize) -> Option<(Diagnostic, usize)> {
        if !self.starts_condition(at) || self.kind(at)? != Kind::Word {
            return None;
        }
        let name = self.token(at)?;
        let (condition, next) = if self.kind(at + 1) == Some(Kind::Bracket('(')) {
            let (arguments, next) = self.arguments(at + 2)?;
            self.call(name, &arguments, next)?
        } else {
            let path = self
                .token(at + 1)
                .filter(|_| self.kind(at + 1) == Some(Kind::Word))?;
            let is_before = BEFORE_PATH.contains(&normal(name).as_str());
            if !is_before || !is_path(path) {
                return None;
            }
            (unary(name, path)?, at + 2)
        };
        if !self.ends_condition(next) {
            return None;
        }
        let span = self.tokens[at].span.start..self.tokens[next - 1].span.end;
        let message = format!("expected a path and an operator, found `{name}`");
        let diagnostic = Diagnostic::error(Code::SYNTAX, span.clone(), message)
            .with_help(format!("there are no functions; write `{condition}`"))
            .with_fix(span, condition);
        Some((diagnostic, next))
    }

    /// The condition that a call stands for, and the token after it.
    fn call(&self, name: &str, arguments: &[&str], next: usize) -> Option<(String, usize)> {
        // A method's receiver is its first argument.
        let (receiver, function) = match name.rsplit_once('.') {
            Some((receiver, method)) => (Some(receiver), method),
            None => (None, name),
        };
        let arguments: Vec<&str> = receiver
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        match arguments.as_slice() {
            [path] if is_path(path) && FOLDS.contains(&normal(function).as_str()) => {
                let (operator, value) = (self.token(next)?, self.token(next + 1)?);
                let is_text = self.kind(next + 1) == Some(Kind::Text) && value.starts_with('"');
                // `lower(a) == "X"` never matches.
                let is_folded = if normal(function).contains("upper") {
                    value == value.to_uppercase()
                } else {
                    value == value.to_lowercase()
                };
                let operator = match operator {
                    "==" | "=" | "===" => "==",
                    "!=" | "<>" | "!==" => "!=",
                    _ => return None,
                };
                (is_text && is_folded)
                    .then(|| (format!("{path} {operator} {value} ignoring case"), next + 2))
            }
            [path] if is_path(path) => Some((unary(function, path)?, next)),
            [path, value] if is_path(path) && is_value(value) => {
                let foreign = ForeignOperator::read(function)?;
                Some((binary(foreign, path, value)?, next))
            }
            _ => None,
        }
    }

    /// The arguments from token `at` on, and the token after the closing parenthesis.
    fn arguments(&self, mut at: usize) -> Option<(Vec<&'t str>, usize)> {
        let mut arguments = Vec::new();
        if self.kind(at)? == Kind::Bracket(')') {
            return Some((arguments, at + 1));
        }
        loop {
            let start = at;
            match self.kind(at)? {
                Kind::Word | Kind::Text => at += 1,
                Kind::Bracket('[') => {
                    while self.kind(at)? != Kind::Bracket(']') {
                        at += 1;
                    }
                    at += 1;
                }
                _ => return None,
            }
            let span = self.tokens[start].span.start..self.tokens[at - 1].span.end;
            arguments.push(&self.text[span]);
            match self.kind(at)? {
                Kind::Comma => at += 1,
                Kind::Bracket(')') => return Some((arguments, at + 1)),
                _ => return None,
            }
        }
    }

    /// Whether a condition starts at this token: at the beginning, or after a connective, a
    /// negation or a parenthesis.
    fn starts_condition(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else {
            return true;
        };
        let word = self.token(before).unwrap_or_default();
        match self.kind(before) {
            // Not after the parenthesis of a call or of conditions on one value: `a (exists b`.
            Some(Kind::Bracket('(')) => self.starts_condition(before),
            Some(Kind::Word) => is_connective(word) || word.eq_ignore_ascii_case("not"),
            Some(Kind::Symbol) => matches!(word, "!" | "&&" | "||" | "&&!" | "||!"),
            _ => false,
        }
    }

    /// Whether a condition may end before this token.
    fn ends_condition(&self, at: usize) -> bool {
        let word = self.token(at).unwrap_or_default();
        match self.kind(at) {
            None | Some(Kind::Bracket(')')) => true,
            Some(Kind::Word) => is_connective(word),
            Some(Kind::Symbol) => word.starts_with("&&") || word.starts_with("||"),
            _ => false,
        }
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn token(&self, at: usize) -> Option<&'t str> {
        let token = self.tokens.get(at)?;
        Some(&self.text[token.span.clone()])
    }
}

/// `has(a)`, `missing(a)`, `isNull(a)`.
fn unary(function: &str, path: &str) -> Option<String> {
    let name = normal(function);
    if ["has", "hasfield", "haskey", "hasproperty"].contains(&name.as_str()) {
        return Some(format!("{path} exists"));
    }
    let foreign = ForeignOperator::read(function)?;
    let takes_none = matches!(foreign.meaning, Meaning::Exists | Meaning::Null);
    takes_none.then(|| format!("{path} {}", name_of(foreign.meaning, foreign.negated)))
}

/// `contains(a, "x")`, `startsWith(a, "x")`.
fn binary(foreign: ForeignOperator, path: &str, value: &str) -> Option<String> {
    let takes_none = matches!(
        foreign.meaning,
        Meaning::Exists | Meaning::Null | Meaning::True | Meaning::False
    );
    let is_every = foreign.quantifier == Some(Quantifier::All);
    let is_list = value.starts_with('[');
    let needs_list = foreign.meaning == Meaning::In;
    // Whether `contains(a, [x, y])` requires one or both is unknown.
    if takes_none || is_every || is_list != needs_list || !has_our_meaning(foreign, value) {
        return None;
    }
    let case = if foreign.ignoring_case {
        " ignoring case"
    } else {
        ""
    };
    let name = name_of(foreign.meaning, foreign.negated);
    Some(format!("{path} {name} {value}{case}"))
}

fn is_connective(word: &str) -> bool {
    word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or")
}

fn is_path(word: &str) -> bool {
    let first = word.split('.').next().unwrap_or_default();
    word.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '@'))
        && !is_keyword(first)
        && !is_literal(first)
}

/// Whether an argument is a string in double quotes, a number, a literal or an array.
fn is_value(word: &str) -> bool {
    word.starts_with(['"', '[']) || word.parse::<crate::Decimal>().is_ok() || is_literal(word)
}

fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '$'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The tokens of an expression, without comments.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (kind, length) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' => (Some(Kind::Text), text_length(rest, first)),
            '(' | ')' | '[' | ']' | '{' | '}' => (Some(Kind::Bracket(first)), 1),
            ',' => (Some(Kind::Comma), 1),
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Some(Kind::Word), end)
            }
            c => {
                let is_symbol = |c: char| "=<>!~&|^%*?".contains(c);
                let end = rest.find(|c| !is_symbol(c)).unwrap_or(rest.len());
                (Some(Kind::Symbol), end.max(c.len_utf8()))
            }
        };
        if let Some(kind) = kind {
            tokens.push(Token {
                kind,
                span: start..start + length,
            });
        }
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@' | '.')
}

/// The length of the quoted string at the beginning of `rest`.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    rest.len()
}
