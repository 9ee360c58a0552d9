//! The `reflexarc` command line: reads arguments, files and streams, calls the engine or the
//! service and prints the result.
//!
//! It is a library so that the wheel of the Python package can offer the same command.
//!
//! ```
//! assert_eq!(reflexarc_cli::run(["reflexarc", "check", "no-such-folder"]), 3);
//! ```
//!
//! This crate must not define what a filter, a rule or a script means; it prints what the other
//! crates return.
#![allow(
    clippy::disallowed_methods,
    reason = "the command line is where files, terminal and environment are read"
)]

mod command;
mod config_args;
mod exit;
mod filter_argument;
mod filter_file;
mod input;
mod output;
mod rule_warnings;
mod service_args;
mod stop_signal;
mod usage_error;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, ValueEnum as _};

use crate::command::Cli;
use crate::exit::Exit;
use crate::output::{Colour, Output};

/// Runs one command line on the standard streams of this process and returns its exit code.
///
/// `arguments` begins with the name of the program, as `std::env::args_os` does.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    // The messages of the parser are coloured too, so it cannot be the one to find `--color`.
    colour_argument(&arguments).apply();
    let mut definition = Cli::command();
    let parsed = definition
        .try_get_matches_from_mut(&arguments)
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)))
        .map_err(|mut error| {
            usage_error::explain(&mut error, &definition, &arguments);
            error.format(&mut definition)
        });
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        // `--help` and `--version` arrive here as errors too; clap prints them to stdout.
        Err(error) => {
            let failed = error.use_stderr();
            return match error.print() {
                Ok(()) | Err(_) if failed => Exit::Usage.into(),
                _ => Exit::Done.into(),
            };
        }
    };
    cli.color.apply();
    let mut output = Output::new();
    command::deprecated::print_hints(&matches, &mut output);
    let result = cli
        .command
        .run(&mut output)
        .and_then(|exit| output.flush().map(|()| exit));
    output.report(result).into()
}

/// The value of `--color`; the default where it is missing or invalid.
fn colour_argument(arguments: &[OsString]) -> Colour {
    let mut words = arguments
        .iter()
        .map(|word| word.to_str().unwrap_or_default());
    let value = loop {
        match words.next() {
            None | Some("--") => return Colour::Auto,
            Some("--color") => break words.next(),
            Some(word) => {
                if let Some(value) = word.strip_prefix("--color=") {
                    break Some(value);
                }
            }
        }
    };
    value
        .and_then(|value| Colour::from_str(value, false).ok())
        .unwrap_or_default()
}
