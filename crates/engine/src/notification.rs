//! `notify = […]`: messages without a script.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_diagnostic::Diagnostic;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::Event;
use reflexarc_reaction::{
    Action, Message, ReactionError, ReactionLimits, RuleInfo, Template, VariableScope, WindowInput,
    WindowReason, default_message, default_window_message,
};

use crate::event_fields::EventFilters;
use crate::reaction_failure::ReactionFailure;
use crate::rule_fields;
use crate::rule_file::NotifyKey;

/// The targets of a rule and the templates of its message. A part without a template is that of
/// [`default_message`].
#[derive(Debug)]
pub(crate) struct Notification {
    targets: Vec<EmbeddedText>,
    title: Option<EmbeddedTemplate>,
    text: Option<EmbeddedTemplate>,
}

/// A template with its location in the rule file.
#[derive(Debug)]
struct EmbeddedTemplate {
    template: Template,
    source: EmbeddedText,
}

impl Notification {
    /// Compiles the templates, which may use the variables of `scope`.
    pub(crate) fn compile(
        key: NotifyKey,
        scope: VariableScope,
        limits: &ReactionLimits,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut compile = |source: Option<EmbeddedText>| {
            let source = source?;
            match Template::compile_in(source.text(), scope, limits) {
                Ok(template) => Some(EmbeddedTemplate { template, source }),
                Err(error) => {
                    let found = error.into_diagnostics().into_iter();
                    errors.extend(found.map(|found| source.map_spans(found)));
                    None
                }
            }
        };
        let (title, text) = (compile(key.title), compile(key.text));
        if errors.is_empty() {
            Ok(Self {
                targets: key.targets,
                title,
                text,
            })
        } else {
            Err(errors)
        }
    }

    /// The targets, as they are written in the rule file.
    pub(crate) fn targets(&self) -> &[EmbeddedText] {
        &self.targets
    }

    /// What the templates probably do not mean as they are written, located in the rule file.
    /// `filters` are those of the events that they read, and `labels` are those of the rule.
    pub(crate) fn warnings(
        &self,
        filters: EventFilters<'_, '_>,
        labels: &BTreeMap<String, String>,
    ) -> Vec<Diagnostic> {
        let parts = [&self.title, &self.text].into_iter().flatten();
        let warnings = parts.flat_map(|part| {
            let template = &part.template;
            let misspelt = filters.check(&template.event_fields(), &template.closing_fields());
            let warnings = template.warnings().iter().cloned();
            let of_rule = rule_fields::check(&template.rule_fields(), labels);
            let warnings = warnings.chain(misspelt).chain(of_rule);
            warnings.map(|warning| part.source.map_spans(warning))
        });
        warnings.collect()
    }

    /// Whether its templates read the events of a match.
    pub(crate) fn reads_events(&self) -> bool {
        let parts = [&self.title, &self.text].into_iter().flatten();
        parts.map(|part| &part.template).any(Template::reads_events)
    }

    /// The messages for one event, one for each target, and their size.
    pub(crate) fn actions(
        &self,
        event: &Event,
        rule: &RuleInfo,
        now: Timestamp,
        suppressed: u64,
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        // Templates replace parts of the default message, so a rule may have one for the title
        // only.
        let default = || default_message(event, rule, suppressed);
        let render = |template: &Template| template.render(event, rule, now, suppressed);
        self.to_all(rule, &default, &render, limits)
    }

    /// The same for a match of a time window.
    pub(crate) fn window_actions(
        &self,
        event: Option<&Event>,
        reason: WindowReason<'_>,
        window: &WindowInput<'_>,
        rule: &RuleInfo,
        (now, suppressed): (Timestamp, u64),
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        let default = || default_window_message(reason, event, window, rule, suppressed);
        let render =
            |template: &Template| template.render_window(event, window, rule, now, suppressed);
        self.to_all(rule, &default, &render, limits)
    }

    /// The message to all targets, and their size.
    fn to_all(
        &self,
        rule: &RuleInfo,
        default: &dyn Fn() -> Message,
        render: &dyn Fn(&Template) -> Result<String, ReactionError>,
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        let mut message = match (&self.title, &self.text) {
            (Some(_), Some(_)) => Message::new("").with_level(rule.level),
            _ => default(),
        };
        let render = |part: &EmbeddedTemplate| {
            render(&part.template).map_err(|error| ReactionFailure::new(&error, &part.source))
        };
        if let Some(title) = &self.title {
            message.title = render(title)?;
        }
        if let Some(text) = &self.text {
            message.text = render(text)?;
        }
        // Before the copies are made: 10,000 targets with a text of 32 KiB would be 320 MiB.
        let bytes = message.title.len() + message.text.len();
        let bytes = bytes.saturating_mul(self.targets.len());
        if bytes > limits.effect_bytes {
            return Err(ReactionFailure {
                message: format!(
                    "the messages to {} targets have {bytes} bytes, more than the {} allowed",
                    self.targets.len(),
                    limits.effect_bytes
                ),
                offset: self.targets.first().map(|target| target.span().start),
            });
        }
        // Rendered once for all targets: each of them gets the same text.
        let action = |target: &EmbeddedText| Action::notify(target.text(), message.clone());
        Ok((self.targets.iter().map(action).collect(), bytes))
    }
}
