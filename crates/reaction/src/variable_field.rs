//! The fields of the event and of the rule that a script or template reads.

use reflexarc_diagnostic::Span;
use rhai::{AST, ASTNode, Expr};

use crate::SourceLocation;
use crate::walk;

/// A field of the variable `event` or `rule` as a script or template names it:
/// `event.content.eniId`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariableField {
    /// The path from the variable: `content.eniId`.
    pub path: String,
    /// The location of each of its keys in the source.
    pub keys: Vec<Span>,
    /// Whether the author expects that it may be missing: it is compared with `()`, or has a
    /// default.
    pub may_be_missing: bool,
}

impl VariableField {
    /// The field with these keys; `None` without any.
    pub(crate) fn new(keys: &[(&str, Span)], may_be_missing: bool) -> Option<Self> {
        let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
        (!keys.is_empty()).then(|| Self {
            path: names.join("."),
            keys: keys.iter().map(|(_, span)| span.clone()).collect(),
            may_be_missing,
        })
    }
}

/// The fields of a variable that a script reads with dots: `event.a.b`, `event.a?.b`.
pub(crate) fn of_script(ast: &AST, source: &str, variable: &str) -> Vec<VariableField> {
    let mut found = Vec::new();
    // Only outside of functions: a parameter of this name is another variable.
    for statement in ast.statements() {
        walk::statement(statement, &mut |nodes| {
            if let Some(ASTNode::Expr(Expr::Dot(chain, ..))) = nodes.last()
                && let Expr::Variable(name, ..) = &chain.lhs
                && name.1 == variable
                // Not a variable of the script: only these have an index.
                && name.0.is_none()
            {
                let mut keys = Vec::new();
                add_keys(&chain.rhs, source, &mut keys);
                let around = nodes.len().checked_sub(2).and_then(|at| nodes.get(at));
                found.extend(VariableField::new(
                    &keys,
                    around.is_some_and(may_be_missing),
                ));
            }
            true
        });
    }
    found
}

/// Whether an operand of this expression may be missing: `a ?? "x"`, `a == ()`, `a != ()`.
fn may_be_missing(around: &ASTNode<'_>) -> bool {
    match around {
        ASTNode::Expr(Expr::Coalesce(..)) => true,
        ASTNode::Expr(Expr::FnCall(call, _)) => {
            let is_unit = |operand: &Expr| matches!(operand, Expr::Unit(_));
            matches!(call.name.as_str(), "==" | "!=") && call.args.iter().any(is_unit)
        }
        _ => false,
    }
}

/// Adds the keys at the start of what follows a dot. rhai nests to the right: the chain `a.b.c()`
/// is `a` and the rest, which is `b` and the call.
fn add_keys<'a>(rest: &'a Expr, source: &str, keys: &mut Vec<(&'a str, Span)>) {
    match rest {
        Expr::Property(property, position) => {
            keys.push((&property.2, SourceLocation::token(*position, source)));
        }
        Expr::Dot(chain, ..) => {
            add_keys(&chain.lhs, source, keys);
            if matches!(chain.lhs, Expr::Property(..)) {
                add_keys(&chain.rhs, source, keys);
            }
        }
        Expr::Index(chain, ..) => add_keys(&chain.lhs, source, keys),
        _ => {}
    }
}
