//! Limits on building a matcher.

/// The limits of one matcher, checked pattern by pattern while it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatcherLimits {
    /// The approximate size of the matcher in bytes, without regular expressions; inclusive.
    pub bytes: usize,
    /// The approximate size of all compiled regular expressions in bytes; inclusive.
    pub regexp_bytes: usize,
    /// The levels of one pattern's tree.
    pub depth: usize,
    /// The steps in which one pattern is decided for one event, where its fields lie in arrays of
    /// objects and only a search can decide it. What needs more is undecided: see
    /// [`Scratch::undecided`](crate::Scratch::undecided).
    pub search_steps: usize,
}

impl MatcherLimits {
    /// 1 GiB, 256 MiB of regular expressions, 256 levels, searches of 20,000 steps.
    // At 96 to 1,500 bytes a rule (benches/RESULTS.md) a gigabyte is room for about a million
    // rules; at 19 KB a regular expression, 256 MiB are about 14,000 of them. The levels bound the
    // recursion of building; the parser allows fewer.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 30,
        regexp_bytes: 256 << 20,
        depth: 256,
        // A few milliseconds. An `or` of eight fields in 100 objects takes about 3,000.
        search_steps: 20_000,
    };
}

impl Default for MatcherLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The limit that patterns exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More bytes than [`MatcherLimits::bytes`].
    #[error("the patterns up to pattern {pattern} exceed the limit of {limit} bytes")]
    TooLarge {
        /// The position, from 0, of the first pattern that does not fit.
        pattern: u32,
        /// The limit.
        limit: usize,
    },
    /// More bytes than [`MatcherLimits::regexp_bytes`].
    #[error("the regular expressions up to pattern {pattern} exceed the limit of {limit} bytes")]
    RegexpsTooLarge {
        /// The position, from 0, of the first pattern that does not fit.
        pattern: u32,
        /// The limit.
        limit: usize,
    },
    /// More levels than [`MatcherLimits::depth`].
    #[error("pattern {pattern} exceeds the limit of {limit} levels")]
    TooDeep {
        /// The position of the pattern, from 0.
        pattern: u32,
        /// The limit.
        limit: usize,
    },
}
