//! The service with real parts: files, sockets, processes.
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

mod command;
mod config;
mod delivering;
mod dingtalk;
mod email;
mod evaluating;
mod hostile;
mod http;
mod queue;
mod receiver;
mod reloading;
mod samples;
mod serving;
mod signature;
mod store;
mod telemetry;
mod webhook;
