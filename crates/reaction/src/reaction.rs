//! A reaction: a script compiled once and run for every event that its rule matches.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use reflexarc_event::FieldSet;
use rhai::AST;

use crate::call_input::CallReads;
use crate::read_fields::fields_read;
use crate::run::{RUN, Run, Stop};
use crate::sandbox::Sandbox;
use crate::value::{EventValue, text_bytes};
use crate::variable_scope::{ANSWER, CALL, LOOKUP};
use crate::window_input::WindowReads;
use crate::workspace::{Workspace, Workspaces};
use crate::{
    CompileError, Diagnostic, Effects, Input, NamedCall, NamedTarget, ReactionError,
    ReactionLimits, ScriptEvent, ScriptVariables, State, VariableField, call_name, check,
    parse_error, run_error, targets, trace, variable_field,
};

/// A script, compiled and checked.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_reaction::{Input, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent};
///
/// let reaction = Reaction::compile("send(rule.name, event.id)", &ReactionLimits::DEFAULT)?;
/// let event = ScriptEvent::new(&Event::from_json(r#"{"id": 7}"#)?);
/// let rule = RuleInfo::named("inventory");
/// let input = Input::new(&event, &rule, jiff::Timestamp::UNIX_EPOCH);
/// assert_eq!(reaction.run(&input, &NoState)?.actions[0].target(), "inventory");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reaction {
    sandbox: Arc<Sandbox>,
    ast: Arc<AST>,
    source: Arc<str>,
    /// Computed when they are first read.
    warnings: Arc<OnceLock<Box<[Diagnostic]>>>,
    assigns_elements: bool,
    /// What the script reads of `event` and `rule`.
    event_fields: Arc<FieldSet>,
    rule_fields: Arc<FieldSet>,
    variables: ScriptVariables,
    /// What it reads of `lookup`.
    lookup_fields: Arc<FieldSet>,
    /// What it reads of the window; `None` for a script without one.
    window_reads: Option<Arc<WindowReads>>,
    /// What it reads of a call and its answer; `None` for a script without one.
    call_reads: Option<Arc<CallReads>>,
    /// For runs in `sandbox`.
    workspaces: Arc<Workspaces>,
    limits: ReactionLimits,
}

impl Reaction {
    /// Compiles a script of a rule without a time window.
    ///
    /// # Errors
    /// With all errors that were found; the spans are bytes of `source`.
    pub fn compile(source: &str, limits: &ReactionLimits) -> Result<Self, CompileError> {
        Self::compile_in(source, ScriptVariables::default(), limits)
    }

    /// Compiles a script that may use these variables, or those of a scope. Where that has a
    /// window, each run needs [`Input::window`]; a run without it fails where the script reads one
    /// of them.
    ///
    /// # Errors
    /// With all errors that were found; the spans are bytes of `source`.
    pub fn compile_in(
        source: &str,
        variables: impl Into<ScriptVariables>,
        limits: &ReactionLimits,
    ) -> Result<Self, CompileError> {
        Self::compile_with(source, variables.into(), limits)
    }

    // Not generic, so that it is compiled once.
    fn compile_with(
        source: &str,
        variables: ScriptVariables,
        limits: &ReactionLimits,
    ) -> Result<Self, CompileError> {
        // Without its source, which may be of any size.
        if source.len() > limits.source {
            return Err(CompileError::new(
                "",
                vec![parse_error::too_long(source, limits)],
            ));
        }
        // First rhai's parser, which stops at its first error, then the checks that it lacks, which
        // find all. Neither runs any part of the script.
        let mut sandbox = Sandbox::with_limits(limits);
        // Only the names of the variables matter when a script is compiled.
        let names = Workspace::names(variables);
        let ast = call_name::compile(&sandbox.engine, &names, source).map_err(|error| {
            let diagnostic = parse_error::diagnostic(&error, source, variables, limits);
            CompileError::new(source, vec![diagnostic])
        })?;
        let errors = check::check(&sandbox, &ast, variables, source, limits);
        if !errors.is_empty() {
            return Err(CompileError::new(source, errors));
        }
        let assigns_elements = check::assigns_elements(&ast);
        // Where variables are measured, each must hold what it would hold of a whole event.
        if assigns_elements {
            sandbox = Sandbox::measuring(limits);
        }
        let event_fields = fields_read(&ast, "event", !assigns_elements);
        let rule_fields = fields_read(&ast, "rule", !assigns_elements);
        let window_reads = WindowReads::of_script(&ast, variables.scope, !assigns_elements);
        let call_reads = CallReads::of_script(&ast, variables.scope, !assigns_elements);
        let lookup_fields = if variables.has_lookups {
            fields_read(&ast, LOOKUP, !assigns_elements)
        } else {
            FieldSet::default()
        };
        Ok(Self {
            sandbox,
            ast: Arc::new(ast),
            source: source.into(),
            warnings: Arc::default(),
            assigns_elements,
            event_fields: Arc::new(event_fields),
            rule_fields: Arc::new(rule_fields),
            variables,
            lookup_fields: Arc::new(lookup_fields),
            window_reads: window_reads.map(Arc::new),
            call_reads: call_reads.map(Arc::new),
            workspaces: Arc::default(),
            limits: *limits,
        })
    }

    /// Runs the script and returns its effects. The same input and state give the same effects.
    ///
    /// # Errors
    /// When the script fails or exceeds a limit; it has no effects then.
    pub fn run(&self, input: &Input<'_>, state: &dyn State) -> Result<Effects, ReactionError> {
        let limits = self.limits.for_event(self.input_bytes(input));
        // For nearly all events the limits are the usual ones.
        if limits == self.limits {
            let mut workspace = self.workspaces.take();
            let (result, _) = self.run_in(&self.sandbox, &mut workspace, &limits, input, state);
            self.workspaces.put_back(workspace);
            return result;
        }
        let sandbox = if self.assigns_elements {
            Sandbox::measuring(&limits)
        } else {
            Sandbox::with_limits(&limits)
        };
        let mut workspace = Workspace::default();
        self.run_in(&sandbox, &mut workspace, &limits, input, state)
            .0
    }

    /// Runs the script as [`Reaction::run`] does, and also returns which of its
    /// [`lines`](Reaction::lines) ran. This is far slower.
    ///
    /// ```
    /// # use reflexarc_event::Event;
    /// # use reflexarc_reaction::{Input, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent};
    /// use jiff::Timestamp;
    ///
    /// let script = "if event.urgent == true {\n  log(1)\n} else {\n  log(2)\n}";
    /// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
    /// # let event = ScriptEvent::new(&Event::from_json("{}")?);
    /// # let rule = RuleInfo::named("urgent");
    /// let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
    /// let (result, ran) = reaction.run_traced(&input, &NoState);
    /// assert_eq!(result?.log, ["2"]);
    /// assert!(ran.contains(&4) && !ran.contains(&2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_traced(
        &self,
        input: &Input<'_>,
        state: &dyn State,
    ) -> (Result<Effects, ReactionError>, BTreeSet<usize>) {
        let limits = self.limits.for_event(self.input_bytes(input));
        let (sandbox, mut workspace) = (Sandbox::traced(&limits), Workspace::default());
        let (result, ran) = self.run_in(&sandbox, &mut workspace, &limits, input, state);
        (result, &ran & &self.lines())
    }

    /// The lines of the script, from 1, on which a statement begins.
    ///
    /// ```
    /// use reflexarc_reaction::{Reaction, ReactionLimits};
    ///
    /// let reaction = Reaction::compile("log(1);\n\nlog(2);", &ReactionLimits::DEFAULT)?;
    /// assert!(reaction.lines().into_iter().eq([1, 3]));
    /// # Ok::<(), reflexarc_reaction::CompileError>(())
    /// ```
    pub fn lines(&self) -> BTreeSet<usize> {
        trace::lines(&self.ast)
    }

    /// The targets that the script names by literals, by location; those that it computes can only
    /// be seen when it runs.
    ///
    /// ```
    /// use reflexarc_reaction::{Reaction, ReactionLimits};
    ///
    /// let script = r#"notify("team", "x"); send(event.target, 1);"#;
    /// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
    /// let targets = reaction.targets();
    /// assert_eq!((targets.len(), targets[0].name.as_str()), (1, "team"));
    /// assert_eq!(&script[targets[0].span.clone()], r#""team""#);
    /// # Ok::<(), reflexarc_reaction::CompileError>(())
    /// ```
    pub fn targets(&self) -> Vec<NamedTarget> {
        targets::named_targets(&self.ast, &self.source)
    }

    /// The operations that the script calls, by location. Each is written out, so that what a rule
    /// can call is known before it runs.
    ///
    /// ```
    /// use reflexarc_reaction::{Reaction, ReactionLimits};
    ///
    /// let script = r#"call("ecs", "DescribeInstances", #{ InstanceIds: [event.id] })"#;
    /// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
    /// let calls = reaction.calls();
    /// assert_eq!((calls[0].target.as_str(), calls[0].operation.as_str()), ("ecs", "DescribeInstances"));
    /// assert_eq!(&script[calls[0].operation_span.clone()], r#""DescribeInstances""#);
    /// # Ok::<(), reflexarc_reaction::CompileError>(())
    /// ```
    pub fn calls(&self) -> Vec<NamedCall> {
        targets::named_calls(&self.ast, &self.source)
    }

    /// What the script probably does not mean as it is written; the spans are bytes of its text.
    /// Computed when it is first read.
    ///
    /// ```
    /// use reflexarc_reaction::{Reaction, ReactionLimits};
    ///
    /// let script = r#"notify("team", "look at ${event.id}")"#;
    /// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
    /// let fix = reaction.warnings()[0].fix.as_ref().ok_or("no fix")?;
    /// assert_eq!(fix.replacement, "`look at ${event.id}`");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warnings(&self) -> &[Diagnostic] {
        self.warnings.get_or_init(|| {
            let (sandbox, variables) = (&self.sandbox, self.variables);
            check::warnings(sandbox, &self.ast, variables, &self.source, &self.limits).into()
        })
    }

    /// The fields of the event that the script reads with dots.
    ///
    /// ```
    /// use reflexarc_reaction::{Reaction, ReactionLimits};
    ///
    /// let script = "log(event.content?.eniId)";
    /// let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT)?;
    /// let fields = reaction.event_fields();
    /// assert_eq!(fields[0].path, "content.eniId");
    /// assert_eq!(&script[fields[0].keys[1].clone()], "eniId");
    /// # Ok::<(), reflexarc_reaction::CompileError>(())
    /// ```
    pub fn event_fields(&self) -> Vec<VariableField> {
        variable_field::of_script(&self.ast, &self.source, "event")
    }

    /// The fields of `rule` that the script reads with dots.
    pub fn rule_fields(&self) -> Vec<VariableField> {
        variable_field::of_script(&self.ast, &self.source, "rule")
    }

    /// The fields of `closing` that the script reads with dots.
    pub fn closing_fields(&self) -> Vec<VariableField> {
        variable_field::of_script(&self.ast, &self.source, "closing")
    }

    /// The fields of `call` that the script reads with dots; none where it is no variable.
    pub fn call_fields(&self) -> Vec<VariableField> {
        self.fields_of_call(CALL)
    }

    /// The fields of `answer` that the script reads with dots; none where it is no variable.
    pub fn answer_fields(&self) -> Vec<VariableField> {
        self.fields_of_call(ANSWER)
    }

    /// The fields of `lookup` that the script reads with dots.
    pub fn lookup_fields(&self) -> Vec<VariableField> {
        variable_field::of_script(&self.ast, &self.source, LOOKUP)
    }

    /// Whether a run reads the row of this lookup, which [`Input::lookup`] need not have otherwise.
    pub fn reads_lookup(&self, name: &str) -> bool {
        self.lookup_fields.contains(name)
    }

    /// Whether a run reads [`WindowInput::events`](crate::WindowInput::events), which need not be
    /// there otherwise.
    pub fn reads_events(&self) -> bool {
        let reads = self.window_reads.as_ref();
        reads.is_some_and(|reads| reads.reads_events())
    }

    /// The text of the script.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The bytes of text that a run can take from its input: what large values may come of.
    fn fields_of_call(&self, variable: &str) -> Vec<VariableField> {
        if self.variables.scope.has_call() {
            variable_field::of_script(&self.ast, &self.source, variable)
        } else {
            Vec::new()
        }
    }

    fn input_bytes(&self, input: &Input<'_>) -> usize {
        let event = input.event.map_or(0, ScriptEvent::bytes);
        let event = event + input.lookup.map_or(0, text_bytes);
        let event = match (&self.call_reads, input.call) {
            (Some(reads), Some(call)) => event + reads.bytes(call),
            _ => event,
        };
        match (&self.window_reads, input.window) {
            (Some(reads), Some(window)) => event + reads.bytes(window, &self.limits),
            _ => event,
        }
    }

    fn run_in(
        &self,
        sandbox: &Sandbox,
        workspace: &mut Workspace,
        limits: &ReactionLimits,
        input: &Input<'_>,
        state: &dyn State,
    ) -> (Result<Effects, ReactionError>, BTreeSet<usize>) {
        let run = Run::new(input, self.input_bytes(input), limits, state);
        let event = input
            .event
            .map_or(EventValue::Missing, |event| event.value(&self.event_fields));
        workspace.set(input, &event, &self.rule_fields);
        if let Some(reads) = &self.window_reads {
            workspace.set_window(input, reads, limits);
        }
        if let Some(reads) = &self.call_reads {
            workspace.set_call(input, reads);
        }
        if !self.lookup_fields.is_empty() {
            workspace.set_lookups(input);
        }
        // rhai is large, and an untrusted script may find a way to make it panic: that must cost
        // one reaction, not the service. Unwinding is safe here: of the run nothing but the effects
        // and the workspace are used afterwards, and these only if it did not panic.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            RUN.set(&run, || workspace.run(sandbox, &self.ast))
        }));
        let lines = run.take_lines();
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => {
                *workspace = Workspace::default();
                return (Err(run_error::of_panic(panic.as_ref())), lines);
            }
        };
        workspace.clear(&event);
        let (mut effects, stop) = run.finish();
        let result = match (outcome, stop) {
            // `skip` wins over an error: rhai reports the termination that ends the run as one.
            (_, Some(Stop::Skip(reason))) => {
                effects.actions.clear();
                effects.emitted.clear();
                effects.skipped = Some(reason);
                Ok(effects)
            }
            (Ok(()), None) => Ok(effects),
            // Some of rhai's functions drop the errors of their callbacks, so a run can end without
            // an error although it exceeded a limit.
            (Ok(()), Some(Stop::Limit { limit, message })) => Err(ReactionError::Limit {
                limit,
                message,
                at: None,
                function: None,
            }),
            (Err(error), stop) => Err(run_error::of_run(*error, stop, &self.source, limits)),
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

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests read rules and scripts from files"
)]
mod tests;
