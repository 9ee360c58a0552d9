//! The built-in functions of scripts, beyond rhai's own for strings, numbers, arrays and maps.

mod call;
mod delay;
mod message;
mod network;
mod parsing;
mod state;
mod text;

use reflexarc_event::Event;
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};

pub(crate) use delay::{DELAY_FIELDS, empty_key, long_key, parse_after, too_long};
pub(crate) use message::MESSAGE_FIELDS;
pub(crate) use state::check_key;

use self::delay::Delay;
use crate::Action;
use crate::run::{BuiltinResult, RUN, Run};
use crate::value::kind;

/// How to call a function.
pub(crate) struct Usage {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its parameters, in one line.
    pub(crate) usage: &'static str,
}

/// Every built-in function.
pub(crate) const USAGES: &[Usage] = &[
    Usage {
        name: "notify",
        usage: "notify(target, text) or \
                notify(target, #{title, text, level, at, link, after, key})",
    },
    Usage {
        name: "send",
        usage: "send(target, payload) or send(target, payload, #{after, key}), \
                where after is a string such as \"10m\"",
    },
    Usage {
        name: "call",
        usage: "call(target, operation, parameters) or \
                call(target, operation, parameters, #{after, key}), \
                where parameters is a map",
    },
    Usage {
        name: "cancel",
        usage: "cancel(key), where key is that of an action",
    },
    Usage {
        name: "emit",
        usage: "emit(event), where event is a map",
    },
    Usage {
        name: "get",
        usage: "get(key)",
    },
    Usage {
        name: "set",
        usage: "set(key, value) or set(key, value, ttl), \
                where ttl is a string such as \"10m\" or a number of seconds",
    },
    Usage {
        name: "remove",
        usage: "remove(key)",
    },
    Usage {
        name: "add",
        usage: "add(key, n), where n is an integer",
    },
    Usage {
        name: "arn",
        usage: "arn(text)",
    },
    Usage {
        name: "parse_time",
        usage: "parse_time(text)",
    },
    Usage {
        name: "cidr_contains",
        usage: "cidr_contains(network, address), both strings",
    },
    Usage {
        name: "json",
        usage: "json(value)",
    },
    Usage {
        name: "log",
        usage: "log(value)",
    },
    Usage {
        name: "skip",
        usage: "skip(reason)",
    },
];

// Functions with `Dynamic` parameters check their arguments themselves; the others are only called
// with arguments of these types, and rhai's error otherwise becomes one that shows the usage.
pub(crate) fn register(engine: &mut Engine) {
    call::register(engine);
    network::register(engine);
    parsing::register(engine);
    state::register(engine);
    text::register(engine);
    engine
        .register_fn(
            "notify",
            |target: ImmutableString, text: ImmutableString| -> BuiltinResult<()> {
                RUN.with(|run| message::notify_text(run, &target, &text))
            },
        )
        .register_fn(
            "notify",
            |target: ImmutableString, fields: Map| -> BuiltinResult<()> {
                RUN.with(|run| message::notify_map(run, &target, &fields))
            },
        )
        .register_fn(
            "send",
            |target: ImmutableString, payload: Dynamic| -> BuiltinResult<()> {
                RUN.with(|run| send(run, &target, &payload, Delay::default()))
            },
        )
        .register_fn(
            "send",
            |target: ImmutableString, payload: Dynamic, delay: Map| -> BuiltinResult<()> {
                RUN.with(|run| {
                    let delay = Delay::of_map(run, "send", &delay)?;
                    send(run, &target, &payload, delay)
                })
            },
        )
        .register_fn("cancel", |key: ImmutableString| -> BuiltinResult<()> {
            RUN.with(|run| delay::cancel(run, &key))
        })
        .register_fn("emit", |event: Map| -> BuiltinResult<()> {
            RUN.with(|run| emit(run, &Dynamic::from_map(event)))
        })
        .register_fn("json", |value: Dynamic| -> BuiltinResult<String> {
            RUN.with(|run| json(run, &value))
        })
        .register_fn("log", |value: Dynamic| -> BuiltinResult<()> {
            RUN.with(|run| run.log(&value))
        })
        // The language has a logarithm of this name, which would take numbers.
        .register_fn("log", |value: f64| -> BuiltinResult<()> {
            RUN.with(|run| run.log(&Dynamic::from_float(value)))
        })
        .register_fn("skip", |reason: ImmutableString| -> BuiltinResult<()> {
            RUN.with(|run| run.skip(&reason))
        });
}

/// The name of a target, which must not be empty.
fn target(function: &str, name: &str) -> BuiltinResult<String> {
    if name.trim().is_empty() {
        return Err(format!("the target of `{function}` is empty").into());
    }
    Ok(name.to_owned())
}

/// The string of a field of a map, if it is present.
fn string(function: &str, name: &str, value: Option<&Dynamic>) -> BuiltinResult<Option<String>> {
    let Some(value) = value else {
        return Ok(None);
    };
    match value.as_immutable_string_ref() {
        Ok(text) => Ok(Some(text.to_string())),
        Err(_) => Err(format!(
            "`{name}` of `{function}`: expected a string, found {}",
            kind(value)
        )
        .into()),
    }
}

fn send(run: &Run<'_>, name: &str, payload: &Dynamic, delay: Delay) -> BuiltinResult<()> {
    let target = target("send", name)?;
    let (payload, bytes) = run.json(
        "the payload of `send`",
        payload,
        "action_bytes",
        run.limits.action_bytes,
    )?;
    let bytes = bytes + target.len() + delay.bytes();
    let Delay { after, key } = delay;
    run.add_action(
        bytes,
        Action::Send {
            target,
            payload,
            after,
            key,
        },
    )
}

fn emit(run: &Run<'_>, event: &Dynamic) -> BuiltinResult<()> {
    let (json, bytes) = run.json(
        "the event of `emit`",
        event,
        "action_bytes",
        run.limits.action_bytes,
    )?;
    // An emitted event is read from its text like a received one: it keeps its bytes, is checked in
    // the same way, and looks the same to every rule.
    let event = Event::from_json(json.to_string())
        .map_err(|error| Box::<EvalAltResult>::from(format!("invalid event in `emit`: {error}")))?;
    run.add_event(bytes, event)
}

fn json(run: &Run<'_>, value: &Dynamic) -> BuiltinResult<String> {
    Ok(run
        .json("the value of `json`", value, "string", run.limits.string)?
        .0
        .to_string())
}
