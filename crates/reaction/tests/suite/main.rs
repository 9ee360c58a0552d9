//! Reactions from the outside: their effects, their errors and their limits.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the corpus, and fail by panicking"
)]

mod attacks;
mod calls;
mod compile;
mod coverage;
mod determinism;
mod effects;
#[path = "../../../diagnostic/tests/support/fixed_texts.rs"]
mod fixed_texts;
mod fixes;
mod large_events;
mod limits;
mod missing_events;
mod missing_rows;
mod placeholders;
mod windows;

use jiff::Timestamp;
use reflexarc_event::Event;
use reflexarc_reaction::{
    Effects, Input, Level, MemoryState, Reaction, ReactionError, ReactionLimits, RuleInfo,
    ScriptEvent,
};

/// The time of every run.
const NOW: &str = "2019-04-09T04:18:26.922Z";

/// An event with the shape of the documented ENI notification.
const EVENT: &str = r#"{
    "id": "2256A988-0B26-4E2B-820A-8A0000000001", "product": "ECS", "level": "WARN",
    "resourceId": "acs:ecs:cn-hangzhou:169070000000001:eni/eni-bp1",
    "name": "NetworkInterface:NetworkInterfaceOperateCompleted", "userId": "169070000000001",
    "eventTime": "20190409T121826.922+0800", "regionId": "cn-hangzhou",
    "content": {
        "operation": "AttachNetworkInterface", "result": "failed",
        "eniId": "eni-bp1", "eniStatus": "InUse",
        "requestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E", "primaryPrivateIp": "192.168.0.8",
        "secondaryPrivateIps": ["192.168.0.9", "10.0.0.7"], "count": 3, "ratio": 0.25
    }
}"#;

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn event() -> ScriptEvent {
    ScriptEvent::new(&Event::from_json(EVENT).unwrap())
}

fn rule() -> RuleInfo {
    RuleInfo::named("failed-operation")
        .with_level(Level::Warn)
        .with_description("Notify about failures")
}

fn compile(script: &str) -> Reaction {
    Reaction::compile(script, &ReactionLimits::DEFAULT)
        .unwrap_or_else(|error| panic!("{script}\n{error}"))
}

fn run(script: &str) -> Result<Effects, ReactionError> {
    run_on(script, &MemoryState::new())
}

fn run_on(script: &str, state: &MemoryState) -> Result<Effects, ReactionError> {
    compile(script).run(&Input::new(&event(), &rule(), now()), state)
}

fn fails(script: &str) -> String {
    run(script).expect_err(script).to_string()
}
