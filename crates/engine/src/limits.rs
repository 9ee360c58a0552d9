//! What a stranger's rule files and events may cost.

/// The bounds on rule files and evaluations, the same in debug and release builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest rule file in bytes, inclusive.
    pub file_bytes: usize,
    /// Most rules in a set.
    pub rules: usize,
    /// Deepest folder below the rules folder.
    pub folders: usize,
    /// Most `emit`s in a row: a rule may see an event that lies this many hops from the one that came.
    pub hops: usize,
    /// Most derived events in one evaluation.
    pub derived: usize,
}

impl Limits {
    /// 1 MiB a file, 200,000 rules, 16 folders deep, 8 hops, 64 derived events.
    pub const DEFAULT: Self = Self {
        file_bytes: 1 << 20,
        rules: 200_000,
        folders: 16,
        hops: 8,
        derived: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
