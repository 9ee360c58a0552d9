//! A refused reload: what the log and `/status` say about it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reflexarc::{FileDiagnostics, InvalidFiles};
use reflexarc_diagnostic::Severity;
use reflexarc_event::{Json, Position};

use crate::config::ConfigPart;

/// The largest number of errors that are logged and kept.
// 1,000 broken files would make 1,000 log lines at each change of a file.
const MAX_LISTED: usize = 10;

/// The last reload, which was refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    at: Timestamp,
    errors: Vec<ListedError>,
    /// Further errors.
    more: usize,
    /// The parts that stay as they were.
    refused: BTreeSet<ConfigPart>,
    /// Whether `force` would take everything.
    confirmable: bool,
}

#[derive(Debug, Clone)]
struct ListedError {
    file: String,
    /// Line and column, from 1; `None` for a file that cannot be read.
    position: Option<Position>,
    code: String,
    message: String,
    help: Option<String>,
}

impl Refusal {
    /// Of these files.
    pub(super) fn new(
        invalid: &InvalidFiles,
        refused: BTreeSet<ConfigPart>,
        confirmable: bool,
        at: Timestamp,
    ) -> Self {
        let mut errors: Vec<ListedError> = invalid.files().iter().flat_map(errors_of).collect();
        let more = errors.len().saturating_sub(MAX_LISTED);
        errors.truncate(MAX_LISTED);
        Self {
            at,
            errors,
            more,
            refused,
            confirmable,
        }
    }

    /// Logs each error with its file and line.
    pub(super) fn log(&self) {
        for error in &self.errors {
            tracing::error!(
                file = error.file,
                line = error.position.map(|position| position.line),
                column = error.position.map(|position| position.column),
                code = error.code,
                error = error.message,
                help = error.help,
                "invalid rules or configuration"
            );
        }
        tracing::error!(
            errors = self.errors.len() + self.more,
            refused = self.refused().join(", "),
            taken = self.taken().join(", "),
            confirm = self.confirm(),
            "reload refused; the previous rules and configuration stay in effect"
        );
    }

    pub(crate) fn to_json(&self) -> Json {
        let errors = self.errors.iter().map(|error| {
            let position = error.position;
            let number = |number: Option<usize>| number.map_or(Json::Null, Json::count);
            Json::object([
                ("file", error.file.as_str().into()),
                ("line", number(position.map(|position| position.line))),
                ("column", number(position.map(|position| position.column))),
                ("code", error.code.as_str().into()),
                ("message", error.message.as_str().into()),
                ("help", Json::optional(error.help.as_deref())),
            ])
        });
        Json::object([
            ("at", self.at.to_string().into()),
            ("errors", Json::Array(errors.collect())),
            ("more", Json::count(self.more)),
            ("refused", Json::strings(self.refused())),
            ("taken", Json::strings(self.taken())),
            ("confirm", Json::optional(self.confirm())),
        ])
    }

    /// The names of the parts that stay as they were.
    pub(crate) fn refused(&self) -> Vec<&'static str> {
        self.refused.iter().map(|part| part.name()).collect()
    }

    /// The names of the parts that are in effect as the files have them.
    pub(crate) fn taken(&self) -> Vec<&'static str> {
        let all = ConfigPart::ALL.into_iter();
        all.filter(|part| *part != ConfigPart::Restart && !self.refused.contains(part))
            .map(ConfigPart::name)
            .collect()
    }

    /// The command that takes everything, if a confirmation is all that is missing.
    pub(crate) fn confirm(&self) -> Option<&'static str> {
        self.confirmable.then_some("reflexarc reload --force")
    }

    /// The first error, for a list of problems.
    pub(super) fn first_error(&self) -> String {
        self.errors.first().map_or_else(String::new, |error| {
            let line = error.position.map(|position| format!(":{}", position.line));
            format!(
                "{}{}: {}",
                error.file,
                line.unwrap_or_default(),
                error.message
            )
        })
    }
}

fn errors_of(file: &FileDiagnostics) -> impl Iterator<Item = ListedError> {
    let errors = file
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|error| ListedError {
        file: file.name.clone(),
        // The text of a file that cannot be read is empty, and it has no lines.
        position: (!file.text.is_empty())
            .then(|| Position::of(file.text.as_bytes(), error.span.start)),
        code: error.code.to_string(),
        message: error.message.clone(),
        help: error.help.clone(),
    })
}
