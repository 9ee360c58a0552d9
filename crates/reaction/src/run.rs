//! The run in progress: what it reads, what it has asked for so far, and what it may still ask for.
//!
//! rhai's functions live as long as the engine, so they cannot borrow what belongs to one run. [`RUN`] lends it to them
//! for exactly as long as the script runs, on its own thread.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reflexarc_event::{Event, Json};
use rhai::{Dynamic, EvalAltResult, Position};

use crate::value::{NotJson, Size, to_json};
use crate::{Action, Effects, Entry, Input, Limits, State, StateChange};

scoped_tls_hkt::scoped_thread_local! {
    /// The run in progress on this thread.
    pub(crate) static RUN: for<'a> &'a Run<'a>
}

/// What a function of the vocabulary answers.
pub(crate) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// One run of one reaction.
pub(crate) struct Run<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) limits: &'a Limits,
    state: &'a dyn State,
    /// Whether the script assigns to elements, so that what it makes must be watched.
    assigns_elements: bool,
    /// The stopwatch's reading at which time is up, and how often to look at it.
    deadline: Option<(Duration, u64)>,
    stopped: Cell<bool>,
    /// The lines that ran, where somebody asks.
    lines: RefCell<BTreeSet<usize>>,
    asked: RefCell<Asked>,
}

/// Why a run ended before its script did, other than by an error of the script.
pub(crate) enum Stop {
    /// `skip` was called.
    Skip(String),
    /// One of our own limits was hit.
    Limit {
        /// The field of [`Limits`].
        limit: &'static str,
        message: String,
    },
}

#[derive(Default)]
struct Asked {
    effects: Effects,
    bytes: usize,
    state: BTreeMap<String, Slot>,
    entries: Option<usize>,
    stop: Option<Stop>,
}

/// A state key that the run has touched.
struct Slot {
    /// Whether it was there before the run.
    before: bool,
    /// What the script sees now.
    now: Option<Entry>,
    changed: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        input: &'a Input<'a>,
        limits: &'a Limits,
        state: &'a dyn State,
        assigns_elements: bool,
    ) -> Self {
        let deadline = input.stopwatch.map(|reading| {
            // One operation may copy the whole event, so a large event is watched more closely.
            let every = (64 << 10)
                / u64::try_from(input.event.bytes())
                    .unwrap_or(u64::MAX)
                    .max(1);
            (
                reading().saturating_add(limits.deadline),
                every.clamp(1, 64),
            )
        });
        Self {
            input,
            limits,
            state,
            assigns_elements,
            deadline,
            stopped: Cell::new(false),
            lines: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// Whether the script must end at this operation.
    pub(crate) fn is_over(&self, operation: u64) -> bool {
        if self.stopped.get() {
            return true;
        }
        let (Some((end, every)), Some(reading)) = (self.deadline, self.input.stopwatch) else {
            return false;
        };
        if !operation.is_multiple_of(every) || reading() < end {
            return false;
        }
        let allowed = self.limits.deadline;
        self.stop(Stop::Limit {
            limit: "deadline",
            message: format!("the script ran for more than {allowed:?}"),
        });
        true
    }

    /// Whether a variable's value is within the limits. rhai measures what functions and operators make, but not an array
    /// or map that grows by `m[key] = value`, and never the keys of a map; so scripts that do this are measured here,
    /// whenever they touch the variable again.
    pub(crate) fn measure<'v>(&self, variable: impl FnOnce() -> Option<&'v Dynamic>) -> Answer<()> {
        if !self.assigns_elements {
            return Ok(());
        }
        let Some(value) = variable().filter(|value| !value.is_read_only()) else {
            return Ok(());
        };
        let size = Size::of(value);
        self.bounded(
            "array",
            size.elements,
            self.limits.array,
            "made an array of",
            "elements",
        )?;
        self.bounded(
            "map",
            size.members,
            self.limits.map,
            "made a map of",
            "members",
        )?;
        self.bounded(
            "string",
            size.text,
            self.limits.string,
            "made a text of",
            "bytes",
        )
    }

    /// Notes that a statement on this line runs.
    pub(crate) fn saw(&self, line: usize) {
        self.lines.borrow_mut().insert(line);
    }

    /// The lines that ran so far.
    pub(crate) fn take_lines(&self) -> BTreeSet<usize> {
        self.lines.take()
    }

    /// Everything asked for, and why the run was stopped, if it was.
    pub(crate) fn finish(self) -> (Effects, Option<Stop>) {
        let Asked {
            mut effects,
            state,
            stop,
            ..
        } = self.asked.into_inner();
        effects.changes = state
            .into_iter()
            .filter(|(_, slot)| slot.changed && (slot.before || slot.now.is_some()))
            .map(|(key, slot)| match slot.now {
                Some(Entry { value, expires }) => StateChange::Set {
                    key,
                    value,
                    expires,
                },
                None => StateChange::Remove { key },
            })
            .collect();
        (effects, stop)
    }

    pub(crate) fn act(&self, bytes: usize, action: Action) -> Answer<()> {
        let count = self.asked.borrow().effects.actions.len() + 1;
        self.bounded(
            "actions",
            count,
            self.limits.actions,
            "asked for",
            "actions",
        )?;
        self.spend(bytes)?;
        self.asked.borrow_mut().effects.actions.push(action);
        Ok(())
    }

    pub(crate) fn emit(&self, bytes: usize, event: Event) -> Answer<()> {
        let count = self.asked.borrow().effects.emitted.len() + 1;
        self.bounded("emitted", count, self.limits.emitted, "emitted", "events")?;
        self.spend(bytes)?;
        self.asked.borrow_mut().effects.emitted.push(event);
        Ok(())
    }

    pub(crate) fn log(&self, line: &str) -> Answer<()> {
        let count = self.asked.borrow().effects.log.len() + 1;
        self.bounded("log_lines", count, self.limits.log_lines, "logged", "lines")?;
        self.bounded(
            "log_bytes",
            line.len(),
            self.limits.log_bytes,
            "logged a line of",
            "bytes",
        )?;
        self.spend(line.len())?;
        self.asked.borrow_mut().effects.log.push(line.to_owned());
        Ok(())
    }

    /// Ends the run on purpose.
    pub(crate) fn skip(&self, reason: &str) -> Answer<()> {
        self.bounded(
            "log_bytes",
            reason.len(),
            self.limits.log_bytes,
            "gave `skip` a reason of",
            "bytes",
        )?;
        self.stop(Stop::Skip(reason.to_owned()));
        terminated()
    }

    /// What the rule keeps under `key`, the run's own changes included.
    pub(crate) fn read(&self, key: &str) -> Answer<Option<Entry>> {
        self.touch(key)?;
        Ok(self
            .asked
            .borrow()
            .state
            .get(key)
            .and_then(|slot| slot.now.clone()))
    }

    /// Keeps `entry` under `key`; no entry forgets it.
    pub(crate) fn write(&self, key: &str, bytes: usize, entry: Option<Entry>) -> Answer<()> {
        self.touch(key)?;
        self.spend(bytes)?;
        {
            let mut asked = self.asked.borrow_mut();
            let slot = asked.state.get_mut(key).expect("the slot was just touched");
            slot.now = entry;
            slot.changed = true;
        }
        self.bounded(
            "state_entries",
            self.entries_after(),
            self.limits.state_entries,
            "would keep",
            "state entries",
        )
    }

    /// The JSON of a value that leaves the script, no longer than `allowed` bytes.
    pub(crate) fn json(
        &self,
        what: &str,
        value: &Dynamic,
        limit: &'static str,
        allowed: usize,
    ) -> Answer<(Json, usize)> {
        match to_json(value, allowed, self.limits.depth) {
            Ok(json) => Ok(json),
            Err(NotJson::Kind { path, found }) if path.is_empty() => {
                Err(format!("{what} is {found}, which JSON cannot hold").into())
            }
            Err(NotJson::Kind { path, found }) => {
                Err(format!("{what} holds {found} at `{path}`, which JSON cannot hold").into())
            }
            Err(NotJson::TooDeep) => self.exceeded(
                "depth",
                format!(
                    "{what} is nested more than {} deep",
                    grouped(self.limits.depth)
                ),
            ),
            Err(NotJson::TooLarge) => self.exceeded(
                limit,
                format!("{what} is larger than {} bytes", grouped(allowed)),
            ),
        }
    }

    /// An error that no `catch` stops, unless `wanted` is within `allowed`.
    pub(crate) fn bounded(
        &self,
        limit: &'static str,
        wanted: usize,
        allowed: usize,
        did: &str,
        what: &str,
    ) -> Answer<()> {
        if wanted <= allowed {
            return Ok(());
        }
        self.exceeded(
            limit,
            format!("the script {did} more than {} {what}", grouped(allowed)),
        )
    }

    fn spend(&self, bytes: usize) -> Answer<()> {
        self.bounded(
            "action_bytes",
            bytes,
            self.limits.action_bytes,
            "asked for something of",
            "bytes",
        )?;
        let total = self.asked.borrow().bytes.saturating_add(bytes);
        self.bounded(
            "effect_bytes",
            total,
            self.limits.effect_bytes,
            "asked for",
            "bytes of effects in all",
        )?;
        self.asked.borrow_mut().bytes = total;
        Ok(())
    }

    fn touch(&self, key: &str) -> Answer<()> {
        if self.asked.borrow().state.contains_key(key) {
            return Ok(());
        }
        self.bounded(
            "state_key_bytes",
            key.len(),
            self.limits.state_key_bytes,
            "used a state key of",
            "bytes",
        )?;
        let keys = self.asked.borrow().state.len() + 1;
        self.bounded(
            "state_keys",
            keys,
            self.limits.state_keys,
            "used",
            "different state keys",
        )?;
        let now = self.state.get(&self.input.rule.name, key, self.input.now);
        self.asked.borrow_mut().state.insert(
            key.to_owned(),
            Slot {
                before: now.is_some(),
                now,
                changed: false,
            },
        );
        Ok(())
    }

    /// How many entries the rule would keep if the run ended here.
    fn entries_after(&self) -> usize {
        let mut asked = self.asked.borrow_mut();
        let before = *asked
            .entries
            .get_or_insert_with(|| self.state.len(&self.input.rule.name, self.input.now));
        let added = asked
            .state
            .values()
            .filter(|slot| !slot.before && slot.now.is_some())
            .count();
        let removed = asked
            .state
            .values()
            .filter(|slot| slot.before && slot.now.is_none())
            .count();
        (before + added).saturating_sub(removed)
    }

    fn exceeded<T>(&self, limit: &'static str, message: String) -> Answer<T> {
        self.stop(Stop::Limit { limit, message });
        terminated()
    }

    /// The first reason counts. Some of rhai's functions drop the errors of their callbacks; the flag ends the run all the same.
    fn stop(&self, stop: Stop) {
        self.stopped.set(true);
        self.asked.borrow_mut().stop.get_or_insert(stop);
    }
}

/// A count with its thousands set apart, as in `50,000`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// rhai's one error that a script cannot catch.
fn terminated<T>() -> Answer<T> {
    Err(Box::new(EvalAltResult::ErrorTerminated(
        Dynamic::UNIT,
        Position::NONE,
    )))
}
