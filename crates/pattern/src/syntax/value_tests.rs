//! Expression notation: conditions on one value, joined by `and`, `or` and `not` after its path.

// A field of the tree is a list of alternatives, each a conjunction of predicates: disjunctive
// normal form. So `and` between groups multiplies their alternatives, and `not` applies De Morgan:
//
//     a ((== "x" or == "y") and starts with "z")    [x, z…] or [y, z…]
//     a not (== "x" or starts with "z")             anything-but ["x", "z…"]
//     a not (starts with "x" and ends with "y")     [not x…] or [not …y]

use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::expression::Connective;
use super::json::span_of;
use super::{Rule, TreeBuilder};
use crate::spanned::{SpannedAlternative, SpannedPredicate};
use crate::{Predicate, normal};

/// The alternatives of a field: each is a conjunction that one value must meet.
pub(super) type Alternatives = Vec<SpannedAlternative>;

impl TreeBuilder<'_> {
    /// `not`s followed by a predicate or a group, as alternatives.
    pub(super) fn value_unary(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut negated = false;
        let mut alternatives = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::negation => {
                    self.check_negation(&part);
                    negated = !negated;
                }
                Rule::value_group => alternatives = self.value_tests(part.into_inner().next()?),
                _ => alternatives = self.predicate(part),
            }
        }
        if negated {
            self.negated(&span, alternatives?)
        } else {
            alternatives
        }
    }

    fn value_tests(&mut self, pair: Pair<'_, Rule>) -> Option<Alternatives> {
        let span = span_of(&pair);
        let mut finished = Alternatives::new();
        // The alternatives of the `and`s since the last `or`.
        let mut conjunction: Option<Alternatives> = None;
        let mut complete = true;
        let parts = pair.into_inner();
        let is_only = parts.len() == 3;
        for part in parts {
            if part.as_rule() == Rule::connective {
                if self.connective(&part, is_only) == Connective::Or {
                    finished.extend(conjunction.take().unwrap_or_default());
                }
                continue;
            }
            let Some(next) = self.value_unary(part) else {
                complete = false;
                continue;
            };
            conjunction = Some(match conjunction {
                None => next,
                Some(left) => self.product(&span, left, &next)?,
            });
        }
        finished.extend(conjunction.unwrap_or_default());
        for alternative in &mut finished {
            normal::join_ranges(&mut alternative.predicates);
        }
        if complete && !finished.is_empty() {
            Some(finished)
        } else {
            None
        }
    }

    /// The conjunction of two lists of alternatives: each of one with each of the other.
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
        // A list of 5,000 values with one more condition is as large as the text; only a product
        // of two lists can grow beyond it.
        let is_product = left.len() > 1 && right.len() > 1;
        if is_product && count > self.limits.combinations
            || count > 1 && expanded_tests > self.limits.expanded_tests
        {
            return self.too_many(span);
        }
        // `!= 1 and != 2 and …`: appended in place, so that n conditions take n steps and not n².
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
            "these conditions expand to more than {} alternatives",
            self.limits.combinations
        );
        self.error(Code::TOO_MANY_COMBINATIONS, span.clone(), message)
            .help = Some("repeat the path and join whole conditions with `and`".into());
        None
    }

    /// The negation of alternatives: a value that meets none of them.
    fn negated(&mut self, span: &Span, alternatives: Alternatives) -> Option<Alternatives> {
        for spanned in alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
        {
            // `anything-but` requires a value, so it cannot express the opposite of `exists`; and
            // the opposite of `is missing` has an operator of its own.
            let (operator, opposite) = match spanned.predicate {
                Predicate::Missing => ("is missing", "exists"),
                Predicate::Exists => ("exists", "is missing"),
                _ => continue,
            };
            let message = format!("`not` cannot be applied to `{operator}`");
            let mut error = Diagnostic::error(Code::WRONG_ARGUMENT, span.clone(), message)
                .with_help(format!("write `{opposite}`"));
            if alternatives.len() == 1 && alternatives[0].predicates.len() == 1 {
                error = error.with_fix(span.clone(), opposite);
            }
            self.push(error);
            return None;
        }
        let is_single = |alternative: &SpannedAlternative| {
            matches!(
                alternative.predicates.as_slice(),
                [one] if !matches!(one.predicate, Predicate::AnythingBut(_))
            )
        };
        let with_span = |predicates: Vec<Predicate>| SpannedAlternative {
            span: span.clone(),
            predicates: predicates
                .into_iter()
                .map(|predicate| SpannedPredicate {
                    span: span.clone(),
                    predicate,
                })
                .collect(),
        };
        // not (a or b or …) of single predicates is one `anything-but` [a, b, …].
        if alternatives.iter().all(is_single) {
            let inner = alternatives
                .into_iter()
                .flat_map(|alternative| alternative.predicates);
            return Some(vec![with_span(vec![Predicate::AnythingBut(
                inner.map(|spanned| spanned.predicate).collect(),
            )])]);
        }
        // not (a and b or c and d): one predicate of each conjunction fails, so the product of
        // [not a, not b] and [not c, not d]. A negated `anything-but` [x, y] is [x, y] itself.
        let mut negated: Alternatives = vec![with_span(Vec::new())];
        for alternative in alternatives {
            let choices: Alternatives = alternative
                .predicates
                .into_iter()
                .flat_map(|spanned| match spanned.predicate {
                    Predicate::AnythingBut(inner) => inner,
                    other => vec![Predicate::AnythingBut(vec![other])],
                })
                .map(|predicate| with_span(vec![predicate]))
                .collect();
            negated = self.product(span, negated, &choices)?;
        }
        for alternative in &mut negated {
            normal::join_ranges(&mut alternative.predicates);
        }
        Some(negated)
    }
}
