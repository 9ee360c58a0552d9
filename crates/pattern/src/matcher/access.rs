//! Chooses the predicates that a rule is indexed under: its most selective ones, as far as the
//! patterns themselves tell. This is what a database calls choosing the access path.
//!
//! A rule is verified only if a value satisfies a predicate that it is indexed under. Of fields
//! that must all hold one is enough; of alternatives each must be indexed.

// Example. `level == "WARN" and content.eniId in ["eni-1", "eni-2"] and not content.dryRun == true`
// among a thousand rules, each with other interfaces but with one of three levels:
//
//     level == "WARN"          used by about 333 of 1,000 rules at this path     cost 0.33
//     content.eniId in […]     two predicates used once among 1,000, added up    cost 0.003
//     not content.dryRun …     nothing in an event selects a negation            cost ALWAYS
//
// The rule is indexed under the two interfaces. They are the whole field, so when one of them is
// satisfied the field needs no verification: the words of the field are *implied*.
//
// There are no statistics of events, and none are wanted: the same patterns always build the same
// matcher. How often patterns use a value stands in for how often events have it. That is a guess,
// but a good one where it matters: an identifier that one rule names is rare among events, too.

use super::compile::Compiler;
use super::predicates::Class;
use super::program::{Op, Ops, literal};

// The costs of what selects nearly nothing. Only their order matters, which is by reasoning and not
// by measurement: each step is so far above the step before it that a sum of many cheaper
// alternatives stays below it (an estimate is at most 8, see `estimate`).

/// The cost of indexing under nothing, so that every event verifies the rule.
const ALWAYS: f32 = 1e9;
/// The cost of indexing under "there is no value": nearly every event lacks nearly every path.
const ABSENT: f32 = 1e6;
/// The cost of indexing under "there is a value": true for most events that have the path at all,
/// but at least other kinds of events do not have it.
const PRESENT: f32 = 100.0;

/// Where a rule is indexed.
#[derive(Debug, Default)]
pub(super) struct AccessPath {
    /// The predicates, each once; a rule without any can never match.
    pub(super) predicates: Vec<u32>,
    /// The words of the rule that need no verification once one of the predicates is satisfied.
    pub(super) implied: (usize, usize),
}

/// How often predicates of each path and class are used.
pub(super) struct UsageCounts(Vec<u32>);

impl UsageCounts {
    /// Counts over all patterns.
    pub(super) fn new(compiler: &Compiler, slots: usize) -> Self {
        let mut counts = vec![0; slots * Class::COUNT];
        for (predicate, uses) in compiler.predicates.all().iter().zip(&compiler.uses) {
            counts[cell(predicate.slot, predicate.class)] += uses;
        }
        Self(counts)
    }

    /// Chooses where to index the rule with these words.
    pub(super) fn choose(&self, compiler: &mut Compiler, words: &[u32]) -> AccessPath {
        let mut access = AccessPath::default();
        let mut rest = Ops(words);
        let mut cheapest: Option<(f32, Op, (usize, usize))> = None;
        loop {
            let start = words.len() - rest.0.len();
            let Some(op) = rest.next() else { break };
            let cost = self.cost(compiler, op);
            if cheapest.is_none_or(|(least, ..)| cost < least) {
                cheapest = Some((cost, op, (start, words.len() - rest.0.len())));
            }
        }
        match cheapest {
            Some((cost, op, span)) if cost < ALWAYS => {
                if self.index(compiler, op, &mut access.predicates) {
                    access.implied = span;
                }
            }
            _ => access
                .predicates
                .push(compiler.predicates.intern(Class::Always, 0, &[])),
        }
        access.predicates.sort_unstable();
        access.predicates.dedup();
        access
    }

    fn cost(&self, compiler: &Compiler, op: Op) -> f32 {
        match op {
            // One operand is enough, so the cheapest counts.
            Op::All(ops) => ops.map(|op| self.cost(compiler, op)).fold(ALWAYS, f32::min),
            // Each operand must be indexed, so the costs add up.
            Op::Any(ops) => ops.map(|op| self.cost(compiler, op)).sum(),
            // A negation holds because of what is *not* there, which no value can select.
            Op::Not(_) => ALWAYS,
            Op::Missing(_) => ABSENT,
            Op::In(_, ids) => ids.iter().map(|&id| self.estimate(compiler, id)).sum(),
            Op::Out(..) => PRESENT,
            Op::Field(_, alternatives) => alternatives
                .map(|literals| {
                    self.best(compiler, literals)
                        .map_or(PRESENT, |(cost, _)| cost)
                })
                .sum(),
        }
    }

    /// Adds the predicates of one operation. True if the operation holds whenever one of them does.
    fn index(&self, compiler: &mut Compiler, op: Op, predicates: &mut Vec<u32>) -> bool {
        match op {
            Op::All(ops) => {
                let cheapest =
                    ops.min_by(|&a, &b| self.cost(compiler, a).total_cmp(&self.cost(compiler, b)));
                if let Some(op) = cheapest {
                    self.index(compiler, op, predicates);
                }
                // The other operands are still to be verified.
                false
            }
            Op::Any(ops) => {
                let mut implied = true;
                for op in ops {
                    implied &= self.index(compiler, op, predicates);
                }
                implied
            }
            // Never chosen: its cost is ALWAYS, and `choose` then indexes under `Class::Always`.
            Op::Not(_) => false,
            Op::Missing(slot) => {
                predicates.push(compiler.predicates.intern(Class::Absent, slot, &[]));
                // Absent predicates also select events whose values lie in array elements, where
                // the path may be present elsewhere.
                false
            }
            Op::In(_, ids) => {
                predicates.extend_from_slice(ids);
                true
            }
            Op::Out(slot, _) => {
                predicates.push(compiler.predicates.intern(Class::Present, slot, &[]));
                false
            }
            Op::Field(slot, alternatives) => alternatives.fold(true, |implied, literals| {
                let best = self.best(compiler, literals);
                predicates.push(match best {
                    Some((_, id)) => id,
                    None => compiler.predicates.intern(Class::Present, slot, &[]),
                });
                // Implied only if the predicate is the whole alternative.
                implied && literals.len() == usize::from(best.is_some())
            }),
        }
    }

    /// The cheapest positive literal.
    fn best(&self, compiler: &Compiler, literals: &[u32]) -> Option<(f32, u32)> {
        let positive = literals
            .iter()
            .map(|&word| literal(word))
            .filter(|&(_, positive)| positive);
        positive
            .map(|(id, _)| (self.estimate(compiler, id), id))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The estimated share of the values at the path that satisfy a predicate, times the cost of
    /// one lookup; between 0 and 8.
    // The share is the predicate's share of the uses of its class at its path, smoothed:
    //
    //     (uses + 4 / (1 + length)) / (all + 4)
    //
    // With many rules the counts decide: 1 use of 1,000 gives 0.001. With few rules the length
    // decides, because long texts match less often: of a single rule `name == "x"` gets
    // (1 + 2) / 5 = 0.6 and `content.eniId == "eni-0123456789"` (1 + 0.27) / 5 = 0.25, so the rule
    // is indexed under the identifier. The weight 4 of the smoothing, in uses, is chosen and not
    // measured: a handful of rules should be enough to overrule the length.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn estimate(&self, compiler: &Compiler, id: u32) -> f32 {
        let predicate = compiler.predicates.get(id);
        let all = self
            .0
            .get(cell(predicate.slot, predicate.class))
            .copied()
            .unwrap_or(0) as f32;
        let uses = compiler.uses.get(id as usize).copied().unwrap_or(0) as f32;
        let length = compiler.predicates.text(predicate).len() as f32;
        lookup_cost(predicate.class) * (uses + 4.0 / (1.0 + length)) / (all + 4.0)
    }
}

/// What looking up predicates of a class costs, relative to one exact value. Each is chosen by the
/// work that a value causes, not measured by itself; they only decide between fields that select
/// about equally well, so a factor of two rarely changes a choice.
fn lookup_cost(class: Class) -> f32 {
    match class {
        // One hash of the value and one probe of a table, shared by all rules of the path.
        Class::String
        | Class::Number
        | Class::Null
        | Class::True
        | Class::False
        | Class::Address => 1.0,
        // The same for each distinct length or mask, most of them ended by a filter bit.
        Class::Network | Class::Prefix | Class::Suffix => 1.5,
        // A probe at every few bytes of the value, and each candidate is searched for in full.
        Class::Contains | Class::Wildcard => 3.0,
        // A walk down a tree that compares numbers byte by byte, without a shared hash.
        Class::Range => 6.0,
        // A probe as above, and each candidate runs an automaton.
        Class::Regexp => 8.0,
        // Ignoring case: the value is folded first, and candidates compare character by character.
        _ => 5.0,
    }
}

fn cell(slot: u32, class: Class) -> usize {
    slot as usize * Class::COUNT + class as usize
}
