//! A pattern: parsing, formatting, checking, exporting and matching it.

use std::cell::RefCell;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Event;

use crate::spanned::SpannedNode;
use crate::{
    Dialect, Matcher, Node, Path, PatternError, PatternLimits, Scratch, analysis, dialect,
    impossible_paths, lints, literal_wildcards, naive, normal, print, syntax,
};

/// An event filter, parsed from text or made from a tree.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_pattern::Pattern;
///
/// let pattern: Pattern = r#"level == "WARN" and count > 2"#.parse()?;
/// assert!(pattern.matches(&Event::from_json(r#"{"level": "WARN", "count": 2.5}"#)?));
/// assert!(!pattern.matches(&Event::from_json(r#"{"level": "WARN", "count": 2}"#)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    node: Node,
    source: Box<str>,
    dialect: Dialect,
    is_json: bool,
    has_comments: bool,
    warnings: Box<[Diagnostic]>,
    /// Built for the first event and shared by clones; `None` if it would exceed the limits of a
    /// matcher.
    matcher: Arc<OnceLock<Option<Matcher>>>,
}

// One scratch per thread for all patterns: its buffers grow to the size of the largest event and
// are then reused, so matching does not allocate. A `Scratch` in the pattern would need a lock.
thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Pattern {
    /// Parses a text in either notation: JSON if it starts with `{`, otherwise an expression.
    ///
    /// # Errors
    /// If the text is not a pattern of the dialect. The error has all diagnostics about the text,
    /// warnings included, in text order; at most the first hundred. Spans are bytes of `text`.
    ///
    /// ```
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let pattern = Pattern::parse(r#"{"source": [{"prefix": "acs."}]}"#, Dialect::Alibaba)?;
    /// assert_eq!(pattern.to_expression(), r#"source starts with "acs.""#);
    ///
    /// // AWS has no regular expressions.
    /// let text = r#"{"a": [{"regexp": "x+"}]}"#;
    /// let error = Pattern::parse(text, Dialect::Aws).expect_err("an unknown operator");
    /// assert!(error.to_string().starts_with("RA03"));
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        Self::parse_with(text, dialect, &|_| false)
    }

    /// As [`Pattern::parse`], with knowledge about the events: `holds_one_value` says of which
    /// fields it is known that they have at most one value, never in an array. With it, more
    /// conditions are known never to match.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    ///
    /// ```
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let text = r#"level == "WARN" and level == "CRITICAL""#;
    /// let is_level = |path: &reflexarc_pattern::Path| path.as_str() == "level";
    /// let pattern = Pattern::parse_with(text, Dialect::Reflexarc, &is_level)?;
    /// assert_eq!(pattern.warnings().len(), 1);
    /// // An array has both values.
    /// assert_eq!(text.parse::<Pattern>()?.warnings().len(), 0);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn parse_with(
        text: &str,
        dialect: Dialect,
        holds_one_value: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, PatternError> {
        let mut parsed = syntax::parse(text, dialect, &PatternLimits::DEFAULT);
        let warnings = |tree| warnings(tree, text, holds_one_value);
        parsed
            .diagnostics
            .extend(parsed.tree.iter().flat_map(warnings));
        sort_and_truncate(&mut parsed.diagnostics);
        let failed = parsed
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        match parsed.tree {
            Some(tree) if !failed => Ok(Self {
                node: tree.to_node(),
                source: text.into(),
                dialect,
                is_json: parsed.is_json,
                has_comments: !parsed.comments.is_empty(),
                warnings: parsed.diagnostics.into(),
                matcher: Arc::default(),
            }),
            _ => Err(PatternError::new(text, parsed.diagnostics)),
        }
    }

    /// A pattern from a tree, in normal form: nested conjunctions and disjunctions are flattened,
    /// and an empty one becomes a field at the empty path that always or never matches.
    ///
    /// ```
    /// use reflexarc_pattern::{Alternative, Field, Node, Path, Pattern, Predicate};
    ///
    /// let missing = Node::Field(Field {
    ///     path: Path::from_keys(["content", "error"]),
    ///     alternatives: vec![Alternative(vec![Predicate::Missing])],
    /// });
    /// let pattern = Pattern::from_node(Node::All(vec![Node::All(vec![missing])]));
    /// assert_eq!(pattern.to_expression(), "content.error is missing");
    /// ```
    pub fn from_node(node: Node) -> Self {
        let node = normal::of(node);
        let source = print::expression::print(&node).into();
        Self {
            node,
            source,
            dialect: Dialect::Reflexarc,
            is_json: false,
            has_comments: false,
            warnings: Box::default(),
            matcher: Arc::default(),
        }
    }

    /// The JSON notation of the tree, in the reflexarc dialect. Parsing it gives the same tree.
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = "count > 2 and host exists".parse()?;
    /// let json = pattern.to_json();
    /// assert_eq!(json, r#"{"count": [{"numeric": [">", 2]}], "host": [{"exists": true}]}"#);
    /// assert_eq!(json.parse::<Pattern>()?.node(), pattern.node());
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn to_json(&self) -> String {
        print::json::print(&self.node)
    }

    /// The expression notation of the tree. Parsing it gives the same tree.
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = r#"{"a": ["x", "y"], "b": [{"exists": false}]}"#.parse()?;
    /// assert_eq!(pattern.to_expression(), r#"a in ["x", "y"] and b is missing"#);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn to_expression(&self) -> String {
        print::expression::print(&self.node)
    }

    /// The source in canonical form, in the same notation and with its comments.
    ///
    /// A text in JSON notation that constrains a path twice is returned unchanged, because the
    /// overridden constraint is not in the tree. With comments, order and nesting are kept instead.
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = "count>2   and(host   exists)".parse()?;
    /// assert_eq!(pattern.format(), "count > 2 and host exists");
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn format(&self) -> String {
        if !self.is_json && !self.has_comments {
            return self.to_expression();
        }
        // The tree has no spans, and comments are placed by their position, so the source is parsed
        // again. Formatting is rare; keeping the spanned tree would double the memory of a pattern.
        let parsed = syntax::parse(&self.source, self.dialect, &PatternLimits::DEFAULT);
        let formatted = match parsed.tree {
            Some(_) if self.is_json && self.has_comments => {
                print::json_comments::print(&self.source, &parsed.comments)
            }
            Some(_) if self.is_json => {
                let has_overridden = parsed
                    .diagnostics
                    .iter()
                    .any(|warning| warning.code == Code::DUPLICATE_PATH);
                (!has_overridden).then(|| self.to_json())
            }
            Some(tree) => Some(print::expression_comments::print(
                &tree,
                &self.source,
                &parsed.comments,
            )),
            None => None,
        };
        formatted.unwrap_or_else(|| self.source.trim().to_owned())
    }

    /// Checks the pattern for a dialect: errors where the service rejects it, warnings where the
    /// service would match different events. For the reflexarc dialect: the warnings of
    /// [`Pattern::warnings`], and hints about conditions that are often misread.
    ///
    /// In text order; spans are bytes of [`Pattern::source`]. At most a hundred, errors first.
    ///
    /// ```
    /// use reflexarc_diagnostic::Severity;
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let pattern: Pattern = r#"name matches "Disk:.*""#.parse()?;
    /// assert!(pattern.check(Dialect::Reflexarc).is_empty());
    /// assert_eq!(pattern.check(Dialect::Aws)[0].severity, Severity::Error);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn check(&self, dialect: Dialect) -> Vec<Diagnostic> {
        self.check_with(dialect, &|_| false)
    }

    /// As [`Pattern::check`], with knowledge about the events, as [`Pattern::parse_with`]. Nothing
    /// is said about arrays of these fields.
    ///
    /// ```
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let pattern: Pattern = r#"state != "ok""#.parse()?;
    /// let found = pattern.check_with(Dialect::Reflexarc, &|path| path.as_str() == "state");
    /// assert!(found.is_empty());
    /// assert_eq!(pattern.check(Dialect::Reflexarc).len(), 1);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn check_with(
        &self,
        dialect: Dialect,
        holds_one_value: &dyn Fn(&Path) -> bool,
    ) -> Vec<Diagnostic> {
        let parsed = syntax::parse(&self.source, self.dialect, &PatternLimits::DEFAULT);
        let Some(tree) = parsed.tree else {
            return Vec::new();
        };
        let mut found = match dialect {
            Dialect::Reflexarc => {
                let warnings = warnings(&tree, &self.source, holds_one_value);
                // What never or always matches is to be changed first.
                let mut misread = lints::hints(&tree, holds_one_value);
                misread.retain(|hint| !warnings.iter().any(|found| covers(found, hint)));
                [
                    parsed.diagnostics,
                    warnings,
                    analysis::hints(&tree, holds_one_value, &PatternLimits::DEFAULT),
                    misread,
                    literal_wildcards::hints(&tree, &self.source, self.is_json),
                ]
                .concat()
            }
            other => dialect::check(&tree, other),
        };
        sort_and_truncate(&mut found);
        found
    }

    /// The JSON notation for the service of a dialect.
    ///
    /// # Errors
    /// If one of the diagnostics of [`Pattern::check`] is an error; the error has all of them.
    ///
    /// ```
    /// use reflexarc_pattern::{Dialect, Pattern};
    ///
    /// let pattern: Pattern = r#"name starts with "Disk:""#.parse()?;
    /// assert_eq!(pattern.export(Dialect::Aws)?, r#"{"name": [{"prefix": "Disk:"}]}"#);
    /// let portable = r#"name matches "Disk:.*""#.parse::<Pattern>()?.export(Dialect::Aws);
    /// assert!(portable.is_err());
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn export(&self, dialect: Dialect) -> Result<String, PatternError> {
        if dialect == Dialect::Reflexarc {
            return Ok(self.to_json());
        }
        let found = self.check(dialect);
        if found
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
        {
            return Err(PatternError::new(&self.source, found));
        }
        Ok(dialect::export::export(&self.node, dialect))
    }

    /// Whether it is proven that every event that matches this pattern matches the other one too.
    ///
    /// `false` means that it is not so, or not proven within
    /// [`PatternLimits::analysis_steps`](crate::PatternLimits).
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let failed: Pattern = r#"content.result == "failed" and name exists"#.parse()?;
    /// let ended: Pattern = r#"content.result in ["failed", "success"]"#.parse()?;
    /// assert!(failed.implies(&ended));
    /// assert!(!ended.implies(&failed));
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn implies(&self, other: &Self) -> bool {
        self.implies_within(other, PatternLimits::DEFAULT.analysis_steps)
    }

    /// As [`Pattern::implies`], with another limit of steps.
    pub fn implies_within(&self, other: &Self, steps: usize) -> bool {
        let limits = PatternLimits {
            analysis_steps: steps,
            ..PatternLimits::DEFAULT
        };
        analysis::implies(&self.node, &other.node, &limits)
    }

    /// Whether the event matches. For many patterns, build one [`Matcher`] for all of them.
    pub fn matches(&self, event: &Event) -> bool {
        let matcher = self
            .matcher
            // A pattern that is too large for a matcher gives the same answers more slowly: `naive`
            // has no limits.
            .get_or_init(|| Matcher::build([&self.node]).ok());
        match matcher {
            Some(matcher) => SCRATCH.with_borrow_mut(|scratch| matcher.has_match(event, scratch)),
            None => naive::matches(&self.node, event.tree()),
        }
    }

    /// The tree of the pattern, in normal form.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The tree with the spans of its parts in [`Pattern::source`]. It is parsed again, because few
    /// callers need it. `None` if the source of a pattern from a tree exceeds the limits
    /// of a text.
    pub fn spanned(&self) -> Option<SpannedNode> {
        syntax::parse(&self.source, self.dialect, &PatternLimits::DEFAULT).tree
    }

    /// The warnings from parsing, in text order.
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = "a (> 5 and < 3)".parse()?;
    /// assert_eq!(pattern.warnings().len(), 1);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The text the pattern was parsed from; for a pattern from a tree, its expression.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether [`Pattern::source`] is in JSON notation.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether [`Pattern::source`] has comments.
    pub fn has_comments(&self) -> bool {
        self.has_comments
    }

    /// The dialect the pattern was parsed in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}

/// As [`Pattern::parse`], in the reflexarc dialect.
impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text, Dialect::Reflexarc)
    }
}

/// Warnings about a tree that was parsed from this text.
fn warnings(
    tree: &SpannedNode,
    text: &str,
    holds_one_value: &dyn Fn(&Path) -> bool,
) -> Vec<Diagnostic> {
    let mut found = analysis::warnings(tree, holds_one_value, &PatternLimits::DEFAULT);
    found.extend(impossible_paths::warnings(tree, text));
    found
}

/// Whether the other finding is about a part of what this one is about.
fn covers(found: &Diagnostic, other: &Diagnostic) -> bool {
    let labels = found.labels.iter().map(|label| &label.span);
    let mut spans = labels.chain([&found.span]);
    spans.any(|span| span.start <= other.span.start && other.span.end <= span.end)
}

/// Sorts diagnostics by span, removes duplicates, and keeps at most [`PatternLimits::diagnostics`]
/// of them, errors first, with one more for the number of those left out.
// Duplicates arise where the expansion of `$or` visits one condition several times.
fn sort_and_truncate(diagnostics: &mut Vec<Diagnostic>) {
    let span = |diagnostic: &Diagnostic| (diagnostic.span.start, diagnostic.span.end);
    diagnostics.sort_by_key(|diagnostic| (span(diagnostic), diagnostic.severity, diagnostic.code));
    diagnostics.dedup_by(|later, earlier| later.code == earlier.code && later.span == earlier.span);
    let most = PatternLimits::DEFAULT.diagnostics;
    let Some(others) = diagnostics
        .len()
        .checked_sub(most)
        .filter(|&others| others > 0)
    else {
        return;
    };
    diagnostics
        .sort_by_key(|diagnostic| (diagnostic.severity != Severity::Error, span(diagnostic)));
    diagnostics.truncate(most);
    diagnostics.sort_by_key(span);
    let end = diagnostics.last().map_or(0, |last| last.span.end);
    let message = format!("{others} more diagnostics are not shown");
    diagnostics.push(Diagnostic::hint(Code::TOO_MANY_FINDINGS, end..end, message));
}
