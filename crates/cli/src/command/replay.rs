//! `reflexarc replay`: evaluate archived events again with the current rules.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::check_targets;
use reflexarc_service::operate::{Replay, Replayed, Verification, verify_archive};
use reflexarc_service::store::{DamagedEvent, EntryKind};

use crate::command::archive::Range;
use crate::config_args::{StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::field;
use crate::output::left_out::LeftOut;
use crate::output::text::{plural, printable_str};
use crate::output::{Format, Output};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Dry run by default: prints the actions that the current rules would add (+) and those that they \
would no longer return (-). Each event is evaluated at the time when it was accepted. Rule state \
starts empty and lasts for the replay; the state in the store is neither read nor changed.

Deadlines of rules with a time window fire on the clock of the archive, and what they lead to is \
compared with the firings that were recorded, and delivered like the rest. Calls of operations are \
never made again: `answered` runs with the answers of then.

With --verify, all entries of the archive are evaluated again from an empty state, in the order and \
at the times in which they happened. With the rules and tables of then, that gives the recorded \
evaluations byte for byte; `other_rules` is where the archive has other ones. Evaluations that \
ended by time or budget are taken as recorded.

With --deliver, all actions go to the outbox, from where the running service delivers them; with \
--failed only those that were lost. Under the same --name, the same action is delivered only once.

Exit codes:
  0 done, no differences
  1 differences, or --verify came to entries of other rules
  3 invalid rules or configuration
  4 damaged events were reported and left out
  5 the store cannot be opened

Examples:
  reflexarc replay --from 24h
  reflexarc replay --verify
  reflexarc replay --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z \\
      --rule failed-operation --deliver
  reflexarc replay --from 2h --failed --deliver")]
pub(crate) struct Args {
    #[command(flatten)]
    range: Range,
    /// Only the actions of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only the actions of rules that failed at the time, or were over their budget
    #[arg(long)]
    failed: bool,
    /// Compare all evaluations of the archive, byte for byte
    #[arg(long, conflicts_with_all = ["from", "to", "id", "rule", "failed", "deliver"])]
    verify: bool,
    /// Deliver the actions
    #[arg(long)]
    deliver: bool,
    /// With --deliver: name of the replay [default: the current time]
    #[arg(long, value_name = "NAME", requires = "deliver")]
    name: Option<String>,
    #[command(flatten)]
    report: StoreReportArgs,
}

/// Replays the selected events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (config, store, rules) = args.report.config.open_store_and_rules()?;
    if args.verify {
        let verification = verify_archive(&*store, &rules).map_err(store_failure)?;
        return report(&verification, format, output);
    }
    if args.deliver {
        // A dry run is how an author looks at rules whose targets do not exist yet.
        check_targets(&rules, &config.known_targets)?;
    }
    if let Some(rule) = args.rule.as_ref().filter(|rule| rules.get(rule).is_none()) {
        return Err(Failure::Usage(format!("unknown rule `{rule}`")));
    }
    let name = || {
        args.name
            .clone()
            .unwrap_or_else(|| Timestamp::now().to_string())
    };
    let replay = Replay {
        selection: args.range.selection(),
        rule: args.rule.clone(),
        failed: args.failed,
        deliver: args.deliver.then(name),
    };
    let (mut events, mut differing, mut failures, mut deliveries) = (0_u64, 0_u64, 0, 0);
    let (mut firings, mut answers) = (0_u64, 0_u64);
    let (mut left_out, mut repeated, mut calls) = (LeftOut::default(), 0, 0);
    // The replay stops when `visit` returns false; the failure of printing waits in `printed`.
    let mut printed = Ok(());
    output.begin(format)?;
    let visit = |replayed: Result<Replayed, DamagedEvent>| {
        let replayed = match replayed {
            Ok(replayed) => replayed,
            Err(damaged) => {
                left_out.event(&damaged, output);
                return true;
            }
        };
        match replayed.archived.entry {
            EntryKind::Firing => firings += 1,
            EntryKind::Answer => answers += 1,
            _ => events += 1,
        }
        calls += replayed.calls;
        failures += replayed.failures.len();
        deliveries += replayed.deliveries.len();
        repeated += replayed.repeated;
        differing += u64::from(!replayed.agrees());
        printed = match format {
            Format::Human => print(&replayed, output),
            Format::Json | Format::Ndjson => output.element(format, &replayed.to_json()),
        };
        printed.is_ok()
    };
    replay.run(&*store, &rules, visit).map_err(store_failure)?;
    printed?;
    output.end(format)?;
    let queued = replay.deliver.map_or(String::new(), |name| {
        let already = match repeated {
            0 => String::new(),
            repeated => format!(" ({repeated} were there already)"),
        };
        let calls = match calls {
            0 => String::new(),
            calls => format!(", {} left out", plural(calls as u64, "call")),
        };
        format!(", {deliveries} added to the outbox as replay {name}{already}{calls}")
    });
    let fired = match firings {
        0 => String::new(),
        firings => format!(" and {}", plural(firings, "firing")),
    };
    let answered = match answers {
        0 => String::new(),
        answers => format!(" and {}", plural(answers, "answer")),
    };
    output.status(&format!(
        "{}{fired}{answered}, {differing} with differences, {} failed{queued}",
        plural(events, "event"),
        plural(failures as u64, "reaction")
    ));
    let exit = if differing > 0 {
        Exit::Negative
    } else {
        Exit::Done
    };
    Ok(left_out.finish(exit, output))
}

/// Prints the result of a verification.
fn report(
    verification: &Verification,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match format {
        Format::Json | Format::Ndjson => output.json(&verification.to_json())?,
        Format::Human => {
            for difference in &verification.differences {
                let (seq, entry) = (difference.seq, difference.entry.as_str());
                output.line(format_args!("{entry} at position {seq}"))?;
                let sides = [("-", &difference.recorded), ("+", &difference.evaluated)];
                for (sign, evaluation) in sides {
                    let evaluation = evaluation.as_ref().unwrap_or(&Json::Null);
                    output.line(format_args!("  {sign} {evaluation}"))?;
                }
            }
            let Verification {
                entries, different, ..
            } = verification;
            output.line(format_args!(
                "{entries} evaluated again, {different} different, {} taken as recorded",
                verification.taken
            ))?;
            output.line(format_args!("checksum {}", verification.checksum))?;
        }
    }
    if let Some(position) = verification.begins_at {
        output.status(&format!(
            "entries before position {position} were removed; rules with state may differ"
        ));
    }
    if let Some(position) = verification.state_written_at {
        output.status(&format!(
            "a program wrote the state at position {position}; rules with state may differ from \
             there on"
        ));
    }
    if let Some(position) = verification.other_rules {
        output.error(&format!(
            "other rules or tables from position {position} on; what follows was not evaluated"
        ));
    }
    let mut left_out = LeftOut::default();
    for damaged in &verification.damaged {
        left_out.event(damaged, output);
    }
    let is_equal = verification.different == 0 && verification.other_rules.is_none();
    let exit = if is_equal { Exit::Done } else { Exit::Negative };
    Ok(left_out.finish(exit, output))
}

/// Prints the differences and failures of one event; nothing if there are none.
fn print(replayed: &Replayed, output: &mut Output) -> Result<(), Failure> {
    if replayed.agrees() && replayed.failures.is_empty() {
        return Ok(());
    }
    let archived = &replayed.archived;
    output.line(format_args!(
        "{}  {}",
        archived.received,
        printable_str(&archived.name.id)
    ))?;
    for (sign, actions) in [("-", &replayed.gone), ("+", &replayed.new)] {
        for action in actions {
            output.line(format_args!(
                "  {sign} {}: {}",
                field(action, "rule"),
                action.get("action").unwrap_or(&Json::Null)
            ))?;
        }
    }
    for failure in &replayed.failures {
        output.line(format_args!("  ! {}", printable_str(failure)))?;
    }
    Ok(())
}
