//! `reflexarc help`: help for commands, the references, and explanations of diagnostic codes.

use clap::CommandFactory as _;
use reflexarc_diagnostic::{Code, UnknownCode, nearest};

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
  reflexarc help targets      reference: chats, PagerDuty, webhooks and streams that get messages
  reflexarc help calls        reference: targets whose API rules call
  reflexarc help RA0201       what a diagnostic code means, with an example
  reflexarc help codes        all diagnostic codes
  reflexarc help run          help for one command")]
pub(crate) struct Args {
    /// A command, a diagnostic code, or one of `rule`, `pattern`, `reaction`, `targets`,
    /// `calls`, `codes`
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Print references without a pager
    #[arg(long)]
    no_pager: bool,
}

/// Topics with a reference.
const REFERENCES: [(&str, &str); 5] = [
    ("rule", reflexarc::REFERENCE),
    ("pattern", reflexarc_pattern::REFERENCE),
    ("reaction", reflexarc_reaction::REFERENCE),
    ("targets", reflexarc_delivery::TARGETS),
    ("calls", reflexarc_delivery::REFERENCE),
];

/// The topic that lists all diagnostic codes.
const CODES: &str = "codes";

/// Prints the help for a topic, or for the whole program.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    match args.topics.as_slice() {
        [topic] if is_code(topic) => {
            let unknown = |error: UnknownCode| {
                let hint = "`reflexarc help codes` lists all codes";
                Failure::Usage(format!("{error}; {hint}"))
            };
            let code: Code = topic.parse().map_err(unknown)?;
            output.document(&explanation(code), false)?;
        }
        [topic] if topic == CODES => output.document(&codes(), !args.no_pager)?,
        topics => match topics.first().and_then(|topic| reference(topic)) {
            Some(text) if topics.len() == 1 => output.document(text, !args.no_pager)?,
            _ => output.help(&command_help(topics)?)?,
        },
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

/// The registry of codes as a table.
fn codes() -> String {
    let mut text = "# Diagnostic codes\n\n| code | meaning |\n|---|---|\n".to_owned();
    for code in Code::ALL {
        text.push_str(&format!("| `{code}` | {} |\n", code.title()));
    }
    text
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
        let references = REFERENCES.iter().map(|(name, _)| *name);
        topics.splice(0..0, references.chain([CODES]));
    }
    Failure::Usage(match nearest(topic, topics.iter().copied()) {
        Some(similar) => format!("no help for `{topic}`; did you mean `{similar}`?"),
        None => format!("no help for `{topic}`; topics are {}", topics.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use textwrap::core::display_width;

    use super::*;

    /// The long help of the program and of every command, with its name.
    fn all_helps(columns: usize) -> Vec<(String, String)> {
        let mut helps = Vec::new();
        let mut cli = Cli::command().term_width(columns);
        cli.build();
        collect("", &mut cli, columns, &mut helps);
        helps
    }

    fn collect(
        parent: &str,
        command: &mut clap::Command,
        columns: usize,
        helps: &mut Vec<(String, String)>,
    ) {
        let name = format!("{parent} {}", command.get_name());
        *command = command.clone().term_width(columns);
        helps.push((name.clone(), command.render_long_help().to_string()));
        for inner in command.get_subcommands_mut() {
            collect(&name, inner, columns, helps);
        }
    }

    /// Whether a line is text of a paragraph: no heading, list entry or example.
    fn is_prose(line: &str) -> bool {
        let text = line.trim_start();
        let starts_entry = text.starts_with(['-', '[', '<'])
            || text.starts_with(|first: char| first.is_ascii_digit())
            || text.starts_with("reflexarc ");
        !text.is_empty() && !text.ends_with(':') && !starts_entry
    }

    fn indent(line: &str) -> usize {
        line.len() - line.trim_start().len()
    }

    #[test]
    fn help_texts_fit_the_terminal() {
        for columns in [60, 80, 120] {
            for (name, help) in all_helps(columns) {
                for line in help.lines().filter(|line| !line.starts_with("Usage:")) {
                    let width = display_width(line);
                    assert!(width <= columns, "{name}, {width} > {columns}: {line}");
                }
            }
        }
    }

    /// A text that is wrapped twice has short lines in the middle of its paragraphs.
    #[test]
    fn help_texts_are_wrapped_once() {
        for columns in [60, 80, 120] {
            for (name, help) in all_helps(columns) {
                // Entries of lists stand on lines of their own.
                let mut in_list = false;
                let lines: Vec<&str> = help.lines().collect();
                for pair in lines.windows(2) {
                    let (line, next) = (pair[0], pair[1]);
                    if line.ends_with(':') && indent(line) == 0 {
                        in_list = ["Commands:", "Examples:"].contains(&line);
                    } else if line.is_empty() && indent(next) == 0 {
                        in_list = false;
                    }
                    let same = is_prose(line) && is_prose(next) && indent(line) == indent(next);
                    if in_list || !same {
                        continue;
                    }
                    let word = next.split_whitespace().next().unwrap_or_default();
                    let joined = display_width(line) + 1 + display_width(word);
                    assert!(
                        joined > columns.min(100),
                        "{name} at {columns}, broken too early:\n{line}\n{next}"
                    );
                }
            }
        }
    }
}
