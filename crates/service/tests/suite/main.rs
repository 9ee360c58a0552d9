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

mod attacks;
mod budgets;
mod calls;
mod config;
mod config_fixes;
mod delays;
mod delivering;
mod dispatching;
mod evaluating;
mod floods;
mod heartbeats;
mod hostile;
mod http;
mod jobs;
mod lists;
mod live;
mod openapi;
mod operation_records;
mod operations;
mod ordering;
mod problems;
mod protocol;
mod queue;
mod rate_limits;
#[allow(dead_code, reason = "shared with the tests of delivery")]
#[path = "../../../delivery/tests/support/receiver.rs"]
mod receiver;
mod reloading;
mod requests;
#[path = "../../../delivery/tests/support/robot.rs"]
mod robot;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../../../store/tests/support/samples.rs"]
mod samples;
mod secrets;
mod serving;
mod signature;
mod source_config;
mod sources;
mod store_config;
mod store_faults;
mod target_states;
mod target_tests;
mod telemetry;
mod warnings;
mod watching;
