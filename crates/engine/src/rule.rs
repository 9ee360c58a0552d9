//! One rule, compiled.

use std::sync::Arc;

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::{Level, Position};
use reflexarc_pattern::{Dialect, Pattern};
use reflexarc_reaction::{Limits as ReactionLimits, Reaction, RuleFacts};

use crate::gate::Gates;
use crate::notice::Notice;
use crate::rule_file::RuleFile;
use crate::rule_test::{RuleTest, TestEvent};
use reflexarc_diagnostic::toml::EmbeddedText;

/// A rule: a pattern and a reaction.
#[derive(Debug)]
pub struct Rule {
    pub(crate) facts: RuleFacts,
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    pub(crate) when: EmbeddedText,
    pub(crate) pattern: Pattern,
    pub(crate) response: Response,
    pub(crate) gates: Gates,
    pub(crate) report_after: u32,
    pub(crate) tests: Vec<RuleTest>,
}

/// What a rule does when it matches.
#[derive(Debug)]
pub(crate) enum Response {
    /// Nothing: the match itself is the answer.
    Nothing,
    /// `then`.
    Script {
        reaction: Box<Reaction>,
        source: EmbeddedText,
    },
    /// `notify`.
    Notice(Box<Notice>),
}

/// How many failures in a row are reported unless the rule says otherwise.
const REPORT_AFTER: u32 = 3;

impl Rule {
    /// The rule's name: the stem of its file.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// What it is for; empty when nobody said.
    pub fn description(&self) -> &str {
        &self.facts.description
    }

    /// The level of what it sends.
    pub fn level(&self) -> Level {
        self.facts.level
    }

    /// The path of its file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of its file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which events it is for.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// How many failures in a row are worth a report, at least 1: `report_after`, 3 unless given.
    pub fn report_after(&self) -> u32 {
        self.report_after
    }

    /// How many `[[test]]`s its file holds.
    pub fn tests(&self) -> usize {
        self.tests.len()
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

    /// What keeps its filter from a dialect (errors) and where that service would answer differently (warnings), as
    /// [`Pattern::check`] says it; spans are bytes of the rule's file.
    pub fn check(&self, dialect: Dialect) -> Vec<Diagnostic> {
        self.pattern
            .check(dialect)
            .into_iter()
            .map(|found| self.when.map_spans(found))
            .collect()
    }

    /// Where a span of its filter stands in its file.
    pub fn place_of_filter(&self, span: &Span) -> Span {
        self.when.locate(span)
    }

    /// A rule without a file that asks for nothing; its text is that of its filter.
    pub(crate) fn bare(name: String, pattern: Pattern) -> Self {
        Self {
            facts: RuleFacts {
                name,
                level: Level::default(),
                description: String::new(),
            },
            file: String::new(),
            text: pattern.source().into(),
            when: EmbeddedText::standalone(pattern.source()),
            pattern,
            response: Response::Nothing,
            gates: Gates::default(),
            report_after: REPORT_AFTER,
            tests: Vec::new(),
        }
    }

    /// Compiles what the file says. The rule is there if no diagnostic is an error.
    pub(crate) fn compile(
        name: String,
        file: String,
        text: &str,
        limits: &ReactionLimits,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let (content, mut found) = RuleFile::read(text);
        let pattern = content.when.as_ref().and_then(|when| {
            match Pattern::parse(when.text(), Dialect::Reflexarc) {
                Ok(pattern) => {
                    found.extend(
                        pattern
                            .warnings()
                            .iter()
                            .map(|warning| when.map_spans(warning.clone())),
                    );
                    Some(pattern)
                }
                Err(errors) => {
                    found.extend(errors.into_iter().map(|error| when.map_spans(error)));
                    None
                }
            }
        });
        let response = match (content.then, content.notify) {
            (Some(source), _) => match Reaction::compile(source.text(), limits) {
                Ok(reaction) => Some(Response::Script {
                    reaction: Box::new(reaction),
                    source,
                }),
                Err(errors) => {
                    found.extend(errors.into_iter().map(|error| source.map_spans(error)));
                    None
                }
            },
            (None, Some(notify)) => match Notice::compile(notify, limits) {
                Ok(notice) => Some(Response::Notice(Box::new(notice))),
                Err(errors) => {
                    found.extend(errors);
                    None
                }
            },
            (None, None) => Some(Response::Nothing),
        };
        found.sort_by_key(|diagnostic| diagnostic.span.start);
        let facts = RuleFacts {
            name,
            level: content.level,
            description: content.description,
        };
        let rule = match (content.when, pattern, response) {
            (Some(when), Some(pattern), Some(response)) => Some(Self {
                facts,
                file,
                text: text.into(),
                when,
                pattern,
                response,
                gates: content.gates,
                report_after: content.report_after.unwrap_or(REPORT_AFTER),
                tests: content.tests,
            }),
            _ => None,
        };
        (rule, found)
    }

    /// Line and column, both from 1, of a byte of the file; columns count characters.
    pub(crate) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let Position { line, column } = Position::of(self.text.as_bytes(), offset);
        (line, column)
    }
}

/// An error about the whole file, shown at its first line.
pub(crate) fn whole_file(code: Code, text: &str, message: String) -> Diagnostic {
    let line = text.lines().next().map_or(0, str::len);
    Diagnostic::error(code, 0..line, message)
}
