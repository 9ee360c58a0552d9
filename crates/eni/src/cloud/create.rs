//! `CreateNetworkInterface`.

use reflexarc_event::{EniStatus, Operation};

use super::Cloud;
use super::tags::check_duplicates;
use super::tokens::TokenUse;
use crate::events::NoEventReason;
use crate::request::RequestOrigin;
use crate::resources::{
    Account, AddressSelection, Addresses, AllocationError, AllocationRequest, Interface,
    InterfaceType, PrimaryRequest,
};
use crate::{Answer, ApiError, CreateInterface, Request};

impl Cloud {
    /// Creates an interface, or returns the one that an earlier request with the same client token
    /// created.
    pub(super) fn create(
        &mut self,
        request_id: &str,
        caller: &str,
        wanted: &CreateInterface,
    ) -> Result<Answer, ApiError> {
        let origin = RequestOrigin::new(request_id, caller, Operation::Create);
        let token = wanted.client_token.clone();
        let request = Request::Create(wanted.clone());
        if let Some(earlier) = self.token_use(caller, token.as_deref(), &request)? {
            return self.repeat_creation(origin, earlier);
        }
        let id = self.ids.resource("eni");
        self.begin_create(caller, &id, wanted)?;
        let used = TokenUse {
            request,
            request_id: request_id.to_owned(),
            interface: id.clone(),
            addresses: Addresses::default(),
        };
        self.remember_token(caller, token, used);
        // A creation without a fault completes here, so the answer has the status Available.
        self.schedule(origin, &id);
        self.created(&id)
    }

    /// Adds the interface in status Creating, or refuses; no event yet.
    ///
    /// An interface that a service account creates is managed by that service, and owned by the
    /// account whose vSwitch it is in.
    pub(super) fn begin_create(
        &mut self,
        caller: &str,
        id: &str,
        wanted: &CreateInterface,
    ) -> Result<(), ApiError> {
        self.check_create_limits(wanted)?;
        let account = self.account(caller)?.clone();
        let vswitch = self.vswitch_for(&account, &wanted.vswitch)?;
        let (owner, vpc, zone) = (
            vswitch.owner.clone(),
            vswitch.vpc.clone(),
            vswitch.zone.clone(),
        );
        self.check_groups(&account, &wanted.security_groups, &vpc)?;
        // Services have no quota of their own, and what they create does not count for the owner.
        let existing = self
            .interfaces
            .values()
            .filter(|found| found.counts_for(caller))
            .count();
        if account.service.is_none() && existing >= account.quota {
            let message = format!(
                "The account has {existing} network interfaces in the region, \
                 as many as its quota allows."
            );
            return Err(ApiError::new(403, "MaxEniCountExceeded", message));
        }
        let addresses = self.allocate_addresses(&wanted.vswitch, wanted)?;
        // Basic groups count addresses, so this check has to follow the allocation, and a refusal
        // has to give the addresses back.
        if let Err(error) = self.check_group_capacity(&wanted.security_groups, &addresses) {
            self.release_addresses(&wanted.vswitch, &addresses);
            return Err(error);
        }
        let interface = Interface {
            id: id.to_owned(),
            owner,
            kind: InterfaceType::Secondary,
            managed_by: account.service.map(|number| (account.id.clone(), number)),
            status: EniStatus::Creating,
            instance: None,
            vswitch: wanted.vswitch.clone(),
            vpc,
            zone,
            security_groups: wanted.security_groups.clone(),
            mac: self.ids.mac(),
            addresses,
            name: wanted.name.clone(),
            description: wanted.description.clone(),
            tags: wanted.tags.clone(),
            resource_group: wanted.resource_group.clone(),
            delete_on_release: wanted.delete_on_release.unwrap_or(true),
            created: self.now,
            attach_granted: Vec::new(),
            settings: wanted.settings.clone(),
            network_card: None,
        };
        self.insert_interface(interface);
        Ok(())
    }

    /// Checks that the account may use the security groups, and that they are in the VPC.
    pub(super) fn check_groups(
        &self,
        account: &Account,
        groups: &[String],
        vpc: &str,
    ) -> Result<(), ApiError> {
        for group in groups {
            if self.security_group_for(account, group)?.vpc != vpc {
                let message =
                    format!("Security group {group} and the interface are not in one VPC.");
                return Err(ApiError::new(403, "InvalidOperation.VpcMismatch", message));
            }
        }
        Ok(())
    }

    /// Sets the interface to Available; or to `CreateFailed`, without addresses, when the creation
    /// failed.
    pub(super) fn finish_create(&mut self, id: &str, success: bool) {
        if success {
            return self.set_status(id, EniStatus::Available);
        }
        self.set_status(id, EniStatus::CreateFailed);
        if let Some(interface) = self.interfaces.get_mut(id) {
            let addresses = std::mem::take(&mut interface.addresses);
            let vswitch = interface.vswitch.clone();
            self.release_addresses(&vswitch, &addresses);
        }
    }

    /// Allocates the addresses of an interface in a vSwitch, all of them or none.
    pub(super) fn allocate_addresses(
        &mut self,
        vswitch: &str,
        wanted: &CreateInterface,
    ) -> Result<Addresses, ApiError> {
        let Some(found) = self.vswitches.get_mut(vswitch) else {
            return Err(ApiError::unknown_vswitch(vswitch));
        };
        let request = AllocationRequest {
            primary: wanted
                .primary
                .map_or(PrimaryRequest::Free, PrimaryRequest::Explicit),
            secondary: &wanted.secondary,
            ipv4_prefixes: &wanted.ipv4_prefixes,
            ipv6: &wanted.ipv6,
            ipv6_prefixes: &wanted.ipv6_prefixes,
        };
        let allocated = found.pool.allocate(&request);
        allocated.map_err(|error| allocation_error(vswitch, &error))
    }

    /// Returns addresses to their vSwitch.
    pub(super) fn release_addresses(&mut self, vswitch: &str, addresses: &Addresses) {
        if let Some(vswitch) = self.vswitches.get_mut(vswitch) {
            vswitch.pool.release(addresses);
        }
    }

    /// The earlier request with this client token.
    ///
    /// # Errors
    /// When that request was another one.
    pub(super) fn token_use(
        &self,
        caller: &str,
        token: Option<&str>,
        request: &Request,
    ) -> Result<Option<TokenUse>, ApiError> {
        // A token belongs to an account: two accounts may use the same one.
        let earlier = token.and_then(|token| self.tokens.get(caller, token));
        if earlier.is_some_and(|earlier| earlier.request != *request) {
            let message =
                "The request uses the client token of an earlier one with other parameters.";
            return Err(ApiError::new(400, "IdempotentParameterMismatch", message));
        }
        Ok(earlier.cloned())
    }

    /// Remembers an accepted request, if it carried a client token.
    pub(super) fn remember_token(&mut self, caller: &str, token: Option<String>, used: TokenUse) {
        if let Some(token) = token {
            self.tokens.insert(caller, token, used, self.limits.pending);
        }
    }

    /// Answers a creation with a client token that was used before.
    fn repeat_creation(
        &mut self,
        origin: RequestOrigin,
        earlier: TokenUse,
    ) -> Result<Answer, ApiError> {
        let answer = self.created(&earlier.interface)?;
        // Only the first request has an event, or one operation would be reported twice.
        let reason = NoEventReason::Repeated {
            request_id: earlier.request_id,
        };
        self.record_no_event(origin, Some(earlier.interface), reason);
        Ok(answer)
    }

    fn created(&self, id: &str) -> Result<Answer, ApiError> {
        let interface = self
            .interfaces
            .get(id)
            .ok_or_else(|| ApiError::unknown_interface(id))?;
        Ok(Answer::Created(Box::new(interface.clone())))
    }

    fn check_create_limits(&self, wanted: &CreateInterface) -> Result<(), ApiError> {
        let limits = &self.limits;
        let secondary = match &wanted.secondary {
            AddressSelection::Count(_) => limits.secondary_counted,
            AddressSelection::None | AddressSelection::Explicit(_) => limits.secondary_named,
        };
        if wanted.security_groups.is_empty() {
            let message = "SecurityGroupId: at least one security group is required.";
            return Err(ApiError::invalid_parameter(message));
        }
        // The names are those of the messages; the first one over its limit is reported.
        let groups = wanted.security_groups.len();
        let bounded = [
            ("SecurityGroupIds", groups, limits.security_groups),
            (
                "secondary private addresses",
                wanted.secondary.len(),
                secondary,
            ),
            ("IPv4 prefixes", wanted.ipv4_prefixes.len(), limits.prefixes),
            ("IPv6 addresses", wanted.ipv6.len(), limits.ipv6),
            ("IPv6 prefixes", wanted.ipv6_prefixes.len(), limits.prefixes),
        ];
        if let Some((what, requested, allowed)) = bounded
            .into_iter()
            .find(|(_, requested, allowed)| requested > allowed)
        {
            let message = format!("{what}: {requested} requested, at most {allowed} allowed.");
            return Err(ApiError::invalid_parameter(message));
        }
        if wanted.tags.len() > limits.tags {
            let (requested, allowed) = (wanted.tags.len(), limits.tags);
            let message = format!("{requested} tags requested, at most {allowed} allowed.");
            return Err(ApiError::new(403, "QuotaExceed.Tags", message));
        }
        check_duplicates(&wanted.tags)
    }

    /// Checks that an interface with these addresses fits into each security group.
    pub(super) fn check_group_capacity(
        &self,
        groups: &[String],
        addresses: &Addresses,
    ) -> Result<(), ApiError> {
        for id in groups {
            let Some(group) = self.security_groups.get(id) else {
                continue;
            };
            let members = self
                .interfaces
                .values()
                .filter(|found| found.security_groups.contains(id));
            let used: usize = members
                .map(|interface| group.weight(&interface.addresses.all()))
                .sum();
            if used + group.weight(&addresses.all()) > group.capacity {
                let code = if group.enterprise {
                    "InvalidOperation.EniCountExceeded"
                } else {
                    "SecurityGroupInstanceLimitExceed"
                };
                return Err(ApiError::new(
                    403,
                    code,
                    format!("Security group {id} is full."),
                ));
            }
        }
        Ok(())
    }
}

/// The error of a vSwitch that cannot allocate addresses.
pub(super) fn allocation_error(vswitch: &str, error: &AllocationError) -> ApiError {
    let (status, code) = match error {
        AllocationError::NotEnough => (403, "InvalidVSwitchId.IpNotEnough"),
        // The API reports invalid IPv4 and IPv6 addresses under different codes.
        AllocationError::Invalid(address) if address.contains(':') => (403, "InvalidIp.Address"),
        AllocationError::Invalid(_) => (403, "InvalidVSwitchId.IpInvalid"),
        AllocationError::InUse(_) => (403, "InvalidIp.IpAssigned"),
        AllocationError::Duplicate(_) => (403, "InvalidIp.IpRepeated"),
        AllocationError::NoIpv6 => (400, "InvalidParameter"),
    };
    ApiError::new(status, code, format!("vSwitch {vswitch}: {error}."))
}

impl Interface {
    /// Whether it counts for the account's quota: interfaces that services created in the account's
    /// vSwitches and failed creations do not.
    fn counts_for(&self, account: &str) -> bool {
        self.owner == account
            && self.kind == InterfaceType::Secondary
            && !self.is_managed()
            && self.status != EniStatus::CreateFailed
    }
}
