//! A small, deterministic simulation of the ENI control plane: it answers requests for elastic
//! network interfaces and produces the completion events that rules react to.
//!
//! ```
//! use reflexarc_eni::resources::{Account, SecurityGroup, VSwitch};
//! use reflexarc_eni::{Cloud, CreateInterface, Request};
//!
//! let start = "2026-01-01T00:00:00Z".parse().unwrap();
//! let mut cloud = Cloud::new("cn-hangzhou", 7, start);
//! cloud.add_account(Account::user("1001").with_preview(true));
//! let network = "10.0.0.0/24".parse().unwrap();
//! cloud.add_vswitch(VSwitch::new("vsw-a", "1001", "vpc-a", "cn-hangzhou-b", network));
//! cloud.add_security_group(SecurityGroup::basic("sg-a", "1001", "vpc-a"));
//!
//! let create = Request::Create(CreateInterface::new("vsw-a", ["sg-a"]));
//! let reply = cloud.call("1001", create, start);
//! assert!(reply.result.is_ok());
//! let outcome = cloud.take_outcomes().remove(0);
//! assert_eq!(outcome.request_id, reply.request_id);
//! assert_eq!(outcome.published.unwrap().recipient, "1001");
//! ```
//!
//! - [`Cloud`] is the region: [`Request`]s in, [`Reply`]s, status changes and request outcomes out;
//! - [`resources`] are what it contains: accounts, instances, interfaces, networks, addresses;
//! - [`events`] are the completion events and the buses that deliver them;
//! - [`rpc`] is the API on the wire: signatures, parameters, JSON responses;
//! - [`subscriptions`] are the rules of accounts, and what their targets get;
//! - [`scenario`] reads a scenario file and runs it on a virtual clock.
//!
//! Types of other crates in the public API: times and durations are those of [`jiff`], networks
//! those of [`ipnet`], diagnostics, events and JSON those of `reflexarc-diagnostic` and
//! `reflexarc-event`.
//!
//! This crate must not know rules of files, reactions or the service; it knows events, and the filter
//! language of `EventBridge`. Time,
//! randomness (a seed) and bytes come in as arguments: the same calls at the same instants give the
//! same replies, identifiers and events.

mod api_error;
mod cloud;
pub mod events;
mod fault;
mod ids;
mod limits;
mod request;
pub mod resources;
pub mod rpc;
pub mod scenario;
pub mod subscriptions;
mod timing;

pub use api_error::ApiError;
pub use cloud::{Cloud, StatusChange};
pub use fault::{Fault, FaultMode, InvalidFault, TooManyFaults};
pub use limits::Limits;
pub use request::{
    Answer, AssignAddresses, CreateInterface, DescribeFilter, InstanceDetails, InstanceFilter,
    InstanceOperation, InstanceRequest, ListTags, Listed, ModifyInterface, Paging, Reply, Request,
    ResourceTag, TaggedKind, TaggedResources,
};
pub use timing::Timing;

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
