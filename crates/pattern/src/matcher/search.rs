//! One event against all rules, once it has been scanned.

// Example. Rule 7 is `level == "WARN" and content.result == "failed"`, and building indexed it
// under `content.result == "failed"`. The value "failed" at that path is found in the exact-value
// index, the posting list of the predicate names rule 7, and only `level == "WARN"` is left to
// verify. An event with the result "success" never touches the rule.

use std::ops::ControlFlow;

use super::event_view::EventView;
use super::observed::Observed;
use super::predicates::Predicate;
use super::program::Ops;
use super::{Matcher, conjunction, exhaustive, index, membership};

/// Working memory that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct SearchBuffers {
    index: index::LookupBuffers,
    membership: membership::MembershipBuffers,
    conjunction: conjunction::ConjunctionBuffers,
    /// By posting list, the event that visited it last.
    lists: Vec<u64>,
    /// By rule that is in several posting lists, the event that visited it last.
    shared: Vec<u64>,
    /// The patterns that could not be decided for the current event.
    pub(super) undecided: Vec<u32>,
    /// The number of the current event. Stamping with it makes clearing unnecessary: a list counts
    /// as visited only if its stamp is the current number, and `u64` does not wrap.
    event: u64,
}

/// Appends the matching rules to `found`, in no order; with `first_only` at most one.
pub(super) fn search(
    matcher: &Matcher,
    event: &[u8],
    observed: &Observed,
    buffers: &mut SearchBuffers,
    first_only: bool,
    budget: Option<&dyn SearchBudget>,
    found: &mut Vec<u32>,
) {
    buffers.event += 1;
    buffers.undecided.clear();
    let SearchBuffers {
        index,
        membership,
        conjunction,
        lists,
        shared,
        undecided,
        event: number,
    } = buffers;
    grow(lists, matcher.lists);
    grow(shared, matcher.shared);
    let view = EventView { event, observed };
    let mut search = Search {
        matcher,
        view,
        membership,
        conjunction,
        visited_lists: lists,
        visited_rules: shared,
        number: *number,
        first_only,
        budget,
        undecided,
        found,
    };
    // A break only says that a rule was found, which the caller sees in `found`.
    let _ = search.all(index);
}

struct Search<'a> {
    matcher: &'a Matcher,
    view: EventView<'a>,
    membership: &'a mut membership::MembershipBuffers,
    conjunction: &'a mut conjunction::ConjunctionBuffers,
    visited_lists: &'a mut [u64],
    visited_rules: &'a mut [u64],
    number: u64,
    first_only: bool,
    budget: Option<&'a dyn SearchBudget>,
    undecided: &'a mut Vec<u32>,
    found: &'a mut Vec<u32>,
}

/// Permits and measures the searches that decide single patterns; see
/// [`Matcher::matching_within`].
pub trait SearchBudget {
    /// Whether the search for the pattern with this id may begin.
    fn begin(&self, pattern: u32) -> bool;

    /// Called on the same thread when a permitted search has ended.
    fn end(&self, pattern: u32);
}

impl Search<'_> {
    fn all(&mut self, buffers: &mut index::LookupBuffers) -> ControlFlow<()> {
        let (matcher, view) = (self.matcher, self.view);
        for (number, value) in view.observed.values().iter().enumerate() {
            let (first, only) = view.observed.first_and_only(number);
            let index = &matcher.indexes[value.slot as usize];
            if !first && index.is_presence_only() {
                continue;
            }
            index.visit(
                value,
                first,
                view,
                &matcher.predicates,
                buffers,
                &mut |id| self.postings(id, !only),
            )?;
        }
        for &id in &matcher.absent {
            // Inside one array element there may be no value although there is one in another, so
            // presence somewhere proves nothing once values lie in elements.
            if view.observed.any_in_elements()
                || view.observed.is_missing(matcher.predicates.get(id).slot)
            {
                self.postings(id, false)?;
            }
        }
        matcher
            .always
            .map_or(ControlFlow::Continue(()), |id| self.postings(id, false))
    }

    /// Verifies the rules that are indexed under a predicate. `repeatable` says whether another
    /// value of the event may select the same predicate.
    fn postings(&mut self, predicate: u32, repeatable: bool) -> ControlFlow<()> {
        let matcher = self.matcher;
        let &Predicate {
            postings, class, ..
        } = matcher.predicates.get(predicate);
        if postings == super::NONE {
            return ControlFlow::Continue(());
        }
        let code = &matcher.code[postings as usize..];
        let &[number, count, ..] = code else {
            return ControlFlow::Continue(());
        };
        // Stamps are scattered in memory. With a single value at the path and a class that a value
        // selects only once there is nothing to stamp.
        let repeatable = repeatable || class.is_found_by_grams();
        if repeatable
            && std::mem::replace(&mut self.visited_lists[number as usize], self.number)
                == self.number
        {
            return ControlFlow::Continue(());
        }
        let mut code = &code[2..];
        for _ in 0..count {
            let (head, rest) = (code[0], &code[1..]);
            let (entry, rest) = rest.split_at((head >> 1) as usize);
            code = rest;
            if head & 1 == 0 {
                self.rule(entry)?;
            } else {
                let &[shared, head, ref words @ ..] = &matcher.code[entry[0] as usize..] else {
                    continue;
                };
                if std::mem::replace(&mut self.visited_rules[shared as usize], self.number)
                    != self.number
                {
                    self.rule(&words[..(head >> 1) as usize])?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn rule(&mut self, entry: &[u32]) -> ControlFlow<()> {
        let &[rule, implied, ref words @ ..] = entry else {
            return ControlFlow::Continue(());
        };
        let matches = if self.view.observed.any_in_elements() && self.view.ties_elements(Ops(words))
        {
            self.in_elements(rule, Ops(words))
        } else {
            // The predicate that selected the rule holds, and fields are independent here, so the
            // operations that it implies need no second look.
            self.matcher
                .predicates
                .hold(Ops(&words[implied as usize..]), self.view)
        };
        if matches {
            self.found.push(rule);
            if self.first_only {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether all operations hold where fields lie in array elements: by the cheapest of three
    /// algorithms that can decide the rule. All operations take part, including the implied ones:
    /// the value that selected the rule may lie in another element than the other fields need.
    // Not inlined: most events have no arrays of objects, and `rule` is the innermost loop.
    // Inlined, it cost 5 % where 333 rules match.
    #[inline(never)]
    fn in_elements(&mut self, rule: u32, ops: Ops) -> bool {
        let (predicates, view) = (&self.matcher.predicates, self.view);
        membership::hold(predicates, ops, view, self.membership)
            .or_else(|| conjunction::hold(predicates, ops, view, self.conjunction))
            .unwrap_or_else(|| self.exhaustively(rule, ops))
    }

    fn exhaustively(&mut self, rule: u32, ops: Ops) -> bool {
        let is_permitted = self.budget.is_none_or(|budget| budget.begin(rule));
        let holds = is_permitted.then(|| {
            let steps = self.matcher.search_steps;
            let holds = exhaustive::hold(&self.matcher.predicates, ops, self.view, steps);
            if let Some(budget) = self.budget {
                budget.end(rule);
            }
            holds
        });
        holds.flatten().unwrap_or_else(|| {
            self.undecided.push(rule);
            false
        })
    }
}

fn grow(stamps: &mut Vec<u64>, count: u32) {
    if stamps.len() < count as usize {
        stamps.resize(count as usize, 0);
    }
}
