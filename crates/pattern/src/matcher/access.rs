//! Which of a rule's tests it is filed under: the one that fewest events meet, as far as the patterns tell.
//!
//! A rule is looked at only when a value meets a predicate that it is filed under. Of tests that must all hold one is
//! enough; of alternatives each must be filed. The estimate for one predicate is its share among those of its path and
//! kind (a thousand different ids say more than three levels), with a bias for longer texts while there are few.

use super::compile::Compiler;
use super::predicates::Class;
use super::program::{Op, Ops, literal};

/// What filing under "nothing is asked" costs; dearer than anything else.
const ALWAYS: f32 = 1e9;
/// What filing under "no value is there" costs: nearly every event meets that.
const ABSENT: f32 = 1e6;
/// What filing under "a value is there" costs.
const PRESENT: f32 = 100.0;

/// Where a rule is filed.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// The predicates, each once; a rule without any can never match.
    pub(super) predicates: Vec<u32>,
    /// The part of the rule's words that the predicates were taken from, which can be left out when one of them is met.
    pub(super) implied: (usize, usize),
}

/// How often predicates of each path and class occur.
pub(super) struct Shares(Vec<u32>);

impl Shares {
    pub(super) fn count(compiler: &Compiler, slots: usize) -> Self {
        let mut shares = vec![0; slots * Class::COUNT];
        for (predicate, uses) in compiler.predicates.all().iter().zip(&compiler.uses) {
            shares[place(predicate.slot, predicate.class)] += uses;
        }
        Self(shares)
    }

    /// Chooses where to file the rule with these words.
    pub(super) fn choose(&self, compiler: &mut Compiler, words: &[u32]) -> Access {
        let mut access = Access::default();
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
                if self.file(compiler, op, &mut access.predicates) {
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
            Op::All(ops) => ops.map(|op| self.cost(compiler, op)).fold(ALWAYS, f32::min),
            Op::Any(ops) => ops.map(|op| self.cost(compiler, op)).sum(),
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

    /// Adds the predicates of one operation; says whether it holds as soon as one of them is met.
    fn file(&self, compiler: &mut Compiler, op: Op, predicates: &mut Vec<u32>) -> bool {
        match op {
            Op::All(ops) => {
                let cheapest =
                    ops.min_by(|&a, &b| self.cost(compiler, a).total_cmp(&self.cost(compiler, b)));
                if let Some(op) = cheapest {
                    self.file(compiler, op, predicates);
                }
                false
            }
            Op::Any(ops) => {
                let mut implied = true;
                for op in ops {
                    implied &= self.file(compiler, op, predicates);
                }
                implied
            }
            // The choice never falls on it, because nothing is dearer.
            Op::Not(_) => false,
            Op::Missing(slot) => {
                predicates.push(compiler.predicates.intern(Class::Absent, slot, &[]));
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
                implied && literals.len() == usize::from(best.is_some())
            }),
        }
    }

    /// The cheapest predicate among those that must be met.
    fn best(&self, compiler: &Compiler, literals: &[u32]) -> Option<(f32, u32)> {
        let met = literals
            .iter()
            .map(|&word| literal(word))
            .filter(|&(_, met)| met);
        met.map(|(id, _)| (self.estimate(compiler, id), id))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// About how many values of the path meet it, times what a look costs.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn estimate(&self, compiler: &Compiler, id: u32) -> f32 {
        let predicate = compiler.predicates.get(id);
        let all = self
            .0
            .get(place(predicate.slot, predicate.class))
            .copied()
            .unwrap_or(0) as f32;
        let uses = compiler.uses.get(id as usize).copied().unwrap_or(0) as f32;
        let length = compiler.predicates.text(predicate).len() as f32;
        let dear = match predicate.class {
            Class::String | Class::Number | Class::Null | Class::True | Class::False => 1.0,
            Class::Network | Class::Prefix | Class::Suffix => 1.5,
            Class::Contains | Class::Wildcard => 3.0,
            Class::Range => 6.0,
            Class::Regexp => 8.0,
            _ => 5.0,
        };
        dear * (uses + 4.0 / (1.0 + length)) / (all + 4.0)
    }
}

fn place(slot: u32, class: Class) -> usize {
    slot as usize * Class::COUNT + class as usize
}
