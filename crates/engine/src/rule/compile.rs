//! From a rule file to a rule.

use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Json;
use reflexarc_pattern::{Dialect, Pattern, PatternError};
use reflexarc_reaction::{Reaction, ReactionLimits, RuleInfo, ScriptVariables, VariableScope};

use super::{REPORT_AFTER, Response, Rule};
use crate::event_key::EventKey;
use crate::lookup::Lookups;
use crate::lookup_fields::{self, lookups_in_filter};
use crate::notification::Notification;
use crate::rule_file::{NotifyKey, RuleFile};
use crate::rule_findings::RuleParts;
use crate::rule_window::{RuleWindow, WindowFilter, WindowStep};
use crate::tables::UsedTables;
use crate::window::Window;
use crate::window_keys::{ResolvedKey, WindowKeys};

impl Rule {
    /// Compiles a rule file.
    ///
    /// # Errors
    /// With all that is found in the file, warnings included, in its order.
    pub(crate) fn compile(
        name: String,
        file: String,
        text: &str,
        tables: &UsedTables<'_>,
        limits: &ReactionLimits,
    ) -> Result<Self, Vec<Diagnostic>> {
        // Filters, scripts and templates are compiled even if the file has faults elsewhere: their
        // errors are independent, and an author sees all of them.
        let (content, mut found) = RuleFile::read(text, tables);
        let mut limits = *limits;
        limits.state_entries = content.max_entries.unwrap_or(limits.state_entries);
        let mut compiler = Compiler {
            lookups: &content.lookups,
            limits: &limits,
            found: &mut found,
        };
        let pattern = content
            .when
            .as_ref()
            .and_then(|when| compiler.pattern(when));
        let by = content.by.as_ref();
        let scope = content.window.as_ref().map(|window| window.scope(by));
        let scope = scope.unwrap_or_default();
        let targets = content.notify.as_ref().map(|notify| notify.targets.clone());
        // Both is a conflict, which was reported; compiling `then` may find more.
        let response = match (content.then, content.notify) {
            (Some(source), _) => compiler.script(source, scope),
            (None, Some(notify)) => compiler.notification(notify, scope),
            (None, None) => Some(Response::None),
        };
        let has_answered = content.answered.is_some();
        let answered = content.answered.and_then(|source| {
            let event_may_be_missing = scope.event_may_be_missing();
            let scope = VariableScope::Answered {
                event_may_be_missing,
            };
            compiler.script(source, scope)
        });
        let has_window = content.window.is_some();
        let inhibits = content.inhibits.is_some();
        let window = content.window.and_then(|keys| {
            let targets = targets.unwrap_or_default();
            let window = compiler.window(keys, by, targets, inhibits)?;
            Some(Box::new(window))
        });
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        let info = RuleInfo::named(name)
            .with_level(content.level)
            .with_description(content.description)
            .with_labels(content.labels);
        // An invalid filter must never become one that matches everything or nothing, so without a
        // pattern there is no rule; and a rule whose window is invalid must not react to each
        // event.
        match (content.when, pattern, response) {
            (Some(when), Some(pattern), Some(response))
                if !found.iter().any(is_error)
                    && has_window == window.is_some()
                    && has_answered == answered.is_some() =>
            {
                let inhibits = content.inhibits.map(|found| found.of_rule(&info.name));
                Ok(Self {
                    info,
                    enabled: content.enabled,
                    file,
                    text: text.into(),
                    when,
                    pattern,
                    response,
                    answered,
                    lookups: content.lookups,
                    by: content.by,
                    gates: content.gates,
                    window,
                    inhibits,
                    report_after: content.report_after.unwrap_or(REPORT_AFTER),
                    max_entries: limits.state_entries,
                    allowed: content.allowed,
                    tests: content.tests,
                    file_warnings: found.into(),
                    findings: OnceLock::new(),
                    limits: Arc::clone(tables.limits),
                })
            }
            (when, pattern, response) => {
                let parts = RuleParts {
                    filter: when.as_ref().zip(pattern.as_ref()),
                    by: content.by.as_ref(),
                    window: window.as_deref(),
                    lookups: &content.lookups,
                    gates: &content.gates,
                    response: response.as_ref(),
                    answered: answered.as_ref(),
                    is_incomplete: true,
                    tests: &content.tests,
                    labels: &info.labels,
                    limits: tables.limits,
                };
                // What is misspelt elsewhere may be the use of a lookup.
                let findings = parts.findings();
                let warnings = findings.warnings();
                let warnings = warnings.filter(|found| found.code != Code::UNUSED_LOOKUP);
                found.extend(warnings.cloned());
                content.allowed.remove_from(&mut found);
                found.sort_by_key(|diagnostic| diagnostic.span.start);
                Err(found)
            }
        }
    }
}

/// Compiles the texts in a rule file, and collects the errors of all of them.
struct Compiler<'a> {
    lookups: &'a Lookups,
    limits: &'a ReactionLimits,
    found: &'a mut Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn pattern(&mut self, filter: &EmbeddedText) -> Option<Pattern> {
        let parsed = Pattern::parse(filter.text(), Dialect::Reflexarc);
        let errors = parsed.as_ref().err().map(PatternError::diagnostics);
        let errors = errors.into_iter().flatten().cloned();
        self.found
            .extend(errors.map(|error| filter.map_spans(error)));
        let pattern = parsed.ok()?;
        if !self.lookups.is_empty() {
            let found = lookups_in_filter(&pattern).into_iter();
            self.found
                .extend(found.map(|error| filter.map_spans(error)));
        }
        Some(pattern)
    }

    fn filter(&mut self, source: EmbeddedText) -> Option<WindowFilter> {
        let pattern = self.pattern(&source)?;
        Some(WindowFilter { source, pattern })
    }

    fn script(&mut self, source: EmbeddedText, scope: VariableScope) -> Option<Response> {
        match Reaction::compile_in(source.text(), self.variables(scope), self.limits) {
            Ok(reaction) => {
                let found = lookup_fields::check(&reaction.lookup_fields(), self.lookups);
                self.found
                    .extend(found.into_iter().map(|error| source.map_spans(error)));
                Some(Response::Script {
                    reaction: Box::new(reaction),
                    source,
                })
            }
            Err(error) => {
                let errors = error.into_diagnostics().into_iter();
                self.found
                    .extend(errors.map(|error| source.map_spans(error)));
                None
            }
        }
    }

    fn notification(&mut self, notify: NotifyKey, scope: VariableScope) -> Option<Response> {
        match Notification::compile(notify, self.variables(scope), self.lookups, self.limits) {
            Ok(notification) => Some(Response::Notification(Box::new(notification))),
            Err(errors) => {
                self.found.extend(errors);
                None
            }
        }
    }

    fn variables(&self, scope: VariableScope) -> ScriptVariables {
        ScriptVariables::from(scope).with_lookups(!self.lookups.is_empty())
    }

    /// The window; `by` is that of the rule, and `targets` are those of `notify`. With `inhibits` a
    /// match that has fired is remembered until it ends, also without `resolved`. `None` after a
    /// fault.
    fn window(
        &mut self,
        keys: WindowKeys,
        by: Option<&EventKey>,
        targets: Vec<EmbeddedText>,
        inhibits: bool,
    ) -> Option<RuleWindow> {
        // Everything is compiled before the first fault ends it.
        let scope = keys.resolved_scope(by);
        let resolves = keys.resolved.is_some() || inhibits;
        let resolved = keys.resolved.map(|resolved| match resolved {
            ResolvedKey::Script(source) => self.script(source, scope),
            ResolvedKey::Message { title, text } => {
                let notify = NotifyKey {
                    targets,
                    title,
                    text,
                };
                self.notification(notify, scope)
            }
        });
        let until = keys.until.map(|until| self.filter(until));
        let steps: Vec<_> = keys
            .steps
            .into_iter()
            .map(|step| {
                let filter = step.when.and_then(|when| self.filter(when))?;
                Some(WindowStep {
                    filter,
                    by: step.by,
                })
            })
            .collect();
        Some(RuleWindow {
            span: keys.span,
            window: Window {
                shape: keys.shape?,
                grace: keys.grace,
                settle: keys.settle,
                forget: keys.forget,
                resolves,
            },
            by: by.cloned().unwrap_or_default(),
            steps: steps.into_iter().collect::<Option<_>>()?,
            until: match until {
                Some(until) => Some(until?),
                None => None,
            },
            distinct: keys.distinct,
            expected: keys.expected.iter().map(Json::to_string).collect(),
            max_pending: keys.max_pending,
            resolved: match resolved {
                Some(resolved) => Some(resolved?),
                None => None,
            },
            fingerprint: OnceLock::new(),
            expected_hash: OnceLock::new(),
        })
    }
}
