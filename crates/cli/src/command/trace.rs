//! `reflexarc trace`: the evaluation and all deliveries of one event.

use reflexarc::RuleSet;
use reflexarc_event::{Json, NativeEvent};
use reflexarc_reaction::CallAnswer;
use reflexarc_service::Store;
use reflexarc_service::operate::trace;
use reflexarc_service::store::{Archived, PageLimits};

use crate::config_args::{StoreReportArgs, store_failure};
use crate::exit::{Exit, Failure};
use crate::output::delivery::{elements, field};
use crate::output::left_out::LeftOut;
use crate::output::table::time_of;
use crate::output::text::{printable, printable_str};
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
recorded evaluation (actions, log, state before and after, failures), and every delivery with its \
attempts and the receiver's responses. Of rules with a time window: which match the event opened, \
continued or closed, with its deadline, and as entries of their own each firing and resolution of \
the matches that it opened, and who closed one. Of calls of operations: each answer with what the \
rule did with it.

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
    if document.get("detail").is_some() {
        return print_entry(&document, output);
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
    print_evaluation(trace, " at intake", output)?;
    print_deliveries(trace, output)
}

/// Prints an entry that is no event: a deadline that came, the answer to a call, or what an operator
/// did.
fn print_entry(trace: &Json, output: &mut Output) -> Result<(), Failure> {
    if let (Some(detail), "answer") = (trace.get("detail"), field(trace, "entry").as_str()) {
        print_answer(trace, detail, output)?;
        print_evaluation(trace, "", output)?;
        return print_deliveries(trace, output);
    }
    output.line(format_args!(
        "{} at {}",
        field(trace, "entry"),
        time_of(&field(trace, "at"))
    ))?;
    if let Some(Json::Object(members)) = trace.get("detail") {
        for (name, value) in members.iter().filter(|(_, value)| *value != Json::Null) {
            let value = match value {
                Json::String(text) => time_of(&printable_str(text)),
                value => printable(value),
            };
            output.line(format_args!("  {name}: {value}"))?;
        }
    }
    print_evaluation(trace, "", output)?;
    print_deliveries(trace, output)
}

/// Prints the answer to a call, without the event that began it, which is in the trace already.
fn print_answer(trace: &Json, detail: &Json, output: &mut Output) -> Result<(), Failure> {
    let (nothing, time) = (Json::Null, time_of(&field(trace, "at")));
    let call = detail.get("call").unwrap_or(&nothing);
    let answer = detail.get("answer").unwrap_or(&nothing);
    let said = CallAnswer::from_json(answer).map(|answer| answer.summary());
    let status = answer.get("status").and_then(Json::as_i64);
    let status = status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
    output.line(format_args!(
        "answer to {} at {}, {time}: {}{status}",
        field(call, "operation"),
        field(call, "target"),
        printable_str(&said.unwrap_or_default())
    ))?;
    for name in ["rule", "key", "delivery", "hop"] {
        if detail.get(name).is_some_and(|value| *value != Json::Null) {
            output.line(format_args!("  {name}: {}", field(detail, name)))?;
        }
    }
    output.line(format_args!("  parameters: {}", field(call, "parameters")))?;
    if answer.get("body").is_some_and(|body| *body != Json::Null) {
        output.line(format_args!("  body: {}", field(answer, "body")))?;
    }
    Ok(())
}

/// Prints what each rule did; `when` says at which time.
fn print_evaluation(trace: &Json, when: &str, output: &mut Output) -> Result<(), Failure> {
    let evaluation = trace.get("evaluation").unwrap_or(&Json::Null);
    for effects in elements(evaluation, "rules") {
        output.line(format_args!("rule {}{when}:", field(effects, "rule")))?;
        for line in elements(effects, "log") {
            output.line(format_args!("  log: {}", printable(line)))?;
        }
        for name in elements(effects, "cancelled") {
            output.line(format_args!("  cancelled: {}", printable(name)))?;
        }
        for action in elements(effects, "actions") {
            output.line(format_args!("  action: {action}"))?;
        }
        for change in elements(effects, "state") {
            output.line(format_args!("  state: {}", state_change(change)))?;
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
    Ok(())
}

/// What became of an entry of a rule's state, on one line.
fn state_change(change: &Json) -> String {
    let value = |name| match change.get(name) {
        None | Some(Json::Null) => "(none)".to_owned(),
        Some(value) if change.get(&format!("{name}_damaged")).is_some() => {
            format!("{} (damaged)", printable(value))
        }
        Some(value) => match change.get(&format!("{name}_bytes")) {
            Some(bytes) => format!("{} ({bytes} bytes)", printable(value)),
            None => value.to_string(),
        },
    };
    let key = field(change, "key");
    let mut line = format!("{key}: {} → {}", value("before"), value("after"));
    let expires = field(change, "expires");
    if change.get("expires").is_some_and(|at| *at != Json::Null) {
        line.push_str(&format!(", expires {}", time_of(&expires)));
    }
    line
}

fn print_deliveries(trace: &Json, output: &mut Output) -> Result<(), Failure> {
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
