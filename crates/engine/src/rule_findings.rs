//! The warnings and hints about a rule.

// They are computed when they are first read, not when the rule is compiled: with the proofs about
// the filter and the comparisons with the catalogue they take several times as long as compiling,
// and a service reloads its rules far more often than a person reads what might be wrong with them.

use std::collections::BTreeMap;

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, Severity, keep_most_severe};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Path, Pattern};

use crate::RuleSetLimits;
use crate::event_fields::EventFilters;
use crate::event_key::EventKey;
use crate::field_evidence::shows_one_value;
use crate::gate_keys;
use crate::gates::Gates;
use crate::rule::Response;
use crate::rule_fields;
use crate::rule_test::{RuleTest, TestEvent};
use crate::rule_window::RuleWindow;
use crate::vocabulary::FilterVocabulary;
use crate::window_keys::WindowKind;

/// What findings are made of: the parts of a rule that were compiled. In an invalid rule, some are
/// missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleParts<'r> {
    pub(crate) filter: Option<(&'r EmbeddedText, &'r Pattern)>,
    /// `by` of the rule.
    pub(crate) by: Option<&'r EventKey>,
    pub(crate) window: Option<&'r RuleWindow>,
    pub(crate) gates: &'r Gates,
    pub(crate) response: Option<&'r Response>,
    pub(crate) tests: &'r [RuleTest],
    pub(crate) labels: &'r BTreeMap<String, String>,
    pub(crate) limits: &'r RuleSetLimits,
}

/// Warnings and hints, located in the rule's file.
#[derive(Debug, Default)]
pub(crate) struct RuleFindings {
    /// About the filter.
    pub(crate) filter: Box<[Diagnostic]>,
    /// Warnings about the gates and the reaction.
    pub(crate) others: Box<[Diagnostic]>,
}

impl RuleParts<'_> {
    /// Everything that is found.
    pub(crate) fn findings(&self) -> RuleFindings {
        // One parse for all that is found with the spans of the filter.
        let spanned = self.filter.and_then(|(_, pattern)| pattern.spanned());
        let vocabulary = spanned
            .as_ref()
            .map(|spanned| FilterVocabulary::new(spanned, self.limits));
        let mut filter = Vec::new();
        if let Some(spanned) = &spanned {
            let holds_one_value = |path: &Path| holds_one_value(path, self.tests);
            filter.extend(spanned.check(Dialect::Reflexarc, &holds_one_value));
        }
        let mut others = Vec::new();
        if let Some(vocabulary) = &vocabulary {
            filter.extend(vocabulary.findings_in_rule());
            others.extend(gate_keys::check(self.gates, vocabulary, self.tests));
        }
        let closing = self.window.and_then(RuleWindow::closing_filter);
        let closing = closing.and_then(|filter| filter.pattern.spanned());
        let closing = closing
            .as_ref()
            .map(|spanned| FilterVocabulary::new(spanned, self.limits));
        let filters = EventFilters {
            event: vocabulary.as_ref(),
            closing: match self.window.map(RuleWindow::kind) {
                // What ends the absence of an event is one like it.
                Some(WindowKind::AbsentFor) => vocabulary.as_ref(),
                _ => closing.as_ref(),
            },
        };
        let resolved = self.window.and_then(|window| window.resolved.as_ref());
        for response in self.response.into_iter().chain(resolved) {
            others.extend(self.response_warnings(response, filters));
        }
        keep_most_severe(&mut others, self.limits.findings);
        let filter = filter.into_iter().map(|found| match self.filter {
            Some((when, _)) => when.map_spans(found),
            None => found,
        });
        RuleFindings {
            filter: filter.collect(),
            others: others.into(),
        }
    }
}

impl RuleParts<'_> {
    /// The warnings about a script or about templates, located in the rule's file.
    fn response_warnings(
        &self,
        response: &Response,
        filters: EventFilters<'_, '_>,
    ) -> Vec<Diagnostic> {
        match response {
            Response::Script { reaction, source } => {
                let misspelt = filters.check(&reaction.event_fields(), &reaction.closing_fields());
                let found = reaction.warnings().iter().cloned();
                let of_rule = rule_fields::check(&reaction.rule_fields(), self.labels);
                let found = found.chain(misspelt).chain(of_rule);
                found.map(|warning| source.map_spans(warning)).collect()
            }
            Response::Notification(notification) => notification.warnings(filters, self.labels),
            Response::None => Vec::new(),
        }
    }
}

impl RuleFindings {
    /// The warnings, and that some are not shown.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        let is_warning = |found: &&Diagnostic| {
            found.severity == Severity::Warning || found.code == Code::TOO_MANY_FINDINGS
        };
        self.filter.iter().chain(&self.others).filter(is_warning)
    }
}

/// Whether the field is known to hold one value: by the documentation of the events, else by the
/// events in the tests of the rule.
fn holds_one_value(path: &Path, tests: &[RuleTest]) -> bool {
    let steps = tests.iter().flat_map(|test| &test.steps);
    let events = steps.flat_map(|step| &step.events);
    let events = events.filter_map(|event| match event {
        TestEvent::Inline(event) => Some(event),
        TestEvent::File(_) => None,
    });
    match field_shape(path.as_str()) {
        Some(shape) => shape == FieldShape::One,
        None => shows_one_value(events, path.as_str()),
    }
}
