//! `reflexarc config`: check the configuration, or create one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::InvalidFiles;
use reflexarc_service::check_calls;
use reflexarc_service::config::TEMPLATE;

use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::input::with_warnings_of_valid;
use crate::output::Output;
use crate::output::calls::CallList;
use crate::output::text::plural;

/// Subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Config {
    /// Check the configuration, the secrets that it names, and the rules, and report every error
    #[command(after_help = "\
Checks what `serve` needs to start: the configuration with its secrets and certificates, the rules \
and the targets that they name, and that the store and the address can be used. A service that is \
running is not disturbed. Lists the operations that the rules can call, and how their targets \
treat them: read, change, dry run or not allowed.

Exit codes: 0 valid · 3 invalid")]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Check only the files themselves: no secrets, no store, no address
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
            without_secrets,
        } => check(config, *without_secrets, output),
        Config::Init { path } => {
            init(path, output)?;
            Ok(Exit::Done)
        }
    }
}

fn check(args: &ConfigArgs, without_secrets: bool, output: &mut Output) -> Result<Exit, Failure> {
    let config = if without_secrets {
        args.load_without_secrets()?
    } else {
        args.load()?
    };
    output.diagnostics(&config.warnings);
    let mut valid = true;
    // All of them are reported, not only the first that would keep the service from starting.
    let rules = config.load_rules().map_err(InvalidFiles::into_files);
    let targets = if without_secrets {
        // What they allow is known where no secret has to be read for it.
        let blank = args.load_with_blank_secrets();
        blank.map_or_else(|_| Vec::new(), |config| config.queues)
    } else {
        config.queues
    };
    match &rules {
        Ok(rules) => {
            output.diagnostics(rules.warnings());
            output.diagnostics(&check_calls(rules, &targets));
        }
        Err(files) => {
            output.diagnostics(&with_warnings_of_valid(files.clone(), &config.rule_paths));
            valid = false;
        }
    }
    if !without_secrets {
        let store = config.store.check();
        let address = check_address(config.listen);
        let faults = [store.err().map(|error| error.to_string()), address.err()];
        for fault in faults.iter().flatten() {
            output.error(fault);
            valid = false;
        }
    }
    if !valid {
        return Ok(Exit::Invalid);
    }
    let calls = rules.iter().map(CallList::of);
    let calls: Vec<String> = calls.flat_map(|list| list.lines(&targets)).collect();
    let rules = plural(rules.map_or(0, |rules| rules.len()) as u64, "rule");
    let targets = plural(config.known_targets.len() as u64, "target");
    let unchecked = if without_secrets {
        " (secrets, store and address not checked)"
    } else {
        ""
    };
    output.line(format_args!(
        "the configuration is valid: {rules}, {targets}{unchecked}"
    ))?;
    for line in calls {
        output.line(line)?;
    }
    Ok(Exit::Done)
}

/// Whether the service could listen on an address. One that is in use is right: most likely the
/// service itself uses it.
fn check_address(address: SocketAddr) -> Result<(), String> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            Err(format!("cannot listen on {address}: {error}"))
        }
        _ => Ok(()),
    }
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
