//! What building a matcher may cost.

/// The bounds on one matcher, checked before the memory is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatcherLimits {
    /// Bytes that the patterns may take in the matcher, regular expressions left out; about, and inclusive.
    pub bytes: usize,
    /// Bytes that compiled regular expressions may take together; about, and inclusive.
    pub regexp_bytes: usize,
    /// Levels of one pattern's tree.
    pub depth: usize,
}

impl MatcherLimits {
    /// 1 GiB, 256 MiB of regular expressions, 256 levels.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 30,
        regexp_bytes: 256 << 20,
        depth: 256,
    };
}

impl Default for MatcherLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why patterns do not fit into a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More bytes than [`MatcherLimits::bytes`].
    #[error("from pattern {pattern} on, the patterns take more than the {limit} bytes allowed")]
    TooLarge {
        /// The first pattern, from 0, that no longer fits.
        pattern: u32,
        /// What is allowed.
        limit: usize,
    },
    /// More bytes than [`MatcherLimits::regexp_bytes`].
    #[error(
        "from pattern {pattern} on, the regular expressions take more than the {limit} bytes allowed"
    )]
    RegexpsTooLarge {
        /// The first pattern, from 0, that no longer fits.
        pattern: u32,
        /// What is allowed.
        limit: usize,
    },
    /// More levels than [`MatcherLimits::depth`].
    #[error("pattern {pattern} has more than the {limit} levels allowed")]
    TooDeep {
        /// The pattern, from 0.
        pattern: u32,
        /// What is allowed.
        limit: usize,
    },
}
