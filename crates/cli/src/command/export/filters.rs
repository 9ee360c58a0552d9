//! `reflexarc export --dialect`: filters of rules in the language of another service.

use std::path::PathBuf;

use reflexarc::Rule;
use reflexarc_diagnostic::FileDiagnostics;
use reflexarc_event::Json;
use reflexarc_pattern::Dialect;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::input::{either, load_rules};
use crate::output::{Format, Output};

/// Arguments of `export` without a service.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Filter language to export to: aws, alibaba, reflexarc
    #[arg(long, value_name = "NAME", required = true)]
    dialect: Option<Dialect>,
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
pub(crate) fn run(args: &FilterArgs, output: &mut Output) -> Result<Exit, Failure> {
    let paths = either(args.paths.clone(), &args.rules, "PATH", "--rules")?;
    let rules = load_rules(&paths)?;
    let wanted = |rule: &&Rule| args.rule.as_ref().is_none_or(|name| name == rule.name());
    let chosen: Vec<_> = rules.rules().filter(wanted).collect();
    if let (Some(name), []) = (&args.rule, chosen.as_slice()) {
        return Err(Failure::Usage(format!("unknown rule `{name}`")));
    }
    let dialect = args.dialect.unwrap_or_default();
    let mut exit = Exit::Done;
    output.begin(args.format)?;
    for rule in &chosen {
        let (found, text) = match rule.export(dialect) {
            Ok(exported) => (exported.warnings, exported.texts.into_iter().next()),
            Err(found) => (found, None),
        };
        output.diagnostics([&FileDiagnostics {
            name: rule.file().to_owned(),
            text: rule.text().to_owned(),
            diagnostics: found,
        }]);
        let Some(pattern) = text else {
            exit = Exit::Negative;
            continue;
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
