//! The run in progress: its input, its effects so far, and its limits.
//!
//! The functions that scripts call are registered in the engine and live as long as it does, so
//! they cannot borrow from one run. [`RUN`] lends them the run for exactly as long as the script
//! runs, on its own thread.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeSet;
use std::time::Duration;

use reflexarc_diagnostic::truncate_to_bytes;
use reflexarc_event::{Event, Json};
use rhai::{Dynamic, EvalAltResult, Position};

use crate::run_log::RunLog;
use crate::state_view::{StateView, StoredState};
use crate::value::{NotJson, Size, to_json};
use crate::{Action, Effects, Entry, Input, ReactionLimits, State};

// The alternative, copying input and state into every run behind an `Arc`, would copy the state of
// a rule for each event, of which most scripts read one entry.
scoped_tls_hkt::scoped_thread_local! {
    /// The run in progress on this thread.
    pub(crate) static RUN: for<'a> &'a Run<'a>
}

/// The result of a built-in function.
pub(crate) type BuiltinResult<T> = Result<T, Box<EvalAltResult>>;

/// One run of one reaction.
pub(crate) struct Run<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) limits: &'a ReactionLimits,
    stored: StoredState<'a>,
    state: RefCell<StateView>,
    /// The reading of the stopwatch at which the run must end, and after how many operations it is
    /// read again.
    deadline: Option<(Duration, u64)>,
    /// The operation at which it is read next.
    next_reading: Cell<u64>,
    stopped: Cell<bool>,
    /// The lines that ran, in a traced run.
    lines: RefCell<BTreeSet<usize>>,
    collected: RefCell<Collected>,
}

/// Why a run was stopped before the end of its script, other than by an error of the script.
pub(crate) enum Stop {
    /// `skip` was called.
    Skip(String),
    /// A limit that is not rhai's own was exceeded.
    Limit {
        /// The field of [`ReactionLimits`].
        limit: &'static str,
        message: String,
    },
}

/// What the run has produced so far.
#[derive(Default)]
struct Collected {
    /// The effects, without the state changes and the log.
    effects: Effects,
    log: RunLog,
    /// The size of the effects as JSON.
    bytes: usize,
    stop: Option<Stop>,
}

impl<'a> Run<'a> {
    /// A run that can take so many bytes of text from its input.
    pub(crate) fn new(
        input: &'a Input<'a>,
        bytes: usize,
        limits: &'a ReactionLimits,
        state: &'a dyn State,
    ) -> Self {
        let deadline = input.stopwatch.map(|stopwatch| {
            // One operation may copy the whole event, so the larger the event, the more often the
            // time is checked: every 64 operations for an event of 1 KiB, every one for 64 KiB.
            let interval = (64 << 10) / u64::try_from(bytes).unwrap_or(u64::MAX).max(1);
            (
                stopwatch().saturating_add(limits.deadline),
                interval.clamp(1, 64),
            )
        });
        Self {
            input,
            limits,
            stored: StoredState {
                state,
                rule: &input.rule.name,
                now: input.now,
            },
            state: RefCell::default(),
            deadline,
            next_reading: Cell::new(0),
            stopped: Cell::new(false),
            lines: RefCell::default(),
            collected: RefCell::default(),
        }
    }

    /// Whether the script must end at this operation.
    pub(crate) fn must_stop(&self, operation: u64) -> bool {
        // rhai calls this before each operation and ends the run with an error that no `catch` of
        // the script stops. Without the flag, a script could go on after a limit:
        //
        //     loop { try { send("t", 1) } catch {} }
        if self.stopped.get() {
            return true;
        }
        let (Some((end, interval)), Some(stopwatch)) = (self.deadline, self.input.stopwatch) else {
            return false;
        };
        // The clock is not read at each operation, to keep operations cheap.
        if operation < self.next_reading.get() {
            return false;
        }
        self.next_reading.set(operation.saturating_add(interval));
        if stopwatch() < end {
            return false;
        }
        let allowed = self.limits.deadline;
        self.stop(Stop::Limit {
            limit: "deadline",
            message: format!("the script runs for more than {allowed:?}"),
        });
        true
    }

    /// Checks that the value of a variable is within the limits, whenever the script uses it.
    pub(crate) fn measure<'v>(
        &self,
        variable: impl FnOnce() -> Option<&'v Dynamic>,
    ) -> BuiltinResult<()> {
        // rhai measures the results of functions and operators, but not an array or map that grows
        // by assignment, and never the keys of a map:
        //
        //     let m = #{};
        //     for n in 0..1_000_000 { m[`${n}`] = 1; }
        //
        // The loop uses `m` in each round, so it is measured in each round. That costs as much as
        // the map is large; scripts without such assignments, nearly all, run in an engine that
        // does not call this.
        // Read-only values cannot grow: `event`, `rule`, `now` and constants.
        let Some(value) = variable().filter(|value| !value.is_read_only()) else {
            return Ok(());
        };
        let size = Size::of(value);
        self.check_limit(
            "array",
            size.elements,
            self.limits.array,
            "an array has",
            "elements",
        )?;
        self.check_limit("map", size.members, self.limits.map, "a map has", "members")?;
        self.check_limit(
            "string",
            size.text,
            self.limits.string,
            "a string has",
            "bytes",
        )
    }

    /// Records that a statement on this line runs.
    pub(crate) fn record_line(&self, line: usize) {
        self.lines.borrow_mut().insert(line);
    }

    /// The lines that ran so far.
    pub(crate) fn take_lines(&self) -> BTreeSet<usize> {
        self.lines.take()
    }

    /// The effects, and why the run was stopped, if it was.
    pub(crate) fn finish(self) -> (Effects, Option<Stop>) {
        let Collected {
            mut effects,
            log,
            bytes,
            stop,
        } = self.collected.into_inner();
        effects.changes = self.state.into_inner().into_changes();
        effects.bytes = bytes.saturating_add(log.bytes());
        let (lines, notes) = log.finish(self.limits);
        effects.log = lines;
        effects.notes.extend(notes);
        (effects, stop)
    }

    pub(crate) fn add_action(&self, bytes: usize, action: Action) -> BuiltinResult<()> {
        let count = self.collected.borrow().effects.actions.len() + 1;
        self.check_limit(
            "actions",
            count,
            self.limits.actions,
            "the script has",
            "actions",
        )?;
        self.count_bytes(bytes)?;
        let effects = &mut self.collected.borrow_mut().effects;
        // As in the outbox, where a later action takes the place of one that waits.
        if let Some(key) = action.key()
            && remove_actions(effects, key)
        {
            let note = format!("key: `{key}` is given twice, and the later action counts");
            effects.notes.push(note);
        }
        effects.actions.push(action);
        Ok(())
    }

    /// Cancels what waits under this name, actions of this run included.
    pub(crate) fn cancel(&self, key: &str) -> BuiltinResult<()> {
        let count = {
            let effects = &mut self.collected.borrow_mut().effects;
            remove_actions(effects, key);
            if effects.cancelled.iter().any(|known| known == key) {
                return Ok(());
            }
            effects.cancelled.len() + 1
        };
        self.check_limit(
            "cancelled",
            count,
            self.limits.cancelled,
            "the script cancels",
            "keys",
        )?;
        self.count_bytes(key.len())?;
        let effects = &mut self.collected.borrow_mut().effects;
        effects.cancelled.push(key.to_owned());
        Ok(())
    }

    pub(crate) fn add_event(&self, bytes: usize, event: Event) -> BuiltinResult<()> {
        let count = self.collected.borrow().effects.emitted.len() + 1;
        self.check_limit(
            "emitted",
            count,
            self.limits.emitted,
            "the script emits",
            "events",
        )?;
        self.count_bytes(bytes)?;
        self.collected.borrow_mut().effects.emitted.push(event);
        Ok(())
    }

    /// Logs a string as it is, any other value as its JSON. Fails only for a value without JSON
    /// form.
    pub(crate) fn log(&self, value: &Dynamic) -> BuiltinResult<()> {
        let log = || RefMut::map(self.collected.borrow_mut(), |collected| &mut collected.log);
        // Before the JSON is made: a loop may call `log` thousands of times.
        if log().is_full(self.limits) {
            log().leave_out();
            return Ok(());
        }
        // Quotes around every line would be noise; in an array they tell where a string ends.
        if let Ok(line) = value.as_immutable_string_ref() {
            log().add(&line, self.limits);
            return Ok(());
        }
        match to_json(value, self.limits.action_bytes, self.limits.depth) {
            Ok((json, _)) => log().add(&json.to_string(), self.limits),
            // Not even its beginning can be made, because only whole values are converted. What
            // the script does is not wrong without the line, and the note says that it is missing.
            Err(NotJson::TooDeep | NotJson::TooLarge) => log().leave_out(),
            Err(NotJson::Kind { path, found }) => {
                return Err(no_json("the value of `log`", &path, &found).into());
            }
        }
        Ok(())
    }

    /// Ends the run without actions.
    pub(crate) fn skip(&self, reason: &str) -> BuiltinResult<()> {
        let reason = truncate_to_bytes(reason, self.limits.log_bytes);
        if reason.is_cut {
            let max = grouped(self.limits.log_bytes);
            let note = format!("skip: the reason cut to {max} bytes");
            self.collected.borrow_mut().effects.notes.push(note);
        }
        // An error is the only way out of nested calls. This one cannot be caught, so
        // `try { skip("x") } catch {}` skips too.
        self.stop(Stop::Skip(reason.text.into_owned()));
        terminated()
    }

    /// What `read` makes of the state entry at `key`, as changed by the run so far.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(Option<&Entry>) -> T,
    ) -> BuiltinResult<T> {
        self.check_key(key)?;
        Ok(read(self.state.borrow_mut().get(self.stored, key)))
    }

    /// Sets or removes the state entry at `key`.
    pub(crate) fn write(&self, key: &str, bytes: usize, entry: Option<Entry>) -> BuiltinResult<()> {
        self.check_key(key)?;
        self.count_bytes(bytes)?;
        self.state.borrow_mut().set(self.stored, key, entry);
        // After the change, not before: a script at the limit may replace one entry by another,
        // and the run fails as a whole if it has too many.
        let max = self.limits.state_entries;
        if self.state.borrow_mut().has_room(self.stored, max) {
            return Ok(());
        }
        let message = format!(
            "the rule would have more than {} state entries",
            grouped(max)
        );
        self.exceeded("state_entries", message)
    }

    /// The JSON of a value that leaves the script, and its size, which is at most `max_bytes`.
    pub(crate) fn json(
        &self,
        what: &str,
        value: &Dynamic,
        limit: &'static str,
        max_bytes: usize,
    ) -> BuiltinResult<(Json, usize)> {
        // A value that has no JSON form is an error of the script, which it can catch; one that is
        // too large exceeds a limit, which it cannot.
        match to_json(value, max_bytes, self.limits.depth) {
            Ok(json) => Ok(json),
            Err(NotJson::Kind { path, found }) => Err(no_json(what, &path, &found).into()),
            Err(NotJson::TooDeep) => self.exceeded(
                "depth",
                format!(
                    "{what} is nested more than {} deep",
                    grouped(self.limits.depth)
                ),
            ),
            Err(NotJson::TooLarge) => self.exceeded(
                limit,
                format!("{what} has more than {} bytes", grouped(max_bytes)),
            ),
        }
    }

    /// An error that a script cannot catch, if `value` exceeds `max`: "{subject} more than {max}
    /// {unit}".
    pub(crate) fn check_limit(
        &self,
        limit: &'static str,
        value: usize,
        max: usize,
        subject: &str,
        unit: &str,
    ) -> BuiltinResult<()> {
        if value <= max {
            return Ok(());
        }
        self.exceeded(
            limit,
            format!("{subject} more than {} {unit}", grouped(max)),
        )
    }

    // Sizes are those of the JSON, except that escapes and the names of fields are not counted. So
    // they are a little too small, always the same, and need no second pass over the value.
    fn count_bytes(&self, bytes: usize) -> BuiltinResult<()> {
        self.check_limit(
            "action_bytes",
            bytes,
            self.limits.action_bytes,
            "an effect has",
            "bytes",
        )?;
        let total = self.collected.borrow().bytes.saturating_add(bytes);
        self.check_limit(
            "effect_bytes",
            total,
            self.limits.effect_bytes,
            "the effects have",
            "bytes in all",
        )?;
        self.collected.borrow_mut().bytes = total;
        Ok(())
    }

    fn check_key(&self, key: &str) -> BuiltinResult<()> {
        if self.state.borrow().has_used(key) {
            return Ok(());
        }
        self.check_limit(
            "state_key_bytes",
            key.len(),
            self.limits.state_key_bytes,
            "a state key has",
            "bytes",
        )?;
        let keys = self.state.borrow().keys() + 1;
        self.check_limit(
            "state_keys",
            keys,
            self.limits.state_keys,
            "the script uses",
            "state keys",
        )
    }

    /// An error that a script cannot catch.
    pub(crate) fn exceeded<T>(&self, limit: &'static str, message: String) -> BuiltinResult<T> {
        self.stop(Stop::Limit { limit, message });
        terminated()
    }

    /// Stops the run. The first reason counts.
    fn stop(&self, stop: Stop) {
        // The error of `terminated` does not always arrive: rhai's `sort` drops the errors of its
        // callback, because a comparison must give a result. The flag ends the run at its next
        // operation all the same.
        self.stopped.set(true);
        self.collected.borrow_mut().stop.get_or_insert(stop);
    }
}

/// Removes the actions under this name. Returns whether there was one.
fn remove_actions(effects: &mut Effects, key: &str) -> bool {
    let before = effects.actions.len();
    effects.actions.retain(|action| action.key() != Some(key));
    effects.actions.len() < before
}

/// A number with its thousands separated: `50,000`.
pub(crate) fn grouped(count: usize) -> String {
    // In an error about a limit, 32768 and 327680 look alike.
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

/// The error for a value that has a part without JSON form, such as a function, at a path.
fn no_json(what: &str, path: &str, found: &str) -> String {
    let at = if path.is_empty() {
        String::new()
    } else {
        format!(" at `{path}`")
    };
    format!("{what} cannot be written as JSON: {found}{at}")
}

/// The only error of rhai that a script cannot catch.
fn terminated<T>() -> BuiltinResult<T> {
    Err(Box::new(EvalAltResult::ErrorTerminated(
        Dynamic::UNIT,
        Position::NONE,
    )))
}
