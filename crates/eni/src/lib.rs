//! The cloud's side: a small, deterministic ENI control plane that produces the events a running reflexarc reacts to.
//!
//! ```
//! use reflexarc_eni::{Account, Cloud, CreateInterface, Request, SecurityGroup, VSwitch};
//!
//! let start = "2026-01-01T00:00:00Z".parse().unwrap();
//! let mut cloud = Cloud::new("cn-hangzhou", 7, start);
//! cloud.add_account(Account::user("1001").with_preview(true));
//! cloud.add_vswitch(VSwitch::new("vsw-a", "1001", "vpc-a", "cn-hangzhou-b", "10.0.0.0/24".parse().unwrap()));
//! cloud.add_security_group(SecurityGroup::basic("sg-a", "1001", "vpc-a"));
//!
//! let reply = cloud.call("1001", Request::Create(CreateInterface::new("vsw-a", ["sg-a"])), start);
//! assert!(reply.result.is_ok());
//! let notice = cloud.take_notices().remove(0);
//! let publication = notice.verdict.unwrap();
//! assert_eq!((publication.recipient.as_str(), notice.request_id), ("1001", reply.request_id));
//! ```
//!
//! This crate must not know patterns, rules, reactions or the service; it knows only events. Time, randomness (a seed)
//! and bytes come in as arguments: the same calls at the same instants give the same answers, identifiers and events.

mod account;
mod address;
mod attach;
mod bus;
mod cloud;
mod completion;
mod create;
mod delete;
mod describe;
mod detach;
mod event;
mod fault;
mod ids;
mod instance;
mod instance_life;
mod interface;
mod limits;
mod network;
mod notice;
mod refusal;
mod request;
pub mod rpc;
pub mod scenario;

pub use account::Account;
pub use address::{AddressFault, Pool, Wanted};
pub use bus::{Bus, BusForm};
pub use cloud::{Cloud, StatusChange};
pub use completion::Timing;
pub use create::CreateInterface;
pub use describe::{Filter, Page, Paging};
pub use fault::{Fault, FaultOutcome, TooManyFaults};
pub use instance::{Instance, InstanceStatus, InstanceType};
pub use interface::{Addresses, Interface, InterfaceType, may_become};
pub use limits::Limits;
pub use network::{SecurityGroup, VSwitch};
pub use notice::{Notice, Publication, Silence};
pub use refusal::Refusal;
pub use request::{Answer, Reply, Request};
