//! What a stranger's pattern may cost.

/// The bounds on one pattern, the same in debug and release builds, checked before memory is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text in bytes, inclusive.
    pub bytes: usize,
    /// Deepest nesting of brackets, and most `not`s on top of each other.
    pub depth: usize,
    /// Most alternatives that one field of an expression, or a path constrained both inside and outside `$or`, may
    /// spell out to.
    pub combinations: usize,
    /// Most tests that these combinations may hold together.
    pub spelled_out: usize,
    /// Most instructions of one compiled regular expression, estimated before it is built.
    pub regexp: usize,
    /// Most diagnostics about one text; errors go first, and one more says how many others there are.
    pub diagnostics: usize,
}

impl Limits {
    /// 64 KiB, 128 levels, 1,000 combinations of 20,000 tests, regular expressions of 20,000 instructions,
    /// 100 diagnostics.
    pub const DEFAULT: Self = Self {
        bytes: 64 * 1024,
        depth: 128,
        combinations: 1_000,
        spelled_out: 20_000,
        regexp: 20_000,
        diagnostics: 100,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
