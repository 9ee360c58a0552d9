//! `reflexarc reload`: reload rules and configuration in a running service.

use reflexarc_service::Reloaded;
use reflexarc_service::security::Role;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::output::text::plural;
use crate::service_args::{ServiceArgs, refused};

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service reads its rule files and configuration again: rules, targets, tokens, certificates, \
retention. Each of these parts is taken if it is valid: a revoked token is revoked, whatever the \
rules say. For a part that is invalid the errors are printed, and it stays as it was. Address, \
store, console, limits, log, telemetry and shutdown timeout need a restart; if they changed, they are \
listed.

A number of rules that falls to 0 or by more than half is refused without --force: a folder that \
is not mounted looks the same as rules that were deleted.

The address, the certificate and a token with the role `operate` come from the reflexarc.toml in \
this folder, if there is one.

Exit codes:
  0 reloaded
  3 invalid rules or configuration, or --force is needed
  5 the service refused the request or cannot be reached

Examples:
  reflexarc reload
  reflexarc reload --config /etc/reflexarc/reflexarc.toml
  reflexarc reload --force")]
pub(crate) struct Args {
    #[command(flatten)]
    service: ServiceArgs,
    /// Confirm a number of rules that falls to 0 or by more than half
    #[arg(long)]
    force: bool,
}

/// Requests the reload.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let remote = args.service.remote(Role::Operate)?;
    let Reloaded {
        rules,
        targets,
        removed,
        closed,
        restart,
        ..
    } = tokio_runtime()?
        .block_on(remote.reload(args.force))
        .map_err(refused)?;
    output.line(format_args!(
        "reloaded: {}, {}",
        plural(rules, "rule"),
        plural(targets, "target")
    ))?;
    if !removed.is_empty() {
        output.status(&format!("removed rules: {}", removed.join(", ")));
    }
    if closed > 0 {
        output.status(&format!(
            "closed {}: the windows of their rules changed or are gone",
            plural(closed, "pending key")
        ));
    }
    if !restart.is_empty() {
        output.line(format_args!("needs a restart: {}", restart.join(", ")))?;
    }
    Ok(Exit::Done)
}
