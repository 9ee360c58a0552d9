//! What a region contains: accounts, instances, interfaces, vSwitches with their addresses, and
//! security groups. Plain data with its own rules; the operations on it are in `cloud`.

mod account;
mod addresses;
mod instance;
mod interface;
mod network;
mod settings;

pub use account::Account;
pub use addresses::{AddressPool, AddressSelection, AllocationError};
pub use instance::{Instance, InstanceStatus, InstanceType};
pub use interface::{Addresses, Interface, InterfaceType, is_valid_transition};
pub use network::{SecurityGroup, VSwitch};
pub use settings::InterfaceSettings;

pub(crate) use addresses::{AllocationRequest, PrimaryRequest};
