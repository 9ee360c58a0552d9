//! `get`, `set`, `remove` and `add`: the rule's own state.

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;
use rhai::{Dynamic, Engine, ImmutableString};

use crate::Entry;
use crate::run::{Answer, RUN, Run};
use crate::value::{kind, to_script};

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("get", |key: ImmutableString| -> Answer<Dynamic> {
            RUN.with(|run| get(run, &key))
        })
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic| -> Answer<()> {
                RUN.with(|run| set(run, &key, &value, None))
            },
        )
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic, ttl: ImmutableString| -> Answer<()> {
                RUN.with(|run| {
                    let ttl = parse_duration(&ttl)
                        .map_err(|error| format!("the ttl of `set`: {error}"))?;
                    set(run, &key, &value, Some(ttl))
                })
            },
        )
        .register_fn(
            "set",
            |key: ImmutableString, value: Dynamic, seconds: i64| -> Answer<()> {
                RUN.with(|run| {
                    if seconds < 1 {
                        return Err(format!(
                            "the ttl of `set` wants at least 1 second, but got {seconds}"
                        )
                        .into());
                    }
                    set(run, &key, &value, Some(SignedDuration::from_secs(seconds)))
                })
            },
        )
        .register_fn("remove", |key: ImmutableString| -> Answer<()> {
            RUN.with(|run| remove(run, &key))
        })
        .register_fn("add", |key: ImmutableString, n: i64| -> Answer<i64> {
            RUN.with(|run| add(run, &key, n))
        });
}

fn get(run: &Run<'_>, key: &str) -> Answer<Dynamic> {
    own("get", key)?;
    Ok(run
        .read(key)?
        .map_or(Dynamic::UNIT, |entry| to_script(&entry.value)))
}

fn set(run: &Run<'_>, key: &str, value: &Dynamic, ttl: Option<SignedDuration>) -> Answer<()> {
    own("set", key)?;
    let (value, bytes) = run.json(
        "the value of `set`",
        value,
        "state_value_bytes",
        run.limits.state_value_bytes,
    )?;
    let expires = ttl.map(|ttl| after(run, ttl)).transpose()?;
    run.write(key, key.len() + bytes, Some(Entry { value, expires }))
}

fn remove(run: &Run<'_>, key: &str) -> Answer<()> {
    own("remove", key)?;
    run.write(key, key.len(), None)
}

fn add(run: &Run<'_>, key: &str, n: i64) -> Answer<i64> {
    own("add", key)?;
    let (before, expires) = match run.read(key)? {
        None => (0, None),
        Some(Entry { value, expires }) => {
            let Some(count) = value.as_i64() else {
                let found = kind(&to_script(&value));
                return Err(
                    format!("`add` wants an integer under `{key}`, but found {found}").into(),
                );
            };
            (count, expires)
        }
    };
    let after = before
        .checked_add(n)
        .ok_or_else(|| format!("`add` cannot count beyond 64 bits: {before} + {n}"))?;
    let value = Json::from(after);
    run.write(
        key,
        key.len() + value.to_string().len(),
        Some(Entry { value, expires }),
    )?;
    Ok(after)
}

/// Keys with `$` in front are those of `throttle` and `once`.
fn own(function: &str, key: &str) -> Answer<()> {
    match key {
        "" => Err(format!("`{function}` wants a key, but got an empty string").into()),
        _ if key.starts_with('$') => Err(format!(
            "`{function}` cannot use `{key}`; keys with `$` in front are reserved"
        )
        .into()),
        _ => Ok(()),
    }
}

fn after(run: &Run<'_>, ttl: SignedDuration) -> Answer<Timestamp> {
    run.input
        .now
        .checked_add(ttl)
        .map_err(|_| "the ttl of `set` ends beyond the year 9999".into())
}
