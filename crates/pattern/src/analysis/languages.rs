//! Predicates on strings as regular languages.

use regex_automata::hybrid::dfa::{Builder, Config, DFA};
use regex_automata::nfa::thompson;
use regex_syntax::hir::{Dot, Hir, Look, Repetition};

use super::budget::Budget;
use crate::value::ignoring_case;
use crate::{Predicate, TextOp};

/// An upper bound of the bytes of one instruction before the automaton is built.
const BYTES_PER_INSTRUCTION: usize = 64;

/// A set of strings as a lazily built automaton that accepts whole strings.
#[derive(Debug)]
pub(super) struct Language {
    pub(super) automaton: DFA,
    /// The relative cost of a step.
    pub(super) cost: usize,
}

impl Language {
    /// The strings that satisfy a predicate.
    pub(super) fn of_predicate(predicate: &Predicate, budget: &Budget) -> Option<Self> {
        Self::new(strings(predicate)?, budget)
    }

    /// These strings and no others.
    pub(super) fn of_literals<'t>(
        texts: impl Iterator<Item = &'t str>,
        budget: &Budget,
    ) -> Option<Self> {
        Self::new(Hir::alternation(texts.map(literal).collect()), budget)
    }

    /// The strings that a regular expression matches as a whole.
    pub(super) fn of_regexp(text: &str, budget: &Budget) -> Option<Self> {
        // `None` in this file is a language that is not known: nothing is proved about it.
        Self::new(regex_syntax::parse(text).ok()?, budget)
    }

    /// All strings. An automaton reads bytes, and not all bytes are a string.
    pub(super) fn all_strings(budget: &Budget) -> Option<Self> {
        Self::new(anything(), budget)
    }

    /// `None` if the budget does not suffice.
    fn new(strings: Hir, budget: &Budget) -> Option<Self> {
        let whole = Hir::concat(vec![Hir::look(Look::Start), strings, Hir::look(Look::End)]);
        // Building an instruction is about a step, so no more are built than there are steps.
        let size = budget.left().saturating_mul(BYTES_PER_INSTRUCTION);
        let size = size.min(budget.bytes);
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().nfa_size_limit(Some(size)))
            .build_from_hir(&whole)
            .ok()?;
        let states = nfa.states().len();
        if !budget.spend(states) {
            return None;
        }
        // A full cache is an error and is not cleared: the search keeps the ids of states.
        let config = Config::new()
            .cache_capacity(budget.bytes)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0));
        let automaton = Builder::new().configure(config).build_from_nfa(nfa).ok()?;
        Some(Self {
            automaton,
            cost: 1 + states / 32,
        })
    }
}

fn strings(predicate: &Predicate) -> Option<Hir> {
    Some(match predicate {
        Predicate::Text(op, text) => with_op(*op, literal(text)),
        Predicate::TextIgnoringCase(op, text) => with_op(*op, literal_ignoring_case(text)),
        Predicate::Wildcard {
            wildcard,
            ignoring_case,
        } => {
            let mut parts = Vec::new();
            for (i, piece) in wildcard.pieces.iter().enumerate() {
                if i > 0 {
                    parts.push(anything());
                }
                parts.push(if *ignoring_case {
                    literal_ignoring_case(piece)
                } else {
                    literal(piece)
                });
            }
            Hir::concat(parts)
        }
        Predicate::Regexp {
            regexp,
            ignoring_case,
        } => crate::regexp::syntax(&regexp.0, *ignoring_case).ok()?,
        _ => return None,
    })
}

fn with_op(op: TextOp, text: Hir) -> Hir {
    Hir::concat(match op {
        TextOp::Equals => vec![text],
        TextOp::Prefix => vec![text, anything()],
        TextOp::Suffix => vec![anything(), text],
        TextOp::Contains => vec![anything(), text, anything()],
    })
}

fn literal(text: &str) -> Hir {
    Hir::literal(text.as_bytes())
}

fn literal_ignoring_case(text: &str) -> Hir {
    let spellings = |c: char| {
        let spellings = ignoring_case::spellings(c);
        Hir::alternation(spellings.iter().map(|text| literal(text)).collect())
    };
    Hir::concat(text.chars().map(spellings).collect())
}

fn anything() -> Hir {
    Hir::repetition(Repetition {
        min: 0,
        max: None,
        greedy: true,
        sub: Box::new(Hir::dot(Dot::AnyChar)),
    })
}
