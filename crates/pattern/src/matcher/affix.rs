//! All prefixes (or suffixes) of one path at once: one hash per distinct length, each continuing
//! the one before, so that the work is linear in the value however many prefixes there are.
//!
//! Every prefix has a link to the longest other one that is a prefix of it. Once the longest prefix
//! of a value is found and compared, all others follow from the links without another comparison.

// Example. The prefixes are `acs:`, `acs:ecs:` and `acs:oss:`; there are two lengths, 4 and 8. The
// value `acs:ecs:cn-hangzhou` gives two hashes:
//
//     of "acs:"       4 bytes        in the table: hit, `acs:`
//     of "acs:ecs:"   8 bytes, continuing the hash of the first four: hit, `acs:ecs:`
//
// Hits are taken longest first. `acs:ecs:` is compared with the value and is a prefix of it, and
// its link says that `acs:` is one too. Had the comparison failed (two texts with one hash), the
// next shorter hit would be compared.
//
// For suffixes the same from the end. A hash continues from length to length with the bytes between
// the two, which lie in opposite order for suffixes; that does not matter as long as texts and
// values are cut at the same lengths.

use super::NONE;
use super::filter::Filter;
use super::predicates::Predicates;
use super::table::{Table, half, hash};

/// Prefixes or suffixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Start,
    End,
}

/// The prefixes or suffixes of one path that rules are indexed under.
#[derive(Debug)]
pub(super) struct Affixes {
    side: Side,
    /// The distinct lengths, ascending.
    lengths: Vec<u32>,
    /// Ends most lookups of texts that are not in the table without touching it.
    filter: Filter,
    /// From the hash of a text to its number in `entries`.
    table: Table,
    entries: Vec<Affix>,
}

#[derive(Debug, Clone, Copy)]
struct Affix {
    predicate: u32,
    length: u32,
    /// The longest other affix that is an affix of this one, or `NONE`.
    shorter: u32,
}

impl Affixes {
    /// Indexes these predicates, all of one path and side; none twice.
    pub(super) fn build(side: Side, ids: &[u32], predicates: &Predicates) -> Self {
        let text = |id: u32| predicates.text(predicates.get(id));
        let mut sorted = ids.to_vec();
        // Sorted, the affixes of a text precede it, the longest last, with only other texts that
        // begin with them in between: `acs:`, `acs:ecs:`, `acs:oss:`. So a stack is enough to find
        // the longest one of each text.
        match side {
            Side::Start => sorted.sort_unstable_by(|&a, &b| text(a).cmp(text(b))),
            Side::End => {
                sorted.sort_unstable_by(|&a, &b| text(a).iter().rev().cmp(text(b).iter().rev()));
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
            entries: Vec::with_capacity(sorted.len()),
        };
        let mut stack: Vec<u32> = Vec::new();
        for id in sorted {
            let text = text(id);
            while let Some(&top) = stack.last() {
                if affixes.holds(text, top, predicates) {
                    break;
                }
                stack.pop();
            }
            let number =
                u32::try_from(affixes.entries.len()).expect("no more affixes than predicates");
            let shorter = stack.last().copied().unwrap_or(NONE);
            affixes.entries.push(Affix {
                predicate: id,
                length: length(text),
                shorter,
            });
            stack.push(number);
            if let Some((hash, _)) = affixes.hashes(text).last() {
                affixes.filter.add(hash);
                affixes.table.insert(hash, number);
            }
        }
        affixes
    }

    /// Calls `satisfied` with every predicate that the value satisfies, until it breaks. `hits` is
    /// a buffer.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        predicates: &Predicates,
        hits: &mut Vec<u32>,
        mut satisfied: impl FnMut(u32) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        hits.clear();
        for (hash, length) in self.hashes(value) {
            if !self.filter.may_hold(hash) {
                continue;
            }
            hits.extend(self.table.find(hash, |number| {
                self.entries[number as usize].length == length
            }));
        }
        // Equal hashes prove nothing, so the longest hit is compared. If it is an affix of the
        // value, its own affixes are, too, and they include every shorter hit that is not a false
        // one.
        while let Some(longest) = hits.pop() {
            if self.holds(value, longest, predicates) {
                let mut number = longest;
                while number != NONE {
                    let affix = self.entries[number as usize];
                    satisfied(affix.predicate)?;
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
            + size_of_val(&*self.entries)
            + self.filter.bytes()
            + self.table.bytes()
    }

    /// How many different lengths there are.
    pub(super) fn lengths(&self) -> usize {
        self.lengths.len()
    }

    fn holds(&self, value: &[u8], number: u32, predicates: &Predicates) -> bool {
        let text = predicates.text(predicates.get(self.entries[number as usize].predicate));
        match self.side {
            Side::Start => value.starts_with(text),
            Side::End => value.ends_with(text),
        }
    }

    /// The hash of the value's first (or last) bytes at each length that it has, with that length.
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
    u32::try_from(text.len()).expect("the limits keep predicates below 4 GiB")
}
