//! The control plane: what there is, and the one way to ask it for something.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Operation};

use crate::completion::{Pending, Timing};
use crate::ids::Ids;
use crate::interface::{Addresses, Interface};
use crate::notice::Told;
use crate::{
    Account, Answer, CreateInterface, Fault, Instance, Limits, Notice, Refusal, Reply, Request,
    SecurityGroup, Silence, TooManyFaults, VSwitch,
};

/// One region of the cloud. Nothing in it moves but by [`Cloud::call`] and [`Cloud::advance`].
#[derive(Debug, Clone)]
pub struct Cloud {
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) ids: Ids,
    pub(crate) vswitches: BTreeMap<String, VSwitch>,
    pub(crate) security_groups: BTreeMap<String, SecurityGroup>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) interfaces: BTreeMap<String, Interface>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) pending: BTreeMap<(Timestamp, u64), Pending>,
    region: String,
    now: Timestamp,
    number: u64,
    accounts: BTreeMap<String, Account>,
    tokens: BTreeMap<(String, String), Creation>,
    /// The same tokens, oldest first.
    token_order: VecDeque<(String, String)>,
    notices: VecDeque<Notice>,
    changes: VecDeque<StatusChange>,
}

/// A creation that carried a client token.
#[derive(Debug, Clone)]
struct Creation {
    wanted: CreateInterface,
    request_id: String,
    interface: String,
}

/// An interface came into a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// When.
    pub at: Timestamp,
    /// Which interface.
    pub interface: String,
    /// Where it was; nowhere when it is new.
    pub from: Option<EniStatus>,
    /// Where it is.
    pub to: EniStatus,
    /// The instance it has to do with.
    pub instance: Option<String>,
}

impl Cloud {
    /// An empty region at that instant. The seed names everything that will be made in it.
    pub fn new(region: &str, seed: u64, now: Timestamp) -> Self {
        Self {
            limits: Limits::DEFAULT,
            timing: Timing::default(),
            ids: Ids::new(seed),
            vswitches: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            instances: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            faults: Vec::new(),
            pending: BTreeMap::new(),
            region: region.to_owned(),
            now,
            number: 0,
            accounts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            token_order: VecDeque::new(),
            notices: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other times for operations.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// The same, naming everything from now on from another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.ids = Ids::new(seed);
        self
    }

    /// Adds an account, or replaces it.
    pub fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.id.clone(), account);
    }

    /// Adds a vSwitch, or replaces it.
    pub fn add_vswitch(&mut self, vswitch: VSwitch) {
        self.vswitches.insert(vswitch.id.clone(), vswitch);
    }

    /// Adds a security group, or replaces it.
    pub fn add_security_group(&mut self, group: SecurityGroup) {
        self.security_groups.insert(group.id.clone(), group);
    }

    /// Lets requests go wrong from now on; a fault that strikes no times is none.
    ///
    /// # Errors
    /// When [`Limits::faults`] wait already.
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

    /// The faults that have not struck for the last time, in the order in which they strike.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Takes back every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Lets another account attach the interface to instances of its own.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn grant_attach(&mut self, interface: &str, account: &str) -> Result<(), Refusal> {
        let found = self
            .interfaces
            .get_mut(interface)
            .ok_or_else(|| Refusal::unknown_interface(interface))?;
        found.attach_granted.push(account.to_owned());
        Ok(())
    }

    /// Places an interface of a given id, attached to an instance or not, as if it had always been there: nobody is told.
    ///
    /// # Errors
    /// Where a request to create or attach it would be refused, or the id is taken.
    pub fn place_interface(
        &mut self,
        caller: &str,
        id: &str,
        wanted: &CreateInterface,
        instance: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.interfaces.contains_key(id) {
            return Err(Refusal::parameter(format!(
                "Network interface {id} exists already."
            )));
        }
        self.begin_create(caller, id, wanted)?;
        self.finish_create(id, true);
        if let Some(instance) = instance {
            self.begin_attach(caller, id, instance)?;
            self.finish_attach(id, true);
        }
        Ok(())
    }

    /// Asks for something in the name of an account, at an instant; what falls due until then completes first.
    pub fn call(&mut self, caller: &str, request: Request, now: Timestamp) -> Reply {
        self.advance(now);
        let request_id = self.ids.guid();
        let operation = request.operation();
        let named = request.interface().map(str::to_owned);
        let result = self.perform(&request_id, caller, request);
        if let (Err(refusal), Some(operation)) = (&result, operation) {
            let told = Told {
                request_id: request_id.clone(),
                caller: caller.to_owned(),
                operation,
            };
            self.note(told, named, Err(Silence::Refused(refusal.clone())));
        }
        Reply { request_id, result }
    }

    /// Refuses a request that made no sense, in the way of [`Cloud::call`].
    pub(crate) fn refuse(
        &mut self,
        caller: &str,
        operation: Option<Operation>,
        interface: Option<&str>,
        refusal: Refusal,
        now: Timestamp,
    ) -> Reply {
        self.advance(now);
        let request_id = self.ids.guid();
        if let Some(operation) = operation {
            let told = Told {
                request_id: request_id.clone(),
                caller: caller.to_owned(),
                operation,
            };
            self.note(
                told,
                interface.map(str::to_owned),
                Err(Silence::Refused(refusal.clone())),
            );
        }
        Reply {
            request_id,
            result: Err(refusal),
        }
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The instant the clock stands at.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Every account, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Every instance, by id.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// Every interface, by id, as the cloud itself knows it.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }

    /// One interface.
    pub fn interface(&self, id: &str) -> Option<&Interface> {
        self.interfaces.get(id)
    }

    /// What there is to tell since the last time, in order: exactly one notice for each request for one of the four
    /// operations, once it is refused or done.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    /// The changes of status since the last time, in order.
    pub fn take_changes(&mut self) -> Vec<StatusChange> {
        self.changes.drain(..).collect()
    }

    fn perform(
        &mut self,
        request_id: &str,
        caller: &str,
        request: Request,
    ) -> Result<Answer, Refusal> {
        if request.operation().is_some() && self.pending.len() >= self.limits.pending {
            let message = format!(
                "{} requests are under way, as many as allowed.",
                self.pending.len()
            );
            return Err(Refusal::new(400, "Throttling", message));
        }
        match request {
            Request::Create(wanted) => self.create(request_id, caller, wanted),
            Request::Attach {
                interface,
                instance,
            } => {
                self.begin_attach(caller, &interface, &instance)?;
                self.schedule(request_id, caller, Operation::Attach, &interface);
                Ok(Answer::Accepted)
            }
            Request::Detach {
                interface,
                instance,
            } => {
                self.begin_detach(caller, &interface, &instance)?;
                self.schedule(request_id, caller, Operation::Detach, &interface);
                Ok(Answer::Accepted)
            }
            Request::Delete { interface } => {
                self.begin_delete(caller, &interface)?;
                self.schedule(request_id, caller, Operation::Delete, &interface);
                Ok(Answer::Accepted)
            }
            Request::Describe { filter, paging } => self
                .describe(caller, &filter, &paging)
                .map(Answer::Described),
        }
    }

    fn create(
        &mut self,
        request_id: &str,
        caller: &str,
        wanted: CreateInterface,
    ) -> Result<Answer, Refusal> {
        let token = wanted
            .client_token
            .clone()
            .map(|token| (caller.to_owned(), token));
        if let Some(earlier) = token
            .as_ref()
            .and_then(|token| self.tokens.get(token))
            .cloned()
        {
            let Creation {
                wanted: first_wanted,
                request_id: first,
                interface: id,
            } = earlier;
            if first_wanted != wanted {
                let message =
                    "The request uses the client token of an earlier one with other parameters.";
                return Err(Refusal::new(400, "IdempotentParameterMismatch", message));
            }
            let interface = self
                .interfaces
                .get(&id)
                .cloned()
                .ok_or_else(|| Refusal::unknown_interface(&id))?;
            let told = Told {
                request_id: request_id.to_owned(),
                caller: caller.to_owned(),
                operation: Operation::Create,
            };
            self.note(told, Some(id), Err(Silence::Repeated { request_id: first }));
            return Ok(Answer::Created(Box::new(interface)));
        }
        let id = self.ids.resource("eni");
        self.begin_create(caller, &id, &wanted)?;
        if let Some(token) = token {
            // As many tokens as requests that may be under way: whoever repeats a request does so soon.
            if self.tokens.len() >= self.limits.pending
                && let Some(oldest) = self.token_order.pop_front()
            {
                self.tokens.remove(&oldest);
            }
            self.token_order.push_back(token.clone());
            let creation = Creation {
                wanted,
                request_id: request_id.to_owned(),
                interface: id.clone(),
            };
            self.tokens.insert(token, creation);
        }
        self.schedule(request_id, caller, Operation::Create, &id);
        let interface = self
            .interfaces
            .get(&id)
            .cloned()
            .ok_or_else(|| Refusal::unknown_interface(&id))?;
        Ok(Answer::Created(Box::new(interface)))
    }

    pub(crate) fn account(&self, id: &str) -> Result<&Account, Refusal> {
        let message = || format!("The account {id} does not exist.");
        self.accounts
            .get(id)
            .ok_or_else(|| Refusal::new(403, "Abs.InvalidAccount.NotFound", message()))
    }

    /// A vSwitch of the account; services may use anybody's.
    pub(crate) fn vswitch_for(&self, account: &Account, id: &str) -> Result<&VSwitch, Refusal> {
        let found = self
            .vswitches
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id);
        found.ok_or_else(|| Refusal::unknown_vswitch(id))
    }

    /// A security group of the account; services may use anybody's.
    pub(crate) fn security_group_for(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<&SecurityGroup, Refusal> {
        let found = self
            .security_groups
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id);
        found.ok_or_else(|| Refusal::unknown_security_group(id))
    }

    /// An instance of the account; services may use anybody's.
    pub(crate) fn instance_for(&self, account: &Account, id: &str) -> Result<&Instance, Refusal> {
        let found = self
            .instances
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id);
        found.ok_or_else(|| Refusal::unknown_instance(id))
    }

    /// An interface that the account may operate on: its own standard ones, those it manages, those it was granted.
    pub(crate) fn interface_for(&self, account: &Account, id: &str) -> Result<&Interface, Refusal> {
        let found = self
            .interfaces
            .get(id)
            .ok_or_else(|| Refusal::unknown_interface(id))?;
        if found.is_operated_by(&account.id) || found.attach_granted.contains(&account.id) {
            return Ok(found);
        }
        // Its owner sees a managed interface and may know why; to anybody else it does not exist.
        Err(if found.owner == account.id {
            Refusal::managed(id)
        } else {
            Refusal::unknown_interface(id)
        })
    }

    /// The interfaces on an instance, or on their way to or from it.
    pub(crate) fn interfaces_of<'a>(
        &'a self,
        instance: &'a str,
    ) -> impl Iterator<Item = &'a Interface> {
        self.interfaces
            .values()
            .filter(move |interface| interface.instance.as_deref() == Some(instance))
    }

    pub(crate) fn insert_interface(&mut self, interface: Interface) {
        let change = StatusChange {
            at: self.now,
            interface: interface.id.clone(),
            from: None,
            to: interface.status,
            instance: interface.instance.clone(),
        };
        self.interfaces.insert(interface.id.clone(), interface);
        self.record(change);
    }

    pub(crate) fn set_instance(&mut self, interface: &str, instance: Option<&str>) {
        if let Some(interface) = self.interfaces.get_mut(interface) {
            interface.instance = instance.map(str::to_owned);
        }
    }

    pub(crate) fn release_addresses(&mut self, vswitch: &str, addresses: &Addresses) {
        if let Some(vswitch) = self.vswitches.get_mut(vswitch) {
            vswitch.pool.release(addresses);
        }
    }

    pub(crate) fn move_clock(&mut self, to: Timestamp) {
        self.now = self.now.max(to);
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(crate) fn record(&mut self, change: StatusChange) {
        if self.changes.len() >= self.limits.journal {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    pub(crate) fn push_notice(&mut self, notice: Notice) {
        if self.notices.len() >= self.limits.journal {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}
