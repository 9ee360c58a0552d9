//! Positional arguments: which of them are rules, which is a filter, which are events.
//!
//! One scheme for all commands: a folder and a `*.toml` file are rules, everything else is a file
//! of events, `-` is stdin. A filter comes first.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reflexarc::{RuleSet, Tables};
use reflexarc_diagnostic::FileDiagnostics;

use crate::exit::Failure;

/// `[RULES] [EVENTS]...`: rules, and the events to evaluate.
#[derive(Debug, clap::Args)]
pub(crate) struct RulesAndEvents {
    /// Rule file (*.toml) or folder of rule files; several are allowed [default: rules]
    #[arg(value_name = "RULES")]
    first: Option<PathBuf>,
    /// Events: NDJSON, a JSON array or JSON documents, optionally compressed with gzip or zstd;
    /// `-` is stdin [default: stdin]
    #[arg(value_name = "EVENTS")]
    rest: Vec<PathBuf>,
    /// Deprecated: RULES
    #[arg(long, value_name = "PATH", hide = true)]
    rules: Vec<PathBuf>,
    /// Deprecated: EVENTS
    #[arg(long, value_name = "FILE", hide = true)]
    events: Option<PathBuf>,
}

/// `[FILTER|RULES] [EVENTS]...`: a filter or rules, and the events to match.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterAndEvents {
    /// Filter, in either notation; or rule file (*.toml) or folder of rule files
    #[arg(value_name = "FILTER|RULES")]
    first: Option<OsString>,
    /// Events: NDJSON, a JSON array or JSON documents, optionally compressed with gzip or zstd;
    /// `-` is stdin [default: stdin]
    #[arg(value_name = "EVENTS")]
    rest: Vec<OsString>,
    /// Deprecated: RULES
    #[arg(long, value_name = "PATH", hide = true)]
    rules: Vec<PathBuf>,
}

/// What positional arguments name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The filter, if there is one.
    pub(crate) filter: Option<String>,
    /// Rule files and folders.
    pub(crate) rules: Vec<PathBuf>,
    /// Files of events.
    pub(crate) events: Vec<PathBuf>,
}

impl RulesAndEvents {
    /// Rules and events; both may be empty.
    pub(crate) fn named(&self) -> Result<Named, Failure> {
        let positional = self.first.iter().chain(&self.rest).cloned();
        let (rules, events) = positional.partition::<Vec<_>, _>(|path| is_rules(path));
        Ok(Named {
            filter: None,
            rules: either(rules, &self.rules, "RULES", "--rules")?,
            events: either(events, self.events.as_slice(), "EVENTS", "--events")?,
        })
    }
}

impl FilterAndEvents {
    /// Filter, rules and events; the first argument that names no rules is the filter, if
    /// `has_filter` and no rules are given.
    pub(crate) fn named(&self, has_filter: bool) -> Result<Named, Failure> {
        let positional = self.first.iter().chain(&self.rest);
        filter_and_events(positional, &self.rules, |_, _| has_filter)
    }
}

/// Sorts positional arguments into filter, rules and events. Without rules, the first argument is
/// the filter if `is_filter` says so of it and of the number of arguments after it.
pub(crate) fn filter_and_events<'a>(
    positional: impl Iterator<Item = &'a OsString>,
    deprecated_rules: &[PathBuf],
    is_filter: impl FnOnce(&Path, usize) -> bool,
) -> Result<Named, Failure> {
    let paths = positional.map(PathBuf::from);
    let (rules, mut events) = paths.partition::<Vec<_>, _>(|path| is_rules(path));
    let rules = either(rules, deprecated_rules, "RULES", "--rules")?;
    let mut filter = None;
    if let Some((first, rest)) = events.split_first()
        && rules.is_empty()
        && is_filter(first, rest.len())
    {
        let text = events.remove(0).into_os_string().into_string();
        filter = Some(text.map_err(|_| Failure::Usage("the filter is not UTF-8".to_owned()))?);
    }
    Ok(Named {
        filter,
        rules,
        events,
    })
}

/// The positional paths, or those of the deprecated option.
///
/// # Errors
/// If there are both.
pub(crate) fn either(
    positional: Vec<PathBuf>,
    deprecated: &[PathBuf],
    name: &str,
    option: &str,
) -> Result<Vec<PathBuf>, Failure> {
    match (positional.is_empty(), deprecated.is_empty()) {
        (_, true) => Ok(positional),
        (true, false) => Ok(deprecated.to_vec()),
        (false, false) => Err(Failure::Usage(format!(
            "both {name} and {option} are given; remove {option}"
        ))),
    }
}

/// Loads rule files and folders, by default `rules`; `-` is a rule file on stdin.
pub(crate) fn load_rules(paths: &[PathBuf]) -> Result<RuleSet, Failure> {
    if paths.is_empty() {
        return Ok(RuleSet::load("rules")?);
    }
    let (stdin, files) = paths
        .iter()
        .partition::<Vec<_>, _>(|path| path.as_os_str() == "-");
    if stdin.is_empty() {
        return Ok(RuleSet::load_all(&files)?);
    }
    let text = super::read_stdin()?;
    Ok(RuleSet::load_with(&files, vec![("-".to_owned(), text)])?)
}

/// What is found in rule files that do not load together: the diagnostics of the invalid ones, then
/// the warnings about the others.
pub(crate) fn with_warnings_of_valid(
    invalid: Vec<FileDiagnostics>,
    paths: &[PathBuf],
) -> Vec<FileDiagnostics> {
    let default = [PathBuf::from("rules")];
    let paths: &[PathBuf] = if paths.is_empty() { &default } else { paths };
    let names: BTreeSet<String> = invalid.iter().map(|file| file.name.clone()).collect();
    let files = RuleSet::read_texts(paths).into_iter();
    let valid = files.filter(|(name, _)| !names.contains(name));
    let tables = Tables::load(paths);
    // Each on its own: two files of one name are an error of the set, but both may have warnings.
    let sets = valid.filter_map(|file| RuleSet::compile_with_tables([file], &tables).ok());
    // No rule alone uses all tables.
    let warnings = sets.flat_map(|rules| {
        let files = rules.warnings().to_vec().into_iter();
        files.filter(move |file| rules.rules().any(|rule| rule.file() == file.name))
    });
    invalid.into_iter().chain(warnings).collect()
}

/// Whether an argument names rules.
fn is_rules(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
        || path.is_dir()
}
