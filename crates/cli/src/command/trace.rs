//! `reflexarc trace`: everything about one event.

use reflexarc_event::Json;
use reflexarc_service::trace;

use crate::configured::{Configured, failed};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One document: the event as it came and in normal form, each rule's verdict as the rules are now, what was made of the event
then (actions, log, failures), and every delivery with every attempt and the receiver's words.

Exit codes: 0 found · 1 no such event in the archive · 3 invalid rules or configuration · 5 the store cannot be read

Examples:
  reflexarc trace 2256A988-0B26-4E2B-820A-8B0000000005
  reflexarc trace 2256A988-0B26-4E2B-820A-8B0000000005 --explain attach-failed --format json")]
pub(crate) struct Args {
    /// The event's id
    event: String,
    /// Say why this rule matches or does not
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    #[command(flatten)]
    configured: Configured,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the trace.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (store, rules) = args.configured.store_and_rules()?;
    let found = store.find(&args.event).map_err(failed)?;
    output.begin(args.format)?;
    for archived in &found {
        let document = trace(&store, &rules, archived, args.explain.as_deref()).map_err(failed)?;
        match args.format {
            Format::Human => {
                print(&document, output)?;
                if let Some(rule) = &args.explain {
                    match rules.explain(&archived.event, rule) {
                        Some(explanation) => output.line(explanation.render(false).trim_end())?,
                        None => output.line(format_args!("there is no rule `{rule}`"))?,
                    }
                }
            }
            Format::Json | Format::Ndjson => output.element(args.format, &document)?,
        }
    }
    output.end(args.format)?;
    if found.is_empty() {
        output.error(&format!(
            "there is no event `{}` in the archive",
            args.event
        ));
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

fn print(trace: &Json, output: &mut Output) -> Result<(), Failure> {
    let text = |json: &Json, key: &str| json.get(key).map_or(String::new(), plain);
    output.line(format_args!(
        "event {} from {}, {}, accepted {}",
        text(trace, "id"),
        text(trace, "source"),
        text(trace, "envelope"),
        text(trace, "accepted")
    ))?;
    output.line(format_args!("  {}", text(trace, "received")))?;
    if trace.get("normal") != trace.get("received") {
        output.line(format_args!("  normal form: {}", text(trace, "normal")))?;
    }
    for verdict in list(trace, "verdicts") {
        let mark = if verdict.get("matched").and_then(Json::as_bool) == Some(true) {
            "✓"
        } else {
            "✗"
        };
        output.line(format_args!("{mark} {}", text(verdict, "rule")))?;
    }
    let evaluation = trace.get("evaluation").unwrap_or(&Json::Null);
    for effects in list(evaluation, "rules") {
        output.line(format_args!("rule {} then:", text(effects, "rule")))?;
        for line in list(effects, "log") {
            output.line(format_args!("  log: {}", plain(line)))?;
        }
        for action in list(effects, "actions") {
            output.line(format_args!("  action: {action}"))?;
        }
        if let Some(reason) = effects.get("skipped").and_then(Json::as_str) {
            output.line(format_args!("  skipped: {reason}"))?;
        }
    }
    for failure in list(evaluation, "failures") {
        output.line(format_args!(
            "rule {} failed: {}",
            text(failure, "rule"),
            text(failure, "message")
        ))?;
    }
    for delivery in list(trace, "deliveries") {
        print_delivery(delivery, output)?;
    }
    Ok(())
}

/// A delivery and its attempts, a line each.
pub(crate) fn print_delivery(delivery: &Json, output: &mut Output) -> Result<(), Failure> {
    let text = |json: &Json, key: &str| json.get(key).map_or(String::new(), plain);
    let (id, status, target) = (
        text(delivery, "id"),
        text(delivery, "status"),
        text(delivery, "target"),
    );
    let (rule, event) = (text(delivery, "rule"), text(delivery, "event"));
    output.line(format_args!(
        "delivery {id} to {target}: {status} (rule {rule}, event {event})"
    ))?;
    if let Some(reason) = delivery.get("reason").and_then(Json::as_str) {
        output.line(format_args!("  {reason}"))?;
    }
    for attempt in list(delivery, "attempts") {
        let (number, started) = (text(attempt, "number"), text(attempt, "started"));
        let (took, outcome, answer) = (
            text(attempt, "milliseconds"),
            text(attempt, "outcome"),
            text(attempt, "answer"),
        );
        output.line(format_args!(
            "  attempt {number}, {started}, {took} ms: {outcome}: {answer}"
        ))?;
    }
    Ok(())
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).map_or(&[], Json::elements)
}

/// A string without its quotes and without what could steer a terminal: it may hold a stranger's words.
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.chars().flat_map(shown).collect(),
        other => other.to_string(),
    }
}

fn shown(letter: char) -> Vec<char> {
    if letter.is_control() {
        letter.escape_default().collect()
    } else {
        vec![letter]
    }
}
