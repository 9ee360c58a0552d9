//! The predicates of all patterns, each kept once per path, and whether a value meets one.

use super::event_view::{EventView, as_str};
use super::network::{address, in_network};
use super::observed::{Key, Kind, Value};
use super::table::{Table, half, hash};
use crate::regexp::CompiledRegexp;
use crate::value::ignoring_case;
use crate::wildcard;

/// What a predicate asks; the order groups what is looked up alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Class {
    /// The exact text.
    String,
    /// The exact number, in sortable form.
    Number,
    Null,
    True,
    False,
    /// A mask length and the network's octets; an exact address is a network of one.
    Network,
    Prefix,
    Suffix,
    Contains,
    /// Pieces, with `SEPARATOR` for each star.
    Wildcard,
    /// The same tests ignoring case.
    EqualsIgnoringCase,
    PrefixIgnoringCase,
    SuffixIgnoringCase,
    ContainsIgnoringCase,
    WildcardIgnoringCase,
    /// The expression's number in `Predicates::regexps`, as four bytes.
    Regexp,
    /// See [`Bounds`].
    Range,
    /// A value is there.
    Present,
    /// No value is there.
    Absent,
    /// Nothing is asked.
    Always,
}

impl Class {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Always as usize + 1;

    /// Whether pieces of a value announce it, possibly several of one value.
    pub(super) fn is_found_by_grams(self) -> bool {
        (Self::Contains..=Self::Regexp).contains(&self)
    }

    /// Whether it names one exact value, so that a value is looked up rather than compared.
    pub(super) fn is_exact(self) -> bool {
        self <= Self::False
    }
}

/// Stands for a star; it never occurs in UTF-8.
pub(super) const SEPARATOR: u8 = 0xff;

/// The pieces of a wildcard.
#[inline]
pub(super) fn pieces(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split(|&byte| byte == SEPARATOR)
}

/// One predicate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Predicate {
    pub(super) class: Class,
    pub(super) slot: u32,
    length: u32,
    /// Where in the program the rules filed under it begin, or `NONE`.
    pub(super) postings: u32,
    text: Text,
}

/// How many bytes a predicate holds itself, so that the table, the predicate and the program are all that a look-up
/// touches; with longer ones it would be one place in memory more.
const SHORT: usize = 24;

/// Where the text of a predicate is.
#[derive(Debug, Clone, Copy)]
enum Text {
    Here([u8; SHORT]),
    /// From here on in `Predicates::text`.
    At(u32),
}

/// Every predicate, in the order of first use.
#[derive(Debug)]
pub(super) struct Predicates {
    all: Vec<Predicate>,
    text: Vec<u8>,
    /// While building, all of them; then only those that values are looked up in.
    table: Table,
    regexps: Vec<CompiledRegexp>,
    regexp_bytes: usize,
    /// Per slot, what its exact strings look like; only after [`Predicates::finish`].
    shapes: Vec<Shape>,
}

/// What strings look like: most others are told apart by it without being looked up.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// A bit for each length; the last one stands for 63 and more.
    lengths: u64,
    /// A bit for each last byte, by its lowest six bits.
    lasts: u64,
}

impl Shape {
    fn add(&mut self, text: &[u8]) {
        self.lengths |= 1 << text.len().min(63);
        self.lasts |= 1 << Self::last(text);
    }

    #[inline]
    fn fits(self, text: &[u8]) -> bool {
        self.lengths >> text.len().min(63) & self.lasts >> Self::last(text) & 1 != 0
    }

    #[inline]
    fn last(text: &[u8]) -> u32 {
        text.last().map_or(0, |&byte| u32::from(byte) & 63)
    }
}

impl Predicates {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            text: Vec::new(),
            table: Table::with_room(16),
            regexps: Vec::new(),
            regexp_bytes: 0,
            shapes: Vec::new(),
        }
    }

    /// The id of this predicate.
    pub(super) fn intern(&mut self, class: Class, slot: u32, bytes: &[u8]) -> u32 {
        self.find(class, slot, bytes).unwrap_or_else(|| {
            let id = length(self.all.len());
            let text = if bytes.len() <= SHORT {
                let mut here = [0; SHORT];
                here[..bytes.len()].copy_from_slice(bytes);
                Text::Here(here)
            } else {
                let start = length(self.text.len());
                self.text.extend_from_slice(bytes);
                Text::At(start)
            };
            self.all.push(Predicate {
                class,
                slot,
                length: length(bytes.len()),
                postings: super::NONE,
                text,
            });
            self.table.insert(seeded(class, slot, bytes), id);
            id
        })
    }

    /// Keeps a regular expression and gives its number, which is the text of its predicates.
    pub(super) fn keep_regexp(&mut self, regexp: CompiledRegexp) -> u32 {
        self.regexp_bytes += regexp.bytes();
        self.regexps.push(regexp);
        length(self.regexps.len() - 1)
    }

    /// Narrows the table to what values are looked up in, and gives back spare room.
    pub(super) fn finish(&mut self, slots: usize) {
        let mut shapes = vec![Shape::default(); slots];
        for predicate in self
            .all
            .iter()
            .filter(|predicate| predicate.class == Class::String)
        {
            shapes[predicate.slot as usize].add(self.text(predicate));
        }
        self.shapes = shapes;
        let looked_up = |predicate: &Predicate| predicate.class <= Class::Network;
        let mut table = Table::with_room(
            self.all
                .iter()
                .filter(|predicate| looked_up(predicate))
                .count(),
        );
        for (id, predicate) in self
            .all
            .iter()
            .enumerate()
            .filter(|(_, predicate)| looked_up(predicate))
        {
            table.insert(
                seeded(predicate.class, predicate.slot, self.text(predicate)),
                length(id),
            );
        }
        self.table = table;
        self.all.shrink_to_fit();
        self.text.shrink_to_fit();
        self.regexps.shrink_to_fit();
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> &Predicate {
        &self.all[id as usize]
    }

    pub(super) fn all(&self) -> &[Predicate] {
        &self.all
    }

    /// Files rules under a predicate.
    pub(super) fn set_postings(&mut self, id: u32, postings: u32) {
        self.all[id as usize].postings = postings;
    }

    /// What it compares with, in the form that its class says.
    #[inline]
    pub(super) fn text<'a>(&'a self, predicate: &'a Predicate) -> &'a [u8] {
        let length = predicate.length as usize;
        match &predicate.text {
            Text::Here(text) => &text[..length],
            Text::At(start) => &self.text[*start as usize..][..length],
        }
    }

    /// About how many bytes they take, regular expressions included.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.all)
            + size_of_val(&*self.shapes)
            + self.text.len()
            + self.table.bytes()
            + self.regexp_bytes()
    }

    /// About how many bytes the compiled regular expressions take.
    pub(super) fn regexp_bytes(&self) -> usize {
        self.regexp_bytes
    }

    /// The predicate of that class and text.
    #[inline]
    pub(super) fn find(&self, class: Class, slot: u32, bytes: &[u8]) -> Option<u32> {
        self.table.find(seeded(class, slot, bytes), |id| {
            let predicate = self.get(id);
            predicate.slot == slot && predicate.class == class && self.text(predicate) == bytes
        })
    }

    /// Which exact value a scalar is; looked up once.
    #[inline]
    pub(super) fn key(&self, value: &Value, view: EventView) -> Key {
        let known = value.key.get();
        if known != Key::Unknown {
            return known;
        }
        let class = match value.kind {
            Kind::String => Class::String,
            Kind::Number => Class::Number,
            Kind::Null => Class::Null,
            Kind::True => Class::True,
            Kind::False => Class::False,
        };
        let bytes = view.bytes(value);
        let unlike = class == Class::String && !self.shapes[value.slot as usize].fits(bytes);
        let found = if unlike {
            None
        } else {
            self.find(class, value.slot, bytes)
        };
        let key = found.map_or(Key::Other, Key::Is);
        value.key.set(key);
        key
    }

    /// Whether a value of the predicate's path meets it.
    pub(super) fn satisfied(&self, id: u32, value: &Value, view: EventView) -> bool {
        let predicate = self.get(id);
        if predicate.class.is_exact() {
            return self.key(value, view) == Key::Is(id);
        }
        let wanted = self.text(predicate);
        let bytes = view.bytes(value);
        match predicate.class {
            Class::Present => return true,
            Class::Range => return value.kind == Kind::Number && Bounds::read(wanted).hold(bytes),
            _ if value.kind != Kind::String => return false,
            _ => {}
        }
        match predicate.class {
            Class::Network => address(bytes).is_some_and(|address| in_network(address, wanted)),
            Class::Prefix => bytes.starts_with(wanted),
            Class::Suffix => bytes.ends_with(wanted),
            Class::Contains => memchr::memmem::find(bytes, wanted).is_some(),
            Class::Wildcard => wildcard::matches(pieces(wanted), bytes),
            Class::Regexp => {
                let number = wanted.try_into().map_or(0, u32::from_le_bytes);
                as_str(bytes).is_some_and(|value| self.regexps[number as usize].matches(value))
            }
            _ => as_str(bytes)
                .is_some_and(|value| ignoring_case_matches(predicate.class, wanted, value)),
        }
    }
}

/// The ends of a range as bytes: two flag bits (1 a lower bound is there, 2 it is inclusive; 4 and 8 the same for the
/// upper bound), the length of the lower one as four bytes, both in sortable form.
pub(super) struct Bounds<'a> {
    /// The lower bound, and whether it lies inside.
    pub(super) lower: Option<(&'a [u8], bool)>,
    /// The upper bound, and whether it lies inside.
    pub(super) upper: Option<(&'a [u8], bool)>,
}

impl<'a> Bounds<'a> {
    /// Reads what [`Bounds::write`] wrote.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let (head, numbers) = bytes.split_at(5);
        let flag = |bit: u8| head[0] & bit != 0;
        let lower_length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let (lower, upper) = numbers.split_at(lower_length as usize);
        Self {
            lower: flag(1).then_some((lower, flag(2))),
            upper: flag(4).then_some((upper, flag(8))),
        }
    }

    /// The bytes of this range.
    pub(super) fn write(&self) -> Vec<u8> {
        let flags = |bound: Option<(&[u8], bool)>| {
            bound.map_or(0, |(_, inclusive)| 1 + 2 * u8::from(inclusive))
        };
        let text = |bound: Option<(&'a [u8], bool)>| bound.map_or(&[][..], |(bytes, _)| bytes);
        let mut bytes = vec![flags(self.lower) | flags(self.upper) << 2];
        bytes.extend(length(text(self.lower).len()).to_le_bytes());
        bytes.extend_from_slice(text(self.lower));
        bytes.extend_from_slice(text(self.upper));
        bytes
    }

    /// Whether a number in sortable form lies between.
    pub(super) fn hold(&self, number: &[u8]) -> bool {
        self.lower
            .is_none_or(|(bound, inclusive)| number > bound || inclusive && number == bound)
            && self
                .upper
                .is_none_or(|(bound, inclusive)| number < bound || inclusive && number == bound)
    }
}

fn ignoring_case_matches(class: Class, wanted: &[u8], value: &str) -> bool {
    if class == Class::WildcardIgnoringCase {
        let pieces = pieces(wanted).map(|piece| as_str(piece).unwrap_or_default());
        return wildcard::matches_ignoring_case(pieces, value);
    }
    let Some(wanted) = as_str(wanted) else {
        return false;
    };
    let op = match class {
        Class::EqualsIgnoringCase => crate::TextOp::Equals,
        Class::PrefixIgnoringCase => crate::TextOp::Prefix,
        Class::SuffixIgnoringCase => crate::TextOp::Suffix,
        _ => crate::TextOp::Contains,
    };
    ignoring_case::text(op, wanted, value)
}

#[inline]
fn seeded(class: Class, slot: u32, bytes: &[u8]) -> u32 {
    half(hash(u64::from(slot) << 8 | class as u64, bytes))
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("the budget keeps predicates below 4 GiB")
}
