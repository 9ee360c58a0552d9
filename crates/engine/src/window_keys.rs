//! The keys of a rule file that describe its time window, before their filters and scripts are
//! compiled.

mod durations;
mod expected;
mod requirements;
mod shapes;

use reflexarc_diagnostic::toml::{DeValue, EmbeddedText, Spanned, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::Json;
use reflexarc_reaction::VariableScope;

use self::durations::{DAY, MAX_FORGET, MAX_SPAN, SECOND};
use crate::RuleSetLimits;
use crate::event_key::EventKey;
use crate::lookup::{Lookups, RowPath};
use crate::rule_file::RuleReader;
use crate::window::{Micros, Shape};

/// The kind of a rule's time window: the key that describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WindowKind {
    /// `count`: so many events in a time.
    Count,
    /// `followed_by`: events in an order.
    FollowedBy,
    /// `not_followed_by`: an event without the one that should follow.
    NotFollowedBy,
    /// `absent_for`: no event for so long.
    AbsentFor,
    /// `batch`: one reaction for many events.
    Batch,
}

/// What a rule file says about its window.
#[derive(Debug, Clone)]
pub(crate) struct WindowKeys {
    pub(crate) kind: WindowKind,
    /// The location of the key's value.
    pub(crate) span: Span,
    /// `None` after a fault, which was reported.
    pub(crate) shape: Option<Shape>,
    pub(crate) steps: Vec<StepKeys>,
    pub(crate) until: Option<EmbeddedText>,
    pub(crate) distinct: Option<EventKey>,
    pub(crate) expected: Vec<Json>,
    pub(crate) resolved: Option<ResolvedKey>,
    pub(crate) grace: Micros,
    pub(crate) settle: Micros,
    pub(crate) forget: Micros,
    pub(crate) max_pending: usize,
}

/// A step of `followed_by`, or what `not_followed_by` waits for.
#[derive(Debug, Clone)]
pub(crate) struct StepKeys {
    /// `None` after a fault, which was reported.
    pub(crate) when: Option<EmbeddedText>,
    pub(crate) by: Option<EventKey>,
}

/// `resolved`.
#[derive(Debug, Clone)]
pub(crate) enum ResolvedKey {
    Script(EmbeddedText),
    /// A message to the targets of `notify`.
    Message {
        title: Option<EmbeddedText>,
        text: Option<EmbeddedText>,
    },
}

/// `max_pending` of a rule that does not set it.
const MAX_PENDING: usize = 100_000;
/// The highest `max_pending`: as many matches take gigabytes.
const MOST_PENDING: u64 = 10_000_000;
/// `forget` of a rule that does not set it; for `absent_for`, how many times its duration.
const FORGET: Micros = 30 * DAY;
const FORGET_ABSENT: Micros = 7;

impl WindowKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Count,
        Self::FollowedBy,
        Self::NotFollowedBy,
        Self::AbsentFor,
        Self::Batch,
    ];

    /// The key of rule files.
    ///
    /// ```
    /// assert_eq!(reflexarc::WindowKind::NotFollowedBy.key(), "not_followed_by");
    /// ```
    pub fn key(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::FollowedBy => "followed_by",
            Self::NotFollowedBy => "not_followed_by",
            Self::AbsentFor => "absent_for",
            Self::Batch => "batch",
        }
    }
}

impl WindowKeys {
    /// The variables of `then` and of the templates of `message`; `by` is that of the rule.
    pub(crate) fn scope(&self, by: Option<&EventKey>) -> VariableScope {
        VariableScope::Window {
            event_may_be_missing: self.may_lack_event(by),
        }
    }

    /// The variables of `resolved`; `by` is that of the rule.
    pub(crate) fn resolved_scope(&self, by: Option<&EventKey>) -> VariableScope {
        VariableScope::Resolved {
            event_may_be_missing: self.may_lack_event(by),
            // What resolves a count is that no event comes.
            closing_may_be_missing: self.kind == WindowKind::Count,
        }
    }

    /// Whether the rule may react before any event has come.
    fn may_lack_event(&self, by: Option<&EventKey>) -> bool {
        // With `by` a key is only known from an event or from `expect`; `by = []` is one key.
        let has_keys = by.is_some_and(|by| !by.paths().is_empty());
        let is_known_from_event = has_keys && self.expected.is_empty();
        self.kind == WindowKind::AbsentFor && !is_known_from_event
    }

    /// Reads the keys at the top of a rule that are about its window, `by` excepted. `None` if it
    /// has no window.
    pub(crate) fn read(reader: &RuleReader<'_>) -> Option<Self> {
        let root = reader.root;
        // All of them are read even where one is enough, so that each is a known key, and the
        // faults in each are reported.
        let mut shapes: Vec<_> = WindowKind::ALL
            .into_iter()
            .filter(|kind| root.has(kind.key()))
            .map(|kind| shapes::read(reader, kind))
            .collect();
        // In the order of the file: the first one is what the author began with.
        shapes.sort_by_key(|shape| root.span_of(shape.kind.key()).start);
        let until = root.embedded("until");
        let resolved = read_resolved(reader);
        let grace = durations::duration_or_zero(root, "grace", MAX_SPAN);
        let settle = durations::duration(root, "settle", MAX_SPAN);
        let forget = durations::duration(root, "forget", MAX_FORGET);
        let max_pending = root.integer("max_pending", 1..=MOST_PENDING);
        let max_pending = max_pending.unwrap_or(MAX_PENDING);
        let expected = expected::read(reader, max_pending);
        let kinds: Vec<WindowKind> = shapes.iter().map(|shape| shape.kind).collect();
        requirements::report(reader, &kinds);
        let first = shapes.into_iter().next()?;
        let forget = forget.unwrap_or(match &first.shape {
            Some(Shape::Silence(silence)) => silence.duration.saturating_mul(FORGET_ABSENT),
            _ => FORGET,
        });
        Some(Self {
            kind: first.kind,
            span: root.span_of(first.kind.key()),
            shape: first.shape,
            steps: first.steps,
            until,
            distinct: first.distinct,
            expected,
            resolved,
            grace: grace.unwrap_or(10 * SECOND),
            settle: settle.unwrap_or(60 * SECOND),
            forget,
            max_pending,
        })
    }
}

/// `by` of a table: paths, or none where all events belong together.
pub(crate) fn read_by(
    table: &TableReader<'_>,
    key: &str,
    lookups: &Lookups,
    limits: &RuleSetLimits,
) -> Option<EventKey> {
    let paths = table.strings(key)?;
    if paths.len() > limits.key_paths {
        let message = format!(
            "`{key}` has {} paths, more than the {} allowed",
            paths.len(),
            limits.key_paths
        );
        table.fault(key, Code::RULE_LIMIT, message, "remove some of them");
        return None;
    }
    for (at, path) in paths.iter().enumerate() {
        let is_repeated = paths[..at].iter().any(|other| other.text() == path.text());
        let message = match path.text() {
            "" => "empty path".to_owned(),
            text if is_repeated => format!("duplicate path `{text}`"),
            _ => continue,
        };
        let fault = Diagnostic::error(Code::RULE_VALUE, path.span(), message);
        table.report(fault.with_help("name each field once, for example \"content.eniId\""));
        return None;
    }
    row_paths(table, paths, lookups).map(EventKey::new)
}

/// The paths of a key, each with the column of a lookup that it names, if any. `None` after a
/// fault, which is reported.
pub(crate) fn row_paths(
    table: &TableReader<'_>,
    paths: Vec<EmbeddedText>,
    lookups: &Lookups,
) -> Option<Vec<(EmbeddedText, Option<RowPath>)>> {
    let mut found = Vec::new();
    let paths = paths.into_iter().map(|path| match lookups.row_path(&path) {
        Ok(row_path) => Some((path, row_path)),
        Err(error) => {
            found.push(*error);
            None
        }
    });
    // All are looked at before the first fault ends it.
    let paths: Vec<Option<_>> = paths.collect();
    for error in found {
        table.report(error);
    }
    paths.into_iter().collect()
}

fn read_resolved(reader: &RuleReader<'_>) -> Option<ResolvedKey> {
    let root = reader.root;
    let value = root.lookup("resolved");
    if root.is_recording() {
        root.embedded("resolved");
    } else {
        value?;
    }
    match value.map(Spanned::get_ref) {
        Some(DeValue::Table(_)) | None => {
            let table = root.table("resolved")?;
            let (title, text) = (table.embedded("title"), table.embedded("text"));
            reader.misplaced.allow(&table);
            table.finish();
            if !reader.has("notify") {
                root.fault(
                    "resolved",
                    Code::RULE_CONFLICT,
                    "`resolved` as a table needs `notify`, whose targets get the message",
                    "write a script: resolved = '''notify(\"a-target\", \"a text\")'''",
                );
            }
            Some(ResolvedKey::Message { title, text })
        }
        Some(DeValue::String(_)) => root.embedded("resolved").map(ResolvedKey::Script),
        Some(_) => {
            root.fault(
                "resolved",
                Code::RULE_TYPE,
                "`resolved`: expected a script or a table",
                "write a script, or { title = \"…\", text = \"…\" } beside `notify`",
            );
            None
        }
    }
}
