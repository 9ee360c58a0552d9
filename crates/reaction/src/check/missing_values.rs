//! Fields that a script reads of an event which is `()` in some runs: `event.id` fails there.
//!
//! ```text
//! log(event.id);                                     fails without an event
//! log(event?.id);                                    `()` without one
//! if event != () { log(event.id) }                   runs only with one
//! if event == () { skip("none yet") } log(event.id)  likewise
//! ```
//!
//! The same for the row of a lookup, which is `()` where none is found: `lookup.vswitch.id`.
//!
//! And for the body of an answer, which a failed call may not have: `answer.body.TotalCount`. There,
//! any condition on `answer` is taken for one on whether it has the body.
//!
//! A condition that uses the event in another way is taken for one of the author's that holds only
//! with an event: a warning too few is better than one about a script that is right.

use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic};
use rhai::{AST, ASTFlags, ASTNode, Expr, Position, Stmt};

use crate::variable_scope::{ANSWER, LOOKUP};
use crate::{ScriptVariables, SourceLocation, variable_field, walk};

/// The member of an answer that is `()` where the call failed before it was sent.
const BODY: &str = "body";

/// The warnings about a script with variables of this scope, by location. At most `checks` reads of
/// each variable are looked at.
// Each is compared with all conditions before it: without a limit, 3,000 reads after 3,000
// conditions would take seconds.
pub(super) fn check(
    ast: &AST,
    variables: ScriptVariables,
    source: &str,
    checks: usize,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let events = variables.scope.may_be_missing();
    let events = events.map(|variable| (variable, None));
    let names = looked_up(ast, source, variables);
    let rows = names.iter().map(|name| (LOOKUP, Some(name.as_str())));
    let answer = variables.scope.has_call().then_some((ANSWER, Some(BODY)));
    for (variable, member) in events.chain(rows).chain(answer) {
        let presence = Presence::of(ast, variable, member);
        let mut left = checks;
        for statement in ast.statements() {
            walk::statement(statement, &mut |nodes| {
                let Some(access) = presence.access(nodes) else {
                    return true;
                };
                if left == 0 {
                    return false;
                }
                left -= 1;
                if !presence.is_known(nodes, ast.statements()) {
                    found.push(presence.warning(&access, source));
                }
                true
            });
        }
    }
    found.dedup();
    found
}

/// The lookups whose rows a script reads.
fn looked_up(ast: &AST, source: &str, variables: ScriptVariables) -> BTreeSet<String> {
    if !variables.has_lookups {
        return BTreeSet::new();
    }
    let fields = variable_field::of_script(ast, source, LOOKUP).into_iter();
    let names = fields.filter_map(|field| Some(field.path.split('.').next()?.to_owned()));
    names.collect()
}

/// An access to a part of the value that fails where this is `()`.
struct Access {
    /// Where the name of the value stands.
    position: Position,
    /// Whether `?` makes it `()`: of `event.id` and `event["id"]`, but not of `event.keys()`.
    is_field: bool,
}

/// Whether a condition holds only where the variable is not `()`.
#[derive(Clone, Copy)]
struct Implied {
    if_true: bool,
    if_false: bool,
}

/// What a script knows of whether a variable, or a member of it, is `()`.
struct Presence<'v> {
    variable: &'v str,
    member: Option<&'v str>,
    /// The variables of the script that are set to something of it: `let id = event?.id`.
    derived: BTreeSet<String>,
}

impl<'v> Presence<'v> {
    fn of(ast: &AST, variable: &'v str, member: Option<&'v str>) -> Self {
        let mut presence = Self {
            variable,
            member,
            derived: BTreeSet::new(),
        };
        // By name and not by place: after `let id = event?.id` in one block, an `id` in the next
        // counts as derived too. Only a warning is lost then.
        let mut derived = BTreeSet::new();
        for statement in ast.statements() {
            walk::statement(statement, &mut |nodes| {
                if let Some(ASTNode::Stmt(Stmt::Var(declaration, ..))) = nodes.last()
                    && presence.is_considered(&declaration.1)
                {
                    derived.insert(declaration.0.name.to_string());
                }
                true
            });
        }
        presence.derived = derived;
        presence
    }

    fn is_answer(&self) -> bool {
        self.variable == ANSWER
    }

    fn is_variable(&self, expression: &Expr) -> bool {
        // Only variables of the script have an index: how far back they were defined.
        matches!(expression, Expr::Variable(name, ..)
            if name.0.is_none() && name.1 == self.variable)
    }

    /// The access that the last of these nodes is.
    fn access(&self, nodes: &[ASTNode<'_>]) -> Option<Access> {
        match self.member {
            Some(member) => self.access_of_member(nodes.last()?, member),
            None => self.access_of_variable(nodes),
        }
    }

    /// The access to a part of a member: `lookup.vswitch` and the rest, which is `id`.
    fn access_of_member(&self, node: &ASTNode<'_>, member: &str) -> Option<Access> {
        let ASTNode::Expr(Expr::Dot(chain, ..)) = node else {
            return None;
        };
        if !self.is_variable(&chain.lhs) {
            return None;
        }
        // `lookup` and the rest, which is `vswitch` and the rest of that.
        let (rest, flags, is_field) = match &chain.rhs {
            Expr::Dot(rest, flags, _) => {
                let first = match &rest.rhs {
                    Expr::Dot(inner, ..) | Expr::Index(inner, ..) => &inner.lhs,
                    other => other,
                };
                (rest, flags, matches!(first, Expr::Property(..)))
            }
            Expr::Index(rest, flags, _) => (
                rest,
                flags,
                !matches!(rest.rhs, Expr::Dot(..) | Expr::Index(..)),
            ),
            _ => return None,
        };
        let is_access = is_property(&rest.lhs, member) && !flags.contains(ASTFlags::NEGATED);
        is_access.then(|| Access {
            position: rest.lhs.start_position(),
            is_field,
        })
    }

    /// Whether these nodes, of which the last uses the variable, are about the member.
    fn is_about_member(&self, nodes: &[ASTNode<'_>]) -> bool {
        let (Some(member), Some(ASTNode::Expr(Expr::Dot(chain, ..)))) = (self.member, nodes.last())
        else {
            return true;
        };
        // `answer.ok` and `answer.code` say whether there is a body.
        if self.is_answer() {
            return true;
        }
        if !self.is_variable(&chain.lhs) {
            return true;
        }
        match &chain.rhs {
            Expr::Dot(rest, ..) | Expr::Index(rest, ..) => is_property(&rest.lhs, member),
            other => is_property(other, member),
        }
    }

    fn access_of_variable(&self, nodes: &[ASTNode<'_>]) -> Option<Access> {
        let (chain, is_field) = match nodes.last()? {
            ASTNode::Expr(Expr::Dot(chain, flags, _)) if !flags.contains(ASTFlags::NEGATED) => {
                // rhai nests to the right: `event.a.b()` is `event` and the rest, which is `a` and
                // the call.
                let first = match &chain.rhs {
                    Expr::Dot(rest, ..) | Expr::Index(rest, ..) => &rest.lhs,
                    other => other,
                };
                (chain, matches!(first, Expr::Property(..)))
            }
            ASTNode::Expr(Expr::Index(chain, flags, _)) if !flags.contains(ASTFlags::NEGATED) => {
                // rhai forgets the `?` of `event?["id"].a`.
                (chain, !matches!(chain.rhs, Expr::Dot(..) | Expr::Index(..)))
            }
            _ => return None,
        };
        self.is_variable(&chain.lhs).then(|| Access {
            position: chain.lhs.start_position(),
            is_field,
        })
    }

    /// Whether the last of these nodes, the first of which is one of `statements`, runs only where
    /// the variable is not `()`.
    fn is_known(&self, nodes: &[ASTNode<'_>], statements: &[Stmt]) -> bool {
        let Some(first) = nodes.first() else {
            return false;
        };
        // From the outermost block to the innermost one: the read of the example is known by the
        // `if` around it, and by the first statement of the block around that.
        //
        //     if event == () { return }
        //     for x in [1] { if event != () { log(event.id) } }
        if self.is_known_before(first, statements) {
            return true;
        }
        nodes.windows(2).any(|pair| {
            let [parent, child] = pair else {
                return false;
            };
            self.is_known_within(parent, child)
                || blocks(parent)
                    .into_iter()
                    .any(|block| self.is_known_before(child, block))
        })
    }

    /// Whether a node runs its child only where the variable is not `()`.
    fn is_known_within(&self, parent: &ASTNode<'_>, child: &ASTNode<'_>) -> bool {
        match parent {
            ASTNode::Stmt(Stmt::If(flow, _)) => {
                let implied = self.implied(&flow.expr);
                implied.if_true && has(flow.body.statements(), child)
                    || implied.if_false && has(flow.branch.statements(), child)
            }
            ASTNode::Stmt(Stmt::While(flow, _)) => {
                self.implied(&flow.expr).if_true && has(flow.body.statements(), child)
            }
            // The script handles the error.
            ASTNode::Stmt(Stmt::TryCatch(flow, _)) => has(flow.body.statements(), child),
            // No case of `switch event?.result { "failed" => …, _ => … }` is looked at alone.
            ASTNode::Stmt(Stmt::Switch(switch, _)) => {
                !is_same(&switch.0, child) && self.is_considered(&switch.0)
            }
            // Of `event != () && event.id == 1` the right side.
            ASTNode::Expr(Expr::And(operands, _)) => operands
                .iter()
                .take_while(|operand| !is_same(operand, child))
                .any(|operand| self.implied(operand).if_true),
            // Of `event == () || event.id == 1` likewise.
            ASTNode::Expr(Expr::Or(operands, _)) => operands
                .iter()
                .take_while(|operand| !is_same(operand, child))
                .any(|operand| self.implied(operand).if_false),
            _ => false,
        }
    }

    /// Whether a statement before this one in the block ends the script where the variable is `()`.
    fn is_known_before(&self, statement: &ASTNode<'_>, block: &[Stmt]) -> bool {
        let Some(at) = position(block, statement) else {
            return false;
        };
        block[..at].iter().any(|before| match before {
            Stmt::If(flow, _) => {
                let implied = self.implied(&flow.expr);
                implied.if_false && ends(flow.body.statements())
                    || implied.if_true && ends(flow.branch.statements())
            }
            _ => false,
        })
    }

    /// What a condition says about the variable.
    fn implied(&self, condition: &Expr) -> Implied {
        // `a && b` holds where both do, and fails where one does: what one of them says holds if it
        // is true, and only what both say if it is false. For `a || b` it is the other way round.
        let both = |operands: &[Expr]| {
            let implied: Vec<Implied> = operands.iter().map(|part| self.implied(part)).collect();
            let (mut truths, mut falsehoods) = (implied.iter(), implied.iter());
            (
                Implied {
                    if_true: truths.clone().any(|part| part.if_true),
                    if_false: falsehoods.clone().all(|part| part.if_false),
                },
                Implied {
                    if_true: truths.all(|part| part.if_true),
                    if_false: falsehoods.any(|part| part.if_false),
                },
            )
        };
        match condition {
            Expr::And(operands, _) => both(operands).0,
            Expr::Or(operands, _) => both(operands).1,
            Expr::FnCall(call, _) if call.name == "!" && call.args.len() == 1 => {
                let Implied { if_true, if_false } = self.implied(&call.args[0]);
                Implied {
                    if_true: if_false,
                    if_false: if_true,
                }
            }
            // `answer.ok == false` and `answer.code == ""` hold with and without a body.
            Expr::FnCall(call, _)
                if matches!(call.name.as_str(), "==" | "!=") && !self.is_answer() =>
            {
                let is_unit = |operand: &Expr| matches!(operand, Expr::Unit(_));
                let is_considered = call.args.iter().any(|operand| self.is_considered(operand));
                // `event?.result == "failed"` holds only with an event, as `event?.result != ()`.
                let is_equality = call.name == "==";
                let with_unit = call.args.iter().any(is_unit);
                Implied {
                    if_true: is_considered && is_equality != with_unit,
                    if_false: is_considered && is_equality == with_unit,
                }
            }
            // `event?.n > 3`, `is_known`, `known(event)`: whatever it is, its author has thought of
            // the case.
            other => {
                let is_considered = self.is_considered(other);
                Implied {
                    if_true: is_considered,
                    if_false: is_considered,
                }
            }
        }
    }

    /// Whether an expression uses the variable without failing where it is `()`, or one that is
    /// derived from it.
    fn is_considered(&self, expression: &Expr) -> bool {
        let mut is_considered = false;
        walk::expression(expression, &mut |nodes| {
            if let Some(ASTNode::Expr(Expr::Variable(name, ..))) = nodes.last() {
                let is_derived = name.0.is_some() && self.derived.contains(name.1.as_str());
                let parent = &nodes[..nodes.len() - 1];
                let is_predefined = name.0.is_none() && name.1 == self.variable;
                is_considered |= is_derived
                    || is_predefined
                        && self.is_about_member(parent)
                        && self.access(parent).is_none();
            }
            !is_considered
        });
        is_considered
    }

    fn warning(&self, access: &Access, source: &str) -> Diagnostic {
        let (name, code, message) = match self.member {
            None => {
                let name = self.variable.to_owned();
                let message =
                    format!("`{name}` may be missing, `()`; a field of it is an error then");
                (name, Code::MISSING_EVENT, message)
            }
            Some(_) if self.is_answer() => {
                let message = "`answer.body` may be missing, `()`, if the call failed; a field of \
                               it is an error then";
                let span = SourceLocation::token(access.position, source);
                let hint = Diagnostic::hint(Code::MISSING_BODY, span, message);
                // Without a fix: `?.` would do nothing in silence if a call fails.
                return hint
                    .with_help("check `answer.ok` first: if !answer.ok { skip(answer.code) }");
            }
            Some(member) => {
                let name = format!("{}.{member}", self.variable);
                let message = format!(
                    "`{name}` is `()` where the table has no row; a column of it is an error then"
                );
                (name, Code::MISSING_ROW, message)
            }
        };
        warning(&name, (code, message), access, source)
    }
}

/// Whether an expression is the member of this name.
fn is_property(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Property(property, _) if property.2 == name)
}

fn warning(
    name: &str,
    (code, message): (Code, String),
    access: &Access,
    source: &str,
) -> Diagnostic {
    let span = SourceLocation::token(access.position, source);
    // The tree has the place of the variable for certain; that of the dot moves when rhai rotates
    // longer chains. Between them may be spaces; after a comment there is no fix.
    let rest = &source[span.end..];
    let operator = span.end + (rest.len() - rest.trim_start().len());
    let warning = Diagnostic::warning(code, span.clone(), message);
    let guard = format!("read it within `if {name} != () {{ … }}`");
    // A method of `()` is none of a map: `event?.len() > 3` would compare `()` with a number.
    let safe = match source[operator..].chars().next() {
        Some('.') if access.is_field => "?.",
        Some('[') if access.is_field => "?[",
        _ => return warning.with_help(guard),
    };
    let key: String = source[operator + 1..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let shown = if safe == "?." { key.as_str() } else { "…]" };
    warning
        .with_help(format!("write `{name}{safe}{shown}`, or {guard}"))
        .with_fix(operator..operator + 1, safe)
}

/// The lists of statements in a node.
fn blocks<'n>(node: &ASTNode<'n>) -> Vec<&'n [Stmt]> {
    match node {
        ASTNode::Stmt(Stmt::If(flow, _) | Stmt::TryCatch(flow, _)) => {
            vec![flow.body.statements(), flow.branch.statements()]
        }
        ASTNode::Stmt(Stmt::While(flow, _) | Stmt::Do(flow, ..)) => vec![flow.body.statements()],
        ASTNode::Stmt(Stmt::For(each, _)) => vec![each.2.body.statements()],
        ASTNode::Stmt(Stmt::Block(block)) | ASTNode::Expr(Expr::Stmt(block)) => {
            vec![block.statements()]
        }
        _ => Vec::new(),
    }
}

/// Whether a node is one of these statements.
fn has(block: &[Stmt], node: &ASTNode<'_>) -> bool {
    position(block, node).is_some()
}

/// Which of these statements a node is.
fn position(block: &[Stmt], node: &ASTNode<'_>) -> Option<usize> {
    let ASTNode::Stmt(statement) = node else {
        return None;
    };
    // By address: two statements may have the same text.
    block
        .iter()
        .position(|other| std::ptr::eq(*statement, other))
}

/// Whether a node is this expression.
fn is_same(expression: &Expr, node: &ASTNode<'_>) -> bool {
    matches!(node, ASTNode::Expr(other) if std::ptr::eq(*other, expression))
}

/// Whether what follows a block never runs after it.
fn ends(block: &[Stmt]) -> bool {
    match block.last() {
        // `return` and `throw`; `break` and `continue`.
        Some(Stmt::Return(..) | Stmt::BreakLoop(..)) => true,
        Some(Stmt::FnCall(call, _)) => call.name == "skip",
        Some(Stmt::Expr(value)) => matches!(&**value, Expr::FnCall(call, _) if call.name == "skip"),
        Some(Stmt::Block(inner)) => ends(inner.statements()),
        Some(Stmt::If(flow, _)) => ends(flow.body.statements()) && ends(flow.branch.statements()),
        _ => false,
    }
}
