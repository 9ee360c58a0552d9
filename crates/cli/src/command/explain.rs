//! `reflexarc explain`: why a rule or filter matches an event or does not match it.

use std::path::PathBuf;

use reflexarc::{Rule, RuleSet};
use reflexarc_event::{Limits, NativeEvent};
use reflexarc_pattern::explain::{Explanation, explain};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::filter_argument;
use crate::input::{Records, Source};
use crate::output::{Format, Output, Paint};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0 everything explained matches
  1 something does not match
  3 invalid rules or filter
  4 unreadable event

Examples:
  reflexarc explain --rules rules --event event.json --rule failed-operation
  reflexarc explain --rules rules --event examples/eni-events.ndjson --line 6
  reflexarc explain 'content.result == \"failed\"' --event event.json")]
pub(crate) struct Args {
    /// Filter to explain instead of rules, in either notation
    pattern: Option<String>,
    /// Rule files or folders
    #[arg(
        long,
        default_value = "rules",
        value_name = "PATH",
        conflicts_with = "pattern"
    )]
    rules: Vec<PathBuf>,
    /// File with the event; `-` is stdin
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Line on which the event begins, in a file of several [default: the first event]
    #[arg(long, value_name = "N")]
    line: Option<u64>,
    /// Explain only this rule
    #[arg(long, value_name = "NAME", conflicts_with = "pattern")]
    rule: Option<String>,
    /// Show all parts of the filter, not only those that fail
    #[arg(long)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Explains each rule, or the filter.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let explanations = match &args.pattern {
        Some(text) => {
            let pattern =
                filter_argument::parse(text, reflexarc_pattern::Dialect::Reflexarc, output)?;
            let event = event(args)?;
            vec![("filter".to_owned(), explain(pattern.node(), event.tree()))]
        }
        None => explain_rules(args)?,
    };
    output.begin(args.format)?;
    for (name, explanation) in &explanations {
        print(name, explanation, args, output)?;
    }
    output.end(args.format)?;
    let matched = explanations
        .iter()
        .all(|(_, explanation)| explanation.matched());
    Ok(if matched { Exit::Done } else { Exit::Negative })
}

fn explain_rules(args: &Args) -> Result<Vec<(String, Explanation)>, Failure> {
    let rules = RuleSet::load_all(&args.rules)?;
    let event = event(args)?;
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
        Ok((
            name.to_owned(),
            rules.explain(&event, name).ok_or_else(unknown)?,
        ))
    });
    explained.collect()
}

fn event(args: &Args) -> Result<NativeEvent, Failure> {
    let source = Source::open(&args.event)?;
    let mut records = Records::new(source.reader, Limits::DEFAULT.bytes);
    let name = args.event.display();
    loop {
        let record = records
            .next()
            .map_err(|error| Failure::Input(format!("{name}: {error}")))?;
        let Some(record) = record else {
            let on_line = args
                .line
                .map_or_else(String::new, |line| format!(" begins on line {line}"));
            return Err(Failure::Input(format!("{name}: no event{on_line}")));
        };
        // Records before the event need not be valid: they are cut but not parsed.
        if args.line.is_none_or(|line| line == record.line) {
            let text = record
                .text
                .map_err(|reason| Failure::Input(format!("{name}:{}: {reason}", record.line)))?;
            return NativeEvent::from_json(text)
                .map_err(|error| Failure::Input(format!("{name}:{}: {error}", record.line)));
        }
    }
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
            &json!({
                "rule": name,
                "matched": explanation.matched(),
                "explanation": explanation.to_json(),
            }),
        );
    }
    let (paint, verdict) = if explanation.matched() {
        (Paint::Green, "matches")
    } else {
        (Paint::Red, "does not match")
    };
    let verdict = output.paint(paint, verdict);
    let title = output.paint(Paint::Bold, name);
    output.line(format_args!("{title} {verdict}"))?;
    for line in explanation.render(args.all).lines() {
        output.line(format_args!("  {line}"))?;
    }
    Ok(())
}
