//! The parts of a configuration that a reload takes or refuses on their own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reflexarc::FileDiagnostics;
use reflexarc_diagnostic::toml::Document;

use super::Config;

/// A part of the configuration, or the rules. A reload takes a part only if it is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfigPart {
    /// `[[http.tokens]]`.
    Tokens,
    /// `[http.eventbridge]`.
    EventBridge,
    /// `hosts` and `trusted_proxies` of `[http]`.
    Access,
    /// `[http.tls]`.
    Tls,
    /// `[heartbeat]`.
    Heartbeat,
    /// `[archive]`.
    Archive,
    /// `[budgets]`.
    Budgets,
    /// `[targets]` and the settings that all targets share.
    Targets,
    /// `rules`, and the rule files.
    Rules,
    /// The settings that take effect only at a restart.
    Restart,
}

/// A configuration that may have errors.
pub(crate) struct PartialConfig {
    /// Invalid values are absent or have their defaults: only valid parts may be used.
    pub(crate) config: Config,
    /// Which parts are valid.
    pub(crate) validity: Validity,
    /// The files that it names.
    pub(crate) files: Vec<PathBuf>,
    /// The errors, with the warnings of the file; `None` if there are no errors.
    pub(crate) errors: Option<FileDiagnostics>,
}

/// Which parts of a configuration are valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The invalid parts.
    pub(crate) invalid: BTreeSet<ConfigPart>,
    /// The names of the entries of `[[http.tokens]]` that have errors; the part as a whole is
    /// valid if only entries have.
    pub(crate) invalid_tokens: Vec<String>,
}

/// Attributes the errors that are reported while a part is read to that part.
//
// By the order of reading and not by location: `[http.tls]` may be anywhere in the file, and a
// missing key is reported at another place than the key would have.
pub(super) struct ErrorTracker<'a> {
    document: &'a Document<'a>,
    pub(super) validity: Validity,
}

impl ConfigPart {
    /// The parts in `[http]`.
    pub(super) const HTTP: [Self; 5] = [
        Self::Tokens,
        Self::EventBridge,
        Self::Access,
        Self::Tls,
        Self::Restart,
    ];
    /// All parts.
    pub(crate) const ALL: [Self; 10] = [
        Self::Tokens,
        Self::EventBridge,
        Self::Access,
        Self::Tls,
        Self::Heartbeat,
        Self::Archive,
        Self::Budgets,
        Self::Targets,
        Self::Rules,
        Self::Restart,
    ];

    /// Its name in responses, `/status` and the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokens => "http.tokens",
            Self::EventBridge => "http.eventbridge",
            Self::Access => "http.access",
            Self::Tls => "http.tls",
            Self::Heartbeat => "heartbeat",
            Self::Archive => "archive",
            Self::Budgets => "budgets",
            Self::Targets => "targets",
            Self::Rules => "rules",
            Self::Restart => "restart settings",
        }
    }
}

impl<'a> ErrorTracker<'a> {
    pub(super) fn new(document: &'a Document<'a>) -> Self {
        Self {
            document,
            validity: Validity::default(),
        }
    }

    /// Reads something that belongs to these parts.
    pub(super) fn read<T>(&mut self, parts: &[ConfigPart], read: impl FnOnce() -> T) -> T {
        let (value, valid) = self.observe(read);
        if !valid {
            self.validity.invalid.extend(parts);
        }
        value
    }

    /// Reads something; returns also whether it had no errors.
    pub(super) fn observe<T>(&self, read: impl FnOnce() -> T) -> (T, bool) {
        let before = self.document.error_count();
        let value = read();
        (value, self.document.error_count() == before)
    }
}
