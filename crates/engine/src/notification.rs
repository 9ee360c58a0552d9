//! `notify = […]`: messages without a script.

use std::collections::BTreeMap;

use reflexarc_diagnostic::Diagnostic;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::Event;
use reflexarc_reaction::{
    Action, Message, ReactionLimits, ScriptVariables, Template, TemplateInput, WindowInput,
    WindowReason, default_message, default_window_message,
};

use crate::event_fields::EventFilters;
use crate::lookup::Lookups;
use crate::lookup_fields;
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
    /// Compiles the templates, which may use these variables.
    pub(crate) fn compile(
        key: NotifyKey,
        variables: ScriptVariables,
        lookups: &Lookups,
        limits: &ReactionLimits,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let mut compile = |source: Option<EmbeddedText>| {
            let source = source?;
            match Template::compile_in(source.text(), variables, limits) {
                Ok(template) => {
                    let found = lookup_fields::check(&template.lookup_fields(), lookups);
                    errors.extend(found.into_iter().map(|found| source.map_spans(found)));
                    Some(EmbeddedTemplate { template, source })
                }
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

    /// Whether its templates read the row of a lookup.
    pub(crate) fn reads_lookup(&self, name: &str) -> bool {
        let parts = [&self.title, &self.text].into_iter().flatten();
        let mut templates = parts.map(|part| &part.template);
        templates.any(|template| template.reads_lookup(name))
    }

    /// The messages for one event, one for each target, and their size.
    pub(crate) fn actions(
        &self,
        event: &Event,
        input: &TemplateInput<'_>,
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        // Templates replace parts of the default message, so a rule may have one for the title
        // only.
        let default = || default_message(event, input.rule, input.suppressed);
        self.to_all(input, &default, limits)
    }

    /// The same for a match of a time window.
    pub(crate) fn window_actions(
        &self,
        reason: WindowReason<'_>,
        window: &WindowInput<'_>,
        input: &TemplateInput<'_>,
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        let (event, rule) = (input.event, input.rule);
        let default = || default_window_message(reason, event, window, rule, input.suppressed);
        self.to_all(input, &default, limits)
    }

    /// The message to all targets, and their size.
    fn to_all(
        &self,
        input: &TemplateInput<'_>,
        default: &dyn Fn() -> Message,
        limits: &ReactionLimits,
    ) -> Result<(Vec<Action>, usize), ReactionFailure> {
        let mut message = match (&self.title, &self.text) {
            (Some(_), Some(_)) => Message::new("").with_level(input.rule.level),
            _ => default(),
        };
        let render = |part: &EmbeddedTemplate| {
            let text = part.template.render_input(input);
            text.map_err(|error| ReactionFailure::new(&error, &part.source))
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
