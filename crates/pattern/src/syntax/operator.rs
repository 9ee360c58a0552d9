//! Expression notation: operators and their operands.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::argument::Comparison;
use super::json::{Value, ValueKind, is_literal, span_of};
use super::operator_names::{Operator, unquoted_value};
use super::value_tests::Alternatives;
use super::{Rule, TreeBuilder};
use crate::spanned::{SpannedAlternative, SpannedPredicate};
use crate::{Predicate, TextOp};

impl TreeBuilder<'_> {
    /// An operator, its operand and `ignoring case`, as the alternatives it stands for: one for
    /// each element of an array operand.
    pub(super) fn predicate(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner().peekable();
        let operator = parts.next()?;
        let operand = parts.next_if(|part| part.as_rule() == Rule::operand);
        let modifier = parts.next();
        let operand_span = operand.as_ref().map(span_of);
        let (operator, name) =
            self.resolve_operator(operator, operand_span.as_ref(), modifier.is_some())?;
        let ignoring_case = match modifier {
            Some(modifier) => self.resolve_modifier(&modifier)?,
            None => false,
        };
        // Operands use the values of JSON notation, so both notations have the same literals,
        // escapes and error messages.
        let value = match operand {
            Some(operand) => Some(self.operand(operand.into_inner().next()?)),
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

    /// The value of an operand. A word without quotes may be meant as a path.
    fn operand(&mut self, pair: Pair<'_, Rule>) -> Value {
        let (word, span) = (pair.as_str(), span_of(&pair));
        let is_number = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let is_word = pair.as_rule() == Rule::bare && !is_number;
        if !is_word || is_literal(word) {
            return self.value(pair);
        }
        let message = format!("expected a value, found `{word}`");
        let error = Diagnostic::error(Code::INVALID_LITERAL, span.clone(), message);
        self.push(unquoted_value(error, word));
        Value {
            span,
            kind: ValueKind::Invalid,
        }
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
                self.error(Code::WRONG_ARGUMENT, value.span, message).help =
                    Some("remove the value".into());
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
                let fix = self.spaced(&symbol, meant);
                self.push(
                    Diagnostic::error(Code::WRONG_ARGUMENT, value.span, message)
                        .with_help(format!("use `{meant}` to compare with several values"))
                        .with_fix(symbol, fix),
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
                ValueKind::String(text) if text.parse::<crate::Decimal>().is_ok() => error
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
            // `in "x,y"` may be meant as two values.
            let is_one = !matches!(&value.kind, ValueKind::String(text)
                if text.contains([',', ';', '|']) || text.contains(char::is_whitespace));
            self.push(if is_network {
                let fix = self.spaced(&value.span, &format!("cidr {source}"));
                error
                    .with_help("use `in cidr` to match a network")
                    .with_fix(value.span, fix)
            } else if is_one {
                error
                    .with_help("wrap it in `[ ]`")
                    .with_fix(value.span.clone(), format!("[{source}]"))
            } else {
                error.with_help("write an array of values: `[\"x\", \"y\"]`")
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
                // 10 in quotes is no network.
                ValueKind::Number(_) if name == "in cidr" => {
                    error.with_help("for example `in cidr \"10.0.0.0/8\"`")
                }
                ValueKind::Number(_) => error
                    .with_help("put it in double quotes; string operators match strings only")
                    .with_fix(value.span.clone(), format!("\"{source}\"")),
                ValueKind::Bool(_) | ValueKind::Null => error.with_help(format!(
                    "string operators match strings only; use `== {source}`"
                )),
                _ => error,
            });
        }
        None
    }
}
