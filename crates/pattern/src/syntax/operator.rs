//! The expression notation: operators and their operands.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::argument::{Comparison, TextTest};
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
    Differs,
    In,
    InNetwork,
    Text(TextTest),
    Compare(Comparison),
    Exists,
    IsMissing,
}

/// Every operator as it is written, without `not`.
const OPERATORS: [(&str, Operator); 15] = [
    ("==", Operator::Equals),
    ("!=", Operator::Differs),
    ("<", Operator::Compare(Comparison::Less)),
    ("<=", Operator::Compare(Comparison::LessOrEqual)),
    (">", Operator::Compare(Comparison::Greater)),
    (">=", Operator::Compare(Comparison::GreaterOrEqual)),
    ("in", Operator::In),
    ("in cidr", Operator::InNetwork),
    (
        "starts with",
        Operator::Text(TextTest::Compare(TextOp::Prefix)),
    ),
    (
        "ends with",
        Operator::Text(TextTest::Compare(TextOp::Suffix)),
    ),
    (
        "contains",
        Operator::Text(TextTest::Compare(TextOp::Contains)),
    ),
    ("like", Operator::Text(TextTest::Wildcard)),
    ("matches", Operator::Text(TextTest::Regexp)),
    ("exists", Operator::Exists),
    ("is missing", Operator::IsMissing),
];

/// Most words of one operator.
const LONGEST: usize = 2;

/// What other languages call our operators.
const FOREIGN: [(&str, &str); 28] = [
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
    /// An operator, its operand, and `ignoring case`.
    pub(super) fn predicate(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner().peekable();
        let written = parts.next()?;
        let operand = parts.next_if(|part| part.as_rule() == Rule::operand);
        let modifier = parts.next();
        let (operator, name) = self.operator_of(written, operand.is_some())?;
        let ignoring_case = match modifier {
            Some(modifier) => self.ignoring_case_of(&modifier)?,
            None => false,
        };
        let value = match operand {
            Some(operand) => Some(self.value(operand.into_inner().next()?)),
            None => None,
        };
        if matches!(
            value,
            Some(Value {
                kind: ValueKind::Broken,
                ..
            })
        ) {
            return None;
        }
        let textual = matches!(
            operator,
            Operator::Equals | Operator::Differs | Operator::In | Operator::Text(_)
        );
        if ignoring_case && !textual {
            self.error(
                Code::WRONG_ARGUMENT,
                span,
                format!("`{name}` does not look at letters, so it cannot ignore case"),
            );
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

    /// The operator with its operand: alternatives with their places.
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
                let place = value.span.clone();
                self.push(
                    Diagnostic::error(
                        Code::WRONG_ARGUMENT,
                        place.clone(),
                        format!("`{name}` takes no value"),
                    )
                    .with_fix(place, ""),
                );
                None
            }
            Operator::Compare(comparison) => {
                let predicate = self.comparison(comparison, name, value)?;
                Some(vec![(span.clone(), predicate)])
            }
            Operator::Equals | Operator::Differs if matches!(value.kind, ValueKind::Array(_)) => {
                let meant = if operator == Operator::Equals {
                    "in"
                } else {
                    "not in"
                };
                let message = format!("`{name}` takes one value, not a list");
                let sign = span.start..span.start + name.len();
                self.push(
                    Diagnostic::error(Code::WRONG_ARGUMENT, value.span, message)
                        .with_help(format!("write `{meant}` to ask for any of a list"))
                        .with_fix(sign, meant),
                );
                None
            }
            Operator::Equals => Some(vec![(span.clone(), self.scalar(value, ignoring_case)?)]),
            Operator::Differs => {
                let predicate = self.scalar(value, ignoring_case)?;
                Some(vec![(
                    span.clone(),
                    Predicate::AnythingBut(vec![predicate]),
                )])
            }
            Operator::In => self.each(name, value, |reader, value| {
                reader.scalar(value, ignoring_case)
            }),
            Operator::InNetwork => {
                self.one_or_each(value, span, |reader, value| match &value.kind {
                    ValueKind::Text(text) => reader.network(text, &value.span),
                    _ => reader.not_text("in cidr", &value),
                })
            }
            Operator::Text(test) => {
                self.one_or_each(value, span, |reader, value| match &value.kind {
                    ValueKind::Text(argument) => {
                        reader.text_predicate(test, argument, &value.span, ignoring_case)
                    }
                    _ => reader.not_text(name, &value),
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
                format!("`{name}` compares numbers, not {}", value.name()),
            );
            self.push(match value.kind {
                ValueKind::Text(text) if crate::Decimal::parse(&text).is_some() => error
                    .with_help("take away the quotes")
                    .with_fix(value.span, text),
                _ => error,
            });
            return None;
        };
        let bound = comparison.bound(number);
        Some(if comparison.is_lower() {
            Predicate::Range {
                lower: Some(bound),
                upper: None,
            }
        } else {
            Predicate::Range {
                lower: None,
                upper: Some(bound),
            }
        })
    }

    /// A value that something equals.
    fn scalar(&mut self, value: Value, ignoring_case: bool) -> Option<Predicate> {
        Some(match value.kind {
            ValueKind::Text(text) if ignoring_case => {
                Predicate::TextIgnoringCase(TextOp::Equals, text.into())
            }
            ValueKind::Text(text) => Predicate::Text(TextOp::Equals, text.into()),
            ValueKind::Broken => return None,
            ValueKind::Object(_) | ValueKind::Array(_) => {
                let message = format!(
                    "expected text, a number, true, false or null, found {}",
                    value.name()
                );
                self.error(Code::WRONG_ARGUMENT, value.span, message);
                return None;
            }
            _ if ignoring_case => {
                let message = format!("only text can ignore case, not {}", value.name());
                self.error(Code::WRONG_ARGUMENT, value.span, message);
                return None;
            }
            ValueKind::Number(number) => Predicate::Number(number),
            ValueKind::Bool(value) => Predicate::Bool(value),
            ValueKind::Null => Predicate::Null,
        })
    }

    fn each(
        &mut self,
        name: &str,
        value: Value,
        read: impl Fn(&mut Self, Value) -> Option<Predicate>,
    ) -> Option<Vec<(Span, Predicate)>> {
        let written = &self.source[value.span.clone()];
        let ValueKind::Array(elements) = value.kind else {
            let error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                value.span.clone(),
                format!("`{name}` takes a list, not {}", value.name()),
            );
            let network = matches!(&value.kind, ValueKind::Text(text) if text.contains('/')
                && super::cidr::parse(text, self.dialect).is_ok());
            self.push(if network {
                error
                    .with_help("a network stands after `in cidr`")
                    .with_fix(value.span, format!("cidr {written}"))
            } else {
                error
                    .with_help("wrap it in `[ ]`")
                    .with_fix(value.span, format!("[{written}]"))
            });
            return None;
        };
        if elements.is_empty() {
            self.error(Code::EMPTY, value.span, "nothing could be in an empty list");
            return None;
        }
        let count = elements.len();
        let mut predicates = Vec::new();
        for element in elements {
            let span = element.span.clone();
            predicates.extend(read(self, element).map(|predicate| (span, predicate)));
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
        read: impl Fn(&mut Self, Value) -> Option<Predicate>,
    ) -> Option<Vec<(Span, Predicate)>> {
        match value.kind {
            ValueKind::Array(_) => self.each("in", value, read),
            _ => Some(vec![(span.clone(), read(self, value)?)]),
        }
    }

    fn not_text(&mut self, name: &str, value: &Value) -> Option<Predicate> {
        if !matches!(value.kind, ValueKind::Broken) {
            let written = &self.source[value.span.clone()];
            let error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                value.span.clone(),
                format!("`{name}` takes text, not {}", value.name()),
            );
            self.push(match value.kind {
                ValueKind::Number(_) | ValueKind::Bool(_) | ValueKind::Null => error
                    .with_help("put it in double quotes; text tests look at text alone")
                    .with_fix(value.span.clone(), format!("\"{written}\"")),
                _ => error,
            });
        }
        None
    }

    fn ignoring_case_of(&mut self, pair: &Pair<'_, Rule>) -> Option<bool> {
        let span = span_of(pair);
        let written: Vec<&str> = pair.as_str().split_whitespace().collect();
        let written = written.join(" ");
        if written == "ignoring case" {
            return Some(true);
        }
        let message =
            format!("expected `ignoring case`, `and`, `or` or the end, found `{written}`");
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, span.clone(), message);
        let meant = match written.as_str() {
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

    /// Which operator is written there, and its name.
    fn operator_of(
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
        // One word more than any operator has: enough to say what is wrong with a longer row of words.
        let words = &words[..words.len().min(LONGEST + 2)];
        let span = span.start..parts[words.len() - 1].1.end;
        let written = words.join(" ");
        if let Some((name, operator)) = OPERATORS.iter().find(|(name, _)| *name == written) {
            return Some((*operator, name));
        }
        let error = Diagnostic::error(
            Code::UNKNOWN_OPERATOR,
            span.clone(),
            format!("unknown operator `{written}`"),
        );
        let begins = |count: usize| {
            let start = words[..count].join(" ");
            OPERATORS
                .iter()
                .find(|(name, _)| *name == start)
                .map(|(name, operator)| (count, *name, *operator))
        };
        let foreign = FOREIGN
            .iter()
            .find(|(foreign, _)| *foreign == written)
            .map(|(_, ours)| *ours);
        match (1..words.len().min(LONGEST + 1)).rev().find_map(begins) {
            _ if foreign.is_some() => {}
            Some((count, name, Operator::Exists | Operator::IsMissing)) => {
                let (word, place) = &parts[count];
                let message =
                    format!("expected `and`, `or` or the end after `{name}`, found `{word}`");
                self.push(Diagnostic::error(Code::NOT_A_JOIN, place.clone(), message));
                return None;
            }
            Some((count, name, _)) if count + 1 == words.len() && !has_operand => {
                let (word, place) = &parts[count];
                let message = format!("expected a value after `{name}`, found `{word}`");
                self.push(
                    Diagnostic::error(Code::BAD_LITERAL, place.clone(), message)
                        .with_help("text stands in double quotes")
                        .with_fix(place.clone(), format!("\"{word}\"")),
                );
                return None;
            }
            _ => {}
        }
        if let Some(meant) = foreign.or_else(|| nearest(&written, OPERATORS.map(|(name, _)| name)))
        {
            let help = if meant.eq_ignore_ascii_case(&written) {
                format!("words of the language are written in small letters: `{meant}`")
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
