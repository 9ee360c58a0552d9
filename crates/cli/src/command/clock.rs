//! `reflexarc clock`: accepts the clock of a running service as right.

use jiff::SignedDuration;
use reflexarc_service::security::Role;

use crate::config_args::tokio_runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::service_args::{ServiceArgs, refused};

/// Subcommands of `clock`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  reflexarc clock accept")]
pub(crate) enum Clock {
    /// Accept the wall clock after it has jumped by more than a minute
    #[command(
        alias = "confirm",
        after_help = "\
After a jump the service computes ages, expiry, windows and deadlines with the time before the \
jump, until the jump has lasted ten minutes or this command accepts it. Then the deadlines of \
matches and delayed actions move by as much, as an entry `clock` of the archive. `problems` in \
/status has the jump as `clock_jump`. Correct the clock if it is wrong; then nothing has to be \
accepted. A service that was stopped for more than an hour looks the same.

A token with the role `operate` is required.

Exit codes:
  0 accepted
  1 no jump was suspected
  5 the service refused the request or cannot be reached

Examples:
  reflexarc clock accept
  reflexarc clock accept --config /etc/reflexarc/reflexarc.toml"
    )]
    Accept {
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// Accepts the clock.
pub(crate) fn run(args: &Clock, output: &mut Output) -> Result<Exit, Failure> {
    let Clock::Accept { service } = args;
    let remote = service.remote(Role::Operate)?;
    let offset = tokio_runtime()?
        .block_on(remote.accept_clock())
        .map_err(refused)?;
    if offset == 0 {
        output.line("no jump of the clock was suspected")?;
        return Ok(Exit::Negative);
    }
    let direction = if offset < 0 { "back" } else { "forward" };
    let jump = SignedDuration::from_secs(offset.saturating_abs());
    output.line(format_args!(
        "confirmed: the clock went {direction} by {jump:#}"
    ))?;
    Ok(Exit::Done)
}
