//! Many wildcards, `contains` and regular expressions of one path at once: each is filed under short pieces ("grams") of
//! a text that any value of it must hold, and only those whose gram occurs in a value are tried.
//!
//! Not every place of a value is looked at. A text that is longer than a gram is filed under as many neighbouring grams as
//! the places are apart, so that one of them stands at a place that is looked at.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::FixedState;

use super::filter::Filter;
use super::table::Table;

/// How long grams are and how far apart the places are that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    size: usize,
    step: usize,
}

/// The best first: what a text has enough bytes for.
const SHAPES: [Shape; 8] = [
    Shape { size: 8, step: 8 },
    Shape { size: 8, step: 4 },
    Shape { size: 4, step: 3 },
    Shape { size: 4, step: 2 },
    Shape { size: 4, step: 1 },
    Shape { size: 3, step: 1 },
    Shape { size: 2, step: 1 },
    Shape { size: 1, step: 1 },
];

/// The grams of one path, a part for each shape in use.
#[derive(Debug)]
pub(super) struct Grams(Vec<Part>);

/// The grams of one shape.
#[derive(Debug)]
struct Part {
    shape: Shape,
    /// Nearly every place of a value is done with here.
    filter: Filter,
    /// From the hash of a gram to its group. Grams of one hash share a group: a predicate is only tried for being there.
    table: Table,
    /// Group after group: its number among those of the whole matcher, how many members it has, and for each of these
    /// the predicate and the word of its [`Tail`]. All that a wrong candidate costs is in one place in memory.
    groups: Vec<u32>,
}

/// A predicate to file.
#[derive(Debug)]
pub(super) struct Filed {
    pub(super) predicate: u32,
    /// Texts of at least one byte that every value meeting it holds; at least one of them.
    pub(super) needed: Vec<Vec<u8>>,
    /// What the value must end with.
    pub(super) end: Vec<u8>,
}

/// The last bytes of a text, up to three, in the upper bytes of a word, and how many they are: most candidates are
/// ruled out by it before anything of them is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tail(u32);

impl Tail {
    fn of(text: &[u8]) -> Self {
        let last = &text[text.len() - text.len().min(3)..];
        let mut bytes = [0; 4];
        bytes[4 - last.len()..].copy_from_slice(last);
        Self(u32::from_le_bytes(bytes) | number(last.len()))
    }

    /// Whether a value with the tail `value` may end with this one.
    #[inline]
    fn may_end(self, value: Tail) -> bool {
        const MASKS: [u32; 4] = [0, 0xff00_0000, 0xffff_0000, 0xffff_ff00];
        (self.0 ^ value.0) & MASKS[(self.0 & 3) as usize] == 0
    }
}

/// Which groups were tried on a value, kept from value to value.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Per group, the lookup that tried it last.
    last: Vec<u64>,
    lookup: u64,
}

impl Tried {
    #[inline]
    fn is_first(&mut self, group: u32) -> bool {
        let group = group as usize;
        if self.last.len() <= group {
            self.last.resize(group + 1, 0);
        }
        std::mem::replace(&mut self.last[group], self.lookup) != self.lookup
    }
}

impl Grams {
    /// Files each predicate under grams of one of the texts that it needs; `None` without any. `groups` counts the groups
    /// of all paths.
    pub(super) fn build(filed: &[Filed], groups: &mut u32) -> Option<Self> {
        // The rank of a predicate's shape is that of its longest text.
        let longest = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).max().unwrap_or(0);
        let parts: Vec<Part> = SHAPES
            .iter()
            .filter_map(|&shape| {
                let chosen = filed
                    .iter()
                    .filter(|filed| best_shape(longest(&filed.needed)) == Some(shape));
                let chosen: Vec<_> = chosen.collect();
                (!chosen.is_empty()).then(|| Part::build(shape, &chosen, groups))
            })
            .collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Calls `candidate` with each predicate that has a gram in the value and may end as it does, until it breaks off. A
    /// gram may occur often in one value; its predicates are tried once.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        tried: &mut Tried,
        mut candidate: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        tried.lookup += 1;
        for part in &self.0 {
            match part.shape.size {
                8 => part.visit::<8, B>(value, tried, &mut candidate)?,
                4 => part.visit::<4, B>(value, tried, &mut candidate)?,
                3 => part.visit::<3, B>(value, tried, &mut candidate)?,
                2 => part.visit::<2, B>(value, tried, &mut candidate)?,
                _ => part.visit::<1, B>(value, tried, &mut candidate)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |part: &Part| {
            size_of::<Part>()
                + part.filter.bytes()
                + size_of_val(&*part.groups)
                + part.table.bytes()
        };
        self.0.iter().map(bytes).sum()
    }
}

impl Part {
    fn build(shape: Shape, filed: &[&Filed], groups: &mut u32) -> Self {
        let mut uses: HashMap<u64, u32, FixedState> = HashMap::default();
        let texts = filed.iter().flat_map(|filed| &filed.needed);
        for gram in texts.flat_map(|text| text.windows(shape.size).map(gram)) {
            *uses.entry(gram).or_insert(0) += 1;
        }
        let mut members: Vec<(u32, u32, Tail)> = Vec::with_capacity(shape.step * filed.len());
        for Filed {
            predicate,
            needed,
            end,
        } in filed
        {
            let runs = needed
                .iter()
                .flat_map(|text| text.windows(shape.size + shape.step - 1));
            let rarest = runs.min_by_key(|run| {
                run.windows(shape.size)
                    .map(|window| uses[&gram(window)])
                    .sum::<u32>()
            });
            let grams = rarest
                .into_iter()
                .flat_map(|run| run.windows(shape.size))
                .map(gram);
            members.extend(grams.map(|gram| (mix(gram), *predicate, Tail::of(end))));
        }
        members.sort_unstable();
        members.dedup();
        let mut part = Self {
            shape,
            filter: Filter::with_room(members.len()),
            table: Table::with_room(members.len()),
            groups: Vec::new(),
        };
        for group in members.chunk_by(|one, other| one.0 == other.0) {
            let hash = group[0].0;
            part.filter.add(hash);
            part.table.insert(hash, number(part.groups.len()));
            part.groups.extend([*groups, number(group.len())]);
            part.groups.extend(
                group
                    .iter()
                    .flat_map(|&(_, predicate, tail)| [predicate, tail.0]),
            );
            *groups += 1;
        }
        part.groups.shrink_to_fit();
        part
    }

    #[inline]
    fn visit<const SIZE: usize, B>(
        &self,
        value: &[u8],
        tried: &mut Tried,
        candidate: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let tail = Tail::of(value);
        let mut rest = value;
        while let Some(window) = rest.first_chunk::<SIZE>() {
            rest = rest.get(self.shape.step..).unwrap_or_default();
            let hash = mix(gram(window));
            if !self.filter.may_hold(hash) {
                continue;
            }
            let Some(start) = self.table.find(hash, |_| true) else {
                continue;
            };
            let [group, count, ref members @ ..] = self.groups[start as usize..] else {
                continue;
            };
            let (members, _) = members[..2 * count as usize].as_chunks();
            // The few members of most groups are looked at sooner than whether they were tried.
            let few = members.len() <= 2;
            if few && !members.iter().any(|&[_, end]| Tail(end).may_end(tail))
                || !tried.is_first(group)
            {
                continue;
            }
            for &[predicate, end] in members {
                if Tail(end).may_end(tail) {
                    candidate(predicate)?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn best_shape(length: usize) -> Option<Shape> {
    SHAPES
        .into_iter()
        .find(|shape| shape.size + shape.step - 1 <= length)
}

#[inline]
fn gram(window: &[u8]) -> u64 {
    match *window {
        [_, _, _, _, _, _, _, _] => u64::from_le_bytes(window.try_into().unwrap_or_default()),
        [_, _, _, _] => u64::from(u32::from_le_bytes(window.try_into().unwrap_or_default())),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a] => u64::from(a),
        _ => 0,
    }
}

#[inline]
fn mix(gram: u64) -> u32 {
    ((gram ^ gram >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("the budget keeps predicates below 2^32")
}
