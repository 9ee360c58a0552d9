//! Many patterns against the bytes of one event, without a tree of it.
//!
//! **How it works.** Building files each pattern under the test that fewest events are likely to meet (`access`) and keeps
//! what is left as words (`compile`, `program`). Matching scans the event once (`scan`), steered by the tree of
//! used paths (`trie`), and keeps only the scalars at those paths (`observed`). Each of them is looked up in the index of
//! its path (`index`: exact values and networks by hash in `predicates`, `affix`, `ranges`, `grams`), and the rules found
//! there check what is left of them (`verify`; `membership` where fields cross arrays of objects).
//!
//! **What it costs.** The scan is linear in the event. After it, the work depends on the values at used paths and on the
//! rules that their values announce, not on how many rules there are. [`Matcher::stats`] tells which patterns nothing
//! announces. Where fields cross arrays of objects, a rule with up to six such fields is checked in one pass over the
//! elements; beyond that, and for a `not` around several such fields, `full_search` tries combinations of elements, which
//! is exact, but exponential in the number of those fields at worst.
//!
//! **Adding a pattern** means building anew: where a rule is filed depends on all the others, and building is fast
//! (100,000 rules in a fraction of a second). A second, small matcher for the patterns of the last minutes beside a large
//! one does the same job without a second data structure inside this one.

mod access;
mod affix;
mod build;
mod compile;
mod conjunction;
mod escape;
mod fields;
mod filter;
mod fold;
mod full_search;
mod glob;
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
mod sortable;
mod stats;
mod string;
mod table;
mod trie;
mod verify;

use reflexarc_event::{Json, JsonError, Limits};

pub use fields::{Elements, Fields};
pub use limits::{BuildError, MatcherLimits};
pub use stats::{Slow, Stats};

use crate::Node;

/// No number: of a slot, an element, a node.
const NONE: u32 = u32::MAX;

/// Any number of patterns, ready to be asked which of them an event meets. It is immutable and may be shared by threads.
///
/// ```
/// use reflexarc_pattern::{Alternative, Field, Matcher, Node, Path, Predicate, Scratch, TextOp};
///
/// let level = |text: &str| {
///     let exact = Alternative(vec![Predicate::Text(TextOp::Equals, text.into())]);
///     Node::Field(Field { path: Path::from_keys(["level"]), alternatives: vec![exact] })
/// };
/// let matcher = Matcher::build(&[level("INFO"), level("WARN"), level("INFO")])?;
/// let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
/// matcher.matching(br#"{"level": "INFO"}"#, &mut scratch, &mut ids)?;
/// assert_eq!(ids, [0, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Matcher {
    trie: trie::Trie,
    predicates: predicates::Predicates,
    /// Per slot.
    indexes: Vec<index::SlotIndex>,
    /// See `build`.
    code: Vec<u32>,
    /// The predicates "there is no value at this path" that rules are filed under.
    absent: Vec<u32>,
    /// The predicate that rules are filed under which nothing announces.
    always: Option<u32>,
    patterns: usize,
    /// How many lists, and how many rules that are filed more than once, the code has.
    lists: u32,
    shared: u32,
}

/// Room that matching needs. It grows to what the largest event needed and is then reused without allocating; one per
/// thread, for any matchers in turn.
#[derive(Debug, Default)]
pub struct Scratch {
    observed: observed::Observed,
    key: Vec<u8>,
    search: search::Room,
    found: Vec<u32>,
}

impl Scratch {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Matcher {
    /// A matcher of these patterns under [`MatcherLimits::DEFAULT`]; their ids are their positions from 0.
    ///
    /// # Errors
    /// When they take more than the limits allow.
    pub fn build<'n>(patterns: impl IntoIterator<Item = &'n Node>) -> Result<Self, BuildError> {
        Self::build_within(patterns, MatcherLimits::DEFAULT)
    }

    /// A matcher of these patterns; their ids are their positions from 0.
    ///
    /// # Errors
    /// When they take more than the limits allow.
    pub fn build_within<'n>(
        patterns: impl IntoIterator<Item = &'n Node>,
        limits: MatcherLimits,
    ) -> Result<Self, BuildError> {
        build::build(patterns, limits)
    }

    /// Puts the ids of all patterns that the event meets into `out`, ascending; what was in it is gone.
    ///
    /// The whole event is checked, also where no pattern looks. An event whose top level is no object has no fields. Its
    /// size is not limited here, but by whoever reads it.
    ///
    /// # Errors
    /// Exactly those of [`Json::parse_within`] at the default depth; `out` is then empty.
    ///
    /// # Panics
    /// When the event has 4 GiB or more.
    pub fn matching(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), JsonError> {
        out.clear();
        self.observe(event, scratch)?;
        search::search(
            self,
            event,
            &scratch.observed,
            &mut scratch.search,
            false,
            out,
        );
        out.sort_unstable();
        Ok(())
    }

    /// Whether the event meets any of the patterns. It stops at the first that does; the event has then been checked as
    /// a whole all the same.
    ///
    /// # Errors
    /// As [`Matcher::matching`].
    ///
    /// # Panics
    /// As [`Matcher::matching`].
    pub fn has_match(&self, event: &[u8], scratch: &mut Scratch) -> Result<bool, JsonError> {
        self.observe(event, scratch)?;
        scratch.found.clear();
        search::search(
            self,
            event,
            &scratch.observed,
            &mut scratch.search,
            true,
            &mut scratch.found,
        );
        Ok(!scratch.found.is_empty())
    }

    /// How many patterns it holds.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// Whether it holds no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns == 0
    }

    /// What it holds and what is slow in it.
    pub fn stats(&self) -> Stats {
        stats::of(self)
    }

    fn observe(&self, event: &[u8], scratch: &mut Scratch) -> Result<(), JsonError> {
        assert!(event.len() < NONE as usize, "an event has less than 4 GiB");
        let Scratch { observed, key, .. } = scratch;
        observed.clear(self.trie.slots());
        let depth = Limits::DEFAULT.depth;
        scan::scan(event, depth, &self.trie, observed, key).map_err(|scan::Fault| {
            let fault = Json::parse_within(event, depth).err();
            fault.expect("the scan refuses only what reading refuses")
        })
    }
}
