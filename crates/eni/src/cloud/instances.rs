//! The life of an instance: it starts with a primary interface, changes its status, and takes
//! interfaces with it when it is released. The API starts, stops and releases instances, it does
//! not create them: scenarios and tests do.

use reflexarc_event::{EniStatus, Operation};

use super::Cloud;
use crate::events::NoEventReason;
use crate::request::RequestOrigin;
use crate::resources::{
    Instance, InstanceStatus, InstanceType, Interface, InterfaceSettings, InterfaceType,
};
use crate::{ApiError, CreateInterface};

impl Cloud {
    /// Starts an instance in a vSwitch, for the owner of that vSwitch, with its primary interface
    /// in use.
    ///
    /// # Errors
    /// When the vSwitch or a security group does not exist or is full, or the id is in use.
    pub fn run_instance(
        &mut self,
        id: &str,
        kind: InstanceType,
        vswitch: &str,
        security_groups: &[&str],
    ) -> Result<(), ApiError> {
        if self.instances.contains_key(id) {
            return Err(ApiError::invalid_parameter(format!(
                "Instance {id} exists already."
            )));
        }
        let found = self
            .vswitches
            .get(vswitch)
            .ok_or_else(|| ApiError::unknown_vswitch(vswitch))?;
        let (owner, vpc, zone) = (found.owner.clone(), found.vpc.clone(), found.zone.clone());
        let is_unknown = |group: &&&str| !self.security_groups.contains_key(**group);
        if let Some(unknown) = security_groups.iter().find(is_unknown) {
            return Err(ApiError::unknown_security_group(unknown));
        }
        let wanted = CreateInterface::new(vswitch, security_groups.iter().copied());
        let addresses = self.allocate_addresses(vswitch, &wanted)?;
        let primary = Interface {
            id: self.ids.resource("eni"),
            owner: owner.clone(),
            kind: InterfaceType::Primary,
            managed_by: None,
            status: EniStatus::Creating,
            instance: Some(id.to_owned()),
            vswitch: vswitch.to_owned(),
            vpc: vpc.clone(),
            zone: zone.clone(),
            security_groups: wanted.security_groups,
            mac: self.ids.mac(),
            addresses,
            name: String::new(),
            description: String::new(),
            tags: Vec::new(),
            resource_group: String::new(),
            delete_on_release: true,
            created: self.now,
            attach_granted: Vec::new(),
            settings: InterfaceSettings::default(),
            network_card: None,
        };
        let (interface, request_id) = (primary.id.clone(), self.ids.guid());
        let status = InstanceStatus::Running;
        let instance = Instance {
            id: id.to_owned(),
            owner: owner.clone(),
            kind,
            vpc,
            zone,
            status,
            name: id.to_owned(),
            tags: Vec::new(),
            resource_group: String::new(),
            created: self.now,
            started: self.now,
            stopped_mode: None,
        };
        self.instances.insert(id.to_owned(), instance);
        self.insert_interface(primary.clone());
        // Both operations end without an event, because the interface is a primary one; their
        // outcomes contain this reason, which a timeline shows.
        self.set_status(&interface, EniStatus::Available);
        self.publish(
            RequestOrigin::new(&request_id, &owner, Operation::Create),
            &primary,
            true,
        );
        self.set_status(&interface, EniStatus::Attaching);
        self.set_status(&interface, EniStatus::InUse);
        self.publish(
            RequestOrigin::new(&request_id, &owner, Operation::Attach),
            &primary,
            true,
        );
        Ok(())
    }

    /// Changes an instance's status at once, with an event, and ends a change in progress.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn set_instance_status(
        &mut self,
        id: &str,
        status: InstanceStatus,
    ) -> Result<(), ApiError> {
        if !self.instances.contains_key(id) {
            return Err(ApiError::unknown_instance(id));
        }
        self.cancel_transitions(id);
        self.set_status_of_instance(id, status);
        Ok(())
    }

    /// Releases an instance. Its primary interface and those with `delete_on_release` are deleted,
    /// the others become Available. None of this makes an event of an interface: those belong to
    /// requests for an interface operation, and the release of an instance is none. The instance
    /// itself has one.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn release_instance(&mut self, id: &str) -> Result<(), ApiError> {
        let request_id = self.ids.guid();
        self.release(&request_id, id)
    }

    /// Sets the name and the tags of an instance.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn label_instance(
        &mut self,
        id: &str,
        name: Option<&str>,
        tags: Vec<(String, String)>,
    ) -> Result<(), ApiError> {
        let instance = self
            .instances
            .get_mut(id)
            .ok_or_else(|| ApiError::unknown_instance(id))?;
        if let Some(name) = name {
            name.clone_into(&mut instance.name);
        }
        instance.tags = tags;
        Ok(())
    }

    /// Releases an instance in a request.
    pub(super) fn release(&mut self, request_id: &str, id: &str) -> Result<(), ApiError> {
        let instance = self
            .instances
            .remove(id)
            .ok_or_else(|| ApiError::unknown_instance(id))?;
        self.cancel_transitions(id);
        // Before the interfaces are gone: the event has the primary address.
        self.publish_state(&instance, "Deleted");
        let attached: Vec<Interface> = self.interfaces_of(id).cloned().collect();
        for interface in attached {
            self.abort_pending(&interface.id);
            let reason = match interface.kind {
                InterfaceType::Primary => NoEventReason::PrimaryInterface,
                InterfaceType::Secondary => NoEventReason::InstanceRelease,
            };
            let origin = RequestOrigin::new(request_id, &instance.owner, Operation::Detach);
            self.detach_at_release(&interface);
            self.record_no_event(origin, Some(interface.id.clone()), reason.clone());
            if interface.kind == InterfaceType::Primary || interface.delete_on_release {
                let origin = RequestOrigin::new(request_id, &instance.owner, Operation::Delete);
                self.set_status(&interface.id, EniStatus::Deleting);
                self.finish_delete(&interface.id, true);
                self.record_no_event(origin, Some(interface.id.clone()), reason);
            }
        }
        Ok(())
    }

    /// Takes an interface from Attaching, `InUse` or Detaching to Available.
    fn detach_at_release(&mut self, interface: &Interface) {
        // The status machine has no transition from InUse to Available.
        if interface.status == EniStatus::InUse {
            self.set_status(&interface.id, EniStatus::Detaching);
        }
        self.set_status(&interface.id, EniStatus::Available);
        self.set_instance(&interface.id, None);
    }

    /// Ends the pending requests for an interface: their operations never complete.
    fn abort_pending(&mut self, interface: &str) {
        let status = self.interfaces.get(interface).map(|found| found.status);
        for request in self
            .pending
            .extract(|request| request.interface == interface)
        {
            let reason = NoEventReason::NotCompleted { status };
            self.record_no_event(request.origin, Some(request.interface), reason);
        }
    }
}
