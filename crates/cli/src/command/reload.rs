//! `reflexarc reload`: new rules for a running service.

use crate::command::send::{Service, refused};
use crate::configured::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service loads its rule files again. Broken ones are refused and shown, and the rules in force stay.

Exit codes: 0 new rules in force · 3 the rules are broken · 5 the service refused, or is out of reach")]
pub(crate) struct Args {
    #[command(flatten)]
    service: Service,
}

/// Asks for the reload.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let remote = args.service.remote()?;
    let rules = runtime()?.block_on(remote.reload()).map_err(refused)?;
    output.line(format_args!("{rules} rules in force"))?;
    Ok(Exit::Done)
}
