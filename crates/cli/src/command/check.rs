//! `reflexarc check`: are the rules right, and would they work elsewhere?

use std::path::PathBuf;

use reflexarc::{FileDiagnostics, Rule, RuleSet};
use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_pattern::Dialect;

use crate::exit::{Exit, Failure};
use crate::output::evaluation::plural;
use crate::output::{Output, findings};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing wrong (warnings are allowed) · 1 with --dialect: some filters will not port · 3 invalid rules,
            or warnings with --deny-warnings

Examples:
  reflexarc check rules
  reflexarc check rules --dialect aws            what would AWS EventBridge not take?
  reflexarc check rules --format sarif > reflexarc.sarif")]
pub(crate) struct Args {
    /// Rule files, or folders of them (read recursively)
    #[arg(default_value = "rules", value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Check the filters against another service's language too: aws, alibaba
    #[arg(long, value_name = "NAME")]
    dialect: Option<Dialect>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t)]
    format: FindingsFormat,
    /// Take warnings for errors
    #[arg(long)]
    deny_warnings: bool,
}

/// The spelling of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum FindingsFormat {
    /// Drawn into the text, on stderr.
    #[default]
    Human,
    /// One JSON array.
    Json,
    /// One JSON document a finding.
    Ndjson,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Commands that GitHub's runner turns into annotations.
    Github,
}

/// Checks the rules.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let loaded = RuleSet::load_all(&args.rules);
    let (count, mut files) = match &loaded {
        Ok(rules) => (Some(rules.len()), rules.warnings().to_vec()),
        Err(files) => (None, files.clone()),
    };
    let mut ports = true;
    if let Ok(rules) = &loaded {
        let hint = |found: &Diagnostic| found.severity == Severity::Hint;
        files.extend(filters(rules, Dialect::Reflexarc, hint));
        if let Some(dialect) = args
            .dialect
            .filter(|dialect| *dialect != Dialect::Reflexarc)
        {
            let found = filters(rules, dialect, |_| true);
            ports = !found.iter().any(FileDiagnostics::has_errors);
            files.extend(found);
        }
    }
    match args.format {
        FindingsFormat::Human => files.iter().for_each(|file| output.diagnostics(file)),
        FindingsFormat::Json => output.json(&findings::list(&files))?,
        FindingsFormat::Ndjson => {
            for finding in findings::list(&files) {
                output.json(&finding)?;
            }
        }
        FindingsFormat::Sarif => output.json(&findings::sarif(&files))?,
        FindingsFormat::Github => output.bytes(findings::github(&files).as_bytes())?,
    }
    let all = || files.iter().flat_map(|file| &file.diagnostics);
    let errors = all()
        .filter(|found| found.severity == Severity::Error)
        .count() as u64;
    let warnings = all()
        .filter(|found| found.severity == Severity::Warning)
        .count() as u64;
    if args.format == FindingsFormat::Human {
        let rules = count.map_or_else(String::new, |count| {
            format!("{}: ", plural(count as u64, "rule"))
        });
        output.line(format_args!(
            "{rules}{}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        ))?;
    }
    Ok(match () {
        () if loaded.is_err() || args.deny_warnings && warnings > 0 => Exit::Invalid,
        () if !ports => Exit::Negative,
        () => Exit::Done,
    })
}

/// What a dialect says to the filters of the rules, as far as it is wanted.
fn filters(
    rules: &RuleSet,
    dialect: Dialect,
    wanted: impl Fn(&Diagnostic) -> bool,
) -> Vec<FileDiagnostics> {
    let file = |rule: &Rule| {
        let mut diagnostics = rule.check(dialect);
        diagnostics.retain(&wanted);
        let file = FileDiagnostics {
            name: rule.file().to_owned(),
            text: rule.text().to_owned(),
            diagnostics,
        };
        (!file.diagnostics.is_empty()).then_some(file)
    };
    rules.rules().filter_map(file).collect()
}
