//! Resource limits for untrusted rule files and events.

use reflexarc_pattern::PatternLimits;

/// The limits of rule files and evaluations, the same in debug and release builds.
///
/// ```
/// use reflexarc::{ReactionLimits, RuleSet, RuleSetLimits};
///
/// let mut limits = RuleSetLimits::DEFAULT;
/// limits.rules = 1;
/// let rule = "when = 'id exists'\nnotify = ['team']";
/// let files = [("a.toml", rule), ("b.toml", rule)];
/// let error = RuleSet::compile_with_limits(files, &limits, &ReactionLimits::DEFAULT).unwrap_err();
/// assert!(error.to_string().contains("too many rules: more than the 1 allowed"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleSetLimits {
    /// Size of a rule file in bytes, inclusive.
    pub file_bytes: usize,
    /// Number of rules in a set.
    pub rules: usize,
    /// Nesting of folders below the rules folder.
    pub folders: usize,
    /// Number of files and folders, of any name, in the rules folder and those below it.
    pub folder_entries: usize,
    /// Number of pairs of rules that are compared for rules that match only what another one
    /// matches. No hints about the pairs beyond it.
    pub compared_rules: usize,
    /// Steps of one of these comparisons.
    pub comparison_steps: usize,
    /// Number of names in the filter, script, templates and gates of one rule that are compared
    /// with the whole catalogue of events. Those that it has do not count, so that only a long list
    /// of other values reaches this. Nothing is reported about the names beyond it.
    pub catalogue_comparisons: usize,
    /// Number of findings about the names in the filter of a rule, and number of warnings about its
    /// gates and its reaction. One more says how many are left out.
    pub findings: usize,
    /// Number of labels of a rule.
    pub labels: usize,
    /// Bytes of the name or value of a label.
    pub label_bytes: usize,
    /// Number of paths of `by`, of a rule or of a step of its window.
    pub key_paths: usize,
    /// Number of lookup tables in a set.
    pub tables: usize,
    /// Size of a table in bytes, inclusive.
    pub table_bytes: usize,
    /// Size of all tables together in bytes, inclusive.
    pub all_table_bytes: usize,
    /// Number of rows of a table.
    pub table_rows: usize,
    /// Number of columns of a table.
    pub table_columns: usize,
    /// Bytes of one value in a table; of an array or object as JSON.
    pub table_cell_bytes: usize,
    /// Number of lookups of a rule.
    pub lookups: usize,
    /// Number of `emit`s between the original event and an emitted one.
    pub hops: usize,
    /// Number of emitted events in one evaluation.
    pub derived: usize,
    /// Bytes of the effects of all rules in one evaluation. The effects of one run have a limit of
    /// their own, `effect_bytes` of [`ReactionLimits`](crate::ReactionLimits).
    pub effect_bytes: usize,
    /// Bytes of the effects that one rule has on all emitted events of one evaluation.
    pub emitted_effect_bytes: usize,
    /// Bytes of the events that a state in memory keeps for matches in time.
    pub kept_event_bytes: usize,
    /// Bytes of the actions that [`DelayedActions`](crate::DelayedActions) keep.
    pub delayed_bytes: usize,
}

impl RuleSetLimits {
    /// 1 MiB per file, 200,000 rules, 16 folders deep, 1,000,000 files
    /// and folders, 20,000 comparisons of 5,000 steps, 400 names
    /// of a rule compared with the catalogue, twice 100 findings about a rule, 16 labels of 128
    /// bytes, 16 paths of a key, 100 tables of 64 MiB with 1,000,000 rows of 64 columns of 4 KiB,
    /// 256 MiB of tables, 16 lookups of a rule, 8 hops, 64 emitted events, 64 MiB of effects,
    /// 8 MiB of one rule on emitted events, 256 MiB of events that matches refer to, and as much of
    /// delayed actions.
    pub const DEFAULT: Self = Self {
        file_bytes: 1 << 20,
        // Twice the largest rule set that the matcher is measured with.
        rules: 200_000,
        folders: 16,
        folder_entries: 1_000_000,
        // All pairs of 140 rules; most comparisons end after ten steps.
        compared_rules: 20_000,
        comparison_steps: 5_000,
        // About ten milliseconds.
        catalogue_comparisons: 400,
        // As many as about a filter.
        findings: PatternLimits::DEFAULT.diagnostics,
        // Labels are carried with each evaluation and action.
        labels: 16,
        label_bytes: 128,
        // Keys are kept with each match, and are read by people.
        key_paths: 16,
        tables: 100,
        table_bytes: 64 << 20,
        // Twice as much in memory, with the indexes.
        all_table_bytes: 256 << 20,
        table_rows: 1_000_000,
        table_columns: 64,
        table_cell_bytes: 4 << 10,
        // Each is made for each event on which the rule reacts.
        lookups: 16,
        // A chain of more than two or three rules is hard to follow; 8 hops end cycles soon.
        hops: 8,
        derived: 64,
        // 16 rules with the largest effects that one run may have.
        effect_bytes: 64 << 20,
        // So that a rule that emits events for itself fails before it has used up the limit above,
        // at which other rules fail too: 64 events with 4 MiB each would be 256 MiB.
        emitted_effect_bytes: 8 << 20,
        // 100,000 pending keys of one event each, as large as events of the cloud are.
        kept_event_bytes: 256 << 20,
        // 500,000 messages.
        delayed_bytes: 256 << 20,
    };
}

impl Default for RuleSetLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
