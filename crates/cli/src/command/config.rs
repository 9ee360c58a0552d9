//! `reflexarc config`: is the configuration right, and one to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use reflexarc_service::TEMPLATE;

use crate::configured::Configured;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Read the configuration with its secrets and show everything that is wrong
    #[command(after_help = "Exit codes: 0 it is right · 3 it is not")]
    Check {
        #[command(flatten)]
        configured: Configured,
        /// Do not look for secrets
        #[arg(long)]
        without_secrets: bool,
    },
    /// Write a commented configuration to begin with; an existing file is left alone
    #[command(after_help = "Exit codes: 0 written · 2 there is a file already")]
    Init {
        /// Where to write it
        #[arg(default_value = "reflexarc.toml")]
        path: PathBuf,
    },
}

/// Checks or writes.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    match &args.what {
        What::Check {
            configured,
            without_secrets,
        } => {
            if *without_secrets {
                configured.load_without_secrets()?;
                output.line("the configuration is right; its secrets were not looked for")?;
            } else {
                let config = configured.load()?;
                output.line(format_args!(
                    "the configuration is right: {} targets",
                    config.queues.len()
                ))?;
            }
            Ok(Exit::Done)
        }
        What::Init { path } => {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let mut file = file.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => {
                    Failure::Usage(format!("there is already a file {}", path.display()))
                }
                _ => Failure::Io(error),
            })?;
            file.write_all(TEMPLATE.as_bytes())?;
            output.line(format_args!("wrote {}", path.display()))?;
            Ok(Exit::Done)
        }
    }
}
