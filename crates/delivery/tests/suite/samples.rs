//! Deliveries for the tests.

use jiff::Timestamp;
use reflexarc_delivery::Delivery;
use reflexarc_event::{EventIdentity, Json};
use reflexarc_reaction::{Action, Level, Message};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn send(payload: impl Into<Json>) -> Action {
    Action::send("t", payload)
}

pub(crate) fn message(title: &str, text: &str) -> Message {
    Message::new(text).with_title(title).with_level(Level::Warn)
}

pub(crate) fn notify(message: Message) -> Action {
    Action::notify("t", message)
}

/// The deliveries of these actions of rule `r`, after the event with this id.
pub(crate) fn deliveries(event: &str, actions: &[Action]) -> Vec<Delivery> {
    let event = EventIdentity {
        source: "acs.ecs".into(),
        id: event.into(),
        resource: "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-1".into(),
        ..EventIdentity::default()
    };
    let actions = actions.iter().map(|action| ("r", action));
    Delivery::for_actions(&event, actions, at(0))
}
