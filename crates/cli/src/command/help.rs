//! `reflexarc help`: help for commands, and the references of rule files, filters and scripts.

use clap::CommandFactory as _;

use super::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  reflexarc help rule         reference: keys of rule files, and their tests
  reflexarc help pattern      reference: the filter language of `when`
  reflexarc help reaction     reference: the functions that scripts in `then` can call
  reflexarc help run          help for one command")]
pub(crate) struct Args {
    /// A command, or one of `rule`, `pattern`, `reaction`
    topic: Option<String>,
}

/// Topics with a reference.
const REFERENCES: [(&str, &str); 3] = [
    ("rule", reflexarc::REFERENCE),
    ("pattern", reflexarc_pattern::REFERENCE),
    ("reaction", reflexarc_reaction::REFERENCE),
];

/// Prints the help for a topic, or for the whole program.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut cli = Cli::command();
    let Some(topic) = &args.topic else {
        output.line(cli.render_long_help())?;
        return Ok(Exit::Done);
    };
    if let Some((_, reference)) = REFERENCES.iter().find(|(name, _)| name == topic) {
        output.line(reference.trim_end())?;
        return Ok(Exit::Done);
    }
    // Building adds the name of the program to the usage of subcommands.
    cli.build();
    let Some(command) = cli.find_subcommand_mut(topic) else {
        let commands = cli.get_subcommands().map(clap::Command::get_name);
        let topics: Vec<_> = REFERENCES
            .iter()
            .map(|(name, _)| *name)
            .chain(commands)
            .collect();
        return Err(Failure::Usage(format!(
            "no help for `{topic}`; topics are {}",
            topics.join(", ")
        )));
    };
    output.line(command.render_long_help())?;
    Ok(Exit::Done)
}
