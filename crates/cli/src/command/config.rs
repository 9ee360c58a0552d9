//! `reflexarc config`: check the configuration, or create one.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use reflexarc::{Rule, RuleSet};
use reflexarc_delivery::CallAdmission;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_diagnostic::InvalidFiles;
use reflexarc_service::SqliteStore;
use reflexarc_service::config::TEMPLATE;

use crate::config_args::ConfigArgs;
use crate::exit::{Exit, Failure};
use crate::input::with_warnings_of_valid;
use crate::output::Output;
use crate::output::text::plural;

/// Subcommands of `config`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Config {
    /// Check the configuration, the secrets that it names, and the rules, and report every error
    #[command(after_help = "\
Checks what `serve` needs to start: the configuration with its secrets and certificates, the rules \
and the targets that they name, and that the store and the address can be used. A service that is \
running is not disturbed.

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

fn check(config: &ConfigArgs, without_secrets: bool, output: &mut Output) -> Result<Exit, Failure> {
    let config = if without_secrets {
        config.load_without_secrets()?
    } else {
        config.load()?
    };
    output.diagnostics(&config.warnings);
    let mut valid = true;
    // All of them are reported, not only the first that would keep the service from starting.
    let rules = config.load_rules().map_err(InvalidFiles::into_files);
    match &rules {
        Ok(rules) => {
            output.diagnostics(rules.warnings());
            let (_, unfit) = config.check_calls(rules);
            output.diagnostics(&unfit);
        }
        Err(files) => {
            output.diagnostics(&with_warnings_of_valid(files.clone(), &config.rule_paths));
            valid = false;
        }
    }
    if !without_secrets {
        let store = SqliteStore::check_location(&config.store_path);
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
    let calls = rules.as_ref().map(|rules| calls(rules, &config.queues));
    let rules = plural(rules.as_ref().map_or(0, RuleSet::len) as u64, "rule");
    let targets = plural(config.target_names.len() as u64, "target");
    let unchecked = if without_secrets {
        " (secrets, store and address not checked)"
    } else {
        ""
    };
    output.line(format_args!(
        "the configuration is valid: {rules}, {targets}{unchecked}"
    ))?;
    for line in calls.into_iter().flatten() {
        output.line(line)?;
    }
    Ok(Exit::Done)
}

/// What the rules call, for each target, and how it is treated:
/// `calls of ecs: DeleteNetworkInterface (dry run), DescribeNetworkInterfaces (reads)`.
fn calls(rules: &RuleSet, queues: &[TargetConfig]) -> Vec<String> {
    let enabled = rules.rules().filter(|rule| rule.enabled());
    let called: Vec<_> = enabled.flat_map(Rule::calls).collect();
    let line = |queue: &TargetConfig| {
        let settings = queue.calls.as_ref()?;
        let operations: BTreeSet<&str> = called
            .iter()
            .filter(|call| call.target == queue.name)
            .map(|call| call.operation.as_str())
            .collect();
        let operations = operations.into_iter().map(|operation| {
            let treated = match settings.api.admit(operation) {
                CallAdmission::NotAllowed(_) => "not allowed",
                CallAdmission::DryRun => "dry run",
                CallAdmission::Read => "reads",
                CallAdmission::Change { .. } => "changes",
            };
            format!("{operation} ({treated})")
        });
        let operations = operations.collect::<Vec<_>>().join(", ");
        (!operations.is_empty()).then(|| format!("calls of {}: {operations}", queue.name))
    };
    queues.iter().filter_map(line).collect()
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
