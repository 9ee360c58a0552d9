//! Literal arguments of built-in functions: durations, state keys, targets, networks, and the map
//! of `notify`. With these values a call fails each time it runs, so they are found before it does.

use reflexarc_diagnostic::{Code, Diagnostic, nearest, parse_duration};
use reflexarc_event::{Level, parse_network};
use rhai::{AST, ASTNode, Expr, FnCallExpr, Ident, Position, Stmt};

use super::kind_of;
use crate::ReactionLimits;
use crate::SourceLocation;
use crate::builtins::{
    DELAY_FIELDS, MESSAGE_FIELDS, check_key, empty_key, long_key, parse_after, too_long,
};
use crate::call_name::{CALL, written};
use crate::targets;
use crate::walk;

/// Names of other tools for the fields of a message.
const ALIASES: [(&str, &str); 17] = [
    ("body", "text"),
    ("content", "text"),
    ("description", "text"),
    ("message", "text"),
    ("msg", "text"),
    ("header", "title"),
    ("subject", "title"),
    ("summary", "title"),
    ("priority", "level"),
    ("severity", "level"),
    ("mention", "at"),
    ("mentions", "at"),
    ("recipients", "at"),
    ("href", "link"),
    ("url", "link"),
    ("delay", "after"),
    ("wait", "after"),
];

/// The errors in the literal arguments of a call of a built-in function.
pub(super) fn check_call(
    call: &FnCallExpr,
    source: &str,
    limits: &ReactionLimits,
) -> Vec<Diagnostic> {
    let error = |position: Position, message: String| {
        let span = SourceLocation::token(position, source);
        Diagnostic::error(Code::WRONG_ARGUMENTS, span, message)
    };
    let mut found = Vec::new();
    let text = |index: usize| match call.args.get(index) {
        Some(Expr::StringConstant(text, position)) => Some((text.as_str(), *position)),
        _ => None,
    };
    match (call.name.as_str(), call.args.get(2)) {
        ("set", Some(Expr::StringConstant(ttl, position))) => {
            if let Err(invalid) = parse_duration(ttl) {
                found.push(error(*position, format!("the ttl of `set`: {invalid}")));
            }
        }
        ("set", Some(Expr::IntegerConstant(seconds, position))) if *seconds < 1 => {
            let message = format!("the ttl of `set`: expected at least 1 second, found {seconds}");
            found.push(error(*position, message));
        }
        _ => {}
    }
    match (call.name.as_str(), text(0)) {
        (name @ ("get" | "set" | "remove" | "add"), Some((key, position))) => {
            if let Err(message) = check_key(name, key) {
                found.push(error(position, message));
            }
        }
        ("cancel", Some((key, position))) => {
            if let Some(message) = delay_key_fault("cancel", key, limits) {
                found.push(error(position, message));
            }
        }
        (name @ ("notify" | "send" | CALL), Some((target, position)))
            if target.trim().is_empty() =>
        {
            let name = written(name);
            found.push(error(position, format!("the target of `{name}` is empty")));
        }
        ("cidr_contains", Some((network, position))) if parse_network(network).is_none() => {
            let message =
                format!("invalid network `{network}` in `cidr_contains`; write it as 10.0.0.0/8");
            found.push(error(position, message));
        }
        _ => {}
    }
    if call.name == "notify"
        && let Some(map @ Expr::Map(..)) = call.args.get(1)
    {
        found.extend(check_message(map, source));
        found.extend(check_delay("notify", map, source, limits));
    }
    if call.name == CALL {
        found.extend(computed_names(call, source));
    }
    let delay = match call.name.as_str() {
        "send" => call.args.get(2),
        CALL => call.args.get(3),
        _ => None,
    };
    if let Some(map @ Expr::Map(members, _)) = delay {
        let function = written(&call.name);
        let names: Vec<&str> = members.0.iter().map(|(key, _)| key.name.as_str()).collect();
        let fields = members.0.iter().map(|(key, _)| key);
        let unknown = fields.filter(|key| !DELAY_FIELDS.contains(&key.name.as_str()));
        found.extend(unknown.map(|key| unknown_delay_field(function, key, &names, source)));
        found.extend(check_delay(function, map, source, limits));
    }
    found
}

/// The errors in the literal `after` and `key` of a map.
fn check_delay(
    function: &str,
    map: &Expr,
    source: &str,
    limits: &ReactionLimits,
) -> Vec<Diagnostic> {
    let Expr::Map(members, _) = map else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in &members.0 {
        let name = key.name.as_str();
        let fault = match (name, value) {
            ("after", Expr::StringConstant(text, _)) => match parse_after(function, text) {
                Ok(after) => too_long(function, after, limits),
                Err(message) => Some(message),
            },
            ("key", Expr::StringConstant(text, _)) => delay_key_fault(function, text, limits),
            (
                "after" | "key",
                Expr::IntegerConstant(..)
                | Expr::FloatConstant(..)
                | Expr::BoolConstant(..)
                | Expr::CharConstant(..)
                | Expr::Array(..)
                | Expr::Map(..),
            ) => Some(format!(
                "`{name}` of `{function}`: expected a string, found {}",
                kind_of(value)
            )),
            _ => None,
        };
        if let Some(message) = fault {
            let span = SourceLocation::token(value.start_position(), source);
            let error = Diagnostic::error(Code::WRONG_ARGUMENTS, span, message);
            // A number of seconds is the likely mistake, but it may be minutes.
            found.push(match (name, value) {
                ("after", Expr::IntegerConstant(..) | Expr::FloatConstant(..)) => {
                    error.with_help("write a duration, for example \"90s\" or \"15m\"")
                }
                _ => error,
            });
        }
    }
    found
}

/// What is wrong with the literal name of an action.
fn delay_key_fault(function: &str, key: &str, limits: &ReactionLimits) -> Option<String> {
    empty_key(function, key).or_else(|| long_key(function, key, limits))
}

/// The errors about a target and an operation of `call` that are no literals.
//
// What a rule can call must be known without running it: an operator decides by the list what a
// target allows. Texts of an event in these places would let its sender choose the operation.
fn computed_names(call: &FnCallExpr, source: &str) -> Vec<Diagnostic> {
    let names = [
        ("target", "\"ecs\""),
        ("operation", "\"DescribeInstances\""),
    ];
    let mut found = Vec::new();
    for ((what, example), argument) in names.iter().zip(&call.args) {
        let fault = match argument {
            Expr::StringConstant(text, _) if !text.trim().is_empty() => continue,
            Expr::StringConstant(..) if *what == "target" => continue,
            Expr::StringConstant(..) => format!("the {what} of `call` is empty"),
            _ => format!("the {what} of `call` must be a string literal"),
        };
        let span = SourceLocation::token(argument.start_position(), source);
        let error = Diagnostic::error(Code::WRONG_ARGUMENTS, span, fault);
        found.push(error.with_help(format!("write it in the call itself, such as {example}")));
    }
    found
}

/// The error about a field that the last map of `send` or `call` does not have; `others` are those
/// beside it.
fn unknown_delay_field(function: &str, key: &Ident, others: &[&str], source: &str) -> Diagnostic {
    let name = key.name.as_str();
    let span = SourceLocation::token(key.pos, source);
    let message = format!("unknown field `{name}` in the last map of `{function}`");
    let error = Diagnostic::error(Code::WRONG_ARGUMENTS, span.clone(), message);
    let alias = meant_field(name).filter(|field| DELAY_FIELDS.contains(field));
    match alias.or_else(|| nearest(name, DELAY_FIELDS)) {
        Some(meant) if &source[span.clone()] == name && !others.contains(&meant) => error
            .with_help(format!("did you mean `{meant}`?"))
            .with_fix(span, meant),
        Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
        None => error.with_help(format!("expected one of: {}", DELAY_FIELDS.join(", "))),
    }
}

/// Warnings about the maps that the script passes to `notify` in a variable: the fields that it
/// gives them where it makes them, and those that it sets afterwards.
pub(super) fn check_message_variables(ast: &AST, source: &str) -> Vec<Diagnostic> {
    // By name, wherever it is defined: another variable of the same name in another block may be
    // meant, so these are warnings.
    let mut messages = Vec::new();
    walk::script(ast, &mut |nodes| {
        let Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _))) =
            nodes.last()
        else {
            return true;
        };
        if call.name == "notify"
            && let Some(Expr::Variable(variable, ..)) = call.args.get(1)
        {
            messages.push(variable.1.to_string());
        }
        true
    });
    let mut found = Vec::new();
    if messages.is_empty() {
        return found;
    }
    let is_message = |name: &str| messages.iter().any(|message| message == name);
    let fields = message_fields(ast, &is_message);
    walk::script(ast, &mut |nodes| {
        match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) if is_message(&variable.0.name) => {
                if let Expr::Map(members, _) = &variable.1 {
                    let keys = members.0.iter();
                    found.extend(
                        keys.filter_map(|(key, _)| {
                            unknown_field(&key.name, key.pos, &fields, source)
                        }),
                    );
                }
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                if let Some((name, field, position)) = assigned_field(&assignment.1.lhs)
                    && is_message(name)
                {
                    found.extend(unknown_field(field, position, &fields, source));
                }
            }
            _ => {}
        }
        true
    });
    for diagnostic in &mut found {
        diagnostic.severity = reflexarc_diagnostic::Severity::Warning;
    }
    found
}

/// Warnings about times to live and delays that are literals, but not in the call itself: in a
/// constant, a branch or an argument of a function; the others were errors. No errors, because the
/// script may handle such a value apart.
pub(super) fn check_durations(ast: &AST, source: &str, limits: &ReactionLimits) -> Vec<Diagnostic> {
    let warning = |message, span| Diagnostic::warning(Code::WRONG_ARGUMENTS, span, message);
    let delays = targets::literal_delays(ast, source).into_iter();
    // `()` leaves out a delay, and so an empty text is a mistake, but it was made on purpose.
    let delays = delays.filter(|(_, (delay, _))| !delay.is_empty());
    let delays = delays.filter_map(|(function, (delay, span))| {
        let fault = match parse_after(function, &delay) {
            Ok(after) => too_long(function, after, limits),
            Err(message) => Some(message),
        };
        fault.map(|message| warning(message, span))
    });
    let ttls = targets::literal_ttls(ast, source).into_iter();
    let invalid = ttls.filter_map(|(ttl, span)| {
        let error = parse_duration(&ttl).err().filter(|_| !ttl.is_empty())?;
        let message = format!("the ttl of `set`: {error}");
        Some(warning(message, span))
    });
    invalid.chain(delays).collect()
}

/// The fields that the script gives to its messages in variables, of whatever name.
fn message_fields(ast: &AST, is_message: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut fields = Vec::new();
    walk::script(ast, &mut |nodes| {
        match nodes.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) if is_message(&variable.0.name) => {
                if let Expr::Map(members, _) = &variable.1 {
                    fields.extend(members.0.iter().map(|(key, _)| key.name.to_string()));
                }
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                if let Some((name, field, _)) = assigned_field(&assignment.1.lhs)
                    && is_message(name)
                {
                    fields.push(field.to_owned());
                }
            }
            _ => {}
        }
        true
    });
    // The same field may be set in several branches.
    fields.sort();
    fields.dedup();
    fields
}

/// The variable and the field of `m.field`.
fn assigned_field(target: &Expr) -> Option<(&str, &str, Position)> {
    match target {
        Expr::Dot(chain, ..) => match (&chain.lhs, &chain.rhs) {
            (Expr::Variable(variable, ..), Expr::Property(property, position)) => {
                Some((&variable.1, &property.2, *position))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The errors in a literal map of `notify`.
fn check_message(map: &Expr, source: &str) -> Vec<Diagnostic> {
    let Expr::Map(members, position) = map else {
        return Vec::new();
    };
    let error = |position: Position, message: String| {
        let span = SourceLocation::token(position, source);
        Diagnostic::error(Code::WRONG_ARGUMENTS, span, message)
    };
    let names: Vec<&str> = members.0.iter().map(|(key, _)| key.name.as_str()).collect();
    let mut found = Vec::new();
    for (key, value) in &members.0 {
        let name = key.name.as_str();
        if let Some(unknown) = unknown_field(name, key.pos, &names, source) {
            found.push(unknown);
            continue;
        }
        // Of other expressions the value is only known when they run.
        match (name, value) {
            ("level", Expr::StringConstant(word, position)) => {
                found.extend(unknown_level(word, *position, source));
            }
            (
                "title" | "text" | "link" | "level",
                Expr::IntegerConstant(..)
                | Expr::FloatConstant(..)
                | Expr::BoolConstant(..)
                | Expr::CharConstant(..)
                | Expr::Array(..)
                | Expr::Map(..),
            ) => {
                let message = format!(
                    "`{name}` of `notify`: expected a string, found {}",
                    kind_of(value)
                );
                found.push(error(value.start_position(), message));
            }
            (
                "at",
                Expr::FloatConstant(..)
                | Expr::BoolConstant(..)
                | Expr::CharConstant(..)
                | Expr::Map(..),
            ) => {
                let message = format!(
                    "`at` of `notify`: expected a string or an array of strings, found {}",
                    kind_of(value)
                );
                found.push(error(value.start_position(), message));
            }
            _ => {}
        }
    }
    let has_text = members.0.iter().any(|(key, value)| {
        matches!(key.name.as_str(), "title" | "text") && !matches!(value, Expr::Unit(_))
    });
    // An unknown key may be the misspelt one.
    if found.is_empty() && !has_text {
        let message = "the message of `notify` needs a `title` or a `text`".to_owned();
        found.push(error(*position, message));
    }
    found
}

/// The error about a field that messages do not have; `others` are the fields beside it.
fn unknown_field(
    name: &str,
    position: Position,
    others: &[impl AsRef<str>],
    source: &str,
) -> Option<Diagnostic> {
    if MESSAGE_FIELDS.contains(&name) {
        return None;
    }
    let span = SourceLocation::token(position, source);
    let message = format!("unknown field `{name}` in the message of `notify`");
    let error = Diagnostic::error(Code::WRONG_ARGUMENTS, span.clone(), message);
    Some(match meant_field(name) {
        Some(meant) => {
            let error = error.with_help(format!("did you mean `{meant}`?"));
            // Not where the message has that field already or might get it twice, as `body` and
            // `content` would both be its `text`; nor for a key in quotes.
            let mut others = others.iter().map(AsRef::as_ref);
            let is_taken = others
                .any(|other| other == meant || other != name && meant_field(other) == Some(meant));
            if is_taken || &source[span.clone()] != name {
                error
            } else {
                error.with_fix(span, meant)
            }
        }
        None => error.with_help(format!("expected one of: {}", MESSAGE_FIELDS.join(", "))),
    })
}

/// The field of a message that an unknown name stands for.
fn meant_field(name: &str) -> Option<&'static str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    alias
        .map(|(_, field)| *field)
        .or_else(|| nearest(name, MESSAGE_FIELDS))
}

/// The error about a level that does not exist.
fn unknown_level(word: &str, position: Position, source: &str) -> Option<Diagnostic> {
    if word.parse::<Level>().is_ok() {
        return None;
    }
    let start = SourceLocation::of(position, source)?.offset;
    let message = format!("unknown level `{word}` in `notify`");
    let levels = Level::ALL.map(Level::lowercase);
    let quoted = format!("\"{word}\"");
    let span = start..start + quoted.len();
    // A text with escapes differs from its source, and is no misspelt level.
    let is_plain = source.get(span.clone()) == Some(quoted.as_str());
    if let Some(meant) = nearest(word, levels).filter(|_| is_plain) {
        let error = Diagnostic::error(Code::WRONG_ARGUMENTS, span.clone(), message)
            .with_help(format!("did you mean \"{meant}\"?"))
            .with_fix(span, format!("\"{meant}\""));
        return Some(error);
    }
    let error = Diagnostic::error(
        Code::WRONG_ARGUMENTS,
        SourceLocation::token(position, source),
        message,
    );
    Some(error.with_help("expected one of: info, warn, critical"))
}
