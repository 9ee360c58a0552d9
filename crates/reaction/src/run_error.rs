//! Runtime errors of rhai as [`ReactionError`]s, worded for authors of rules.

use std::any::Any;

use rhai::EvalAltResult;

use crate::builtins::USAGES;
use crate::run::{Stop, grouped};
use crate::value::kind_of;
use crate::{ReactionError, ReactionLimits, SourceLocation, call_name};

/// The error of a run that rhai ended with `error`. `stop` is why the run stopped itself, if it
/// did.
pub(crate) fn of_run(
    error: EvalAltResult,
    stop: Option<Stop>,
    source: &str,
    limits: &ReactionLimits,
) -> ReactionError {
    let (error, function) = innermost(error);
    let at = SourceLocation::of(error.position(), source);
    // The error of rhai then only says that the script was terminated, but has its location.
    if let Some(Stop::Limit { limit, message }) = stop {
        return ReactionError::Limit {
            limit,
            message,
            at,
            function,
        };
    }
    match limit(&error, limits) {
        Some((limit, message)) => ReactionError::Limit {
            limit,
            message,
            at,
            function,
        },
        None => ReactionError::Script {
            message: self::message(&error),
            at,
            function,
        },
    }
}

/// The error of a run in which rhai, or the state that it read, panicked.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> ReactionError {
    let reason = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let message = format!(
        "the script interpreter panicked: {}",
        reason.unwrap_or("no message")
    );
    ReactionError::Script {
        message,
        at: None,
        function: None,
    }
}

/// The error itself, and the innermost function of the script in which it happened.
fn innermost(error: EvalAltResult) -> (EvalAltResult, Option<String>) {
    let (mut error, mut function) = (error, None);
    while let EvalAltResult::ErrorInFunctionCall(name, _, inner, _) = error {
        function = Some(if name.starts_with("anon$") {
            "closure".to_owned()
        } else {
            name
        });
        error = *inner;
    }
    (error, function)
}

/// The limit of rhai that was exceeded: its name in [`ReactionLimits`], and a message with its
/// value.
fn limit(error: &EvalAltResult, limits: &ReactionLimits) -> Option<(&'static str, String)> {
    Some(match error {
        EvalAltResult::ErrorTooManyOperations(_) => (
            "operations",
            format!(
                "the script runs more than {} operations",
                grouped(limits.operations)
            ),
        ),
        EvalAltResult::ErrorTooManyVariables(_) => (
            "variables",
            format!(
                "the script has more than {} variables in one scope",
                grouped(limits.variables)
            ),
        ),
        EvalAltResult::ErrorStackOverflow(_) => (
            "call_depth",
            format!(
                "function calls are nested more than {} deep",
                grouped(limits.call_depth)
            ),
        ),
        EvalAltResult::ErrorDataTooLarge(what, _) => too_large(what, limits),
        _ => return None,
    })
}

/// The limit of values that rhai describes as `what`, in prose: "Size of object map".
pub(crate) fn too_large(what: &str, limits: &ReactionLimits) -> (&'static str, String) {
    let what = what.to_ascii_lowercase();
    if what.contains("map") {
        (
            "map",
            format!("a map has more than {} members", grouped(limits.map)),
        )
    } else if what.contains("array") {
        (
            "array",
            format!("an array has more than {} elements", grouped(limits.array)),
        )
    } else {
        (
            "string",
            format!("a string has more than {} bytes", grouped(limits.string)),
        )
    }
}

fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorRuntime(value, _) if value.is_unit() => {
            "the script threw an error".to_owned()
        }
        EvalAltResult::ErrorRuntime(value, _) => value.to_string(),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => not_found(signature),
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("unknown variable `{name}`"),
        EvalAltResult::ErrorDotExpr(text, _) => dot(text),
        EvalAltResult::ErrorArithmetic(text, _) => text.clone(),
        EvalAltResult::ErrorAssignmentToConstant(name, _) => {
            format!("cannot assign to the constant `{name}`")
        }
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            format!("`{name}` cannot change a constant; copy it first: `let copy = …;`")
        }
        EvalAltResult::ErrorFor(_) => "`for` expects an array, the keys or values of a map, \
             the characters of a string or a range"
            .to_owned(),
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            format!(
                "index {index} is out of range; the array has {}",
                plural(*length, "element")
            )
        }
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            format!(
                "index {index} is out of range; the string has {}",
                plural(*length, "character")
            )
        }
        EvalAltResult::ErrorIndexingType(kind, _) => {
            format!(
                "{} cannot be indexed",
                kind_of(kind.split(['[', ' ']).next().unwrap_or_default())
            )
        }
        EvalAltResult::ErrorMismatchDataType(expected, found, _)
        | EvalAltResult::ErrorMismatchOutputType(expected, found, _) => {
            format!("expected {}, found {}", kind_of(expected), kind_of(found))
        }
        other => plain(other),
    }
}

/// The message of rhai without the location at its end, which is reported separately.
fn plain(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) if text.ends_with(')') => text[..at].to_owned(),
        _ => text,
    }
}

/// A call that no signature fits: an unknown function, or one that expects other arguments. rhai
/// gives the call as `name (type, type)`.
fn not_found(signature: &str) -> String {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let name = call_name::written(name);
    let found: Vec<&str> = arguments
        .strip_suffix(')')
        .unwrap_or(arguments)
        .split(", ")
        .filter(|kind| !kind.is_empty())
        .map(kind_of)
        .collect();
    let found = if found.is_empty() {
        "no arguments".to_owned()
    } else {
        found.join(" and ")
    };
    if let Some(usage) = USAGES.iter().find(|usage| usage.name == name) {
        return format!(
            "invalid arguments for `{name}`: expected {}, found {found}",
            usage.usage
        );
    }
    if name.chars().all(|c| c.is_ascii_punctuation() && c != '_') {
        let help = if found.contains("missing value") {
            "; give it a default: `(value ?? 0)`"
        } else {
            ""
        };
        return format!("cannot apply `{name}` to {found}{help}");
    }
    format!("no function `{name}` accepts {found}")
}

/// A property of a value that has none; mostly a field of a missing field. rhai gives it as
/// `Unknown property 'deeper' - a getter is not registered for type '()'`.
fn dot(text: &str) -> String {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(property), Some("()")) => {
            format!(
                "cannot read `{property}` of a missing value (`()`); \
                 write `?.{property}` to get `()` instead"
            )
        }
        (Some(property), Some(kind)) => format!("{} has no property `{property}`", kind_of(kind)),
        _ => text.to_owned(),
    }
}

fn plural(count: usize, what: &str) -> String {
    plural_of(&count.to_string(), what)
}

/// A count with its noun: `1 argument`, `2 or 3 arguments`.
pub(crate) fn plural_of(count: &str, what: &str) -> String {
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}
