//! `reflexarc replay`: the archive through the rules as they are now.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::{Replay, Replayed};

use crate::command::archive::Range;
use crate::command::trace::plain;
use crate::configured::{Configured, failed};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Dry unless told to deliver: prints what the rules would ask for now and did not then (+), and what they asked for then and
would not now (-). Each event is evaluated at the time when it was accepted. What rules remember starts empty and lives as
long as the replay; the store's own state is neither read nor changed.

With --deliver, everything the rules ask for goes into the outbox, from where the running service sends it. Under the same
--name the same thing is delivered only once.

Exit codes: 0 done, as it was then · 1 something differs · 3 invalid rules or configuration · 5 the store cannot be used

Examples:
  reflexarc replay --from 24h
  reflexarc replay --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z --rule attach-failed --deliver")]
pub(crate) struct Args {
    #[command(flatten)]
    range: Range,
    /// Only what this rule asks for
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Deliver what the rules ask for
    #[arg(long)]
    deliver: bool,
    /// With --deliver: the replay's name; by default the time
    #[arg(long, value_name = "NAME", requires = "deliver")]
    name: Option<String>,
    #[command(flatten)]
    configured: Configured,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Replays.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (store, rules) = args.configured.store_and_rules()?;
    if let Some(rule) = args.rule.as_ref().filter(|rule| rules.get(rule).is_none()) {
        return Err(Failure::Usage(format!("there is no rule `{rule}`")));
    }
    let name = || {
        args.name
            .clone()
            .unwrap_or_else(|| Timestamp::now().to_string())
    };
    let replay = Replay {
        selection: args.range.selection(),
        rule: args.rule.clone(),
        deliver: args.deliver.then(name),
    };
    let (mut events, mut differing, mut failures, mut deliveries) = (0, 0, 0, 0);
    let mut printed = Ok(());
    output.begin(args.format)?;
    let visit = |replayed: Replayed| {
        events += 1;
        failures += replayed.failures.len();
        deliveries += replayed.deliveries.len();
        differing += usize::from(!replayed.agrees());
        printed = match args.format {
            Format::Human => print(&replayed, output),
            Format::Json | Format::Ndjson => output.element(args.format, &replayed.to_json()),
        };
        printed.is_ok()
    };
    replay.run(&store, &rules, visit).map_err(failed)?;
    printed?;
    output.end(args.format)?;
    output.flush()?;
    let sent = replay.deliver.map_or(String::new(), |name| {
        format!(", {deliveries} put into the outbox as replay {name}")
    });
    output.status(&format!(
        "{events} events, {differing} differ, {failures} reactions failed{sent}"
    ));
    Ok(if differing > 0 {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn print(replayed: &Replayed, output: &mut Output) -> Result<(), Failure> {
    if replayed.agrees() && replayed.failures.is_empty() {
        return Ok(());
    }
    let archived = &replayed.archived;
    output.line(format_args!(
        "{}  {}",
        archived.received,
        plain(&archived.name.id.as_str().into())
    ))?;
    for (sign, asked) in [("-", &replayed.gone), ("+", &replayed.new)] {
        for one in asked {
            let rule = one.get("rule").map_or(String::new(), plain);
            output.line(format_args!(
                "  {sign} {rule}: {}",
                one.get("action").unwrap_or(&Json::Null)
            ))?;
        }
    }
    for failure in &replayed.failures {
        output.line(format_args!("  ! {}", plain(&failure.as_str().into())))?;
    }
    Ok(())
}
