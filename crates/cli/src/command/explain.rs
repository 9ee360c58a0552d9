//! `reflexarc explain`: why a rule or filter matches an event or does not match it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reflexarc::{Rule, explain_native};
use reflexarc_event::{Document, EventError, Limits, NativeEvent};
use reflexarc_pattern::explain::Explanation;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::filter_argument;
use crate::input::{self, Named, Records, either, filter_and_events, load_rules};
use crate::output::{Format, Output, Paint};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0 everything explained matches
  1 something does not match
  3 invalid rules or filter
  4 unreadable event, or one that cannot be compared with a filter

Examples:
  reflexarc explain rules examples/eni-events.ndjson --rule failed-operation
  reflexarc explain rules examples/eni-events.ndjson --line 6
  reflexarc explain 'content.result == \"failed\"' examples/eni-events.ndjson")]
pub(crate) struct Args {
    /// Filter to explain, in either notation; or rule file (*.toml) or folder of rule files, of
    /// which several are allowed [default: rules]
    #[arg(value_name = "FILTER|RULES")]
    first: Option<OsString>,
    /// File with the event; `-` is stdin [default: stdin]
    #[arg(value_name = "EVENT")]
    rest: Vec<OsString>,
    /// Deprecated: RULES
    #[arg(long, value_name = "PATH", hide = true)]
    rules: Vec<PathBuf>,
    /// Deprecated: EVENT
    #[arg(long, value_name = "FILE", hide = true)]
    event: Option<PathBuf>,
    /// Line on which the event begins, in a file of several [default: the first event]
    #[arg(long, value_name = "N")]
    line: Option<u64>,
    /// Explain only this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Show all parts of the filter, not only those that fail
    #[arg(long)]
    full: bool,
    /// Deprecated: --full
    #[arg(long, hide = true)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Explains each rule, or the filter.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let named = named(args)?;
    let explanations = match &named.filter {
        Some(text) => {
            if args.rule.is_some() {
                return Err(Failure::Usage(
                    "--rule selects one of the rules; it is not allowed with a filter".to_owned(),
                ));
            }
            let pattern =
                filter_argument::parse(text, reflexarc_pattern::Dialect::Reflexarc, output)?;
            let event = event(&named.events, args.line, output)?;
            vec![("filter".to_owned(), explain_native(pattern.node(), &event))]
        }
        None => explain_rules(&named, args, output)?,
    };
    output.begin(args.format)?;
    for (name, explanation) in &explanations {
        print(name, explanation, args, output)?;
    }
    output.end(args.format)?;
    let explanations = || explanations.iter().map(|(_, explanation)| explanation);
    Ok(if explanations().any(Explanation::undecided) {
        Exit::Unreadable
    } else if explanations().all(Explanation::matched) {
        Exit::Done
    } else {
        Exit::Negative
    })
}

/// The filter or the rules, and the event.
fn named(args: &Args) -> Result<Named, Failure> {
    // A single argument may be either: `explain FILTER < event.json`, `explain event.json`.
    let is_filter = |first: &Path, rest: usize| {
        rest > 0 || args.event.is_some() || first.as_os_str() != "-" && !first.exists()
    };
    let positional = args.first.iter().chain(&args.rest);
    let mut named = filter_and_events(positional, &args.rules, is_filter)?;
    named.events = either(named.events, args.event.as_slice(), "EVENT", "--event")?;
    if named.events.len() > 1 {
        return Err(Failure::Usage(
            "only one file with the event is allowed; --line selects an event in it".to_owned(),
        ));
    }
    Ok(named)
}

fn explain_rules(
    named: &Named,
    args: &Args,
    output: &mut Output,
) -> Result<Vec<(String, Explanation)>, Failure> {
    let rules = load_rules(&named.rules)?;
    let event = event(&named.events, args.line, output)?;
    let names: Vec<_> = match &args.rule {
        Some(name) => vec![name.as_str()],
        None => rules.rules().map(Rule::name).collect(),
    };
    let explained = names.into_iter().map(|name| {
        let unknown = || {
            let known: Vec<_> = rules.rules().map(Rule::name).collect();
            Failure::Usage(format!(
                "unknown rule `{name}`; the rules are {}",
                known.join(", ")
            ))
        };
        let explanation = rules.explain(&event, name).ok_or_else(unknown)?;
        if rules.get(name).is_some_and(|rule| !rule.enabled()) {
            output.status(&format!(
                "rule `{name}` is disabled: no event is evaluated by it, also if its filter matches"
            ));
        }
        Ok((name.to_owned(), explanation))
    });
    explained.collect()
}

/// The event that begins on this line, or the first one; notes on stderr that there are others.
fn event(
    paths: &[PathBuf],
    line: Option<u64>,
    output: &mut Output,
) -> Result<NativeEvent, Failure> {
    let source = input::open_all(paths)?.remove(0);
    let mut records = Records::new(source.reader, Limits::DEFAULT.document_bytes);
    let name = source.name;
    let failed = |error: std::io::Error| Failure::Input(format!("{name}: {error}"));
    while let Some(record) = records.next().map_err(failed)? {
        // Records before the event need not be valid: they are cut but not parsed.
        if line.is_none_or(|line| line == record.line) {
            let invalid = |reason: &dyn std::fmt::Display| {
                Failure::Input(format!("{name}:{}: {reason}", record.line))
            };
            let text = record.text.map_err(|reason| invalid(&reason))?;
            let events = Document::read(text).map_err(|error| invalid(&error))?;
            let events = events.into_events();
            let count = events.len();
            // Of a list, the first event, as of a file of several.
            let Some(event) = events.into_iter().next() else {
                return Err(invalid(&EventError::SeveralEvents { count }));
            };
            let native = event.and_then(NativeEvent::new);
            let native = native.map_err(|error| invalid(&error))?;
            // The answer would else look like one about all events of the file. What follows need
            // not be valid, and a file that breaks off there is not asked about.
            if count > 1 {
                output.status(&format!(
                    "this is about the first of {count} events in {name}"
                ));
            } else if line.is_none() && records.next().is_ok_and(|next| next.is_some()) {
                output.status(&format!(
                    "this is about the first event in {name}; --line N selects another"
                ));
            }
            return Ok(native);
        }
    }
    let on_line = line.map_or_else(String::new, |line| format!(" begins on line {line}"));
    Err(Failure::Input(format!("{name}: no event{on_line}")))
}

fn print(
    name: &str,
    explanation: &Explanation,
    args: &Args,
    output: &mut Output,
) -> Result<(), Failure> {
    if args.format != Format::Human {
        return output.element(
            args.format,
            // Whether it is undecided says the explanation.
            &json!({
                "rule": name,
                "matched": explanation.matched(),
                "explanation": explanation.to_json(),
            }),
        );
    }
    let (paint, verdict) = match (explanation.undecided(), explanation.matched()) {
        (true, _) => (Paint::Yellow, "is undecided"),
        (false, true) => (Paint::Green, "matches"),
        (false, false) => (Paint::Red, "does not match"),
    };
    let verdict = output.paint(paint, verdict);
    let title = output.paint(Paint::Bold, name);
    output.line(format_args!("{title} {verdict}"))?;
    for line in explanation.render(args.full || args.all).lines() {
        output.line(format_args!("  {line}"))?;
    }
    Ok(())
}
