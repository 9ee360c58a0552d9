//! What a stranger's script may cost.

use std::time::Duration;

/// The bounds on one reaction, the same in debug and release builds. Each run starts with a full measure.
///
/// The sizes are small on purpose: rhai measures a whole value each time a script changes a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Longest script in bytes.
    pub source: usize,
    /// Deepest nesting of expressions and blocks, outside and inside the script's own functions.
    pub expression_depth: usize,
    /// How many functions a script may define, closures included.
    pub functions: usize,
    /// Steps of the interpreter in one run.
    pub operations: usize,
    /// Deepest nesting of calls to the script's own functions.
    pub call_depth: usize,
    /// Variables alive at one time in one function, or outside of functions.
    pub variables: usize,
    /// Longest string in bytes, and the most text that an array or map made by the script may hold in all.
    pub string: usize,
    /// Most elements that an array made by the script may hold, nested ones included.
    pub array: usize,
    /// Most members that a map made by the script may hold, nested ones included.
    pub map: usize,
    /// Deepest nesting of arrays and maps in what leaves the script; no more than readers of JSON accept.
    pub depth: usize,
    /// Longest time for one run; it counts only where [`Input::stopwatch`](crate::Input::stopwatch) is given.
    pub deadline: Duration,
    /// Actions in one run.
    pub actions: usize,
    /// Derived events in one run.
    pub emitted: usize,
    /// Largest text or payload of one action, derived event or message field, in bytes of JSON.
    pub action_bytes: usize,
    /// Everything that one run asks for together, in bytes of JSON.
    pub effect_bytes: usize,
    /// Lines of `log` in one run.
    pub log_lines: usize,
    /// Longest line of `log` in bytes.
    pub log_bytes: usize,
    /// Different state keys that one run may read or change.
    pub state_keys: usize,
    /// Longest state key in bytes.
    pub state_key_bytes: usize,
    /// Largest state value in bytes of JSON.
    pub state_value_bytes: usize,
    /// Most entries that one rule may keep.
    pub state_entries: usize,
}

impl Limits {
    /// Room for any honest reaction; a hostile one is stopped within about 50 ms and 64 MiB.
    pub const DEFAULT: Self = Self {
        source: 64 << 10,
        expression_depth: 64,
        functions: 32,
        operations: 50_000,
        call_depth: 16,
        variables: 64,
        string: 32 << 10,
        array: 1_000,
        map: 1_000,
        depth: reflexarc_event::Limits::DEFAULT.depth,
        deadline: Duration::from_millis(50),
        actions: 100,
        emitted: 16,
        action_bytes: 1 << 20,
        effect_bytes: 4 << 20,
        log_lines: 100,
        log_bytes: 4 << 10,
        state_keys: 256,
        state_key_bytes: 256,
        state_value_bytes: 16 << 10,
        state_entries: 10_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
