//! `reflexarc check --events`: what looks wrong in events.

use reflexarc_diagnostic::{Code, remove_allowed};
use reflexarc_event::{Event, check};
use std::ops::ControlFlow;

use super::super::run::default_jobs;
use super::Args;
use crate::exit::{Exit, Failure};
use crate::input::{self, Reading, Source};
use crate::output::Output;
use crate::output::findings::{Finding, FindingsFormat, FindingsWriter};
use crate::output::text::plural;

/// Checks every event of the files, in order.
pub(super) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (files, format) = (&args.paths, args.format);
    // A folder is rules: `check rules --events FILE` names both, which one run cannot check.
    if let Some(folder) = files.iter().find(|path| path.is_dir()) {
        return Err(Failure::Usage(format!(
            "{} is a folder; with --events every PATH is a file of events",
            folder.display()
        )));
    }
    let mut checked = Checked {
        allowed: &args.allow,
        writer: FindingsWriter::new(format),
        events: 0,
        unreadable: 0,
    };
    for source in input::open_all(files)? {
        checked.check_source(source, output)?;
    }
    let Checked {
        writer,
        events,
        unreadable,
        ..
    } = checked;
    let counts = writer.finish(output)?;
    if format == FindingsFormat::Human {
        let events = plural(events, "event");
        let unreadable = match unreadable {
            0 => String::new(),
            unreadable => format!(", {unreadable} unreadable"),
        };
        output.line(format_args!("{events}{unreadable}: {counts}"))?;
    }
    // Unreadable events outweigh findings: what is wrong in them is not known.
    Ok(if unreadable > 0 {
        Exit::Unreadable
    } else if counts.errors > 0 || args.deny_warnings && counts.warnings > 0 {
        Exit::Invalid
    } else {
        Exit::Done
    })
}

struct Checked<'a> {
    allowed: &'a [Code],
    writer: FindingsWriter,
    /// Records, unreadable ones included.
    events: u64,
    unreadable: u64,
}

impl Checked<'_> {
    fn check_source(&mut self, source: Source, output: &mut Output) -> Result<(), Failure> {
        let name = source.name.clone();
        let check_event = |event: Event| {
            let diagnostics = check(&event);
            Ok((event, diagnostics))
        };
        input::for_each_on_threads(
            source,
            Reading::Documents,
            usize::from(default_jobs()),
            check_event,
            |processed| {
                self.events += 1;
                match processed.result {
                    Err(error) => {
                        self.unreadable += 1;
                        output.error(&format!("{name}:{error}"));
                    }
                    Ok((event, mut diagnostics)) => {
                        remove_allowed(&mut diagnostics, |code| self.allowed.contains(&code));
                        let text = String::from_utf8_lossy(event.bytes());
                        for diagnostic in &diagnostics {
                            let finding = Finding {
                                file: &name,
                                first_line: usize::try_from(processed.line).unwrap_or(usize::MAX),
                                text: &text,
                                diagnostic,
                            };
                            self.writer.write(&finding, output)?;
                        }
                    }
                }
                Ok(ControlFlow::Continue(()))
            },
        )
    }
}
