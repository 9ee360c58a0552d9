//! `call`: operations of APIs, whose answers come back to the rule.

use reflexarc_event::Json;
use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::delay::Delay;
use crate::Action;
use crate::call_name::CALL;
use crate::run::{BuiltinResult, RUN, Run};

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn(
            CALL,
            |target: ImmutableString,
             operation: ImmutableString,
             parameters: Map|
             -> BuiltinResult<()> {
                RUN.with(|run| call(run, &target, &operation, parameters, Delay::default()))
            },
        )
        .register_fn(
            CALL,
            |target: ImmutableString,
             operation: ImmutableString,
             parameters: Map,
             delay: Map|
             -> BuiltinResult<()> {
                RUN.with(|run| {
                    let delay = Delay::of_map(run, "call", &delay)?;
                    call(run, &target, &operation, parameters, delay)
                })
            },
        );
}

fn call(
    run: &Run<'_>,
    target: &str,
    operation: &str,
    parameters: Map,
    delay: Delay,
) -> BuiltinResult<()> {
    let target = super::target("call", target)?;
    let (parameters, bytes) = run.json(
        "the parameters of `call`",
        &Dynamic::from_map(parameters),
        "action_bytes",
        run.limits.action_bytes,
    )?;
    // Without it, a request would be another one: one that describes the interfaces of an instance
    // whose id is missing describes all interfaces.
    if let Some(path) = missing(&parameters) {
        let message = format!("the parameter `{path}` of `call` is missing (`()`)");
        return Err(message.into());
    }
    let bytes = bytes + target.len() + operation.len() + delay.bytes();
    let Delay { after, key } = delay;
    run.add_action(
        bytes,
        Action::Call {
            target,
            operation: operation.to_owned(),
            parameters,
            after,
            key,
        },
    )
}

/// The path of the first value that is null.
fn missing(json: &Json) -> Option<String> {
    let joined = |name: String, inner: &Json| match inner {
        Json::Null => Some(name),
        inner => missing(inner).map(|rest| format!("{name}.{rest}")),
    };
    match json {
        Json::Object(members) => {
            let mut members = members.iter();
            members.find_map(|(name, inner)| joined(name.clone(), inner))
        }
        Json::Array(elements) => {
            let mut elements = elements.iter().enumerate();
            elements.find_map(|(index, inner)| joined(index.to_string(), inner))
        }
        _ => None,
    }
}
