//! Many wildcards, `contains` and regular expressions of one path at once: each is filed under the rarest short piece
//! ("gram") of what any value of it must hold, and only the ones whose gram occurs are tried.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::NONE;
use super::table::Table;

/// The longest gram. Texts that have no more bytes than this are filed as a whole.
const LONGEST: usize = 4;

/// The grams of one path.
#[derive(Debug)]
pub(super) struct Grams {
    /// Whether there are grams of one, two, three, four bytes.
    sizes: [bool; LONGEST],
    /// A bit for each gram, by its hash: nearly every place of a value is done with here.
    filter: Vec<u64>,
    table: Table,
    groups: Vec<Group>,
    members: Vec<u32>,
}

/// The predicates filed under one gram: a part of `members`.
#[derive(Debug, Clone, Copy)]
struct Group {
    gram: u32,
    size: u32,
    start: u32,
    end: u32,
    /// Its number among the groups of the whole matcher.
    number: u32,
}

impl Grams {
    /// Files each predicate under a gram of one of the texts that every value meeting it holds; `None` without any.
    /// Predicates without a text of at least one byte must not be given. `groups` counts the groups of all paths.
    pub(super) fn build(needed: &[(u32, Vec<Vec<u8>>)], groups: &mut u32) -> Option<Self> {
        let mut uses: HashMap<(u32, u32), u32, FixedState> = HashMap::default();
        for (_, texts) in needed {
            for gram in texts.iter().flat_map(|text| grams(text)) {
                *uses.entry(gram).or_insert(0) += 1;
            }
        }
        let mut filed: Vec<((u32, u32), u32)> = Vec::with_capacity(needed.len());
        for (predicate, texts) in needed {
            // Longer grams are rarer in values; among equals the one that fewer others hold.
            let rarest = texts.iter().flat_map(|text| grams(text));
            let rarest = rarest.min_by_key(|gram| (LONGEST as u32 - gram.1, uses[gram]))?;
            filed.push((rarest, *predicate));
        }
        if filed.is_empty() {
            return None;
        }
        filed.sort_unstable();
        let mut index = Self {
            sizes: [false; LONGEST],
            filter: vec![0; (filed.len() / 4).next_power_of_two().clamp(8, 1024)],
            table: Table::with_room(filed.len()),
            groups: Vec::new(),
            members: filed.iter().map(|&(_, predicate)| predicate).collect(),
        };
        let mut start = 0;
        for group in filed.chunk_by(|one, other| one.0 == other.0) {
            let (gram, size) = group[0].0;
            let end = start + group.len();
            let id = number(index.groups.len());
            index.groups.push(Group { gram, size, start: number(start), end: number(end), number: *groups });
            *groups += 1;
            start = end;
            index.sizes[size as usize - 1] = true;
            let hash = mix(gram, size);
            let bit = index.bit(hash);
            index.filter[bit / 64] |= 1 << (bit % 64);
            index.table.insert(hash, id);
        }
        Some(index)
    }

    /// Calls `candidates` with each group of predicates whose gram the value holds, once or more often, until it breaks off.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        mut candidates: impl FnMut(u32, &[u32]) -> std::ops::ControlFlow<B>,
    ) -> std::ops::ControlFlow<B> {
        for size in (1..=LONGEST).filter(|size| self.sizes[size - 1]) {
            for window in value.windows(size) {
                let gram = gram(window);
                let hash = mix(gram, number(size));
                let bit = self.bit(hash);
                if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
                    continue;
                }
                let is_it = |id: u32| {
                    let group = self.groups[id as usize];
                    group.gram == gram && group.size == number(size)
                };
                if let Some(id) = self.table.find(hash, is_it) {
                    let group = self.groups[id as usize];
                    candidates(group.number, &self.members[group.start as usize..group.end as usize])?;
                }
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.filter) + self.table.bytes() + size_of_val(&*self.groups) + size_of_val(&*self.members)
    }

    #[inline]
    fn bit(&self, hash: u32) -> usize {
        (hash >> 16) as usize & (self.filter.len() * 64 - 1)
    }
}

/// The grams of a text with their sizes: its windows of four bytes, or the whole of a shorter one.
fn grams(text: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let size = text.len().min(LONGEST);
    text.windows(size.max(1)).map(move |window| (gram(window), number(size)))
}

#[inline]
fn gram(window: &[u8]) -> u32 {
    match *window {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a] => u32::from(a),
        _ => NONE,
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the middle of the product is wanted")]
fn mix(gram: u32, size: u32) -> u32 {
    ((u64::from(gram) + u64::from(size) << 32 | u64::from(gram)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u32
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("the budget keeps predicates below 2^32")
}
