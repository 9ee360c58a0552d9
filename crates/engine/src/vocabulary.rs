//! Warnings about filters that nearly name what ECS events have: misspelt fields and values, from
//! the catalogue of the event crate.

// A path or value that the catalogue does not know is no mistake: rules are also about events of
// other products and about those that scripts emit. So only near misses are reported, and only
// where nothing in the same conjunction shows that the filter is about something else
// (`subject.rs`).

mod envelope;
mod names;
mod paths;
mod subject;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use reflexarc_diagnostic::{Diagnostic, Span, keep_most_severe};
use reflexarc_pattern::spanned::{Kind, SpannedField, SpannedNode};
use reflexarc_pattern::{Dialect, Node, Pattern, SpannedPattern};

use crate::RuleSetLimits;
pub(crate) use envelope::EnvelopeField;
use subject::Subject;

/// Warnings about misspelt names of fields, events and values of ECS events in a filter, hints
/// where another meaning is likely, too. Spans are bytes of [`Pattern::source`].
///
/// ```
/// use reflexarc::{Pattern, check_vocabulary};
///
/// let pattern: Pattern = r#"content.result == "fail""#.parse()?;
/// let found = check_vocabulary(&pattern);
/// assert_eq!(found[0].help.as_deref(), Some("write `failed`"));
///
/// // A filter about other events.
/// let pattern: Pattern = r#"product == "Shop" and content.result == "fail""#.parse()?;
/// assert!(check_vocabulary(&pattern).is_empty());
/// # Ok::<(), reflexarc::PatternError>(())
/// ```
pub fn check_vocabulary(pattern: &Pattern) -> Vec<Diagnostic> {
    let Some(spanned) = pattern.spanned() else {
        return Vec::new();
    };
    FilterVocabulary::new(&spanned, &RuleSetLimits::DEFAULT).findings()
}

/// What the catalogue says about the names that a filter uses, and about names that are used beside
/// it.
pub(crate) struct FilterVocabulary<'p> {
    pattern: &'p Pattern,
    tree: &'p SpannedNode,
    limits: &'p RuleSetLimits,
    comparisons: Comparisons,
    /// What the whole filter says about the events that it selects.
    subject: Subject,
}

/// What the catalogue says about a path outside of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldName {
    /// ECS events have it.
    Known,
    /// It is nearly this one.
    Misspelt(&'static str),
    /// It may be a field of other events.
    Unknown,
}

impl<'p> FilterVocabulary<'p> {
    pub(crate) fn new(spanned: &'p SpannedPattern<'_>, limits: &'p RuleSetLimits) -> Self {
        let comparisons = Comparisons {
            left: Cell::new(limits.catalogue_comparisons),
            paths: RefCell::default(),
        };
        Self {
            pattern: spanned.pattern(),
            tree: spanned.tree(),
            subject: Subject::of(spanned.tree(), &comparisons),
            comparisons,
            limits,
        }
    }

    /// See [`check_vocabulary`].
    pub(crate) fn findings(&self) -> Vec<Diagnostic> {
        self.findings_with(&[envelope::Evidence::NativeFields])
    }

    /// As [`FilterVocabulary::findings`], for the filter of a rule, which sees events in the native
    /// form: also warnings about values that only events have before they are converted.
    pub(crate) fn findings_in_rule(&self) -> Vec<Diagnostic> {
        self.findings_with(&[envelope::Evidence::NativeFields, envelope::Evidence::Values])
    }

    /// Looks up a path of the events that the filter selects.
    pub(crate) fn field_name(&self, path: &str) -> FieldName {
        let subject = &self.subject;
        // What the path itself says about the events counts too, as if the filter named it.
        match paths::lookup(path, &self.comparisons) {
            paths::Lookup::Known => FieldName::Known,
            paths::Lookup::Misspelt(meant) if !subject.is_other() && meant.is_likely(subject) => {
                FieldName::Misspelt(meant.path)
            }
            _ => FieldName::Unknown,
        }
    }

    /// The field of an envelope that a path names, where the filter is about events that rules see
    /// in the native form.
    pub(crate) fn envelope_field(&self, path: &str) -> Option<EnvelopeField> {
        envelope::lookup(path, self.tree)
    }

    /// Whether the filter names the path.
    pub(crate) fn names(&self, path: &str) -> bool {
        names_path(self.pattern.node(), path)
    }

    fn findings_with(&self, evidence: &[envelope::Evidence]) -> Vec<Diagnostic> {
        // The other dialects are about events as their services deliver them.
        if self.pattern.dialect() != Dialect::Reflexarc {
            return Vec::new();
        }
        let mut check = Check {
            source: self.pattern.source(),
            is_json: self.pattern.is_json(),
            comparisons: &self.comparisons,
            found: Vec::new(),
        };
        check.node(self.tree, &Subject::default());
        for &evidence in evidence {
            let source = self.pattern.source();
            check
                .found
                .extend(envelope::warnings(self.tree, source, evidence));
        }
        let span = |found: &Diagnostic| (found.span.start, found.span.end);
        check.found.sort_by_key(span);
        // An alternative that stands before `or` in parentheses is visited once for each of them.
        check
            .found
            .dedup_by(|one, other| one.code == other.code && span(one) == span(other));
        keep_most_severe(&mut check.found, self.limits.findings);
        check.found
    }
}

/// The comparisons of names with the whole catalogue.
struct Comparisons {
    left: Cell<usize>,
    /// The paths that were compared.
    paths: RefCell<BTreeMap<String, paths::Lookup>>,
}

struct Check<'s> {
    source: &'s str,
    is_json: bool,
    comparisons: &'s Comparisons,
    found: Vec<Diagnostic>,
}

impl Comparisons {
    /// Takes one comparison; false if none is left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Check<'_> {
    /// Checks a node in a conjunction with others that are about `subject`.
    fn node(&mut self, node: &SpannedNode, subject: &Subject) {
        let subject = subject.clone().and(Subject::of(node, self.comparisons));
        match &node.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                for part in parts {
                    self.node(part, &subject);
                }
            }
            Kind::Not(inner) => self.node(inner, &subject),
            Kind::Field(field) if !subject.is_other() => self.field(field, &subject),
            Kind::Field(_) => {}
        }
    }

    fn field(&mut self, field: &SpannedField, subject: &Subject) {
        let path = field.path.as_str();
        let lookup = paths::lookup(path, self.comparisons);
        let known = match &lookup {
            paths::Lookup::Known => path,
            paths::Lookup::Misspelt(meant) => meant.path,
            paths::Lookup::Below(parent) => {
                self.found
                    .extend(paths::finding_below(parent, field, subject));
                return;
            }
            paths::Lookup::Unknown => return,
        };
        let literals = values::literals(field, self.source);
        if let paths::Lookup::Misspelt(meant) = &lookup {
            let is_value = |one: &values::Literal| values::is_known(one, known, self.comparisons);
            let confirmed = literals.iter().any(is_value);
            let Some(finding) = paths::finding(meant, field, self, subject, confirmed) else {
                return;
            };
            self.found.push(finding);
        }
        for literal in &literals {
            self.found
                .extend(values::finding(literal, known, subject, self.comparisons));
        }
    }

    /// The span of a word in a part of the source, if it is there once.
    fn locate(&self, word: &str, within: &Span) -> Option<Span> {
        let text = &self.source[within.clone()];
        let is_part =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-$@".contains(c));
        let mut places = text.match_indices(word).filter(|(at, _)| {
            !is_part(text[..*at].chars().next_back())
                && !is_part(text[at + word.len()..].chars().next())
        });
        let (at, _) = places.next()?;
        let start = within.start + at;
        places.next().is_none().then(|| start..start + word.len())
    }
}

/// Whether a filter names the path.
fn names_path(node: &Node, path: &str) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().any(|part| names_path(part, path)),
        Node::Not(part) => names_path(part, path),
        Node::Field(field) => field.path.as_str() == path,
    }
}

#[cfg(test)]
mod tests;
