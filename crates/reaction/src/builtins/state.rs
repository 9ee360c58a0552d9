//! `get`, `set`, `remove` and `add`: the rule's own state.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use rhai::{Dynamic, Engine, ImmutableString};

use crate::Entry;
use crate::run::{BuiltinResult, RUN, Run};
use crate::value::{kind, to_script};

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("get", |key: ImmutableString| -> BuiltinResult<Dynamic> {
            RUN.with(|run| get(run, &key))
        })
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic| -> BuiltinResult<()> {
                RUN.with(|run| set(run, &key, &value, None))
            },
        )
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic, ttl: ImmutableString| -> BuiltinResult<()> {
                RUN.with(|run| {
                    let ttl = parse_duration(&ttl)
                        .map_err(|error| format!("the ttl of `set`: {error}"))?;
                    set(run, &key, &value, Some(ttl))
                })
            },
        )
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic, seconds: i64| -> BuiltinResult<()> {
                RUN.with(|run| {
                    if seconds < 1 {
                        return Err(format!(
                            "the ttl of `set`: expected at least 1 second, found {seconds}"
                        )
                        .into());
                    }
                    set(run, &key, &value, Some(SignedDuration::from_secs(seconds)))
                })
            },
        )
        .register_fn("remove", |key: ImmutableString| -> BuiltinResult<()> {
            RUN.with(|run| remove(run, &key))
        })
        .register_fn(
            "add",
            |key: ImmutableString, n: i64| -> BuiltinResult<i64> {
                RUN.with(|run| add(run, &key, n))
            },
        );
}

fn get(run: &Run<'_>, key: &str) -> BuiltinResult<Dynamic> {
    check_key("get", key)?;
    run.read(key, |entry| {
        entry.map_or(Dynamic::UNIT, |entry| to_script(&entry.value))
    })
}

fn set(
    run: &Run<'_>,
    key: &str,
    value: &Dynamic,
    ttl: Option<SignedDuration>,
) -> BuiltinResult<()> {
    check_key("set", key)?;
    let (value, bytes) = run.json(
        "the value of `set`",
        value,
        "state_value_bytes",
        run.limits.state_value_bytes,
    )?;
    let expires = ttl.map(|ttl| expiry(run, ttl)).transpose()?;
    run.write(key, key.len() + bytes, Some(Entry { value, expires }))
}

fn remove(run: &Run<'_>, key: &str) -> BuiltinResult<()> {
    check_key("remove", key)?;
    run.write(key, key.len(), None)
}

fn add(run: &Run<'_>, key: &str, n: i64) -> BuiltinResult<i64> {
    check_key("add", key)?;
    // The expiry stays: `set(key, 0, "1h")` and then `add` count within an hour from the first
    // event. An expiry that each `add` renewed would never come while events do.
    let (before, expires) = run.read(key, |entry| {
        let Some(Entry { value, expires }) = entry else {
            return Ok((0, None));
        };
        let no_integer = || {
            let found = kind(&to_script(value));
            format!("`add`: expected an integer in the state entry `{key}`, found {found}")
        };
        let count = value.as_i64().ok_or_else(no_integer)?;
        Ok::<_, String>((count, *expires))
    })??;
    let after = before
        .checked_add(n)
        .ok_or_else(|| format!("`add`: {before} + {n} does not fit into 64 bits"))?;
    let value = Json::from(after);
    run.write(
        key,
        key.len() + value.to_string().len(),
        Some(Entry { value, expires }),
    )?;
    Ok(after)
}

/// Rejects empty and reserved keys.
pub(crate) fn check_key(function: &str, key: &str) -> Result<(), String> {
    // Keys that start with `$` belong to `throttle` and `once`: a script that could set them could
    // open or close their windows.
    match key {
        "" => Err(format!("the key of `{function}` is empty")),
        _ if key.starts_with('$') => Err(format!(
            "`{function}`: the key `{key}` is reserved, as all keys that start with `$`"
        )),
        _ => Ok(()),
    }
}

fn expiry(run: &Run<'_>, ttl: SignedDuration) -> BuiltinResult<Timestamp> {
    run.input
        .now
        .checked_add(ttl)
        .map_err(|_| "the ttl of `set` ends after the year 9999".into())
}
