//! What a run prints, on a thread of its own.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use jiff::Timestamp;
use reflexarc::{DelayedAction, Evaluation, FailureCounter, RuleSet};
use reflexarc_event::NativeEvent;

use super::deadlines::Firing;
use crate::exit::Failure;
use crate::output::delayed::DelayReport;
use crate::output::evaluation::EventReport;
use crate::output::firing::FiringReport;
use crate::output::totals::Totals;
use crate::output::{Format, Output};

/// Bytes at which a batch is printed before it is complete: an event may have effects of 64 MiB.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of a result besides its event and effects: any number of deadlines may pass at once.
const ITEM_BYTES: usize = 512;

/// Takes results to print. Breaks when no more can be printed.
pub(super) type Print<'p> = dyn FnMut(Vec<Item>) -> Result<ControlFlow<()>, Failure> + 'p;

/// A result.
pub(super) enum Item {
    Evaluated(Evaluated),
    /// A deadline that has passed.
    Fired(Firing),
    /// A delayed action that is due.
    Delayed(Box<DelayedAction>),
    /// An event without effects, which is only counted.
    Unmatched,
    /// A record that could not be read as an event: the message.
    Unreadable(String),
}

/// An event with its evaluation.
pub(super) struct Evaluated {
    /// The name of its source.
    pub(super) source: Arc<str>,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    pub(super) event: NativeEvent,
    pub(super) evaluation: Evaluation,
    /// The time of the evaluation, where the event has none and this is to be reported.
    pub(super) assumed_time: Option<Timestamp>,
    /// The time that was reached, where the event is much earlier and this is to be reported.
    pub(super) late_at: Option<Timestamp>,
}

/// Results that are printed together.
#[derive(Default)]
pub(super) struct Batch {
    items: Vec<Item>,
    bytes: usize,
}

/// Prints and counts results.
pub(super) struct Printer<'o> {
    output: &'o mut Output,
    format: Format,
    /// Whether events without effects are printed.
    pub(super) print_unmatched: bool,
    /// Whether the files of events are printed.
    pub(super) print_files: bool,
    rules: RuleSet,
    failures: FailureCounter,
    totals: Totals,
}

/// Calls `evaluate` with a function that hands results to `printer` on another thread.
///
/// # Errors
/// The first failure in the order of the results: that of printing, then that of `evaluate`.
pub(super) fn print_on_thread<T>(
    printer: &mut Printer<'_>,
    evaluate: impl FnOnce(&mut Print<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    thread::scope(|scope| {
        // One batch waits while another is printed: a slow reader of the output stops the
        // evaluation, and memory stays bounded.
        let (sender, batches) = sync_channel::<Vec<Item>>(1);
        let printing = scope.spawn(move || {
            let mut batches = batches.into_iter();
            batches.try_for_each(|items| printer.print_all(items).map(drop))
        });
        // Sending fails only if printing did.
        let evaluated = evaluate(&mut |items| {
            Ok(match sender.send(items) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            })
        });
        drop(sender);
        let printed = printing.join();
        printed.unwrap_or_else(|_| Err(Failure::thread_panicked()))?;
        evaluated
    })
}

impl Evaluated {
    /// An event that no rule matches.
    pub(super) fn unmatched(source: &Arc<str>, line: u64, event: NativeEvent) -> Self {
        Self {
            source: Arc::clone(source),
            line,
            event,
            evaluation: Evaluation::default(),
            assumed_time: None,
            late_at: None,
        }
    }
}

impl Batch {
    /// Adds a result, and prints the batch if it is large then.
    pub(super) fn add(
        &mut self,
        item: Item,
        print: &mut Print<'_>,
    ) -> Result<ControlFlow<()>, Failure> {
        self.bytes += match &item {
            Item::Evaluated(evaluated) => {
                let event = evaluated.event.event().bytes().len();
                event + evaluated.evaluation.effect_bytes
            }
            Item::Fired(firing) => ITEM_BYTES + firing.evaluation.effect_bytes,
            Item::Delayed(_) => ITEM_BYTES,
            Item::Unmatched | Item::Unreadable(_) => 0,
        };
        self.items.push(item);
        if self.bytes >= BATCH_BYTES {
            return self.print(print);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Prints it; it is empty then.
    pub(super) fn print(&mut self, print: &mut Print<'_>) -> Result<ControlFlow<()>, Failure> {
        let Self { items, .. } = std::mem::take(self);
        if items.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        print(items)
    }
}

impl<'o> Printer<'o> {
    /// A printer of evaluations by `rules`; it prints events with effects, without their files.
    pub(super) fn new(output: &'o mut Output, rules: RuleSet, format: Format) -> Self {
        Self {
            output,
            format,
            print_unmatched: false,
            print_files: false,
            rules,
            failures: FailureCounter::new(),
            totals: Totals::default(),
        }
    }

    /// Prints results.
    pub(super) fn print_all(&mut self, items: Vec<Item>) -> Result<ControlFlow<()>, Failure> {
        for item in items {
            let is_event = !matches!(item, Item::Fired(_) | Item::Delayed(_));
            self.totals.events += u64::from(is_event);
            match item {
                Item::Unmatched => {}
                Item::Unreadable(message) => {
                    self.totals.unreadable += 1;
                    self.output.error(&message);
                }
                Item::Fired(firing) => self.print_firing(firing)?,
                Item::Delayed(delayed) => self.print_delayed(&delayed)?,
                Item::Evaluated(evaluated) => self.print(evaluated)?,
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The counts of all results.
    pub(super) fn into_totals(self) -> Totals {
        self.totals
    }

    fn print(&mut self, evaluated: Evaluated) -> Result<(), Failure> {
        let Evaluated {
            source,
            line,
            event,
            evaluation,
            assumed_time,
            late_at,
        } = evaluated;
        if let Some(now) = assumed_time {
            self.output.status(&format!(
                "{source}:{line}: the event has no time; events without one are evaluated at {now} \
                 (choose with --clock)"
            ));
        }
        if let Some(reached) = late_at {
            self.output.status(&format!(
                "{source}:{line}: the event is earlier than {reached}, which was reached before it; \
                 rules with a time window take it as late (sort recorded events by time)"
            ));
        }
        self.report_failures(&evaluation);
        self.totals.add(&evaluation);
        if evaluation.is_empty() && !self.print_unmatched {
            return Ok(());
        }
        let report = EventReport {
            file: self.print_files.then_some(&*source),
            line,
            event: event.event(),
            evaluation,
        };
        match self.format {
            Format::Human => report.print(self.output),
            Format::Json | Format::Ndjson => self.output.element(self.format, &report),
        }
    }

    fn print_firing(&mut self, firing: Firing) -> Result<(), Failure> {
        let Firing {
            at,
            rule,
            key,
            evaluation,
        } = firing;
        self.report_failures(&evaluation);
        let report = FiringReport {
            at,
            rule: &rule,
            key: &key,
            evaluation,
        };
        // A deadline that has only moved is none that has passed.
        if !report.has_fired() {
            return Ok(());
        }
        self.totals.add_firing(&report.evaluation);
        match self.format {
            Format::Human => report.print(self.output),
            Format::Json | Format::Ndjson => self.output.element(self.format, &report),
        }
    }

    fn print_delayed(&mut self, delayed: &DelayedAction) -> Result<(), Failure> {
        self.totals.add_delayed(&delayed.effects);
        let report = DelayReport::from(delayed);
        match self.format {
            Format::Human => report.print(self.output),
            Format::Json | Format::Ndjson => self.output.element(self.format, &report),
        }
    }

    fn report_failures(&mut self, evaluation: &Evaluation) {
        for report in self.failures.record(&self.rules, evaluation) {
            self.output.error(&format!(
                "rule `{}` has failed {} times in a row, last: {}",
                report.rule, report.consecutive, report.message
            ));
        }
    }
}
