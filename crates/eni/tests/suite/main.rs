//! The control plane through its public API, against the documentation of ENIs and their events.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod action_trail;
mod addresses;
mod answers;
mod buses;
mod cloud_monitor_api;
mod cloud_monitor_errors;
mod conditions;
mod error_codes;
mod event_bridge_api;
mod event_bridge_events;
mod event_bridge_targets;
mod faults;
mod fixes;
mod instances;
mod invariants;
mod refusals;
mod rpc;
mod rpc_parameters;
mod scenario_faults;
mod seed_table;
mod subscription_limits;
mod subscriptions;
mod tags;
mod world;
