//! Resource limits for untrusted scripts.

use std::time::Duration;

/// The limits of one reaction, the same in debug and release builds. Each run starts from zero.
///
/// What comes from the event does not count as made by the script: a run on a large event has
/// larger `string`, `array`, `map` and `log_bytes` than these, by enough for the whole event a few
/// times.
///
/// The sizes are small on purpose: rhai measures a whole value each time a script changes a part of
/// it, so that filling an array element by element costs n² work.
///
/// ```
/// use reflexarc_reaction::{Reaction, ReactionLimits};
///
/// let mut limits = ReactionLimits::DEFAULT;
/// limits.source = 10;
/// assert!(Reaction::compile("log(event)", &limits).is_ok());
/// assert!(Reaction::compile("log(event) ", &limits).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReactionLimits {
    /// Size of the script in bytes.
    pub source: usize,
    /// Nesting of expressions and blocks, outside and inside the functions of the script.
    pub expression_depth: usize,
    /// Functions that the script defines, closures included.
    pub functions: usize,
    /// Texts with a warning for which a fix is tried; the others have the warning alone.
    pub fixes: usize,
    /// Reads of each event that may be missing which are looked at for a warning; nothing is
    /// reported about further ones.
    pub presence_checks: usize,
    /// Steps of the interpreter in one run.
    pub operations: usize,
    /// Nesting of calls to the functions of the script.
    pub call_depth: usize,
    /// Variables at one time in one function, or outside of functions.
    pub variables: usize,
    /// Bytes of a string, and of all strings in an array or map that the script makes.
    pub string: usize,
    /// Elements of an array that the script makes, nested ones included.
    pub array: usize,
    /// Members of a map that the script makes, nested ones included.
    pub map: usize,
    /// Nesting of arrays and maps in values that leave the script; at most what events may have,
    /// because an emitted event is read like any other.
    pub depth: usize,
    /// Events of a match that scripts and templates see as `events`, the first ones.
    pub window_events: usize,
    /// Bytes of these events: so many of the first ones that they have at most this.
    pub window_event_bytes: usize,
    /// Duration of one run; only with [`Input::stopwatch`](crate::Input::stopwatch).
    pub deadline: Duration,
    /// Actions in one run.
    pub actions: usize,
    /// The longest `after` of an action.
    pub delay: Duration,
    /// Bytes of the `key` of an action.
    pub delay_key_bytes: usize,
    /// Different keys that one run cancels.
    pub cancelled: usize,
    /// Emitted events in one run.
    pub emitted: usize,
    /// Bytes of JSON of one action or emitted event.
    pub action_bytes: usize,
    /// Bytes of JSON of all effects of one run, and separately of all its lines of `log`.
    pub effect_bytes: usize,
    /// Lines of `log` in one run; further ones are left out, with a note.
    pub log_lines: usize,
    /// Bytes of a line of `log` and of the reason of `skip`; longer ones are cut, with a note.
    pub log_bytes: usize,
    /// Different state keys that one run reads or changes.
    pub state_keys: usize,
    /// Bytes of a state key.
    pub state_key_bytes: usize,
    /// Bytes of JSON of a state value.
    pub state_value_bytes: usize,
    /// State entries of one rule.
    pub state_entries: usize,
}

/// The sizes of events in bytes that differ in the limits of their runs.
// Few, because rhai's limits belong to an engine: each size needs one of its own.
pub(crate) const EVENT_SIZES: [usize; 3] = [4 << 10, 64 << 10, usize::MAX];

/// The bytes of text that an event of each size adds to the limits.
const ROOM: [usize; EVENT_SIZES.len()] = [0, 256 << 10, 1 << 20];

impl ReactionLimits {
    /// Ample for the reactions that rules need. A hostile script is stopped within about 50 ms, and
    /// within 64 MiB on an event of ordinary size.
    pub const DEFAULT: Self = Self {
        source: 64 << 10,
        // The parser is recursive: this also bounds its stack.
        expression_depth: 64,
        functions: 32,
        // Each compiles the script again.
        fixes: 16,
        // As many as the findings about a rule. Each takes at most a millisecond.
        presence_checks: 100,
        // A reaction of ten lines takes about 65 operations, one round of
        // `while n < 1000 { n += 1 }` takes 6: loops over every address of an event are far below.
        operations: 50_000,
        call_depth: 16,
        variables: 64,
        // More than chat services accept in one message.
        string: 32 << 10,
        array: 1_000,
        map: 1_000,
        depth: reflexarc_event::Limits::DEFAULT.depth,
        // A message names a few of them, and what a script sends of all is counted elsewhere.
        window_events: 100,
        // As much as the largest event: what a run may do with that is measured.
        window_event_bytes: 1 << 20,
        // 50,000 cheap operations take about 2 ms without optimization. Only operations on large
        // values come near this; `benches/RESULTS.md` has the slowest ones.
        deadline: Duration::from_millis(50),
        actions: 100,
        // As long as what has fired is remembered.
        delay: Duration::from_secs(30 * 24 * 3_600),
        delay_key_bytes: 200,
        // As many as a run may have actions.
        cancelled: 100,
        emitted: 16,
        // At most as large as an event, because a payload is often the event itself.
        action_bytes: 1 << 20,
        effect_bytes: 4 << 20,
        log_lines: 100,
        log_bytes: 4 << 10,
        state_keys: 256,
        state_key_bytes: 256,
        state_value_bytes: 16 << 10,
        // A day of events of a region with 100,000 interfaces, and about 300 MB in a store.
        state_entries: 1_000_000,
    };

    /// The limits of a run on an event, or on several, with this many bytes of text.
    pub(crate) fn for_event(self, bytes: usize) -> Self {
        // rhai measures whole values and cannot tell whose text is in them. Example of an event
        // with 40 KB of text at `t`: `#{a: event.t, b: event}` has 80 KB, all of it the event's. It
        // is of the second size, so a string may have 32 KiB + 256 KiB.
        let size = EVENT_SIZES.iter().position(|size| bytes <= *size);
        let room = ROOM[size.unwrap_or(EVENT_SIZES.len() - 1)];
        Self {
            string: self.string.saturating_add(room),
            // The smallest element and its comma are two bytes of the event: `[1,1,1]`.
            array: self.array.saturating_add(room / 2),
            map: self.map.saturating_add(room / 2),
            log_bytes: self.log_bytes.saturating_add(room),
            ..self
        }
    }
}

impl Default for ReactionLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
