//! What one run of a script leaves for the next one, so that it is not made again for each event:
//! the variables, and which functions its calls stand for.

use std::sync::{Mutex, PoisonError};

use reflexarc_event::{FieldSet, Selected};
use rhai::{AST, Caches, Dynamic, EvalAltResult, Map, Scope};

use crate::call_input::CallReads;
use crate::sandbox::Sandbox;
use crate::value::{EventValue, selected_to_script, to_script};
use crate::window_input::WindowReads;
use crate::{Input, ReactionLimits, RuleInfo, ScriptVariables};

/// The number of variables that are predefined everywhere: `rule`, `now` and `event`, in this
/// order. Those of a window follow, for the time of a run.
const PREDEFINED: usize = 3;

/// Calls whose functions are remembered for the next run.
// A call is remembered by its name and the types of its arguments, so a script can have as many as
// it has operations. Ordinary ones have a dozen.
const MAX_CACHED_CALLS: usize = 256;

/// The variables of a run, and the functions that its calls stand for.
pub(crate) struct Workspace {
    scope: Scope<'static>,
    /// The rule that `rule` was made of.
    rule: Option<RuleInfo>,
    // rhai looks a function up in every package by the types of its arguments, and forgets it after
    // the run: a tenth of the run of a short script.
    caches: Caches,
}

/// The workspaces of one script that are not in use: at most one for each thread that ran it.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "one has hundreds of bytes and is moved twice a run"
)]
pub(crate) struct Workspaces(Mutex<Vec<Box<Workspace>>>);

impl Workspaces {
    /// A workspace that no other run uses.
    pub(crate) fn take(&self) -> Box<Workspace> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    /// Gives a workspace back after a run.
    pub(crate) fn put_back(&self, workspace: Box<Workspace>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(workspace);
    }
}

impl Default for Workspace {
    fn default() -> Self {
        let mut scope = Scope::new();
        // A script can change none of them.
        scope
            .push_constant("rule", ())
            .push_constant("now", 0_i64)
            .push_constant("event", ());
        Self {
            scope,
            rule: None,
            caches: Caches::new(),
        }
    }
}

impl Workspace {
    /// The predefined variables, without values: to compile a script.
    pub(crate) fn names(variables: ScriptVariables) -> Scope<'static> {
        let mut scope = Scope::new();
        for name in variables.names() {
            scope.push_constant(name, ());
        }
        scope
    }

    /// Sets the predefined variables to what is read of the input.
    pub(crate) fn set(&mut self, input: &Input<'_>, event: &EventValue<'_>, rule: &FieldSet) {
        if self.rule.as_ref() != Some(input.rule) && !rule.is_empty() {
            self.rule = Some(input.rule.clone());
            self.scope.rewind(0);
            let value = rule_value(input.rule, rule);
            self.scope.push_constant_dynamic("rule", value);
            self.scope.push_constant("now", 0_i64);
            self.scope.push_constant("event", ());
        }
        if let Some(now) = self.scope.get_value_mut::<i64>("now") {
            *now = input.now.as_millisecond();
        }
        let whole = match event {
            EventValue::Nothing => return,
            // Not what the event before has left.
            EventValue::Missing => Dynamic::UNIT,
            EventValue::Whole(whole) => (*whole).clone(),
            EventValue::Fields(fields) => {
                let map = self.scope.get_value_mut::<Map>("event");
                // Events of one kind have the same fields, so that only the values change.
                if map.is_some_and(|map| replace_values(map, fields)) {
                    return;
                }
                selected_to_script(fields)
            }
        };
        self.scope.rewind(PREDEFINED - 1);
        self.scope.push_constant_dynamic("event", whole);
    }

    /// Adds the variables of the window, after the others are set.
    pub(crate) fn set_window(
        &mut self,
        input: &Input<'_>,
        reads: &WindowReads,
        limits: &ReactionLimits,
    ) {
        if let Some(window) = input.window {
            reads.push(window, limits, &mut self.scope);
        }
    }

    /// Adds the call that was answered, after the others are set.
    pub(crate) fn set_call(&mut self, input: &Input<'_>, reads: &CallReads) {
        if let Some(call) = input.call {
            reads.push(call, &mut self.scope);
        }
    }

    /// Adds the rows that lookups have found, after the others are set.
    pub(crate) fn set_lookups(&mut self, input: &Input<'_>) {
        let rows = input.lookup.map_or(Dynamic::UNIT, to_script);
        self.scope.push_constant_dynamic("lookup", rows);
    }

    /// Runs a script to its end.
    pub(crate) fn run(&mut self, sandbox: &Sandbox, ast: &AST) -> Result<(), Box<EvalAltResult>> {
        sandbox.run(ast, &mut self.scope, &mut self.caches)
    }

    /// Drops what the run has left in memory.
    pub(crate) fn clear(&mut self, event: &EventValue<'_>) {
        self.scope.rewind(PREDEFINED);
        match event {
            EventValue::Nothing | EventValue::Missing => {}
            EventValue::Whole(_) => {
                self.scope.rewind(PREDEFINED - 1);
                self.scope.push_constant("event", ());
            }
            EventValue::Fields(fields) => {
                if let Some(map) = self.scope.get_value_mut::<Map>("event") {
                    clear_values(map, fields);
                }
            }
        }
        if self.caches.fn_resolution_cache_mut().dict.len() > MAX_CACHED_CALLS {
            self.caches = Caches::new();
        }
    }
}

/// Replaces the values of a map by those of an object with the same keys. False if it has others;
/// some values may be replaced then.
fn replace_values(map: &mut Map, selected: &Selected<'_>) -> bool {
    let Selected::Object(members) = selected else {
        return false;
    };
    if map.len() != members.len() {
        return false;
    }
    // Both are in the order of the keys.
    for ((key, value), (name, selected)) in map.iter_mut().zip(members) {
        if key != name {
            return false;
        }
        if let Selected::Object(_) = selected
            && let Some(mut inner) = value.write_lock::<Map>()
        {
            if !replace_values(&mut inner, selected) {
                return false;
            }
            continue;
        }
        *value = selected_to_script(selected).into_read_only();
    }
    true
}

/// Empties the values that an event gave to a map, and keeps the keys.
fn clear_values(map: &mut Map, selected: &Selected<'_>) {
    let Selected::Object(members) = selected else {
        return;
    };
    for (value, (_, selected)) in map.values_mut().zip(members) {
        match value.write_lock::<Map>() {
            Some(mut inner) if matches!(selected, Selected::Object(_)) => {
                clear_values(&mut inner, selected);
                continue;
            }
            _ => {}
        }
        *value = Dynamic::UNIT.into_read_only();
    }
}

/// What is read of `rule`.
fn rule_value(rule: &RuleInfo, read: &FieldSet) -> Dynamic {
    let labels = || {
        let labels = rule.labels.iter();
        let labels = labels.map(|(key, value)| (key.into(), value.as_str().into()));
        Dynamic::from_map(labels.collect())
    };
    let fields: [(&str, &dyn Fn() -> Dynamic); 4] = [
        ("name", &|| rule.name.as_str().into()),
        ("level", &|| rule.level.lowercase().into()),
        ("description", &|| rule.description.as_str().into()),
        ("labels", &labels),
    ];
    let fields = fields.into_iter().filter(|(name, _)| read.contains(name));
    let fields = fields.map(|(name, value)| (name.into(), value()));
    Dynamic::from_map(fields.collect::<Map>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, NoState, Reaction, ReactionLimits, ScriptEvent, Timestamp};

    fn run(reaction: &Reaction, event: &str, rule: &RuleInfo) -> String {
        let event = ScriptEvent::new(&Event::from_json(event).unwrap());
        let input = Input::new(&event, rule, Timestamp::UNIX_EPOCH);
        reaction.run(&input, &NoState).unwrap().log.join(" ")
    }

    #[test]
    fn nothing_of_an_event_is_left_for_the_next() {
        let script = "log(event.a?.b); log(event.a?.c); log(event.d); log(rule.name);";
        let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
        for (event, name, expected) in [
            (r#"{"a": {"b": 1, "c": [2]}, "d": "x"}"#, "r", "1 [2] x r"),
            (
                r#"{"a": {"c": 3}, "d": {"e": 4}}"#,
                "r",
                r#"null 3 {"e":4} r"#,
            ),
            (r#"{"a": {"b": 5, "c": 6}, "d": null}"#, "q", "5 6 null q"),
            (r#"{"a": null}"#, "r", "null null null r"),
            ("{}", "r", "null null null r"),
            (r#"{"a": {"b": 7, "c": 8}, "d": {}}"#, "r", "7 8 {} r"),
        ] {
            assert_eq!(
                run(&reaction, event, &RuleInfo::named(name)),
                expected,
                "{event}"
            );
        }
    }

    #[test]
    fn the_cached_calls_are_bounded() {
        let limits = ReactionLimits::DEFAULT;
        let sandbox = Sandbox::with_limits(&limits);
        let mut workspace = Workspace::default();
        // Each pair of types is another function of each operator; rhai caches the second call.
        let script = r#"
            let values = [1, 2.5, "a", 'c', true, (), [1], #{a: 1}, 1..2, 1..=2, |x| x];
            for a in values { for b in values { for n in 0..2 {
                try { a == b; a + b; } catch {}
                try { a - b } catch {}
                try { a * b } catch {}
                try { a / b } catch {}
            } } }"#;
        let scope = Workspace::names(ScriptVariables::default());
        let ast = sandbox.engine.compile_with_scope(&scope, script).unwrap();
        let event = ScriptEvent::new(&Event::from_json("{}").unwrap());
        let rule = RuleInfo::default();
        let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH);
        let run = crate::run::Run::new(&input, 2, &limits, &NoState);
        crate::run::RUN
            .set(&run, || workspace.run(&sandbox, &ast))
            .unwrap();
        let calls =
            |workspace: &mut Workspace| workspace.caches.fn_resolution_cache_mut().dict.len();
        assert!(calls(&mut workspace) > MAX_CACHED_CALLS);
        workspace.clear(&EventValue::Nothing);
        assert_eq!(calls(&mut workspace), 0);
    }
}
