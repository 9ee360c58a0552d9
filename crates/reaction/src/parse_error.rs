//! Parse errors of rhai as diagnostics.

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};
use rhai::{LexError, ParseError, ParseErrorType};

use crate::foreign_syntax;
use crate::run::grouped;
use crate::run_error::too_large;
use crate::sandbox::unavailable;
use crate::{ReactionLimits, ScriptVariables, SourceLocation};

/// The diagnostic for a script that rhai cannot parse; rhai stops at the first error.
pub(crate) fn diagnostic(
    error: &ParseError,
    source: &str,
    variables: ScriptVariables,
    limits: &ReactionLimits,
) -> Diagnostic {
    let span = SourceLocation::token(error.position(), source);
    let is_unavailable = |word: &str| unavailable(word).is_some();
    let is_foreign = match error.err_type() {
        ParseErrorType::Reserved(word)
        | ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) => !is_unavailable(word),
        _ => true,
    };
    let explained = is_foreign.then(|| foreign_syntax::explain(error.err_type(), source, &span));
    if let Some(explained) = explained.flatten() {
        return explained;
    }
    let syntax = |message: String| Diagnostic::error(Code::SCRIPT_SYNTAX, span.clone(), message);
    let limit = |message: String| Diagnostic::error(Code::SCRIPT_LIMIT, span.clone(), message);
    match error.err_type() {
        ParseErrorType::VariableUndefined(name) => unknown_variable(name, source, variables, span),
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _))
        | ParseErrorType::Reserved(word) => match unavailable(word) {
            Some(reason) => Diagnostic::error(
                Code::SCRIPT_FORBIDDEN,
                span,
                format!("`{word}` is not available in scripts"),
            )
            .with_help(reason),
            None => syntax(format!("unexpected `{word}`")),
        },
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            syntax("unterminated string".to_owned())
        }
        ParseErrorType::BadInput(LexError::StringTooLong(_)) => {
            limit(too_large("string", limits).1)
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => {
            syntax("invalid character literal".to_owned())
                .with_help("write strings in double quotes or backticks")
        }
        ParseErrorType::BadInput(LexError::MalformedNumber(text)) => {
            syntax(format!("invalid number `{text}`"))
        }
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(text)) => {
            syntax(format!("invalid escape sequence `{text}`"))
                .with_help("write a backslash as `\\\\`")
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(text)) => {
            syntax(format!("unexpected `{text}`"))
        }
        ParseErrorType::UnexpectedEOF => syntax("unexpected end of the script".to_owned()),
        ParseErrorType::MissingToken(token, purpose) => {
            syntax(format!("missing `{token}` {purpose}"))
        }
        ParseErrorType::UnknownOperator(operator) => {
            syntax(format!("unknown operator `{operator}`"))
        }
        ParseErrorType::AssignmentToConstant(name) => {
            syntax(format!("cannot assign to the constant `{name}`"))
                .with_help(format!("copy it and change the copy: `let copy = {name};`"))
        }
        ParseErrorType::ExprTooDeep => limit(format!(
            "expressions are nested more than {} deep",
            limits.expression_depth
        )),
        ParseErrorType::TooManyFunctions => limit(format!(
            "the script defines more than {} functions",
            limits.functions
        )),
        ParseErrorType::LiteralTooLarge(what, _) => limit(too_large(what, limits).1),
        ParseErrorType::LoopBreak => {
            syntax("`break` and `continue` are only allowed inside a loop".to_owned())
        }
        // The messages of rhai that are good as they are, except for the capital letter.
        other => syntax(in_lower_case(&other.to_string())),
    }
}

/// The diagnostic for a script that exceeds the limit of its size.
pub(crate) fn too_long(source: &str, limits: &ReactionLimits) -> Diagnostic {
    let message = format!(
        "the script has {} bytes, more than the {} allowed",
        grouped(source.len()),
        grouped(limits.source)
    );
    Diagnostic::error(Code::SCRIPT_LIMIT, 0..0, message)
}

/// The diagnostic for a variable that is not in scope, where those of `in_scope` are.
pub(crate) fn undefined_variable(
    name: &str,
    source: &str,
    variables: ScriptVariables,
    span: Span,
    in_scope: &[&str],
) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        Code::UNKNOWN_VARIABLE,
        span.clone(),
        format!("unknown variable `{name}`"),
    );
    // A name that exists somewhere in the script is not misspelt but out of scope.
    let is_predefined = variables.names().any(|known| known == name);
    if is_predefined || defined_names(source).any(|defined| defined == name) {
        return diagnostic.with_help(
            "functions and closures see only their own parameters and variables; pass the value \
             as an argument, or replace the closure by a `for` loop",
        );
    }
    let elsewhere = variables.where_it_exists(name);
    // Where `event` is in scope: a function sees only its own variables.
    if elsewhere.is_none()
        && in_scope.contains(&"event")
        && let Some((help, fix)) = foreign_syntax::unknown_variable(name, source, &span)
    {
        let explained = diagnostic.with_help(help);
        return match fix {
            Some(fix) => explained.with_fix(span, fix),
            None => explained,
        };
    }
    match (nearest(name, in_scope.iter().copied()), elsewhere) {
        (Some(meant), None) => diagnostic
            .with_help(format!("did you mean `{meant}`?"))
            .with_fix(span, meant),
        // `events` where there is only `event`.
        (Some(meant), Some(elsewhere)) => diagnostic
            .with_help(format!("did you mean `{meant}`? {elsewhere}"))
            .with_fix(span, meant),
        (None, Some(elsewhere)) => diagnostic.with_help(elsewhere),
        (None, None) => diagnostic.with_help(format!(
            "predefined are {}; define others with `let name = …`",
            variables.enumeration()
        )),
    }
}

/// The diagnostic for a variable that rhai does not know.
fn unknown_variable(
    name: &str,
    source: &str,
    variables: ScriptVariables,
    span: Span,
) -> Diagnostic {
    let mut known: Vec<&str> = defined_names(source).collect();
    if !is_in_function(&source[..span.start]) {
        known.extend(variables.names().map(|name| name as &str));
    }
    undefined_variable(name, source, variables, span, &known)
}

/// Whether the script before some place ends inside of a function, by its braces, also those in
/// comments and texts: it is only for suggestions.
fn is_in_function(before: &str) -> bool {
    let mut functions = before.rmatch_indices("fn ").map(|(at, _)| at);
    let is_word = |at: &usize| !before[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    functions.find(is_word).is_some_and(|at| {
        let braces = before[at..].chars();
        let depth = braces.fold(0_i32, |depth, c| match c {
            '{' => depth + 1,
            '}' => depth - 1,
            _ => depth,
        });
        depth > 0
    })
}

/// Every name after `let` or `const`, also in comments and strings: it is only for suggestions.
fn defined_names(source: &str) -> impl Iterator<Item = &str> {
    let words: Vec<&str> = source
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    (1..words.len())
        .filter_map(move |i| matches!(words[i - 1], "let" | "const").then_some(words[i]))
}

fn in_lower_case(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
