//! `reflexarc reload`: new rules and settings for a running service.

use reflexarc_service::Reloaded;

use crate::command::send::{Service, refused};
use crate::configured::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service loads its configuration and rule files again: rules, targets, tokens, certificates. Broken ones are refused and
shown, and what is in force stays. Address, store, limits, log, telemetry and patience change only at a restart; if they were changed,
the answer names them.

Exit codes: 0 in force · 3 rules or configuration are broken · 5 the service refused, or is out of reach")]
pub(crate) struct Args {
    #[command(flatten)]
    service: Service,
}

/// Asks for the reload.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let remote = args.service.remote()?;
    let Reloaded {
        rules,
        targets,
        restart,
    } = runtime()?.block_on(remote.reload()).map_err(refused)?;
    output.line(format_args!("{rules} rules, {targets} targets in force"))?;
    if !restart.is_empty() {
        output.line(format_args!(
            "changed, but only at a restart: {}",
            restart.join(", ")
        ))?;
    }
    Ok(Exit::Done)
}
