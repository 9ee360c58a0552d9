//! Errors of scripts and templates that are embedded in a rule file.

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_reaction::ReactionError;

/// An error of a script or template, with its location in the rule file.
pub(crate) struct ReactionFailure {
    pub(crate) message: String,
    /// The byte of the rule file.
    pub(crate) offset: Option<usize>,
}

impl ReactionFailure {
    /// An error of the script or template that is embedded as `source`.
    pub(crate) fn new(error: &ReactionError, source: &EmbeddedText) -> Self {
        // The script counts from its own start; an author needs the place in the rule file.
        let offset = error.at().map(|location| location.offset);
        Self {
            message: error.message().to_owned(),
            offset: offset.map(|offset| source.locate(&(offset..offset)).start),
        }
    }
}
