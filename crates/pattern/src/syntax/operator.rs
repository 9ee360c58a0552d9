//! Expression notation: operators and their operands.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::argument::{Comparison, StringTest};
use super::json::{Value, ValueKind, span_of};
use super::value_tests::Alternatives;
use super::{Rule, TreeBuilder};
use crate::spanned::{SpannedAlternative, SpannedPredicate};
use crate::{Predicate, TextOp};
use reflexarc_diagnostic::nearest;

/// An operator of the expression notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
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
    /// An operator, its operand and `ignoring case`, as the alternatives it stands for: one for
    /// each element of an array operand.
    pub(super) fn predicate(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner().peekable();
        let operator = parts.next()?;
        let operand = parts.next_if(|part| part.as_rule() == Rule::operand);
        let modifier = parts.next();
        let (operator, name) = self.resolve_operator(operator, operand.is_some())?;
        let ignoring_case = match modifier {
            Some(modifier) => self.resolve_modifier(&modifier)?,
            None => false,
        };
        // Operands use the values of JSON notation, so both notations have the same literals,
        // escapes and error messages.
        let value = match operand {
            Some(operand) => Some(self.value(operand.into_inner().next()?)),
            None => None,
        };
        if matches!(
            value,
            Some(Value {
                kind: ValueKind::Invalid,
                ..
            })
        ) {
            return None;
        }
        let takes_strings = matches!(
            operator,
            Operator::Equals | Operator::NotEquals | Operator::In | Operator::String(_)
        );
        if ignoring_case && !takes_strings {
            let message = format!("unexpected `ignoring case` after `{name}`");
            self.error(Code::WRONG_ARGUMENT, span, message).help =
                Some("remove it; only comparisons of strings can ignore case".into());
            return None;
        }
        let predicates = self.apply(operator, name, &span, value, ignoring_case)?;
        let alternatives = predicates
            .into_iter()
            .map(|(span, predicate)| SpannedAlternative {
                span: span.clone(),
                predicates: vec![SpannedPredicate { span, predicate }],
            });
        Some(alternatives.collect())
    }

    /// The predicates of an operator with its operand, each with its span.
    fn apply(
        &mut self,
        operator: Operator,
        name: &str,
        span: &Span,
        value: Option<Value>,
        ignoring_case: bool,
    ) -> Option<Vec<(Span, Predicate)>> {
        let Some(value) = value else {
            let predicate = match operator {
                Operator::Exists => Predicate::Exists,
                Operator::IsMissing => Predicate::Missing,
                _ => {
                    let after = span.end..span.end;
                    self.error(
                        Code::SYNTAX,
                        after,
                        format!("expected a value after `{name}`"),
                    );
                    return None;
                }
            };
            return Some(vec![(span.clone(), predicate)]);
        };
        match operator {
            Operator::Exists | Operator::IsMissing => {
                let message = format!("unexpected value after `{name}`");
                self.push(
                    Diagnostic::error(Code::WRONG_ARGUMENT, value.span.clone(), message)
                        .with_help("remove the value")
                        .with_fix(value.span, ""),
                );
                None
            }
            Operator::Compare(comparison) => {
                let predicate = self.comparison(comparison, name, value)?;
                Some(vec![(span.clone(), predicate)])
            }
            Operator::Equals | Operator::NotEquals if matches!(value.kind, ValueKind::Array(_)) => {
                let meant = if operator == Operator::Equals {
                    "in"
                } else {
                    "not in"
                };
                let message = format!("`{name}` expects one value, found an array");
                let symbol = span.start..span.start + name.len();
                self.push(
                    Diagnostic::error(Code::WRONG_ARGUMENT, value.span, message)
                        .with_help(format!("use `{meant}` to compare with several values"))
                        .with_fix(symbol, meant),
                );
                None
            }
            Operator::Equals => Some(vec![(span.clone(), self.scalar(value, ignoring_case)?)]),
            Operator::NotEquals => {
                let predicate = self.scalar(value, ignoring_case)?;
                Some(vec![(
                    span.clone(),
                    Predicate::AnythingBut(vec![predicate]),
                )])
            }
            Operator::In => self.each(name, value, |builder, value| {
                builder.scalar(value, ignoring_case)
            }),
            Operator::InNetwork => {
                self.one_or_each(value, span, |builder, value| match &value.kind {
                    ValueKind::String(text) => builder.network(text, &value.span),
                    _ => builder.expected_string("in cidr", &value),
                })
            }
            Operator::String(test) => {
                self.one_or_each(value, span, |builder, value| match &value.kind {
                    ValueKind::String(argument) => {
                        builder.string_test(test, argument, &value.span, ignoring_case)
                    }
                    _ => builder.expected_string(name, &value),
                })
            }
        }
    }

    fn comparison(
        &mut self,
        comparison: Comparison,
        name: &str,
        value: Value,
    ) -> Option<Predicate> {
        let ValueKind::Number(number) = value.kind else {
            let error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                value.span.clone(),
                format!("`{name}` expects a number, found {}", value.type_name()),
            );
            self.push(match value.kind {
                ValueKind::String(text) if crate::Decimal::parse(&text).is_some() => error
                    .with_help("remove the quotes")
                    .with_fix(value.span, text),
                _ => error,
            });
            return None;
        };
        Some(comparison.predicate(number))
    }

    /// The predicate for equality with a value.
    fn scalar(&mut self, value: Value, ignoring_case: bool) -> Option<Predicate> {
        Some(match value.kind {
            ValueKind::String(text) if ignoring_case => {
                Predicate::TextIgnoringCase(TextOp::Equals, text.into())
            }
            ValueKind::String(text) => Predicate::Text(TextOp::Equals, text.into()),
            ValueKind::Invalid => return None,
            ValueKind::Object(_) | ValueKind::Array(_) => {
                let message = format!(
                    "expected a string, a number, true, false or null, found {}",
                    value.type_name()
                );
                self.error(Code::WRONG_ARGUMENT, value.span, message);
                return None;
            }
            _ if ignoring_case => {
                let message = format!(
                    "`ignoring case` expects a string, found {}",
                    value.type_name()
                );
                self.error(Code::WRONG_ARGUMENT, value.span, message);
                return None;
            }
            ValueKind::Number(number) => Predicate::Number(number),
            ValueKind::Bool(value) => Predicate::Bool(value),
            ValueKind::Null => Predicate::Null,
        })
    }

    /// One predicate for each element of an array.
    fn each(
        &mut self,
        name: &str,
        value: Value,
        predicate: impl Fn(&mut Self, Value) -> Option<Predicate>,
    ) -> Option<Vec<(Span, Predicate)>> {
        let source = &self.source[value.span.clone()];
        let ValueKind::Array(elements) = value.kind else {
            let error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                value.span.clone(),
                format!("`{name}` expects an array, found {}", value.type_name()),
            );
            let is_network = matches!(&value.kind, ValueKind::String(text) if text.contains('/')
                && super::cidr::parse(text, self.dialect).is_ok());
            self.push(if is_network {
                error
                    .with_help("use `in cidr` to match a network")
                    .with_fix(value.span, format!("cidr {source}"))
            } else {
                error
                    .with_help("wrap it in `[ ]`")
                    .with_fix(value.span, format!("[{source}]"))
            });
            return None;
        };
        if elements.is_empty() {
            self.error(Code::EMPTY_VALUE, value.span, "empty array never matches")
                .help = Some("add at least one value".into());
            return None;
        }
        let count = elements.len();
        let mut predicates = Vec::new();
        for element in elements {
            let span = element.span.clone();
            predicates.extend(predicate(self, element).map(|predicate| (span, predicate)));
        }
        if predicates.len() == count {
            Some(predicates)
        } else {
            None
        }
    }

    fn one_or_each(
        &mut self,
        value: Value,
        span: &Span,
        predicate: impl Fn(&mut Self, Value) -> Option<Predicate>,
    ) -> Option<Vec<(Span, Predicate)>> {
        match value.kind {
            ValueKind::Array(_) => self.each("in", value, predicate),
            _ => Some(vec![(span.clone(), predicate(self, value)?)]),
        }
    }

    fn expected_string(&mut self, name: &str, value: &Value) -> Option<Predicate> {
        if !matches!(value.kind, ValueKind::Invalid) {
            let source = &self.source[value.span.clone()];
            let error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                value.span.clone(),
                format!("`{name}` expects a string, found {}", value.type_name()),
            );
            self.push(match value.kind {
                ValueKind::Number(_) | ValueKind::Bool(_) | ValueKind::Null => error
                    .with_help("put it in double quotes; string operators match strings only")
                    .with_fix(value.span.clone(), format!("\"{source}\"")),
                _ => error,
            });
        }
        None
    }

    /// `ignoring case`; anything else after an operand is an error.
    fn resolve_modifier(&mut self, pair: &Pair<'_, Rule>) -> Option<bool> {
        let span = span_of(pair);
        let words: Vec<&str> = pair.as_str().split_whitespace().collect();
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
    // The grammar takes every word up to an operand as part of the operator. Of the errors this
    // allows to explain, in this order: a synonym (`is not null`); an operator without operand
    // followed by a word (`exists b`); an operator followed by an unquoted string (`== failed` is
    // parsed as a bare value, but `starts with eni` as three words); a misspelling.
    fn resolve_operator(
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
