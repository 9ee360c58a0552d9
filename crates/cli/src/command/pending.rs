//! `reflexarc pending`: the matches of rules with a time window that wait.

use jiff::Timestamp;
use reflexarc::RuleSet;
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use reflexarc_service::operate::{
    Operation, PendingFilter, close_pending, pending_match, pending_page,
};
use reflexarc_service::store::{ClosedBy, PageLimits};
use reflexarc_service::{Config, Store};

use super::audited;
use crate::config_args::{ConfigArgs, StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::field;
use crate::output::table::{Table, time_of};
use crate::output::text::plural;
use crate::output::{Format, Output};

/// Matches that are in memory at one time.
const PAGE: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 4 << 20,
};

/// Subcommands of `pending`.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Reads and changes the store directly; the service may be running. A key is written as the value of \
the rule's `by`, such as eni-1, or as JSON: [\"eni-1\",\"vsw-1\"] of a rule with several paths, [] \
of one without `by`.

Exit codes:
  0 done
  1 nothing is pending, or no such match
  3 invalid configuration
  4 damaged matches were reported and left out
  5 the store cannot be opened

Examples:
  reflexarc pending list --due-before 1h
  reflexarc pending list --rule stuck-detaching --fired --format json")]
pub(crate) enum Pending {
    /// Print the keys that rules wait for, by rule and key
    List(ListArgs),
    /// Print what a rule waits for at one key, also after it has fired and until it is resolved
    Show(ShowArgs),
    /// Close matches: they do not fire, and what they have reported is not resolved
    #[command(after_help = "\
Each closing is an entry of the archive with the name of the user and the reason, and `reflexarc \
trace` shows it with the event that opened the match. A later event of the key opens a new match.

Exit codes:
  0 all were closed
  1 no such match, or one of them was not there
  3 invalid configuration
  5 the store cannot be opened")]
    Close(CloseArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only matches of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only matches at this key
    #[arg(long)]
    key: Option<String>,
    /// Only matches that are due before this time: a timestamp, or a time from now such as `2h`
    #[arg(long, value_parser = parse_deadline, value_name = "TIME")]
    due_before: Option<Timestamp>,
    /// Also matches that have fired and wait to be resolved
    #[arg(long)]
    fired: bool,
    /// Maximum number of matches
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Name of the rule
    rule: String,
    /// The key
    key: String,
    #[command(flatten)]
    report: StoreReportArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CloseArgs {
    /// Name of the rule
    rule: String,
    /// The keys
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<String>,
    /// All keys of the rule that wait
    #[arg(long)]
    all: bool,
    /// Why; kept in the archive
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs a subcommand of `pending`.
pub(crate) fn run(args: &Pending, output: &mut Output) -> Result<Exit, Failure> {
    match args {
        Pending::List(args) => list(args, output),
        Pending::Show(args) => show(args, output),
        Pending::Close(args) => close(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (config, store) = args.report.config.open_store()?;
    let rules = rules_of(&config, output)?;
    let filter = PendingFilter {
        rule: args.rule.clone(),
        key: args.key.clone(),
        due_before: args.due_before,
        fired: args.fired,
    };
    let mut table = Table::new(["RULE", "KEY", "WINDOW", "OPENED", "EVENT", "COUNT", "DUE"]);
    let mut count = 0;
    output.begin(format)?;
    let damaged = for_each(
        &*store,
        &rules,
        (&filter, args.limit),
        output,
        |found, output| {
            count += 1;
            match format {
                Format::Human => print_row(&found, &mut table, output),
                Format::Json | Format::Ndjson => output.element(format, &found),
            }
        },
    )?;
    output.end(format)?;
    table.finish(output)?;
    if count == 0 && format == Format::Human {
        output.status("nothing is pending");
    }
    // `while reflexarc pending list; do sleep 1; done` waits until nothing is.
    let exit = if count == 0 {
        Exit::Negative
    } else {
        Exit::Done
    };
    Ok(damaged.unwrap_or(exit))
}

/// Visits the matches that the filter selects, at most `limit`, a page of them in memory at a time.
/// Reports those that cannot be read; then the exit code is returned that says so.
fn for_each(
    store: &dyn Store,
    rules: &RuleSet,
    (filter, limit): (&PendingFilter, usize),
    output: &mut Output,
    mut visit: impl FnMut(Json, &mut Output) -> Result<(), Failure>,
) -> Result<Option<Exit>, Failure> {
    let (mut left, mut after, mut damaged) = (limit, None, 0);
    while left > 0 {
        let limits = PageLimits {
            rows: PAGE.rows.min(left),
            ..PAGE
        };
        let page = pending_page(
            store,
            rules,
            filter,
            after.as_ref(),
            limits,
            Timestamp::now(),
        );
        let page = page.map_err(store_failure)?;
        for found in &page.damaged {
            damaged += 1;
            output.error(&found.to_string());
        }
        left = left.saturating_sub(page.matches.len());
        for found in page.matches {
            visit(found, output)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if damaged == 0 {
        return Ok(None);
    }
    output.error(&format!("{} left out", plural(damaged, "damaged match")));
    Ok(Some(Exit::Unreadable))
}

fn print_row(found: &Json, table: &mut Table<7>, output: &mut Output) -> Result<(), Failure> {
    let shown = |name: &str| match found.get(name) {
        None | Some(Json::Null) => "-".to_owned(),
        Some(_) => time_of(&field(found, name)),
    };
    let is_pending = found.get("status").and_then(Json::as_str) == Some("pending");
    let due = match (is_pending, found.get("due")) {
        (true, Some(Json::Null)) => "with an event".to_owned(),
        (true, _) => shown("due"),
        (false, _) => format!("fired {}", shown("fired")),
    };
    // As it is written in the file and on the command line, not as a time.
    let [rule, key] = ["rule", "key"].map(|name| field(found, name));
    let [window, opened, event, count] = ["window", "opened", "event", "count"].map(shown);
    let row = [&rule, &key, &window, &opened, &event, &count, &due];
    table.row(row.map(String::as_str), output)
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (config, store) = args.report.config.open_store()?;
    let rules = rules_of(&config, output)?;
    let place = (args.rule.as_str(), args.key.as_str());
    let found = pending_match(&*store, &rules, place, Timestamp::now()).map_err(store_failure)?;
    let Some(found) = found else {
        output.error(&not_pending(place));
        return Ok(Exit::Negative);
    };
    match args.report.format {
        Format::Human => {
            if let Json::Object(members) = &found {
                for (name, value) in members.iter().filter(|(_, value)| *value != Json::Null) {
                    let value = match name.as_str() {
                        "opened" | "due" | "expires" | "fired" => time_of(&field(&found, name)),
                        "retries" if *value == Json::Bool(false) => continue,
                        _ => field(&found, name),
                    };
                    output.line(format_args!("{:<9} {value}", format!("{name}:")))?;
                }
            }
        }
        Format::Json | Format::Ndjson => output.json(&found)?,
    }
    Ok(Exit::Done)
}

fn close(args: &CloseArgs, output: &mut Output) -> Result<Exit, Failure> {
    let (config, store) = args.config.open_store()?;
    let rules = rules_of(&config, output)?;
    let closed_by = ClosedBy {
        by: user(),
        reason: args.reason.clone(),
    };
    let mut keys = args.keys.clone();
    if args.all {
        let filter = PendingFilter {
            rule: Some(args.rule.clone()),
            ..PendingFilter::default()
        };
        for_each(
            &*store,
            &rules,
            (&filter, usize::MAX),
            output,
            |found, _| {
                keys.push(found.get("key").unwrap_or(&Json::Null).to_string());
                Ok(())
            },
        )?;
    }
    let (mut closed, mut missing) = (0, 0);
    for key in &keys {
        let place = (args.rule.as_str(), key.as_str());
        let operation = Operation::ClosePending {
            rule: args.rule.clone(),
            key: key.clone(),
            reason: args.reason.clone(),
        };
        let found = audited::perform(
            &*store,
            &operation,
            output,
            || close_pending(&*store, &rules, place, &closed_by, Timestamp::now()),
            |found| {
                let is_closed = found.is_some();
                let message = if is_closed { "closed" } else { "no such match" };
                (is_closed, message.to_owned())
            },
        )?;
        let is_closed = found.is_some();
        if is_closed {
            closed += 1;
        } else {
            missing += 1;
            output.error(&not_pending(place));
        }
    }
    output.line(format_args!("{closed} closed"))?;
    Ok(if missing > 0 || closed == 0 {
        Exit::Negative
    } else {
        Exit::Done
    })
}

fn not_pending((rule, key): (&str, &str)) -> String {
    format!("rule {rule} has no pending match at the key {key}")
}

/// The current rules, for what only they know of a match; none if they are invalid.
pub(super) fn rules_of(config: &Config, output: &mut Output) -> Result<RuleSet, Failure> {
    if let Ok(rules) = config.read_rules(&config.rule_paths) {
        return Ok(rules);
    }
    output.status("the rules are invalid (`reflexarc check`); some details are unknown");
    Ok(RuleSet::compile(std::iter::empty::<(String, String)>())?)
}

/// Who runs the command.
pub(super) fn user() -> String {
    let names = ["USER", "LOGNAME"].into_iter();
    let mut found = names.filter_map(|name| std::env::var(name).ok());
    found
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "operator".to_owned())
}

/// A timestamp such as `2026-11-20T00:00:00Z`, or a time from now such as `2h`.
fn parse_deadline(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wait = parse_duration(text).map_err(
        |_| "expected a timestamp such as 2026-11-20T00:00:00Z, or a time from now such as 2h",
    )?;
    Timestamp::now()
        .checked_add(wait)
        .map_err(|error| error.to_string())
}
