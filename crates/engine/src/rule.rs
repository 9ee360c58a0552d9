//! One compiled rule.

mod compile;
mod time_window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::{Level, Position};
use reflexarc_pattern::{Dialect, Node, Pattern};
use reflexarc_reaction::{Reaction, ReactionLimits, RuleInfo};

use crate::RuleSetLimits;
use crate::allow::Allowed;
use crate::event_key::EventKey;
use crate::gates::Gates;
use crate::inhibition::Inhibition;
use crate::lookup::Lookups;
use crate::notification::Notification;
use crate::portable::check_pattern;
use crate::reaction_failure::ReactionFailure;
use crate::rule_findings::{RuleFindings, RuleParts};
use crate::rule_test::{RuleTest, TestEvent};
use crate::rule_window::RuleWindow;

/// A rule: a filter and a reaction.
///
/// ```
/// use reflexarc::{Level, RuleSet};
///
/// let rules = RuleSet::compile([("rules/failed.toml", r#"
///     description = "Notify about failures"
///     level = "warn"
///     when = 'content.result == "failed"'
///     notify = ["network-team"]
/// "#)])?;
/// let rule = rules.get("failed").ok_or("no such rule")?;
/// assert_eq!(rule.description(), "Notify about failures");
/// assert_eq!(rule.level(), Level::Warn);
/// assert_eq!(rule.file(), "rules/failed.toml");
/// assert_eq!(rule.pattern().to_expression(), r#"content.result == "failed""#);
/// assert_eq!(rule.report_after(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rule {
    pub(crate) info: RuleInfo,
    pub(crate) enabled: bool,
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    pub(crate) when: EmbeddedText,
    pub(crate) pattern: Pattern,
    pub(crate) response: Response,
    /// The script `answered`.
    pub(crate) answered: Option<Response>,
    pub(crate) lookups: Lookups,
    /// `by`: none where the rule does not have the key, and no paths where it is `[]`.
    pub(crate) by: Option<EventKey>,
    pub(crate) gates: Gates,
    pub(crate) window: Option<Box<RuleWindow>>,
    pub(crate) inhibits: Option<Inhibition>,
    pub(crate) report_after: u32,
    pub(crate) max_entries: usize,
    pub(crate) allowed: Allowed,
    pub(crate) tests: Vec<RuleTest>,
    /// Warnings about the file.
    file_warnings: Box<[Diagnostic]>,
    /// What else is found, when it is first read.
    findings: OnceLock<RuleFindings>,
    limits: Arc<RuleSetLimits>,
}

/// An operation that a rule calls, with its place in the rule's file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCall {
    /// The name of the target.
    pub target: String,
    /// The operation.
    pub operation: String,
    /// The literal of the target, quotes included.
    pub target_span: Span,
    /// The literal of the operation, quotes included.
    pub operation_span: Span,
}

/// What a rule does when it matches.
#[derive(Debug)]
pub(crate) enum Response {
    /// Nothing: only the match is of interest.
    None,
    /// `then`.
    Script {
        reaction: Box<Reaction>,
        source: EmbeddedText,
    },
    /// `notify`.
    Notification(Box<Notification>),
}

impl Response {
    /// Whether it reads the events of a match.
    pub(crate) fn reads_events(&self) -> bool {
        match self {
            Self::None => false,
            Self::Script { reaction, .. } => reaction.reads_events(),
            Self::Notification(notification) => notification.reads_events(),
        }
    }

    /// Whether it reads the row of a lookup.
    pub(crate) fn reads_lookup(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Script { reaction, .. } => reaction.reads_lookup(name),
            Self::Notification(notification) => notification.reads_lookup(name),
        }
    }

    /// Whether it may delay actions.
    fn may_delay(&self) -> bool {
        match self {
            // Also where the word is in a text or comment: to a caller that keeps time, one rule
            // too many costs little, and one too few is a message that never comes.
            Self::Script { source, .. } => source.text().contains("after"),
            Self::None | Self::Notification(_) => false,
        }
    }

    /// The operations that it calls, each with its location in the file.
    pub(crate) fn calls(&self) -> Vec<RuleCall> {
        let Self::Script { reaction, source } = self else {
            return Vec::new();
        };
        let calls = reaction.calls().into_iter();
        calls
            .map(|call| RuleCall {
                target_span: source.locate(&call.target_span),
                operation_span: source.locate(&call.operation_span),
                target: call.target,
                operation: call.operation,
            })
            .collect()
    }

    /// The targets that it names, each with its location in the file.
    fn targets(&self) -> Vec<(String, Span)> {
        match self {
            Self::None => Vec::new(),
            Self::Notification(notification) => notification
                .targets()
                .iter()
                .map(|target| (target.text().to_owned(), target.span()))
                .collect(),
            Self::Script { reaction, source } => reaction
                .targets()
                .into_iter()
                .map(|target| (target.name, source.locate(&target.span)))
                .collect(),
        }
    }
}

/// `report_after` of a rule that does not set it.
const REPORT_AFTER: u32 = 3;

impl Rule {
    /// The rule's name: the stem of its file.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its purpose; empty when the file has none.
    pub fn description(&self) -> &str {
        &self.info.description
    }

    /// The severity of its messages.
    pub fn level(&self) -> Level {
        self.info.level
    }

    /// Whether it is evaluated. A disabled rule matches no event; it is checked and tested.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let text = "enabled = false\nwhen = 'id exists'\nnotify = ['team']";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// assert!(!rules.get("a").ok_or("no such rule")?.enabled());
    /// assert!(!rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?).is_match());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Its labels, by name.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = "labels = { team = 'network' }\nwhen = 'id exists'\nnotify = ['team']";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let labels = rules.get("a").ok_or("no such rule")?.labels();
    /// assert_eq!(labels["team"], "network");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.info.labels
    }

    /// The node that a matcher compiles: the filter, or nothing for a disabled rule.
    pub(crate) fn matched_node(&self) -> &Node {
        // An alternative of none matches nothing. The rule keeps its place in the matcher, whose
        // ids are the positions of rules.
        const NOTHING: &Node = &Node::Any(Vec::new());
        if self.enabled {
            self.pattern.node()
        } else {
            NOTHING
        }
    }

    /// The path of its file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of its file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its filter.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether its scripts may delay actions: where no enabled rule of a set does, nothing waits
    /// for the time to pass, but for time windows.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let script = r#"notify("team", #{ text: "later", after: "5m" })"#;
    /// let rules = RuleSet::compile([
    ///     ("a.toml", format!("when = 'id exists'\nthen = '{script}'")),
    ///     ("b.toml", "when = 'id exists'\nnotify = ['team']".to_owned()),
    /// ])?;
    /// let delaying: Vec<_> = rules.rules().filter(|rule| rule.may_delay()).collect();
    /// assert_eq!((delaying.len(), delaying[0].name()), (1, "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn may_delay(&self) -> bool {
        self.responses().any(Response::may_delay)
    }

    /// The operations that its scripts call, by location in its file.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let script = r#"call("ecs", "DescribeInstances", #{ InstanceId: event.id })"#;
    /// let text = format!("when = 'id exists'\nthen = '{script}'");
    /// let rules = RuleSet::compile([("a.toml", text.as_str())])?;
    /// let calls = rules.get("a").ok_or("no such rule")?.calls();
    /// assert_eq!((calls[0].target.as_str(), calls[0].operation.len()), ("ecs", 17));
    /// assert_eq!(&text[calls[0].operation_span.clone()], "\"DescribeInstances\"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn calls(&self) -> Vec<RuleCall> {
        let mut calls: Vec<_> = self.responses().flat_map(Response::calls).collect();
        calls.sort_by_key(|call| call.target_span.start);
        calls
    }

    /// Whether it has the script `answered`, which gets the answers to its calls.
    pub fn has_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// `then` or `notify`, `resolved` and `answered`.
    fn responses(&self) -> impl Iterator<Item = &Response> {
        let resolved = self
            .window
            .as_ref()
            .and_then(|window| window.resolved.as_ref());
        [Some(&self.response), resolved, self.answered.as_ref()]
            .into_iter()
            .flatten()
    }

    /// What it inhibits while it has an open incident; see [`Inhibition`] for an example.
    pub fn inhibits(&self) -> Option<&Inhibition> {
        self.inhibits.as_ref()
    }

    /// How many consecutive failures are reported, at least 1.
    pub fn report_after(&self) -> u32 {
        self.report_after
    }

    /// How many state entries it may have.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = "state = { max_entries = 500 }\nwhen = 'id exists'\nthen = 'set(event.id, 1)'";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// assert_eq!(rules.get("a").ok_or("no such rule")?.max_entries(), 500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// The targets that its `notify` or its script names, by location in its file. A name that the
    /// script computes can only be seen when it runs.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = "when = 'a exists'\nthen = 'send(\"cmdb\", event); send(event.team, 1);'";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let targets = rules.get("a").ok_or("no such rule")?.targets();
    /// assert_eq!((targets.len(), &text[targets[0].1.clone()]), (1, "\"cmdb\""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn targets(&self) -> Vec<(String, Span)> {
        // `resolved` as a message has the targets of `notify`, which are listed once.
        let is_own = |(index, response): &(usize, &Response)| {
            *index == 0 || !matches!(response, Response::Notification(_))
        };
        let responses = self.responses().enumerate().filter(is_own);
        let targets = responses.flat_map(|(_, response)| response.targets());
        targets.collect()
    }

    /// Those of its targets that get messages and documents, and not calls.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let script = r#"call("ecs", "DescribeInstances", #{}); notify("team", "x");"#;
    /// let text = format!("when = 'a exists'\nthen = '{script}'");
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let targets = rules.get("a").ok_or("no such rule")?.message_targets();
    /// assert_eq!((targets.len(), targets[0].0.as_str()), (1, "team"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn message_targets(&self) -> Vec<(String, Span)> {
        // The literal of a call stands in the call itself, and is used for nothing else.
        let calls = self.calls();
        let mut targets = self.targets();
        targets.retain(|(_, span)| calls.iter().all(|call| call.target_span != *span));
        targets
    }

    /// The names of the files that its tests take events from.
    pub(crate) fn event_files(&self) -> impl Iterator<Item = &str> {
        let events = self
            .tests
            .iter()
            .flat_map(|test| &test.steps)
            .flat_map(|step| &step.events);
        events.filter_map(|event| match event {
            TestEvent::Inline(_) => None,
            TestEvent::File(name) => Some(name.as_str()),
        })
    }

    /// What its filters use that a dialect does not have (errors) and where that service would give
    /// another result (warnings), as [`Pattern::check`] does; spans are bytes of the rule's file.
    /// For Alibaba Cloud, filters are first converted to the form of its events, see
    /// [`cloudevent_form`](crate::cloudevent_form).
    /// For reflexarc: warnings and hints about the filter and hints about calls, without those that
    /// the rule allows, and hints about codes in `allow` that are not needed.
    ///
    /// ```
    /// use reflexarc::{Dialect, RuleSet};
    ///
    /// let text = r#"when = 'not name == "x"'
    /// notify = ["team"]"#;
    /// let rules = RuleSet::compile([("other.toml", text)])?;
    /// let found = rules.get("other").ok_or("no such rule")?.check(Dialect::Alibaba);
    /// assert!(found.iter().all(|diagnostic| diagnostic.span.start >= text.find("not").unwrap()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, dialect: Dialect) -> Vec<Diagnostic> {
        if dialect != Dialect::Reflexarc {
            let found = self.filters().flat_map(|(source, pattern)| {
                let found = check_pattern(pattern, dialect).into_iter();
                found.map(|found| source.map_spans(found))
            });
            let mut found: Vec<Diagnostic> = found.collect();
            self.allowed.remove_from(&mut found);
            return found;
        }
        let (_, mut removed) = self.warnings_and_removed();
        let mut found = self.findings().filter.to_vec();
        found.extend(self.findings().hints().cloned());
        removed.extend(self.allowed.remove_from(&mut found));
        found.extend(self.allowed.unused(&removed));
        found
    }

    /// The warnings about its file and everything in it, without those that it allows, in the order
    /// of the file. They are computed when they are first read.
    pub(crate) fn warnings(&self) -> Vec<Diagnostic> {
        self.warnings_and_removed().0
    }

    /// Removes the warnings and hints that the rule allows.
    pub fn remove_allowed(&self, found: &mut Vec<Diagnostic>) {
        self.allowed.remove_from(found);
    }

    /// The location in its file of a span of its filter.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = "when = 'a exists'\nnotify = ['team']";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let rule = rules.get("a").ok_or("no such rule")?;
    /// assert_eq!(&text[rule.filter_span(&(0..1))], "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_span(&self, span: &Span) -> Span {
        self.when.locate(span)
    }

    /// A rule without a file and without a reaction; its text is that of its filter.
    pub(crate) fn bare(name: String, pattern: Pattern) -> Self {
        Self {
            info: RuleInfo::named(name),
            enabled: true,
            file: String::new(),
            // So that spans of its filter are spans of its text.
            text: pattern.source().into(),
            when: EmbeddedText::standalone(pattern.source()),
            pattern,
            response: Response::None,
            answered: None,
            lookups: Lookups::default(),
            by: None,
            gates: Gates::default(),
            window: None,
            inhibits: None,
            report_after: REPORT_AFTER,
            max_entries: ReactionLimits::DEFAULT.state_entries,
            allowed: Allowed::default(),
            tests: Vec::new(),
            file_warnings: Box::default(),
            findings: OnceLock::new(),
            limits: Arc::default(),
        }
    }

    /// An error of the rule's script or templates in one line, with file, line and column.
    pub(crate) fn describe(&self, failure: ReactionFailure) -> String {
        match failure.offset {
            Some(offset) => {
                let (line, column) = self.line_and_column(offset);
                format!("{}:{line}:{column}: {}", self.file, failure.message)
            }
            None => failure.message,
        }
    }

    /// The line and column of a byte of the file, both from 1; columns count characters.
    pub(crate) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let Position { line, column } = Position::of(self.text.as_bytes(), offset);
        (line, column)
    }

    fn findings(&self) -> &RuleFindings {
        self.findings.get_or_init(|| {
            let parts = RuleParts {
                filter: Some((&self.when, &self.pattern)),
                by: self.by.as_ref(),
                window: self.window.as_deref(),
                lookups: &self.lookups,
                gates: &self.gates,
                response: Some(&self.response),
                answered: self.answered.as_ref(),
                is_incomplete: false,
                tests: &self.tests,
                labels: &self.info.labels,
                limits: &self.limits,
            };
            parts.findings()
        })
    }

    /// The warnings, and the codes of those that `allow` has removed.
    fn warnings_and_removed(&self) -> (Vec<Diagnostic>, BTreeSet<Code>) {
        let found = self.file_warnings.iter().chain(self.findings().warnings());
        let mut found: Vec<Diagnostic> = found.cloned().collect();
        let removed = self.allowed.remove_from(&mut found);
        // What is found in the file and in the texts in it is one list, in the order of the file.
        found.sort_by_key(|diagnostic| diagnostic.span.start);
        (found, removed)
    }
}

/// An error about the whole file, located at its first line.
pub(crate) fn whole_file(code: Code, text: &str, message: String) -> Diagnostic {
    // The whole text as a span would draw the whole file.
    let line = text.lines().next().map_or(0, str::len);
    Diagnostic::error(code, 0..line, message)
}
