//! rhai's parse errors in our words.

use reflexarc_diagnostic::{Code, Diagnostic};
use rhai::{LexError, ParseError, ParseErrorType};

use crate::run::grouped;
use crate::sandbox::absent;
use crate::{Limits, Place, fault};
use reflexarc_diagnostic::nearest;

/// What `event`, `rule` and `now` are called in a script.
pub(crate) const IN_SCOPE: [&str; 3] = ["event", "rule", "now"];

/// The diagnostic for a script that rhai cannot parse; it stops at the first error.
pub(crate) fn of_parse(error: &ParseError, source: &str, limits: &Limits) -> Diagnostic {
    let span = Place::token(error.position(), source);
    let syntax = |message: String| Diagnostic::error(Code::SCRIPT_SYNTAX, span.clone(), message);
    let limit = |message: String| Diagnostic::error(Code::SCRIPT_LIMIT, span.clone(), message);
    match error.err_type() {
        ParseErrorType::VariableUndefined(name) => unknown_variable(name, source, span),
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _))
        | ParseErrorType::Reserved(word) => match absent(word) {
            Some(reason) => Diagnostic::error(
                Code::SCRIPT_FORBIDDEN,
                span,
                format!("there is no `{word}` in a reaction"),
            )
            .with_help(reason),
            None => syntax(format!("`{word}` has no meaning here")),
        },
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            syntax("the string has no end".to_owned())
        }
        ParseErrorType::BadInput(LexError::StringTooLong(_)) => {
            limit(fault::too_large("string", limits).1)
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => {
            syntax("single quotes hold one character".to_owned())
                .with_help("text stands in double quotes or backticks")
        }
        ParseErrorType::BadInput(LexError::MalformedNumber(text)) => {
            syntax(format!("`{text}` is no number"))
        }
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(text)) => {
            syntax(format!("`{text}` is no escape sequence"))
                .with_help("a backslash itself is written `\\\\`")
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(text)) => {
            syntax(format!("`{text}` has no meaning here"))
        }
        ParseErrorType::UnexpectedEOF => syntax("the script ends too early".to_owned()),
        ParseErrorType::MissingToken(token, purpose) => {
            syntax(format!("`{token}` is missing here {purpose}"))
        }
        ParseErrorType::UnknownOperator(operator) => {
            syntax(format!("there is no operator `{operator}`"))
        }
        ParseErrorType::AssignmentToConstant(name) => syntax(format!("`{name}` cannot be changed"))
            .with_help(format!("copy it and change the copy: `let copy = {name};`")),
        ParseErrorType::ExprTooDeep => limit(format!(
            "expressions are nested more than {} deep",
            limits.expression_depth
        )),
        ParseErrorType::TooManyFunctions => limit(format!(
            "the script defines more than {} functions",
            limits.functions
        )),
        ParseErrorType::LiteralTooLarge(what, _) => limit(fault::too_large(what, limits).1),
        ParseErrorType::LoopBreak => {
            syntax("`break` and `continue` belong inside a loop".to_owned())
        }
        other => syntax(in_lower_case(&other.to_string())),
    }
}

/// The diagnostic for a script that is too long to be looked at.
pub(crate) fn too_long(source: &str, limits: &Limits) -> Diagnostic {
    let message = format!(
        "the script has {} bytes, more than the {} allowed",
        grouped(source.len()),
        grouped(limits.source)
    );
    Diagnostic::error(Code::SCRIPT_LIMIT, 0..0, message)
}

/// The diagnostic for a variable that is not in scope at its place.
pub(crate) fn unknown_variable(
    name: &str,
    source: &str,
    span: reflexarc_diagnostic::Span,
) -> Diagnostic {
    let defined: Vec<&str> = defined(source).collect();
    let diagnostic = Diagnostic::error(
        Code::UNKNOWN_VARIABLE,
        span.clone(),
        format!("there is no variable `{name}` here"),
    );
    if IN_SCOPE.contains(&name) || defined.contains(&name) {
        return diagnostic.with_help(
            "a function or closure sees only its own parameters and variables; pass the value to a function, or use `for` in \
             place of a closure",
        );
    }
    match nearest(name, IN_SCOPE.into_iter().chain(defined)) {
        Some(meant) => diagnostic
            .with_help(format!("did you mean `{meant}`?"))
            .with_fix(span, meant),
        None => diagnostic.with_help(
            "`event`, `rule` and `now` are there from the start; `let name = …` makes others",
        ),
    }
}

/// Every name behind a `let` or `const`, roughly: only for hints.
fn defined(source: &str) -> impl Iterator<Item = &str> {
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
