//! rhai's errors in our words: what a script did wrong, where, and what the function it called wanted.

use std::any::Any;

use rhai::EvalAltResult;

use crate::run::{Stop, grouped};
use crate::value::kind_of;
use crate::vocabulary::USAGES;
use crate::{Limits, Place, ReactionError};

/// The error of a run that rhai ended with `error`, and that we wanted to end with `stop`.
pub(crate) fn of_run(
    error: EvalAltResult,
    stop: Option<Stop>,
    source: &str,
    limits: &Limits,
) -> ReactionError {
    let (error, function) = innermost(error);
    let at = Place::of(error.position(), source);
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

/// The error of a run in which rhai, or the state it read, panicked.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> ReactionError {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let message = format!(
        "the script made the interpreter panic: {}",
        words.unwrap_or("no reason given")
    );
    ReactionError::Script {
        message,
        at: None,
        function: None,
    }
}

/// The error itself, and the script's own function it came from.
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

/// The limit that rhai found exceeded: our name for it, and a message with its value.
fn limit(error: &EvalAltResult, limits: &Limits) -> Option<(&'static str, String)> {
    Some(match error {
        EvalAltResult::ErrorTooManyOperations(_) => (
            "operations",
            format!(
                "the script ran more than {} operations",
                grouped(limits.operations)
            ),
        ),
        EvalAltResult::ErrorTooManyVariables(_) => (
            "variables",
            format!(
                "the script has more than {} variables at one time in one place",
                grouped(limits.variables)
            ),
        ),
        EvalAltResult::ErrorStackOverflow(_) => (
            "call_depth",
            format!(
                "the script's functions call each other more than {} deep",
                grouped(limits.call_depth)
            ),
        ),
        EvalAltResult::ErrorDataTooLarge(what, _) => too_large(what, limits),
        _ => return None,
    })
}

/// rhai names the kind of value only in words.
pub(crate) fn too_large(what: &str, limits: &Limits) -> (&'static str, String) {
    let what = what.to_ascii_lowercase();
    if what.contains("map") {
        (
            "map",
            format!(
                "the script made a map of more than {} members",
                grouped(limits.map)
            ),
        )
    } else if what.contains("array") {
        (
            "array",
            format!(
                "the script made an array of more than {} elements",
                grouped(limits.array)
            ),
        )
    } else {
        (
            "string",
            format!(
                "the script made a text of more than {} bytes",
                grouped(limits.string)
            ),
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
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is no variable `{name}`"),
        EvalAltResult::ErrorDotExpr(text, _) => dot(text),
        EvalAltResult::ErrorArithmetic(text, _) => text.clone(),
        EvalAltResult::ErrorAssignmentToConstant(name, _) => format!("`{name}` cannot be changed"),
        EvalAltResult::ErrorNonPureMethodCallOnConstant(name, _) => {
            format!("`{name}` would change a constant; copy it first: `let copy = …;`")
        }
        EvalAltResult::ErrorFor(_) => {
            "`for` wants an array, a map's keys or values, a string's characters or a range"
                .to_owned()
        }
        EvalAltResult::ErrorArrayBounds(length, index, _) => {
            format!(
                "there is no element {index}; the array has {}",
                plural(*length, "element")
            )
        }
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            format!(
                "there is no character {index}; the string has {}",
                plural(*length, "character")
            )
        }
        EvalAltResult::ErrorIndexingType(kind, _) => {
            format!(
                "{} cannot be indexed",
                kind_of(kind.split(['[', ' ']).next().unwrap_or_default())
            )
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, found, _) => {
            format!(
                "{} is needed here, but this is {}",
                kind_of(wanted),
                kind_of(found)
            )
        }
        other => plain(other),
    }
}

/// rhai's own words without the place, which is told apart.
fn plain(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) if text.ends_with(')') => text[..at].to_owned(),
        _ => text,
    }
}

/// A call that no definition fits: either no such function, or other arguments than it wants.
fn not_found(signature: &str) -> String {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let got: Vec<&str> = arguments
        .strip_suffix(')')
        .unwrap_or(arguments)
        .split(", ")
        .filter(|kind| !kind.is_empty())
        .map(kind_of)
        .collect();
    let got = if got.is_empty() {
        "nothing".to_owned()
    } else {
        got.join(" and ")
    };
    if let Some(usage) = USAGES.iter().find(|usage| usage.name == name) {
        return format!("`{name}` wants {}, but got {got}", usage.usage);
    }
    if name.chars().all(|c| c.is_ascii_punctuation() && c != '_') {
        return format!("`{name}` does not go with {got}");
    }
    format!("there is no function `{name}` that takes {got}")
}

/// A property of something that has none; mostly a field of a missing field.
fn dot(text: &str) -> String {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(property), Some("()")) => {
            format!(
                "there is nothing here to take `{property}` from: the field before it is missing; `?.{property}` gives `()` then"
            )
        }
        (Some(property), Some(kind)) => format!("{} has no `{property}`", kind_of(kind)),
        _ => text.to_owned(),
    }
}

fn plural(count: usize, what: &str) -> String {
    plural_of(&count.to_string(), what)
}

/// The count with its noun, as in `1 argument` or `2 or 3 arguments`.
pub(crate) fn plural_of(count: &str, what: &str) -> String {
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}
