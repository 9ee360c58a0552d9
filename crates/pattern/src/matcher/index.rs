//! What rules are filed under, path by path: from one value to the predicates that it meets.

use std::ops::ControlFlow;

use super::affix::{Affixes, Side};
use super::event_view::{EventView, as_str};
use super::fold::fold;
use super::grams::{Filed, Grams, Tried};
use super::network::{address, network};
use super::observed::{Key, Kind, Value};
use super::predicates::{Class, Predicates};
use super::ranges::Ranges;
use super::{NONE, literals};

/// The index of one path.
#[derive(Debug, Default)]
pub(super) struct SlotIndex {
    /// Whether exact values are looked up.
    exact: bool,
    /// The predicate "a value is there", or none.
    present: Option<u32>,
    /// What only some paths have.
    textual: Option<Box<Textual>>,
    ranges: Option<Box<Ranges>>,
}

/// What strings are compared with beyond exact values.
#[derive(Debug, Default)]
struct Textual {
    prefixes: Option<Affixes>,
    suffixes: Option<Affixes>,
    /// The distinct mask lengths, IPv4 and IPv6.
    masks: [Vec<u8>; 2],
    grams: Option<Grams>,
    /// Over values whose case has been folded away.
    folded_grams: Option<Grams>,
    /// Predicates that no text announces: each value is tried.
    unannounced: Vec<u32>,
}

/// Room that looking up needs, kept from event to event.
#[derive(Debug, Default)]
pub(super) struct LookupBuffers {
    hits: Vec<u32>,
    folded: String,
    tried: Tried,
}

impl SlotIndex {
    /// The index of the predicates of one path that have rules.
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
            let masks = &mut textual.masks[usize::from(text.len() > 5)];
            if !masks.contains(&text[0]) {
                masks.push(text[0]);
            }
        }
        let (mut exactly, mut folded) = (Vec::new(), Vec::new());
        for &id in ids {
            let predicate = predicates.get(id);
            let Some(needed) =
                literals::needed(predicate.class, predicates.text(predicate), regexp_texts)
            else {
                continue;
            };
            let target = if literals::ignores_case(predicate.class) {
                &mut folded
            } else {
                &mut exactly
            };
            let texts: Vec<Vec<u8>> = needed.into_iter().filter(|text| !text.is_empty()).collect();
            if texts.is_empty() {
                textual.unannounced.push(id);
            } else {
                let end = literals::end(predicate.class, predicates.text(predicate));
                target.push(Filed {
                    predicate: id,
                    needed: texts,
                    end,
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

    /// Whether nothing more can be learnt from a value once the path has shown another one.
    #[inline]
    pub(super) fn is_presence_only(&self) -> bool {
        !self.exact && self.textual.is_none() && self.ranges.is_none()
    }

    /// Calls `met` with every filed predicate that the value meets, until it breaks off. `first` says whether it is the
    /// first value of its path.
    #[inline]
    pub(super) fn visit(
        &self,
        value: &Value,
        first: bool,
        view: EventView,
        predicates: &Predicates,
        buffers: &mut LookupBuffers,
        met: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.exact
            && let Key::Is(id) = predicates.key(value, view)
        {
            met(id)?;
        }
        if first && let Some(id) = self.present {
            met(id)?;
        }
        match value.kind {
            Kind::String => match &self.textual {
                Some(textual) => textual.visit(value, view, predicates, buffers, met),
                None => ControlFlow::Continue(()),
            },
            Kind::Number => match &self.ranges {
                Some(ranges) => ranges.visit(view.bytes(value), predicates, met),
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

    /// Predicates that are tried on every value of the path.
    pub(super) fn unannounced(&self) -> &[u32] {
        self.textual
            .as_ref()
            .map_or(&[], |textual| &textual.unannounced)
    }

    /// The number of different lengths of prefixes and of suffixes.
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
            || !self.unannounced.is_empty()
    }

    fn visit(
        &self,
        value: &Value,
        view: EventView,
        predicates: &Predicates,
        buffers: &mut LookupBuffers,
        met: &mut impl FnMut(u32) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let bytes = view.bytes(value);
        for affixes in [&self.prefixes, &self.suffixes].into_iter().flatten() {
            affixes.visit(bytes, predicates, &mut buffers.hits, &mut *met)?;
        }
        if !(self.masks[0].is_empty() && self.masks[1].is_empty())
            && let Some(address) = address(bytes)
        {
            for &bits in &self.masks[usize::from(address.is_ipv6())] {
                let (key, length) = network(address, bits);
                if let Some(id) = predicates.find(Class::Network, value.slot, &key[..length])
                    && predicates.get(id).postings != NONE
                {
                    met(id)?;
                }
            }
        }
        let mut try_one = |id| {
            if predicates.satisfied(id, value, view) {
                met(id)
            } else {
                ControlFlow::Continue(())
            }
        };
        if let Some(grams) = &self.grams {
            grams.visit(bytes, &mut buffers.tried, &mut try_one)?;
        }
        if let Some(grams) = &self.folded_grams {
            fold(as_str(bytes).unwrap_or_default(), &mut buffers.folded);
            grams.visit(buffers.folded.as_bytes(), &mut buffers.tried, &mut try_one)?;
        }
        self.unannounced.iter().try_for_each(|&id| try_one(id))
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
        size_of::<Self>() + affixes + grams + size_of_val(&*self.unannounced)
    }
}
