//! What a matcher holds and what is slow in it.

use std::fmt;

use super::Matcher;
use super::index::SlotIndex;
use super::predicates::Class;

/// What a matcher holds; for people and for monitoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// How many patterns.
    pub patterns: usize,
    /// How many different paths they use.
    pub paths: usize,
    /// How many different predicates, each counted once per path.
    pub predicates: usize,
    /// About how many bytes in memory, [`Stats::regexp_bytes`] included.
    pub bytes: usize,
    /// About how many bytes the compiled regular expressions take.
    pub regexp_bytes: usize,
    /// Different predicates by kind, in a fixed order, kinds without any left out.
    pub by_kind: Vec<(&'static str, usize)>,
    /// What makes matching slower than it could be.
    pub slow: Vec<Slow>,
}

/// Something that costs time on each event, whatever the event holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slow {
    /// Patterns that nothing in an event announces, such as a lone `not`: all of them are tried on every event.
    TriedOnEveryEvent {
        /// How many.
        patterns: usize,
    },
    /// Patterns whose most telling test is that a path is missing or merely there.
    TriedOnPresence {
        /// How many.
        patterns: usize,
    },
    /// Regular expressions and the like without a fixed piece of text: tried on every value of their path.
    TriedOnEveryValue {
        /// How many predicates.
        predicates: usize,
    },
    /// Prefixes or suffixes of very many different lengths on one path; each length costs a look-up for each value.
    ManyLengths {
        /// The most on one path.
        lengths: usize,
    },
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TriedOnEveryEvent { patterns } => {
                write!(
                    f,
                    "{patterns} patterns have no test that picks events out, so each event tries them all"
                )
            }
            Self::TriedOnPresence { patterns } => {
                write!(
                    f,
                    "{patterns} patterns only ask whether a path is there or missing, or for anything but something"
                )
            }
            Self::TriedOnEveryValue { predicates } => {
                write!(
                    f,
                    "{predicates} tests have no fixed piece of text, so each value of their path tries them"
                )
            }
            Self::ManyLengths { lengths } => {
                write!(
                    f,
                    "one path has prefixes or suffixes of {lengths} different lengths, a look-up each"
                )
            }
        }
    }
}

/// Fewer lengths of prefixes on one path are not worth mentioning.
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
        ("network or address", vec![Class::Network]),
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
    let filed = |id: u32| matcher.code[matcher.predicates.get(id).postings as usize + 1] as usize;
    let tried_on = |classes: &[Class]| -> usize {
        let ids = (0..)
            .zip(all)
            .filter(|(_, one)| one.postings != super::NONE && classes.contains(&one.class));
        ids.map(|(id, _)| filed(id)).sum()
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
                .map(|index| index.unannounced().len())
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
    let worth_mentioning = |slow: &Slow| match *slow {
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
        slow: slow.into_iter().filter(worth_mentioning).collect(),
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
