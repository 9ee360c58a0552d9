//! Checking a script without running it: whether the functions that it calls exist and accept their
//! arguments, whether its own functions use only their own variables, and whether it changes
//! read-only variables.
//!
//! rhai reports such errors only when a statement runs. `notfiy("team", "x")` in a branch that is
//! taken once a month would be found a month later.

mod arguments;
mod literal_texts;
mod missing_values;
mod quoted_literals;

use std::any::TypeId;
use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic, nearest};
use rhai::{AST, ASTNode, Array, Dynamic, Expr, FnCallExpr, ImmutableString, Map, Position, Stmt};

use crate::SourceLocation;
use crate::builtins::USAGES;
use crate::parse_error::undefined_variable;
use crate::run_error::plural_of;
use crate::sandbox::{Overload, Sandbox, unavailable};
use crate::variable_scope::is_reserved;
use crate::workspace::Workspace;
use crate::{ReactionLimits, ScriptVariables, call_name, foreign_syntax, walk};

/// The errors of a script that rhai has parsed, by location.
pub(crate) fn check(
    sandbox: &Sandbox,
    ast: &AST,
    variables: ScriptVariables,
    source: &str,
    limits: &ReactionLimits,
) -> Vec<Diagnostic> {
    let defined: Vec<(&str, usize)> = ast
        .iter_functions()
        .map(|function| (function.name, function.params.len()))
        .collect();
    let mut checker = Checker {
        sandbox,
        source,
        limits,
        variables,
        defined,
        errors: Vec::new(),
    };
    // Statements outside of functions and functions are checked apart: only the former see `event`,
    // `rule` and `now`, because functions in rhai see nothing but their parameters.
    for statement in ast.statements() {
        walk::statement(statement, &mut |nodes| {
            checker.check_node(nodes);
            checker.check_predefined(nodes);
            true
        });
    }
    for function in ast.iter_functions() {
        checker.check_function_name(function.name);
        // rhai walks the bodies of all functions together and does not tell where one ends, so each
        // function is walked in a tree of its own.
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, name, count| {
            name == function.name && count == function.params.len()
        });
        checker.check_function(&function.params, &alone);
    }
    checker
        .errors
        .sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.code));
    // Where rhai visits a node twice, the author sees one error.
    checker.errors.dedup();
    checker.errors
}

/// What a script without errors probably does not mean as it is written, by location.
pub(crate) fn warnings(
    sandbox: &Sandbox,
    ast: &AST,
    variables: ScriptVariables,
    source: &str,
    limits: &ReactionLimits,
) -> Vec<Diagnostic> {
    let compiles = |fixed: &str| {
        let compiled = call_name::compile(&sandbox.engine, &Workspace::names(variables), fixed);
        compiled.is_ok_and(|ast| check(sandbox, &ast, variables, fixed, limits).is_empty())
    };
    let mut warnings = literal_texts::check(&compiles, ast, source, limits.fixes);
    warnings.extend(arguments::check_message_variables(ast, source));
    warnings.extend(arguments::check_durations(ast, source, limits));
    warnings.extend(missing_values::check(
        ast,
        variables,
        source,
        limits.presence_checks,
    ));
    warnings.sort_by_key(|diagnostic| diagnostic.span.start);
    warnings
}

/// Whether the script assigns to elements of arrays or members of maps, which rhai does not
/// measure; see [`Run::measure`](crate::run::Run::measure).
pub(crate) fn assigns_elements(ast: &AST) -> bool {
    // `walk` stops, and returns false, when the closure does. A method `set` is `m.set(key,
    // value)`, which is the same as `m[key] = value`.
    !walk::script(ast, &mut |nodes| !match nodes.last() {
        Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => is_element(&assignment.1.lhs),
        Some(ASTNode::Expr(Expr::MethodCall(call, _))) => call.name == "set",
        _ => false,
    })
}

struct Checker<'a> {
    sandbox: &'a Sandbox,
    source: &'a str,
    limits: &'a ReactionLimits,
    variables: ScriptVariables,
    /// The functions that the script defines, with their numbers of parameters.
    defined: Vec<(&'a str, usize)>,
    errors: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn error(&mut self, code: Code, position: Position, message: String, help: Option<String>) {
        let mut diagnostic =
            Diagnostic::error(code, SourceLocation::token(position, self.source), message);
        diagnostic.help = help;
        self.errors.push(diagnostic);
    }

    /// Checks that apply everywhere.
    fn check_node(&mut self, nodes: &[ASTNode<'_>]) {
        match nodes.last() {
            Some(
                ASTNode::Stmt(Stmt::FnCall(call, position))
                | ASTNode::Expr(Expr::FnCall(call, position)),
            ) => {
                self.check_call(call, false, *position);
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => {
                self.check_call(call, true, *position);
            }
            Some(ASTNode::Expr(Expr::FloatConstant(_, position))) => self.check_float(*position),
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => self.check_this(&assignment.1.lhs),
            _ => {}
        }
    }

    /// Checks outside of functions, where the predefined variables are in scope.
    fn check_predefined(&mut self, nodes: &[ASTNode<'_>]) {
        let Some(ASTNode::Stmt(statement)) = nodes.last() else {
            return;
        };
        for (name, position) in defined_names(statement) {
            if is_reserved(name) {
                let help = Some("choose another name".to_owned());
                self.error(
                    Code::SCRIPT_FORBIDDEN,
                    position,
                    format!("`{name}` is predefined and cannot be redefined"),
                    help,
                );
            }
        }
        if let Stmt::Assignment(assignment) = statement
            && let Some((name, position)) = predefined_root(&assignment.1.lhs)
            && self.variables.names().any(|known| known == name)
        {
            let help = Some(format!("copy it and change the copy: `let copy = {name};`"));
            self.error(
                Code::SCRIPT_FORBIDDEN,
                position,
                format!("`{name}` is read-only"),
                help,
            );
        }
    }

    /// Checks one function, alone in its tree: its variables are its parameters and those that it
    /// defines.
    fn check_function(&mut self, parameters: &[&str], alone: &AST) {
        // Scopes inside the function are ignored: a variable counts as known in the whole function
        // if it is defined anywhere in it. This misses `if a { let b = 1; } b`, which rhai reports
        // when it runs, and never reports a valid function.
        let mut known: BTreeSet<String> = parameters.iter().map(ToString::to_string).collect();
        let mut used = Vec::new();
        walk::script(alone, &mut |nodes| {
            self.check_node(nodes);
            match nodes.last() {
                Some(ASTNode::Stmt(statement)) => {
                    known.extend(
                        defined_names(statement)
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
        let in_scope: Vec<&str> = known.iter().map(String::as_str).collect();
        for (name, position) in used.iter().filter(|(name, _)| !known.contains(name)) {
            let span = SourceLocation::token(*position, self.source);
            self.errors.push(undefined_variable(
                name,
                self.source,
                self.variables,
                span,
                &in_scope,
            ));
        }
    }

    /// Checks that a function of the script does not replace a built-in one.
    fn check_function_name(&mut self, name: &str) {
        let name = call_name::written(name);
        if !USAGES.iter().any(|usage| usage.name == name) {
            return;
        }
        // rhai does not keep the position of a function's name, so it is searched in the text: the
        // first occurrence that follows `fn`. In a comment it would be wrong, but not far.
        let mut occurrences = self.source.match_indices(name).map(|(at, _)| at);
        let start = occurrences
            .find(|at| self.source[..*at].trim_end().ends_with("fn"))
            .unwrap_or_default();
        let message = format!("the function `{name}` is built in and cannot be redefined");
        let diagnostic =
            Diagnostic::error(Code::DUPLICATE_FUNCTION, start..start + name.len(), message);
        self.errors
            .push(diagnostic.with_help("choose another name"));
    }

    fn check_call(&mut self, call: &FnCallExpr, is_method: bool, position: Position) {
        let name = call.name.as_str();
        // To rhai operators are calls too.
        if call.is_operator_call() || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        let given = call.args.len();
        // The script's own functions accept any types.
        if self
            .defined
            .iter()
            .any(|(defined, parameters)| *defined == name && *parameters == given)
        {
            return;
        }
        let overloads = self.sandbox.overloads(name);
        // `event.name.starts_with("x")` and `starts_with(event.name, "x")` are the same call; the
        // receiver is a parameter of the signature, but not an argument here.
        let receiver = usize::from(is_method);
        // Types are only compared for literals: `notify("t", 5)` is an error here, while
        // `notify("t", x)` depends on `x` and is checked when it runs.
        if overloads
            .iter()
            .any(|overload| fits(overload, call, receiver))
        {
            // A method has its first argument before the dot.
            if !is_method {
                let found = arguments::check_call(call, self.source, self.limits);
                self.errors.extend(found);
            }
            return;
        }
        if overloads.is_empty() && !self.defined.iter().any(|(defined, _)| *defined == name) {
            return self.unknown_function(call, receiver, position);
        }
        let usage = USAGES
            .iter()
            .find(|usage| usage.name == call_name::written(name))
            .map(|usage| format!("call it as {}", usage.usage));
        let arity: BTreeSet<usize> = overloads
            .iter()
            .filter_map(|overload| overload.parameters.checked_sub(receiver))
            .chain(
                self.defined
                    .iter()
                    .filter(|(defined, _)| *defined == name)
                    .map(|(_, parameters)| *parameters),
            )
            .collect();
        // Either the number of arguments is wrong, or their types are.
        let message = if arity.contains(&given) {
            let kinds: Vec<&str> = call.args.iter().map(kind_of).collect();
            let name = call_name::written(name);
            format!("invalid arguments for `{name}`: {}", kinds.join(" and "))
        } else {
            let arity: Vec<String> = arity.iter().map(ToString::to_string).collect();
            let name = call_name::written(name);
            format!(
                "`{name}` expects {}, found {given}",
                plural_of(&arity.join(" or "), "argument")
            )
        };
        self.error(Code::WRONG_ARGUMENTS, position, message, usage);
    }

    fn unknown_function(&mut self, call: &FnCallExpr, receiver: usize, position: Position) {
        let name = call.name.as_str();
        let message = format!("unknown function `{name}`");
        // A function that authors know from elsewhere gets an explanation; for other names a
        // misspelling is the likely cause.
        if let Some(reason) = unavailable(name) {
            let message = format!("`{name}` is not available in scripts");
            return self.error(
                Code::SCRIPT_FORBIDDEN,
                position,
                message,
                Some(reason.to_owned()),
            );
        }
        // Only functions that take these arguments: another one would be the next error.
        let takes = |known: &str| {
            let overloads = self.sandbox.overloads(call_name::registered(known));
            overloads
                .iter()
                .any(|overload| fits(overload, call, receiver))
        };
        let given = call.args.len() + receiver;
        let defined = self.defined.iter();
        let known: Vec<&str> = self
            .sandbox
            .function_names()
            .filter(|known| takes(known))
            .chain(
                defined
                    .filter(|(_, count)| *count == given)
                    .map(|(name, _)| *name),
            )
            .collect();
        let span = SourceLocation::token(position, self.source);
        let diagnostic = Diagnostic::error(Code::UNKNOWN_FUNCTION, span.clone(), message);
        // Before misspellings: `strip` is no misspelt `trim`.
        let help = foreign_syntax::function_help(name);
        let meant = foreign_syntax::function(name, &known).or_else(|| nearest(name, known));
        self.errors.push(match (help, meant) {
            (Some(help), _) => diagnostic.with_help(help),
            (None, Some(meant)) => diagnostic
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            (None, None) => diagnostic,
        });
    }

    /// Checks that an assignment does not change an element of `this`.
    fn check_this(&mut self, target: &Expr) {
        // rhai does not report uses of `this` as uses of a variable, so a value that grows there
        // could not be measured (see `Run::measure`):
        //
        //     fn grow() { loop { this[`${this.len()}`] = 1; } }
        //     let m = #{}; m.grow();
        if let (Expr::ThisPtr(position), true) = (first(target), is_element(target)) {
            let help = Some(
                "write a function that takes the value and returns the changed one".to_owned(),
            );
            self.error(
                Code::SCRIPT_FORBIDDEN,
                *position,
                "cannot assign to an element of `this`".to_owned(),
                help,
            );
        }
    }

    /// Checks that a float was written as one.
    fn check_float(&mut self, position: Position) {
        // rhai reads an integer beyond 64 bits as a float: 99999999999999999999 would silently
        // become 100000000000000000000. The tree does not keep the spelling, but the text does.
        let Some(location) = SourceLocation::of(position, self.source) else {
            return;
        };
        // The parser folds a minus sign into the constant.
        let rest = self.source[location.offset..].trim_start_matches('-');
        let literal = rest
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
            .next()
            .unwrap_or_default();
        if !literal.contains(['.', 'e', 'E']) {
            let help = Some("write it as a string".to_owned());
            self.error(
                Code::SCRIPT_SYNTAX,
                position,
                format!("integer `{literal}` does not fit into 64 bits"),
                help,
            );
        }
    }
}

/// The variables that a statement defines.
fn defined_names(statement: &Stmt) -> Vec<(&str, Position)> {
    // `let x`, `const x`; `for x in …` and `for (x, index) in …`; `catch (x)`.
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

/// The variable at the start of a chain of fields and elements, `a` of `a.b[c]`, unless the script
/// has defined it.
fn predefined_root(expression: &Expr) -> Option<(&str, Position)> {
    match first(expression) {
        // Only the script's own variables have an index: how far back they were defined.
        Expr::Variable(variable, _, position) if variable.0.is_none() => {
            Some((variable.1.as_str(), *position))
        }
        _ => None,
    }
}

fn first(expression: &Expr) -> &Expr {
    match expression {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => first(&chain.lhs),
        other => other,
    }
}

/// Whether a chain contains an element, as `a.b[c].d` does.
fn is_element(expression: &Expr) -> bool {
    // rhai measures a map that grows by `m.key = value`, but not one that grows by `m[key] =
    // value`.
    match expression {
        Expr::Index(..) => true,
        Expr::Dot(chain, ..) => is_element(&chain.lhs) || is_element(&chain.rhs),
        _ => false,
    }
}

/// Whether a parameter of type `expected` may accept the argument: only literals have a type before
/// the script runs.
fn accepts(expected: TypeId, argument: &Expr) -> bool {
    expected == TypeId::of::<Dynamic>()
        || literal_type(argument).is_none_or(|found| found == expected)
}

/// Whether the function takes the arguments of the call; `receiver` is 1 for a method, whose
/// receiver is a parameter.
fn fits(overload: &Overload, call: &FnCallExpr, receiver: usize) -> bool {
    overload.parameters == call.args.len() + receiver
        && call
            .args
            .iter()
            .zip(overload.types.iter().skip(receiver))
            .all(|(argument, expected)| accepts(*expected, argument))
}

/// The type of a literal argument.
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
        Expr::Unit(_) => "a missing value (`()`)",
        _ => "a value",
    }
}
