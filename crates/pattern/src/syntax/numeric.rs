//! The JSON notation: `numeric` and its comparisons.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::argument::Comparison;
use super::json::{Value, ValueKind};
use crate::{Decimal, Dialect, Predicate};

impl TreeBuilder<'_> {
    /// `numeric`: comparisons and numbers in turn.
    pub(super) fn numeric(&mut self, value: &Value) -> Option<Vec<Predicate>> {
        let ValueKind::Array(items) = &value.kind else {
            self.wrong_argument("numeric", "a list such as `[\">\", 0, \"<=\", 5]`", value);
            return None;
        };
        let mut pairs = Vec::new();
        for pair in items.chunks(2) {
            let [sign, number] = pair else {
                self.bad_numeric(&value.span, "a comparison without its number");
                return None;
            };
            let ValueKind::Text(text) = &sign.kind else {
                self.bad_numeric(
                    &sign.span,
                    &format!("expected a comparison in quotes, found {}", sign.name()),
                );
                return None;
            };
            let signs: &[&str] = match self.dialect {
                Dialect::Alibaba => &["=", "!=", "<", "<=", ">", ">="],
                _ => &["=", "<", "<=", ">", ">="],
            };
            if !signs.contains(&text.as_str()) {
                let meant = match text.as_str() {
                    "==" | "===" | "eq" => Some("="),
                    "=<" | "le" | "lte" | "≤" => Some("<="),
                    "=>" | "ge" | "gte" | "≥" => Some(">="),
                    "lt" => Some("<"),
                    "gt" => Some(">"),
                    _ => None,
                };
                let error = Diagnostic::error(
                    Code::UNKNOWN_OPERATOR,
                    sign.span.clone(),
                    format!("unknown comparison `{text}`"),
                );
                self.push(match meant {
                    Some(meant) => error
                        .with_help(format!("did you mean `{meant}`?"))
                        .with_fix(sign.span.clone(), format!("\"{meant}\"")),
                    None if text == "!=" => error.with_help("write `{\"anything-but\": 5}`"),
                    None => error.with_help("the comparisons are `=`, `<`, `<=`, `>` and `>=`"),
                });
                return None;
            }
            let ValueKind::Number(decimal) = &number.kind else {
                if !matches!(number.kind, ValueKind::Broken) {
                    self.bad_numeric(
                        &number.span,
                        &format!("expected a number, found {}", number.name()),
                    );
                }
                return None;
            };
            pairs.push((text.as_str(), decimal.clone(), number.span.clone()));
        }
        let unfit = pairs
            .iter()
            .filter(|(_, number, span)| !self.comparable(number, span))
            .count();
        if unfit > 0 {
            return None;
        }
        self.numeric_tests(&value.span, pairs)
    }

    fn bad_numeric(&mut self, span: &Span, message: &str) {
        self.error(Code::WRONG_ARGUMENT, span.clone(), message).help = Some(
            "write one or two comparisons: `[\"=\", 5]`, `[\">\", 0]`, `[\">\", 0, \"<=\", 5]`"
                .into(),
        );
    }

    fn numeric_tests(
        &mut self,
        span: &Span,
        pairs: Vec<(&str, Decimal, Span)>,
    ) -> Option<Vec<Predicate>> {
        if self.dialect == Dialect::Alibaba && (1..=2).contains(&pairs.len()) {
            return Some(
                pairs
                    .into_iter()
                    .map(|(sign, number, _)| one_comparison(sign, number))
                    .collect(),
            );
        }
        let mut pairs = pairs.into_iter();
        match (pairs.next(), pairs.next(), pairs.next()) {
            (Some((sign, number, _)), None, _) => Some(vec![one_comparison(sign, number)]),
            (Some((first, low, first_span)), Some((second, high, second_span)), None) => {
                match (Comparison::parse(first), Comparison::parse(second)) {
                    (Some(lower), Some(upper)) if lower.is_lower() && !upper.is_lower() => {
                        if self.dialect == Dialect::Aws && low >= high {
                            let message = format!(
                                "{} wants the lower number first, and smaller",
                                self.dialect.title()
                            );
                            self.error(Code::BAD_RANGE, span.clone(), message);
                            return None;
                        }
                        Some(vec![self.range(
                            lower.bound(low),
                            upper.bound(high),
                            span,
                        )?])
                    }
                    (Some(upper), Some(lower)) if lower.is_lower() && !upper.is_lower() => {
                        let fix = format!("[\"{second}\", {high}, \"{first}\", {low}]");
                        self.push(
                            Diagnostic::error(
                                Code::BAD_RANGE,
                                span.clone(),
                                "a range begins with its lower end",
                            )
                            .with_label(first_span, "the upper end")
                            .with_label(second_span, "the lower end")
                            .with_help("exchange the two comparisons")
                            .with_fix(span.clone(), fix),
                        );
                        None
                    }
                    _ => {
                        let message = "a range has one lower end (`>` or `>=`) and one upper end (`<` or `<=`)";
                        self.error(Code::BAD_RANGE, span.clone(), message);
                        None
                    }
                }
            }
            (None, ..) => {
                self.bad_numeric(span, "`numeric` without a comparison");
                None
            }
            _ => {
                self.bad_numeric(span, "`numeric` takes at most two comparisons");
                None
            }
        }
    }
}

/// `=`, `!=` or one end of a range.
fn one_comparison(sign: &str, number: Decimal) -> Predicate {
    match Comparison::parse(sign) {
        Some(comparison) if comparison.is_lower() => Predicate::Range {
            lower: Some(comparison.bound(number)),
            upper: None,
        },
        Some(comparison) => Predicate::Range {
            lower: None,
            upper: Some(comparison.bound(number)),
        },
        None if sign == "!=" => Predicate::AnythingBut(vec![Predicate::Number(number)]),
        None => Predicate::Number(number),
    }
}
