//! The only place that makes rhai engines: their functions, what is disabled, and every limit.
//!
//! An engine starts empty (`new_raw`) and gets packages without files, clock, sleep, exit and
//! randomness; modules, time and capturing closures are compiled out. What is built into rhai
//! itself and must not be available is disabled by name.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Caches, Dynamic, Engine, EvalAltResult, OptimizationLevel, Scope};

use crate::limits::EVENT_SIZES;
use crate::run::RUN;
use crate::{ReactionLimits, builtins, call_name, trace};

// Disabling a symbol makes rhai reject it as a reserved word. For names that rhai does not have,
// such as `sleep`, the entry only serves the explanation.
/// Keywords and functions that are not available, each with the reason or an alternative. Some are
/// disabled parts of rhai, others are functions that authors may expect.
const UNAVAILABLE: &[(&str, &str)] = &[
    ("eval", "scripts cannot run strings as code"),
    (
        "print",
        "scripts have no standard output; write a line to the evaluation with `log(value)`",
    ),
    (
        "debug",
        "scripts have no standard output; write a line to the evaluation with `log(value)`",
    ),
    ("import", "scripts have no modules"),
    ("export", "scripts have no modules"),
    (
        "Fn",
        "call a function by its name, or write a closure: `|x| x > 1`",
    ),
    (
        "curry",
        "call a function by its name, or write a closure: `|x| x > 1`",
    ),
    ("is_shared", "values are never shared"),
    (
        "sleep",
        "scripts cannot wait; keep a state entry for some time with `set(key, value, ttl)`",
    ),
    (
        "exit",
        "end without actions with `skip(reason)`, or with the actions so far with `return`",
    ),
    (
        "timestamp",
        "`now` is the time of the evaluation, in milliseconds since 1970",
    ),
    (
        "rand",
        "the same event, state and time must always give the same actions",
    ),
    (
        "parse_json",
        "the event is parsed already; write JSON with `json(value)`",
    ),
];

/// A rhai engine with one set of limits, and the signatures of its functions.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    functions: BTreeMap<String, Vec<Overload>>,
}

/// One signature of a function.
pub(crate) struct Overload {
    /// The number of parameters, the receiver of a method call included.
    pub(crate) parameters: usize,
    /// Their types.
    pub(crate) types: Vec<TypeId>,
}

impl Sandbox {
    /// The sandbox with these limits, shared by all reactions that have the same ones.
    pub(crate) fn with_limits(limits: &ReactionLimits) -> Arc<Self> {
        static DEFAULT: Kept = [
            LazyLock::new(|| by_default(0, build)),
            LazyLock::new(|| by_default(1, build)),
            LazyLock::new(|| by_default(2, build)),
        ];
        static OTHERS: Cache = Mutex::new(Vec::new());
        shared(&DEFAULT, &OTHERS, limits, build)
    }

    /// The same, measuring the variables of the script whenever it uses them.
    pub(crate) fn measuring(limits: &ReactionLimits) -> Arc<Self> {
        static DEFAULT: Kept = [
            LazyLock::new(|| by_default(0, build_measuring)),
            LazyLock::new(|| by_default(1, build_measuring)),
            LazyLock::new(|| by_default(2, build_measuring)),
        ];
        static OTHERS: Cache = Mutex::new(Vec::new());
        shared(&DEFAULT, &OTHERS, limits, build_measuring)
    }

    /// The same with an engine that reports every line to the run.
    pub(crate) fn traced(limits: &ReactionLimits) -> Arc<Self> {
        // A debugger cannot be removed from an engine, and one that is registered slows every run.
        static TRACED: Cache = Mutex::new(Vec::new());
        cached(&TRACED, limits, || {
            let mut engine = build_measuring(limits);
            trace::register(&mut engine);
            Self::new(engine)
        })
    }

    /// Runs a script to its end. `caches` are those of earlier runs of it in this sandbox.
    // rhai has no other function that takes them.
    #[expect(
        deprecated,
        reason = "rhai marks unstable parts of its API as deprecated; Cargo.lock pins the version"
    )]
    pub(crate) fn run(
        &self,
        ast: &AST,
        scope: &mut Scope<'_>,
        caches: &mut Caches,
    ) -> Result<(), Box<EvalAltResult>> {
        let mut global = self.engine.new_global_runtime_state();
        global.lib.push(ast.shared_lib().clone());
        let (global, statements) = (&mut global, ast.statements());
        self.engine
            .eval_statements_raw(global, caches, scope, statements)
            .map(drop)
    }

    /// The signatures of a function; none for an unknown function.
    pub(crate) fn overloads(&self, name: &str) -> &[Overload] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of all functions, without operators.
    pub(crate) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions
            .keys()
            .map(String::as_str)
            .map(call_name::written)
            .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
    }

    fn new(engine: Engine) -> Self {
        let mut functions: BTreeMap<String, Vec<Overload>> = BTreeMap::new();
        let any = TypeId::of::<Dynamic>();
        // The functions that rhai has without registering them.
        for (name, parameters) in [("type_of", 1), ("is_def_var", 1), ("is_def_fn", 2)] {
            functions
                .entry(name.to_owned())
                .or_default()
                .push(Overload {
                    parameters,
                    types: vec![any; parameters],
                });
        }
        engine
            .collect_fn_metadata(None, |function| Some(function.metadata.clone()), true)
            .into_iter()
            .for_each(|function| {
                // Functions that are registered with raw arguments do not declare all their types;
                // the missing ones accept anything.
                let mut types = function.param_types.to_vec();
                types.resize(function.num_params, any);
                let overload = Overload {
                    parameters: function.num_params,
                    types,
                };
                functions
                    .entry(function.name.to_string())
                    .or_default()
                    .push(overload);
            });
        Self { engine, functions }
    }
}

/// The sandboxes with the default limits, for events of each size.
type Kept = [LazyLock<Arc<Sandbox>>; EVENT_SIZES.len()];

/// The sandboxes in use, by limits.
type Cache = Mutex<Vec<(ReactionLimits, Weak<Sandbox>)>>;

/// A sandbox with these limits.
// An engine has hundreds of functions, so it is not made for each rule: a set of 10,000 rules
// shares one. Limits are settings of the engine, so each set of limits needs its own. The engines
// with the default limits are kept: building one takes longer than most runs. Others, which only
// tests and rules with limits of their own use, are dropped with their last reaction.
fn shared(
    kept: &Kept,
    others: &Cache,
    limits: &ReactionLimits,
    build: fn(&ReactionLimits) -> Engine,
) -> Arc<Sandbox> {
    // How many entries the state and a window may have is no setting of an engine.
    let mut limits = *limits;
    limits.state_entries = ReactionLimits::DEFAULT.state_entries;
    limits.window_events = ReactionLimits::DEFAULT.window_events;
    limits.window_event_bytes = ReactionLimits::DEFAULT.window_event_bytes;
    let size = EVENT_SIZES
        .iter()
        .position(|bytes| ReactionLimits::DEFAULT.for_event(*bytes) == limits);
    match size {
        Some(size) => Arc::clone(&kept[size]),
        None => cached(others, &limits, || Sandbox::new(build(&limits))),
    }
}

fn cached(cache: &Cache, limits: &ReactionLimits, make: impl FnOnce() -> Sandbox) -> Arc<Sandbox> {
    // A lock is poisoned if `make` panicked; the list itself is valid then.
    let mut entries = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sandbox) = entries
        .iter()
        .find(|(key, _)| key == limits)
        .and_then(|(_, sandbox)| sandbox.upgrade())
    {
        return sandbox;
    }
    // Entries are only removed here, when one is added: the list is never longer than the number of
    // different limits that were ever in use at the same time.
    entries.retain(|(_, sandbox)| sandbox.strong_count() > 0);
    let sandbox = Arc::new(make());
    entries.push((*limits, Arc::downgrade(&sandbox)));
    sandbox
}

/// Why a keyword or function is not available, if it is deliberately so.
pub(crate) fn unavailable(word: &str) -> Option<&'static str> {
    UNAVAILABLE
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, reason)| *reason)
}

/// The sandbox with the default limits for events of one size.
fn by_default(size: usize, build: fn(&ReactionLimits) -> Engine) -> Arc<Sandbox> {
    let limits = ReactionLimits::DEFAULT.for_event(EVENT_SIZES[size]);
    Arc::new(Sandbox::new(build(&limits)))
}

fn build(limits: &ReactionLimits) -> Engine {
    // `Engine::new` would have `print`, `debug` and a module resolver that reads files.
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    builtins::register(&mut engine);

    for (word, _) in UNAVAILABLE {
        engine.disable_symbol(*word);
    }
    call_name::register(&mut engine);
    engine
        // An unknown variable is an error when a script is compiled, not when the line runs.
        .set_strict_variables(true)
        // Folding constants would hide calls from `check`, and lines from the coverage.
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits.operations as u64)
        .set_max_call_levels(limits.call_depth)
        .set_max_expr_depths(limits.expression_depth, limits.expression_depth)
        .set_max_string_size(limits.string)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_variables(limits.variables)
        .set_max_functions(limits.functions)
        // Interned strings would stay in memory after the run that made them.
        .set_max_strings_interned(0);
    // Whether to stop is looked at so often only that it costs little. Where events are larger than
    // a few KiB, a single operation may take long. Compared by the text that runs on events of this
    // size may have, as an engine does not know the event.
    let is_small = limits.string <= ReactionLimits::DEFAULT.string;
    if is_small {
        // By a constant: a division by a variable takes as long as ten other instructions.
        engine.on_progress(|operation| {
            operation
                .is_multiple_of(16)
                .then(|| stop_if_due(operation))?
        });
    } else {
        engine.on_progress(stop_if_due);
    }
    engine
}

/// A value ends the script with an error that it cannot catch.
fn stop_if_due(operation: u64) -> Option<Dynamic> {
    RUN.with(|run| run.must_stop(operation))
        .then_some(Dynamic::UNIT)
}

/// An engine that measures variables: a call for each use of one, which few scripts need.
#[expect(
    deprecated,
    reason = "rhai marks unstable parts of its API as deprecated; Cargo.lock pins the version"
)]
fn build_measuring(limits: &ReactionLimits) -> Engine {
    let mut engine = build(limits);
    // rhai calls this for each use of a variable, before it looks the variable up; `None` lets it
    // go on and do so.
    engine.on_var(|name, _, evaluation| {
        RUN.with(|run| run.measure(|| evaluation.scope().get(name)))?;
        Ok(None)
    });
    engine
}
