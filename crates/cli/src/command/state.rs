//! `reflexarc state`: what a running service keeps for rules.

use reflexarc_service::security::Role;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::service_args::{ServiceArgs, refused};

/// Subcommands of `state`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  reflexarc state drop failed-operation")]
pub(crate) enum State {
    /// Drop the state of a rule that does not exist any more
    #[command(after_help = "\
The state of a rule is kept when its file is removed, so that the rule goes on where it was if the \
file comes back. Until then `problems` in /status lists it as `rule_gone`; this command ends that. \
Pending deliveries of the rule are sent all the same; `reflexarc outbox cancel` cancels them.

A token with the role `operate` is required.

Exit codes:
  0 dropped
  5 the rule exists or has no state, or the service cannot be reached

Examples:
  reflexarc state drop failed-operation")]
    Drop {
        /// The rule's name, that of its file
        name: String,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// Drops the state.
pub(crate) fn run(args: &State, output: &mut Output) -> Result<Exit, Failure> {
    let State::Drop { name, service } = args;
    let remote = service.remote(Role::Operate)?;
    let entries = tokio_runtime()?
        .block_on(remote.forget_rule(name))
        .map_err(refused)?;
    output.line(format_args!(
        "dropped the state of {name}: {entries} entries"
    ))?;
    Ok(Exit::Done)
}
