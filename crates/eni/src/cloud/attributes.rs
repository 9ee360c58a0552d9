//! `ModifyNetworkInterfaceAttribute` and `DescribeNetworkInterfaceAttribute`.

use reflexarc_event::EniStatus;

use super::Cloud;
use super::describe::visible_to;
use crate::resources::{Interface, InterfaceType};
use crate::{Answer, ApiError, ModifyInterface};

impl Cloud {
    /// Changes attributes of an interface at once, all of them or none. There is no event.
    pub(super) fn modify(
        &mut self,
        caller: &str,
        change: &ModifyInterface,
    ) -> Result<Answer, ApiError> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, &change.interface)?;
        if !matches!(found.status, EniStatus::Available | EniStatus::InUse) {
            return Err(ApiError::interface_status(&found.id, found.status));
        }
        self.check_new_groups(caller, found, &change.security_groups)?;
        if change.settings.queue_number.is_some() {
            self.check_queues(found)?;
        }
        let Some(found) = self.interfaces.get_mut(&change.interface) else {
            return Err(ApiError::unknown_interface(&change.interface));
        };
        // Every field is named, so that a new one cannot be accepted and lost.
        let ModifyInterface {
            interface: _,
            name,
            description,
            security_groups,
            delete_on_release,
            settings,
        } = change;
        if let Some(name) = name {
            found.name.clone_from(name);
        }
        if let Some(description) = description {
            found.description.clone_from(description);
        }
        if !security_groups.is_empty() {
            found.security_groups.clone_from(security_groups);
        }
        if let Some(delete) = delete_on_release {
            found.delete_on_release = *delete;
        }
        found.settings.update(settings);
        Ok(Answer::Accepted)
    }

    /// One interface as the caller may see it.
    pub(super) fn describe_attribute(
        &self,
        caller: &str,
        interface: &str,
    ) -> Result<Answer, ApiError> {
        let account = self.account(caller)?;
        let found = self.interfaces.get(interface);
        let found = found.and_then(|found| visible_to(account, found));
        let found = found.ok_or_else(|| ApiError::unknown_interface(interface))?;
        Ok(Answer::Attributes(Box::new(found)))
    }

    /// Checks that the interface may leave its security groups and join these.
    fn check_new_groups(
        &self,
        caller: &str,
        found: &Interface,
        groups: &[String],
    ) -> Result<(), ApiError> {
        if groups.is_empty() {
            return Ok(());
        }
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {} is a primary one, \
                 whose security groups are those of its instance.",
                found.id
            );
            return Err(ApiError::new(
                403,
                "InvalidOperation.InvalidEniType",
                message,
            ));
        }
        let (count, most) = (groups.len(), self.limits.security_groups);
        if count > most {
            let message = format!("SecurityGroupId: {count} requested, at most {most} allowed.");
            return Err(ApiError::invalid_parameter(message));
        }
        self.check_groups(self.account(caller)?, groups, &found.vpc)?;
        // Groups that it is in already have counted it.
        let is_new = |group: &&String| !found.security_groups.contains(group);
        let new: Vec<String> = groups.iter().filter(is_new).cloned().collect();
        self.check_group_capacity(&new, &found.addresses)
    }

    /// Checks that the number of queues may change: not while the instance runs.
    fn check_queues(&self, found: &Interface) -> Result<(), ApiError> {
        let host = found
            .instance
            .as_ref()
            .and_then(|id| self.instances.get(id));
        match host {
            Some(host) if host.status != crate::resources::InstanceStatus::Stopped => {
                Err(ApiError::instance_status(&host.id, host.status))
            }
            _ => Ok(()),
        }
    }
}
