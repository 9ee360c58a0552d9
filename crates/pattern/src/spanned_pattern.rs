//! A pattern with the spans of its parts, for diagnostics about it.

use reflexarc_diagnostic::{Diagnostic, keep_most_severe};

use crate::spanned::SpannedNode;
use crate::{
    Dialect, Path, Pattern, PatternLimits, analysis, dialect, impossible_paths, lints,
    literal_wildcards, syntax,
};

/// A pattern with its spanned tree: what diagnostics about a valid pattern are made of.
///
/// It is parsed from the source of the pattern, which takes longer than matching hundreds of
/// events. Several checks of one pattern should share it.
///
/// ```
/// use reflexarc_pattern::Pattern;
///
/// let pattern: Pattern = r#"level == "WARN" and level == "CRITICAL""#.parse()?;
/// let spanned = pattern.spanned().ok_or("a valid source")?;
/// // An array has both values.
/// assert_eq!(spanned.warnings(&|_| false).len(), 0);
/// assert_eq!(spanned.warnings(&|path| path.as_str() == "level").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SpannedPattern<'p> {
    pattern: &'p Pattern,
    tree: SpannedNode,
    /// What parsing reported.
    diagnostics: Vec<Diagnostic>,
}

impl<'p> SpannedPattern<'p> {
    /// `None` if the source of a pattern from a tree exceeds the limits of a text.
    pub(crate) fn new(pattern: &'p Pattern) -> Option<Self> {
        let limits = &PatternLimits::DEFAULT;
        let parsed = syntax::parse(pattern.source(), pattern.dialect(), limits);
        Some(Self {
            pattern,
            tree: parsed.tree?,
            diagnostics: parsed.diagnostics,
        })
    }

    /// The pattern.
    pub fn pattern(&self) -> &'p Pattern {
        self.pattern
    }

    /// The tree; its spans are bytes of [`Pattern::source`].
    pub fn tree(&self) -> &SpannedNode {
        &self.tree
    }

    /// As [`Pattern::warnings`], with knowledge about the events: `holds_one_value` says of which
    /// fields it is known that they have at most one value, never in an array. With it, more
    /// conditions are known never to match.
    pub fn warnings(&self, holds_one_value: &dyn Fn(&Path) -> bool) -> Vec<Diagnostic> {
        let mut found = self.diagnostics.clone();
        found.extend(of_tree(&self.tree, self.pattern.source(), holds_one_value));
        sort_and_truncate(&mut found);
        found
    }

    /// As [`Pattern::check`], with knowledge about the events, as [`SpannedPattern::warnings`].
    /// Nothing is said about arrays of these fields.
    ///
    /// ```
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let pattern: Pattern = r#"state != "ok""#.parse()?;
    /// let spanned = pattern.spanned().ok_or("a valid source")?;
    /// let is_state = |path: &reflexarc_pattern::Path| path.as_str() == "state";
    /// assert!(spanned.check(Dialect::Reflexarc, &is_state).is_empty());
    /// assert_eq!(pattern.check(Dialect::Reflexarc).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(
        &self,
        dialect: Dialect,
        holds_one_value: &dyn Fn(&Path) -> bool,
    ) -> Vec<Diagnostic> {
        let (tree, source) = (&self.tree, self.pattern.source());
        let mut found = match dialect {
            Dialect::Reflexarc => {
                let warnings = of_tree(tree, source, holds_one_value);
                // What never or always matches is to be changed first.
                let mut misread = lints::hints(tree, holds_one_value);
                misread.retain(|hint| !warnings.iter().any(|found| covers(found, hint)));
                [
                    self.diagnostics.clone(),
                    warnings,
                    analysis::hints(tree, holds_one_value, &PatternLimits::DEFAULT),
                    misread,
                    literal_wildcards::hints(tree, source, self.pattern.is_json()),
                ]
                .concat()
            }
            other => dialect::check(tree, other),
        };
        sort_and_truncate(&mut found);
        found
    }

    /// As [`SpannedPattern::check`] for another service, of another tree whose spans are bytes of
    /// this source: one that was converted to the form of events that the service delivers.
    pub fn check_converted(tree: &SpannedNode, dialect: Dialect) -> Vec<Diagnostic> {
        let mut found = dialect::check(tree, dialect);
        sort_and_truncate(&mut found);
        found
    }
}

/// Warnings about a tree that was parsed from this text.
pub(crate) fn of_tree(
    tree: &SpannedNode,
    text: &str,
    holds_one_value: &dyn Fn(&Path) -> bool,
) -> Vec<Diagnostic> {
    let mut found = analysis::warnings(tree, holds_one_value, &PatternLimits::DEFAULT);
    found.extend(impossible_paths::warnings(tree, text));
    found
}

/// Sorts diagnostics by span, removes duplicates, and keeps at most [`PatternLimits::diagnostics`]
/// of them, errors before warnings before hints, with one more for the number of those left out.
// Duplicates arise where the expansion of `$or` visits one condition several times.
pub(crate) fn sort_and_truncate(diagnostics: &mut Vec<Diagnostic>) {
    let span = |diagnostic: &Diagnostic| (diagnostic.span.start, diagnostic.span.end);
    diagnostics.sort_by_key(|diagnostic| (span(diagnostic), diagnostic.severity, diagnostic.code));
    diagnostics.dedup_by(|later, earlier| later.code == earlier.code && later.span == earlier.span);
    keep_most_severe(diagnostics, PatternLimits::DEFAULT.diagnostics);
}

/// Whether the other finding is about a part of what this one is about.
fn covers(found: &Diagnostic, other: &Diagnostic) -> bool {
    let labels = found.labels.iter().map(|label| &label.span);
    let mut spans = labels.chain([&found.span]);
    spans.any(|span| span.start <= other.span.start && other.span.end <= span.end)
}
