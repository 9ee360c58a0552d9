//! Targets against receivers on this machine, and call schedules in virtual time.
#![allow(
    clippy::disallowed_methods,
    reason = "tests of the rim use files, time and the network"
)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::format_push_string,
    reason = "tests"
)]

mod alibaba;
mod call_config;
mod call_schedule;
#[path = "../support/chats.rs"]
mod chat_services;
mod chats;
mod command;
mod config;
mod dingtalk;
mod direct_dispatch;
mod email;
mod file;
mod final_answers;
mod http_api;
mod jetstream;
mod pagerduty;
mod queue;
#[path = "../support/receiver.rs"]
mod receiver;
#[path = "../support/robot.rs"]
mod robot;
mod samples;
mod webhook;
mod webhook_body;
