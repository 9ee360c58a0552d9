//! `reflexarc export`: filters of rules in the language of another service.

use std::path::PathBuf;

use reflexarc::Rule;
use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, Severity};
use reflexarc_event::Json;
use reflexarc_pattern::Dialect;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::input::{either, load_rules};
use crate::output::{Format, Output};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A filter that the other service would reject is not printed; stderr shows why. Of a rule with a \
time window, the events of all its filters are selected.

Exit codes:
  0 exported
  1 at least one filter cannot be exported
  3 invalid rules

Examples:
  reflexarc export --dialect alibaba --rule failed-operation
  reflexarc export rules --dialect aws --format ndjson")]
pub(crate) struct Args {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Filter language to export to: aws, alibaba, reflexarc
    #[arg(long, value_name = "NAME")]
    dialect: Dialect,
    /// Deprecated: PATH
    #[arg(long, value_name = "PATH", hide = true)]
    rules: Vec<PathBuf>,
    /// Only this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Output format; `human` prints only the filters, under rule names if there are several
    /// or one is disabled
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Exports the filters.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let paths = either(args.paths.clone(), &args.rules, "PATH", "--rules")?;
    let rules = load_rules(&paths)?;
    let wanted = |rule: &&Rule| args.rule.as_ref().is_none_or(|name| name == rule.name());
    let chosen: Vec<_> = rules.rules().filter(wanted).collect();
    if let (Some(name), []) = (&args.rule, chosen.as_slice()) {
        return Err(Failure::Usage(format!("unknown rule `{name}`")));
    }
    let mut exit = Exit::Done;
    output.begin(args.format)?;
    for rule in &chosen {
        // A rule with a time window needs the events of all its filters.
        let exported = rule.needed_events().export(args.dialect);
        let mut found = rule.check(args.dialect);
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        if let Err(error) = &exported
            && !found.iter().any(is_error)
        {
            // Each filter is valid there, only not all of them as one.
            let span = rule.filter_span(&(0..rule.pattern().source().len()));
            let reason = error.diagnostics().iter().find(|found| is_error(found));
            let reason = reason.map_or("", |found| found.message.as_str());
            let message = format!("the filters of this rule cannot be one filter: {reason}");
            found.push(Diagnostic::error(Code::NOT_PORTABLE, span, message));
        }
        let reasons = FileDiagnostics {
            name: rule.file().to_owned(),
            text: rule.text().to_owned(),
            diagnostics: found,
        };
        output.diagnostics([&reasons]);
        // A pattern with errors in the dialect may still be printable, but the service would reject
        // it or match other events.
        let pattern = match exported {
            Ok(pattern) if !reasons.diagnostics.iter().any(is_error) => pattern,
            _ => {
                exit = Exit::Negative;
                continue;
            }
        };
        match args.format {
            Format::Human => {
                let disabled = if rule.enabled() { "" } else { " (disabled)" };
                if chosen.len() > 1 || !rule.enabled() {
                    output.line(format_args!("# {}{disabled}", rule.name()))?;
                }
                output.line(pattern)?;
            }
            format => {
                let pattern =
                    Json::parse(&pattern).map_err(|error| Failure::Runtime(error.to_string()))?;
                let mut element = json!({ "rule": rule.name(), "pattern": pattern });
                if !rule.enabled() {
                    element["enabled"] = false.into();
                }
                output.element(format, &element)?;
            }
        }
    }
    output.end(args.format)?;
    Ok(exit)
}
