//! Rules compiled together.

mod answer;
mod evaluation;
mod load;
mod prepared;
pub(crate) mod timeline;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::{Diagnostic, FileDiagnostics};
use reflexarc_event::Limits as EventLimits;
use reflexarc_pattern::{Matcher, Node};
use reflexarc_reaction::ReactionLimits;

pub use self::evaluation::Matched;
pub use self::prepared::PreparedEvaluation;
pub use self::timeline::{DueEvaluation, LiveWindow};
use crate::ahead_history::AheadHistory;
use crate::rule::Rule;
use crate::tables::UsedTables;
use crate::window::Roles;
use crate::{RuleSetLimits, Tables, content_hash, folder, inhibition, overlap};

/// Rules compiled together: immutable, cheap to clone, shared between threads. A reload makes a new
/// set.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([
///     ("b.toml", "when = 'id exists'\nnotify = ['team']"),
///     ("a.toml", "when = 'id == 1'\nnotify = ['team']"),
/// ])?;
/// assert!(rules.rules().map(|rule| rule.name()).eq(["a", "b"]));
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
#[derive(Debug, Clone)]
pub struct RuleSet {
    inner: Arc<Inner>,
    /// Event files that tests use instead of those on the disk.
    event_files: Arc<BTreeMap<EventFile, Vec<u8>>>,
}

/// The path of a rule file, and the name of a file beside it from which a test reads an event: see
/// [`RuleSet::with_event_files`].
pub type EventFile = (String, String);

#[derive(Debug)]
struct Inner {
    /// By name; the matcher's ids are positions here.
    rules: Vec<Arc<Rule>>,
    /// What the matcher's further ids stand for: the filters of time windows after `when`, each
    /// with the position of its rule.
    steps: Vec<(u32, Roles)>,
    /// Whether the rules are tested, disabled ones too.
    is_test: bool,
    /// The positions of active rules that wait before any event has come.
    armed: Vec<usize>,
    matcher: Matcher,
    /// Computed when they are first read.
    warnings: OnceLock<Vec<FileDiagnostics>>,
    /// About files that were found with the rules and are not read.
    folder_warnings: Vec<FileDiagnostics>,
    /// About tables that no rule uses.
    unused_tables: Vec<FileDiagnostics>,
    tables: Tables,
    /// Computed when it is first read.
    hash: OnceLock<String>,
    limits: RuleSetLimits,
    reaction_limits: ReactionLimits,
    history: AheadHistory,
}

impl RuleSet {
    /// The matcher of all the rules, for events in native form. Its ids are positions in
    /// [`RuleSet::rules`]; higher ones are filters of time windows that are not `when`, see
    /// [`RuleSet::position_of_filter`].
    pub fn matcher(&self) -> &Matcher {
        &self.inner.matcher
    }

    /// The position in [`RuleSet::rules`] of the rule that has the filter with this id of
    /// [`RuleSet::matcher`]; `None` if no rule has it.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rules = RuleSet::compile([("a.toml", r#"
    ///     when = 'status == "detached"'
    ///     not_followed_by = { when = 'status == "attached"', within = "30m" }
    ///     notify = ["team"]
    /// "#)])?;
    /// let positions = [0, 1, 2].map(|id| rules.position_of_filter(id));
    /// assert_eq!(positions, [Some(0), Some(0), None], "`when`, then the awaited event");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn position_of_filter(&self, id: u32) -> Option<u32> {
        self.inner.position_of(id)
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.inner.rules.len()
    }

    /// Whether the set has no rules.
    pub fn is_empty(&self) -> bool {
        self.inner.rules.is_empty()
    }

    /// The rules, by name.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.inner.rules.iter().map(AsRef::as_ref)
    }

    /// The rule of that name.
    ///
    /// ```
    /// let files = [("rules/network/failed.toml", "when = 'id exists'\nnotify = ['team']")];
    /// let rules = reflexarc::RuleSet::compile(files)?;
    /// assert!(rules.get("failed").is_some(), "the stem of the file is the name");
    /// assert!(rules.get("network/failed").is_none());
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&Rule> {
        // The rules are sorted by name, so no index of names is needed.
        let at = self
            .inner
            .rules
            .binary_search_by(|rule| rule.name().cmp(name))
            .ok()?;
        Some(&self.inner.rules[at])
    }

    /// The warnings about the rules, file by file, in the order of the rules. They are computed
    /// when they are first read, which takes longer than compiling.
    ///
    /// ```
    /// let rules = reflexarc::RuleSet::compile([("a.toml", "when = 'id exists'")])?;
    /// let warning = &rules.warnings()[0].diagnostics[0];
    /// assert_eq!(warning.message, "this rule has no reaction");
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn warnings(&self) -> &[FileDiagnostics] {
        self.inner.warnings.get_or_init(|| {
            let file = |rule: &Rule| FileDiagnostics {
                name: rule.file().to_owned(),
                text: rule.text().to_owned(),
                diagnostics: rule.warnings(),
            };
            let files = self.rules().map(file);
            let files = files.filter(|file| !file.diagnostics.is_empty());
            let others = [&self.inner.folder_warnings, &self.inner.unused_tables];
            let files = files.chain(inhibition::warnings(self));
            files.chain(others.into_iter().flatten().cloned()).collect()
        })
    }

    /// The lookup tables.
    pub fn tables(&self) -> &Tables {
        &self.inner.tables
    }

    /// A hash of the rules and tables: sets with the same hash evaluate every event alike, with the
    /// same limits and the same version of this library. It is the SHA-256, in hexadecimal, of the
    /// names and texts of the rule files and tables, without their folders and in any order.
    /// Computed when it is first read.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rule = "when = 'id exists'\nnotify = ['team']";
    /// let hash = |files: [(&str, &str); 2]| RuleSet::compile(files).map(|rules| rules.hash());
    /// let first = hash([("rules/a.toml", rule), ("rules/b.toml", rule)])?;
    /// assert_eq!(first.len(), 64);
    /// assert_eq!(first, hash([("b.toml", rule), ("a.toml", rule)])?);
    /// assert_ne!(first, hash([("b.toml", rule), ("c.toml", rule)])?);
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn hash(&self) -> String {
        let hash = self.inner.hash.get_or_init(|| {
            let rules = self.rules().map(|rule| {
                let name = if rule.file().is_empty() {
                    rule.name()
                } else {
                    rule.file()
                };
                ("rule", name, rule.text())
            });
            let tables = self.inner.tables.files();
            let tables = tables.map(|(file, text)| ("table", file, text));
            content_hash::of_files(rules.chain(tables))
        });
        hash.clone()
    }

    /// Hints about rules that can match only what another rule with the same target matches, file
    /// by file. Rules with more than `compared_rules` pairs of [`RuleSetLimits`] are not all
    /// compared.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rules = RuleSet::compile([
    ///     ("all.toml", "when = 'level exists'\nnotify = 'team'"),
    ///     ("warn.toml", "when = 'level == \"WARN\"'\nnotify = 'team'"),
    /// ])?;
    /// let hints = rules.overlaps();
    /// assert_eq!((hints.len(), hints[0].name.as_str()), (1, "warn.toml"));
    /// # Ok::<(), reflexarc::InvalidFiles>(())
    /// ```
    pub fn overlaps(&self) -> Vec<FileDiagnostics> {
        // A disabled rule sends nothing twice, and one that waits does not react to each event.
        let reacts = |rule: &&Rule| rule.enabled() && rule.window.is_none();
        let rules: Vec<&Rule> = self.rules().filter(reacts).collect();
        overlap::hints(&rules, &self.inner.limits)
    }

    /// The contents of the event files that tests refer to, as far as they can be read. Together
    /// with the rule files they are all that the tests need.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// std::fs::write(folder.join("event.json"), r#"{"id": 1}"#)?;
    /// std::fs::write(folder.join("a.toml"), r#"
    ///     when = 'id exists'
    ///     notify = ["team"]
    ///     [[test]]
    ///     name = "an event with an id matches"
    ///     event_file = "event.json"
    ///     matches = true
    /// "#)?;
    /// let rules = reflexarc::RuleSet::load(folder)?;
    /// assert!(rules.event_files().into_values().eq([br#"{"id": 1}"#.to_vec()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_files(&self) -> BTreeMap<EventFile, Vec<u8>> {
        let named = self
            .inner
            .rules
            .iter()
            .flat_map(|rule| rule.event_files().map(move |name| (rule, name)));
        // What cannot be read is left out: its test will report it.
        let read = named.filter_map(|(rule, name)| {
            let bytes = self.event_file(rule, name).ok()?.into_owned();
            Some(((rule.file().to_owned(), name.to_owned()), bytes))
        });
        read.collect()
    }

    /// The same rules, whose tests use these event files instead of those on the disk.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use reflexarc::RuleSet;
    ///
    /// let rules = RuleSet::compile([("a.toml", r#"
    ///     when = 'id exists'
    ///     notify = ["team"]
    ///     [[test]]
    ///     name = "an event with an id matches"
    ///     event_file = "event.json"
    ///     matches = true
    /// "#)])?;
    /// let file = ("a.toml".to_owned(), "event.json".to_owned());
    /// let rules = rules.with_event_files(BTreeMap::from([(file, br#"{"id": 1}"#.to_vec())]));
    /// assert!(rules.test("")[0].tests[0].passed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_event_files(self, event_files: BTreeMap<EventFile, Vec<u8>>) -> Self {
        Self {
            event_files: Arc::new(event_files),
            ..self
        }
    }

    /// The rules, by name.
    pub(crate) fn shared_rules(&self) -> &[Arc<Rule>] {
        &self.inner.rules
    }

    /// A set of one of the rules.
    pub(crate) fn only(&self, rule: &Arc<Rule>) -> Self {
        Self {
            inner: Arc::new(Inner {
                rules: vec![Arc::clone(rule)],
                steps: step_roles([rule]),
                is_test: true,
                armed: armed_rules(std::slice::from_ref(rule), true),
                matcher: Matcher::build(
                    [rule.pattern().node()]
                        .into_iter()
                        .chain(step_nodes([rule], true)),
                )
                .expect("a rule of a larger set is within the limits"),
                warnings: OnceLock::from(Vec::new()),
                folder_warnings: Vec::new(),
                unused_tables: Vec::new(),
                tables: self.inner.tables.clone(),
                hash: OnceLock::new(),
                limits: self.inner.limits,
                reaction_limits: self.inner.reaction_limits,
                history: AheadHistory::new(1),
            }),
            event_files: Arc::clone(&self.event_files),
        }
    }

    /// A rule of this set as it is with other tables.
    ///
    /// # Errors
    /// If it is invalid with them, with all that is found.
    pub(crate) fn recompile(&self, rule: &Rule, tables: &Tables) -> Result<Rule, Vec<Diagnostic>> {
        let (name, file) = (rule.name().to_owned(), rule.file().to_owned());
        let limits = Arc::new(self.inner.limits);
        let used = UsedTables::new(tables, &limits);
        Rule::compile(name, file, rule.text(), &used, &self.inner.reaction_limits)
    }

    /// The bytes of an event file.
    pub(crate) fn event_file(&self, rule: &Rule, name: &str) -> Result<Cow<'_, [u8]>, String> {
        // Given files win over the disk: a set that was pickled in Python and read on another
        // machine carries them.
        match self
            .event_files
            .get(&(rule.file().to_owned(), name.to_owned()))
        {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => {
                folder::read_beside(rule.file(), name, EventLimits::DEFAULT.bytes).map(Cow::Owned)
            }
        }
    }
}

impl Inner {
    /// The rule that an id of the matcher belongs to.
    fn rule_of(&self, id: u32) -> Option<&Rule> {
        Some(self.rules.get(self.position_of(id)? as usize)?.as_ref())
    }

    /// The position of the rule that an id of the matcher belongs to.
    fn position_of(&self, id: u32) -> Option<u32> {
        let at = id as usize;
        match at.checked_sub(self.rules.len()) {
            None => Some(id),
            Some(step) => Some(self.steps.get(step)?.0),
        }
    }
}

/// The filters of the time windows of rules that are not their `when`, in the order of the rules.
/// Those of disabled rules match nothing, except in tests.
fn step_nodes<'r>(
    rules: impl IntoIterator<Item = &'r Arc<Rule>>,
    is_test: bool,
) -> impl Iterator<Item = &'r Node> {
    rules
        .into_iter()
        .flat_map(move |rule| rule.step_nodes(is_test))
}

/// The position of the rule of each of [`step_nodes`], and what the filter is to its window.
fn step_roles<'r>(rules: impl IntoIterator<Item = &'r Arc<Rule>>) -> Vec<(u32, Roles)> {
    let rules = rules.into_iter().zip(0..);
    let roles = rules.flat_map(|(rule, position)| {
        let roles = rule.step_roles();
        roles.into_iter().map(move |roles| (position, roles))
    });
    roles.collect()
}

/// The positions of the rules with a window that begins before any event. Disabled ones wait only
/// in tests.
fn armed_rules(rules: &[Arc<Rule>], is_test: bool) -> Vec<usize> {
    let waits = |rule: &Rule| {
        let window = rule.window.as_ref();
        (rule.enabled || is_test)
            && window.is_some_and(|window| window.window.begins_without_event())
    };
    let rules = rules.iter().enumerate();
    rules
        .filter(|(_, rule)| waits(rule))
        .map(|(at, _)| at)
        .collect()
}
