//! What every backend of the store promises, and what the SQLite file does on its own.
#![allow(
    clippy::disallowed_methods,
    reason = "tests of the rim use files, time and the network"
)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests"
)]

mod bounds;
mod call_crashes;
mod contract;
mod copying;
mod crash;
mod damage;
mod damaged_calls;
mod disks;
mod files;
#[cfg(feature = "cluster")]
mod many_writers;
#[cfg(feature = "cluster")]
mod membership;
#[cfg(feature = "cluster")]
mod nodes;
mod outbox_speed;
mod page_speed;
mod program_state;
#[allow(dead_code, reason = "shared with the tests of the service")]
#[path = "../support/samples.rs"]
mod samples;
#[cfg(feature = "cluster")]
mod server;
mod sqlite;
mod start;
