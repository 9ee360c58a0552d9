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

use std::cell::Cell;

use reflexarc_diagnostic::{Diagnostic, Span};
use reflexarc_pattern::spanned::{Kind, SpannedField, SpannedNode};
use reflexarc_pattern::{Dialect, Pattern};

use subject::Subject;

/// Most paths and values of a pattern that are compared with the catalogue. Those that the
/// catalogue has do not count, so that only a long list of unknown values reaches this.
const MOST_COMPARED: usize = 300;

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
    // The other dialects are about events as their services deliver them.
    let tree = pattern
        .spanned()
        .filter(|_| pattern.dialect() == Dialect::Reflexarc);
    let mut check = Check {
        source: pattern.source(),
        is_json: pattern.is_json(),
        budget: Budget(Cell::new(MOST_COMPARED)),
        found: Vec::new(),
    };
    if let Some(tree) = tree {
        check.node(&tree, &Subject::default());
        let beside_native = envelope::Evidence::NativeFields;
        check
            .found
            .extend(envelope::warnings(&tree, pattern.source(), beside_native));
    }
    let span = |found: &Diagnostic| (found.span.start, found.span.end);
    check.found.sort_by_key(span);
    // An alternative that stands before `or` in parentheses is visited once for each of them.
    check
        .found
        .dedup_by(|one, other| one.code == other.code && span(one) == span(other));
    check.found
}

/// As [`check_vocabulary`], for the filter of a rule, which sees events in the native form: also
/// warnings about values that only events have before they are converted.
pub(crate) fn check_rule_vocabulary(pattern: &Pattern) -> Vec<Diagnostic> {
    let mut found = check_vocabulary(pattern);
    if let Some(tree) = pattern.spanned() {
        let values = envelope::Evidence::Values;
        found.extend(envelope::warnings(&tree, pattern.source(), values));
    }
    found.sort_by_key(|found| (found.span.start, found.span.end));
    found
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

/// Looks up a path of the events that a filter selects.
pub(crate) fn field_name(pattern: &Pattern, path: &str) -> FieldName {
    let budget = Budget(Cell::new(MOST_COMPARED));
    let subject = pattern
        .spanned()
        .map_or_else(Subject::default, |tree| Subject::of(&tree, &budget));
    // What the path itself says about the events counts too, as if the filter named it.
    match paths::lookup(path, &budget) {
        paths::Lookup::Known => FieldName::Known,
        paths::Lookup::Misspelt(meant) if !subject.is_other() && meant.is_likely(&subject) => {
            FieldName::Misspelt(meant.path)
        }
        _ => FieldName::Unknown,
    }
}

/// How many comparisons with the whole catalogue are left.
struct Budget(Cell<usize>);

struct Check<'s> {
    source: &'s str,
    is_json: bool,
    budget: Budget,
    found: Vec<Diagnostic>,
}

impl Budget {
    /// Takes one comparison; false if none is left.
    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

impl Check<'_> {
    /// Checks a node in a conjunction with others that are about `subject`.
    fn node(&mut self, node: &SpannedNode, subject: &Subject) {
        let subject = subject.clone().and(Subject::of(node, &self.budget));
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
        let lookup = paths::lookup(path, &self.budget);
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
            let is_value = |one: &values::Literal| values::is_known(one, known, &self.budget);
            let confirmed = literals.iter().any(is_value);
            let Some(finding) = paths::finding(meant, field, self, subject, confirmed) else {
                return;
            };
            self.found.push(finding);
        }
        for literal in &literals {
            self.found
                .extend(values::finding(literal, known, subject, &self.budget));
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

#[cfg(test)]
mod tests;
