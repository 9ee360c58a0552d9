//! `reflexarc help`: commands, and the references of rule files and their two languages.

use clap::CommandFactory as _;

use super::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  reflexarc help rule         rule files, key by key, and their tests
  reflexarc help pattern      the filter language, for `when`
  reflexarc help reaction     what scripts can do, for `then`
  reflexarc help run          a command")]
pub(crate) struct Args {
    /// A command, or `rule`, `pattern`, `reaction`
    topic: Option<String>,
}

/// The references, by topic.
const REFERENCES: [(&str, &str); 3] = [
    ("rule", reflexarc::REFERENCE),
    ("pattern", reflexarc_pattern::REFERENCE),
    ("reaction", reflexarc_reaction::REFERENCE),
];

/// Prints help.
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
    cli.build();
    let Some(command) = cli.find_subcommand_mut(topic) else {
        let commands = cli.get_subcommands().map(clap::Command::get_name);
        let topics: Vec<_> = REFERENCES
            .iter()
            .map(|(name, _)| *name)
            .chain(commands)
            .collect();
        return Err(Failure::Usage(format!(
            "there is no help on `{topic}`; there is on {}",
            topics.join(", ")
        )));
    };
    output.line(command.render_long_help())?;
    Ok(Exit::Done)
}
