//! `reflexarc trace`: the evaluation and all deliveries of one event.

use reflexarc::RuleSet;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_service::Store;
use reflexarc_service::operate::trace;
use reflexarc_service::store::{Archived, PageLimits};

use crate::config_args::{StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::{elements, field};
use crate::output::left_out::LeftOut;
use crate::output::table::time_of;
use crate::output::text::printable;
use crate::output::{self, Format, Output};

/// Events that are in memory at one time.
const PAGE: PageLimits = PageLimits {
    rows: 64,
    bytes: 4 << 20,
};

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints the event as received and in native form, which of the current rules match it, the \
recorded evaluation (actions, log, failures), and every delivery with its attempts and the \
receiver's responses.

Exit codes:
  0 found
  1 no such event in the archive
  3 invalid rules or configuration
  4 damaged events were reported and left out
  5 the store cannot be opened

Examples:
  reflexarc trace 7A1126AE-4C1D-4E2B-820A-8B00C0FFEE02
  reflexarc trace 7A1126AE-4C1D-4E2B-820A-8B00C0FFEE02 --explain failed-operation")]
pub(crate) struct Args {
    /// Id of the event
    event: String,
    /// Explain why this rule matches or does not match
    #[arg(long, value_name = "NAME")]
    explain: Option<String>,
    #[command(flatten)]
    report: StoreReportArgs,
}

/// Prints the trace of every archived event with this id.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let format = args.report.format;
    let (_, store, rules) = args.report.config.open_store_and_rules()?;
    let (mut found, mut after, mut left_out) = (false, Some(0), LeftOut::default());
    output.begin(format)?;
    // Page by page: senders may use one id for a million events.
    while let Some(from) = after {
        let page = store.find_page(&args.event, from, PAGE);
        let page = page.map_err(store_failure)?;
        after = page.next;
        for event in &page.events {
            match event {
                Ok(archived) => {
                    found = true;
                    print_trace(args, &*store, &rules, archived, output)?;
                }
                Err(damaged) => left_out.event(damaged, output),
            }
        }
    }
    output.end(format)?;
    let exit = if found { Exit::Done } else { Exit::Negative };
    let exit = left_out.finish(exit, output);
    if !found {
        output.error(&format!("no event `{}` in the archive", args.event));
    }
    Ok(exit)
}

fn print_trace(
    args: &Args,
    store: &dyn Store,
    rules: &RuleSet,
    archived: &Archived,
    output: &mut Output,
) -> Result<(), Failure> {
    let format = args.report.format;
    let document = trace(store, rules, archived, args.explain.as_deref()).map_err(store_failure)?;
    if matches!(format, Format::Json | Format::Ndjson) {
        return output.element(format, &document);
    }
    print(&document, output)?;
    let Some(rule) = &args.explain else {
        return Ok(());
    };
    let event = NativeEvent::new(archived.event.clone())
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    match rules.explain(&event, rule) {
        Some(explanation) => output.line(explanation.render(false).trim_end()),
        None => output.line(format_args!("unknown rule `{rule}`")),
    }
}

fn print(trace: &Json, output: &mut Output) -> Result<(), Failure> {
    output.line(format_args!(
        "event {} from {}, {}, accepted {}",
        field(trace, "id"),
        field(trace, "source"),
        field(trace, "envelope"),
        time_of(&field(trace, "accepted"))
    ))?;
    output.line(format_args!("  {}", field(trace, "received")))?;
    if trace.get("normal") != trace.get("received") {
        output.line(format_args!("  native form: {}", field(trace, "normal")))?;
    }
    for verdict in elements(trace, "verdicts") {
        let is = |key, value| verdict.get(key).and_then(Json::as_bool) == Some(value);
        let mark = match (is("undecided", true), is("matched", true)) {
            (true, _) => "? undecided:",
            (false, true) => "✓",
            (false, false) => "✗",
        };
        let is_disabled = is("enabled", false);
        let disabled = if is_disabled { " (disabled)" } else { "" };
        output.line(format_args!("{mark} {}{disabled}", field(verdict, "rule")))?;
    }
    let evaluation = trace.get("evaluation").unwrap_or(&Json::Null);
    for effects in elements(evaluation, "rules") {
        output.line(format_args!("rule {} at intake:", field(effects, "rule")))?;
        for line in elements(effects, "log") {
            output.line(format_args!("  log: {}", printable(line)))?;
        }
        for action in elements(effects, "actions") {
            output.line(format_args!("  action: {action}"))?;
        }
        if let Some(reason) = effects.get("skipped").and_then(Json::as_str) {
            output.line(format_args!("  skipped: {reason}"))?;
        }
        for note in elements(effects, "notes") {
            output.line(format_args!("  note: {}", printable(note)))?;
        }
    }
    for failure in elements(evaluation, "failures") {
        output.line(format_args!(
            "rule {} failed: {}",
            field(failure, "rule"),
            field(failure, "message")
        ))?;
    }
    for delivery in elements(trace, "deliveries") {
        output::delivery::print(delivery, output)?;
    }
    for damaged in elements(trace, "damaged") {
        output.error(&field(damaged, "error"));
    }
    if trace.get("left_out").is_some() {
        output.line(format_args!(
            "  {} more deliveries",
            field(trace, "left_out")
        ))?;
    }
    Ok(())
}
