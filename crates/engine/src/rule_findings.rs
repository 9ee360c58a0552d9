//! The warnings and hints about a rule.

// They are computed when they are first read, not when the rule is compiled: with the proofs about
// the filter and the comparisons with the catalogue they take several times as long as compiling,
// and a service reloads its rules far more often than a person reads what might be wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, Severity, keep_most_severe};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Path, Pattern, SpannedPattern};

use crate::RuleSetLimits;
use crate::call_fields;
use crate::call_findings;
use crate::event_fields::EventFilters;
use crate::event_key::EventKey;
use crate::field_evidence::shows_one_value;
use crate::gate_keys::{self, PathUse};
use crate::gates::Gates;
use crate::lookup::{Lookup, Lookups};
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
    pub(crate) lookups: &'r Lookups,
    pub(crate) gates: &'r Gates,
    pub(crate) response: Option<&'r Response>,
    /// `answered`.
    pub(crate) answered: Option<&'r Response>,
    /// Whether a part of the rule is invalid, and so missing here.
    pub(crate) is_incomplete: bool,
    pub(crate) tests: &'r [RuleTest],
    pub(crate) labels: &'r BTreeMap<String, String>,
    pub(crate) limits: &'r RuleSetLimits,
}

/// Warnings and hints, located in the rule's file.
#[derive(Debug, Default)]
pub(crate) struct RuleFindings {
    /// About the filters.
    pub(crate) filter: Box<[Diagnostic]>,
    /// Warnings and hints about the gates, the window and the reaction.
    pub(crate) others: Box<[Diagnostic]>,
}

impl RuleParts<'_> {
    /// Everything that is found.
    pub(crate) fn findings(&self) -> RuleFindings {
        let mut findings = Collected::default();
        // One parse of each filter for all that is found with its spans.
        let spanned = self.filter.and_then(|(_, pattern)| pattern.spanned());
        let vocabulary = spanned
            .as_ref()
            .map(|spanned| FilterVocabulary::new(spanned, self.limits));
        if let (Some((source, _)), Some(spanned), Some(vocabulary)) =
            (self.filter, &spanned, &vocabulary)
        {
            findings.filter(source, self.filter_findings(spanned, vocabulary));
            findings.others.extend(self.key_findings(vocabulary));
        }
        let mut filters = EventFilters {
            event: vocabulary.as_ref(),
            closing: None,
        };
        self.add_response(self.response, filters, &mut findings);
        self.add_response(self.answered, filters, &mut findings);
        if let Some(window) = self.window {
            let spanned = window.filters().map(|filter| filter.pattern.spanned());
            let spanned: Vec<Option<SpannedPattern<'_>>> = spanned.collect();
            let vocabularies = spanned.iter().map(|spanned| {
                let spanned = spanned.as_ref()?;
                Some((spanned, FilterVocabulary::new(spanned, self.limits)))
            });
            let vocabularies: Vec<_> = vocabularies.collect();
            for (filter, vocabulary) in window.filters().zip(&vocabularies) {
                if let Some((spanned, vocabulary)) = vocabulary {
                    let found = self.filter_findings(spanned, vocabulary);
                    findings.filter(&filter.source, found);
                }
            }
            for (step, vocabulary) in window.steps.iter().zip(&vocabularies) {
                if let (Some(by), Some((_, vocabulary))) = (&step.by, vocabulary) {
                    let check = |path| gate_keys::check(path, PathUse::By, vocabulary, self.tests);
                    findings.others.extend(by.event_paths().filter_map(check));
                }
            }
            if let Some((_, pattern)) = self.filter {
                let steps = self.limits.comparison_steps;
                findings
                    .others
                    .extend(window.contradictions(pattern, steps));
            }
            // What comes after the silence of a source is another of its events.
            filters.closing = match window.kind() {
                WindowKind::NotFollowedBy => {
                    let first = vocabularies.first().and_then(Option::as_ref);
                    first.map(|(_, vocabulary)| vocabulary)
                }
                _ => vocabulary.as_ref(),
            };
            self.add_response(window.resolved.as_ref(), filters, &mut findings);
        }
        findings.others.extend(self.unused_lookups());
        findings.others.extend(self.call_findings());
        keep_most_severe(&mut findings.others, self.limits.findings);
        RuleFindings {
            filter: findings.filters.into(),
            others: findings.others.into(),
        }
    }

    /// What is found in one filter, located in it.
    fn filter_findings(
        &self,
        spanned: &SpannedPattern<'_>,
        vocabulary: &FilterVocabulary<'_>,
    ) -> Vec<Diagnostic> {
        let holds_one_value = |path: &Path| holds_one_value(path, self.tests);
        let mut found = spanned.check(Dialect::Reflexarc, &holds_one_value);
        found.extend(vocabulary.findings_in_rule());
        found
    }

    /// The warnings about the paths that are read in the events of `when`.
    fn key_findings(&self, when: &FilterVocabulary<'_>) -> Vec<Diagnostic> {
        let by_use = match self.window {
            Some(_) => PathUse::By,
            None => PathUse::Gate,
        };
        let gates = [&self.gates.once, &self.gates.throttle];
        let gates = gates.into_iter().flatten().map(|gate| &gate.key);
        let distinct = self.window.and_then(|window| window.distinct.as_ref());
        let keys = self.by.map(|by| (by, by_use)).into_iter();
        let keys = keys.chain(distinct.map(|distinct| (distinct, PathUse::Distinct)));
        let keys = keys.chain(gates.map(|key| (key, PathUse::Gate)));
        let of_lookups = self.lookups.iter().map(|lookup| &lookup.path);
        let mut found: Vec<Diagnostic> = of_lookups
            .filter_map(|path| gate_keys::check(path, PathUse::Lookup, when, self.tests))
            .collect();
        let mut checked = BTreeSet::new();
        for (key, path_use) in keys {
            for path in key.event_paths() {
                // A gate without a key of its own has that of the rule.
                if checked.insert(path.span().start) {
                    found.extend(gate_keys::check(path, path_use, when, self.tests));
                }
            }
        }
        found
    }

    /// The warnings about lookups whose rows nothing reads.
    fn unused_lookups(&self) -> Vec<Diagnostic> {
        let gates = [&self.gates.once, &self.gates.throttle];
        let gates = gates.into_iter().flatten().map(|gate| &gate.key);
        let window = self.window.into_iter();
        let of_window = window.flat_map(|window| {
            let steps = window.steps.iter().filter_map(|step| step.by.as_ref());
            steps.chain(&window.distinct)
        });
        let keys: Vec<&EventKey> = self.by.into_iter().chain(gates).chain(of_window).collect();
        let resolved = self.window.and_then(|window| window.resolved.as_ref());
        let responses = [self.response, resolved, self.answered];
        let is_used = |name: &str| {
            let mut paths = keys.iter().flat_map(|key| key.row_paths());
            let mut responses = responses.iter().flatten();
            paths.any(|path| path.lookup.name == name)
                || responses.any(|response| response.reads_lookup(name))
        };
        let unused = self.lookups.iter();
        let unused = unused.filter(|lookup| !is_used(&lookup.name));
        let warning = |lookup: &Lookup| {
            let message = format!("nothing in the rule uses the lookup `{}`", lookup.name);
            let warning = Diagnostic::warning(Code::UNUSED_LOOKUP, lookup.span.clone(), message);
            warning.with_help(format!(
                "remove it, or read a column of its row, such as lookup.{}?.id",
                lookup.name
            ))
        };
        unused.map(|lookup| warning(lookup)).collect()
    }

    /// What is found about the calls. Nothing where a script is missing or invalid: it may be the
    /// one that calls.
    fn call_findings(&self) -> Vec<Diagnostic> {
        let resolved = self.window.and_then(|window| window.resolved.as_ref());
        let responses: Vec<&Response> = self.response.into_iter().chain(resolved).collect();
        if self.is_incomplete {
            return Vec::new();
        }
        call_findings::check(&responses, self.answered, self.tests)
    }

    /// Adds the warnings about a script or message, located in the file.
    fn add_response(
        &self,
        response: Option<&Response>,
        filters: EventFilters<'_, '_>,
        findings: &mut Collected,
    ) {
        match response {
            Some(Response::Script { reaction, source }) => {
                let misspelt = filters.check(&reaction.event_fields(), &reaction.closing_fields());
                let found = reaction.warnings().iter().cloned();
                let of_rule = rule_fields::check(&reaction.rule_fields(), self.labels);
                let found = found.chain(misspelt).chain(of_rule);
                let found = found.chain(call_fields::check(reaction));
                let found = found.map(|warning| source.map_spans(warning));
                findings.others.extend(found);
            }
            Some(Response::Notification(notification)) => {
                let found = notification.warnings(filters, self.labels);
                findings.others.extend(found);
            }
            Some(Response::None) | None => {}
        }
    }
}

/// What was found so far, located in the file.
#[derive(Default)]
struct Collected {
    filters: Vec<Diagnostic>,
    others: Vec<Diagnostic>,
}

impl Collected {
    /// Adds what was found in a filter.
    fn filter(&mut self, source: &EmbeddedText, found: Vec<Diagnostic>) {
        self.filters
            .extend(found.into_iter().map(|found| source.map_spans(found)));
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

    /// The hints that are not about the filters.
    pub(crate) fn hints(&self) -> impl Iterator<Item = &Diagnostic> {
        let others = self.others.iter();
        others.filter(|found| {
            found.severity == Severity::Hint && found.code != Code::TOO_MANY_FINDINGS
        })
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
