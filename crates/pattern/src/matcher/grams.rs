//! Many wildcards, `contains` and regular expressions of one path at once: each is filed under short pieces ("grams") of
//! a text that any value of it must hold, and only those whose gram occurs in a value are tried.
//!
//! Not every place of a value is looked at. A text that is longer than a gram is filed under as many neighbouring grams as
//! the places are apart, so that one of them stands at a place that is looked at.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::FixedState;

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
    /// A bit for each gram, by its hash: nearly every place of a value is done with here.
    filter: Vec<u64>,
    table: Table,
    groups: Vec<Group>,
    members: Vec<u32>,
}

/// The predicates filed under one gram: a part of `members`.
#[derive(Debug, Clone, Copy)]
struct Group {
    gram: u64,
    start: u32,
    end: u32,
    /// Its number among the groups of the whole matcher.
    number: u32,
}

impl Grams {
    /// Files each predicate under grams of one of the texts that every value meeting it holds; `None` without any.
    /// Each must have a text of at least one byte. `groups` counts the groups of all paths.
    pub(super) fn build(needed: &[(u32, Vec<Vec<u8>>)], groups: &mut u32) -> Option<Self> {
        // The rank of a predicate's shape is that of its longest text.
        let longest = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).max().unwrap_or(0);
        let parts: Vec<Part> = SHAPES
            .iter()
            .filter_map(|&shape| {
                let chosen = needed.iter().filter(|(_, texts)| best_shape(longest(texts)) == Some(shape));
                let chosen: Vec<_> = chosen.collect();
                (!chosen.is_empty()).then(|| Part::build(shape, &chosen, groups))
            })
            .collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Calls `candidates` with each group of predicates whose gram the value holds, once or more often, until it breaks off.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        mut candidates: impl FnMut(u32, &[u32]) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for part in &self.0 {
            match part.shape.size {
                8 => part.visit::<8, B>(value, &mut candidates)?,
                4 => part.visit::<4, B>(value, &mut candidates)?,
                3 => part.visit::<3, B>(value, &mut candidates)?,
                2 => part.visit::<2, B>(value, &mut candidates)?,
                _ => part.visit::<1, B>(value, &mut candidates)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |part: &Part| {
            let arrays = size_of_val(&*part.filter) + size_of_val(&*part.groups) + size_of_val(&*part.members);
            size_of::<Part>() + arrays + part.table.bytes()
        };
        self.0.iter().map(bytes).sum()
    }
}

impl Part {
    fn build(shape: Shape, needed: &[&(u32, Vec<Vec<u8>>)], groups: &mut u32) -> Self {
        let mut uses: HashMap<u64, u32, FixedState> = HashMap::default();
        for gram in needed.iter().flat_map(|(_, texts)| texts).flat_map(|text| text.windows(shape.size).map(gram)) {
            *uses.entry(gram).or_insert(0) += 1;
        }
        let mut filed: Vec<(u64, u32)> = Vec::with_capacity(shape.step * needed.len());
        for (predicate, texts) in needed {
            let runs = texts.iter().flat_map(|text| text.windows(shape.size + shape.step - 1));
            let rarest = runs.min_by_key(|run| run.windows(shape.size).map(|window| uses[&gram(window)]).sum::<u32>());
            filed.extend(
                rarest.into_iter().flat_map(|run| run.windows(shape.size)).map(|window| (gram(window), *predicate)),
            );
        }
        filed.sort_unstable();
        filed.dedup();
        let mut part = Self {
            shape,
            filter: vec![0; (filed.len() / 4).next_power_of_two().clamp(8, 4096)],
            table: Table::with_room(filed.len()),
            groups: Vec::new(),
            members: filed.iter().map(|&(_, predicate)| predicate).collect(),
        };
        let mut start = 0;
        for group in filed.chunk_by(|one, other| one.0 == other.0) {
            let gram = group[0].0;
            let end = start + group.len();
            let id = number(part.groups.len());
            part.groups.push(Group { gram, start: number(start), end: number(end), number: *groups });
            *groups += 1;
            start = end;
            let hash = mix(gram);
            let bit = part.bit(hash);
            part.filter[bit / 64] |= 1 << (bit % 64);
            part.table.insert(hash, id);
        }
        part
    }

    #[inline]
    fn visit<const SIZE: usize, B>(
        &self,
        value: &[u8],
        candidates: &mut impl FnMut(u32, &[u32]) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut rest = value;
        while let Some(window) = rest.first_chunk::<SIZE>() {
            rest = rest.get(self.shape.step..).unwrap_or_default();
            let gram = gram(window);
            let hash = mix(gram);
            let bit = self.bit(hash);
            if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
                continue;
            }
            if let Some(id) = self.table.find(hash, |id| self.groups[id as usize].gram == gram) {
                let group = self.groups[id as usize];
                candidates(group.number, &self.members[group.start as usize..group.end as usize])?;
            }
        }
        ControlFlow::Continue(())
    }

    #[inline]
    fn bit(&self, hash: u32) -> usize {
        (hash >> 12) as usize & (self.filter.len() * 64 - 1)
    }
}

fn best_shape(length: usize) -> Option<Shape> {
    SHAPES.into_iter().find(|shape| shape.size + shape.step - 1 <= length)
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
