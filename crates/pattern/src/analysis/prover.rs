//! Proofs that no event meets goals, or that one goal implies another.

// The meaning that the proofs rest on (`naive` computes it). A *choice* picks elements of arrays.
// Let S(g, c) be "g holds under the choice c or under an extension of it":
//
//     S(field, c)    the field has a satisfying value in elements that c picks or leaves open
//     S(not g, c)    not S(g, c)
//     S(any, c)      S of one part
//     S(all, c)      values of all fields lie in elements that agree with each other and with c;
//                    with the elements picked like that, c', S(g, c') is false for each `not g`
//
// A conjunction is a `Term`: fields that hold in elements that c' picks, and goals that do not hold
// at c'. These conclusions are valid for it:
//
// 1. A field's value lies in elements that c' picks, so it is one of the values that "does not
//    hold" speaks about: `a == "x"` with not S(a starts with "x", c') is a contradiction.
// 2. If the fields of the term imply all parts of a goal that does not hold, that is a
//    contradiction: their values lie in c', so together they satisfy the goal at c' itself.
// 3. not S(not g, c') means S(g, c'): g is *possible*, under some extension of c'. There the
//    fields still hold; a goal that does not hold still does not if nothing in it is negated,
//    because fewer choices are left. If g contradicts these, the term is contradictory.
// 4. A possible field has a value that agrees with c', but two possible fields may need different
//    elements, unless the first segments of their paths differ: then they share no array.
//
// 5. A field of which it is known that it has one value, outside of arrays, has the same value in
//    all conditions. Fields of its path that hold are one field with all their conditions, and so
//    are its possible fields: no choice separates them.
//
// Not valid, and not used: that `not (a and b)` is `not a or not b`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::atoms::Atoms;
use super::budget::Budget;
use super::formula::Formula;
use super::goal::{FieldGoal, Goal};
use super::{numbers, values};
use crate::{PatternLimits, Predicate};

/// Proves statements about goals, within a budget. Every `bool` is "proven": false means nothing.
pub(super) struct Prover<'a> {
    atoms: &'a Atoms,
    budget: Budget,
    /// The most disjunctions that are taken apart inside each other, which bounds the stack.
    depth: usize,
}

/// A conjunction: fields that hold, and goals that do not hold.
#[derive(Debug, Clone, Default)]
struct Term {
    fields: Vec<FieldGoal>,
    never: Vec<Goal>,
}

/// The goals of a term that do not hold, taken apart.
#[derive(Debug, Default)]
struct Negations {
    fields: Vec<FieldGoal>,
    conjunctions: Vec<Rc<[Goal]>>,
    possible: Vec<Goal>,
}

impl<'a> Prover<'a> {
    pub(super) fn new(atoms: &'a Atoms, limits: &PatternLimits) -> Self {
        Self {
            atoms,
            budget: Budget::new(limits),
            depth: limits.depth,
        }
    }

    /// Whether no event meets all of the goals.
    pub(super) fn never(&self, goals: &[&Goal]) -> bool {
        let goals = goals.iter().copied().cloned().collect();
        self.is_refuted(goals, Term::default())
    }

    /// Whether every event meets one of the goals.
    pub(super) fn always(&self, goals: &[&Goal]) -> bool {
        let term = Term {
            fields: Vec::new(),
            never: goals.iter().copied().cloned().collect(),
        };
        self.is_refuted(Vec::new(), term)
    }

    /// Whether every event that meets `one` meets `other`.
    pub(super) fn implies(&self, one: &Goal, other: &Goal) -> bool {
        self.every_leaf(vec![one.clone()], Term::default(), 0, &|term| {
            self.is_contradictory(term) || self.concludes(term, other)
        })
    }

    /// Whether no value satisfies all of the predicates, which are of the patterns under analysis.
    pub(super) fn exclude_each_other(&self, predicates: &[&Predicate]) -> bool {
        let formulas = predicates.iter().map(|one| self.atoms.known_formula(one));
        let formulas: Option<Vec<Formula>> = formulas.collect();
        formulas.is_some_and(|formulas| self.is_empty(&Formula::all(formulas)))
    }

    /// Whether no value satisfies the formula.
    pub(super) fn is_empty(&self, formula: &Formula) -> bool {
        values::none_satisfies(formula, self.atoms, &self.budget)
    }

    /// Whether every value satisfies the formula.
    pub(super) fn is_universal(&self, formula: &Formula) -> bool {
        self.is_empty(&formula.negated())
    }

    /// Whether every value of `one` satisfies `other`.
    pub(super) fn is_subset(&self, one: &Formula, other: &Formula) -> bool {
        self.is_empty(&one.but_none_of([other]))
    }

    /// Whether every number satisfies the formula.
    pub(super) fn has_all_numbers(&self, formula: &Formula) -> bool {
        numbers::all_satisfy(formula, self.atoms, &self.budget)
    }

    /// Takes a step for work of the caller; false once the budget is used up.
    pub(super) fn spend(&self) -> bool {
        self.budget.spend(1)
    }

    /// Whether the goals contradict each other or the term.
    fn is_refuted(&self, goals: Vec<Goal>, term: Term) -> bool {
        self.every_leaf(goals, term, 0, &|term| self.is_contradictory(term))
    }

    /// Whether `check` holds for each conjunction of the disjunctive normal form of the goals, each
    /// joined with `term`.
    fn every_leaf(
        &self,
        mut goals: Vec<Goal>,
        mut term: Term,
        branching: usize,
        check: &dyn Fn(&Term) -> bool,
    ) -> bool {
        let mut disjunctions = Vec::new();
        while let Some(goal) = goals.pop() {
            if !self.budget.spend(1) {
                return false;
            }
            match goal {
                Goal::All(parts) => goals.extend(parts.iter().cloned()),
                Goal::Not(inner) => term.never.push((*inner).clone()),
                Goal::Field(field) => term.fields.push(field),
                Goal::Any(parts) => disjunctions.push(parts),
            }
        }
        // Before branching: what is refuted without a disjunction is refuted in all its branches.
        // With 1,000 disjunctions of ten branches there are 10^1000 conjunctions.
        if check(&term) {
            return true;
        }
        let Some(first) = disjunctions.pop() else {
            return false;
        };
        branching < self.depth
            && first.iter().all(|branch| {
                let mut goals: Vec<Goal> = disjunctions.iter().cloned().map(Goal::Any).collect();
                goals.push(branch.clone());
                self.every_leaf(goals, term.clone(), branching + 1, check)
            })
    }

    fn is_contradictory(&self, term: &Term) -> bool {
        let negations = Negations::of(&term.never);
        // 1. A field that no value satisfies by itself is found where its alternatives are checked.
        let fields = joined(&term.fields);
        let is_restricted = |field: &&FieldGoal| {
            count(&negations.fields, field.path) > 0
                || field.is_single && count(&term.fields, field.path) > 1
        };
        let mut restricted = fields.iter().filter(is_restricted);
        if restricted.any(|field| self.is_empty(&negations.applied_to(field))) {
            return true;
        }
        // 3.
        let lasting = Term {
            fields: term.fields.clone(),
            never: lasting(&term.never),
        };
        let is_impossible = |goal: &Goal| self.is_refuted(vec![goal.clone()], lasting.clone());
        if negations.possible.iter().any(is_impossible) {
            return true;
        }
        let single = negations.possible.iter();
        let single: Vec<Goal> = single
            .filter(|goal| goal.is_single_field())
            .cloned()
            .collect();
        if single.len() > 1 && self.is_refuted(single, lasting.clone()) {
            return true;
        }
        // 2.
        let term = &Term {
            fields,
            never: term.never.clone(),
        };
        negations.conjunctions.iter().any(|goals| {
            let mut witnesses = Vec::new();
            goals
                .iter()
                .all(|goal| self.holds(goal, term, &negations, &lasting, &mut witnesses))
        })
    }

    /// Whether the goal holds together with the term and the witnesses: the possible fields whose
    /// values are used already, and to which more may be added.
    fn holds(
        &self,
        goal: &Goal,
        term: &Term,
        negations: &Negations,
        lasting: &Term,
        witnesses: &mut Vec<usize>,
    ) -> bool {
        if !self.budget.spend(1) {
            return false;
        }
        match goal {
            Goal::All(parts) => parts
                .iter()
                .all(|part| self.holds(part, term, negations, lasting, witnesses)),
            Goal::Any(parts) => {
                unions(parts).any(|wanted| self.has_value(&wanted, &term.fields, negations))
                    || parts
                        .iter()
                        .any(|part| self.holds(part, term, negations, lasting, witnesses))
            }
            Goal::Not(inner) => self.is_refuted(vec![(**inner).clone()], lasting.clone()),
            Goal::Field(wanted) => {
                self.has_value(wanted, &term.fields, negations)
                    || self.has_possible_value(wanted, negations, witnesses)
            }
        }
    }

    /// Whether one of the fields that hold has a value that `wanted` accepts.
    fn has_value(&self, wanted: &FieldGoal, fields: &[FieldGoal], negations: &Negations) -> bool {
        let mut fields = fields.iter().filter(|field| field.path == wanted.path);
        fields.any(|field| self.is_subset(&negations.applied_to(field), &wanted.values))
    }

    /// 4.
    fn has_possible_value(
        &self,
        wanted: &FieldGoal,
        negations: &Negations,
        witnesses: &mut Vec<usize>,
    ) -> bool {
        for (at, goal) in negations.possible.iter().enumerate() {
            let Goal::Field(field) = goal else {
                continue;
            };
            let is_free = witnesses.iter().all(|&other| {
                other == at
                    || matches!(&negations.possible[other],
                        Goal::Field(other) if other.head != field.head)
            });
            if is_free && self.has_value(wanted, std::slice::from_ref(field), negations) {
                witnesses.push(at);
                return true;
            }
        }
        false
    }

    /// Whether the goal holds in every event in which the term does, under the choice from which
    /// the term's fields were reached, and not only in the elements that they have picked.
    // `nics.a == 1 and nics.b is missing` does not imply `nics.b is missing`: in
    // {"nics": [{"a": 1}, {"b": 2}]} the first picks an element without `b`, and without it there
    // is a `b`. So a goal that does not hold must not share arrays with the fields of the term.
    fn concludes(&self, term: &Term, goal: &Goal) -> bool {
        if !self.budget.spend(1) {
            return false;
        }
        let negations = Negations::of(&term.never);
        let term = &Term {
            fields: joined(&term.fields),
            never: term.never.clone(),
        };
        match goal {
            Goal::All(parts) => parts.iter().all(|part| self.concludes(term, part)),
            Goal::Any(parts) => {
                unions(parts).any(|wanted| self.has_value(&wanted, &term.fields, &negations))
                    || parts.iter().any(|part| self.concludes(term, part))
            }
            Goal::Field(wanted) => self.has_value(wanted, &term.fields, &negations),
            Goal::Not(inner) => {
                let is_apart = inner
                    .fields()
                    .iter()
                    .all(|field| term.fields.iter().all(|other| other.head != field.head));
                let lasting = Term {
                    fields: term.fields.clone(),
                    never: lasting(&term.never),
                };
                is_apart && self.is_refuted(vec![(**inner).clone()], lasting)
            }
        }
    }
}

impl Negations {
    fn of(never: &[Goal]) -> Self {
        let mut negations = Self::default();
        let mut goals: Vec<&Goal> = never.iter().collect();
        while let Some(goal) = goals.pop() {
            match goal {
                // None of them holds.
                Goal::Any(parts) => goals.extend(parts.iter()),
                Goal::All(parts) if parts.len() == 1 => goals.extend(parts.iter()),
                Goal::All(parts) => match one_field(parts) {
                    Some(field) => negations.fields.push(field),
                    None => negations.conjunctions.push(Rc::clone(parts)),
                },
                Goal::Not(inner) => negations.possible.push((**inner).clone()),
                Goal::Field(field) => negations.fields.push(field.clone()),
            }
        }
        negations
    }

    /// The values that a field can have that holds.
    fn applied_to(&self, field: &FieldGoal) -> Formula {
        let excluded = self.fields.iter().filter(|other| other.path == field.path);
        field
            .values
            .but_none_of(excluded.map(|other| &other.values))
    }
}

fn count(fields: &[FieldGoal], path: usize) -> usize {
    fields.iter().filter(|field| field.path == path).count()
}

/// The fields, with all conditions on a path that has one value in one of them.
fn joined(fields: &[FieldGoal]) -> Vec<FieldGoal> {
    let mut joined: Vec<FieldGoal> = Vec::with_capacity(fields.len());
    for field in fields {
        let mut others = joined.iter_mut();
        match others.find(|other| field.is_single && other.path == field.path) {
            Some(other) => {
                other.values = Formula::all([other.values.clone(), field.values.clone()]);
            }
            None => joined.push(field.clone()),
        }
    }
    joined
}

/// The conjunction of these goals as one field, if they are fields of a path that has one value.
fn one_field(goals: &[Goal]) -> Option<FieldGoal> {
    let fields = goals.iter().map(|goal| match goal {
        Goal::Field(field) if field.is_single => Some(field.clone()),
        _ => None,
    });
    let fields: Option<Vec<FieldGoal>> = fields.collect();
    let mut joined = joined(&fields?);
    let only = joined.pop();
    only.filter(|_| joined.is_empty())
}

/// The goals that do not hold under any extension either.
fn lasting(never: &[Goal]) -> Vec<Goal> {
    let mut lasting = Vec::new();
    let mut goals: Vec<&Goal> = never.iter().collect();
    while let Some(goal) = goals.pop() {
        match goal {
            Goal::Any(parts) => goals.extend(parts.iter()),
            other if other.is_positive() => lasting.push(other.clone()),
            _ => {}
        }
    }
    lasting
}

/// For each path that several of the goals are fields of: one field with the values of all of them.
// `a == "x" or a == "y"` holds if a value of `a` is one of both, although neither branch follows
// from `a in ["x", "y"]`.
pub(super) fn unions(goals: &[Goal]) -> impl Iterator<Item = FieldGoal> {
    let mut by_path: BTreeMap<usize, Vec<&FieldGoal>> = BTreeMap::new();
    for goal in goals {
        if let Goal::Field(field) = goal {
            by_path.entry(field.path).or_default().push(field);
        }
    }
    let unions = by_path.into_values().filter(|fields| fields.len() > 1);
    let union = |fields: Vec<&FieldGoal>| FieldGoal {
        values: Formula::any(fields.iter().map(|field| field.values.clone())),
        ..fields[0].clone()
    };
    unions.map(union).collect::<Vec<_>>().into_iter()
}
