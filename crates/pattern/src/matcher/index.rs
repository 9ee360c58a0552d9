//! The index of one path: from a value to the predicates that it satisfies.

// A path has an index for each kind of predicate, because no single structure finds all of them:
//
//     exact values    one hash table for all paths (`predicates`); an address under its octets
//     networks        the same table, probed once per mask length in use: 10.1.2.3 with the masks
//                     /8 and /24 looks up 10.0.0.0/8 and 10.1.2.0/24
//     prefixes        one hash per length in use (`affix`); suffixes likewise from the end
//     ranges          a search tree by lower bound (`ranges`)
//     contains,       grams of a text that every accepted value contains (`grams`); the candidates
//     wildcard, …     found are then applied to the value
//     no such text    applied to every value (for example the regular expression `[0-9]+`)
//
// All but the last take time in the length of the value, not in the number of predicates. Paths
// where only exact values are used, which are most, skip all others by one `None`.

use std::ops::ControlFlow;

use super::affix::{Affixes, Side};
use super::event_view::{EventView, as_str};
use super::fold::fold;
use super::grams::{GramSource, Grams, VisitedGroups};
use super::network::{address, network};
use super::observed::{Key, Kind, Value};
use super::predicates::{Class, Predicates};
use super::ranges::Ranges;
use super::{NONE, literals};

/// The index of one path.
#[derive(Debug, Default)]
pub(super) struct SlotIndex {
    /// Whether there are exact values.
    exact: bool,
    /// The predicate "there is a value".
    present: Option<u32>,
    // Boxed, because most paths have neither, and the indexes of all paths should stay in the
    // cache.
    textual: Option<Box<Textual>>,
    ranges: Option<Box<Ranges>>,
}

/// The predicates on strings beyond exact values.
#[derive(Debug, Default)]
struct Textual {
    prefixes: Option<Affixes>,
    suffixes: Option<Affixes>,
    /// The distinct mask lengths of IPv4 networks, and those of IPv6.
    masks: [Vec<u8>; 2],
    grams: Option<Grams>,
    /// Grams of case-folded values.
    folded_grams: Option<Grams>,
    /// The predicates without a text to find them by: applied to every value.
    unfiltered: Vec<u32>,
}

/// Working memory of lookups that is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct LookupBuffers {
    hits: Vec<u32>,
    folded: String,
    visited: VisitedGroups,
}

impl SlotIndex {
    /// Indexes the predicates of one path that have postings. `groups` counts the groups of grams
    /// of all paths.
    pub(super) fn build(
        ids: &[u32],
        predicates: &Predicates,
        regexp_texts: &[Box<str>],
        groups: &mut u32,
    ) -> Self {
        let of = |classes: &[Class]| -> Vec<u32> {
            ids.iter()
                .copied()
                .filter(|&id| classes.contains(&predicates.get(id).class))
                .collect()
        };
        let affixes =
            |side, ids: Vec<u32>| (!ids.is_empty()).then(|| Affixes::build(side, &ids, predicates));
        let mut textual = Textual {
            prefixes: affixes(Side::Start, of(&[Class::Prefix])),
            suffixes: affixes(Side::End, of(&[Class::Suffix])),
            ..Textual::default()
        };
        for id in of(&[Class::Network]) {
            let text = predicates.text(predicates.get(id));
            // A network is its mask length and its octets: 5 bytes for IPv4, 17 for IPv6.
            let masks = &mut textual.masks[usize::from(text.len() > 5)];
            if !masks.contains(&text[0]) {
                masks.push(text[0]);
            }
        }
        let (mut exactly, mut folded) = (Vec::new(), Vec::new());
        for &id in ids {
            let predicate = predicates.get(id);
            let text = predicates.text(predicate);
            let Some(required) = literals::required(predicate.class, text, regexp_texts) else {
                continue;
            };
            let target = if literals::ignores_case(predicate.class) {
                &mut folded
            } else {
                &mut exactly
            };
            let required: Vec<Vec<u8>> = required
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect();
            if required.is_empty() {
                textual.unfiltered.push(id);
            } else {
                target.push(GramSource {
                    predicate: id,
                    required,
                    end: literals::end(predicate.class, text),
                });
            }
        }
        textual.grams = Grams::build(&exactly, groups);
        textual.folded_grams = Grams::build(&folded, groups);
        let ranges = of(&[Class::Range]);
        Self {
            exact: ids.iter().any(|&id| predicates.get(id).class.is_exact()),
            present: of(&[Class::Present]).first().copied(),
            textual: textual.is_used().then(|| Box::new(textual)),
            ranges: (!ranges.is_empty()).then(|| Box::new(Ranges::build(&ranges, predicates))),
        }
    }

    /// Whether only the first value of the path can select anything: a long array of values then
    /// costs one lookup.
    #[inline]
    pub(super) fn is_presence_only(&self) -> bool {
        !self.exact && self.textual.is_none() && self.ranges.is_none()
    }

    /// Calls `satisfied` with every indexed predicate that the value satisfies, until it breaks.
    /// `first` says whether it is the first value of its path.
    #[inline]
    pub(super) fn visit(
        &self,
        value: &Value,
        first: bool,
        view: EventView,
        predicates: &Predicates,
        buffers: &mut LookupBuffers,
        satisfied: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.exact
            && let Key::Is(id) = predicates.key(value, view)
        {
            satisfied(id)?;
        }
        if first && let Some(id) = self.present {
            satisfied(id)?;
        }
        match value.kind {
            Kind::String => match &self.textual {
                Some(textual) => textual.visit(value, view, predicates, buffers, satisfied),
                None => ControlFlow::Continue(()),
            },
            Kind::Number => match &self.ranges {
                Some(ranges) => ranges.visit(view.bytes(value), predicates, satisfied),
                None => ControlFlow::Continue(()),
            },
            Kind::Null | Kind::True | Kind::False => ControlFlow::Continue(()),
        }
    }

    /// The bytes this takes beyond itself.
    pub(super) fn bytes(&self) -> usize {
        self.textual.as_ref().map_or(0, |textual| textual.bytes())
            + self
                .ranges
                .as_ref()
                .map_or(0, |ranges| size_of::<Ranges>() + ranges.bytes())
    }

    /// The predicates that are applied to every value of the path.
    pub(super) fn unfiltered(&self) -> &[u32] {
        self.textual
            .as_ref()
            .map_or(&[], |textual| &textual.unfiltered)
    }

    /// The number of different lengths of prefixes plus that of suffixes.
    pub(super) fn affix_lengths(&self) -> usize {
        let count = |affixes: &Option<Affixes>| affixes.as_ref().map_or(0, Affixes::lengths);
        self.textual.as_ref().map_or(0, |textual| {
            count(&textual.prefixes) + count(&textual.suffixes)
        })
    }
}

impl Textual {
    fn is_used(&self) -> bool {
        self.prefixes.is_some()
            || self.suffixes.is_some()
            || self.masks.iter().any(|masks| !masks.is_empty())
            || self.grams.is_some()
            || self.folded_grams.is_some()
            || !self.unfiltered.is_empty()
    }

    fn visit(
        &self,
        value: &Value,
        view: EventView,
        predicates: &Predicates,
        buffers: &mut LookupBuffers,
        satisfied: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let bytes = view.bytes(value);
        for affixes in [&self.prefixes, &self.suffixes].into_iter().flatten() {
            affixes.visit(bytes, predicates, &mut buffers.hits, &mut *satisfied)?;
        }
        if !(self.masks[0].is_empty() && self.masks[1].is_empty())
            && let Some(address) = address(bytes)
        {
            for &bits in &self.masks[usize::from(address.is_ipv6())] {
                let (key, length) = network(address, bits);
                // The table has the networks of all patterns, also those that are only verified.
                if let Some(id) = predicates.find(Class::Network, value.slot, &key[..length])
                    && predicates.get(id).postings != NONE
                {
                    satisfied(id)?;
                }
            }
        }
        // What grams find are candidates: the value contains the gram, and perhaps the text.
        let mut candidate = |id| {
            if predicates.satisfied(id, value, view) {
                satisfied(id)
            } else {
                ControlFlow::Continue(())
            }
        };
        if let Some(grams) = &self.grams {
            grams.visit(bytes, &mut buffers.visited, &mut candidate)?;
        }
        if let Some(grams) = &self.folded_grams {
            // Always text: the event was checked to be UTF-8, see `as_str`.
            fold(as_str(bytes).unwrap_or_default(), &mut buffers.folded);
            grams.visit(
                buffers.folded.as_bytes(),
                &mut buffers.visited,
                &mut candidate,
            )?;
        }
        self.unfiltered.iter().try_for_each(|&id| candidate(id))
    }

    fn bytes(&self) -> usize {
        let affixes = [&self.prefixes, &self.suffixes]
            .into_iter()
            .flatten()
            .map(Affixes::bytes)
            .sum::<usize>();
        let grams = [&self.grams, &self.folded_grams]
            .into_iter()
            .flatten()
            .map(Grams::bytes)
            .sum::<usize>();
        size_of::<Self>() + affixes + grams + size_of_val(&*self.unfiltered)
    }
}
