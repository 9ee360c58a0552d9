//! The predicates of all patterns, each stored once per path, and whether a value satisfies one.

// "Exact" predicates name one value: a string, an address, a number, null, true or false. They are
// in one hash table, by class, slot and text. A value at a used path is looked up at most once
// (`key`) and is then known as the id of a predicate or as none, so the thousand rules with
// `content.operation == …` cost one lookup an event, and every comparison that is left is one of
// two integers.

use super::event_view::{EventView, as_str};
use super::network::{address, in_network, octets};
use super::observed::{Key, Kind, Value};
use super::table::{Table, half, hash};
use crate::regexp::CompiledRegexp;
use crate::value::ignoring_case;
use crate::wildcard;

/// The kind of a predicate. The order matters: ranges of it are kinds that are looked up alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Class {
    /// The exact text.
    String,
    /// The exact number, as a sort key.
    Number,
    Null,
    True,
    False,
    /// The octets of one address, the same for all of its spellings.
    Address,
    /// A mask length and the octets of the network; of more than one address.
    Network,
    Prefix,
    Suffix,
    Contains,
    /// The pieces, with `SEPARATOR` for each star.
    Wildcard,
    /// The same, ignoring case.
    EqualsIgnoringCase,
    PrefixIgnoringCase,
    SuffixIgnoringCase,
    ContainsIgnoringCase,
    WildcardIgnoringCase,
    /// The number of the regular expression in `Predicates::regexps`, as four bytes.
    Regexp,
    /// See [`Bounds`].
    Range,
    /// There is a value.
    Present,
    /// There is no value.
    Absent,
    /// No condition.
    Always,
}

impl Class {
    /// The number of classes.
    pub(super) const COUNT: usize = Self::Always as usize + 1;

    /// Whether it is found by grams of a value, so that one value may find it several times.
    pub(super) fn is_found_by_grams(self) -> bool {
        (Self::Contains..=Self::Regexp).contains(&self)
    }

    /// Whether it names one exact value.
    pub(super) fn is_exact(self) -> bool {
        self <= Self::Address
    }
}

/// Stands for a star in the text of a wildcard; this byte does not occur in UTF-8.
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
    /// The position of its posting list in the code, or `NONE`.
    pub(super) postings: u32,
    text: Text,
}

/// Texts of up to this many bytes are stored in the predicate itself, so that a lookup touches the
/// table, the predicate and the code; a longer text is one more place in memory.
// 24 bytes hold ids such as eni-8vb1qo0123456789abcd and addresses, and make a predicate 44 bytes,
// less than a cache line. Chosen by that; other sizes were not measured.
const SHORT: usize = 24;

/// The text of a predicate.
#[derive(Debug, Clone, Copy)]
enum Text {
    Inline([u8; SHORT]),
    /// At this position of `Predicates::text`.
    At(u32),
}

/// Every predicate, in the order of first use.
#[derive(Debug)]
pub(super) struct Predicates {
    all: Vec<Predicate>,
    text: Vec<u8>,
    /// From a predicate to its id. While building it has all of them; then only those that values
    /// are looked up in, so that it is small.
    table: Table,
    regexps: Vec<CompiledRegexp>,
    regexp_bytes: usize,
    /// By slot, the shape of its exact strings; only after [`Predicates::finish`].
    shapes: Vec<Shape>,
}

/// A summary of a set of strings: most other strings are ruled out by it without a lookup.
// Example. At `level` the patterns have "WARN" and "CRITICAL": the lengths 4 and 8 and the last
// bytes N and L. The value "INFO" has the length 4, but not the last byte, so it is not hashed. The
// last byte and not the first, because identifiers mostly begin alike.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// A bit for each length; the last bit stands for 63 and more.
    lengths: u64,
    /// A bit for each last byte, by its lowest six bits.
    lasts: u64,
    /// Whether there are addresses beside the strings.
    has_addresses: bool,
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
    /// Without predicates.
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

    /// The id of a predicate, which is added if it is new.
    pub(super) fn intern(&mut self, class: Class, slot: u32, bytes: &[u8]) -> u32 {
        self.find(class, slot, bytes).unwrap_or_else(|| {
            let id = length(self.all.len());
            let text = if bytes.len() <= SHORT {
                let mut inline = [0; SHORT];
                inline[..bytes.len()].copy_from_slice(bytes);
                Text::Inline(inline)
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
            // The id is final: programs refer to it while later patterns are still compiled.
            id
        })
    }

    /// Adds a regular expression and returns its number, which is the text of its predicates.
    pub(super) fn add_regexp(&mut self, regexp: CompiledRegexp) -> u32 {
        self.regexp_bytes += regexp.bytes();
        self.regexps.push(regexp);
        length(self.regexps.len() - 1)
    }

    /// Reduces the table to the predicates that values are looked up in, and frees spare memory.
    pub(super) fn finish(&mut self, slots: usize) {
        // A predicate that is only verified (a prefix in a rule that is indexed under an exact
        // value, say) is addressed by its id and needs no place in the table.
        let mut shapes = vec![Shape::default(); slots];
        for predicate in &self.all {
            let shape = &mut shapes[predicate.slot as usize];
            match predicate.class {
                Class::String => shape.add(self.text(predicate)),
                Class::Address => shape.has_addresses = true,
                _ => {}
            }
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

    /// Sets the posting list of a predicate.
    pub(super) fn set_postings(&mut self, id: u32, postings: u32) {
        self.all[id as usize].postings = postings;
    }

    /// The operand of a predicate, in the form of its class.
    #[inline]
    pub(super) fn text<'a>(&'a self, predicate: &'a Predicate) -> &'a [u8] {
        let length = predicate.length as usize;
        match &predicate.text {
            Text::Inline(text) => &text[..length],
            Text::At(start) => &self.text[*start as usize..][..length],
        }
    }

    /// The approximate size in bytes, with regular expressions.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.all)
            + size_of_val(&*self.shapes)
            + self.text.len()
            + self.table.bytes()
            + self.regexp_bytes()
    }

    /// The approximate size of the compiled regular expressions in bytes.
    pub(super) fn regexp_bytes(&self) -> usize {
        self.regexp_bytes
    }

    /// The id of the predicate with this class, slot and text.
    #[inline]
    pub(super) fn find(&self, class: Class, slot: u32, bytes: &[u8]) -> Option<u32> {
        self.table.find(seeded(class, slot, bytes), |id| {
            let predicate = self.get(id);
            predicate.slot == slot && predicate.class == class && self.text(predicate) == bytes
        })
    }

    /// Which exact value of the patterns a scalar equals; looked up once and remembered.
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
        let found = if class == Class::String {
            self.find_string(value.slot, bytes)
        } else {
            self.find(class, value.slot, bytes)
        };
        let key = found.map_or(Key::Other, Key::Is);
        value.key.set(key);
        key
    }

    /// The exact string or address of the patterns that a string equals.
    // A string equals at most one: an exact text that is an address is compiled as the address, in
    // whatever spelling, so no text that is one is compared by its characters here.
    #[inline]
    fn find_string(&self, slot: u32, bytes: &[u8]) -> Option<u32> {
        let shape = &self.shapes[slot as usize];
        if shape.has_addresses
            && let Some(address) = address(bytes)
        {
            let (octets, length) = octets(address);
            return self.find(Class::Address, slot, &octets[..length]);
        }
        shape
            .fits(bytes)
            .then(|| self.find(Class::String, slot, bytes))?
    }

    /// Whether a value at the predicate's path satisfies it.
    pub(super) fn satisfied(&self, id: u32, value: &Value, view: EventView) -> bool {
        let predicate = self.get(id);
        if predicate.class.is_exact() {
            return self.key(value, view) == Key::Is(id);
        }
        let wanted = self.text(predicate);
        let bytes = view.bytes(value);
        // First what does not depend on strings, so that below a value of another kind is rejected
        // once for all string predicates.
        match predicate.class {
            Class::Present => return true,
            Class::Range => {
                return value.kind == Kind::Number && Bounds::read(wanted).contain(bytes);
            }
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
                // The text of this class always has four bytes.
                let number = wanted.try_into().map_or(0, u32::from_le_bytes);
                as_str(bytes).is_some_and(|value| self.regexps[number as usize].matches(value))
            }
            _ => as_str(bytes)
                .is_some_and(|value| ignoring_case_matches(predicate.class, wanted, value)),
        }
    }
}

/// The bounds of a range as bytes: flags (1 for a lower bound, 2 if it is inclusive; 4 and 8 the
/// same for the upper bound), the length of the lower bound as four bytes, then both as sort
/// keys.
pub(super) struct Bounds<'a> {
    /// The lower bound, and whether it is inclusive.
    pub(super) lower: Option<(&'a [u8], bool)>,
    /// The upper bound, and whether it is inclusive.
    pub(super) upper: Option<(&'a [u8], bool)>,
}

impl<'a> Bounds<'a> {
    /// Reads the result of [`Bounds::write`].
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

    /// Whether a number as a sort key lies within the bounds.
    pub(super) fn contain(&self, number: &[u8]) -> bool {
        self.lower
            .is_none_or(|(bound, inclusive)| number > bound || inclusive && number == bound)
            && self
                .upper
                .is_none_or(|(bound, inclusive)| number < bound || inclusive && number == bound)
    }
}

/// Applies a predicate that ignores case. Candidates come from folded grams, which accept more, so
/// this is the only authority.
fn ignoring_case_matches(class: Class, wanted: &[u8], value: &str) -> bool {
    if class == Class::WildcardIgnoringCase {
        // A piece is a string of the pattern, so it is text.
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

/// The hash of a predicate: of its text, with class and slot as the seed, so that the number 1 and
/// the string "1", or one value at two paths, have different hashes.
#[inline]
fn seeded(class: Class, slot: u32, bytes: &[u8]) -> u32 {
    half(hash(u64::from(slot) << 8 | class as u64, bytes))
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("the limits keep predicates below 4 GiB")
}
