//! Splits an expression into its conditions.

use super::reader;
use super::token::{Kind, Token};

/// One condition of an expression: what is between `and`s, `or`s and parentheses.
pub(in crate::syntax) struct Clause<'t, 's> {
    pub(in crate::syntax) tokens: &'t [Token<'s>],
    /// The `and` or `or` before it, in the same parentheses.
    pub(in crate::syntax) connective: Option<&'t Token<'s>>,
}

/// The clauses of an expression in text order.
pub(in crate::syntax) fn clauses<'t, 's>(tokens: &'t [Token<'s>]) -> Vec<Clause<'t, 's>> {
    let mut clauses = Vec::new();
    split(tokens, &mut clauses);
    clauses
}

fn split<'t, 's>(tokens: &'t [Token<'s>], clauses: &mut Vec<Clause<'t, 's>>) {
    let mut connective = None;
    let mut start = 0;
    loop {
        let (_, negations) = reader::negations(&tokens[start..]);
        let open = start + negations;
        // A group of conditions, `(a == 1 or b == 2)`, unlike the list of `a in ("x", "y")`.
        let group = tokens
            .get(open)
            .filter(|token| token.is("("))
            .and_then(|_| {
                let close = reader::closing(tokens, open)?;
                let is_last = tokens.get(close + 1).is_none_or(is_connective);
                (is_last && !is_list(&tokens[open + 1..close])).then_some(close)
            });
        let end = if let Some(close) = group {
            split(&tokens[open + 1..close], clauses);
            close + 1
        } else {
            let end = end_of_clause(tokens, start);
            clauses.push(Clause {
                tokens: &tokens[start..end],
                connective,
            });
            end
        };
        if end >= tokens.len() {
            return;
        }
        connective = Some(&tokens[end]);
        start = end + 1;
    }
}

/// Whether tokens in parentheses are a list of values.
fn is_list(tokens: &[Token]) -> bool {
    let (mut at, mut is_list) = (0, false);
    while let Some(token) = tokens.get(at) {
        if token.is("(") || token.is("[") {
            at = reader::closing(tokens, at).unwrap_or(at);
        }
        is_list |= token.is(",") && !starts_condition(&tokens[at + 1..]);
        at += 1;
    }
    is_list
}

/// The index of the connective after a clause, or the number of tokens.
fn end_of_clause(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    let mut is_between = false;
    while let Some(token) = tokens.get(at) {
        if token.is("(") || token.is("[") || token.is("{") {
            at = reader::closing(tokens, at).unwrap_or(at);
        } else if is_connective(token) {
            // `a between 1 and 5`
            if !is_between || !(token.is_word("and") || token.text == "&&") {
                return at;
            }
            is_between = false;
        } else if token.is(",") && at > start && starts_condition(&tokens[at + 1..]) {
            return at;
        }
        is_between |= token.is_word("between");
        at += 1;
    }
    at
}

fn starts_condition(tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|first| first.kind == Kind::Word)
        && tokens
            .get(1..)
            .is_some_and(|rest| reader::operator(rest).is_some())
}

pub(in crate::syntax) fn is_connective(token: &Token) -> bool {
    token.is_word("and")
        || token.is_word("or")
        || token.kind == Kind::Symbol && matches!(token.text, "&&" | "||" | "&" | "|")
}
