//! `allow`: findings about a rule that its author has decided not to see.

use std::collections::BTreeSet;

use reflexarc_diagnostic::toml::TableReader;
use reflexarc_diagnostic::{Code, Diagnostic, Span, remove_allowed};

/// The codes of a rule's `allow`, each with its location in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed(Vec<(Code, Span)>);

impl Allowed {
    /// Reads the key `allow`. An unknown code is an error: it would silence nothing.
    pub(crate) fn read(root: &TableReader<'_>) -> Self {
        let texts = root.strings("allow").unwrap_or_default();
        let codes = texts.iter().filter_map(|text| {
            let code = root.parsed(text, text.text().parse::<Code>())?;
            Some((code, text.span()))
        });
        Self(codes.collect())
    }

    /// Removes the findings with these codes, except errors, and returns their codes.
    pub(crate) fn remove_from(&self, found: &mut Vec<Diagnostic>) -> BTreeSet<Code> {
        remove_allowed(found, |code| {
            self.0.iter().any(|(allowed, _)| *allowed == code)
        })
    }

    /// Hints about codes that were not removed anywhere.
    // Only codes about filters: all of those are known when the rule is checked. Others depend on
    // the dialect, the configuration or other rules.
    pub(crate) fn unused(&self, removed: &BTreeSet<Code>) -> Vec<Diagnostic> {
        let is_unused = |code: Code| !removed.contains(&code) && matches!(code.number(), 100..300);
        let unused = self.0.iter().filter(|(code, _)| is_unused(*code));
        let hint = |(code, span): &(Code, Span)| {
            let message = format!("unused: the rule has no warning or hint {code}");
            Diagnostic::hint(Code::UNUSED_ALLOW, span.clone(), message)
                .with_help("remove the code from `allow`")
        };
        unused.map(hint).collect()
    }
}
