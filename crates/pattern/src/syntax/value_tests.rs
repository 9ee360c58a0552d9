//! The expression notation: tests of one value behind its path, joined by `and`, `or` and `not`.

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::expression::Connective;
use super::json::span_of;
use super::{Rule, TreeBuilder};
use crate::spanned::{SpannedAlternative, SpannedPredicate};
use crate::{Predicate, normal};

/// Alternatives, each of which one value meets as a complete.
pub(super) type Alternatives = Vec<SpannedAlternative>;

impl TreeBuilder<'_> {
    /// `not`s and a predicate or a group, as the alternatives of the field.
    pub(super) fn value_unary(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut negated = false;
        let mut alternatives = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::negation => {
                    self.negation(&part);
                    negated = !negated;
                }
                Rule::value_group => alternatives = self.value_tests(part.into_inner().next()?),
                _ => alternatives = self.predicate(part),
            }
        }
        if negated {
            self.opposite(&span, alternatives?)
        } else {
            alternatives
        }
    }

    fn value_tests(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut done = Alternatives::new();
        let mut conjunction: Option<Alternatives> = None;
        let mut complete = true;
        for part in pair.into_inner() {
            if part.as_rule() == Rule::connective {
                if self.connective(&part) == Connective::Or {
                    done.extend(conjunction.take().unwrap_or_default());
                }
                continue;
            }
            let Some(next) = self.value_unary(part) else {
                complete = false;
                continue;
            };
            conjunction = Some(match conjunction {
                None => next,
                Some(before) => self.product(&span, before, &next)?,
            });
        }
        done.extend(conjunction.unwrap_or_default());
        for alternative in &mut done {
            normal::join_ranges(&mut alternative.predicates);
        }
        if complete && !done.is_empty() {
            Some(done)
        } else {
            None
        }
    }

    /// Every alternative of one together with every alternative of the other.
    fn product(
        &mut self,
        span: &Span,
        mut left: Alternatives,
        right: &[SpannedAlternative],
    ) -> Option<Alternatives> {
        let tests = |alternatives: &[SpannedAlternative]| {
            alternatives
                .iter()
                .map(|one| one.predicates.len())
                .sum::<usize>()
        };
        let count = left.len().saturating_mul(right.len());
        let expanded_tests = tests(&left) * right.len() + tests(right) * left.len();
        let too_wide = left.len() > 1 && right.len() > 1 && count > self.limits.combinations;
        if too_wide || count > 1 && expanded_tests > self.limits.expanded_tests {
            return self.too_many(span);
        }
        if let [other] = right {
            for one in &mut left {
                one.span = one.span.start.min(other.span.start)..one.span.end.max(other.span.end);
                one.predicates.extend_from_slice(&other.predicates);
            }
            return Some(left);
        }
        let both = left.iter().flat_map(|one| {
            right.iter().map(|other| SpannedAlternative {
                span: one.span.start.min(other.span.start)..one.span.end.max(other.span.end),
                predicates: [one.predicates.as_slice(), other.predicates.as_slice()].concat(),
            })
        });
        Some(both.collect())
    }

    fn too_many<T>(&mut self, span: &Span) -> Option<T> {
        let message = format!(
            "these tests spell out to more than {} alternatives",
            self.limits.combinations
        );
        self.error(Code::TOO_MANY, span.clone(), message).help =
            Some("join complete tests by `and` instead".into());
        None
    }

    /// Anything but these: a value is there, and meets none of them.
    fn opposite(&mut self, span: &Span, alternatives: Alternatives) -> Option<Alternatives> {
        for spanned in alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
        {
            let meant = match spanned.predicate {
                Predicate::Missing => "exists",
                Predicate::Exists => "is missing",
                _ => continue,
            };
            let mut error = Diagnostic::error(
                Code::WRONG_ARGUMENT,
                span.clone(),
                "presence is not negated by `not`",
            )
            .with_help(format!("write `{meant}`"));
            if alternatives.len() == 1 && alternatives[0].predicates.len() == 1 {
                error = error.with_fix(span.clone(), meant);
            }
            self.push(error);
            return None;
        }
        let plain = |alternative: &SpannedAlternative| matches!(alternative.predicates.as_slice(), [one] if !matches!(one.predicate, Predicate::AnythingBut(_)));
        let place = |predicates: Vec<Predicate>| SpannedAlternative {
            span: span.clone(),
            predicates: predicates
                .into_iter()
                .map(|predicate| SpannedPredicate {
                    span: span.clone(),
                    predicate,
                })
                .collect(),
        };
        if alternatives.iter().all(plain) {
            let inner = alternatives
                .into_iter()
                .flat_map(|alternative| alternative.predicates);
            return Some(vec![place(vec![Predicate::AnythingBut(
                inner.map(|spanned| spanned.predicate).collect(),
            )])]);
        }
        // None of several conjunctions: of each, one test fails.
        let mut ways: Alternatives = vec![place(Vec::new())];
        for alternative in alternatives {
            let choices: Alternatives = alternative
                .predicates
                .into_iter()
                .flat_map(|spanned| match spanned.predicate {
                    Predicate::AnythingBut(inner) => inner,
                    other => vec![Predicate::AnythingBut(vec![other])],
                })
                .map(|predicate| place(vec![predicate]))
                .collect();
            ways = self.product(span, ways, &choices)?;
        }
        for way in &mut ways {
            normal::join_ranges(&mut way.predicates);
        }
        Some(ways)
    }
}
