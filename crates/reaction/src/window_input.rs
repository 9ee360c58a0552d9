//! What scripts and templates of rules with a time window see of a match.

use jiff::Timestamp;
use reflexarc_event::{Event, FieldSet, Json};
use rhai::{AST, ASTNode, Array, Dynamic, Expr, Scope, Stmt};

use crate::read_fields::fields_read;
use crate::value::{fields_to_script, to_script};
use crate::variable_scope::WINDOW_VARIABLES;
use crate::{ReactionLimits, VariableScope, walk};

/// A match of a time window: what happened between its opening and this run.
///
/// ```
/// use reflexarc_reaction::{
///     Event, Input, Json, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent, Timestamp,
///     VariableScope, WindowInput,
/// };
///
/// let script = "log(`${count} for ${key}: ${events.map(|event| event.id)}`)";
/// let scope = VariableScope::Window { event_may_be_missing: false };
/// let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT)?;
/// let events = [Event::from_json(r#"{"id": 1}"#)?, Event::from_json(r#"{"id": 2}"#)?];
/// let key = Json::from("eni-1");
/// let window = WindowInput {
///     events: &events,
///     count: 2,
///     opened: Timestamp::UNIX_EPOCH,
///     deadline: None,
///     key: &key,
///     late: false,
///     closing: None,
/// };
/// let (last, rule) = (ScriptEvent::new(&events[1]), RuleInfo::named("twice"));
/// let input = Input::new(&last, &rule, Timestamp::UNIX_EPOCH).with_window(&window);
/// assert_eq!(reaction.run(&input, &NoState)?.log, ["2 for eni-1: [1, 2]"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct WindowInput<'a> {
    /// The events of the match, the earliest first, as `events`. Scripts see those at the start
    /// that are within [`ReactionLimits::window_events`] and
    /// [`ReactionLimits::window_event_bytes`]. May be empty where
    /// [`Reaction::reads_events`](crate::Reaction::reads_events) and
    /// [`Template::reads_events`](crate::Template::reads_events) are false.
    pub events: &'a [Event],
    /// The number of events of the match, also of those that `events` leaves out.
    pub count: u64,
    /// When the match opened, in scripts in milliseconds since 1970, in templates as UTC text.
    pub opened: Timestamp,
    /// When it ends, likewise; `()` in scripts if it has no end.
    pub deadline: Option<Timestamp>,
    /// Whose match it is: the value at the path of `by` as text, an array of the values for several
    /// paths, the empty string without `by`.
    pub key: &'a Json,
    /// Whether the opening event came late.
    pub late: bool,
    /// The event that resolved the match; `()` in scripts if a time passed instead.
    pub closing: Option<&'a Event>,
}

/// What a script reads of a window, so that only this is converted.
#[derive(Debug, Clone)]
pub(crate) struct WindowReads {
    scope: VariableScope,
    events: bool,
    key: bool,
    closing: FieldSet,
}

impl<'a> WindowInput<'a> {
    /// The events that scripts and templates see.
    pub(crate) fn visible_events(&self, limits: &ReactionLimits) -> &'a [Event] {
        // With a limit of 100 bytes, of events of 60, 30, 20 and 5 bytes the first two: a later one
        // that would fit is left out too, so that what is seen has no gaps.
        let mut bytes = 0_usize;
        let sizes = self.events.iter().take(limits.window_events);
        // Whole events only: half of one would be no valid input of any rule.
        let fitting = sizes.take_while(|event| {
            bytes = bytes.saturating_add(event.bytes().len());
            bytes <= limits.window_event_bytes
        });
        &self.events[..fitting.count()]
    }

    /// The bytes of text that a script or template can take from the window.
    pub(crate) fn bytes(&self, events: bool, closing: bool, limits: &ReactionLimits) -> usize {
        let events = self.visible_events(limits).iter().filter(|_| events);
        let closing = self.closing.into_iter().filter(|_| closing);
        events.chain(closing).map(|event| event.bytes().len()).sum()
    }
}

impl WindowReads {
    /// What a script of this scope reads; `None` if its scope has no window. With `follow`, of a
    /// part of `closing` that becomes a variable only what is read of that one is counted.
    pub(crate) fn of_script(ast: &AST, scope: VariableScope, follow: bool) -> Option<Self> {
        // `count`, `opened`, `deadline` and `late` are plain values: they cost less to make than to
        // look for.
        scope.has_window().then(|| Self {
            scope,
            events: is_used(ast, "events"),
            key: is_used(ast, "key"),
            closing: fields_read(ast, "closing", follow),
        })
    }

    /// All that a script of this scope may read.
    #[cfg(test)]
    pub(crate) fn all(scope: VariableScope) -> Self {
        Self {
            scope,
            events: true,
            key: true,
            closing: FieldSet::all(),
        }
    }

    /// Whether the script reads `events`.
    pub(crate) fn reads_events(&self) -> bool {
        self.events
    }

    /// The bytes of text that the script can take from the window.
    pub(crate) fn bytes(&self, window: &WindowInput<'_>, limits: &ReactionLimits) -> usize {
        window.bytes(self.events, !self.closing.is_empty(), limits)
    }

    /// Adds the variables of the window, with the values that the script reads.
    pub(crate) fn push(
        &self,
        window: &WindowInput<'_>,
        limits: &ReactionLimits,
        scope: &mut Scope<'_>,
    ) {
        let events = || {
            let events = window.visible_events(limits).iter();
            Dynamic::from_array(
                events
                    .map(|event| to_script(event.tree()))
                    .collect::<Array>(),
            )
        };
        let milliseconds = |at: Timestamp| Dynamic::from_int(at.as_millisecond());
        // After `event`, where the end of a run drops them with the script's own variables.
        for name in WINDOW_VARIABLES {
            let value = match name {
                "events" if self.events => events(),
                "count" => Dynamic::from_int(i64::try_from(window.count).unwrap_or(i64::MAX)),
                "opened" => milliseconds(window.opened),
                "deadline" => window.deadline.map_or(Dynamic::UNIT, milliseconds),
                "key" if self.key => to_script(window.key),
                "late" => Dynamic::from_bool(window.late),
                // Defined, but without the value that the script does not read.
                _ => Dynamic::UNIT,
            };
            scope.push_constant_dynamic(name, value);
        }
        if self.scope.has_closing() {
            let closing = window.closing;
            let closing = closing.map_or(Dynamic::UNIT, |event| {
                fields_to_script(event, &self.closing)
            });
            scope.push_constant_dynamic("closing", closing);
        }
    }
}

/// Whether a script uses a predefined variable, and not only variables of its own of that name.
fn is_used(ast: &AST, variable: &str) -> bool {
    let mut used = false;
    for statement in ast.statements() {
        walk::statement(statement, &mut |nodes| {
            used |= match nodes.last() {
                // Only the script's own variables have an index: how far back they were defined.
                Some(ASTNode::Expr(Expr::Variable(name, ..))) => {
                    name.0.is_none() && name.1 == variable
                }
                // rhai does not walk into the value of a `break`.
                Some(ASTNode::Stmt(Stmt::BreakLoop(Some(_), ..))) => true,
                _ => false,
            };
            !used
        });
    }
    used
}
