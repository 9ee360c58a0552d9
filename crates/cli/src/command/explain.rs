//! `reflexarc explain`: why a rule or filter matches an event or does not match it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reflexarc::{LookupExplanation, Rule, WindowExplanation, explain_native};
use reflexarc_event::{Document, EventError, Json, Limits, NativeEvent};
use reflexarc_pattern::explain::Explanation;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::filter_argument;
use crate::input::{self, Named, Records, either, filter_and_events, load_rules};
use crate::output::text::truncate;
use crate::output::{Format, Output, Paint};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0 everything explained matches
  1 something does not match
  3 invalid rules or filter
  4 unreadable event, or one that cannot be compared with a filter

Of a rule with a time window the output also says what it waits for, the key of the event or why \
it has none, and whether the filter of each step and `until` match; of a rule with lookups, the rows \
that they find. The exit code is about `when`.

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

/// What is explained.
struct Explained {
    /// The name of the rule, or `filter`.
    name: String,
    /// Of the filter, or `when`.
    explanation: Explanation,
    /// Of the rest of a rule with a time window.
    window: Option<WindowExplanation>,
    /// What the lookups of the rule find.
    lookups: Vec<LookupExplanation>,
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
            let pattern = filter_argument::parse_argument(
                text,
                &named.events,
                reflexarc_pattern::Dialect::Reflexarc,
                output,
            )?;
            let event = event(&named.events, args.line, output)?;
            vec![Explained {
                name: "filter".to_owned(),
                explanation: explain_native(pattern.node(), &event),
                window: None,
                lookups: Vec::new(),
            }]
        }
        None => explain_rules(&named, args, output)?,
    };
    output.begin(args.format)?;
    for explained in &explanations {
        print(explained, args, output)?;
    }
    output.end(args.format)?;
    Ok(if explanations.iter().any(Explained::is_undecided) {
        Exit::Unreadable
    } else if explanations
        .iter()
        .all(|explained| explained.explanation.matched())
    {
        Exit::Done
    } else {
        Exit::Negative
    })
}

impl Explained {
    /// Whether one of its filters could not be compared with the event.
    fn is_undecided(&self) -> bool {
        let filters = self.window.iter().flat_map(|window| &window.filters);
        self.explanation.undecided() || filters.into_iter().any(|f| f.explanation.undecided())
    }
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
) -> Result<Vec<Explained>, Failure> {
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
        Ok(Explained {
            name: name.to_owned(),
            explanation,
            window: rules.explain_window(&event, name),
            lookups: rules.explain_lookups(&event, name),
        })
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

fn print(explained: &Explained, args: &Args, output: &mut Output) -> Result<(), Failure> {
    let Explained {
        name,
        explanation,
        window,
        lookups,
    } = explained;
    if args.format != Format::Human {
        // Whether it is undecided says the explanation.
        let mut element = json!({
            "rule": name,
            "matched": explanation.matched(),
            "explanation": explanation.to_json(),
        });
        if let Some(window) = window {
            element["window"] = window_json(window);
        }
        if !lookups.is_empty() {
            let lookups = lookups.iter();
            let lookups = lookups.map(|lookup| (lookup.name.clone(), lookup_json(lookup)));
            element["lookups"] = Value::Object(lookups.collect());
        }
        return output.element(args.format, &element);
    }
    print_filter(name, explanation, "", args, output)?;
    for lookup in lookups {
        print_key(&format!("lookup.{}", lookup.name), &lookup.row, output)?;
    }
    let Some(window) = window else {
        return Ok(());
    };
    output.line(format_args!("  {}", window.description))?;
    match &window.key {
        Ok(key) if key.as_str() == Some("") => {}
        key => print_key("key", key, output)?,
    }
    if let Some(value) = &window.distinct {
        print_key("counted value", value, output)?;
    }
    for filter in &window.filters {
        print_filter(&filter.name, &filter.explanation, "  ", args, output)?;
        if let Some(key) = &filter.key {
            print_key("  its key", key, output)?;
        }
    }
    Ok(())
}

/// Prints whether a filter matches, and why, after `indent`.
fn print_filter(
    name: &str,
    explanation: &Explanation,
    indent: &str,
    args: &Args,
    output: &mut Output,
) -> Result<(), Failure> {
    let (paint, verdict) = match (explanation.undecided(), explanation.matched()) {
        (true, _) => (Paint::Yellow, "is undecided"),
        (false, true) => (Paint::Green, "matches"),
        (false, false) => (Paint::Red, "does not match"),
    };
    let verdict = output.paint(paint, verdict);
    let title = output.paint(Paint::Bold, name);
    output.line(format_args!("{indent}{title} {verdict}"))?;
    for line in explanation.render(args.full || args.all).lines() {
        output.line(format_args!("{indent}  {line}"))?;
    }
    Ok(())
}

fn print_key(name: &str, key: &Result<Json, String>, output: &mut Output) -> Result<(), Failure> {
    match key {
        Ok(value) => output.line(format_args!("  {name}: {}", truncate(&value.to_string()))),
        Err(reason) => {
            let reason = output.paint(Paint::Yellow, format_args!("none, {reason}"));
            output.line(format_args!("  {name}: {reason}"))
        }
    }
}

fn window_json(window: &WindowExplanation) -> Value {
    let filters = window.filters.iter().map(|filter| {
        let mut element = json!({
            "name": filter.name,
            "matched": filter.explanation.matched(),
            "explanation": filter.explanation.to_json(),
        });
        if let Some(key) = &filter.key {
            add_key(&mut element, "key", key);
        }
        element
    });
    let mut element = json!({
        "waits": window.description,
        "filters": filters.collect::<Vec<_>>(),
    });
    add_key(&mut element, "key", &window.key);
    if let Some(value) = &window.distinct {
        add_key(&mut element, "distinct", value);
    }
    element
}

fn lookup_json(lookup: &LookupExplanation) -> Value {
    let mut element = json!({ "table": lookup.table, "column": lookup.column });
    add_key(&mut element, "key", &lookup.key);
    add_key(&mut element, "row", &lookup.row);
    element
}

/// Adds a key of the event: its value, or null with the reason under `NAME_missing`.
fn add_key(element: &mut Value, name: &str, key: &Result<Json, String>) {
    match key {
        Ok(value) => element[name] = json!(value),
        Err(reason) => {
            element[name] = Value::Null;
            element[format!("{name}_missing")] = json!(reason);
        }
    }
}
