//! A pattern: parsing, formatting, checking, exporting and matching it.

use std::cell::RefCell;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Event;

use crate::spanned_pattern::{self, SpannedPattern};
use crate::{
    Dialect, Matcher, Node, PatternError, PatternLimits, Scratch, Undecided, analysis, dialect,
    naive, normal, print, syntax,
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
    derived: Arc<Derived>,
}

/// What is made of a pattern when it is first needed, and shared by its clones.
#[derive(Debug, Default)]
struct Derived {
    /// `None` if it would exceed the limits of a matcher.
    matcher: OnceLock<Option<Matcher>>,
    // The proofs that warnings need take several times as long as parsing, and most patterns are
    // loaded only to be matched. Nor is the spanned tree kept for them, which is larger than the
    // tree: it is parsed again from the source.
    warnings: OnceLock<Box<[Diagnostic]>>,
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
        let parsed = syntax::parse(text, dialect, &PatternLimits::DEFAULT);
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        match parsed.tree {
            Some(tree) if !parsed.diagnostics.iter().any(is_error) => Ok(Self {
                node: tree.to_node(),
                source: text.into(),
                dialect,
                is_json: parsed.is_json,
                has_comments: !parsed.comments.is_empty(),
                derived: Arc::default(),
            }),
            tree => {
                let mut found = parsed.diagnostics;
                let warnings = |tree| spanned_pattern::of_tree(&tree, text, &|_| false);
                found.extend(tree.into_iter().flat_map(warnings));
                spanned_pattern::sort_and_truncate(&mut found);
                Err(PatternError::new(text, found))
            }
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
            // A tree was not written by a person who could mean something else.
            derived: Arc::new(Derived {
                warnings: OnceLock::from(Box::default()),
                ..Derived::default()
            }),
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
        self.spanned()
            .map(|spanned| spanned.check(dialect, &|_| false))
            .unwrap_or_default()
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

    /// Whether the event matches; `false` too if that is undecided, see [`Pattern::try_matches`].
    /// For many patterns, build one [`Matcher`] for all of them.
    pub fn matches(&self, event: &Event) -> bool {
        self.try_matches(event).unwrap_or(false)
    }

    /// Whether the event matches.
    ///
    /// # Errors
    /// If only a search over the elements of its arrays can decide it, and that takes more than
    /// [`MatcherLimits::search_steps`](crate::matcher::MatcherLimits).
    ///
    /// ```
    /// use reflexarc_event::Event;
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = "disks.full == true and disks.name exists".parse()?;
    /// let event = Event::from_json(r#"{"disks": [{"full": true}, {"name": "vdb"}]}"#)?;
    /// assert!(!pattern.try_matches(&event)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_matches(&self, event: &Event) -> Result<bool, Undecided> {
        let matcher = self
            .derived
            .matcher
            // A pattern that is too large for a matcher gives the same answers more slowly.
            .get_or_init(|| Matcher::build([&self.node]).ok());
        let Some(matcher) = matcher else {
            let steps = PatternLimits::DEFAULT.explain_steps;
            return naive::matches_within(&self.node, event.tree(), steps);
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let matched = matcher.has_match(event, scratch);
            let is_decided = matched || scratch.undecided().is_empty();
            is_decided.then_some(matched).ok_or(Undecided)
        })
    }

    /// The tree of the pattern, in normal form.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The pattern with the spans of its parts in [`Pattern::source`], which is parsed again.
    /// `None` if the source of a pattern from a tree exceeds the limits of a text.
    pub fn spanned(&self) -> Option<SpannedPattern<'_>> {
        SpannedPattern::new(self)
    }

    /// The warnings about the text the pattern was parsed from, in text order; none for a pattern
    /// from a tree. They are computed when they are first read.
    ///
    /// ```
    /// use reflexarc_pattern::Pattern;
    ///
    /// let pattern: Pattern = "a (> 5 and < 3)".parse()?;
    /// assert_eq!(pattern.warnings().len(), 1);
    /// # Ok::<(), reflexarc_pattern::PatternError>(())
    /// ```
    pub fn warnings(&self) -> &[Diagnostic] {
        self.derived.warnings.get_or_init(|| {
            let spanned = self.spanned();
            let warnings = spanned.map(|spanned| spanned.warnings(&|_| false));
            warnings.unwrap_or_default().into()
        })
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
