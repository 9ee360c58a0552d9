//! `reflexarc rule`: what a running service keeps of rules.

use reflexarc_service::security::Role;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::service_args::{ServiceArgs, refused};

/// Subcommands of `rule`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  reflexarc rule forget failed-operation")]
pub(crate) enum Rule {
    /// Remove the state of a rule that does not exist any more
    #[command(after_help = "\
The state of a rule is kept when its file is removed, so that the rule goes on where it was if the \
file comes back. Until then `problems` in /status lists it as `rule_gone`; this command ends that. \
Pending deliveries of the rule are sent all the same; `reflexarc outbox cancel` cancels them.

A token with the role `operate` is required.

Exit codes:
  0 removed
  5 the rule exists or has no state, or the service cannot be reached

Examples:
  reflexarc rule forget failed-operation")]
    Forget {
        /// The rule's name, that of its file
        name: String,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// Removes the state.
pub(crate) fn run(args: &Rule, output: &mut Output) -> Result<Exit, Failure> {
    let Rule::Forget { name, service } = args;
    let remote = service.remote(Role::Operate)?;
    let entries = tokio_runtime()?
        .block_on(remote.forget_rule(name))
        .map_err(refused)?;
    output.line(format_args!(
        "removed the state of {name}: {entries} entries"
    ))?;
    Ok(Exit::Done)
}
