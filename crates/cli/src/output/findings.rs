//! Findings of `check`: drawn for people, and as JSON, SARIF and GitHub annotations for programs.

use std::fmt;

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Position;
use serde_json::{Value, json};

use super::text::plural;
use super::{Format, Output};
use crate::exit::Failure;

/// Format of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum FindingsFormat {
    /// Drawn into the text, on stderr.
    #[default]
    Human,
    /// One JSON array.
    Json,
    /// One JSON document per line.
    Ndjson,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// GitHub workflow commands, which become annotations.
    Github,
}

/// A diagnostic and the text that it is about.
pub(crate) struct Finding<'a> {
    /// Path of the file, as the user gave it.
    pub(crate) file: &'a str,
    /// The line of the file on which `text` begins, from 1: an event may be one of many in a file.
    pub(crate) first_line: usize,
    pub(crate) text: &'a str,
    pub(crate) diagnostic: &'a Diagnostic,
}

/// Numbers of errors and warnings; hints are not counted, which never change the exit code.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) errors: u64,
    pub(crate) warnings: u64,
}

/// Writes findings one by one, so that a long stream of events needs no memory for them.
pub(crate) struct FindingsWriter {
    format: FindingsFormat,
    counts: Counts,
    /// Whether the JSON array has been opened.
    opened: bool,
    /// SARIF only: a log lists the codes of all results, so it can be written only at the end.
    results: Vec<Value>,
    codes: Vec<Code>,
}

impl FindingsWriter {
    /// A writer without findings.
    pub(crate) fn new(format: FindingsFormat) -> Self {
        Self {
            format,
            counts: Counts::default(),
            opened: false,
            results: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Writes one finding.
    pub(crate) fn write(
        &mut self,
        finding: &Finding<'_>,
        output: &mut Output,
    ) -> Result<(), Failure> {
        self.counts.add(finding.diagnostic.severity);
        // Findings are written as they come, except SARIF; see `results`.
        match self.format {
            FindingsFormat::Human => output.finding(finding),
            FindingsFormat::Json => {
                self.open(output)?;
                output.element(Format::Json, &finding.to_json())?;
            }
            FindingsFormat::Ndjson => output.json(&finding.to_json())?,
            FindingsFormat::Sarif => {
                self.results.push(finding.to_sarif());
                self.codes.push(finding.diagnostic.code);
            }
            FindingsFormat::Github => output.line(finding.to_github())?,
        }
        Ok(())
    }

    /// Ends the list of findings and returns their numbers.
    pub(crate) fn finish(mut self, output: &mut Output) -> Result<Counts, Failure> {
        match self.format {
            FindingsFormat::Json => {
                self.open(output)?;
                output.end(Format::Json)?;
            }
            FindingsFormat::Sarif => output.json(&sarif_log(&self.results, self.codes))?,
            _ => {}
        }
        Ok(self.counts)
    }

    fn open(&mut self, output: &mut Output) -> Result<(), Failure> {
        if std::mem::replace(&mut self.opened, true) {
            Ok(())
        } else {
            output.begin(Format::Json)
        }
    }
}

impl Counts {
    fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Hint => {}
        }
    }
}

/// `1 error, 2 warnings`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (errors, warnings) = (
            plural(self.errors, "error"),
            plural(self.warnings, "warning"),
        );
        write!(f, "{errors}, {warnings}")
    }
}

impl Finding<'_> {
    /// An object with file, code, severity, message, position, labels, help and fix.
    ///
    /// `start` and `end` are byte offsets in the text of the finding, which is one event of the
    /// file for events; lines and columns count from 1.
    fn to_json(&self) -> Value {
        let found = self.diagnostic;
        let (start, end) = self.positions();
        let labels = found.labels.iter().map(|label| {
            json!({
                "start": label.span.start,
                "end": label.span.end,
                "message": label.message,
            })
        });
        let fix = found.fix.as_ref().map(|fix| {
            json!({
                "start": fix.span.start,
                "end": fix.span.end,
                "replacement": fix.replacement,
            })
        });
        json!({
            "file": self.file,
            "code": found.code.to_string(),
            "severity": found.severity.as_str(),
            "message": found.message,
            "start": found.span.start,
            "end": found.span.end,
            "line": start.line,
            "column": start.column,
            "end_line": end.line,
            "end_column": end.column,
            "labels": labels.collect::<Vec<_>>(),
            "help": found.help,
            "fix": fix,
        })
    }

    /// A result of a SARIF log.
    fn to_sarif(&self) -> Value {
        let (start, end) = self.positions();
        let level = match self.diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "note",
        };
        json!({
            "ruleId": self.diagnostic.code.to_string(),
            "level": level,
            "message": { "text": self.message_with_help() },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": self.file },
                "region": {
                    "startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column,
                },
            } }],
        })
    }

    /// A GitHub workflow command.
    fn to_github(&self) -> String {
        let (start, end) = self.positions();
        let command = match self.diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "notice",
        };
        format!(
            "::{command} file={},line={},endLine={},col={},title={}::{}",
            escape_property(self.file),
            start.line,
            end.line,
            start.column,
            self.diagnostic.code,
            escape_message(&self.message_with_help()),
        )
    }

    fn positions(&self) -> (Position, Position) {
        let position = |offset| {
            let mut position = Position::of(self.text.as_bytes(), offset);
            position.line += self.first_line - 1;
            position
        };
        (
            position(self.diagnostic.span.start),
            position(self.diagnostic.span.end),
        )
    }

    fn message_with_help(&self) -> String {
        match &self.diagnostic.help {
            Some(help) => format!("{}; {help}", self.diagnostic.message),
            None => self.diagnostic.message.clone(),
        }
    }
}

/// A SARIF 2.1.0 log with one run.
fn sarif_log(results: &[Value], mut codes: Vec<Code>) -> Value {
    codes.sort_unstable();
    codes.dedup();
    let rules = codes.iter().map(
        |code| json!({ "id": code.to_string(), "shortDescription": { "text": code.title() } }),
    );
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "reflexarc",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

/// Escapes the message of a workflow command, which ends at the end of the line.
fn escape_message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command; `,` ends a property and `:` the list of them.
fn escape_property(text: &str) -> String {
    escape_message(text).replace(':', "%3A").replace(',', "%2C")
}
