//! `reflexarc incident`: what rules with a time window have reported and is not over.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::operate::{Operation, incident_to_json, incident_with_deliveries};
use reflexarc_service::store::{Acknowledgement, ClosedBy, Incident, IncidentFilter};

use super::audited;
use super::pending::user;
use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::field;
use crate::output::table::{Table, time_of};
use crate::output::text::plural;
use crate::output::{Format, Output};

/// Incidents that are in memory at one time.
const PAGE: usize = 1_000;
/// What records say where no incident has the number.
const UNKNOWN: &str = "no incident has this number";

/// Subcommands of `incident`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
An incident begins when a rule fires whose match can end (`resolved` or `inhibits`), and ends when \
it is resolved, closed or forgotten, or when the rule changes. Reads and changes the store directly; \
the service may be running.

Exit codes:
  0 done
  1 no such incident, or none that is open
  3 invalid configuration
  5 the store cannot be opened

Examples:
  reflexarc incident list --open
  reflexarc incident list --rule stuck-detaching --format json")]
pub(crate) enum IncidentCommand {
    /// Print incidents, the newest first
    List(ListArgs),
    /// Print an incident with its deliveries
    Show(ShowArgs),
    /// Acknowledge an incident: its delayed actions are cancelled
    #[command(after_help = "\
Actions with `after` that the rule returned when it fired are cancelled, so that no one else is \
called; what is being sent is not stopped. If the rule fires again before the incident ends, its \
actions are delivered as before.")]
    Ack(AckArgs),
    /// Close an incident: the next event of its key begins a new one
    #[command(after_help = "\
The match of the rule and key is closed, as by `reflexarc pending close`: what it has reported is \
not resolved.")]
    Close(CloseArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only incidents of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only incidents that have not ended
    #[arg(long)]
    open: bool,
    /// Maximum number of incidents
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Number of the incident
    id: i64,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AckArgs {
    /// Number of the incident
    id: i64,
    /// What is done about it; kept with the incident
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CloseArgs {
    /// Number of the incident
    id: i64,
    /// Why; kept with the incident and in the archive
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs a subcommand of `incident`.
pub(crate) fn run(args: &IncidentCommand, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        IncidentCommand::List(args) => list(args, output),
        IncidentCommand::Show(args) => show(args, output),
        IncidentCommand::Ack(args) => acknowledge(args, output),
        IncidentCommand::Close(args) => close(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store) = args.report.config.open_store()?;
    let filter = IncidentFilter {
        rule: args.rule.clone(),
        open: args.open,
    };
    let mut table = Table::new(["ID", "RULE", "KEY", "OPENED", "COUNT", "STATUS", "BY"]);
    let (mut left, mut before) = (args.limit, None);
    output.begin(format)?;
    while left > 0 {
        let limit = left.min(PAGE);
        let found = store.incidents(&filter, before, limit);
        let found = found.map_err(store_failure)?;
        for incident in &found {
            let json = incident_to_json(incident);
            match format {
                Format::Human => print_row(&json, &mut table, output)?,
                Format::Json | Format::Ndjson => output.element(format, &json)?,
            }
        }
        left -= found.len();
        before = found.last().map(|last| last.id);
        if found.len() < limit {
            break;
        }
    }
    output.end(format)?;
    table.finish(output)?;
    if left < args.limit {
        return Ok(Exit::Done);
    }
    if format == Format::Human {
        output.status("there are no such incidents");
    }
    // As for the other lists: `while reflexarc incident list --open; do sleep 1; done`.
    Ok(Exit::Negative)
}

fn print_row(found: &Json, table: &mut Table<7>, output: &mut Output) -> Result<(), Failure> {
    let text = |name: &str| match found.get(name) {
        None | Some(Json::Null) => "-".to_owned(),
        Some(_) => field(found, name),
    };
    let by = match (text("ended_by"), text("acknowledged_by")) {
        (by, other) if by == "-" => other,
        (by, _) => by,
    };
    let [id, rule, key, count, status] = ["id", "rule", "key", "count", "status"].map(text);
    let opened = time_of(&field(found, "opened"));
    let row = [&id, &rule, &key, &opened, &count, &status, &by];
    table.row(row.map(String::as_str), output)
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.report.config.open_store()?;
    let found = incident_with_deliveries(&*store, args.id).map_err(store_failure)?;
    let Some(found) = found else {
        return Ok(unknown(args.id, output));
    };
    if args.report.format != Format::Human {
        output.json(&found)?;
        return Ok(Exit::Done);
    }
    print(&found, output)?;
    let mut table = Table::new(["DELIVERY", "TARGET", "STATUS", "PHASE", "CREATED", "REASON"]);
    let deliveries = found.get("deliveries").map_or(&[][..], Json::elements);
    for delivery in deliveries {
        let text = |name: &str| match delivery.get(name) {
            None | Some(Json::Null) => "-".to_owned(),
            Some(_) => field(delivery, name),
        };
        let [id, target, status] = ["id", "target", "status"].map(text);
        let [phase, reason] = ["phase", "reason"].map(text);
        let created = time_of(&field(delivery, "created"));
        let row = [&id, &target, &status, &phase, &created, &reason];
        table.row(row.map(String::as_str), output)?;
    }
    table.finish(output)?;
    Ok(Exit::Done)
}

fn acknowledge(args: &AckArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.config.open_store()?;
    // The targets, for those that know acknowledgements; nothing is sent from here.
    let config = args.config.load_with_blank_secrets()?;
    let informed = config.queues.iter();
    let informed = informed.filter(|queue| queue.target.acknowledges());
    let acknowledgement = Acknowledgement {
        by: user(),
        note: args.note.clone(),
        informed: informed.map(|queue| queue.name.clone()).collect(),
    };
    let operation = Operation::AcknowledgeIncident {
        id: args.id,
        note: args.note.clone(),
    };
    let now = Timestamp::now();
    let not_open = |incident: &Incident| {
        let status = incident.status();
        format!("incident {} is not open: it is {status}", args.id)
    };
    let done = audited::perform(
        &*store,
        &operation,
        output,
        || store.acknowledge_incident(args.id, &acknowledgement, now),
        |done| match done {
            Some(done) if done.is_new => (true, "acknowledged".to_owned()),
            Some(done) => (false, not_open(&done.incident)),
            None => (false, UNKNOWN.to_owned()),
        },
    )?;
    let Some(done) = done else {
        return Ok(unknown(args.id, output));
    };
    if !done.is_new {
        output.error(&not_open(&done.incident));
        return Ok(Exit::Negative);
    }
    output.line(format_args!(
        "incident {} acknowledged; {} cancelled",
        args.id,
        plural(done.cancelled, "delayed action")
    ))?;
    Ok(Exit::Done)
}

fn close(args: &CloseArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (_, store) = args.config.open_store()?;
    let closed = ClosedBy {
        by: user(),
        reason: args.reason.clone(),
    };
    let operation = Operation::CloseIncident {
        id: args.id,
        reason: args.reason.clone(),
    };
    if store.incident(args.id).map_err(store_failure)?.is_none() {
        audited::refused(&*store, &operation, UNKNOWN, output);
        return Ok(unknown(args.id, output));
    }
    let was_open = audited::perform(
        &*store,
        &operation,
        output,
        || store.close_incident(args.id, &closed, Timestamp::now()),
        |was_open| {
            let message = if *was_open {
                "closed"
            } else {
                "the incident has ended"
            };
            (*was_open, message.to_owned())
        },
    )?;
    if !was_open {
        output.error(&format!("incident {} has ended", args.id));
        return Ok(Exit::Negative);
    }
    output.line(format_args!("incident {} closed", args.id))?;
    Ok(Exit::Done)
}

/// The members of an incident that are set, a line each.
fn print(found: &Json, output: &mut Output) -> Result<(), Failure> {
    let Json::Object(members) = found else {
        return Ok(());
    };
    for (name, value) in members {
        if *value == Json::Null || name == "deliveries" {
            continue;
        }
        let value = match name.as_str() {
            "opened" | "last" | "acknowledged" | "ended" => time_of(&field(found, name)),
            _ => field(found, name),
        };
        output.line(format_args!("{:<16} {value}", format!("{name}:")))?;
    }
    Ok(())
}

fn unknown(id: i64, output: &mut Output) -> Exit {
    output.error(&format!("there is no incident {id}"));
    Exit::Negative
}
