//! The fields of the event that a script or template reads.

use reflexarc_diagnostic::Span;
use rhai::{AST, ASTNode, Expr};

use crate::SourceLocation;

/// A field of the event as a script or template names it: `event.content.eniId`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventField {
    /// The path from the root of the event: `content.eniId`.
    pub path: String,
    /// The location of each of its keys in the source.
    pub keys: Vec<Span>,
}

impl EventField {
    /// The field with these keys; `None` without any.
    pub(crate) fn new(keys: &[(&str, Span)]) -> Option<Self> {
        let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
        (!keys.is_empty()).then(|| Self {
            path: names.join("."),
            keys: keys.iter().map(|(_, span)| span.clone()).collect(),
        })
    }
}

/// The fields that a script reads with dots: `event.a.b`, `event.a?.b`.
pub(crate) fn of_script(ast: &AST, source: &str) -> Vec<EventField> {
    let mut found = Vec::new();
    // Only outside of functions: a parameter of this name is another variable.
    let mut path = Vec::new();
    for statement in ast.statements() {
        statement.walk(&mut path, &mut |nodes| {
            if let Some(ASTNode::Expr(Expr::Dot(chain, ..))) = nodes.last()
                && let Expr::Variable(variable, ..) = &chain.lhs
                && variable.1 == "event"
            {
                let mut keys = Vec::new();
                add_keys(&chain.rhs, source, &mut keys);
                found.extend(EventField::new(&keys));
            }
            true
        });
    }
    found
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
