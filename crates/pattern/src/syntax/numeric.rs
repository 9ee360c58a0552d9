//! JSON notation: the argument of `numeric`.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::argument::Comparison;
use super::json::{Value, ValueKind};
use crate::{Decimal, Dialect, Predicate};

impl TreeBuilder<'_> {
    /// The argument of `numeric`, an array of comparisons each followed by its number:
    /// `[">", 0, "<=", 5]`.
    pub(super) fn numeric(&mut self, value: &Value) -> Option<Vec<Predicate>> {
        let ValueKind::Array(items) = &value.kind else {
            self.wrong_argument("numeric", "an array such as `[\">\", 0, \"<=\", 5]`", value);
            return None;
        };
        let mut pairs = Vec::new();
        for pair in items.chunks(2) {
            let [symbol, number] = pair else {
                self.bad_numeric(&value.span, "missing number after the last comparison");
                return None;
            };
            let comparison = self.comparison_symbol(symbol)?;
            let ValueKind::Number(decimal) = &number.kind else {
                if !matches!(number.kind, ValueKind::Invalid) {
                    self.bad_numeric(
                        &number.span,
                        &format!("expected a number, found {}", number.type_name()),
                    );
                }
                return None;
            };
            pairs.push((comparison, decimal.clone(), number.span.clone()));
        }
        // Counted, not `all`, so that every number gets its diagnostic.
        let rejected = pairs
            .iter()
            .filter(|(_, number, span)| !self.check_comparable(number, span))
            .count();
        if rejected > 0 {
            return None;
        }
        self.numeric_predicates(&value.span, pairs)
    }

    /// The symbol of one comparison.
    fn comparison_symbol<'v>(&mut self, symbol: &'v Value) -> Option<&'v str> {
        let ValueKind::String(text) = &symbol.kind else {
            self.bad_numeric(
                &symbol.span,
                &format!(
                    "expected a comparison such as `\">\"`, found {}",
                    symbol.type_name()
                ),
            );
            return None;
        };
        let known: &[&str] = match self.dialect {
            Dialect::Alibaba => &["=", "!=", "<", "<=", ">", ">="],
            _ => &["=", "<", "<=", ">", ">="],
        };
        if known.contains(&text.as_str()) {
            return Some(text);
        }
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
            symbol.span.clone(),
            format!("unknown comparison `{text}`"),
        );
        self.push(match meant {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(symbol.span.clone(), format!("\"{meant}\"")),
            None if text == "!=" => error.with_help("write `{\"anything-but\": 5}`"),
            None => error.with_help("the comparisons are `=`, `<`, `<=`, `>` and `>=`"),
        });
        None
    }

    fn bad_numeric(&mut self, span: &Span, message: &str) {
        self.error(Code::WRONG_ARGUMENT, span.clone(), message).help = Some(
            "write one or two comparisons: `[\"=\", 5]`, `[\">\", 0]`, `[\">\", 0, \"<=\", 5]`"
                .into(),
        );
    }

    fn numeric_predicates(
        &mut self,
        span: &Span,
        pairs: Vec<(&str, Decimal, Span)>,
    ) -> Option<Vec<Predicate>> {
        // Alibaba Cloud takes two comparisons in any combination: `["<", 5, ">", 1]` and even
        // `["!=", 3, "!=", 4]`. So they are two predicates and not a range.
        if self.dialect == Dialect::Alibaba && (1..=2).contains(&pairs.len()) {
            return Some(
                pairs
                    .into_iter()
                    .map(|(symbol, number, _)| one_comparison(symbol, number))
                    .collect(),
            );
        }
        let mut pairs = pairs.into_iter();
        match (pairs.next(), pairs.next(), pairs.next()) {
            (Some((symbol, number, _)), None, _) => Some(vec![one_comparison(symbol, number)]),
            (Some((first, low, first_span)), Some((second, high, second_span)), None) => {
                match (Comparison::parse(first), Comparison::parse(second)) {
                    (Some(lower), Some(upper)) if lower.is_lower() && !upper.is_lower() => {
                        // `[">=", 1, "<=", 1]` is the number 1 for us, and an error for AWS.
                        if self.dialect == Dialect::Aws && low >= high {
                            let message = format!(
                                "{} requires the lower bound to be less than the upper bound",
                                self.dialect.title()
                            );
                            self.error(Code::INVALID_RANGE, span.clone(), message).help =
                                Some("for one number, write the number itself".into());
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
                        // `["<", 1, ">", 5]` is no range in any order.
                        let is_range = high < low;
                        let error = Diagnostic::error(
                            Code::INVALID_RANGE,
                            span.clone(),
                            "expected the lower bound first",
                        )
                        .with_label(first_span, "upper bound")
                        .with_label(second_span, "lower bound");
                        self.push(if is_range {
                            error
                                .with_help("swap the two comparisons")
                                .with_fix(span.clone(), fix)
                        } else {
                            error.with_help("write two alternatives for numbers outside of a range")
                        });
                        None
                    }
                    _ => {
                        let message = "expected one lower bound (`>` or `>=`) \
                                       and one upper bound (`<` or `<=`)";
                        self.error(Code::INVALID_RANGE, span.clone(), message).help =
                            Some("for example `[\">\", 0, \"<=\", 5]`".into());
                        None
                    }
                }
            }
            (None, ..) => {
                self.bad_numeric(span, "empty `numeric`");
                None
            }
            _ => {
                self.bad_numeric(span, "too many comparisons in `numeric`");
                None
            }
        }
    }
}

/// The predicate of one comparison, `=` and `!=` included.
fn one_comparison(symbol: &str, number: Decimal) -> Predicate {
    match Comparison::parse(symbol) {
        Some(comparison) => comparison.predicate(number),
        None if symbol == "!=" => Predicate::AnythingBut(vec![Predicate::Number(number)]),
        None => Predicate::Number(number),
    }
}
