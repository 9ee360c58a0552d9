//! The console of a real service, over HTTP on the loopback interface.
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

mod actions;
mod attacks;
mod browser;
mod damaged;
mod dead_letters;
mod events;
mod foreign_sites;
mod hostile;
mod live;
mod login;
mod pending;
mod rules;
mod served;
mod serving;
mod shown;
mod silences;
