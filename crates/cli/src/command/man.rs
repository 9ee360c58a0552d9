//! `reflexarc man`: the help texts as pages of the manual.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without DIR, prints the page of the program. With DIR, writes its page and one for each subcommand \
there, such as reflexarc-run.1; those that exist are replaced.

Examples:
  reflexarc man
  reflexarc man share/man/man1")]
pub(crate) struct Args {
    /// Folder to write all pages to
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the page of the program, or writes all pages.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        output.bytes(&page)?;
        return Ok(Exit::Done);
    };
    let written = fs::create_dir_all(dir).and_then(|()| {
        clap_mangen::generate_to(Cli::command(), dir)?;
        Ok(())
    });
    written.map_err(|error| {
        Failure::Runtime(format!("cannot write pages to {}: {error}", dir.display()))
    })?;
    Ok(Exit::Done)
}
