//! `notify = […]`: a message without a script.

use jiff::Timestamp;
use reflexarc_diagnostic::Diagnostic;
use reflexarc_event::Event;
use reflexarc_reaction::{Action, Limits, ReactionError, RuleFacts, Template, default_message};

use crate::rule_file::NotifyKey;
use reflexarc_diagnostic::toml::EmbeddedText;

/// Whom a rule tells, and in which words; what has no template is said as [`default_message`] has it.
#[derive(Debug)]
pub(crate) struct Notice {
    targets: Vec<String>,
    title: Option<Words>,
    text: Option<Words>,
}

/// A template, and where it stands in the file.
#[derive(Debug)]
pub(crate) struct Words {
    template: Template,
    source: EmbeddedText,
}

/// Why a notice could not be written, and at which byte of the rule file.
pub(crate) struct NoticeError {
    pub(crate) message: String,
    pub(crate) at: Option<usize>,
}

impl Notice {
    /// Compiles the templates.
    pub(crate) fn compile(key: NotifyKey, limits: &Limits) -> Result<Self, Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let mut words = |source: Option<EmbeddedText>| {
            let source = source?;
            match Template::compile(source.text(), limits) {
                Ok(template) => Some(Words { template, source }),
                Err(fault) => {
                    faults.push(source.map_spans(*fault));
                    None
                }
            }
        };
        let (title, text) = (words(key.title), words(key.text));
        if faults.is_empty() {
            Ok(Self {
                targets: key.targets,
                title,
                text,
            })
        } else {
            Err(faults)
        }
    }

    /// The messages for one event, one a target.
    pub(crate) fn actions(
        &self,
        event: &Event,
        rule: &RuleFacts,
        now: Timestamp,
        suppressed: u64,
    ) -> Result<Vec<Action>, NoticeError> {
        let mut message = default_message(event, rule, suppressed);
        let render = |words: &Words| {
            words
                .template
                .render(event, rule, now, suppressed)
                .map_err(|error| NoticeError::new(&error, &words.source))
        };
        if let Some(title) = &self.title {
            message.title = render(title)?;
        }
        if let Some(text) = &self.text {
            message.text = render(text)?;
        }
        let action = |target: &String| Action::Notify {
            target: target.clone(),
            message: message.clone(),
        };
        Ok(self.targets.iter().map(action).collect())
    }
}

impl NoticeError {
    /// An error of a script or template that stands in a rule file.
    pub(crate) fn new(error: &ReactionError, source: &EmbeddedText) -> Self {
        let at = error
            .at()
            .map(|place| source.locate(&(place.offset..place.offset)).start);
        Self {
            message: error.message().to_owned(),
            at,
        }
    }
}
