//! Rules compiled together.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use reflexarc_diagnostic::{Code, FileDiagnostics, InvalidFiles};
use reflexarc_event::{Limits as EventLimits, NativeEvent};
use reflexarc_pattern::explain::Explanation;
use reflexarc_pattern::{BuildError, Matcher, Pattern, Scratch};
use reflexarc_reaction::{ReactionLimits, State, Stopwatch};

use crate::evaluate::{self, Context, Found};
use crate::explain::explain_native;
use crate::filter_search::{FilterBudget, Undecided};
use crate::rule::{Rule, whole_file};
use crate::{Evaluation, Failure, ReactionBudget, RuleSetLimits, filter_search, folder, overlap};

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
    matcher: Matcher,
    /// Computed when they are first read.
    warnings: OnceLock<Vec<FileDiagnostics>>,
    limits: RuleSetLimits,
    reaction_limits: ReactionLimits,
}

/// The rules that match one event, as positions in [`RuleSet::rules`], ascending. Matching needs
/// neither state nor time, so it can be done on any thread before the event is evaluated.
///
/// ```
/// use reflexarc::{NativeEvent, RuleSet};
///
/// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
/// let matched = rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?);
/// assert!(matched.is_match());
/// assert_eq!(matched.ids(), [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    ids: Vec<u32>,
    /// Positions of rules that could not be compared with the event, and why.
    undecided: Vec<Undecided>,
}

/// What watches an evaluation.
#[derive(Default)]
struct Watch<'a> {
    stopwatch: Option<Stopwatch<'a>>,
    budget: Option<&'a dyn ReactionBudget>,
    trace: Option<&'a RefCell<BTreeSet<usize>>>,
}

thread_local! {
    /// The matcher's working memory, reused so that matching allocates nothing once it has grown.
    /// Nothing in it outlives the matching of one event.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl RuleSet {
    /// Reads and compiles one rule file, or a folder of them: every `*.toml` in it, recursively.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// std::fs::write(folder.join("failed.toml"), "when = 'id exists'\nnotify = ['team']")?;
    ///
    /// let rules = reflexarc::RuleSet::load(folder)?;
    /// assert!(rules.get("failed").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InvalidFiles> {
        Self::load_all(&[path])
    }

    /// Reads and compiles several files and folders as one set, as [`RuleSet::load`] does.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// let error = reflexarc::RuleSet::load_all(&["no/such/folder", "no/such/rule.toml"])
    ///     .expect_err("neither exists");
    /// assert_eq!(error.files().len(), 2);
    /// ```
    pub fn load_all<P: AsRef<Path>>(paths: &[P]) -> Result<Self, InvalidFiles> {
        Self::load_with(paths, Vec::new())
    }

    /// As [`RuleSet::load_all`], with further rules that are given as path and text.
    ///
    /// # Errors
    /// With the diagnostics of each file and text that has an error, its warnings included.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let text = "when = 'id exists'\nnotify = ['team']";
    /// std::fs::write(folder.join("a.toml"), text)?;
    /// let rules = reflexarc::RuleSet::load_with(&[folder], vec![("b.toml".into(), text.into())])?;
    /// assert_eq!(rules.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_with<P: AsRef<Path>>(
        paths: &[P],
        texts: Vec<(String, String)>,
    ) -> Result<Self, InvalidFiles> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        // A file that cannot be read does not hide the errors of the others.
        let (mut files, mut unreadable) = folder::read(&paths, &RuleSetLimits::DEFAULT);
        files.extend(texts);
        match Self::compile(files) {
            Ok(rules) if unreadable.is_empty() => Ok(rules),
            Ok(_) => Err(InvalidFiles::new(unreadable)),
            Err(invalid) => {
                unreadable.extend(invalid.into_files());
                Err(InvalidFiles::new(unreadable))
            }
        }
    }

    /// The paths and texts of the rule files that [`RuleSet::load_all`] reads, without compiling
    /// them; files that cannot be read are left out.
    pub fn read_texts<P: AsRef<Path>>(paths: &[P]) -> Vec<(String, String)> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        folder::read(&paths, &RuleSetLimits::DEFAULT).0
    }

    /// The paths of the rule files that [`RuleSet::load_all`] reads, sorted, and the diagnostics of
    /// files and folders that do not exist or cannot be listed. No file is read.
    ///
    /// ```
    /// let (files, missing) = reflexarc::RuleSet::find_files(&["no/such/folder"]);
    /// assert_eq!((files.len(), missing.len()), (0, 1));
    /// ```
    pub fn find_files<P: AsRef<Path>>(paths: &[P]) -> (Vec<PathBuf>, Vec<FileDiagnostics>) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        folder::find(&paths, &RuleSetLimits::DEFAULT)
    }

    /// Compiles rule files given as path and text; the stem of the path is the rule's name.
    ///
    /// # Errors
    /// With the diagnostics of each file that has an error, its warnings included.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let error = RuleSet::compile([("a.toml", "when = 'id = 1'\nnotify = ['team']")])
    ///     .expect_err("`=` is not an operator");
    /// assert_eq!(error.diagnostics().count(), 1);
    /// assert!(error.to_string().contains("a.toml:1:"));
    /// ```
    pub fn compile<N, T>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        Self::compile_with_limits(files, &RuleSetLimits::DEFAULT, &ReactionLimits::DEFAULT)
    }

    /// As [`RuleSet::compile`], with other limits.
    ///
    /// # Errors
    /// As [`RuleSet::compile`].
    pub fn compile_with_limits<N, T>(
        files: impl IntoIterator<Item = (N, T)>,
        limits: &RuleSetLimits,
        reaction_limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let files = files.into_iter();
        let files: Vec<(String, String)> = files
            .map(|(name, text)| (name.into(), text.into()))
            .collect();
        Self::compile_files(files, limits, reaction_limits)
    }

    // Not generic, as otherwise each caller's crate would compile it again.
    fn compile_files(
        files: Vec<(String, String)>,
        limits: &RuleSetLimits,
        reaction_limits: &ReactionLimits,
    ) -> Result<Self, InvalidFiles> {
        let mut rules = Vec::new();
        let limits = &Arc::new(*limits);
        // All files are compiled before the first error is returned.
        let mut found = Vec::new();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files {
            // `rules/network/failed.toml` is the rule `failed`: folders are for people, and a rule
            // can be moved between them without a new name, which would be a new state.
            let name = stem(&file);
            let (rule, mut diagnostics) = if text.len() > limits.file_bytes {
                let message = format!(
                    "the file has {} bytes, more than the {} allowed",
                    text.len(),
                    limits.file_bytes
                );
                (None, vec![whole_file(Code::RULE_LIMIT, &text, message)])
            } else {
                match Rule::compile(name.clone(), file.clone(), &text, limits, reaction_limits) {
                    Ok(rule) => (Some(rule), Vec::new()),
                    Err(found) => (None, found),
                }
            };
            if let Some(first) = names.insert(name.clone(), file.clone()) {
                let message = format!("duplicate rule name `{name}`: {first} and {file}");
                let duplicate = whole_file(Code::DUPLICATE_RULE, &text, message);
                diagnostics.insert(
                    0,
                    duplicate.with_help(
                        "the stem of its file is the name of a rule; rename one of the files",
                    ),
                );
            }
            // Reported once, at the first rule beyond the limit.
            if names.len() == limits.rules + 1 {
                let message = format!("too many rules: more than the {} allowed", limits.rules);
                diagnostics.push(whole_file(Code::RULE_LIMIT, &text, message));
            }
            if !diagnostics.is_empty() {
                diagnostics.extend(rule.iter().flat_map(Rule::warnings));
                found.push(FileDiagnostics {
                    name: file,
                    text,
                    diagnostics,
                });
            }
            rules.extend(rule.map(Arc::new));
        }
        if !found.is_empty() {
            return Err(InvalidFiles::new(found));
        }
        // By name, not by path or in the order given: positions are the matcher's ids, and rules
        // react in this order, so the same rules must always come in the same one.
        rules.sort_by(|a, b| a.name().cmp(b.name()));
        let matcher =
            Matcher::build(rules.iter().map(|rule| rule.matched_node())).map_err(|error| {
                let message = format!("the rules are too large together: {error}");
                InvalidFiles::from(FileDiagnostics {
                    name: "the rule set".to_owned(),
                    text: String::new(),
                    diagnostics: vec![whole_file(Code::RULE_LIMIT, "", message)],
                })
            })?;
        let inner = Inner {
            rules,
            matcher,
            warnings: OnceLock::new(),
            limits: **limits,
            reaction_limits: *reaction_limits,
        };
        Ok(Self {
            inner: Arc::new(inner),
            event_files: Arc::default(),
        })
    }

    /// A set of filters without reactions, each with a name. The rules are in the order of the
    /// names; of two filters with the same name the later one counts.
    ///
    /// # Errors
    /// When the filters together exceed the size that a matcher may have.
    ///
    /// ```
    /// use reflexarc::{Dialect, NativeEvent, Pattern, RuleSet};
    ///
    /// let pattern = Pattern::parse(r#"{"id": [1]}"#, Dialect::Aws)?;
    /// let rules = RuleSet::from_patterns([("one".to_owned(), pattern)])?;
    /// assert!(rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?).is_match());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_patterns(
        patterns: impl IntoIterator<Item = (String, Pattern)>,
    ) -> Result<Self, BuildError> {
        Self::from_named(patterns.into_iter().collect())
    }

    fn from_named(patterns: BTreeMap<String, Pattern>) -> Result<Self, BuildError> {
        let rules: Vec<_> = patterns
            .into_iter()
            .map(|(name, pattern)| Arc::new(Rule::bare(name, pattern)))
            .collect();
        let matcher = Matcher::build(rules.iter().map(|rule| rule.pattern().node()))?;
        let (limits, reaction_limits) = (RuleSetLimits::DEFAULT, ReactionLimits::DEFAULT);
        let inner = Inner {
            rules,
            matcher,
            warnings: OnceLock::from(Vec::new()),
            limits,
            reaction_limits,
        };
        Ok(Self {
            inner: Arc::new(inner),
            event_files: Arc::default(),
        })
    }

    /// The matcher of all the rules, for events in native form; its ids are positions in
    /// [`RuleSet::rules`].
    pub fn matcher(&self) -> &Matcher {
        &self.inner.matcher
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
            files.filter(|file| !file.diagnostics.is_empty()).collect()
        })
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
        // A disabled rule sends nothing twice.
        let rules: Vec<&Rule> = self.rules().filter(|rule| rule.enabled()).collect();
        overlap::hints(&rules, &self.inner.limits)
    }

    /// Finds the rules that match an event.
    pub fn matching(&self, event: &NativeEvent) -> Matched {
        let mut ids = Vec::new();
        // One scratch space a thread and not one a rule set: a reload would start with an empty
        // one.
        let undecided = SCRATCH.with_borrow_mut(|scratch| {
            let matcher = &self.inner.matcher;
            matcher.matching(event.event(), scratch, &mut ids);
            // Nearly always empty, and then nothing is allocated.
            let undecided = scratch.undecided().iter();
            undecided.map(|id| filter_search::too_long(*id)).collect()
        });
        Matched { ids, undecided }
    }

    /// As [`RuleSet::matching`], with what each rule may consume over many events: where only a
    /// search over the elements of arrays can decide a filter, it takes up to some milliseconds,
    /// which count like those of a reaction.
    pub fn matching_within(&self, event: &NativeEvent, budget: &dyn ReactionBudget) -> Matched {
        let mut ids = Vec::new();
        let filters = FilterBudget::new(&self.inner.rules, budget);
        let undecided = SCRATCH.with_borrow_mut(|scratch| {
            let matcher = &self.inner.matcher;
            matcher.matching_within(event.event(), &filters, scratch, &mut ids);
            filters.reasons(scratch.undecided())
        });
        Matched { ids, undecided }
    }

    /// The rules that [`RuleSet::matching`] of this set found, by name. Positions that the set does
    /// not have are ignored.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
    /// let matched = rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?);
    /// assert!(rules.matched_rules(&matched).map(|rule| rule.name()).eq(["a"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matched_rules(&self, matched: &Matched) -> impl Iterator<Item = &Rule> {
        // `get`, because after a reload a caller may still hold the positions of the previous set.
        let rules = matched.ids().iter();
        rules.filter_map(|id| self.inner.rules.get(*id as usize).map(AsRef::as_ref))
    }

    /// Evaluates an event: runs the reactions of the rules that match it, and of those that match
    /// what they emit. The same event, state and time always give the same evaluation.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let text = "when = 'id exists'\nthen = 'send(\"inventory\", event.id)'";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
    /// let action = &evaluation.rules[0].actions[0];
    /// assert_eq!(action.to_json().to_string(), r#"{"target":"inventory","send":7}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate(&self, event: &NativeEvent, state: &dyn State, now: Timestamp) -> Evaluation {
        self.evaluate_matched(event, &self.matching(event), state, now, None)
    }

    /// As [`RuleSet::evaluate`], for an event that [`RuleSet::matching`] was called for already.
    /// With a stopwatch, each script is held to its deadline.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id exists'\nthen = 'log(1)'")])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let matched = rules.matching(&event);
    /// let start = Instant::now();
    /// let stopwatch = || start.elapsed();
    /// let now = Timestamp::UNIX_EPOCH;
    /// let evaluation = rules.evaluate_matched(&event, &matched, &NoState, now, Some(&stopwatch));
    /// assert_eq!(evaluation.rules.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate_matched(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Option<Stopwatch<'_>>,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch,
            ..Watch::default()
        };
        self.evaluate_in(event, matched, state, now, watch)
    }

    /// As [`RuleSet::evaluate_matched`], with what each rule may consume over many events: see
    /// [`ReactionBudget`].
    pub fn evaluate_within(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Option<Stopwatch<'_>>,
        budget: &dyn ReactionBudget,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch,
            budget: Some(budget),
            trace: None,
        };
        self.evaluate_in(event, matched, state, now, watch)
    }

    /// As [`RuleSet::evaluate_matched`], recording the lines of scripts that ran.
    pub(crate) fn evaluate_traced(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        trace: &RefCell<BTreeSet<usize>>,
    ) -> Evaluation {
        let watch = Watch {
            trace: Some(trace),
            ..Watch::default()
        };
        self.evaluate_in(event, matched, state, now, watch)
    }

    /// Why a rule matches an event or not; `None` if no rule has that name.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let explanation = rules.explain(&event, "a").ok_or("no such rule")?;
    /// assert!(!explanation.matched());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, event: &NativeEvent, rule: &str) -> Option<Explanation> {
        let rule = self.get(rule)?;
        Some(explain_native(rule.pattern().node(), event))
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
                matcher: Matcher::build([rule.pattern().node()])
                    .expect("a rule of a larger set is within the limits"),
                warnings: OnceLock::from(Vec::new()),
                limits: self.inner.limits,
                reaction_limits: self.inner.reaction_limits,
            }),
            event_files: Arc::clone(&self.event_files),
        }
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

    fn evaluate_in(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Evaluation {
        // Emitted events are matched against all rules again, by the same matcher.
        let context = Context {
            matching: &|event| {
                let matched = match watch.budget {
                    None => self.matching(event),
                    Some(budget) => self.matching_within(event, budget),
                };
                self.found(&matched)
            },
            state,
            now,
            stopwatch: watch.stopwatch,
            budget: watch.budget,
            limits: &self.inner.limits,
            reaction_limits: &self.inner.reaction_limits,
            trace: watch.trace,
        };
        evaluate::evaluate(event, self.found(matched), &context)
    }

    fn found(&self, matched: &Matched) -> Found<'_> {
        let failure = |(id, cause, message): &Undecided| {
            let mut failure = Failure::new(self.inner.rules.get(*id as usize)?.name(), message);
            failure.cause = *cause;
            Some(failure)
        };
        Found {
            rules: self.matched_rules(matched).collect(),
            undecided: matched.undecided.iter().filter_map(failure).collect(),
        }
    }
}

impl Matched {
    /// Whether any rule matches.
    pub fn is_match(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether an evaluation has no effects and no failures: no rule matches, and all were compared
    /// with the event.
    pub fn is_nothing(&self) -> bool {
        self.ids.is_empty() && self.undecided.is_empty()
    }

    /// The positions of rules that could not be compared with the event: it would have taken too
    /// long. They do not count as matching, and are failures of an evaluation.
    pub fn undecided(&self) -> impl Iterator<Item = u32> {
        self.undecided.iter().map(|(id, ..)| *id)
    }

    /// The positions in [`RuleSet::rules`], ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The positions, owned.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }
}

fn stem(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(
        || file.to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}
