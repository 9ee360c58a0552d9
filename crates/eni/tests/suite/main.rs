//! The control plane from outside: what the service documents about ENIs and their events.

mod conditions;
mod faults;
mod invariants;
mod refusals;
mod rpc;
mod world;
