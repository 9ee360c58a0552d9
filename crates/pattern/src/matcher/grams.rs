//! Many wildcards, `contains` and regular expressions of one path at once: each is indexed under
//! grams (substrings of a fixed size) of a text that every matching value contains, and only those
//! whose gram occurs in a value are applied to it.
//!
//! Not every position of a value is looked up, only every `step`-th. A text is indexed under `step`
//! neighbouring grams, so that wherever it starts in a value, one of them is at such a position.

// Example. `*-AB12CD-*` requires the text "-AB12CD-", eight bytes. The shape for that length has
// grams of four bytes and a step of three, which needs six bytes; the text has three runs of six
// bytes, and the run with the rarest grams is chosen, say "AB12CD", with the grams
//
//     AB12   B12C   12CD
//
// A value is looked up at its positions 0, 3, 6, … Let the text be in it somewhere:
//
//     value      x y - A B 1 2 C D - z z
//     position   0     3     6
//     grams      xy-A  AB12  2CD-
//
// The gram at 3 is AB12, which finds the wildcard. Had the text started one byte earlier, the gram
// at 3 would be B12C, two bytes earlier 12CD: the three grams cover the three possible remainders.
// So the value of 12 bytes takes 3 lookups instead of 9. At 1,000 rules looking up every position
// took 3,000 of 13,663 instructions an event, this takes about 1,000 (benches/RESULTS.md,
// "Rejected").

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::FixedState;

use super::filter::Filter;
use super::table::Table;

/// The size of grams and the distance of the positions that are looked up, both in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    size: usize,
    step: usize,
}

/// The best shape first; a text takes the first one that it is long enough for.
// A shape needs `size + step - 1` bytes: 15, 11, 6, 5, 4, 3, 2 or 1. Larger grams are rarer and a
// larger step means fewer lookups, so both are as large as the text allows. Sizes beyond eight do
// not fit into a word. There is no shape of size 8 and step 1 to 3: four-byte grams with a larger
// step are already rare and cost fewer lookups. Chosen by this reasoning; measured was only that
// the step pays (see above).
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

/// The grams of one path, in one part for each shape in use.
#[derive(Debug)]
pub(super) struct Grams(Vec<Part>);

/// The grams of one shape.
#[derive(Debug)]
struct Part {
    shape: Shape,
    /// Nearly every lookup ends here.
    filter: Filter,
    /// From the hash of a gram to the position of its group. Grams with equal hashes share a group:
    /// a gram only finds candidates, so that costs a wrong candidate and nothing else.
    table: Table,
    /// Group after group: its number in the whole matcher, the number of members, and for each
    /// member the predicate and its [`Tail`]. So a wrong candidate costs one place in memory.
    groups: Vec<u32>,
}

/// A predicate to index.
#[derive(Debug)]
pub(super) struct GramSource {
    pub(super) predicate: u32,
    /// Texts that every value satisfying the predicate contains: at least one, none empty.
    pub(super) required: Vec<Vec<u8>>,
    /// The text that the value must end with; may be empty.
    pub(super) end: Vec<u8>,
}

/// The last bytes of a text, up to three, in the upper bytes of a word, and their number in the
/// lowest byte.
// Most wildcards have a text at the end, as `*-AB12-*7F` has. Comparing the tails of the wildcard
// and the value rejects most candidates before anything of the wildcard is read, which would be a
// miss of the cache. Example: the tail of "7F" is 00 '7' 'F' with the number 2; its two bytes are
// compared with the last two of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tail(u32);

impl Tail {
    fn of(text: &[u8]) -> Self {
        let last = &text[text.len() - text.len().min(3)..];
        let mut bytes = [0; 4];
        bytes[4 - last.len()..].copy_from_slice(last);
        Self(u32::from_le_bytes(bytes) | number(last.len()))
    }

    /// Whether a value with this tail may end with the text.
    #[inline]
    fn may_end(self, value: Tail) -> bool {
        const MASKS: [u32; 4] = [0, 0xff00_0000, 0xffff_0000, 0xffff_ff00];
        (self.0 ^ value.0) & MASKS[(self.0 & 3) as usize] == 0
    }
}

/// The groups whose members were applied to a value: a gram may occur often in one value, as in
/// "abcabcabc", and its members need be applied only once.
#[derive(Debug, Default)]
pub(super) struct VisitedGroups {
    /// By group, the number of the last lookup that visited it.
    last: Vec<u64>,
    lookup: u64,
}

impl VisitedGroups {
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
    /// Indexes each predicate under grams of one of its required texts; `None` without predicates.
    /// `groups` counts the groups of all paths.
    pub(super) fn build(sources: &[GramSource], groups: &mut u32) -> Option<Self> {
        // A predicate takes the shape of its longest text; its other texts may be long enough, too.
        let longest = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).max().unwrap_or(0);
        let parts: Vec<Part> = SHAPES
            .iter()
            .filter_map(|&shape| {
                let chosen = sources
                    .iter()
                    .filter(|sources| best_shape(longest(&sources.required)) == Some(shape));
                let chosen: Vec<_> = chosen.collect();
                (!chosen.is_empty()).then(|| Part::build(shape, &chosen, groups))
            })
            .collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    /// Calls `candidate` with each predicate that has a gram in the value and may end as the value
    /// does, until it breaks.
    pub(super) fn visit<B>(
        &self,
        value: &[u8],
        visited: &mut VisitedGroups,
        mut candidate: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        visited.lookup += 1;
        for part in &self.0 {
            match part.shape.size {
                8 => part.visit::<8, B>(value, visited, &mut candidate)?,
                4 => part.visit::<4, B>(value, visited, &mut candidate)?,
                3 => part.visit::<3, B>(value, visited, &mut candidate)?,
                2 => part.visit::<2, B>(value, visited, &mut candidate)?,
                _ => part.visit::<1, B>(value, visited, &mut candidate)?,
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
    fn build(shape: Shape, sources: &[&GramSource], groups: &mut u32) -> Self {
        let mut uses: HashMap<u64, u32, FixedState> = HashMap::default();
        let texts = sources.iter().flat_map(|sources| &sources.required);
        for gram in texts.flat_map(|text| text.windows(shape.size).map(gram)) {
            *uses.entry(gram).or_insert(0) += 1;
        }
        let mut members: Vec<(u32, u32, Tail)> = Vec::with_capacity(shape.step * sources.len());
        for GramSource {
            predicate,
            required,
            end,
        } in sources
        {
            let runs = required
                .iter()
                .flat_map(|text| text.windows(shape.size + shape.step - 1));
            // The grams of this path's own texts tell which are rare: in a thousand wildcards that
            // begin with `acs:ecs:`, the grams of that beginning are in all of them.
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
        visited: &mut VisitedGroups,
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
            // Most groups have one or two members. Comparing their tails, which have just been
            // loaded, is quicker than loading the stamp of the group.
            let few = members.len() <= 2;
            if few && !members.iter().any(|&[_, end]| Tail(end).may_end(tail))
                || !visited.is_first(group)
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

/// The bytes of a gram as a number.
#[inline]
fn gram(window: &[u8]) -> u64 {
    // The patterns fix the lengths, so the conversions to arrays of 8 and 4 bytes cannot fail.
    match *window {
        [_, _, _, _, _, _, _, _] => u64::from_le_bytes(window.try_into().unwrap_or_default()),
        [_, _, _, _] => u64::from(u32::from_le_bytes(window.try_into().unwrap_or_default())),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a] => u64::from(a),
        _ => 0,
    }
}

/// The hash of a gram: multiplication by 2^64 divided by the golden ratio, which spreads numbers
/// that differ in a few bits (Fibonacci hashing); the upper half, because only it depends on all
/// bits.
#[inline]
fn mix(gram: u64) -> u32 {
    ((gram ^ gram >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("the limits keep predicates below 2^32")
}
