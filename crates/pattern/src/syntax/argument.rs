//! Arguments of operators: validates them and builds predicates, for both notations.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::cidr::{self, InvalidNetwork};
use super::{TreeBuilder, string_literal};
use crate::dialect::alibaba;
use crate::regexp::{CompiledRegexp, RegexpFault};
use crate::wildcard::WildcardFaultKind;
use crate::{Bound, Decimal, Dialect, Predicate, Regexp, TextOp, Wildcard};

/// An operator that takes a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StringTest {
    Compare(TextOp),
    Wildcard,
    Regexp,
}

/// A comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Parses `<`, `<=`, `>` or `>=`.
    pub(super) fn parse(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// Whether it gives a lower bound.
    pub(super) fn is_lower(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    /// The same comparison with its operands swapped: `5 > x` is `x < 5`.
    pub(super) fn swapped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// The bound of a comparison with `value`.
    pub(super) fn bound(self, value: Decimal) -> Bound {
        Bound {
            value,
            inclusive: matches!(self, Self::LessOrEqual | Self::GreaterOrEqual),
        }
    }

    /// The predicate of a comparison with `value`: a range with one bound.
    pub(super) fn predicate(self, value: Decimal) -> Predicate {
        let bound = Some(self.bound(value));
        if self.is_lower() {
            Predicate::Range {
                lower: bound,
                upper: None,
            }
        } else {
            Predicate::Range {
                lower: None,
                upper: bound,
            }
        }
    }
}

impl TreeBuilder<'_> {
    /// The predicate of a string operator. `span` is the string literal, quotes included.
    pub(super) fn string_test(
        &mut self,
        test: StringTest,
        value: &str,
        span: &Span,
        ignoring_case: bool,
    ) -> Option<Predicate> {
        match test {
            StringTest::Compare(op) if ignoring_case => {
                Some(Predicate::TextIgnoringCase(op, value.into()))
            }
            StringTest::Compare(op) => Some(Predicate::Text(op, value.into())),
            StringTest::Wildcard => self.wildcard(value, span, ignoring_case),
            StringTest::Regexp => self.regexp(value, span, ignoring_case),
        }
    }

    /// The predicate of `cidr`.
    pub(super) fn network(&mut self, value: &str, span: &Span) -> Option<Predicate> {
        match cidr::parse(value, self.dialect) {
            Ok(network) => Some(Predicate::Cidr(network)),
            Err(InvalidNetwork { message, help }) => {
                let usual = "write an address and a prefix length: `10.0.0.0/8`, `2001:db8::/32`";
                self.error(Code::INVALID_CIDR, span.clone(), message).help =
                    Some(help.unwrap_or_else(|| usual.into()));
                None
            }
        }
    }

    /// A range with two bounds.
    pub(super) fn range(&mut self, lower: Bound, upper: Bound, span: &Span) -> Option<Predicate> {
        if lower.value > upper.value {
            let message = format!(
                "empty range: no number is above {} and below {}",
                lower.value, upper.value
            );
            self.error(Code::INVALID_RANGE, span.clone(), message).help =
                Some("swap the two numbers".into());
            return None;
        }
        Some(Predicate::Range {
            lower: Some(lower),
            upper: Some(upper),
        })
    }

    fn wildcard(&mut self, value: &str, span: &Span, ignoring_case: bool) -> Option<Predicate> {
        let fault = match Wildcard::parse(value) {
            Ok(wildcard) => {
                return Some(Predicate::Wildcard {
                    wildcard,
                    ignoring_case,
                });
            }
            Err(fault) => fault,
        };
        let fault_span = string_literal::locate(self.source, span, &fault.at);
        let diagnostic = match fault.kind {
            WildcardFaultKind::TwoStars => Diagnostic::error(
                Code::INVALID_WILDCARD,
                fault_span.clone(),
                "consecutive `*` in a wildcard",
            )
            .with_help("one `*` matches any characters; write a literal star as `\\\\*`")
            .with_fix(fault_span, "*"),
            WildcardFaultKind::BadEscape => Diagnostic::error(
                Code::INVALID_WILDCARD,
                fault_span,
                "invalid escape in a wildcard: expected `*` or `\\` after the backslash",
            )
            .with_help(
                "write a literal backslash as `\\\\\\\\`: \
                 doubled for the wildcard, and again for the string",
            ),
        };
        self.push(diagnostic);
        None
    }

    fn regexp(&mut self, value: &str, span: &Span, ignoring_case: bool) -> Option<Predicate> {
        // Compiled only to validate it; the tree keeps the text, so that patterns can be compared
        // and printed, and each evaluator compiles it in the form it needs.
        match CompiledRegexp::new(value, ignoring_case) {
            Ok(_) => {
                return Some(Predicate::Regexp {
                    regexp: Regexp(value.into()),
                    ignoring_case,
                });
            }
            Err(RegexpFault::TooLarge) => {
                self.error(
                    Code::INVALID_REGEXP,
                    span.clone(),
                    RegexpFault::TooLarge.to_string(),
                )
                .help = Some("use smaller repetition counts, or a wildcard".into());
            }
            Err(RegexpFault::Syntax { message, at }) => {
                // Some errors have an empty span, at the end of the expression; nothing could be
                // underlined there.
                let fault_span = if at.is_empty() {
                    span.clone()
                } else {
                    string_literal::locate(self.source, span, &at)
                };
                let help = regexp_help(&message);
                self.error(
                    Code::INVALID_REGEXP,
                    fault_span,
                    format!("invalid regular expression: {message}"),
                )
                .help = help;
            }
        }
        None
    }

    /// Whether the dialect can compare with this number; otherwise reports an error.
    // AWS accepts a number only if a double holds it exactly (0.1 passes: its shortest decimal form
    // is the same; 9007199254740993 does not). Alibaba Cloud documents bounds within ±1e9.
    pub(super) fn check_comparable(&mut self, number: &Decimal, span: &Span) -> bool {
        let help = match self.dialect {
            Dialect::Aws if !number.fits_double() => {
                "write the number with the digits of the nearest double"
            }
            Dialect::Alibaba if alibaba::is_far(number) => {
                "use a number from -1,000,000,000 to 1,000,000,000"
            }
            _ => return true,
        };
        let message = format!("{} cannot compare with {number}", self.dialect.title());
        self.error(Code::NOT_PORTABLE, span.clone(), message).help = Some(help.into());
        false
    }
}

/// What to write where a regular expression has what only engines that backtrack have.
fn regexp_help(message: &str) -> Option<String> {
    let help = if message.starts_with("look-around") {
        "write what must not follow as a condition of its own: `… and not (name matches \"…\")`"
    } else if message.starts_with("backreferences") {
        "compare in the script what must be the same twice"
    } else {
        return None;
    };
    Some(help.to_owned())
}
