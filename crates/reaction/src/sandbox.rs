//! The one place where a rhai engine is made: what it offers, what it lacks, and every limit.
//!
//! It starts from nothing (`new_raw`) and takes in packages without files, clock, sleep, exit or randomness; modules,
//! time and capturing closures are compiled out. What rhai knows on its own and a reaction must not have is switched off
//! by name.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, OptimizationLevel};

use crate::run::RUN;
use crate::{Limits, trace, vocabulary};

/// Words of rhai that are switched off, and functions that people look for in vain, each with the reason.
const ABSENT: &[(&str, &str)] = &[
    ("eval", "a script cannot run text as a script"),
    (
        "print",
        "a script has no standard output; `log(value)` writes a line into the evaluation",
    ),
    (
        "debug",
        "a script has no standard output; `log(value)` writes a line into the evaluation",
    ),
    (
        "import",
        "a script is complete in itself; there is nothing to import",
    ),
    (
        "export",
        "a script is complete in itself; there is nothing to export to",
    ),
    (
        "Fn",
        "call a function by its name, or write a closure: `|x| x > 1`",
    ),
    ("call", "call a function by its name"),
    (
        "curry",
        "call a function by its name, or write a closure: `|x| x > 1`",
    ),
    ("is_shared", "nothing is shared"),
    (
        "sleep",
        "a script cannot wait; `set` with a ttl remembers something for a while",
    ),
    (
        "exit",
        "`skip(reason)` ends without actions, `return` ends with what was asked for so far",
    ),
    (
        "timestamp",
        "`now` is the time of the evaluation, in milliseconds since 1970",
    ),
    ("rand", "the same event must always give the same actions"),
    (
        "parse_json",
        "the event is parsed already; `json(value)` writes JSON",
    ),
];

/// A rhai engine under one set of limits, with what there is to call.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    functions: BTreeMap<String, Vec<Overload>>,
}

/// One way to call a function.
pub(crate) struct Overload {
    /// How many arguments it takes, the receiver of a method call included.
    pub(crate) parameters: usize,
    /// Their types.
    pub(crate) types: Vec<TypeId>,
}

impl Sandbox {
    /// The sandbox for these limits: one for each different `Limits` in use, made when first needed; that of the default
    /// limits stays.
    pub(crate) fn within(limits: &Limits) -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Sandbox>> =
            LazyLock::new(|| Arc::new(Sandbox::new(build(&Limits::DEFAULT))));
        static OTHERS: Shelf = Mutex::new(Vec::new());
        if *limits == Limits::DEFAULT {
            return Arc::clone(&DEFAULT);
        }
        shelved(&OTHERS, limits, || Self::new(build(limits)))
    }

    /// The same, with an engine that tells the run about every line.
    pub(crate) fn traced(limits: &Limits) -> Arc<Self> {
        static MADE: Shelf = Mutex::new(Vec::new());
        shelved(&MADE, limits, || {
            let mut engine = build(limits);
            trace::register(&mut engine);
            Self::new(engine)
        })
    }

    /// The ways to call a function; none where there is no such function.
    pub(crate) fn overloads(&self, name: &str) -> &[Overload] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of all functions, without operators.
    pub(crate) fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions
            .keys()
            .map(String::as_str)
            .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
    }

    fn new(engine: Engine) -> Self {
        let mut functions: BTreeMap<String, Vec<Overload>> = BTreeMap::new();
        let any = TypeId::of::<Dynamic>();
        // What rhai knows without registering it.
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

/// The sandboxes in use.
type Shelf = Mutex<Vec<(Limits, Weak<Sandbox>)>>;

fn shelved(shelf: &Shelf, limits: &Limits, make: impl FnOnce() -> Sandbox) -> Arc<Sandbox> {
    // A poisoned lock only means that another thread ended while it looked; the list itself is whole.
    let mut known = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sandbox) = known
        .iter()
        .find(|(of, _)| of == limits)
        .and_then(|(_, sandbox)| sandbox.upgrade())
    {
        return sandbox;
    }
    known.retain(|(_, sandbox)| sandbox.strong_count() > 0);
    let sandbox = Arc::new(make());
    known.push((*limits, Arc::downgrade(&sandbox)));
    sandbox
}

/// Why a script cannot use this word or function, if that is on purpose.
pub(crate) fn absent(word: &str) -> Option<&'static str> {
    ABSENT
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, reason)| *reason)
}

fn build(limits: &Limits) -> Engine {
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
    vocabulary::register(&mut engine);

    for (word, _) in ABSENT {
        engine.disable_symbol(*word);
    }
    engine
        .set_strict_variables(true)
        // Folding constants would hide calls from the checks, and lines from the coverage.
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits.operations as u64)
        .set_max_call_levels(limits.call_depth)
        .set_max_expr_depths(limits.expression_depth, limits.expression_depth)
        .set_max_string_size(limits.string)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_variables(limits.variables)
        .set_max_functions(limits.functions)
        // Interned strings would outlive the run that made them.
        .set_max_strings_interned(0);
    watch_variables(&mut engine);
    engine.on_progress(|operation| {
        RUN.with(|run| run.is_over(operation))
            .then_some(Dynamic::UNIT)
    });
    engine
}

#[expect(
    deprecated,
    reason = "rhai marks with it what may change in a later version, which is what Cargo.lock is for"
)]
fn watch_variables(engine: &mut Engine) {
    engine.on_var(|name, _, evaluation| {
        RUN.with(|run| run.measure(|| evaluation.scope().get(name)))?;
        Ok(None)
    });
}
