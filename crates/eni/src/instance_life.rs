//! Instances come with a primary interface and take it along when they go.

use reflexarc_event::{EniStatus, Operation};

use crate::cloud::Cloud;
use crate::interface::{Interface, InterfaceType};
use crate::notice::Told;
use crate::{CreateInterface, Instance, InstanceStatus, InstanceType, Refusal, Silence};

impl Cloud {
    /// Makes a running instance in a vSwitch, for the owner of that vSwitch, with its primary interface in use.
    ///
    /// # Errors
    /// When the vSwitch or a security group does not exist or has no room, or the instance exists already.
    pub fn run_instance(
        &mut self,
        id: &str,
        kind: InstanceType,
        vswitch: &str,
        security_groups: &[&str],
    ) -> Result<(), Refusal> {
        if self.instances.contains_key(id) {
            return Err(Refusal::parameter(format!("Instance {id} exists already.")));
        }
        let found = self
            .vswitches
            .get(vswitch)
            .ok_or_else(|| Refusal::unknown_vswitch(vswitch))?;
        let (owner, vpc, zone) = (found.owner.clone(), found.vpc.clone(), found.zone.clone());
        if let Some(missing) = security_groups
            .iter()
            .find(|group| !self.security_groups.contains_key(**group))
        {
            return Err(Refusal::unknown_security_group(missing));
        }
        let wanted = CreateInterface::new(vswitch, security_groups.iter().copied());
        let addresses = self.take_addresses(vswitch, &wanted)?;
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
            created: self.now(),
            attach_granted: Vec::new(),
        };
        let (interface, request_id) = (primary.id.clone(), self.ids.guid());
        let instance = Instance {
            id: id.to_owned(),
            owner: owner.clone(),
            kind,
            vpc,
            zone,
            status: InstanceStatus::Running,
        };
        self.instances.insert(id.to_owned(), instance);
        self.insert_interface(primary);
        for (operation, step) in [
            (Operation::Create, vec![EniStatus::Available]),
            (
                Operation::Attach,
                vec![EniStatus::Attaching, EniStatus::InUse],
            ),
        ] {
            for status in step {
                self.set_status(&interface, status);
            }
            self.tell(&request_id, &owner, operation, &interface);
        }
        Ok(())
    }

    /// Brings an instance into a status.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn set_instance_status(&mut self, id: &str, status: InstanceStatus) -> Result<(), Refusal> {
        let instance = self
            .instances
            .get_mut(id)
            .ok_or_else(|| Refusal::unknown_instance(id))?;
        instance.status = status;
        Ok(())
    }

    /// Releases an instance: its primary interface goes with it, and so does every other one that says so; the rest
    /// become available. Nobody asked for these operations, so nobody is told.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn release_instance(&mut self, id: &str) -> Result<(), Refusal> {
        let instance = self
            .instances
            .remove(id)
            .ok_or_else(|| Refusal::unknown_instance(id))?;
        let request_id = self.ids.guid();
        let carried: Vec<Interface> = self.interfaces_of(id).cloned().collect();
        for interface in carried {
            self.drop_pending(&interface.id);
            let goes = interface.kind == InterfaceType::Primary || interface.delete_on_release;
            self.leave(&interface);
            self.tell_or_not(&request_id, &instance.owner, Operation::Detach, &interface);
            if goes {
                self.set_status(&interface.id, EniStatus::Deleting);
                self.finish_delete(&interface.id, true);
                self.tell_or_not(&request_id, &instance.owner, Operation::Delete, &interface);
            }
        }
        Ok(())
    }

    /// Steps from wherever an interface is on an instance to Available.
    fn leave(&mut self, interface: &Interface) {
        if interface.status == EniStatus::InUse {
            self.set_status(&interface.id, EniStatus::Detaching);
        }
        self.set_status(&interface.id, EniStatus::Available);
        self.set_instance(&interface.id, None);
    }

    /// Whatever was under way for an interface is over, and its requests never complete.
    fn drop_pending(&mut self, interface: &str) {
        let status = self.interfaces.get(interface).map(|found| found.status);
        let keys: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, one)| one.interface == interface)
            .map(|(key, _)| *key)
            .collect();
        for one in keys
            .iter()
            .filter_map(|key| self.pending.remove(key))
            .collect::<Vec<_>>()
        {
            let told = Told {
                request_id: one.request_id,
                caller: one.caller,
                operation: one.operation,
            };
            self.note(
                told,
                Some(one.interface),
                Err(Silence::NotCompleted { status }),
            );
        }
    }

    fn tell(&mut self, request_id: &str, caller: &str, operation: Operation, interface: &str) {
        let told = Told {
            request_id: request_id.to_owned(),
            caller: caller.to_owned(),
            operation,
        };
        if let Some(interface) = self.interfaces.get(interface).cloned() {
            self.publish(told, &interface, true);
        }
    }

    fn tell_or_not(
        &mut self,
        request_id: &str,
        caller: &str,
        operation: Operation,
        interface: &Interface,
    ) {
        let told = Told {
            request_id: request_id.to_owned(),
            caller: caller.to_owned(),
            operation,
        };
        let silence = match interface.kind {
            InterfaceType::Primary => Silence::Primary,
            InterfaceType::Secondary => Silence::WithInstance,
        };
        self.note(told, Some(interface.id.clone()), Err(silence));
    }
}
