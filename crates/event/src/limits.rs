//! What a stranger's event may cost.

/// The bounds on one event, the same in debug and release builds, checked before memory is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest event in bytes, inclusive.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects; a scalar document has depth 0, `{}` has depth 1.
    pub depth: usize,
    /// Most findings that [`crate::check`] gives for one event.
    pub findings: usize,
}

impl Limits {
    /// 1 MiB, 128 levels, 100 findings.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 20,
        depth: 128,
        findings: 100,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
