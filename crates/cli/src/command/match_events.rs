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
use crate::input::{self, Source};
use crate::output::{Format, Output, Paint};
use crate::{filter_argument, filter_file};

/// Arguments of `match`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With one filter, prints the matching events as they are in the input. With --patterns or \
--rules, prints the line of each matching event and the filters that match it. Events in known \
envelopes are converted to the native form for matching, but not with --as-is or --dialect aws \
or alibaba.

Exit codes:
  0 at least one match
  1 no match
  3 invalid filter
  4 some events could not be read (the others were matched)

Examples:
  reflexarc match 'content.result == \"failed\"' examples/eni-events.ndjson
  reflexarc match --count '{\"level\": [\"WARN\"]}' examples/eni-events.ndjson
  reflexarc match --patterns filters.ndjson events.ndjson.zst --format ndjson
  reflexarc match --rules rules examples/eni-events.ndjson")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of a command are independent of each other"
)]
pub(crate) struct Args {
    /// Filter, in either notation; omit it with --patterns and --rules
    pattern: Option<String>,
    /// Events: NDJSON, a JSON array or JSON documents, optionally compressed with gzip or zstd
    /// [default: stdin]
    file: Option<String>,
    /// File of many filters: lines of {"id": …, "pattern": …} with a string or an object as pattern
    #[arg(long, value_name = "FILE")]
    patterns: Option<PathBuf>,
    /// Match the filters of these rule files or folders
    #[arg(long, value_name = "PATH", conflicts_with_all = ["patterns", "dialect"])]
    rules: Vec<PathBuf>,
    /// Language of the filters: reflexarc, aws, alibaba
    #[arg(long, default_value_t, value_name = "NAME")]
    dialect: Dialect,
    /// Do not convert events to the native form
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
    let (filters, file) = filters(args, output)?;
    let is_single = filters.names.is_empty();
    let source = Source::open(&file)?;
    let filters = Arc::new(filters);
    let names = Arc::clone(&filters);
    let (mut matched, mut unreadable) = (0_u64, 0_u64);
    let matching = move |event: Event| {
        let ids = filters.ids(event.clone())?;
        Ok((event, ids))
    };
    if !args.count {
        output.begin(args.format)?;
    }
    input::for_each(source, usize::from(args.jobs), matching, |processed| {
        let (event, ids) = match processed.result {
            Ok(matched) => matched,
            Err(error) => {
                unreadable += 1;
                output.error(&format!("{}:{error}", file.display()));
                return Ok(if args.fail_fast {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                });
            }
        };
        if ids.is_empty() != args.invert {
            return Ok(ControlFlow::Continue(()));
        }
        matched += 1;
        match (args.count, is_single, args.format) {
            (true, ..) => {}
            (false, true, Format::Human) => {
                output.bytes(&one_line(event.bytes()))?;
                output.bytes(b"\n")?;
            }
            (false, true, format) => output.element(format, event.tree())?,
            (false, false, format) => {
                let matched: Vec<_> = ids
                    .iter()
                    .map(|id| names.names[*id as usize].as_str())
                    .collect();
                if format == Format::Human {
                    let line = output.paint(Paint::Dim, format_args!("line {}", processed.line));
                    output.line(format_args!("{line}  {}", matched.join(", ")))?;
                } else {
                    output.element(
                        format,
                        &json!({ "line": processed.line, "matched": matched }),
                    )?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
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

impl Filters {
    /// The ids of the matching filters: positions in `names`.
    fn ids(&self, event: Event) -> Result<Vec<u32>, EventError> {
        let event = if self.native {
            NativeEvent::new(event)?
        } else {
            NativeEvent::as_is(event)
        };
        let mut ids = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| self.matcher.matching(event.event(), scratch, &mut ids));
        Ok(ids)
    }
}

/// The filters of the command line, and the file of events.
fn filters(args: &Args, output: &mut Output) -> Result<(Filters, PathBuf), Failure> {
    let from_files = args.patterns.is_some() || !args.rules.is_empty();
    let (pattern, file) = match (from_files, &args.pattern, &args.file) {
        (false, None, _) => {
            return Err(Failure::Usage(
                "missing filter: pass a filter, --patterns or --rules".to_owned(),
            ));
        }
        (false, pattern, file) => (pattern.as_ref(), file.as_ref()),
        // Without a filter, the first positional argument is the file of events.
        (true, file, None) => (None, file.as_ref()),
        (true, ..) => {
            return Err(Failure::Usage(
                "unexpected filter: pass either a filter or --patterns or --rules".to_owned(),
            ));
        }
    };
    let file = PathBuf::from(file.map_or("-", String::as_str));
    let native = args.dialect == Dialect::Reflexarc && !args.as_is;
    let over_limit = |error| Failure::Invalid(format!("the filters exceed a limit: {error}"));
    if let Some(text) = pattern {
        let pattern = filter_argument::parse(text, args.dialect, output)?;
        let matcher = Matcher::build([pattern.node()]).map_err(over_limit)?;
        return Ok((
            Filters {
                names: Vec::new(),
                matcher,
                native,
            },
            file,
        ));
    }
    if let Some(path) = &args.patterns {
        let (names, nodes) = filter_file::read(path, args.dialect)?;
        let matcher = Matcher::build(&nodes).map_err(over_limit)?;
        return Ok((
            Filters {
                names,
                matcher,
                native,
            },
            file,
        ));
    }
    let rules = RuleSet::load_all(&args.rules)?;
    let names = rules.rules().map(|rule| rule.name().to_owned()).collect();
    let matcher =
        Matcher::build(rules.rules().map(|rule| rule.pattern().node())).map_err(over_limit)?;
    Ok((
        Filters {
            names,
            matcher,
            native,
        },
        file,
    ))
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
