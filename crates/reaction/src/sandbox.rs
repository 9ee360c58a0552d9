//! The one place where a rhai engine is made: what it offers, what it lacks, and every limit.
//!
//! It starts from nothing (`new_raw`) and takes in packages without files, clock, sleep, exit or randomness; modules,
//! time and capturing closures are compiled out. What rhai knows on its own and a reaction must not have is switched off
//! by name.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, OptimizationLevel};

use crate::run::RUN;
use crate::{Limits, vocabulary};

/// Words of rhai that a reaction must not use, and why.
pub(crate) const FORBIDDEN: &[(&str, &str)] = &[
    ("eval", "a script cannot run text as a script"),
    ("print", "a script has no standard output; `log(text)` writes a line into the evaluation"),
    ("debug", "a script has no standard output; `log(text)` writes a line into the evaluation"),
    ("import", "a script is complete in itself; there are no modules to import"),
    ("export", "a script is complete in itself; there are no modules to export"),
    ("Fn", "a function is called by its name, or written as a closure: `|x| x > 1`"),
    ("call", "a function is called by its name"),
    ("curry", "a function is called by its name, or written as a closure: `|x| x > 1`"),
    ("is_shared", "nothing is shared"),
];

/// The engine for these limits: one for each different `Limits` in use, made when first needed.
pub(crate) fn engine(limits: &Limits) -> Arc<Engine> {
    static ENGINES: Mutex<Vec<(Limits, Weak<Engine>)>> = Mutex::new(Vec::new());

    // A poisoned lock only means that another thread ended while it looked; the list itself is whole.
    let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = engines.iter().find(|(known, _)| known == limits).and_then(|(_, engine)| engine.upgrade()) {
        return engine;
    }
    engines.retain(|(_, engine)| engine.strong_count() > 0);
    let engine = Arc::new(build(limits));
    engines.push((*limits, Arc::downgrade(&engine)));
    engine
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

    for (word, _) in FORBIDDEN {
        engine.disable_symbol(*word);
    }
    engine
        .set_strict_variables(true)
        // Folding constants would hide calls from the checks, and lines from the coverage.
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits.operations)
        .set_max_call_levels(limits.call_depth)
        .set_max_expr_depths(limits.expression_depth, limits.expression_depth)
        .set_max_string_size(limits.string)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_variables(limits.variables)
        .set_max_functions(limits.functions)
        // Interned strings would outlive the run that made them.
        .set_max_strings_interned(0);
    engine.on_progress(|operation| RUN.with(|run| run.is_over(operation)).then_some(Dynamic::UNIT));
    engine
}
