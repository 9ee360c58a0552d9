//! The targets, times to live and delays that a script names by literals, found without running it.
//!
//! A misspelt target would otherwise be noticed when its first alert is undeliverable. Texts that a
//! script computes can only be seen when it runs.

use std::collections::BTreeMap;

use reflexarc_diagnostic::Span;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::SourceLocation;
use crate::builtins::USAGES;
use crate::call_name::{CALL, written};
use crate::walk;

/// A target that a script names, such as `"network-team"` in `notify("network-team", text)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedTarget {
    /// The name.
    pub name: String,
    /// The literal in the script, quotes included.
    pub span: Span,
}

/// An operation that a script calls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedCall {
    /// The name of the target.
    pub target: String,
    /// The operation.
    pub operation: String,
    /// The literal of the target in the script, quotes included.
    pub target_span: Span,
    /// The literal of the operation, quotes included.
    pub operation_span: Span,
}

/// The operations that a script calls, by location. Both are literals in the call itself: that is
/// checked when it is compiled.
pub(crate) fn named_calls(ast: &AST, source: &str) -> Vec<NamedCall> {
    let mut calls = Vec::new();
    walk::script(ast, &mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _))) =
            nodes.last()
            && call.name == CALL
            && let [target, operation, ..] = &call.args[..]
            && let (Some(target), Some(operation)) = (literal(target), literal(operation))
        {
            calls.push(NamedCall {
                target: target.0,
                operation: operation.0,
                target_span: literal_span(target.1, source),
                operation_span: literal_span(operation.1, source),
            });
        }
        true
    });
    calls.sort_by_key(|call| call.target_span.start);
    calls.dedup();
    calls
}

/// Every literal that can become the target of `notify`, `send` or `call`, by location.
pub(crate) fn named_targets(ast: &AST, source: &str) -> Vec<NamedTarget> {
    let sinks = [
        ("notify", 2),
        ("send", 2),
        ("send", 3),
        (CALL, 3),
        (CALL, 4),
    ];
    let sinks = sinks.map(|(function, arity)| Sink::target(function, arity));
    let found = literal_arguments(ast, source, sinks.into());
    let mut targets: Vec<NamedTarget> = found
        .into_iter()
        // `let team = if a { "x" } else { "" }; if team != "" { … }` names no target there.
        .filter(|found| found.is_direct || !found.text.trim().is_empty())
        .map(|found| NamedTarget {
            name: found.text,
            span: found.span,
        })
        .collect();
    targets.dedup();
    targets
}

/// Every literal that can become the time to live of `set`, by location.
pub(crate) fn literal_ttls(ast: &AST, source: &str) -> Vec<(String, Span)> {
    let found = literal_arguments(ast, source, vec![Sink::ttl()]).into_iter();
    let ttls = found.map(|found| (found.text, found.span));
    let mut ttls: Vec<_> = ttls.collect();
    ttls.dedup();
    ttls
}

/// Every literal that can become the `after` of an action, by location and with the function that
/// gets it.
pub(crate) fn literal_delays(ast: &AST, source: &str) -> Vec<(&'static str, (String, Span))> {
    let mut delays = Vec::new();
    for (function, sink) in [
        ("notify", Sink::after("notify", 2)),
        ("send", Sink::after("send", 3)),
        ("call", Sink::after(CALL, 4)),
    ] {
        let found = literal_arguments(ast, source, vec![sink]).into_iter();
        delays.extend(found.map(|found| (function, (found.text, found.span))));
    }
    delays.dedup();
    delays
}

/// A literal that becomes an argument.
struct LiteralArgument {
    text: String,
    /// The literal in the script, quotes included.
    span: Span,
    /// Whether the literal is the argument itself.
    is_direct: bool,
}

/// Every literal that can become one of these arguments, by location.
//
// Besides the argument itself these are followed, because authors write them to name a target once:
//
//     const TEAM = "network-team";  notify(TEAM, text)           a variable that never changes
//     for team in ["a", "b"] { notify(team, text) }              a loop over literals
//     notify(if urgent { "on-call" } else { "team" }, text)      branches, `switch` and `??`
//     fn alert(team, text) { notify(team, text) } alert("a", x)  a parameter that is passed on
fn literal_arguments(ast: &AST, source: &str, mut sinks: Vec<Sink>) -> Vec<LiteralArgument> {
    let functions: Vec<(String, Vec<String>, AST)> = ast
        .iter_functions()
        .map(|function| {
            let (name, arity) = (function.name, function.params.len());
            let mut alone = ast.clone_functions_only();
            alone.retain_functions(|_, _, found, count| found == name && count == arity);
            let parameters = function.params.iter().map(ToString::to_string).collect();
            (name.to_owned(), parameters, alone)
        })
        .collect();
    let own: Vec<&str> = functions.iter().map(|(name, ..)| name.as_str()).collect();
    // A function that passes a parameter on may be called by another that does: each round finds at
    // least one more function, or ends.
    loop {
        let known = sinks.len();
        for (name, parameters, body) in &functions {
            let variables = Variables::of(body, parameters, &own);
            let mut found = Vec::new();
            walk::script(body, &mut |nodes| {
                for argument in target_arguments(nodes, &sinks) {
                    let index = variables.parameter(argument);
                    found.extend(index.map(|index| Sink {
                        function: name.clone(),
                        arity: parameters.len(),
                        index,
                        field: None,
                    }));
                }
                true
            });
            sinks.extend(found);
            sinks.sort();
            sinks.dedup();
        }
        if sinks.len() == known {
            break;
        }
    }
    let mut literals = Vec::new();
    let main = ast.clone_statements_only();
    let bodies = functions
        .iter()
        .map(|(_, parameters, body)| (body, &parameters[..]));
    for (body, parameters) in bodies.chain([(&main, &[][..])]) {
        let variables = Variables::of(body, parameters, &own);
        walk::script(body, &mut |nodes| {
            for argument in target_arguments(nodes, &sinks) {
                let mut found = Vec::new();
                variables.literals(argument, &mut found);
                let is_direct = literal(argument).is_some();
                literals.extend(found.into_iter().map(|found| (found, is_direct)));
            }
            true
        });
    }
    let arguments = literals
        .into_iter()
        .map(|((text, position), is_direct)| LiteralArgument {
            text,
            span: literal_span(position, source),
            is_direct,
        });
    let mut arguments: Vec<LiteralArgument> = arguments.collect();
    arguments.sort_by_key(|argument| argument.span.start);
    arguments
}

/// A parameter whose value becomes a target, a time to live or a delay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sink {
    function: String,
    arity: usize,
    index: usize,
    /// The field of the map that the parameter is.
    field: Option<&'static str>,
}

impl Sink {
    /// The first of the parameters of a built-in function.
    fn target(name: &str, arity: usize) -> Self {
        Self {
            function: name.to_owned(),
            arity,
            index: 0,
            field: None,
        }
    }

    /// `after` in the map that is the last parameter of a built-in function.
    fn after(name: &str, arity: usize) -> Self {
        Self {
            function: name.to_owned(),
            arity,
            index: arity - 1,
            field: Some("after"),
        }
    }

    /// The last of the parameters of `set(key, value, ttl)`.
    fn ttl() -> Self {
        Self {
            function: "set".to_owned(),
            arity: 3,
            index: 2,
            field: None,
        }
    }
}

/// A string of the script and where it begins.
type Literal = (String, Position);

/// What is known of the variables of a function, or of the statements outside of functions.
struct Variables<'a> {
    parameters: &'a [String],
    /// The names of the script's own functions.
    own: &'a [&'a str],
    /// The literals that a variable can have; `None` if it is changed or defined again.
    values: BTreeMap<String, Option<Vec<Literal>>>,
}

impl<'a> Variables<'a> {
    fn of(body: &AST, parameters: &'a [String], own: &'a [&'a str]) -> Self {
        let mut found = Self {
            parameters,
            own,
            values: BTreeMap::new(),
        };
        walk::script(body, &mut |nodes| {
            match nodes.last() {
                Some(ASTNode::Stmt(statement)) => found.observe(statement),
                Some(ASTNode::Expr(Expr::FnCall(call, _))) => found.forget_changed(call),
                // A method may change its receiver, as `name.replace("a", "b")` does.
                Some(ASTNode::Expr(Expr::Dot(chain, ..))) if method(&chain.rhs).is_some() => {
                    found.forget(&chain.lhs);
                }
                _ => {}
            }
            true
        });
        found
    }

    fn observe(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(variable, ..) => {
                let mut literals = Vec::new();
                self.literals(&variable.1, &mut literals);
                self.define(&variable.0.name, Some(literals));
            }
            Stmt::For(each, _) => {
                let literals = match &each.2.expr {
                    Expr::Array(elements, _) => {
                        let mut found = Vec::new();
                        for element in elements {
                            self.literals(element, &mut found);
                        }
                        Some(found)
                    }
                    _ => None,
                };
                self.define(&each.0.name, literals);
                if let Some(counter) = &each.1 {
                    self.define(&counter.name, None);
                }
            }
            Stmt::Assignment(assignment) => self.forget(&assignment.1.lhs),
            Stmt::FnCall(call, _) => self.forget_changed(call),
            Stmt::TryCatch(flow, _) => self.forget(&flow.expr),
            _ => {}
        }
    }

    /// A variable that is defined twice, or shadows a parameter, is not followed.
    fn define(&mut self, name: &str, literals: Option<Vec<Literal>>) {
        let is_new = !self.values.contains_key(name) && !self.parameters.iter().any(|p| p == name);
        self.values
            .insert(name.to_owned(), literals.filter(|_| is_new));
    }

    fn forget(&mut self, expression: &Expr) {
        if let Expr::Variable(variable, ..) = expression {
            self.values.insert(variable.1.to_string(), None);
        }
    }

    /// A function of rhai may change its first argument; those of the sandbox do not, and those of
    /// the script get a copy.
    fn forget_changed(&mut self, call: &FnCallExpr) {
        let name = written(&call.name);
        if !USAGES.iter().any(|usage| usage.name == name)
            && !self.own.contains(&name)
            && let Some(first) = call.args.first()
        {
            self.forget(first);
        }
    }

    /// The parameter that an expression is.
    fn parameter(&self, expression: &Expr) -> Option<usize> {
        let Expr::Variable(variable, ..) = expression else {
            return None;
        };
        let name = variable.1.as_str();
        let index = self.parameters.iter().position(|known| known == name)?;
        (!self.values.contains_key(name)).then_some(index)
    }

    /// Appends the literals that an expression can be, whatever else it can be too: with
    /// `event.team ?? "network-team"` some events lead to the team, and the literal must exist.
    fn literals(&self, expression: &Expr, found: &mut Vec<Literal>) {
        match expression {
            Expr::StringConstant(..) => found.extend(literal(expression)),
            Expr::Variable(variable, ..) => {
                let literals = self.values.get(variable.1.as_str());
                found.extend(literals.into_iter().flatten().flatten().cloned());
            }
            Expr::Coalesce(operands, _) => {
                for operand in operands.iter() {
                    self.literals(operand, found);
                }
            }
            Expr::Stmt(block) => self.block_literals(block.statements(), found),
            _ => {}
        }
    }

    /// As [`Variables::literals`] for the value of a block, which is that of its last statement.
    fn block_literals(&self, block: &[Stmt], found: &mut Vec<Literal>) {
        match block.last() {
            Some(Stmt::Expr(value)) => self.literals(value, found),
            Some(Stmt::Block(inner)) => self.block_literals(inner.statements(), found),
            Some(Stmt::If(flow, _)) => {
                self.block_literals(flow.body.statements(), found);
                self.block_literals(flow.branch.statements(), found);
            }
            Some(Stmt::Switch(switch, _)) => {
                for case in &switch.1.expressions {
                    self.literals(&case.rhs, found);
                }
            }
            _ => {}
        }
    }
}

/// The arguments of a node that become targets.
fn target_arguments<'n>(nodes: &[ASTNode<'n>], sinks: &[Sink]) -> Vec<&'n Expr> {
    let of_call = |call: &'n FnCallExpr, receiver: Option<&'n Expr>| {
        let arguments: Vec<&Expr> = receiver.into_iter().chain(&call.args).collect();
        let sinks = sinks
            .iter()
            .filter(|sink| sink.function == call.name.as_str() && sink.arity == arguments.len());
        let found = sinks.filter_map(|sink| match sink.field {
            None => Some(arguments[sink.index]),
            Some(field) => member(arguments[sink.index], field),
        });
        found.collect()
    };
    match nodes.last() {
        Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _))) => {
            of_call(call, None)
        }
        // `"network-team".notify(text)` is the same call.
        Some(ASTNode::Expr(Expr::Dot(chain, ..))) => method(&chain.rhs)
            .map(|call| of_call(call, Some(&chain.lhs)))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The value of a member of a literal map.
fn member<'n>(map: &'n Expr, name: &str) -> Option<&'n Expr> {
    let Expr::Map(members, _) = map else {
        return None;
    };
    let members = &mut members.0.iter();
    let (_, value) = members.find(|(key, _)| key.name == name)?;
    Some(value)
}

/// The method that is called first on the right of a dot.
fn method(right: &Expr) -> Option<&FnCallExpr> {
    match right {
        Expr::MethodCall(call, _) => Some(call),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => method(&chain.lhs),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<Literal> {
    match expression {
        Expr::StringConstant(text, position) => Some((text.to_string(), *position)),
        _ => None,
    }
}

/// The span of a string that begins at `position`, quotes included.
fn literal_span(position: Position, source: &str) -> Span {
    let token = SourceLocation::token(position, source);
    let start = token.start;
    let Some(quote) = source[start..]
        .chars()
        .next()
        .filter(|c| "\"`".contains(*c))
    else {
        return token;
    };
    let mut escaped = false;
    let end = source[start + 1..].char_indices().find(|(_, letter)| {
        // `\"` does not end the string; in backticks a backslash is a character like any other.
        let ends = *letter == quote && !escaped;
        escaped = quote == '"' && *letter == '\\' && !escaped;
        ends
    });
    end.map_or(token, |(length, _)| start..start + 1 + length + 1)
}

#[cfg(test)]
mod tests {
    use crate::{Reaction, ReactionLimits};

    /// The names, after checking that each span is the literal itself.
    fn named(script: &str) -> Vec<String> {
        let reaction = Reaction::compile(script, &ReactionLimits::DEFAULT).unwrap();
        let targets = reaction.targets().into_iter().map(|target| {
            let literal = &script[target.span.clone()];
            let unquoted = &literal[1..literal.len() - 1];
            assert_eq!(unquoted.replace("\\\"", "\""), target.name, "{script}");
            target.name
        });
        targets.collect()
    }

    #[test]
    fn literal_targets_are_found_everywhere() {
        for (script, expected) in [
            (r#"notify("a", "x")"#, vec!["a"]),
            (
                r#"notify("网络", "x"); send(`b"c`, 1);"#,
                vec!["网络", "b\"c"],
            ),
            (r#"send("a\"b", 1)"#, vec!["a\"b"]),
            (r#""a".notify("x"); "b".send(#{});"#, vec!["a", "b"]),
            (
                r#"if event.x == 1 { notify("a", "x") } else { send("b", 1) }"#,
                vec!["a", "b"],
            ),
            (
                r#"let f = 1; while f < 3 { f += 1; send("a", f); }"#,
                vec!["a"],
            ),
            (r#"let t = send("a", 1);"#, vec!["a"]),
            (r#"const T = "a"; notify(T, "x"); send(T, 1);"#, vec!["a"]),
            (r#"let t = "a"; log(t); notify(t, "x");"#, vec!["a"]),
            (r#"for t in ["a", "b"] { notify(t, "x") }"#, vec!["a", "b"]),
            (
                r#"notify(if event.x == 1 { "a" } else { "b" }, "x")"#,
                vec!["a", "b"],
            ),
            (
                r#"let t = if event.x == 1 { "a" } else { "b" }; notify(t, "x")"#,
                vec!["a", "b"],
            ),
            (
                r#"let t = switch event.x { 1 => "a", 2 => { "b" }, _ => "c" }; send(t, 1)"#,
                vec!["a", "b", "c"],
            ),
            (r#"send(event.team ?? "a", 1)"#, vec!["a"]),
            (r#"let t = event.team ?? "a"; send(t, 1)"#, vec!["a"]),
            (r#"for t in [event.a, "b"] { send(t, 1) }"#, vec!["b"]),
            (
                r#"let t = switch event.x { 1 => "a", 2 => "" }; send(t, 1)"#,
                vec!["a"],
            ),
            (r#"fn f(x) { send("a", x) } f(1);"#, vec!["a"]),
            (
                r#"fn f(t, x) { send(t, x) } f("a", 1); f("b", 2);"#,
                vec!["a", "b"],
            ),
            (
                r#"fn g(x, t) { f(t, x) } fn f(t, x) { send(t, x) } g(1, "a");"#,
                vec!["a"],
            ),
            (
                r#"fn f(x) { let t = "a"; send(t, x) } let t = "b"; f(t);"#,
                vec!["a"],
            ),
        ] {
            assert_eq!(named(script), expected, "{script}");
        }
    }

    #[test]
    fn computed_targets_are_not_guessed() {
        for script in [
            "notify(event.team, `x`)",
            "send(`team-${event.region}`, 1)",
            r#"send("team-" + event.region, 1)"#,
            r#"let t = ""; if event.x == 1 { t = "a"; } send(t, 1);"#,
            r#"let t = "a"; t += event.region; send(t, 1);"#,
            r#"let t = "a"; { let t = event.team; send(t, 1); } send(t, 1);"#,
            r#"let t = "a"; t.replace("a", "b"); send(t, 1);"#,
            r#"fn f(t) { let t = "x-" + t; send(t, 1) } f("a");"#,
            r#"log("a"); set("a", "b"); emit(#{ name: "a" });"#,
            r#"let t = if event.x == 1 { event.a } else { "" }; send(t, 1);"#,
        ] {
            assert_eq!(named(script), Vec::<String>::new(), "{script}");
        }
    }
}
