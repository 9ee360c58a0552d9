//! Patterns as goals: the form in which the prover takes them apart.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::HoldsOneValue;
use super::atoms::Atoms;
use super::formula::Formula;
use crate::spanned::{Kind, SpannedAlternative, SpannedField, SpannedNode};
use crate::{Alternative, Node, Path, Predicate};

/// A condition on an event. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    All(Rc<[Goal]>),
    Any(Rc<[Goal]>),
    Not(Rc<Goal>),
    Field(FieldGoal),
}

/// A field has a value that satisfies a formula.
#[derive(Debug, Clone)]
pub(super) struct FieldGoal {
    /// The number of its path.
    pub(super) path: usize,
    /// The number of the first segment of its path. Values of paths with different ones lie in
    /// different arrays.
    pub(super) head: usize,
    /// Whether it is known to have at most one value, outside of arrays.
    pub(super) is_single: bool,
    pub(super) values: Formula,
}

/// Makes goals, and collects their predicates and paths.
pub(super) struct GoalBuilder<'k> {
    holds_one_value: HoldsOneValue<'k>,
    atoms: Atoms,
    /// The number of each path, and whether it is known to have one value.
    paths: HashMap<Path, (usize, bool)>,
    heads: HashMap<Box<str>, usize>,
}

impl Goal {
    pub(super) fn all(parts: impl IntoIterator<Item = Goal>) -> Self {
        Self::All(parts.into_iter().collect())
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Goal>) -> Self {
        Self::Any(parts.into_iter().collect())
    }

    pub(super) fn negated(&self) -> Self {
        Self::Not(Rc::new(self.clone()))
    }

    /// Whether no part is negated. What is missing is negated: no value exists.
    pub(super) fn is_positive(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_positive),
            Self::Not(_) => false,
            Self::Field(_) => true,
        }
    }

    /// Whether it is a field of which it is known that it has one value.
    pub(super) fn is_single_field(&self) -> bool {
        matches!(self, Self::Field(field) if field.is_single)
    }

    /// The fields in it.
    pub(super) fn fields(&self) -> Vec<&FieldGoal> {
        let mut fields = Vec::new();
        self.collect_fields(&mut fields);
        fields
    }

    /// The paths of its fields.
    pub(super) fn paths(&self) -> BTreeSet<usize> {
        self.fields().iter().map(|field| field.path).collect()
    }

    fn collect_fields<'g>(&'g self, fields: &mut Vec<&'g FieldGoal>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.collect_fields(fields));
            }
            Self::Not(inner) => inner.collect_fields(fields),
            Self::Field(field) => fields.push(field),
        }
    }
}

impl<'k> GoalBuilder<'k> {
    pub(super) fn new(holds_one_value: HoldsOneValue<'k>) -> Self {
        Self {
            holds_one_value,
            atoms: Atoms::default(),
            paths: HashMap::new(),
            heads: HashMap::new(),
        }
    }

    pub(super) fn goal(&mut self, node: &SpannedNode) -> Goal {
        match &node.kind {
            Kind::All(parts) => Goal::all(self.goals(parts)),
            Kind::Any(parts) => Goal::any(self.goals(parts)),
            Kind::Not(inner) => self.goal(inner).negated(),
            Kind::Field(field) => self.field(field),
        }
    }

    pub(super) fn goal_of_node(&mut self, node: &Node) -> Goal {
        self.goal(&SpannedNode::with_span(node, &(0..0)))
    }

    pub(super) fn field(&mut self, field: &SpannedField) -> Goal {
        let alternatives = field
            .alternatives
            .iter()
            .map(|one| self.alternative(&field.path, one));
        let mut goals: Vec<Goal> = Vec::new();
        let mut present: Vec<Formula> = Vec::new();
        let mut first_present = None;
        for goal in alternatives.collect::<Vec<_>>() {
            match goal {
                Goal::Field(field) => {
                    present.push(field.values.clone());
                    first_present.get_or_insert(field);
                }
                missing => goals.push(missing),
            }
        }
        // One value satisfies one of the alternatives: a field of their disjunction.
        if let Some(first) = first_present {
            goals.insert(
                0,
                Goal::Field(FieldGoal {
                    values: Formula::any(present),
                    ..first
                }),
            );
        }
        if let [only] = goals.as_slice() {
            only.clone()
        } else {
            Goal::any(goals)
        }
    }

    /// The field with this alternative alone.
    pub(super) fn alternative(&mut self, path: &Path, alternative: &SpannedAlternative) -> Goal {
        let predicates: Vec<Predicate> = alternative
            .predicates
            .iter()
            .map(|spanned| spanned.predicate.clone())
            .collect();
        if Alternative(predicates.clone()).is_missing() {
            return Goal::Field(self.field_goal(path, Formula::all([]))).negated();
        }
        let values = self.conjunction(&predicates);
        Goal::Field(self.field_goal(path, values))
    }

    /// The formula of predicates that one value must satisfy together.
    pub(super) fn conjunction(&mut self, predicates: &[Predicate]) -> Formula {
        Formula::all(
            predicates
                .iter()
                .map(|predicate| self.atoms.formula(predicate)),
        )
    }

    pub(super) fn into_atoms(self) -> Atoms {
        self.atoms
    }

    fn goals(&mut self, nodes: &[SpannedNode]) -> Vec<Goal> {
        nodes.iter().map(|node| self.goal(node)).collect()
    }

    fn field_goal(&mut self, path: &Path, values: Formula) -> FieldGoal {
        let next = self.paths.len();
        let new = || (next, (self.holds_one_value)(path));
        let (number, is_single) = *self.paths.entry(path.clone()).or_insert_with(new);
        let head = path.segments().next().unwrap_or_default();
        let next = self.heads.len();
        let head = *self.heads.entry(head.into()).or_insert(next);
        FieldGoal {
            path: number,
            head,
            is_single,
            values,
        }
    }
}
