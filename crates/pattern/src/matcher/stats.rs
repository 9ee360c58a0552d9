//! Counts and sizes of a matcher, and what makes it slow.

use std::fmt;

use super::Matcher;
use super::index::SlotIndex;
use super::predicates::Class;

/// Counts and sizes of a matcher, for people and for monitoring.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of patterns.
    pub patterns: usize,
    /// The number of different paths that they use.
    pub paths: usize,
    /// The number of different predicates, counted once per path.
    pub predicates: usize,
    /// The approximate size in memory in bytes, with [`Stats::regexp_bytes`].
    pub bytes: usize,
    /// The approximate size of the compiled regular expressions in bytes.
    pub regexp_bytes: usize,
    /// The number of different predicates by kind, in a fixed order, without kinds that have none.
    pub by_kind: Vec<(&'static str, usize)>,
    /// What makes matching slow.
    pub slow: Vec<Slow>,
}

/// Something that costs time on each event, whatever its content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// Patterns that no value selects, such as a single `not`: verified for every event.
    TriedOnEveryEvent {
        /// The number of patterns.
        patterns: usize,
    },
    /// Patterns whose most selective condition is that a path is missing or present.
    TriedOnPresence {
        /// The number of patterns.
        patterns: usize,
    },
    /// Regular expressions and other predicates without a fixed text: applied to every value of
    /// their path.
    TriedOnEveryValue {
        /// The number of predicates.
        predicates: usize,
    },
    /// Prefixes or suffixes of very many different lengths at one path; each length costs a lookup
    /// for each value.
    ManyLengths {
        /// The most at one path.
        lengths: usize,
    },
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TriedOnEveryEvent { patterns } => {
                write!(
                    f,
                    "{patterns} patterns have no selective condition \
                     and are verified for every event"
                )
            }
            Self::TriedOnPresence { patterns } => {
                write!(
                    f,
                    "{patterns} patterns have no condition more selective than \
                     a path being present, missing or different from a value"
                )
            }
            Self::TriedOnEveryValue { predicates } => {
                write!(
                    f,
                    "{predicates} predicates have no fixed text \
                     and are applied to every value of their path"
                )
            }
            Self::ManyLengths { lengths } => {
                write!(
                    f,
                    "one path has prefixes or suffixes of {lengths} different lengths, \
                     each a lookup"
                )
            }
        }
    }
}

/// From this many lengths on [`Slow::ManyLengths`] is reported.
// 64 lookups that a filter bit ends are well below a microsecond; chosen, not measured.
const MANY_LENGTHS: usize = 64;

pub(super) fn of(matcher: &Matcher) -> Stats {
    let all = matcher.predicates.all();
    let mut counts = [0; Class::COUNT];
    for predicate in all {
        counts[predicate.class as usize] += 1;
    }
    let kinds = [
        ("exact string", vec![Class::String]),
        ("exact number", vec![Class::Number]),
        (
            "null, true, false",
            vec![Class::Null, Class::True, Class::False],
        ),
        ("network or address", vec![Class::Address, Class::Network]),
        ("prefix", vec![Class::Prefix]),
        ("suffix", vec![Class::Suffix]),
        ("contains", vec![Class::Contains]),
        ("wildcard", vec![Class::Wildcard]),
        (
            "ignoring case",
            vec![
                Class::EqualsIgnoringCase,
                Class::PrefixIgnoringCase,
                Class::SuffixIgnoringCase,
                Class::ContainsIgnoringCase,
                Class::WildcardIgnoringCase,
            ],
        ),
        ("regular expression", vec![Class::Regexp]),
        ("numeric range", vec![Class::Range]),
    ];
    let by_kind: Vec<(&'static str, usize)> = kinds
        .into_iter()
        .map(|(kind, classes)| {
            (
                kind,
                classes
                    .into_iter()
                    .map(|class| counts[class as usize])
                    .sum(),
            )
        })
        .filter(|&(_, count)| count > 0)
        .collect();
    // The second word of a posting list is its length.
    let indexed = |id: u32| matcher.code[matcher.predicates.get(id).postings as usize + 1] as usize;
    let tried_on = |classes: &[Class]| -> usize {
        let ids = (0..)
            .zip(all)
            .filter(|(_, one)| one.postings != super::NONE && classes.contains(&one.class));
        ids.map(|(id, _)| indexed(id)).sum()
    };
    let slow = [
        Slow::TriedOnEveryEvent {
            patterns: tried_on(&[Class::Always]),
        },
        Slow::TriedOnPresence {
            patterns: tried_on(&[Class::Absent, Class::Present]),
        },
        Slow::TriedOnEveryValue {
            predicates: matcher
                .indexes
                .iter()
                .map(|index| index.unfiltered().len())
                .sum(),
        },
        Slow::ManyLengths {
            lengths: matcher
                .indexes
                .iter()
                .map(SlotIndex::affix_lengths)
                .max()
                .unwrap_or(0),
        },
    ];
    let is_reported = |slow: &Slow| match *slow {
        Slow::TriedOnEveryEvent { patterns } | Slow::TriedOnPresence { patterns } => patterns > 0,
        Slow::TriedOnEveryValue { predicates } => predicates > 0,
        Slow::ManyLengths { lengths } => lengths >= MANY_LENGTHS,
    };
    Stats {
        patterns: matcher.patterns,
        paths: matcher.trie.slots(),
        predicates: by_kind.iter().map(|(_, count)| count).sum(),
        bytes: bytes(matcher),
        regexp_bytes: matcher.predicates.regexp_bytes(),
        by_kind,
        slow: slow.into_iter().filter(is_reported).collect(),
    }
}

fn bytes(matcher: &Matcher) -> usize {
    let indexes = matcher
        .indexes
        .iter()
        .map(|index| size_of_val(index) + index.bytes())
        .sum::<usize>();
    size_of::<Matcher>()
        + size_of_val(&*matcher.code)
        + matcher.predicates.bytes()
        + matcher.trie.bytes()
        + indexes
}
