//! The shell door: reads arguments, files and streams, calls the engine, prints what it says.
//!
//! This crate must not decide what a filter, a rule or a script means; it only shows what the other crates answer.
#![allow(clippy::disallowed_methods, reason = "the shell door is where files, terminal and environment are read")]

mod command;
mod exit;
mod input;
mod output;
mod pattern_file;
mod pattern_text;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Asked-for help is no error; clap's own code for wrong usage is 2, as ours.
        Err(error) => {
            let failed = error.use_stderr();
            return match error.print() {
                Ok(()) | Err(_) if failed => exit::Exit::Usage.into(),
                _ => exit::Exit::Done.into(),
            };
        }
    };
    let mut output = Output::new();
    let result = cli.command.run(&mut output).and_then(|exit| output.flush().map(|()| exit));
    exit::report(result, &mut output).into()
}
