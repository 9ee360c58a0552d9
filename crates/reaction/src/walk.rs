//! Visiting the nodes of scripts. rhai's `walk` is generic and large: called through here, it is
//! compiled once and not for each visitor.

use rhai::{AST, ASTNode, Expr, Stmt};

/// Visits a node, given as the path to it; the walk ends when it returns false.
pub(crate) type Visit<'v> = dyn FnMut(&[ASTNode<'_>]) -> bool + 'v;

/// Visits all nodes of a script. False if the visitor ended the walk.
pub(crate) fn script(ast: &AST, visit: &mut Visit<'_>) -> bool {
    ast.walk(visit)
}

/// Visits all nodes of a statement. False if the visitor ended the walk.
pub(crate) fn statement(statement: &Stmt, visit: &mut Visit<'_>) -> bool {
    statement.walk(&mut Vec::new(), visit)
}

/// Visits all nodes of an expression. False if the visitor ended the walk.
pub(crate) fn expression(expression: &Expr, visit: &mut Visit<'_>) -> bool {
    expression.walk(&mut Vec::new(), visit)
}
