//! `reflexarc clock`: confirms that the clock of a running service is right.

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
  reflexarc clock confirm")]
pub(crate) enum Clock {
    /// Confirm that the wall clock is right after it has jumped by more than a minute
    #[command(after_help = "\
After a jump the service computes ages, expiry and windows with the time before the jump, until \
the jump has lasted ten minutes or this command confirms it. `problems` in /status has it as \
`clock_jump`. Correct the clock if it is wrong; then nothing has to be confirmed. A service that \
was stopped for more than an hour looks the same.

A token with the role `operate` is required.

Exit codes:
  0 confirmed
  1 no jump was suspected
  5 the service refused the request or cannot be reached

Examples:
  reflexarc clock confirm
  reflexarc clock confirm --config /etc/reflexarc/reflexarc.toml")]
    Confirm {
        #[command(flatten)]
        service: ServiceArgs,
    },
}

/// Confirms the clock.
pub(crate) fn run(args: &Clock, output: &mut Output) -> Result<Exit, Failure> {
    let Clock::Confirm { service } = args;
    let remote = service.remote(Role::Operate)?;
    let offset = tokio_runtime()?
        .block_on(remote.confirm_clock())
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
