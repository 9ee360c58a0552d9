//! From the argument of an operator to a predicate, the same for both notations.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::{TreeBuilder, cidr, string_literal};
use crate::dialect::alibaba;
use crate::regexp::{CompiledRegexp, RegexpFault};
use crate::wildcard::WildcardFaultKind;
use crate::{Bound, Decimal, Dialect, Predicate, Regexp, TextOp, Wildcard};

/// The tests whose argument is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    Compare(TextOp),
    Wildcard,
    Regexp,
}

/// A comparison of numbers, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Reads `<`, `<=`, `>` or `>=`.
    pub(super) fn parse(sign: &str) -> Option<Self> {
        Some(match sign {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// Whether it bounds from below.
    pub(super) fn is_lower(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    /// The same comparison with its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// The end of a range that it says.
    pub(super) fn bound(self, value: Decimal) -> Bound {
        Bound {
            value,
            inclusive: matches!(self, Self::LessOrEqual | Self::GreaterOrEqual),
        }
    }
}

impl TreeBuilder<'_> {
    /// A test whose argument is the text at `span` (with its quotes).
    pub(super) fn text_predicate(
        &mut self,
        test: TextTest,
        value: &str,
        span: &Span,
        ignoring_case: bool,
    ) -> Option<Predicate> {
        match test {
            TextTest::Compare(op) if ignoring_case => {
                Some(Predicate::TextIgnoringCase(op, value.into()))
            }
            TextTest::Compare(op) => Some(Predicate::Text(op, value.into())),
            TextTest::Wildcard => self.wildcard(value, span, ignoring_case),
            TextTest::Regexp => self.regexp(value, span, ignoring_case),
        }
    }

    /// A test for a network.
    pub(super) fn network(&mut self, value: &str, span: &Span) -> Option<Predicate> {
        match cidr::parse(value, self.dialect) {
            Ok(network) => Some(Predicate::Cidr(network)),
            Err(reason) => {
                self.error(Code::BAD_CIDR, span.clone(), reason).help =
                    Some("write an address and how many of its first bits count: `10.0.0.0/8`, `2001:db8::/32`".into());
                None
            }
        }
    }

    /// A range with both ends, written lower end first.
    pub(super) fn range(&mut self, lower: Bound, upper: Bound, span: &Span) -> Option<Predicate> {
        if lower.value > upper.value {
            let message = format!(
                "no number lies above {} and below {}",
                lower.value, upper.value
            );
            self.error(Code::BAD_RANGE, span.clone(), message).help =
                Some("exchange the two numbers".into());
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
        let place = string_literal::locate(self.source, span, &fault.at);
        let diagnostic = match fault.kind {
            WildcardFaultKind::TwoStars => Diagnostic::error(
                Code::BAD_WILDCARD,
                place.clone(),
                "a wildcard may not have two `*` in a row",
            )
            .with_help(
                "one `*` already stands for any characters; a star itself is written `\\\\*`",
            )
            .with_fix(place, "*"),
            WildcardFaultKind::BadEscape => {
                let message = "a backslash in a wildcard stands before `*` or `\\` only";
                Diagnostic::error(Code::BAD_WILDCARD, place.clone(), message).with_help(
                    "a backslash itself is written `\\\\\\\\` (two for the wildcard, each doubled in quotes)",
                )
            }
        };
        self.push(diagnostic);
        None
    }

    fn regexp(&mut self, value: &str, span: &Span, ignoring_case: bool) -> Option<Predicate> {
        match CompiledRegexp::new(value, ignoring_case) {
            Ok(_) => {
                return Some(Predicate::Regexp {
                    regexp: Regexp(value.into()),
                    ignoring_case,
                });
            }
            Err(RegexpFault::TooLarge) => {
                self.error(
                    Code::BAD_REGEXP,
                    span.clone(),
                    RegexpFault::TooLarge.to_string(),
                )
                .help = Some("repeat less, or use a wildcard".into());
            }
            Err(RegexpFault::Syntax { message, at }) => {
                let place = if at.is_empty() {
                    span.clone()
                } else {
                    string_literal::locate(self.source, span, &at)
                };
                self.error(
                    Code::BAD_REGEXP,
                    place,
                    format!("this is no regular expression: {message}"),
                );
            }
        }
        None
    }

    /// Whether a number may stand in a comparison: AWS takes those alone that a double holds exactly, Alibaba those up
    /// to a thousand millions.
    pub(super) fn comparable(&mut self, number: &Decimal, span: &Span) -> bool {
        let help = match self.dialect {
            Dialect::Aws if !number.fits_double() => {
                "a double holds it with other digits; write those"
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
