//! The spanned tree beside its goals.

use std::collections::BTreeSet;

use reflexarc_diagnostic::Span;

use super::HoldsOneValue;
use super::atoms::Atoms;
use super::goal::{Goal, GoalBuilder};
use crate::Predicate;
use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode};

/// A node of the pattern, with what it means.
#[derive(Debug)]
pub(super) struct Part<'t> {
    pub(super) span: &'t Span,
    pub(super) goal: Goal,
    pub(super) paths: BTreeSet<usize>,
    pub(super) kind: PartKind<'t>,
}

#[derive(Debug)]
pub(super) enum PartKind<'t> {
    All(Vec<Part<'t>>),
    Any(Vec<Part<'t>>),
    Not(Box<Part<'t>>),
    Field(FieldPart<'t>),
}

#[derive(Debug)]
pub(super) struct FieldPart<'t> {
    pub(super) field: &'t SpannedField,
    pub(super) alternatives: Vec<AlternativePart<'t>>,
}

#[derive(Debug)]
pub(super) struct AlternativePart<'t> {
    pub(super) alternative: &'t SpannedAlternative,
    pub(super) goal: Goal,
}

impl<'t> Part<'t> {
    /// The parts of a tree, and their predicates.
    pub(super) fn of_tree(tree: &'t SpannedNode, holds_one_value: HoldsOneValue) -> (Self, Atoms) {
        let mut builder = GoalBuilder::new(holds_one_value);
        let part = Self::new(tree, &mut builder);
        (part, builder.into_atoms())
    }

    /// Whether it is a field that some alternative requires to be missing.
    pub(super) fn requires_missing(&self) -> bool {
        match &self.kind {
            PartKind::Field(part) => part.alternatives.iter().all(AlternativePart::is_missing),
            _ => false,
        }
    }

    fn new(node: &'t SpannedNode, builder: &mut GoalBuilder<'_>) -> Self {
        let mut parts = |nodes: &'t [SpannedNode]| -> Vec<Self> {
            nodes.iter().map(|node| Self::new(node, builder)).collect()
        };
        let (goal, kind) = match &node.kind {
            Kind::All(nodes) => {
                let parts = parts(nodes);
                let goals = parts.iter().map(|part| part.goal.clone());
                (Goal::all(goals), PartKind::All(parts))
            }
            Kind::Any(nodes) => {
                let parts = parts(nodes);
                let goals = parts.iter().map(|part| part.goal.clone());
                (Goal::any(goals), PartKind::Any(parts))
            }
            Kind::Not(inner) => {
                let part = Self::new(inner, builder);
                (part.goal.negated(), PartKind::Not(Box::new(part)))
            }
            Kind::Field(field) => {
                let alternatives = field
                    .alternatives
                    .iter()
                    .map(|alternative| AlternativePart {
                        alternative,
                        goal: builder.alternative(&field.path, alternative),
                    });
                let alternatives = alternatives.collect();
                let part = FieldPart {
                    field,
                    alternatives,
                };
                (builder.field(field), PartKind::Field(part))
            }
        };
        Self {
            span: &node.span,
            paths: goal.paths(),
            goal,
            kind,
        }
    }
}

impl AlternativePart<'_> {
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.goal, Goal::Not(_))
    }

    /// Its predicate, if it is a single one.
    pub(super) fn predicate(&self) -> Option<&Predicate> {
        match self.alternative.predicates.as_slice() {
            [only] => Some(&only.predicate),
            _ => None,
        }
    }

    /// What it has in the text that none of the others has: all of it, or one of its predicates.
    // `a (== "x" and (ends with "x" or == "y"))` has the alternatives [x, …x] and [x, y]. The
    // second never holds, and that is said of `== "y"`, because `== "x"` is used by the first.
    pub(super) fn own_text<'o>(
        &self,
        others: impl Iterator<Item = &'o SpannedAlternative>,
    ) -> Option<Span> {
        let spans: BTreeSet<(usize, usize)> = others
            .flat_map(|other| &other.predicates)
            .map(|spanned| (spanned.span.start, spanned.span.end))
            .collect();
        let predicates = &self.alternative.predicates;
        let is_own = |span: &Span| !spans.contains(&(span.start, span.end));
        if predicates.iter().all(|spanned| is_own(&spanned.span)) {
            return Some(self.alternative.span.clone());
        }
        let own = predicates.iter().find(|spanned| is_own(&spanned.span));
        own.map(|spanned| spanned.span.clone())
    }
}
