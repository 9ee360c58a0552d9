//! Resource limits for untrusted patterns.

/// Limits on one pattern. They are the same in debug and release builds and are checked before
/// the memory or time they protect is spent.
///
/// ```
/// use reflexarc_pattern::{Pattern, PatternLimits};
///
/// let long = format!("a == \"{}\"", "x".repeat(PatternLimits::DEFAULT.bytes));
/// assert!(long.parse::<Pattern>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatternLimits {
    /// Longest text in bytes, inclusive.
    pub bytes: usize,
    /// Deepest nesting of brackets, most `not`s in a row, and most disjunctions that the analysis
    /// takes apart inside each other; what needs more is not decided.
    pub depth: usize,
    /// Most combinations that the alternatives of one field of an expression, or a path
    /// constrained both inside and outside `$or`, may expand to.
    pub combinations: usize,
    /// Most tests in all of these combinations together.
    pub expanded_tests: usize,
    /// Most instructions of one compiled regular expression, estimated before it is compiled.
    pub regexp: usize,
    /// Most steps of the search for conditions that never or always match. Nothing is reported
    /// about what is not decided until then.
    pub analysis_steps: usize,
    /// Most bytes of the automata of one of its proofs; one that needs more is given up.
    pub analysis_bytes: usize,
    /// Most steps of computing the complexity of wildcards for AWS EventBridge; wildcards that need
    /// more are too complex. A text that is short enough for that service takes far fewer.
    pub complexity_steps: usize,
    /// Most steps of explaining the result of a pattern for one event, where its fields lie in
    /// arrays of objects; parts that need more are undecided.
    pub explain_steps: usize,
    /// Most diagnostics about one text. Errors come first; one more diagnostic gives the number
    /// of those left out.
    pub diagnostics: usize,
}

impl PatternLimits {
    /// 64 KiB, 128 levels, 1,000 combinations of 20,000 tests, regular expressions of
    /// 20,000 instructions, 100,000 steps and 4 MiB of analysis, 2,000,000 steps for the
    /// complexity of wildcards, as many for an explanation, 100 diagnostics.
    // Most functions of this crate recurse once per level of the tree, so `depth` bounds the
    // stack. 1,000 combinations is what AWS EventBridge accepts of `$or`. The text may be longer
    // than there (at most 4 KiB), because rules list resource ids.
    pub const DEFAULT: Self = Self {
        bytes: 64 * 1024,
        depth: 128,
        combinations: 1_000,
        expanded_tests: 20_000,
        regexp: 20_000,
        // A few milliseconds; a pattern written by hand takes less than a thousand steps.
        analysis_steps: 100_000,
        // Automata for a pattern written by hand take a few kilobytes.
        analysis_bytes: 4 << 20,
        complexity_steps: 2_000_000,
        // Half a second; a pattern written by hand takes a few hundred steps.
        explain_steps: 2_000_000,
        diagnostics: 100,
    };
}

impl Default for PatternLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
