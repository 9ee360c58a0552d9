//! `reflexarc silence`: deliveries that are not sent for a time.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use reflexarc_service::Store;
use reflexarc_service::operate::{
    Operation, SilenceLimits, SilencePreview, SilenceRequest, SilenceSpan, check_silence,
    preview_silence, silence_to_json,
};
use reflexarc_service::store::{NewSilence, SilenceEnd};

use super::audited;
use super::pending::{rules_of, user};
use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::field;
use crate::output::table::{Table, time_of};
use crate::output::{Format, Output};

/// Subcommands of `silence`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running, and acts within a second.

A pattern is a filter over deliveries: `rule`, `target`, `key`, `level`, the labels of the rule in \
`labels`, and the event in `event`. What it selects is withheld when it would be sent, and sent \
when the silence is over. Calls of operations are never withheld.

Exit codes:
  0 done
  1 no such silence, or the pattern matches nothing now
  2 wrong usage, or an invalid pattern
  3 invalid configuration
  5 the store cannot be opened

Examples:
  reflexarc silence preview 'rule == \"stuck-detaching\"'
  reflexarc silence add 'labels.team == \"net\"' --for 2h --reason \"change 4711\" --yes
  reflexarc silence list --expired")]
pub(crate) enum Silence {
    /// Add a silence, after printing what it matches now
    #[command(after_help = "\
The pending and withheld deliveries that the pattern matches are printed, and those of the last 24 \
hours. A pattern that matches none of them may be misspelt: it is not saved without --yes, and the \
delivery that is nearest to it is explained.

Of several silences that match a delivery, the one that ends last counts.

Exit codes:
  0 added
  1 not added: the pattern matches nothing now, or there are too many silences
  2 wrong usage, or an invalid pattern
  3 invalid configuration
  5 the store cannot be opened

Examples:
  reflexarc silence add 'event.content.eniId == \"eni-1\"' --for 30m --reason \"moving eni-1\" --yes
  reflexarc silence add 'level == \"INFO\"' --until 2099-01-01T00:00:00Z --from \
2098-12-31T00:00:00Z --drop --reason \"year end\" --yes")]
    Add(Box<AddArgs>),
    /// Print the silences that are not over
    List(ListArgs),
    /// Print one silence
    Show(ShowArgs),
    /// End a silence: what it withholds is sent, or with --drop never sent
    End(EndArgs),
    /// Print what a pattern matches now
    Preview(PreviewArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// A filter over deliveries, as an expression or as JSON
    pattern: String,
    /// How long it lasts, such as 2h
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    lasts: Option<SignedDuration>,
    /// When it ends: a timestamp
    #[arg(
        long,
        value_name = "TIME",
        required_unless_present = "lasts",
        conflicts_with = "lasts"
    )]
    until: Option<Timestamp>,
    /// When it begins: a timestamp [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Why; shown with each delivery that it withholds
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who is responsible [default: the user]
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// End the deliveries instead of withholding them: they are never sent
    #[arg(long)]
    drop: bool,
    /// Add it although it matches nothing now
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// The silences that are over, the newest first
    #[arg(long)]
    expired: bool,
    /// Maximum number of silences
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Number of the silence
    id: i64,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EndArgs {
    /// Numbers of the silences
    #[arg(required = true)]
    ids: Vec<i64>,
    /// What they withhold is never sent
    #[arg(long)]
    drop: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PreviewArgs {
    /// A filter over deliveries, as an expression or as JSON
    pattern: String,
    #[command(flatten)]
    report: StoreReportArgs,
}

/// Runs a subcommand of `silence`.
pub(crate) fn run(args: &Silence, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Silence::Add(args) => add(args, output),
        Silence::List(args) => list(args, output),
        Silence::Show(args) => show(args, output),
        Silence::End(args) => end(args, output),
        Silence::Preview(args) => preview(args, output),
    }
}

impl AddArgs {
    /// The silence as it is requested.
    fn request(&self, now: Timestamp) -> SilenceRequest {
        let end = match (self.until, self.lasts) {
            (Some(until), _) => SilenceSpan::Until(until),
            (None, Some(lasts)) => SilenceSpan::For(lasts),
            // The arguments have one of them.
            (None, None) => SilenceSpan::Until(now),
        };
        SilenceRequest {
            pattern: self.pattern.clone(),
            from: self.from,
            end,
            owner: self.owner.clone(),
            reason: self.reason.clone(),
            drops: self.drop,
            confirm: self.yes,
        }
    }
}

fn add(args: &AddArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (config, store) = args.report.config.open_store()?;
    let rules = rules_of(&config, output)?;
    let (now, limits) = (Timestamp::now(), SilenceLimits::DEFAULT);
    let from = args.from.unwrap_or(now);
    let lasts = args.lasts.map(|lasts| from.saturating_add(lasts));
    let lasts = lasts.map(|until| until.unwrap_or(Timestamp::MAX));
    let silence = NewSilence {
        pattern: args.pattern.clone(),
        from,
        until: args.until.or(lasts).unwrap_or(now),
        owner: args.owner.clone().unwrap_or_else(user),
        reason: args.reason.clone(),
        drops: args.drop,
    };
    check_silence(&silence, now, &limits).map_err(Failure::Usage)?;
    let found = preview_silence(&*store, &rules, &args.pattern, now, &limits);
    let found = found.map_err(store_failure)?.map_err(Failure::Usage)?;
    let format = args.report.format;
    if format == Format::Human {
        print_preview(&found, output)?;
    }
    let operation = Operation::AddSilence(args.request(now));
    if found.is_empty() && !args.yes {
        let message = "the pattern matches no delivery now";
        audited::refused(&*store, &operation, message, output);
        output.error("it matches nothing now and is not added; add --yes if that is intended");
        if format != Format::Human {
            output.json(&found.to_json())?;
        }
        return Ok(Exit::Negative);
    }
    let most = limits.active;
    let full = format!("there are {most} silences already; end one that is not needed");
    let added = audited::perform(
        &*store,
        &operation,
        output,
        || store.add_silence(silence, most, now),
        |added| match added {
            Some(added) => (true, format!("added silence {}", added.id)),
            None => (false, full.clone()),
        },
    )?;
    let Some(added) = added else {
        output.error(&full);
        return Ok(Exit::Negative);
    };
    let json = silence_to_json(&added, now);
    match format {
        Format::Human => output.line(format_args!(
            "added silence {}, {} until {}",
            added.id,
            field(&json, "status"),
            time_of(&field(&json, "until"))
        ))?,
        Format::Json | Format::Ndjson => output.json(&json)?,
    }
    Ok(Exit::Done)
}

fn list(args: &ListArgs, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store) = args.report.config.open_store()?;
    let now = Timestamp::now();
    let found = store.silences(args.expired, now, args.limit);
    let found = found.map_err(store_failure)?;
    let mut table = Table::new([
        "SILENCE", "STATUS", "UNTIL", "OWNER", "WITHHELD", "PATTERN", "REASON",
    ]);
    output.begin(format)?;
    for silence in &found {
        let json = silence_to_json(silence, now);
        match format {
            Format::Human => {
                let [id, status, owner] = ["id", "status", "owner"].map(|name| field(&json, name));
                let until = time_of(&field(&json, "until"));
                let withheld = format!("{} of {}", silence.open, silence.withheld);
                let [pattern, reason] = ["pattern", "reason"].map(|name| field(&json, name));
                let row = [&id, &status, &until, &owner, &withheld, &pattern, &reason];
                table.row(row.map(String::as_str), output)?;
            }
            Format::Json | Format::Ndjson => output.element(format, &json)?,
        }
    }
    output.end(format)?;
    table.finish(output)?;
    if found.is_empty() && format == Format::Human {
        output.status(if args.expired {
            "no silence is over"
        } else {
            "there are no silences"
        });
    }
    Ok(if found.is_empty() {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.report.config.open_store()?;
    let Some(found) = store.silence(args.id).map_err(store_failure)? else {
        output.error(&format!("no silence {}", args.id));
        return Ok(Exit::Negative);
    };
    let json = silence_to_json(&found, Timestamp::now());
    match args.report.format {
        Format::Human => {
            if let Json::Object(members) = &json {
                for (name, _) in members {
                    let value = match name.as_str() {
                        "from" | "until" | "created" | "ended" => time_of(&field(&json, name)),
                        _ => field(&json, name),
                    };
                    output.line(format_args!("{:<11} {value}", format!("{name}:")))?;
                }
            }
        }
        Format::Json | Format::Ndjson => output.json(&json)?,
    }
    Ok(Exit::Done)
}

fn end(args: &EndArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.config.open_store()?;
    let mut missing = 0;
    for id in &args.ids {
        let end = SilenceEnd {
            at: Timestamp::now(),
            by: user(),
            drops: args.drop,
        };
        let operation = Operation::EndSilence {
            id: *id,
            drops: args.drop,
        };
        let ended = audited::perform(
            &*store,
            &operation,
            output,
            || store.end_silence(*id, end),
            |ended| {
                let message = match ended {
                    Some(_) => "ended",
                    None => "no such silence, or it is over already",
                };
                (ended.is_some(), message.to_owned())
            },
        )?;
        if let Some(ended) = ended {
            let (open, what) = (ended.open, if args.drop { "dropped" } else { "released" });
            output.line(format_args!(
                "ended silence {id}: {open} withheld, {what} now"
            ))?;
        } else {
            missing += 1;
            output.error(&format!("no silence {id}, or it is over already"));
        }
    }
    Ok(if missing > 0 {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn preview(args: &PreviewArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (config, store) = args.report.config.open_store()?;
    let rules = rules_of(&config, output)?;
    let found = find(&*store, &rules, &args.pattern)?;
    match args.report.format {
        Format::Human => print_preview(&found, output)?,
        Format::Json | Format::Ndjson => output.json(&found.to_json())?,
    }
    Ok(if found.is_empty() {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn find(
    store: &dyn Store,
    rules: &reflexarc::RuleSet,
    pattern: &str,
) -> Result<SilencePreview, Failure> {
    let limits = SilenceLimits::DEFAULT;
    let found = preview_silence(store, rules, pattern, Timestamp::now(), &limits);
    found.map_err(store_failure)?.map_err(Failure::Usage)
}

fn print_preview(found: &SilencePreview, output: &mut Output) -> Result<(), Failure> {
    output.line(format_args!(
        "matches {} pending, {} withheld and {} other deliveries of the last 24 hours",
        found.pending, found.withheld, found.recent
    ))?;
    if !found.is_complete {
        output.line(format_args!("(of the first {} compared)", found.compared))?;
    }
    for example in &found.examples {
        output.line(format_args!("  {}", example_text(example)))?;
    }
    if let Some((delivery, explanation)) = &found.nearest {
        output.line(format_args!("nearest: {}", example_text(delivery)))?;
        for line in explanation.lines() {
            output.line(format_args!("  {line}"))?;
        }
    }
    Ok(())
}

fn example_text(example: &Json) -> String {
    let [id, status, rule] = ["delivery", "status", "rule"].map(|name| field(example, name));
    let [target, event] = ["target", "event"].map(|name| field(example, name));
    let created = time_of(&field(example, "created"));
    format!("{id} to {target}: {status} (rule {rule}, event {event}, {created})")
}
