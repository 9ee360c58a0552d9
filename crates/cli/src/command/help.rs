//! `reflexarc help`: help for commands, the references, and explanations of diagnostic codes.

use clap::CommandFactory as _;
use reflexarc_diagnostic::{Code, nearest};

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
  reflexarc help RA0201       what a diagnostic code means, with an example
  reflexarc help run          help for one command")]
pub(crate) struct Args {
    /// A command, a diagnostic code, or one of `rule`, `pattern`, `reaction`
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Print references without a pager
    #[arg(long)]
    no_pager: bool,
}

/// Topics with a reference.
const REFERENCES: [(&str, &str); 3] = [
    ("rule", reflexarc::REFERENCE),
    ("pattern", reflexarc_pattern::REFERENCE),
    ("reaction", reflexarc_reaction::REFERENCE),
];

/// Prints the help for a topic, or for the whole program.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    match args.topics.as_slice() {
        [topic] if is_code(topic) => {
            let code: Code = topic
                .parse()
                .map_err(|error| Failure::Usage(format!("{error}")))?;
            output.document(&explanation(code), false)?;
        }
        [topic] if reference(topic).is_some() => {
            let text = reference(topic).unwrap_or_default();
            output.document(text, !args.no_pager)?;
        }
        topics => output.help(&command_help(topics)?)?,
    }
    Ok(Exit::Done)
}

fn reference(topic: &str) -> Option<&'static str> {
    let (_, text) = REFERENCES.iter().find(|(name, _)| *name == topic)?;
    Some(text)
}

/// Whether the topic is meant as a diagnostic code: `RA` and digits, the right number or not.
fn is_code(topic: &str) -> bool {
    let topic = topic.to_ascii_lowercase();
    let digits = topic.strip_prefix("ra").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn explanation(code: Code) -> String {
    format!("# {code}: {}\n\n{}\n", code.title(), code.explanation())
}

/// The help of a command, given as its name and those of its subcommands.
fn command_help(topics: &[String]) -> Result<clap::builder::StyledStr, Failure> {
    let mut cli = Cli::command();
    // Building adds the name of the program to the usage of subcommands.
    cli.build();
    let mut command = &mut cli;
    for topic in topics {
        let error = unknown(topic, command);
        command = command.find_subcommand_mut(topic).ok_or(error)?;
    }
    Ok(command.render_long_help())
}

/// The error for a topic that does not exist below `command`.
fn unknown(topic: &str, command: &clap::Command) -> Failure {
    let mut topics: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    if command.get_name() == "reflexarc" {
        topics.splice(0..0, REFERENCES.iter().map(|(name, _)| *name));
    }
    Failure::Usage(match nearest(topic, topics.iter().copied()) {
        Some(similar) => format!("no help for `{topic}`; did you mean `{similar}`?"),
        None => format!("no help for `{topic}`; topics are {}", topics.join(", ")),
    })
}
