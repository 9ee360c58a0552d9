//! Diagnostics for programs: JSON, SARIF, GitHub's annotations.

use std::fmt::Write as _;

use reflexarc::FileDiagnostics;
use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_event::Position;
use serde_json::{Value, json};

/// Each finding with its file, code, severity, message, place (bytes, and line and column from 1), labels, help and fix.
pub(crate) fn list(files: &[FileDiagnostics]) -> Vec<Value> {
    each(files)
        .map(|(file, found)| finding(file, found))
        .collect()
}

/// A SARIF 2.1.0 log with one run.
pub(crate) fn sarif(files: &[FileDiagnostics]) -> Value {
    let results = each(files).map(|(file, found)| {
        let (start, end) = places(file, found);
        let level = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "note",
        };
        json!({
            "ruleId": found.code.to_string(),
            "level": level,
            "message": { "text": with_help(found) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": file.name },
                "region": {
                    "startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column,
                },
            } }],
        })
    });
    let mut codes: Vec<_> = each(files).map(|(_, found)| found.code).collect();
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
                "name": "reflexarc", "version": env!("CARGO_PKG_VERSION"), "rules": rules.collect::<Vec<_>>(),
            } },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// Workflow commands, one a line.
pub(crate) fn github(files: &[FileDiagnostics]) -> String {
    let mut lines = String::new();
    for (file, found) in each(files) {
        let (start, end) = places(file, found);
        let command = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "notice",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "::{command} file={},line={},endLine={},col={},title={}::{}",
            property(&file.name),
            start.line,
            end.line,
            start.column,
            found.code,
            with_help(found)
                .replace('%', "%25")
                .replace('\r', "%0D")
                .replace('\n', "%0A"),
        );
    }
    lines
}

fn each(files: &[FileDiagnostics]) -> impl Iterator<Item = (&FileDiagnostics, &Diagnostic)> {
    files
        .iter()
        .flat_map(|file| file.diagnostics.iter().map(move |found| (file, found)))
}

fn finding(file: &FileDiagnostics, found: &Diagnostic) -> Value {
    let (start, end) = places(file, found);
    let severity = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "hint",
    };
    let labels = found
        .labels
        .iter()
        .map(|label| json!({ "start": label.span.start, "end": label.span.end, "message": label.message }));
    let fix = found
        .fix
        .as_ref()
        .map(|fix| json!({ "start": fix.span.start, "end": fix.span.end, "replacement": fix.replacement }));
    json!({
        "file": file.name,
        "code": found.code.to_string(),
        "severity": severity,
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

fn places(file: &FileDiagnostics, found: &Diagnostic) -> (Position, Position) {
    let text = file.text.as_bytes();
    (
        Position::of(text, found.span.start),
        Position::of(text, found.span.end),
    )
}

fn with_help(found: &Diagnostic) -> String {
    match &found.help {
        Some(help) => format!("{}; {help}", found.message),
        None => found.message.clone(),
    }
}

/// A value among the properties of a workflow command.
fn property(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace(':', "%3A")
        .replace(',', "%2C")
}
