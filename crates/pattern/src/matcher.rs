//! Many patterns against one event, without building a tree of it.
//!
//! **How it works.** It is an inverted index. Building compiles each pattern to a short program
//! (`compile`, `program`) and indexes it under its most selective predicate (`access`). Matching
//! scans the event once (`scan`), guided by the trie of used paths (`trie`), and keeps only the
//! scalars at those paths (`observed`). Each scalar is looked up in the index of its path (`index`:
//! exact values and networks by hash in `predicates`, `affix`, `ranges`, `grams`), and the rest of
//! each rule found there is verified (`verify`; `membership` and `conjunction` where fields lie in
//! arrays of objects).
//!
//! **What it costs.** The scan is linear in the event. After it, the work depends on the values at
//! used paths and on the rules that these values select, not on the number of rules.
//! [`Matcher::stats`] reports the patterns that no value selects, which every event has to verify.
//! Where fields lie in arrays of objects, a rule with up to six such fields is decided in one pass
//! over the elements, a plain conjunction of any number of fields likewise. Every other rule, and a
//! `not` around several such fields, is decided by the search of the reference evaluator
//! (`exhaustive`), which is exponential in the number of those fields at worst: it ends after
//! [`MatcherLimits::search_steps`], and what it has not decided then is reported as undecided.
//!
//! **Adding a pattern** means building again: which predicate a rule is indexed under depends on
//! all other rules, and building is fast (100,000 rules in a fraction of a second). A second, small
//! matcher for the newest patterns beside a large one does the same job without a second data
//! structure inside this one.

mod access;
mod affix;
mod build;
mod compile;
mod conjunction;
mod event_view;
mod exhaustive;
mod fields;
mod filter;
mod fold;
mod grams;
mod index;
mod limits;
mod literals;
mod membership;
mod network;
mod observed;
mod predicates;
mod program;
mod ranges;
mod scan;
mod search;
mod stats;
mod table;
mod trie;
mod verify;

use reflexarc_event::walk::InvalidJson;
use reflexarc_event::{Event, Json, JsonError, Limits};

pub use fields::{Elements, Fields};
pub use limits::{BuildError, MatcherLimits};
pub use search::SearchBudget;
pub use stats::{Slow, Stats};

use crate::Node;

/// The absent value of slots, elements, nodes and other numbers: half the size of `Option<u32>`.
const NONE: u32 = u32::MAX;

/// Any number of patterns, compiled to find all that an event matches. It is immutable and can be
/// shared between threads.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_pattern::{Alternative, Field, Matcher, Node, Path, Predicate, Scratch, TextOp};
///
/// let level = |text: &str| {
///     let exact = Alternative(vec![Predicate::Text(TextOp::Equals, text.into())]);
///     Node::Field(Field { path: Path::from_keys(["level"]), alternatives: vec![exact] })
/// };
/// let matcher = Matcher::build(&[level("INFO"), level("WARN"), level("INFO")])?;
/// let event = Event::from_json(r#"{"level": "INFO"}"#)?;
/// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
/// matcher.matching(&event, &mut scratch, &mut ids);
/// assert_eq!(ids, [0, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Matcher {
    trie: trie::Trie,
    predicates: predicates::Predicates,
    /// By slot.
    indexes: Vec<index::SlotIndex>,
    /// The programs of all rules; for the layout see `build`.
    code: Vec<u32>,
    /// The predicates "there is no value at this path" that rules are indexed under.
    absent: Vec<u32>,
    /// The predicate that rules are indexed under which no value selects.
    always: Option<u32>,
    patterns: usize,
    /// How many posting lists the code has.
    lists: u32,
    /// How many rules are in several posting lists.
    shared: u32,
    /// As in [`MatcherLimits`].
    search_steps: usize,
}

/// The working memory of matching. It grows to what the largest event needed and is then reused
/// without allocating; use one per thread, for any number of matchers.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_pattern::{Matcher, Pattern, Scratch};
///
/// let event = Event::from_json(r#"{"b": 1}"#)?;
/// let mut scratch = Scratch::new();
/// let mut matched = Vec::new();
/// for text in ["a exists", "b exists"] {
///     let pattern: Pattern = text.parse()?;
///     let matcher = Matcher::build([pattern.node()])?;
///     matched.push(matcher.has_match(&event, &mut scratch));
/// }
/// assert_eq!(matched, [false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Scratch {
    observed: observed::Observed,
    key: Vec<u8>,
    search: search::SearchBuffers,
    found: Vec<u32>,
}

impl Scratch {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// The patterns that the last event could not be compared with, because it would have taken
    /// more than [`MatcherLimits::search_steps`]. They do not count as matching.
    ///
    /// ```
    /// use reflexarc_event::Event;
    /// use reflexarc_pattern::matcher::MatcherLimits;
    /// use reflexarc_pattern::{Matcher, Pattern, Scratch};
    ///
    /// // Seven fields in objects of arrays, and an `or`.
    /// let pattern: Pattern = "a.b == 1 and a.c == 1 and a.d == 1 and a.e == 1 and a.f == 1 \
    ///                         and a.g == 1 and (a.h == 1 or a.i == 1)".parse()?;
    /// let limits = MatcherLimits { search_steps: 10, ..MatcherLimits::DEFAULT };
    /// let matcher = Matcher::build_within([pattern.node()], limits)?;
    /// let object = r#"{"b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1}"#;
    /// let event = Event::from_json(format!(r#"{{"a": [{object}, {object}]}}"#))?;
    /// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    /// matcher.matching(&event, &mut scratch, &mut ids);
    /// assert_eq!((ids.as_slice(), scratch.undecided()), (&[][..], &[0][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn undecided(&self) -> &[u32] {
        &self.search.undecided
    }
}

impl Matcher {
    /// Builds a matcher under [`MatcherLimits::DEFAULT`]. The id of a pattern is its position.
    ///
    /// # Errors
    /// If the patterns exceed the limits.
    pub fn build<'n>(patterns: impl IntoIterator<Item = &'n Node>) -> Result<Self, BuildError> {
        Self::build_within(patterns, MatcherLimits::DEFAULT)
    }

    /// Builds a matcher. The id of a pattern is its position.
    ///
    /// # Errors
    /// If the patterns exceed the limits.
    ///
    /// ```
    /// use reflexarc_pattern::matcher::{BuildError, Matcher, MatcherLimits};
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = r#"a matches "[a-z]{100}""#.parse()?;
    /// let limits = MatcherLimits { regexp_bytes: 1_000, ..MatcherLimits::DEFAULT };
    /// let error = Matcher::build_within([pattern.node()], limits).expect_err("too large");
    /// assert_eq!(error, BuildError::RegexpsTooLarge { pattern: 0, limit: 1_000 });
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn build_within<'n>(
        patterns: impl IntoIterator<Item = &'n Node>,
        limits: MatcherLimits,
    ) -> Result<Self, BuildError> {
        build::build(&patterns.into_iter().collect::<Vec<_>>(), limits)
    }

    /// Replaces the content of `ids` by the ids of all patterns that the event matches, ascending.
    ///
    /// The event was validated when it was read, so this scan validates nothing and skips the parts
    /// that no pattern uses.
    ///
    /// # Panics
    /// If the event has 4 GiB or more.
    pub fn matching(&self, event: &Event, scratch: &mut Scratch, ids: &mut Vec<u32>) {
        self.observe(event, scratch);
        self.search_all(event.bytes(), scratch, None, ids);
    }

    /// As [`Matcher::matching`]; the budget decides about searches, which may take milliseconds for
    /// one pattern. What it refuses is [undecided](Scratch::undecided).
    ///
    /// # Panics
    /// As [`Matcher::matching`].
    pub fn matching_within(
        &self,
        event: &Event,
        budget: &dyn SearchBudget,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) {
        self.observe(event, scratch);
        self.search_all(event.bytes(), scratch, Some(budget), ids);
    }

    /// As [`Matcher::matching`], for bytes that may be anything.
    ///
    /// The whole text is validated, including the parts that no pattern uses. A document whose top
    /// level is not an object has no fields. The caller limits its size.
    ///
    /// # Errors
    /// Exactly those of [`Json::parse_within`] at the default depth; `ids` is then empty.
    ///
    /// # Panics
    /// If there are 4 GiB or more.
    ///
    /// ```
    /// use reflexarc_pattern::{Matcher, Pattern, Scratch};
    ///
    /// let pattern: Pattern = r#"level == "WARN""#.parse()?;
    /// let matcher = Matcher::build([pattern.node()])?;
    /// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    /// matcher.matching_bytes(br#"{"level": "WARN"}"#, &mut scratch, &mut ids)?;
    /// assert_eq!(ids, [0]);
    /// assert!(matcher.matching_bytes(b"{", &mut scratch, &mut ids).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matching_bytes(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Result<(), JsonError> {
        ids.clear();
        self.observe_bytes(event, scratch)?;
        self.search_all(event, scratch, None, ids);
        Ok(())
    }

    /// As [`Matcher::matching`], for the text of an event that needs no conversion to the native
    /// form, in one pass over the bytes: it validates them, detects the envelope and collects the
    /// values. `None` for any other text: `NativeEvent::from_json` converts it or reports the
    /// error.
    ///
    /// # Panics
    /// If there are 4 GiB or more.
    ///
    /// ```
    /// use reflexarc_event::Limits;
    /// use reflexarc_pattern::{Matcher, Pattern, Scratch};
    ///
    /// let pattern: Pattern = r#"level == "WARN""#.parse()?;
    /// let matcher = Matcher::build([pattern.node()])?;
    /// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    /// let mut matching = |text: &str| {
    ///     matcher.matching_native(text.as_bytes(), &Limits::DEFAULT, &mut scratch, &mut ids)
    /// };
    /// assert_eq!(matching(r#"{"level": "WARN"}"#), Some(()));
    /// assert_eq!(matching(r#"{"level": "warn", "name": "Disk:Stalled", "content": {}}"#), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn matching_native(
        &self,
        event: &[u8],
        limits: &Limits,
        scratch: &mut Scratch,
        ids: &mut Vec<u32>,
    ) -> Option<()> {
        ids.clear();
        if event.len() > limits.bytes {
            return None;
        }
        assert_short(event);
        let text = std::str::from_utf8(event).ok()?;
        let Scratch { observed, key, .. } = scratch;
        observed.clear(self.trie.slots());
        let is_native = scan::scan_native(text, limits.depth, &self.trie, observed, key);
        if is_native != Ok(true) {
            return None;
        }
        self.search_all(event, scratch, None, ids);
        Some(())
    }

    /// Whether the event matches any of the patterns. It stops at the first match.
    ///
    /// # Panics
    /// As [`Matcher::matching`].
    pub fn has_match(&self, event: &Event, scratch: &mut Scratch) -> bool {
        self.observe(event, scratch);
        self.search_one(event.bytes(), scratch)
    }

    /// As [`Matcher::has_match`], for bytes that may be anything; see [`Matcher::matching_bytes`].
    ///
    /// # Errors
    /// As [`Matcher::matching_bytes`].
    ///
    /// # Panics
    /// As [`Matcher::matching_bytes`].
    ///
    /// ```
    /// use reflexarc_pattern::{Matcher, Pattern, Scratch};
    ///
    /// let pattern: Pattern = "count > 2".parse()?;
    /// let matcher = Matcher::build([pattern.node()])?;
    /// assert!(matcher.has_match_bytes(br#"{"count": 3}"#, &mut Scratch::new())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_match_bytes(&self, event: &[u8], scratch: &mut Scratch) -> Result<bool, JsonError> {
        self.observe_bytes(event, scratch)?;
        Ok(self.search_one(event, scratch))
    }

    /// The number of patterns.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns == 0
    }

    /// Counts and sizes of its parts, and what makes it slow.
    ///
    /// ```
    /// use reflexarc_pattern::{Matcher, Pattern};
    ///
    /// let pattern: Pattern = r#"level == "WARN" and name starts with "Disk:""#.parse()?;
    /// let stats = Matcher::build([pattern.node()])?.stats();
    /// assert_eq!((stats.patterns, stats.paths, stats.predicates), (1, 2, 2));
    /// assert!(stats.slow.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        stats::of(self)
    }

    // The slots are cleared for this matcher each time, so one scratch serves any number of
    // matchers.
    fn observe(&self, event: &Event, scratch: &mut Scratch) {
        assert_short(event.bytes());
        let Scratch { observed, key, .. } = scratch;
        observed.clear(self.trie.slots());
        scan::scan_validated(event.bytes(), &self.trie, observed, key);
    }

    fn observe_bytes(&self, event: &[u8], scratch: &mut Scratch) -> Result<(), JsonError> {
        assert_short(event);
        let Scratch { observed, key, .. } = scratch;
        observed.clear(self.trie.slots());
        let depth = Limits::DEFAULT.depth;
        scan::scan(event, depth, &self.trie, observed, key).map_err(|InvalidJson| {
            // The scan only detects errors. The parser locates and describes them, so that there is
            // one authority on what is wrong, and parsing twice costs nothing for valid events.
            let error = Json::parse_within(event, depth).err();
            error.expect("the scan rejects only what the parser rejects")
        })
    }

    /// The ids of all matching patterns, once the event has been observed.
    fn search_all(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
        budget: Option<&dyn SearchBudget>,
        ids: &mut Vec<u32>,
    ) {
        // Values select rules in the order of the event, so the ids are sorted at the end: the
        // result must not depend on the order of keys.
        ids.clear();
        let Scratch {
            observed, search, ..
        } = scratch;
        search::search(self, event, observed, search, false, budget, ids);
        search.undecided.sort_unstable();
        ids.sort_unstable();
    }

    /// Whether any pattern matches, once the event has been observed.
    fn search_one(&self, event: &[u8], scratch: &mut Scratch) -> bool {
        let Scratch {
            observed,
            search,
            found,
            ..
        } = scratch;
        found.clear();
        search::search(self, event, observed, search, true, None, found);
        !found.is_empty()
    }
}

/// Positions in the event are kept as `u32`.
fn assert_short(event: &[u8]) {
    assert!(event.len() < NONE as usize, "an event has less than 4 GiB");
}
