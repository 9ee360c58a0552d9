//! `reflexarc completions`: scripts with which shells complete commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Put the script where the shell reads it: for bash \
~/.local/share/bash-completion/completions/reflexarc, for zsh a folder of $fpath as _reflexarc, for \
fish ~/.config/fish/completions/reflexarc.fish.

Examples:
  reflexarc completions bash
  reflexarc completions zsh")]
pub(crate) struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reflexarc", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
