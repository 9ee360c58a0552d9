//! `reflexarc check`: are the rules right?

use std::path::PathBuf;

use reflexarc_engine::RuleSet;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rule files, or folders of them (read recursively)
    #[arg(default_value = "rules")]
    rules: Vec<PathBuf>,
}

/// Checks the rules.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let rules = RuleSet::load_all(&args.rules).map_err(Failure::Rules)?;
    for file in rules.warnings() {
        output.diagnostics(file);
    }
    output.line(format_args!("{} rules, no errors", rules.len()))?;
    Ok(Exit::Done)
}
