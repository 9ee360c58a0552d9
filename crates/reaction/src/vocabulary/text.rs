//! `replace`, bounded before it allocates: rhai's own measures the result only once it is there.

use rhai::{Engine, ImmutableString};

use crate::run::{Answer, RUN};

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

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Answer<()> {
    let most = text
        .len()
        .saturating_add(text.matches(find).count().saturating_mul(with.len()));
    let removed = text.matches(find).count() * find.len();
    RUN.with(|run| {
        run.bounded(
            "string",
            most - removed,
            run.limits.string,
            "made a text of",
            "bytes",
        )
    })?;
    *text = text.replace(find, with).into();
    Ok(())
}
