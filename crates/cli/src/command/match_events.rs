//! `reflexarc match`: which events a filter matches, or which of many filters match each event.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use reflexarc::RuleSet;
use reflexarc_event::{Event, EventError, NativeEvent};
use reflexarc_pattern::{Dialect, Matcher, Scratch};
use serde_json::json;

use super::run::default_jobs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::output::{Format, Output, Paint};
use crate::{filter_argument, filter_file};

/// Arguments of `match`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With one filter, prints the events that match, as they came. With --patterns or --rules, prints for each event that
matches anything its line and what matched. Known envelopes are brought into the native form for matching; with --dialect
aws or alibaba, and with --as-is, events are matched as they came.

Exit codes: 0 at least one match · 1 none · 3 invalid filter · 4 some events could not be read (the others were)

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
    /// The filter, in either notation; left out with --patterns and --rules
    pattern: Option<String>,
    /// The events: NDJSON, a JSON array or documents, plain, gzip or zstd; stdin when left out
    file: Option<String>,
    /// Many filters: lines of {"id": …, "pattern": …}, the pattern an object or text in either notation
    #[arg(long, value_name = "FILE")]
    patterns: Option<PathBuf>,
    /// The filters of rules
    #[arg(long, value_name = "PATH", conflicts_with_all = ["patterns", "dialect"])]
    rules: Vec<PathBuf>,
    /// The language of the filters: reflexarc, aws, alibaba
    #[arg(long, default_value_t, value_name = "NAME")]
    dialect: Dialect,
    /// Match the events as they came, in whatever envelope
    #[arg(long)]
    as_is: bool,
    /// Print the events that do not match
    #[arg(long, short = 'v')]
    invert: bool,
    /// Print only how many match
    #[arg(long, short)]
    count: bool,
    /// Stop at the first event that cannot be read
    #[arg(long)]
    fail_fast: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Threads that read and match; the order of the events is kept
    #[arg(long, default_value_t = default_jobs(), value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// Filters under one matcher, each with its name; a filter given alone has none.
struct Filters {
    names: Vec<String>,
    matcher: Matcher,
    native: bool,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Matches.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (filters, file) = filters(args, output)?;
    let alone = filters.names.is_empty();
    let source = Source::open(&file)?;
    let filters = Arc::new(filters);
    let names = Arc::clone(&filters);
    let (mut matched, mut broken) = (0u64, 0u64);
    let work = move |event: Event| {
        let ids = filters.ids(event.clone())?;
        Ok((event, ids))
    };
    if !args.count {
        output.begin(args.format)?;
    }
    input::for_each(source, usize::from(args.jobs), work, |answer| {
        let (event, ids) = match answer.outcome {
            Ok(matched) => matched,
            Err(why) => {
                broken += 1;
                output.error(&format!("{}:{why}", file.display()));
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
        match (args.count, alone, args.format) {
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
                    let line = output.paint(Paint::Dim, format_args!("line {}", answer.line));
                    output.line(format_args!("{line}  {}", matched.join(", ")))?;
                } else {
                    output.element(format, &json!({ "line": answer.line, "matched": matched }))?;
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
    Ok(match (broken, matched) {
        (1.., _) => Exit::Unreadable,
        (0, 1..) => Exit::Done,
        (0, 0) => Exit::Negative,
    })
}

impl Filters {
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

/// The filters asked for, and the file of events.
fn filters(args: &Args, output: &mut Output) -> Result<(Filters, PathBuf), Failure> {
    let many = args.patterns.is_some() || !args.rules.is_empty();
    let (pattern, file) = match (many, &args.pattern, &args.file) {
        (false, None, _) => {
            return Err(Failure::Usage(
                "give a filter, or --patterns, or --rules".to_owned(),
            ));
        }
        (false, pattern, file) => (pattern.as_ref(), file.as_ref()),
        // The one argument is then the file.
        (true, file, None) => (None, file.as_ref()),
        (true, ..) => {
            return Err(Failure::Usage(
                "with --patterns or --rules there is no filter to give".to_owned(),
            ));
        }
    };
    let file = PathBuf::from(file.map_or("-", String::as_str));
    let native = args.dialect == Dialect::Reflexarc && !args.as_is;
    let too_much =
        |error| Failure::Invalid(format!("these filters together are too much: {error}"));
    if let Some(text) = pattern {
        let pattern = filter_argument::parse(text, args.dialect, output)?;
        let matcher = Matcher::build([pattern.node()]).map_err(too_much)?;
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
        let matcher = Matcher::build(&nodes).map_err(too_much)?;
        return Ok((
            Filters {
                names,
                matcher,
                native,
            },
            file,
        ));
    }
    let rules = RuleSet::load_all(&args.rules).map_err(Failure::Rules)?;
    let names = rules.rules().map(|rule| rule.name().to_owned()).collect();
    let matcher =
        Matcher::build(rules.rules().map(|rule| rule.pattern().node())).map_err(too_much)?;
    Ok((
        Filters {
            names,
            matcher,
            native,
        },
        file,
    ))
}

/// A document as one line of NDJSON; only a document over several lines is copied. In JSON, line breaks stand between
/// tokens only, so a space does as well.
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
