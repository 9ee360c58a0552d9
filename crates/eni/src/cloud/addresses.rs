//! `AssignPrivateIpAddresses`, `AssignIpv6Addresses`, `UnassignPrivateIpAddresses` and
//! `UnassignIpv6Addresses`: secondary addresses of an existing interface.
//!
//! They take effect at once, and each of them makes an event. Addresses that come with a creation
//! or go with a deletion are in the events of those operations only.

use std::collections::BTreeSet;

use reflexarc_event::EniStatus;

use super::Cloud;
use super::create::allocation_error;
use super::tokens::TokenUse;
use crate::resources::{
    Addresses, AllocationError, AllocationRequest, Interface, InterfaceType, PrimaryRequest,
};
use crate::{Answer, ApiError, AssignAddresses, Request};

impl Cloud {
    /// Assigns addresses, or returns those that an earlier request with the same client token
    /// assigned.
    pub(super) fn assign(
        &mut self,
        request_id: &str,
        caller: &str,
        wanted: &AssignAddresses,
    ) -> Result<Answer, ApiError> {
        let token = wanted.client_token.clone();
        let request = Request::Assign(wanted.clone());
        if let Some(earlier) = self.token_use(caller, token.as_deref(), &request)? {
            return Ok(assigned(wanted, earlier.addresses));
        }
        let added = self.allocate_assigned(caller, wanted)?;
        self.change_addresses(
            caller,
            &wanted.interface,
            wanted.is_ipv6,
            "Assigned",
            |found| {
                found.extend(&added);
            },
        );
        let used = TokenUse {
            request,
            request_id: request_id.to_owned(),
            interface: wanted.interface.clone(),
            addresses: added.clone(),
        };
        self.remember_token(caller, token, used);
        Ok(assigned(wanted, added))
    }

    /// Takes secondary addresses and prefixes from an interface, all of them or none.
    pub(super) fn unassign(
        &mut self,
        caller: &str,
        interface: &str,
        unwanted: &Addresses,
    ) -> Result<Answer, ApiError> {
        let found = self.addressable(caller, interface)?;
        let own = &found.addresses;
        // The primary address is not among the secondary ones, so it counts as not assigned.
        check_assigned(&unwanted.secondary, &own.secondary)?;
        check_assigned(&unwanted.ipv4_prefixes, &own.ipv4_prefixes)?;
        check_assigned(&unwanted.ipv6, &own.ipv6)?;
        check_assigned(&unwanted.ipv6_prefixes, &own.ipv6_prefixes)?;
        let vswitch = found.vswitch.clone();
        self.release_addresses(&vswitch, unwanted);
        let is_ipv6 = unwanted.secondary.is_empty() && unwanted.ipv4_prefixes.is_empty();
        self.change_addresses(caller, interface, is_ipv6, "Unassigned", |found| {
            found.remove(unwanted);
        });
        Ok(Answer::Accepted)
    }

    /// Allocates the requested addresses, all of them or none.
    fn allocate_assigned(
        &mut self,
        caller: &str,
        wanted: &AssignAddresses,
    ) -> Result<Addresses, ApiError> {
        let interface = self.addressable(caller, &wanted.interface)?;
        self.check_counts(interface, wanted)?;
        let (vswitch, groups) = (interface.vswitch.clone(), interface.security_groups.clone());
        let request = AllocationRequest {
            primary: PrimaryRequest::None,
            secondary: &wanted.secondary,
            ipv4_prefixes: &wanted.ipv4_prefixes,
            ipv6: &wanted.ipv6,
            ipv6_prefixes: &wanted.ipv6_prefixes,
        };
        let Some(found) = self.vswitches.get_mut(&vswitch) else {
            return Err(ApiError::unknown_vswitch(&vswitch));
        };
        let added = found.pool.allocate(&request).map_err(|error| match error {
            // These actions have a code of their own for it, unlike creations.
            AllocationError::NoIpv6 => {
                let message = format!("IPv6 is not enabled in vSwitch {vswitch}.");
                ApiError::new(403, "InvalidVSwitch.Ipv6NotTurnOn", message)
            }
            error => allocation_error(&vswitch, &error),
        })?;
        // An enterprise group counts the interface, which is a member already.
        let mut basic = groups;
        basic.retain(|id| {
            self.security_groups
                .get(id)
                .is_some_and(|group| !group.enterprise)
        });
        if let Err(error) = self.check_group_capacity(&basic, &added) {
            self.release_addresses(&vswitch, &added);
            return Err(error);
        }
        Ok(added)
    }

    /// The interface, if its addresses may be changed now.
    fn addressable(&self, caller: &str, interface: &str) -> Result<&Interface, ApiError> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        if !matches!(found.status, EniStatus::Available | EniStatus::InUse) {
            return Err(ApiError::interface_status(interface, found.status));
        }
        let host = found
            .instance
            .as_ref()
            .and_then(|id| self.instances.get(id));
        if let Some(host) = host.filter(|_| found.kind == InterfaceType::Primary)
            && !host.status.accepts_interfaces()
        {
            return Err(ApiError::instance_status(&host.id, host.status));
        }
        Ok(found)
    }

    /// Checks the number of addresses that the interface would have: the instance type limits those
    /// of an attached interface, a fixed number those of any other.
    fn check_counts(&self, found: &Interface, wanted: &AssignAddresses) -> Result<(), ApiError> {
        let limits = &self.limits;
        let host = found
            .instance
            .as_ref()
            .and_then(|id| self.instances.get(id));
        let own = &found.addresses;
        let ipv4 = own.secondary.len() + wanted.secondary.len();
        let ipv6 = own.ipv6.len() + wanted.ipv6.len();
        let (most_ipv4, most_ipv6) = host.map_or((limits.secondary_counted, limits.ipv6), |host| {
            // The limit of the type includes the primary address.
            (host.kind.ipv4.saturating_sub(1), host.kind.ipv6)
        });
        let prefixes = [
            own.ipv4_prefixes.len() + wanted.ipv4_prefixes.len(),
            own.ipv6_prefixes.len() + wanted.ipv6_prefixes.len(),
        ];
        let (what, code, most) = if ipv4 > most_ipv4 && !wanted.secondary.is_empty() {
            (
                "secondary addresses",
                "InvalidOperation.Ipv4CountExceeded",
                most_ipv4,
            )
        } else if ipv6 > most_ipv6 && !wanted.ipv6.is_empty() {
            (
                "IPv6 addresses",
                "InvalidOperation.Ipv6CountExceeded",
                most_ipv6,
            )
        } else if prefixes.into_iter().any(|count| count > limits.prefixes) {
            let code = if wanted.is_ipv6 {
                "InvalidOperation.Ipv6CountExceeded"
            } else {
                "InvalidOperation.Ipv4CountExceeded"
            };
            ("prefixes", code, limits.prefixes)
        } else {
            return Ok(());
        };
        let id = &found.id;
        let message = format!("Network interface {id} may have at most {most} {what}.");
        Err(ApiError::new(403, code, message))
    }

    /// Changes the addresses of an interface and publishes the event.
    fn change_addresses(
        &mut self,
        caller: &str,
        interface: &str,
        is_ipv6: bool,
        what: &str,
        change: impl FnOnce(&mut Addresses),
    ) {
        let Some(found) = self.interfaces.get_mut(interface) else {
            return;
        };
        change(&mut found.addresses);
        let found = found.clone();
        self.publish_addresses(caller, &found, is_ipv6, what);
    }
}

/// The answer to a request that assigned addresses.
fn assigned(wanted: &AssignAddresses, addresses: Addresses) -> Answer {
    let interface = wanted.interface.clone();
    if wanted.is_ipv6 {
        Answer::AssignedIpv6 {
            interface,
            addresses,
        }
    } else {
        Answer::AssignedPrivate {
            interface,
            addresses,
        }
    }
}

/// Checks that the interface has every address, and that none is named twice.
fn check_assigned<T: ToString + Ord>(unwanted: &[T], own: &[T]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for one in unwanted {
        let address = one.to_string();
        if !own.contains(one) {
            let message = format!("The specified IP {address} is not assigned on this interface.");
            return Err(ApiError::new(403, "InvalidIp.IpUnassigned", message));
        }
        if !seen.insert(one) {
            let message = format!("The specified IP {address} is repeated.");
            return Err(ApiError::new(403, "InvalidIp.IpRepeated", message));
        }
    }
    Ok(())
}
