//! Expression notation: the names of operators, with suggestions for names that are not known.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use super::argument::{Comparison, StringTest};
use super::json::span_of;
use super::{Rule, TreeBuilder};
use crate::TextOp;

/// An operator of the expression notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    NotEquals,
    In,
    InNetwork,
    String(StringTest),
    Compare(Comparison),
    Exists,
    IsMissing,
}

/// The spelling of every operator; `not` is parsed separately.
const OPERATORS: [(&str, Operator); 15] = [
    ("==", Operator::Equals),
    ("!=", Operator::NotEquals),
    ("<", Operator::Compare(Comparison::Less)),
    ("<=", Operator::Compare(Comparison::LessOrEqual)),
    (">", Operator::Compare(Comparison::Greater)),
    (">=", Operator::Compare(Comparison::GreaterOrEqual)),
    ("in", Operator::In),
    ("in cidr", Operator::InNetwork),
    (
        "starts with",
        Operator::String(StringTest::Compare(TextOp::Prefix)),
    ),
    (
        "ends with",
        Operator::String(StringTest::Compare(TextOp::Suffix)),
    ),
    (
        "contains",
        Operator::String(StringTest::Compare(TextOp::Contains)),
    ),
    ("like", Operator::String(StringTest::Wildcard)),
    ("matches", Operator::String(StringTest::Regexp)),
    ("exists", Operator::Exists),
    ("is missing", Operator::IsMissing),
];

/// Most words of one operator.
const LONGEST: usize = 2;

/// Operators of other languages and their equivalents here, for suggestions. Needed where the edit
/// distance is too large to suggest the right one (`~=`, `begins with`) or suggests a wrong one.
const SYNONYMS: [(&str, &str); 28] = [
    ("=", "=="),
    ("===", "=="),
    ("=~", "matches"),
    ("~=", "matches"),
    ("~", "matches"),
    ("<>", "!="),
    ("!==", "!="),
    ("=!", "!="),
    ("=<", "<="),
    ("=>", ">="),
    ("is", "=="),
    ("equals", "=="),
    ("is not", "!="),
    ("is null", "== null"),
    ("is not null", "!= null"),
    ("is true", "== true"),
    ("is false", "== false"),
    ("is not missing", "exists"),
    ("is present", "exists"),
    ("has", "contains"),
    ("begins with", "starts with"),
    ("prefix", "starts with"),
    ("suffix", "ends with"),
    ("wildcard", "like"),
    ("regexp", "matches"),
    ("regex", "matches"),
    ("cidr", "in cidr"),
    ("missing", "is missing"),
];

impl TreeBuilder<'_> {
    /// `ignoring case`; anything else after an operand is an error.
    pub(super) fn resolve_modifier(&mut self, pair: &Pair<'_, Rule>) -> Option<bool> {
        let span = span_of(pair);
        // Not the text of the pair, which has the comments before the next token in it.
        let words: Vec<&str> = pair
            .clone()
            .into_inner()
            .map(|word| word.as_str())
            .collect();
        let words = words.join(" ");
        if words == "ignoring case" {
            return Some(true);
        }
        let message =
            format!("expected `ignoring case`, `and`, `or` or end of input, found `{words}`");
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, span.clone(), message);
        let meant = match words.as_str() {
            "ignore case" | "case insensitive" | "ignorecase" | "nocase" => Some("ignoring case"),
            other => nearest(other, ["ignoring case"]),
        };
        self.push(match meant {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            None => error,
        });
        None
    }

    /// The operator of a symbol or a sequence of words, and its spelling.
    // The grammar takes all words up to an operand as the operator, whatever they are. That makes
    // these errors, which are tried in this order:
    //
    //     p is not null      a synonym: `!= null`
    //     p exists q == 1    an operator without operand, then another word
    //     p starts with eni  an operator, then a string without quotes
    //     p strats with "x"  a misspelling
    pub(super) fn resolve_operator(
        &mut self,
        pair: Pair<'_, Rule>,
        has_operand: bool,
    ) -> Option<(Operator, &'static str)> {
        let span = span_of(&pair);
        let is_words = pair.as_rule() == Rule::words;
        let parts: Vec<(&str, Span)> = if is_words {
            pair.into_inner()
                .map(|word| (word.as_str(), span_of(&word)))
                .collect()
        } else {
            vec![(pair.as_str(), span.clone())]
        };
        let words: Vec<&str> = parts.iter().map(|(word, _)| *word).collect();
        // The longest synonym has three words; one word more shows where the mistake starts in a
        // sequence of thousands (`a a a a …`), whose message and edit distances would cost more.
        let words = &words[..words.len().min(LONGEST + 2)];
        let span = span.start..parts[words.len() - 1].1.end;
        let spelling = words.join(" ");
        if let Some((name, operator)) = OPERATORS.iter().find(|(name, _)| *name == spelling) {
            return Some((*operator, name));
        }
        let error = Diagnostic::error(
            Code::UNKNOWN_OPERATOR,
            span.clone(),
            format!("unknown operator `{spelling}`"),
        );
        // The longest prefix of the words that is an operator: `in` of `in foo`, `is missing` of
        // `is missing b`.
        let operator_of_first = |count: usize| {
            let first = words[..count].join(" ");
            OPERATORS
                .iter()
                .find(|(name, _)| *name == first)
                .map(|(name, operator)| (count, *name, *operator))
        };
        let synonym = SYNONYMS
            .iter()
            .find(|(synonym, _)| *synonym == spelling)
            .map(|(_, operator)| *operator);
        let prefix = (1..words.len().min(LONGEST + 1))
            .rev()
            .find_map(operator_of_first);
        match prefix {
            _ if synonym.is_some() => {}
            Some((count, name, Operator::Exists | Operator::IsMissing)) => {
                let (word, word_span) = &parts[count];
                let message =
                    format!("expected `and`, `or` or end of input after `{name}`, found `{word}`");
                self.push(Diagnostic::error(
                    Code::UNKNOWN_CONNECTIVE,
                    word_span.clone(),
                    message,
                ));
                return None;
            }
            Some((count, name, _)) if count + 1 == words.len() && !has_operand => {
                let (word, word_span) = &parts[count];
                let message = format!("expected a value after `{name}`, found `{word}`");
                self.push(
                    Diagnostic::error(Code::INVALID_LITERAL, word_span.clone(), message)
                        .with_help("put strings in double quotes")
                        .with_fix(word_span.clone(), format!("\"{word}\"")),
                );
                return None;
            }
            _ => {}
        }
        let meant = synonym.or_else(|| nearest(&spelling, OPERATORS.map(|(name, _)| name)));
        if let Some(meant) = meant {
            let help = if meant.eq_ignore_ascii_case(&spelling) {
                format!("keywords are lower case: `{meant}`")
            } else {
                format!("did you mean `{meant}`?")
            };
            self.push(error.with_help(help).with_fix(span, meant));
            return None;
        }
        let names = OPERATORS.map(|(name, _)| format!("`{name}`"));
        self.push(error.with_help(format!("the operators are {}", names.join(", "))));
        None
    }
}
