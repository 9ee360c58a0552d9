//! `replace` with a limit that is checked before the result is made.

use rhai::{Engine, ImmutableString};

use crate::run::{BuiltinResult, RUN};

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn(
            "replace",
            |text: &mut ImmutableString, find: ImmutableString, with: ImmutableString| {
                replace(text, &find, &with)
            },
        )
        .register_fn(
            "replace",
            |text: &mut ImmutableString, find: char, with: ImmutableString| {
                replace(text, find.encode_utf8(&mut [0; 4]), &with)
            },
        );
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> BuiltinResult<()> {
    // rhai's own `replace` measures its result: replacing each of 32,768 characters by a string of
    // as many bytes would take 1 GiB first.
    let count = text.matches(find).count();
    let added = count.saturating_mul(with.len());
    let bytes = text.len().saturating_add(added) - count * find.len();
    RUN.with(|run| run.check_limit("string", bytes, run.limits.string, "a string has", "bytes"))?;
    *text = text.replace(find, with).into();
    Ok(())
}
