//! `call` as the name of a function: to rhai it is a reserved word.
//!
//! rhai calls function pointers by `call(f, 1)`, whatever a program registers under that name. So
//! the word gets another name where it is called, and is an ordinary name elsewhere:
//!
//! ```text
//! call("ecs", "DescribeInstances", #{})   the function, which is registered as `call·`
//! call.operation                          the variable of `answered`
//! #{ call: 1 }                            a key
//! ```

use rhai::{AST, Engine, ParseError, Position, Scope, Token};

use crate::SourceLocation;

/// The name of the function for rhai; no script can write it.
pub(crate) const CALL: &str = "call·";

/// The word as scripts write it.
const WORD: &str = "call";

scoped_tls_hkt::scoped_thread_local! {
    /// The script that is compiled on this thread.
    static SOURCE: for<'a> &'a str
}

/// Compiles a script, in which `call` is a function.
pub(crate) fn compile(
    engine: &Engine,
    scope: &Scope<'_>,
    source: &str,
) -> Result<AST, Box<ParseError>> {
    SOURCE
        .set(source, || engine.compile_with_scope(scope, source))
        .map_err(Box::new)
}

/// Has an engine read the word so.
#[expect(
    deprecated,
    reason = "rhai marks unstable parts of its API as deprecated; Cargo.lock pins the version"
)]
pub(crate) fn register(engine: &mut Engine) {
    engine.on_parse_token(|token, position, _| match token {
        Token::Reserved(word) if word.as_str() == WORD => {
            let name = if is_called(position) { CALL } else { WORD };
            Token::Identifier(Box::new(name.into()))
        }
        token => token,
    });
}

/// The name of a function as scripts write it.
pub(crate) fn written(name: &str) -> &str {
    if name == CALL { WORD } else { name }
}

/// The name for rhai of a function as scripts write it.
pub(crate) fn registered(name: &str) -> &str {
    if name == WORD { CALL } else { name }
}

/// Whether the word at a position is followed by arguments, and is no method.
fn is_called(position: Position) -> bool {
    if !SOURCE.is_set() {
        return false;
    }
    SOURCE.with(|source| {
        let Some(location) = SourceLocation::of(position, source) else {
            return false;
        };
        let (before, rest) = source.split_at(location.offset);
        let is_method = before.trim_end().ends_with('.');
        let after = rest.strip_prefix(WORD).unwrap_or_default();
        !is_method && after.trim_start().starts_with('(')
    })
}
