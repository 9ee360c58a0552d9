//! All prefixes (or suffixes) of one path at once: one hash per distinct length, each continuing the one before, so the
//! work is linear in the value however many prefixes there are.
//!
//! Every prefix knows the longest other one that is a prefix of it. Once the longest prefix of a value is found and
//! compared, all the others follow from these links without another comparison.

use super::NONE;
use super::filter::Filter;
use super::predicates::Predicates;
use super::table::{Table, half, hash};

/// Which end of a value is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Start,
    End,
}

/// The prefixes or suffixes of one path that rules are filed under.
#[derive(Debug)]
pub(super) struct Affixes {
    side: Side,
    /// Every length there is, ascending.
    lengths: Vec<u32>,
    filter: Filter,
    table: Table,
    known: Vec<Affix>,
}

#[derive(Debug, Clone, Copy)]
struct Affix {
    predicate: u32,
    length: u32,
    /// The longest other one inside it, or `NONE`.
    shorter: u32,
}

impl Affixes {
    /// The index of these predicates, all of one path and side; none twice.
    pub(super) fn build(side: Side, ids: &[u32], predicates: &Predicates) -> Self {
        let text = |id: u32| predicates.text(predicates.get(id));
        let mut sorted = ids.to_vec();
        // So that whatever an affix holds comes right before it or before another one that it holds.
        match side {
            Side::Start => sorted.sort_unstable_by(|&a, &b| text(a).cmp(text(b))),
            Side::End => {
                sorted.sort_unstable_by(|&a, &b| text(a).iter().rev().cmp(text(b).iter().rev()))
            }
        }
        let mut lengths: Vec<u32> = sorted.iter().map(|&id| length(text(id))).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let (filter, table) = (
            Filter::with_room(sorted.len()),
            Table::with_room(sorted.len()),
        );
        let mut affixes = Self {
            side,
            lengths,
            filter,
            table,
            known: Vec::with_capacity(sorted.len()),
        };
        let mut inside: Vec<u32> = Vec::new();
        for id in sorted {
            let text = text(id);
            while let Some(&top) = inside.last() {
                if affixes.holds(text, top, predicates) {
                    break;
                }
                inside.pop();
            }
            let number =
                u32::try_from(affixes.known.len()).expect("no more affixes than predicates");
            let shorter = inside.last().copied().unwrap_or(NONE);
            affixes.known.push(Affix {
                predicate: id,
                length: length(text),
                shorter,
            });
            inside.push(number);
            if let Some((hash, _)) = affixes.hashes(text).last() {
                affixes.filter.add(hash);
                affixes.table.insert(hash, number);
            }
        }
        affixes
    }

    /// Calls `met` with every predicate that the value meets, until it breaks off; `hits` is scratch.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        predicates: &Predicates,
        hits: &mut Vec<u32>,
        mut met: impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        hits.clear();
        for (hash, length) in self.hashes(value) {
            if !self.filter.may_hold(hash) {
                continue;
            }
            hits.extend(
                self.table
                    .find(hash, |number| self.known[number as usize].length == length),
            );
        }
        // Equal hashes are no proof; but what the longest true one holds is true as well.
        while let Some(longest) = hits.pop() {
            if self.holds(value, longest, predicates) {
                let mut number = longest;
                while number != NONE {
                    let affix = self.known[number as usize];
                    met(affix.predicate)?;
                    number = affix.shorter;
                }
                break;
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lengths)
            + size_of_val(&*self.known)
            + self.filter.bytes()
            + self.table.bytes()
    }

    /// How many different lengths there are.
    pub(super) fn lengths(&self) -> usize {
        self.lengths.len()
    }

    fn holds(&self, value: &[u8], number: u32, predicates: &Predicates) -> bool {
        let text = predicates.text(predicates.get(self.known[number as usize].predicate));
        match self.side {
            Side::Start => value.starts_with(text),
            Side::End => value.ends_with(text),
        }
    }

    /// The hash of the value's end at each length that it has, with that length.
    #[inline]
    fn hashes(&self, value: &[u8]) -> impl Iterator<Item = (u32, u32)> {
        let mut state = 0;
        let mut from = 0;
        self.lengths
            .iter()
            .take_while(|&&length| length as usize <= value.len())
            .map(move |&length| {
                let to = length as usize;
                let part = match self.side {
                    Side::Start => &value[from..to],
                    Side::End => &value[value.len() - to..value.len() - from],
                };
                state = hash(state, part);
                from = to;
                (half(state), length)
            })
    }
}

fn length(text: &[u8]) -> u32 {
    u32::try_from(text.len()).expect("the budget keeps predicates below 4 GiB")
}
