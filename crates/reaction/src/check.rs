//! What can be known about a script without running it: whether the functions it calls are there and take what they are
//! given, whether its own functions see the variables they use, and whether it leaves alone what it must not change.

use std::any::TypeId;
use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic};
use rhai::{AST, ASTNode, Array, Dynamic, Expr, FnCallExpr, ImmutableString, Map, Position, Stmt};

use crate::sandbox::{Overload, Sandbox, absent};
use crate::syntax::{IN_SCOPE, unknown_variable};
use crate::vocabulary::{MESSAGE_FIELDS, USAGES};
use crate::{Place, fault};
use reflexarc_diagnostic::nearest;

/// Everything that is wrong with a script that rhai has parsed, in the order of the text.
pub(crate) fn check(sandbox: &Sandbox, ast: &AST, source: &str) -> Vec<Diagnostic> {
    let own: Vec<(&str, usize)> = ast
        .iter_functions()
        .map(|function| (function.name, function.params.len()))
        .collect();
    let mut checker = Checker {
        sandbox,
        source,
        own,
        found: Vec::new(),
    };
    let mut path = Vec::new();
    for statement in ast.statements() {
        statement.walk(&mut path, &mut |nodes| {
            checker.node(nodes);
            checker.scope(nodes);
            true
        });
    }
    for function in ast.iter_functions() {
        checker.name(function.name);
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, name, count| {
            name == function.name && count == function.params.len()
        });
        checker.function(&function.params, &alone);
    }
    checker
        .found
        .sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
    checker.found.dedup();
    checker.found
}

/// Whether the script changes elements of arrays or members of maps by name, which rhai does not measure.
pub(crate) fn assigns_elements(ast: &AST) -> bool {
    !ast.walk(&mut |nodes| !match nodes.last() {
        Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => is_element(&assignment.1.lhs),
        Some(ASTNode::Expr(Expr::MethodCall(call, _))) => call.name == "set",
        _ => false,
    })
}

struct Checker<'a> {
    sandbox: &'a Sandbox,
    source: &'a str,
    /// The script's own functions with their numbers of parameters.
    own: Vec<(&'a str, usize)>,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn error(&mut self, code: Code, position: Position, message: String, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, Place::token(position, self.source), message);
        diagnostic.help = help;
        self.found.push(diagnostic);
    }

    /// What is checked everywhere.
    fn node(&mut self, nodes: &[ASTNode<'_>]) {
        match nodes.last() {
            Some(
                ASTNode::Stmt(Stmt::FnCall(call, position))
                | ASTNode::Expr(Expr::FnCall(call, position)),
            ) => {
                self.call(call, false, *position);
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => {
                self.call(call, true, *position)
            }
            Some(ASTNode::Expr(Expr::FloatConstant(_, position))) => self.float(*position),
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => self.this(&assignment.1.lhs),
            _ => {}
        }
    }

    /// What is checked outside the script's own functions, where `event`, `rule` and `now` are in scope.
    fn scope(&mut self, nodes: &[ASTNode<'_>]) {
        let Some(ASTNode::Stmt(statement)) = nodes.last() else {
            return;
        };
        let taken = |name: &str| IN_SCOPE.contains(&name);
        for (name, position) in names_made(statement) {
            if taken(name) {
                let help = Some("choose another name".to_owned());
                self.error(
                    Code::SCRIPT_FORBIDDEN,
                    position,
                    format!("`{name}` is there already and cannot be replaced"),
                    help,
                );
            }
        }
        if let Stmt::Assignment(assignment) = statement
            && let Some((name, position)) = root(&assignment.1.lhs)
            && taken(name)
        {
            let help = Some(format!("copy it and change the copy: `let copy = {name};`"));
            self.error(
                Code::SCRIPT_FORBIDDEN,
                position,
                format!("`{name}` cannot be changed"),
                help,
            );
        }
    }

    /// One of the script's own functions, alone in its tree: its variables are its parameters and what it makes itself.
    fn function(&mut self, parameters: &[&str], alone: &AST) {
        let mut known: BTreeSet<String> = parameters.iter().map(ToString::to_string).collect();
        let mut used = Vec::new();
        alone.walk(&mut |nodes| {
            self.node(nodes);
            match nodes.last() {
                Some(ASTNode::Stmt(statement)) => {
                    known.extend(
                        names_made(statement)
                            .into_iter()
                            .map(|(name, _)| name.to_owned()),
                    );
                }
                Some(ASTNode::Expr(Expr::Variable(variable, _, position))) => {
                    used.push((variable.1.to_string(), *position));
                }
                _ => {}
            }
            true
        });
        for (name, position) in used.into_iter().filter(|(name, _)| !known.contains(name)) {
            self.found.push(unknown_variable(
                &name,
                self.source,
                Place::token(position, self.source),
            ));
        }
    }

    /// The name of one of the script's own functions, which must not be one of ours.
    fn name(&mut self, name: &str) {
        if !USAGES.iter().any(|usage| usage.name == name) {
            return;
        }
        let words = self.source.match_indices(name).map(|(at, _)| at);
        let start = words
            .into_iter()
            .find(|at| self.source[..*at].trim_end().ends_with("fn"))
            .unwrap_or_default();
        let message = format!("there is a function `{name}` already");
        let diagnostic =
            Diagnostic::error(Code::FUNCTION_TAKEN, start..start + name.len(), message);
        self.found.push(diagnostic.with_help("choose another name"));
    }

    fn call(&mut self, call: &FnCallExpr, method: bool, position: Position) {
        let name = call.name.as_str();
        if call.is_operator_call() || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        let given = call.args.len();
        if self
            .own
            .iter()
            .any(|(own, parameters)| *own == name && *parameters == given)
        {
            return;
        }
        let overloads = self.sandbox.overloads(name);
        let receiver = usize::from(method);
        let fits = |overload: &Overload| {
            overload.parameters == given + receiver
                && call
                    .args
                    .iter()
                    .zip(overload.types.iter().skip(receiver))
                    .all(|(argument, wanted)| accepts(*wanted, argument))
        };
        if overloads.iter().any(fits) {
            if name == "notify" {
                self.message_fields(call);
            }
            return;
        }
        if overloads.is_empty() && !self.own.iter().any(|(own, _)| *own == name) {
            return self.unknown_function(name, position);
        }
        let usage = USAGES
            .iter()
            .find(|usage| usage.name == name)
            .map(|usage| format!("call it as {}", usage.usage));
        let arity: BTreeSet<usize> = overloads
            .iter()
            .filter_map(|overload| overload.parameters.checked_sub(receiver))
            .chain(
                self.own
                    .iter()
                    .filter(|(own, _)| *own == name)
                    .map(|(_, parameters)| *parameters),
            )
            .collect();
        let message = if arity.contains(&given) {
            let kinds: Vec<&str> = call.args.iter().map(kind_of).collect();
            format!("`{name}` cannot be called with {}", kinds.join(" and "))
        } else {
            let arity: Vec<String> = arity.iter().map(ToString::to_string).collect();
            format!(
                "`{name}` wants {}, but gets {given}",
                fault::plural_of(&arity.join(" or "), "argument")
            )
        };
        self.error(Code::WRONG_ARGUMENTS, position, message, usage);
    }

    fn unknown_function(&mut self, name: &str, position: Position) {
        let message = format!("there is no function `{name}`");
        if let Some(reason) = absent(name) {
            return self.error(
                Code::SCRIPT_FORBIDDEN,
                position,
                message,
                Some(reason.to_owned()),
            );
        }
        let known = self
            .sandbox
            .function_names()
            .chain(self.own.iter().map(|(own, _)| *own));
        let span = Place::token(position, self.source);
        let diagnostic = Diagnostic::error(Code::UNKNOWN_FUNCTION, span.clone(), message);
        self.found.push(match nearest(name, known) {
            Some(meant) => diagnostic
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            None => diagnostic,
        });
    }

    /// The map of `notify`, where it is written out.
    fn message_fields(&mut self, call: &FnCallExpr) {
        let Some(Expr::Map(members, _)) = call.args.get(1) else {
            return;
        };
        for (key, _) in &members.0 {
            if !MESSAGE_FIELDS.contains(&key.name.as_str()) {
                let help = match nearest(&key.name, MESSAGE_FIELDS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", MESSAGE_FIELDS.join(", ")),
                };
                let message = format!("the message of `notify` has no field `{}`", key.name);
                self.error(Code::WRONG_ARGUMENTS, key.pos, message, Some(help));
            }
        }
    }

    /// `this` is no variable, so that nobody could measure what grows there.
    fn this(&mut self, target: &Expr) {
        if let (Expr::ThisPtr(position), true) = (first(target), is_element(target)) {
            let help =
                Some("make a function that takes the value and returns the changed one".to_owned());
            self.error(
                Code::SCRIPT_FORBIDDEN,
                *position,
                "elements of `this` cannot be changed".to_owned(),
                help,
            );
        }
    }

    /// rhai makes a float of an integer that does not fit, which would lose digits in silence.
    fn float(&mut self, position: Position) {
        let Some(place) = Place::of(position, self.source) else {
            return;
        };
        let rest = self.source[place.offset..].trim_start_matches('-');
        let literal = rest
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .next()
            .unwrap_or_default();
        if !literal.contains(['.', 'e', 'E']) {
            let help = Some("write it as text".to_owned());
            self.error(
                Code::SCRIPT_SYNTAX,
                position,
                format!("the integer {literal} does not fit into 64 bits"),
                help,
            );
        }
    }
}

/// The variables that a statement makes.
fn names_made(statement: &Stmt) -> Vec<(&str, Position)> {
    match statement {
        Stmt::Var(variable, ..) => vec![(variable.0.name.as_str(), variable.0.pos)],
        Stmt::For(each, _) => [Some(&each.0), each.1.as_ref()]
            .into_iter()
            .flatten()
            .map(|name| (name.name.as_str(), name.pos))
            .collect(),
        Stmt::TryCatch(flow, _) => match &flow.expr {
            Expr::Variable(variable, _, position) => vec![(variable.1.as_str(), *position)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The variable that a chain of fields and elements begins with.
fn root(expression: &Expr) -> Option<(&str, Position)> {
    match first(expression) {
        Expr::Variable(variable, _, position) => Some((variable.1.as_str(), *position)),
        _ => None,
    }
}

fn first(expression: &Expr) -> &Expr {
    match expression {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => first(&chain.lhs),
        other => other,
    }
}

/// Whether a chain has an element in it, as `a.b[c].d` has.
fn is_element(expression: &Expr) -> bool {
    match expression {
        Expr::Index(..) => true,
        Expr::Dot(chain, ..) => is_element(&chain.lhs) || is_element(&chain.rhs),
        _ => false,
    }
}

fn accepts(wanted: TypeId, argument: &Expr) -> bool {
    wanted == TypeId::of::<Dynamic>() || literal_type(argument).is_none_or(|given| given == wanted)
}

/// The type of an argument that is written out.
fn literal_type(argument: &Expr) -> Option<TypeId> {
    Some(match argument {
        Expr::IntegerConstant(..) => TypeId::of::<rhai::INT>(),
        Expr::FloatConstant(..) => TypeId::of::<rhai::FLOAT>(),
        Expr::BoolConstant(..) => TypeId::of::<bool>(),
        Expr::CharConstant(..) => TypeId::of::<char>(),
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => TypeId::of::<ImmutableString>(),
        Expr::Array(..) => TypeId::of::<Array>(),
        Expr::Map(..) => TypeId::of::<Map>(),
        Expr::Unit(_) => TypeId::of::<()>(),
        _ => return None,
    })
}

fn kind_of(argument: &Expr) -> &'static str {
    match argument {
        Expr::IntegerConstant(..) => "an integer",
        Expr::FloatConstant(..) => "a float",
        Expr::BoolConstant(..) => "a boolean",
        Expr::CharConstant(..) => "a character",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "a string",
        Expr::Array(..) => "an array",
        Expr::Map(..) => "a map",
        Expr::Unit(_) => "nothing, `()`",
        _ => "a value",
    }
}
