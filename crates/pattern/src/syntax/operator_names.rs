//! Expression notation: the names of operators, with suggestions for names that are not known.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use reflexarc_event::Json;

use super::argument::{Comparison, StringTest};
use super::foreign::{ForeignOperator, Meaning, Quantifier};
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

/// Whether a text is an operator, its words separated by single spaces.
pub(super) fn is_operator(text: &str) -> bool {
    OPERATORS.iter().any(|(name, _)| *name == text)
}

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
        let meant = match words.to_lowercase().as_str() {
            "ignore case" | "ignores case" | "case insensitive" | "case insensitively"
            | "insensitive" | "ignorecase" | "ignoringcase" | "nocase" | "any case" => {
                Some("ignoring case")
            }
            other => nearest(other, ["ignoring case"]),
        };
        self.push(match meant {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            None => error.with_help(
                "join conditions with `and` or `or`, and put a text of several words in quotes",
            ),
        });
        None
    }

    /// The operator of a symbol or a sequence of words, and its spelling.
    // The grammar takes all words up to an operand as the operator, whatever they are. That makes
    // these errors, which are tried in this order:
    //
    //     p exists q == 1    an operator without operand, then another word
    //     p starts with eni  an operator, then a string without quotes
    //     p is not null      an operator of another language: `!= null`
    //     p strats with "x"  a misspelling
    pub(super) fn resolve_operator(
        &mut self,
        pair: Pair<'_, Rule>,
        operand: Option<&Span>,
        has_modifier: bool,
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
        // One word more than the longest name shows where the mistake starts in a sequence of
        // thousands (`a a a a …`), whose message would cost more.
        let words = &words[..words.len().min(ForeignOperator::LONGEST + 1)];
        let span = span.start..parts[words.len() - 1].1.end;
        let spelling = words.join(" ");
        if let Some((name, operator)) = OPERATORS.iter().find(|(name, _)| *name == spelling) {
            return Some((*operator, name));
        }
        let foreign = ForeignOperator::read(&spelling);
        // The longest prefix of the words that is an operator: `in` of `in foo`, `is missing` of
        // `is missing b`.
        let operator_of_first = |count: usize| {
            let first = words[..count].join(" ");
            OPERATORS
                .iter()
                .find(|(name, _)| *name == first)
                .map(|(name, operator)| (count, *name, *operator))
        };
        let prefix = (1..words.len().min(LONGEST + 1))
            .rev()
            .find_map(operator_of_first);
        match prefix {
            _ if foreign.is_some() => {}
            Some((1 | 2, name, Operator::Exists | Operator::IsMissing))
                if operand.is_none() && matches!(words.last(), Some(&("true" | "false"))) =>
            {
                let is_true = words.last() == Some(&"true");
                let error = unexpected_value(name, is_true, &span);
                self.push(error);
                return None;
            }
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
            Some((count, name, _)) if count + 1 == words.len() && operand.is_none() => {
                let (word, word_span) = &parts[count];
                let message = format!("expected a value after `{name}`, found `{word}`");
                let error = Diagnostic::error(Code::INVALID_LITERAL, word_span.clone(), message);
                self.push(unquoted_value(error, word));
                return None;
            }
            _ => {}
        }
        let error = |span: Span, spelling: &str| {
            let message = format!("unknown operator `{spelling}`");
            Diagnostic::error(Code::UNKNOWN_OPERATOR, span, message)
        };
        if let Some(foreign) = foreign {
            let error = error(span.clone(), &spelling);
            let error = self.foreign_operator(error, &span, foreign, operand, has_modifier);
            self.push(error);
            return None;
        }
        // Symbols have no misspellings: `^=` is not `==`.
        let names = OPERATORS.map(|(name, _)| name);
        let words_only = names
            .into_iter()
            .filter(|name| is_words && name.len() > 2 && name.starts_with(char::is_alphabetic));
        if let Some(meant) = nearest(&spelling, words_only) {
            self.push(
                error(span.clone(), &spelling)
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_fix(span, meant),
            );
            return None;
        }
        // `p startsWith eni`: the operator of another language, then a string without quotes.
        let first = (1..words.len()).rev().find_map(|count| {
            let name = words[..count].join(" ");
            ForeignOperator::read(&name).map(|foreign| (count, name, foreign))
        });
        if let Some((count, name, foreign)) = first {
            let span = span.start..parts[count - 1].1.end;
            let value =
                (count + 1 == words.len() && operand.is_none()).then(|| parts[count].1.clone());
            let error = error(span.clone(), &name);
            let error = self.foreign_operator(error, &span, foreign, value.as_ref(), false);
            self.push(error);
            return None;
        }
        let names = names.map(|name| format!("`{name}`"));
        self.push(
            error(span, &spelling).with_help(format!("the operators are {}", names.join(", "))),
        );
        None
    }

    /// The error with the operator of this language that has the same meaning, and a fix if the
    /// operand has that meaning, too.
    fn foreign_operator(
        &self,
        error: Diagnostic,
        span: &Span,
        foreign: ForeignOperator,
        operand: Option<&Span>,
        has_modifier: bool,
    ) -> Diagnostic {
        // A range or an empty text has no operator of its own; the suggestion for the whole
        // condition says what to write.
        let Some(name) = foreign.name() else {
            return error;
        };
        let value = operand.map(|span| &self.source[span.clone()]);
        let value_text = value.unwrap_or_default();
        let is_list = value_text.starts_with('[');
        let adds_case = foreign.ignoring_case && !has_modifier;
        let suffix = if adds_case { " … ignoring case" } else { "" };
        let spelling = &self.source[span.clone()];
        if name.eq_ignore_ascii_case(spelling) && !value_text.contains('%') {
            return error
                .with_help(format!("keywords are lower case: `{name}`"))
                .with_fix(span.clone(), name);
        }
        if foreign.quantifier == Some(Quantifier::All) && (is_list || value.is_none()) {
            let suffix = suffix.replace(" …", "");
            return error.with_help(format!(
                "write one condition for each value: \
                 `p {name} \"x\"{suffix} and p {name} \"y\"{suffix}`"
            ));
        }
        if foreign.meaning == Meaning::Contains && is_list && foreign.quantifier.is_none() {
            return error.with_help(
                "`contains [\"x\", \"y\"]` requires one of the values; to require both, write \
                 `p contains \"x\" and p contains \"y\"`",
            );
        }
        if foreign.meaning == Meaning::Wildcard && !foreign.has_our_meaning(value_text) {
            return error.with_help(format!(
                "write `{name}` with `*` for any characters instead of `%`"
            ));
        }
        if !foreign.has_our_meaning(value_text) {
            return error.with_help(format!(
                "write `{name}`, which compares the whole text: `.*x.*` finds `x` in it"
            ));
        }
        let error = error.with_help(format!("did you mean `{name}{suffix}`?"));
        if foreign.stands_alone() == value.is_some() {
            return error;
        }
        match operand {
            Some(operand) if adds_case => {
                // `icontains "x"` → `contains "x" ignoring case`. Numbers have no case.
                if !value_text.starts_with(['"', '[']) {
                    return error;
                }
                let between = &self.source[span.end..operand.start];
                let between = if between.is_empty() { " " } else { between };
                let fix = format!("{name}{between}{value_text} ignoring case");
                let span = span.start..operand.end;
                let fix = self.spaced(&span, &fix);
                error.with_fix(span, fix)
            }
            _ => error.with_fix(span.clone(), self.spaced(span, name)),
        }
    }

    /// The replacement of `span` with the spaces that separate it from its neighbours: `a==1&&b==2`
    /// becomes `a==1 and b==2`, not `1andb`.
    pub(super) fn spaced(&self, span: &Span, text: &str) -> String {
        let needs_space =
            |c: Option<char>, bracket: char| c.is_some_and(|c| !c.is_whitespace() && c != bracket);
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '"');
        let before = needs_space(self.source[..span.start].chars().next_back(), '(');
        let after = needs_space(self.source[span.end..].chars().next(), ')');
        format!(
            "{}{text}{}",
            if before && is_word(text.chars().next()) {
                " "
            } else {
                ""
            },
            if after && is_word(text.chars().next_back()) {
                " "
            } else {
                ""
            },
        )
    }
}

/// The error about `exists true`, `is missing false` and so on, at `span`. `exists false` is the
/// opposite of `exists`.
fn unexpected_value(name: &str, is_true: bool, span: &Span) -> Diagnostic {
    let meant = if (name == "exists") == is_true {
        "exists"
    } else {
        "is missing"
    };
    let message = format!("unexpected value after `{name}`");
    Diagnostic::error(Code::WRONG_ARGUMENT, span.clone(), message)
        .with_help(format!("write `{meant}`"))
        .with_fix(span.clone(), meant)
}

/// The error about a word where a value is expected. A fix puts it in quotes only if it cannot be
/// meant as a path: `a == b` may be meant to compare two fields.
pub(super) fn unquoted_value(error: Diagnostic, word: &str) -> Diagnostic {
    let span = error.span.clone();
    let is_capital = word.len() > 1 && !word.contains(|c: char| c.is_lowercase());
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    let is_id = word.contains([':', '*']) || word.contains('-') && has_digit;
    let quoted = Json::from(word).to_string();
    if is_capital || is_id && !word.contains('.') {
        error
            .with_help("put strings in double quotes")
            .with_fix(span, quoted)
    } else {
        error.with_help(format!(
            "put strings in double quotes: `{quoted}`; two fields cannot be compared"
        ))
    }
}
