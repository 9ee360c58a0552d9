//! A reaction: a script compiled once, run for every event that its rule matches.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_diagnostic::Diagnostic;
use rhai::{AST, Dynamic, Map, Scope};

use crate::run::{RUN, Run, Stop};
use crate::sandbox::Sandbox;
use crate::{
    Effects, Level, Limits, ReactionError, ScriptEvent, State, check, fault, syntax, trace,
};

/// What a script sees of its rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFacts {
    /// The rule's name; its state goes by this name.
    pub name: String,
    /// The level that its messages carry unless the script says otherwise.
    pub level: Level,
    /// What the rule is for; empty when nobody said.
    pub description: String,
}

/// A reading of a clock that only moves forward, from any fixed instant.
pub type Stopwatch<'a> = &'a dyn Fn() -> Duration;

/// What one run is about.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The event, as `event` in the script.
    pub event: &'a ScriptEvent,
    /// The rule, as `rule` in the script: a map of `name`, `level` and `description`.
    pub rule: &'a RuleFacts,
    /// The time, as `now` in the script: an integer, milliseconds since 1970-01-01T00:00:00Z.
    pub now: Timestamp,
    /// Holds the run to [`Limits::deadline`]. Only whether a run fails can depend on it, never what a run asks for;
    /// without it, [`Limits::operations`] alone bounds the run, and the outcome is the same every time.
    pub stopwatch: Option<Stopwatch<'a>>,
}

/// A script, compiled and checked.
#[derive(Clone)]
pub struct Reaction {
    sandbox: Arc<Sandbox>,
    ast: Arc<AST>,
    source: Arc<str>,
    assigns_elements: bool,
    limits: Limits,
}

impl RuleFacts {
    /// A rule of that name, of level info, without description.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl<'a> Input<'a> {
    /// A run without stopwatch.
    pub fn new(event: &'a ScriptEvent, rule: &'a RuleFacts, now: Timestamp) -> Self {
        Self {
            event,
            rule,
            now,
            stopwatch: None,
        }
    }

    /// The same, held to the deadline.
    #[must_use]
    pub fn with_stopwatch(self, stopwatch: Stopwatch<'a>) -> Self {
        Self {
            stopwatch: Some(stopwatch),
            ..self
        }
    }
}

impl Reaction {
    /// Compiles a script.
    ///
    /// # Errors
    /// With everything that is wrong with it; the spans are byte offsets into `source`.
    pub fn compile(source: &str, limits: &Limits) -> Result<Self, Vec<Diagnostic>> {
        if source.len() > limits.source {
            return Err(vec![syntax::too_long(source, limits)]);
        }
        let sandbox = Sandbox::within(limits);
        let scope = scope(Dynamic::UNIT, Dynamic::UNIT, 0);
        let ast = sandbox
            .engine
            .compile_with_scope(&scope, source)
            .map_err(|error| vec![syntax::of_parse(&error, source, limits)])?;
        let found = check::check(&sandbox, &ast, source);
        if !found.is_empty() {
            return Err(found);
        }
        let assigns_elements = check::assigns_elements(&ast);
        Ok(Self {
            sandbox,
            ast: Arc::new(ast),
            source: source.into(),
            assigns_elements,
            limits: *limits,
        })
    }

    /// Runs the script and returns what it asks for. The same input and state give the same effects.
    ///
    /// # Errors
    /// When the script fails or hits a limit; it then asks for nothing.
    pub fn run(&self, input: &Input<'_>, state: &dyn State) -> Result<Effects, ReactionError> {
        self.run_in(&self.sandbox, input, state).0
    }

    /// Runs the script as [`Reaction::run`] does, and tells which of its [`lines`](Reaction::lines) ran; far slower.
    pub fn run_traced(
        &self,
        input: &Input<'_>,
        state: &dyn State,
    ) -> (Result<Effects, ReactionError>, BTreeSet<usize>) {
        let (result, ran) = self.run_in(&Sandbox::traced(&self.limits), input, state);
        (result, &ran & &self.lines())
    }

    /// The lines of the script, from 1, on which a statement begins.
    pub fn lines(&self) -> BTreeSet<usize> {
        trace::lines(&self.ast)
    }

    /// The script as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn run_in(
        &self,
        sandbox: &Sandbox,
        input: &Input<'_>,
        state: &dyn State,
    ) -> (Result<Effects, ReactionError>, BTreeSet<usize>) {
        let run = Run::new(input, &self.limits, state, self.assigns_elements);
        let rule = Dynamic::from_map(Map::from([
            ("name".into(), input.rule.name.as_str().into()),
            ("level".into(), input.rule.level.lowercase().into()),
            ("description".into(), input.rule.description.as_str().into()),
        ]));
        let mut scope = scope(input.event.value(), rule, input.now.as_millisecond());
        // rhai is large, and a script may find the one place where it panics: that must cost one reaction, not the service.
        // Nothing of the run is used afterwards but what it asked for, and that only if it ended well.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            RUN.set(&run, || {
                sandbox.engine.run_ast_with_scope(&mut scope, &self.ast)
            })
        }));
        let lines = run.take_lines();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => return (Err(fault::of_panic(panic.as_ref())), lines),
        };
        let (mut effects, stop) = run.finish();
        let result = match (outcome, stop) {
            (_, Some(Stop::Skip(reason))) => {
                effects.actions.clear();
                effects.emitted.clear();
                effects.skipped = Some(reason);
                Ok(effects)
            }
            (Ok(()), None) => Ok(effects),
            (Ok(()), Some(Stop::Limit { limit, message })) => Err(ReactionError::Limit {
                limit,
                message,
                at: None,
                function: None,
            }),
            (Err(error), stop) => Err(fault::of_run(*error, stop, &self.source, &self.limits)),
        };
        (result, lines)
    }
}

impl fmt::Debug for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaction")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// What is in scope from the start, none of which a script can change.
fn scope(event: Dynamic, rule: Dynamic, now: i64) -> Scope<'static> {
    let mut scope = Scope::new();
    scope.push_constant_dynamic("event", event);
    scope.push_constant_dynamic("rule", rule);
    scope.push_constant("now", now);
    scope
}
