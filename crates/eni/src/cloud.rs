//! The control plane: a region's state, and the one entry point for requests.
//!
//! [`Cloud::call`] dispatches; the operations are `impl Cloud` blocks in files of their own:
//!
//! | operation | accepted or refused by | completed by | in |
//! |---|---|---|---|
//! | `CreateNetworkInterface` | `begin_create` | `finish_create` | `create.rs` |
//! | `AttachNetworkInterface` | `begin_attach` | `finish_attach` | `attach.rs` |
//! | `DetachNetworkInterface` | `begin_detach` | `finish_detach` | `detach.rs` |
//! | `DeleteNetworkInterface` | `begin_delete` | `finish_delete` | `delete.rs` |
//! | `DescribeNetworkInterfaces` | `describe` | at once | `describe.rs` |
//! | secondary addresses | `assign`, `unassign` | at once | `addresses.rs` |
//! | attributes of one interface | `modify` … | at once | `attributes.rs` |
//! | start, stop, restart | `change_instances` | `complete_transition` | `transitions.rs` |
//! | placement and release | `run_instance`, `release` | at once | `instances.rs` |
//! | lists of instances | `describe_instances` … | at once | `describe_instances.rs` |
//! | tags | `tag`, `untag`, `list_tags` | at once | `tags.rs` |
//!
//! Common to all of them: who may use which resource is in `cloud/access.rs`, the clock and the
//! operations in progress in `cloud/completion.rs` over the queue of `cloud/pending.rs`, events in
//! `cloud/outcomes.rs` and `cloud/notifications.rs`, repeated requests in `cloud/tokens.rs`, rules
//! that match what is published in `cloud/subscriptions.rs`.

mod access;
mod addresses;
mod attach;
mod attributes;
mod completion;
mod create;
mod delete;
mod describe;
mod describe_instances;
mod detach;
mod instances;
mod notifications;
mod outcomes;
mod paging;
mod pending;
mod requests;
mod subscriptions;
mod tags;
mod tokens;
mod transitions;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use reflexarc_event::EniStatus;

use self::pending::PendingRequests;
use self::tokens::ClientTokens;
use self::transitions::PendingTransitions;
use crate::events::{Notification, RequestOutcome};
use crate::ids::Ids;
use crate::resources::{Account, Instance, Interface, SecurityGroup, VSwitch};
use crate::rpc::ActionTrail;
use crate::subscriptions::{AccountSubscriptions, Delivery};
use crate::{ApiError, CreateInterface, Fault, Limits, Timing, TooManyFaults};

/// One region of the cloud. Its state changes only through its methods; time passes only in
/// [`Cloud::call`] and [`Cloud::advance`].
#[derive(Debug, Clone)]
pub struct Cloud {
    region: String,
    limits: Limits,
    timing: Timing,
    now: Timestamp,
    ids: Ids,
    accounts: BTreeMap<String, Account>,
    vswitches: BTreeMap<String, VSwitch>,
    security_groups: BTreeMap<String, SecurityGroup>,
    instances: BTreeMap<String, Instance>,
    interfaces: BTreeMap<String, Interface>,
    faults: Vec<Fault>,
    pending: PendingRequests,
    transitions: PendingTransitions,
    tokens: ClientTokens,
    outcomes: VecDeque<RequestOutcome>,
    changes: VecDeque<StatusChange>,
    notifications: VecDeque<Notification>,
    action_trail: ActionTrail,
    /// By account id; absent for an account without any.
    subscriptions: BTreeMap<String, AccountSubscriptions>,
    deliveries: VecDeque<Delivery>,
}

/// A change of an interface's status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusChange {
    /// When it changed.
    pub at: Timestamp,
    /// The interface's id.
    pub interface: String,
    /// The status before; absent for a new interface.
    pub from: Option<EniStatus>,
    /// The status after.
    pub to: EniStatus,
    /// The id of the instance that the interface is attached to, is being attached to, or is being
    /// detached from.
    pub instance: Option<String>,
}

impl Cloud {
    /// An empty region whose clock reads `now`. All ids that it assigns are derived from `seed`.
    pub fn new(region: &str, seed: u64, now: Timestamp) -> Self {
        Self {
            region: region.to_owned(),
            limits: Limits::DEFAULT,
            timing: Timing::default(),
            now,
            ids: Ids::new(seed),
            accounts: BTreeMap::new(),
            vswitches: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            faults: Vec::new(),
            pending: PendingRequests::default(),
            transitions: PendingTransitions::default(),
            tokens: ClientTokens::default(),
            outcomes: VecDeque::new(),
            changes: VecDeque::new(),
            notifications: VecDeque::new(),
            action_trail: ActionTrail::default(),
            subscriptions: BTreeMap::new(),
            deliveries: VecDeque::new(),
        }
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Replaces the durations of operations.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Derives all further ids from another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.ids = Ids::new(seed);
        self
    }

    /// Sets which calls of actions make events.
    #[must_use]
    pub fn with_action_trail(mut self, setting: ActionTrail) -> Self {
        self.action_trail = setting;
        self
    }

    /// Adds an account, or replaces the one with the same id.
    pub fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.id.clone(), account);
    }

    /// Adds a vSwitch, or replaces the one with the same id.
    pub fn add_vswitch(&mut self, vswitch: VSwitch) {
        self.vswitches.insert(vswitch.id.clone(), vswitch);
    }

    /// Adds a security group, or replaces the one with the same id.
    pub fn add_security_group(&mut self, group: SecurityGroup) {
        self.security_groups.insert(group.id.clone(), group);
    }

    /// Injects a fault into requests that are accepted from now on. One with `times` 0 is ignored.
    ///
    /// # Errors
    /// When [`Limits::faults`] faults are active already.
    pub fn inject(&mut self, fault: Fault) -> Result<(), TooManyFaults> {
        if fault.times == 0 {
            return Ok(());
        }
        if self.faults.len() >= self.limits.faults {
            return Err(TooManyFaults(self.limits.faults));
        }
        self.faults.push(fault);
        Ok(())
    }

    /// The active faults, in the order in which they are tried.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Removes every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Allows another account to attach the interface to its own instances.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn grant_attach(&mut self, interface: &str, account: &str) -> Result<(), ApiError> {
        // Several grants of one interface add up; there is no way to withdraw one.
        let found = self
            .interfaces
            .get_mut(interface)
            .ok_or_else(|| ApiError::unknown_interface(interface))?;
        found.attach_granted.push(account.to_owned());
        Ok(())
    }

    /// Adds an interface with a given id, attached to an instance or not, as part of the initial
    /// state: without an event.
    ///
    /// # Errors
    /// When the id is in use, or a request to create or attach the interface would be refused.
    pub fn place_interface(
        &mut self,
        caller: &str,
        id: &str,
        wanted: &CreateInterface,
        instance: Option<&str>,
    ) -> Result<(), ApiError> {
        if self.interfaces.contains_key(id) {
            let message = format!("Network interface {id} exists already.");
            return Err(ApiError::invalid_parameter(message));
        }
        // The same checks as for requests, so that a scenario cannot start in an impossible state.
        self.begin_create(caller, id, wanted)?;
        self.finish_create(id, true);
        if let Some(instance) = instance {
            self.begin_attach(caller, id, instance, None)?;
            self.finish_attach(id, true);
        }
        Ok(())
    }

    /// The region's id.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The time on the region's clock.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The bounds on requests.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Which calls of actions make events.
    pub fn action_trail(&self) -> ActionTrail {
        self.action_trail
    }

    /// Every account, sorted by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Every instance, sorted by id.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// Every interface, sorted by id, including what the API hides from its owner.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }

    /// The interface with this id.
    pub fn interface(&self, id: &str) -> Option<&Interface> {
        self.interfaces.get(id)
    }

    /// Takes the outcomes since the last call, in order: exactly one for each request for one of
    /// the four operations, once it is refused or its operation has ended. At most
    /// [`Limits::journal`] are kept.
    pub fn take_outcomes(&mut self) -> Vec<RequestOutcome> {
        self.outcomes.drain(..).collect()
    }

    /// Takes the status changes since the last call, in order. At most [`Limits::journal`] are
    /// kept.
    pub fn take_changes(&mut self) -> Vec<StatusChange> {
        self.changes.drain(..).collect()
    }

    /// An id for a request that fails before the control plane sees it.
    pub(crate) fn new_request_id(&mut self) -> String {
        self.ids.guid()
    }

    /// The interfaces that are attached to an instance, being attached or being detached.
    fn interfaces_of<'a>(&'a self, instance: &'a str) -> impl Iterator<Item = &'a Interface> {
        let is_on = move |found: &&Interface| found.instance.as_deref() == Some(instance);
        self.interfaces.values().filter(is_on)
    }

    fn insert_interface(&mut self, interface: Interface) {
        let change = StatusChange {
            at: self.now,
            interface: interface.id.clone(),
            from: None,
            to: interface.status,
            instance: interface.instance.clone(),
        };
        self.interfaces.insert(interface.id.clone(), interface);
        push_bounded(&mut self.changes, change, self.limits.journal);
    }

    fn set_instance(&mut self, interface: &str, instance: Option<&str>) {
        if let Some(interface) = self.interfaces.get_mut(interface) {
            interface.instance = instance.map(str::to_owned);
            // The attachment that follows sets it.
            interface.network_card = None;
        }
    }

    /// Changes an interface's status and records the change. Nothing happens when the status stays
    /// the same, as in a repeated detachment.
    ///
    /// # Panics
    /// When the status machine has no such transition: the checks of the operation are incomplete.
    fn set_status(&mut self, id: &str, to: EniStatus) {
        let Some(interface) = self.interfaces.get_mut(id) else {
            return;
        };
        let from = interface.status;
        if from == to {
            return;
        }
        assert!(
            crate::resources::is_valid_transition(from, to),
            "invalid transition of an interface from {from} to {to}"
        );
        interface.status = to;
        let change = StatusChange {
            at: self.now,
            interface: id.to_owned(),
            from: Some(from),
            to,
            instance: interface.instance.clone(),
        };
        push_bounded(&mut self.changes, change, self.limits.journal);
    }
}

/// Appends to a journal and drops its oldest entry when it is full: a caller that never takes the
/// entries must not make the region grow without bound.
fn push_bounded<T>(journal: &mut VecDeque<T>, entry: T, limit: usize) {
    if journal.len() >= limit {
        journal.pop_front();
    }
    journal.push_back(entry);
}
