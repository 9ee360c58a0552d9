//! `reflexarc config`: check the configuration, or create one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use reflexarc_service::config::TEMPLATE;

use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::output::text::plural;

/// Subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and the secrets that it names, and report every error
    #[command(after_help = "Exit codes: 0 valid · 3 invalid")]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Do not resolve secrets
        #[arg(long)]
        without_secrets: bool,
    },
    /// Create a commented configuration; an existing file is never overwritten
    #[command(after_help = "Exit codes: 0 created · 2 the file exists already")]
    Init {
        /// File to create
        #[arg(default_value = "reflexarc.toml")]
        path: PathBuf,
    },
}

/// Checks or creates a configuration.
pub(crate) fn run(args: &Config, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Config::Check {
            config,
            without_secrets: true,
        } => {
            let config = config.load_without_secrets()?;
            output.diagnostics(&config.warnings);
            output.line("the configuration is valid (secrets not checked)")?;
        }
        Config::Check { config, .. } => {
            let config = config.load()?;
            output.diagnostics(&config.warnings);
            let targets = plural(config.queues.len() as u64, "target");
            output.line(format_args!("the configuration is valid: {targets}"))?;
        }
        Config::Init { path } => init(path, output)?,
    }
    Ok(Exit::Done)
}

fn init(path: &Path, output: &mut Output) -> Result<(), Failure> {
    // `create_new` decides atomically: a file that appears meanwhile is not overwritten.
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::Usage(format!("{} exists already", path.display())),
        _ => Failure::Io(error),
    })?;
    file.write_all(TEMPLATE.as_bytes())?;
    output.line(format_args!("created {}", path.display()))
}
