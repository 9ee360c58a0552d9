//! What a script may call, beyond rhai's own strings, numbers, arrays and maps.

mod memory;
mod message;
mod network;
mod reading;
mod text;

use reflexarc_event::Event;
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};

pub(crate) use message::MESSAGE_FIELDS;

use crate::Action;
use crate::run::{Answer, RUN, Run};

/// How a function is called.
pub(crate) struct Usage {
    /// Its name.
    pub(crate) name: &'static str,
    /// How to call it, in one line.
    pub(crate) usage: &'static str,
}

/// Every function of the vocabulary.
pub(crate) const USAGES: &[Usage] = &[
    Usage {
        name: "notify",
        usage: "notify(target, text) or notify(target, #{title, text, level, at, link})",
    },
    Usage {
        name: "send",
        usage: "send(target, payload)",
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
        usage: "set(key, value) or set(key, value, ttl), where ttl is text such as \"10m\" or whole seconds",
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
        usage: "cidr_contains(network, address), both as text",
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

pub(crate) fn register(engine: &mut Engine) {
    memory::register(engine);
    network::register(engine);
    reading::register(engine);
    text::register(engine);
    engine
        .register_fn(
            "notify",
            |target: ImmutableString, text: ImmutableString| -> Answer<()> {
                RUN.with(|run| message::notify_text(run, &target, &text))
            },
        )
        .register_fn(
            "notify",
            |target: ImmutableString, fields: Map| -> Answer<()> {
                RUN.with(|run| message::notify_map(run, &target, &fields))
            },
        )
        .register_fn(
            "send",
            |target: ImmutableString, payload: Dynamic| -> Answer<()> {
                RUN.with(|run| send(run, &target, &payload))
            },
        )
        .register_fn("emit", |event: Map| -> Answer<()> {
            RUN.with(|run| emit(run, &Dynamic::from_map(event)))
        })
        .register_fn("json", |value: Dynamic| -> Answer<String> {
            RUN.with(|run| json(run, &value))
        })
        .register_fn("log", |value: Dynamic| -> Answer<()> {
            RUN.with(|run| log(run, &value))
        })
        .register_fn("skip", |reason: ImmutableString| -> Answer<()> {
            RUN.with(|run| run.skip(&reason))
        });
}

/// The target's name, which must say something.
fn target(function: &str, name: &str) -> Answer<String> {
    if name.trim().is_empty() {
        return Err(
            format!("`{function}` wants the name of a target, but got an empty string").into(),
        );
    }
    Ok(name.to_owned())
}

fn send(run: &Run<'_>, name: &str, payload: &Dynamic) -> Answer<()> {
    let target = target("send", name)?;
    let (payload, bytes) = run.json(
        "the payload of `send`",
        payload,
        "action_bytes",
        run.limits.action_bytes,
    )?;
    run.act(bytes + target.len(), Action::Send { target, payload })
}

fn emit(run: &Run<'_>, event: &Dynamic) -> Answer<()> {
    let (json, bytes) = run.json(
        "the event of `emit`",
        event,
        "action_bytes",
        run.limits.action_bytes,
    )?;
    let event = Event::from_json(json.to_string()).map_err(|error| {
        Box::<EvalAltResult>::from(format!("`emit` cannot make an event of this: {error}"))
    })?;
    run.emit(bytes, event)
}

fn json(run: &Run<'_>, value: &Dynamic) -> Answer<String> {
    Ok(run
        .json("the value of `json`", value, "string", run.limits.string)?
        .0
        .to_string())
}

/// A text as it is, anything else as its JSON.
fn log(run: &Run<'_>, value: &Dynamic) -> Answer<()> {
    match value.as_immutable_string_ref() {
        Ok(line) => run.log(&line),
        Err(_) => run.log(
            &run.json(
                "the value of `log`",
                value,
                "log_bytes",
                run.limits.log_bytes,
            )?
            .0
            .to_string(),
        ),
    }
}
