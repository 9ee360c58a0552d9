//! The shell door: reads arguments, files and streams, calls the engine, prints what it says.
//!
//! It is a library so that an installed Python package offers the same command.
//!
//! ```
//! assert_eq!(reflexarc_cli::run(["reflexarc", "check", "no-such-folder"]), 3);
//! ```
//!
//! This crate must not decide what a filter, a rule or a script means; it only shows what the other crates answer.
#![allow(
    clippy::disallowed_methods,
    reason = "the shell door is where files, terminal and environment are read"
)]

mod command;
mod configured;
mod exit;
mod input;
mod output;
mod pattern_file;
mod pattern_text;

use std::ffi::OsString;

use clap::Parser as _;

use crate::command::Cli;
use crate::exit::Exit;
use crate::output::Output;

/// Runs one command line, the program's name first, on this process's standard streams, and returns its exit code.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Asked-for help is no error; clap's own code for wrong usage is 2, as ours.
        Err(error) => {
            let failed = error.use_stderr();
            return match error.print() {
                Ok(()) | Err(_) if failed => Exit::Usage.into(),
                _ => Exit::Done.into(),
            };
        }
    };
    let mut output = Output::new();
    let result = cli
        .command
        .run(&mut output)
        .and_then(|exit| output.flush().map(|()| exit));
    output.report(result).into()
}
