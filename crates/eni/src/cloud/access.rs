//! Which account may use which resource.
//!
//! A resource that an account may not use is reported as one that does not exist, as the service
//! does: the error must not reveal other accounts' ids. The one exception is a managed interface,
//! which its owner sees in descriptions anyway.

use super::Cloud;
use crate::ApiError;
use crate::resources::{Account, Instance, Interface, SecurityGroup, VSwitch};

impl Cloud {
    /// The account of a caller.
    pub(super) fn account(&self, id: &str) -> Result<&Account, ApiError> {
        self.accounts.get(id).ok_or_else(|| {
            let message = format!("The account {id} does not exist.");
            ApiError::new(403, "Abs.InvalidAccount.NotFound", message)
        })
    }

    /// A vSwitch of the account; a service account may use those of every account.
    pub(super) fn vswitch_for(&self, account: &Account, id: &str) -> Result<&VSwitch, ApiError> {
        // The authorization of a service by a user (a RAM role) is not simulated: services have it.
        self.vswitches
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id)
            .ok_or_else(|| ApiError::unknown_vswitch(id))
    }

    /// A security group of the account; a service account may use those of every account.
    pub(super) fn security_group_for(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<&SecurityGroup, ApiError> {
        self.security_groups
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id)
            .ok_or_else(|| ApiError::unknown_security_group(id))
    }

    /// An instance of the account; a service account may use those of every account.
    pub(super) fn instance_for(&self, account: &Account, id: &str) -> Result<&Instance, ApiError> {
        self.instances
            .get(id)
            .filter(|found| account.service.is_some() || found.owner == account.id)
            .ok_or_else(|| ApiError::unknown_instance(id))
    }

    /// An interface that the account may operate on: its own standard ones, those it manages, and
    /// those it was granted.
    pub(super) fn interface_for(
        &self,
        account: &Account,
        id: &str,
    ) -> Result<&Interface, ApiError> {
        let found = self
            .interfaces
            .get(id)
            .ok_or_else(|| ApiError::unknown_interface(id))?;
        if found.is_operated_by(&account.id) || found.attach_granted.contains(&account.id) {
            return Ok(found);
        }
        // The owner of a managed interface may know why; for others it does not exist.
        Err(if found.owner == account.id {
            ApiError::managed(id)
        } else {
            ApiError::unknown_interface(id)
        })
    }
}
