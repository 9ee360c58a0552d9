//! Which lines of a script ran. This uses rhai's debugger interface, in an engine of its own, so
//! that ordinary runs pay nothing for it.

use std::collections::BTreeSet;

use rhai::debugger::DebuggerCommand;
use rhai::{AST, ASTNode, Engine, Stmt};

use crate::run::RUN;
use crate::walk;

/// The lines, from 1, on which a statement begins.
pub(crate) fn lines(ast: &AST) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    walk::script(ast, &mut |nodes| {
        lines.extend(
            nodes
                .last()
                .filter(|node| matches!(node, ASTNode::Stmt(_)))
                .and_then(line),
        );
        true
    });
    lines
}

/// Makes the engine report every statement that it executes to the run in progress.
#[expect(
    deprecated,
    reason = "rhai marks unstable parts of its API as deprecated; Cargo.lock pins the version"
)]
pub(crate) fn register(engine: &mut Engine) {
    engine.register_debugger(
        |_, debugger| debugger,
        |_, _, node, _, _| {
            // Every node, in every run of a loop: the run keeps a set of lines.
            if let Some(line) = line(&node) {
                RUN.with(|run| run.record_line(line));
            }
            Ok(DebuggerCommand::StepInto)
        },
    );
}

/// The line on which a statement begins.
fn line(node: &ASTNode<'_>) -> Option<usize> {
    match node {
        // Blocks are where their statements are; `else { x }` on three lines has one line to run.
        ASTNode::Stmt(Stmt::Noop(_) | Stmt::Block(_)) => None,
        ASTNode::Stmt(statement) => statement.position().line(),
        // The debugger reports a statement that is only an expression as that expression.
        // Expressions inside statements add lines without a statement; `run_traced` removes these.
        ASTNode::Expr(expression) => expression.start_position().line(),
        _ => None,
    }
}
