//! Which parts of `event` and `rule` a script reads, so that only these are converted.
//!
//! ```text
//! let c = event.content;
//! if c.result == "failed" { notify("team", `${c.eniId} in ${event.regionId}`); }
//!
//! content: { result, eniId }, regionId
//! ```
//!
//! A part that is used in any other way than by its fields is read as a whole: as an argument, with
//! an index, in a loop. What is found may be more than a run reads, and never less: where a name
//! stands for several variables, the parts of all of them are joined.

use std::collections::{BTreeMap, BTreeSet};

use reflexarc_event::FieldSet;
use rhai::{AST, ASTNode, Expr, Stmt};

use crate::walk;

/// Rounds in which variables for parts are looked for; a script that needs more reads everything.
// Each finds the variables that are set to a part of those of the round before. A script such as
// `let a = event.x; let a = a.y;`, in which the name stands for two variables, has no last round.
const MAX_ROUNDS: usize = 8;

/// The keys from a variable to a part of it.
type Keys = Vec<String>;

/// The variables that stand for the predefined one or parts of it, with the keys of these parts.
type Parts = BTreeMap<String, BTreeSet<Keys>>;

/// How a variable is used.
enum Usage {
    /// The part at these keys is the value of a new variable: `let c = event.content`.
    Declares(Keys),
    /// The part at these keys is read.
    Reads(Keys),
}

/// What the script reads of a predefined variable. With `follow`, of a part that becomes a variable
/// only what is read of that one is counted, otherwise all of it.
pub(crate) fn fields_read(ast: &AST, variable: &str, follow: bool) -> FieldSet {
    let start = BTreeSet::from([Vec::new()]);
    let mut parts = Parts::from([(variable.to_owned(), start)]);
    if follow && !find_variables(ast, &mut parts) {
        return FieldSet::all();
    }
    let mut read = FieldSet::default();
    visit(ast, &mut |nodes| match nodes.last() {
        // rhai does not walk into the value of a `break`.
        Some(ASTNode::Stmt(Stmt::BreakLoop(Some(_), ..))) => read = FieldSet::all(),
        Some(ASTNode::Expr(Expr::Variable(name, ..))) => {
            let Some(of_name) = parts.get(name.1.as_str()) else {
                return;
            };
            let usage = usage(nodes);
            let (Usage::Declares(keys) | Usage::Reads(keys)) = &usage;
            for part in of_name {
                let keys = part.iter().chain(keys).map(String::as_str);
                match usage {
                    // Also where the value of a new variable is never read: whether it is an error
                    // to read it depends on the fields on the way to it.
                    Usage::Declares(_) if follow => read.insert_empty(keys),
                    Usage::Declares(_) | Usage::Reads(_) => read.insert(keys),
                }
            }
        }
        _ => {}
    });
    read
}

/// Adds the variables that are set to known parts. False if there is no end to them.
fn find_variables(ast: &AST, parts: &mut Parts) -> bool {
    let mut declared: Vec<(String, String, Keys)> = Vec::new();
    visit(ast, &mut |nodes| {
        if let Some(ASTNode::Expr(Expr::Variable(root, ..))) = nodes.last()
            && let Usage::Declares(keys) = usage(nodes)
            && let Some(name) = nodes.iter().rev().find_map(declared_name)
        {
            declared.push((name, root.1.to_string(), keys));
        }
    });
    for _ in 0..MAX_ROUNDS {
        let mut is_complete = true;
        for (name, root, keys) in &declared {
            let of_root = parts.get(root).cloned().unwrap_or_default();
            for part in of_root {
                let keys = [part, keys.clone()].concat();
                let of_name = parts.entry(name.clone()).or_default();
                is_complete &= !of_name.insert(keys);
            }
        }
        if is_complete {
            return true;
        }
    }
    false
}

fn declared_name(node: &ASTNode<'_>) -> Option<String> {
    match node {
        ASTNode::Stmt(Stmt::Var(declaration, ..)) => Some(declaration.0.name.to_string()),
        _ => None,
    }
}

/// How the variable is used that is the last of these nodes.
fn usage(nodes: &[ASTNode<'_>]) -> Usage {
    let around = |depth: usize| nodes.len().checked_sub(depth + 1).map(|at| &nodes[at]);
    let is_value_of = |node: Option<&ASTNode<'_>>, value: *const Expr| {
        let Some(ASTNode::Stmt(Stmt::Var(declaration, ..))) = node else {
            return false;
        };
        std::ptr::eq(&raw const declaration.1, value)
    };
    let Some(ASTNode::Expr(variable)) = around(0) else {
        return Usage::Reads(Vec::new());
    };
    let variable: *const Expr = *variable;
    if is_value_of(around(1), variable) {
        return Usage::Declares(Vec::new());
    }
    // `a.b.c()` is the variable and the rest, which is `b` and the call; the variable may also be
    // the argument of a call in the rest of another chain.
    let Some(ASTNode::Expr(chain @ Expr::Dot(dot, ..))) = around(1) else {
        return Usage::Reads(Vec::new());
    };
    if !std::ptr::eq(&raw const dot.lhs, variable) {
        return Usage::Reads(Vec::new());
    }
    let mut keys = Vec::new();
    if add_keys(&dot.rhs, &mut keys) && is_value_of(around(2), *chain) {
        Usage::Declares(keys)
    } else {
        Usage::Reads(keys)
    }
}

/// Adds the keys at the start of what follows a dot. Whether there is nothing but keys.
fn add_keys(rest: &Expr, keys: &mut Keys) -> bool {
    match rest {
        Expr::Property(property, _) => {
            keys.push(property.2.to_string());
            true
        }
        Expr::Dot(chain, ..) => {
            matches!(chain.lhs, Expr::Property(..))
                && add_keys(&chain.lhs, keys)
                && add_keys(&chain.rhs, keys)
        }
        // Of `a.b[c]` only `b`.
        Expr::Index(chain, ..) => {
            add_keys(&chain.lhs, keys);
            false
        }
        _ => false,
    }
}

/// Visits the nodes outside of functions, which see nothing but their parameters.
fn visit(ast: &AST, visit: &mut dyn FnMut(&[ASTNode<'_>])) {
    for statement in ast.statements() {
        walk::statement(statement, &mut |nodes| {
            visit(nodes);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use rhai::Scope;

    use super::*;
    use crate::sandbox::Sandbox;
    use crate::value::{EventValue, selected_to_script, to_json};
    use crate::{Event, ReactionLimits, ScriptEvent};

    /// What a script reads of `event`, as the JSON of an event that is converted.
    fn read(script: &str) -> String {
        let sandbox = Sandbox::with_limits(&ReactionLimits::DEFAULT);
        let mut scope = Scope::new();
        scope.push_constant("event", ());
        let ast = sandbox.engine.compile_with_scope(&scope, script).unwrap();
        let fields = fields_read(&ast, "event", true);
        let event = Event::from_json(
            r#"{"a": {"b": {"c": 1, "d": 2}, "e": [3], "f": "x"}, "g": [{"h": 4}], "i": 5}"#,
        );
        let event = ScriptEvent::new(&event.unwrap());
        let value = match event.value(&fields) {
            EventValue::Nothing | EventValue::Missing => return "{}".to_owned(),
            EventValue::Whole(whole) => whole.clone(),
            EventValue::Fields(fields) => selected_to_script(&fields),
        };
        to_json(&value, 1_000, 9).unwrap().0.to_string()
    }

    const WHOLE: &str = r#"{"a":{"b":{"c":1,"d":2},"e":[3],"f":"x"},"g":[{"h":4}],"i":5}"#;

    #[test]
    fn fields_that_are_read_with_dots_are_converted() {
        for (script, expected) in [
            ("log(1)", "{}"),
            ("log(event.i)", r#"{"i":5}"#),
            ("log(event.z)", "{}"),
            ("log(event?.a?.b.c)", r#"{"a":{"b":{"c":1}}}"#),
            (
                "log(event.a.b); log(event.a.b.c)",
                r#"{"a":{"b":{"c":1,"d":2}}}"#,
            ),
            ("log(event.a.f.len())", r#"{"a":{"f":"x"}}"#),
            ("log(event.a.f.b)", r#"{"a":{"f":"x"}}"#),
            ("log(event.a.e[event.i].z)", r#"{"a":{"e":[3]},"i":5}"#),
            ("log(event.g[0].h)", r#"{"g":[{"h":4}]}"#),
            ("for x in event.g { log(x) }", r#"{"g":[{"h":4}]}"#),
            (
                "log(`${event.i} ${event.a.b.d}`)",
                r#"{"a":{"b":{"d":2}},"i":5}"#,
            ),
            ("let x = #{y: event.i}; log(x)", r#"{"i":5}"#),
            (
                "switch event.i { 5 if event.a.f == () => log(1), _ => log(event.a.b.d) }",
                r#"{"a":{"b":{"d":2},"f":"x"},"i":5}"#,
            ),
            ("fn f(event) { event.a } f(1)", "{}"),
        ] {
            assert_eq!(read(script), expected, "{script}");
        }
    }

    #[test]
    fn variables_stand_for_the_parts_that_they_are_set_to() {
        for (script, expected) in [
            ("let x = event.a; log(x.b.c)", r#"{"a":{"b":{"c":1}}}"#),
            (
                "let x = event.a; let y = x.b; log(y.d)",
                r#"{"a":{"b":{"d":2}}}"#,
            ),
            ("let x = event; log(x.i)", r#"{"i":5}"#),
            (
                "let x = event.a; log(x)",
                r#"{"a":{"b":{"c":1,"d":2},"e":[3],"f":"x"}}"#,
            ),
            (
                "let x = event.a; log(x.len())",
                r#"{"a":{"b":{"c":1,"d":2},"e":[3],"f":"x"}}"#,
            ),
            (
                "let x = event.a; for y in x.e { log(y) }",
                r#"{"a":{"e":[3]}}"#,
            ),
            (
                "let x = event.a.b; if x.c == 1 { let x = event.g; log(x.h) }",
                r#"{"a":{"b":{"c":1}},"g":[{"h":4}]}"#,
            ),
            ("let x = (event.a); log(x.f)", r#"{"a":{"f":"x"}}"#),
            (
                "let x = event.a ?? 1; log(x.f)",
                r#"{"a":{"b":{"c":1,"d":2},"e":[3],"f":"x"}}"#,
            ),
            ("let x = event.a; let x = x.b; let x = x.c; log(x)", WHOLE),
        ] {
            assert_eq!(read(script), expected, "{script}");
        }
    }

    #[test]
    fn other_uses_read_the_whole() {
        for script in [
            "log(event)",
            "let x = event; log(x)",
            "log(event.len())",
            r#"log(event["a"])"#,
            r#"log("a" in event)"#,
            "for x in event.keys() { log(x) }",
            "let x = loop { break event.a.b }; log(x)",
            "let x = [event]; log(x)",
            "fn f(x) { x.a } log(f(event))",
        ] {
            assert_eq!(read(script), WHOLE, "{script}");
        }
    }
}
