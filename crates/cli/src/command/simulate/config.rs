//! The part of a configuration that a simulation uses: targets and rules.

use std::path::{Path, PathBuf};

use reflexarc::FileDiagnostics;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, TargetConfig, targets};
use reflexarc_diagnostic::toml::{Document, EmbeddedText, FaultCodes};
use reflexarc_diagnostic::{Diagnostic, Severity};
use reflexarc_service::config::read_file;

/// What a simulation reads of a configuration.
pub(super) struct SimulationConfig {
    pub(super) targets: Vec<TargetConfig>,
    /// Rule files and folders.
    pub(super) rule_paths: Vec<PathBuf>,
}

/// The keys that only the service reads. They are known here so that a misspelled `[target.log]` is
/// reported, but what they contain is the service's.
const SERVICE_KEYS: [&str; 15] = [
    "archive",
    "budgets",
    "console",
    "dead_letters",
    "heartbeat",
    "http",
    "limits",
    "log",
    "log_format",
    "patience",
    "shutdown_timeout",
    "sources",
    "state",
    "store",
    "telemetry",
];

/// Reads a configuration file.
///
/// # Errors
/// With all diagnostics of the parts that are read.
pub(super) fn load(path: &Path) -> Result<SimulationConfig, FileDiagnostics> {
    let (name, text) = read_file(path)?;
    read(&text, path.parent().unwrap_or(Path::new(""))).map_err(|diagnostics| FileDiagnostics {
        name,
        text,
        diagnostics,
    })
}

fn read(text: &str, folder: &Path) -> Result<SimulationConfig, Vec<Diagnostic>> {
    let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
    if document.has_syntax_errors() {
        return Err(document.into_diagnostics());
    }
    // Nothing is sent, so secrets need not be set where a scenario runs, such as in CI.
    let context = ConfigContext::new(folder, Secrets::Blank);
    let root = ConfigTable::new(&context, document.root());
    let rules = root
        .nonempty_strings("rules")
        .map(|paths| paths.into_iter().map(EmbeddedText::into_text).collect());
    let rules: Vec<String> = rules.unwrap_or_else(|| vec!["rules".to_owned()]);
    let config = SimulationConfig {
        targets: targets(&root),
        rule_paths: rules.iter().map(|path| folder.join(path)).collect(),
    };
    root.allow(&SERVICE_KEYS);
    root.finish();
    let diagnostics = document.into_diagnostics();
    if diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
    {
        return Err(diagnostics);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use reflexarc_service::config::TEMPLATE;

    use reflexarc_diagnostic::Code;

    use super::*;

    /// All of the template's tables and keys, those that are comments included.
    #[test]
    fn every_table_of_the_service_is_known() {
        let enabled = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.split(' ').nth(1) == Some("=") => {
                rest.to_owned()
            }
            _ => line.to_owned(),
        };
        // Without the feature `cluster`, without what needs it.
        let paragraphs = TEMPLATE.split("\n\n");
        let here = |text: &&str| cfg!(feature = "cluster") || !text.contains("\"jetstream\"");
        let template = paragraphs.filter(here).collect::<Vec<_>>().join("\n\n");
        let text: String = template.lines().map(|line| enabled(line) + "\n").collect();
        let config = read(&text, Path::new("")).unwrap_or_else(|faults| panic!("{faults:?}"));
        // Seven of the ready-made rules, and the others, one of each type.
        let expected = if cfg!(feature = "cluster") { 17 } else { 16 };
        assert_eq!(config.targets.len(), expected);
        assert_eq!(config.rule_paths, [Path::new("rules")]);
    }

    #[test]
    fn unknown_tables_are_reported() {
        let faults = read("[target.log]\ntype = \"stdout\"\n", Path::new(""));
        let faults = faults.err().unwrap();
        assert_eq!(faults[0].code, Code::CONFIG_KEY);
    }
}
