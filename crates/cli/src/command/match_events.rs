//! `reflexarc match`: the events that a filter matches, or the filters that match each event.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use reflexarc::RuleSet;
use reflexarc_event::{Event, EventError, NativeEvent};
use reflexarc_pattern::{Dialect, Matcher, Scratch};
use serde_json::json;

use super::run::{default_jobs, jobs_range};
use crate::exit::{Exit, Failure};
use crate::input::{self, FilterAndEvents, Named, Reading};
use crate::output::{Format, Output, Paint};
use crate::{filter_argument, filter_file};

/// Arguments of `match`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With one filter, prints the matching events as they are in the input. With RULES or --patterns, \
prints the line of each matching event and the filters that match it. Events of Alibaba Cloud are \
converted to the native form for matching, and events are taken out of notifications (MNS, SNS, \
SQS) and lists (CloudTrail, ActionTrail, event history), but not with --as-is or --dialect aws \
or alibaba.

Exit codes:
  0 at least one match
  1 no match
  3 invalid filter
  4 some events could not be read or compared with a filter (the others were matched)

Examples:
  reflexarc match 'content.result == \"failed\"' examples/eni-events.ndjson
  reflexarc match --count '{\"level\": [\"WARN\"]}' examples/eni-events.ndjson
  reflexarc match rules examples/eni-events.ndjson
  reflexarc match --patterns filters.ndjson events.ndjson.zst --format ndjson")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of a command are independent of each other"
)]
pub(crate) struct Args {
    #[command(flatten)]
    input: FilterAndEvents,
    /// File of many filters: lines of {"id": …, "pattern": …} with a string or an object as
    /// pattern; all arguments are EVENTS then
    #[arg(long, value_name = "FILE")]
    patterns: Option<PathBuf>,
    /// Language of the filters: reflexarc, aws, alibaba
    #[arg(long, default_value_t, value_name = "NAME")]
    dialect: Dialect,
    /// Do not convert events to the native form, nor take them out of notifications and lists
    #[arg(long)]
    as_is: bool,
    /// Print the events that do not match instead
    #[arg(long, short = 'v')]
    invert: bool,
    /// Print only the number of matching events
    #[arg(long, short)]
    count: bool,
    /// Stop at the first event that cannot be read
    #[arg(long)]
    fail_fast: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Threads that match events; the output keeps the order of the events
    #[arg(long, default_value_t = default_jobs(), value_parser = jobs_range())]
    jobs: u16,
}

/// Filters compiled into one matcher. A single filter has no name.
struct Filters {
    names: Vec<String>,
    matcher: Matcher,
    /// Whether events are converted to the native form before they are matched.
    native: bool,
}

thread_local! {
    /// The matcher's buffers, allocated once per thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Matches the events and prints the matches.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (filters, events) = filters(args, output)?;
    let is_single = filters.names.is_empty();
    let sources = input::open_all(&events)?;
    let several = sources.len() > 1;
    let filters = Arc::new(filters);
    let names = Arc::clone(&filters);
    let (mut matched, mut unreadable) = (0_u64, 0_u64);
    let reading = if filters.native {
        Reading::Documents
    } else {
        Reading::AsIs
    };
    let matching = move |event: Event| {
        let (ids, undecided) = filters.ids(event.clone())?;
        Ok((event, ids, undecided))
    };
    if !args.count {
        output.begin(args.format)?;
    }
    for source in sources {
        let name = source.name.clone();
        let jobs = usize::from(args.jobs);
        input::for_each_on_threads(source, reading, jobs, matching.clone(), |processed| {
            let (event, ids, undecided) = match processed.result {
                Ok(matched) => matched,
                Err(error) => {
                    unreadable += 1;
                    output.error(&format!("{name}:{error}"));
                    return Ok(if args.fail_fast {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    });
                }
            };
            if !undecided.is_empty() {
                unreadable += 1;
                let line = processed.line;
                let filters = if is_single {
                    "the filter".to_owned()
                } else {
                    names.named(&undecided).join(", ")
                };
                output.error(&format!(
                    "{name}:{line}: cannot compare the event with {filters}: there are too many \
                     combinations of the elements of its arrays"
                ));
                if args.fail_fast {
                    return Ok(ControlFlow::Break(()));
                }
                // With --invert, too: it is not known that none matches.
                if ids.is_empty() {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if ids.is_empty() != args.invert {
                return Ok(ControlFlow::Continue(()));
            }
            matched += 1;
            if args.count {
            } else if is_single {
                print_event(&event, args.format, output)?;
            } else {
                let file = several.then_some(name.as_str());
                print_names(
                    file,
                    processed.line,
                    &names.named(&ids),
                    args.format,
                    output,
                )?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if args.fail_fast && unreadable > 0 {
            break;
        }
    }
    match (args.count, args.format) {
        (true, Format::Human) => output.line(matched)?,
        (true, _) => output.json(&json!({ "count": matched }))?,
        (false, format) => output.end(format)?,
    }
    Ok(match (unreadable, matched) {
        (1.., _) => Exit::Unreadable,
        (0, 1..) => Exit::Done,
        (0, 0) => Exit::Negative,
    })
}

/// Prints an event that the only filter matches.
fn print_event(event: &Event, format: Format, output: &mut Output) -> Result<(), Failure> {
    if format == Format::Human {
        output.bytes(&one_line(event.bytes()))?;
        output.bytes(b"\n")
    } else {
        output.element(format, event.tree())
    }
}

/// Prints which filters match the event on a line; `file` is its file, if there are several.
fn print_names(
    file: Option<&str>,
    line: u64,
    matched: &[&str],
    format: Format,
    output: &mut Output,
) -> Result<(), Failure> {
    match (format, file) {
        (Format::Human, file) => {
            let file = file.map_or(String::new(), |file| format!("{file} "));
            let line = output.paint(Paint::Dim, format_args!("{file}line {line}"));
            output.line(format_args!("{line}  {}", matched.join(", ")))
        }
        (_, None) => output.element(format, &json!({ "line": line, "matched": matched })),
        (_, Some(file)) => {
            let found = json!({ "file": file, "line": line, "matched": matched });
            output.element(format, &found)
        }
    }
}

impl Filters {
    /// The ids of the matching filters, positions in `names`, and of those that cannot be compared
    /// with the event.
    fn ids(&self, event: Event) -> Result<(Vec<u32>, Vec<u32>), EventError> {
        let event = if self.native {
            NativeEvent::new(event)?
        } else {
            NativeEvent::as_is(event)
        };
        let mut ids = Vec::new();
        let undecided = SCRATCH.with_borrow_mut(|scratch| {
            self.matcher.matching(event.event(), scratch, &mut ids);
            scratch.undecided().to_vec()
        });
        Ok((ids, undecided))
    }

    /// The names of the filters with these ids.
    fn named(&self, ids: &[u32]) -> Vec<&str> {
        let names = ids.iter().map(|id| self.names[*id as usize].as_str());
        names.collect()
    }
}

/// The filters of the command line, and the files of events.
fn filters(args: &Args, output: &mut Output) -> Result<(Filters, Vec<PathBuf>), Failure> {
    // A file of filters replaces the filter: then all arguments are files of events.
    let Named {
        filter,
        rules,
        events,
    } = args.input.named(args.patterns.is_none())?;
    if !rules.is_empty() && args.patterns.is_some() {
        return Err(Failure::Usage(
            "both RULES and --patterns are given; remove one of them".to_owned(),
        ));
    }
    if !rules.is_empty() && args.dialect != Dialect::Reflexarc {
        return Err(Failure::Usage(
            "--dialect is about a filter or --patterns; rules have their own language".to_owned(),
        ));
    }
    let native = args.dialect == Dialect::Reflexarc && !args.as_is;
    let over_limit = |error| Failure::Invalid(format!("the filters exceed a limit: {error}"));
    let (names, matcher) = if let Some(text) = filter {
        let pattern = filter_argument::parse_argument(&text, &events, args.dialect, output)?;
        (Vec::new(), Matcher::build([pattern.node()]))
    } else if let Some(path) = &args.patterns {
        let (names, nodes) = filter_file::read(path, args.dialect)?;
        (names, Matcher::build(&nodes))
    } else if rules.is_empty() {
        return Err(Failure::Usage(
            "missing filter: add a filter, RULES or --patterns".to_owned(),
        ));
    } else {
        let rules = RuleSet::load_all(&rules)?;
        let enabled = || rules.rules().filter(|rule| rule.enabled());
        let names = enabled().map(|rule| rule.name().to_owned()).collect();
        (
            names,
            Matcher::build(enabled().map(|rule| rule.pattern().node())),
        )
    };
    let filters = Filters {
        names,
        matcher: matcher.map_err(over_limit)?,
        native,
    };
    Ok((filters, events))
}

/// A JSON document as one line of NDJSON. Only a document of several lines is copied.
///
/// In JSON, line breaks occur only between tokens, so each may become a space.
fn one_line(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let bytes = bytes.trim_ascii();
    if memchr::memchr2(b'\n', b'\r', bytes).is_none() {
        return bytes.into();
    }
    bytes
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect::<Vec<_>>()
        .into()
}
