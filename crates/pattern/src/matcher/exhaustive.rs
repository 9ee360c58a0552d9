//! The rules that neither `membership` nor `conjunction` decides: the search of the reference
//! evaluator, over the values that the scan observed.
//!
//! These are rules with more than six fields inside arrays of objects that are not a plain
//! conjunction, and rules with a `not` around several such fields. The search is exponential in the
//! rule at worst, and it allocates; so it has a limit of steps, and a rule may remain undecided.

// A search of its own over element numbers, without sets, was 2.5 to 4 times faster on one array
// (150 instead of 580 µs for an `or` of eight fields, none satisfied, in 100 objects). It was
// dropped because it tried equivalent choices again: seven independent arrays of six objects took
// it 39 ms, growing with the seventh power of their size, where the search of the reference
// evaluator takes 17 µs. Rules that come here are rare, so the bound matters more than the factor.

use super::NONE;
use super::event_view::EventView;
use super::observed::Observed;
use super::predicates::Predicates;
use super::program::{Alternatives, Op, Ops};
use crate::field_values::ElementChoice;
use crate::naive::{Goal, Steps};

/// Whether one choice of array elements makes all operations hold; `None` if that is not decided in
/// so many steps.
pub(super) fn hold(
    predicates: &Predicates,
    ops: Ops,
    view: EventView,
    max_steps: usize,
) -> Option<bool> {
    let steps = Steps::new(max_steps);
    let goal = Goal::All(goals(predicates, ops, view, &steps));
    let holds = goal.within(&ElementChoice::new(), &steps).is_some();
    steps.are_left().then_some(holds)
}

fn goals(predicates: &Predicates, ops: Ops, view: EventView, steps: &Steps) -> Vec<Goal> {
    ops.map(|op| goal(predicates, op, view, steps)).collect()
}

fn goal(predicates: &Predicates, op: Op, view: EventView, steps: &Steps) -> Goal {
    match op {
        Op::All(ops) => Goal::All(goals(predicates, ops, view, steps)),
        Op::Any(ops) => Goal::Any(goals(predicates, ops, view, steps)),
        Op::Not(ops) => Goal::Not(Box::new(Goal::All(goals(predicates, ops, view, steps)))),
        Op::Missing(slot) => {
            let present = Op::Field(slot, Alternatives::ANY_VALUE);
            Goal::Not(Box::new(field(predicates, slot, present, view, steps)))
        }
        Op::In(slot, _) | Op::Out(slot, _) | Op::Field(slot, _) => {
            field(predicates, slot, op, view, steps)
        }
    }
}

fn field(predicates: &Predicates, slot: u32, op: Op, view: EventView, steps: &Steps) -> Goal {
    // An event of 1 MiB may have 100,000 values at one path.
    let satisfying = view
        .observed
        .at(slot)
        .take_while(|_| steps.take(1))
        .filter(|value| predicates.field_accepts(op, value, view));
    Goal::Chosen(
        satisfying
            .map(|value| choice(value.element, view.observed))
            .collect(),
    )
}

/// The choice of an element and of all elements around it. Example: in {"a": [{"b": [{"x": 1}]}]}
/// the value of `a.b.x` needs the element of `b` and the element of `a` that contains it.
fn choice(mut element: u32, observed: &Observed) -> ElementChoice {
    let mut choice = ElementChoice::new();
    while element != NONE {
        let array = observed.elements()[element as usize].array;
        choice.insert(array as usize, element as usize);
        element = observed.arrays()[array as usize];
    }
    choice
}
