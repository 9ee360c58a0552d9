//! `AttachNetworkInterface`.

use reflexarc_event::EniStatus;

use super::Cloud;
use crate::ApiError;
use crate::resources::{Instance, Interface, InterfaceType};

impl Cloud {
    /// Sets the interface to Attaching, or refuses.
    ///
    /// The interface must be a secondary one in Available, and the instance running or stopped;
    /// both must be in one VPC and zone. The instance type limits the interfaces of an instance and
    /// the addresses of each interface.
    pub(super) fn begin_attach(
        &mut self,
        caller: &str,
        interface: &str,
        instance: &str,
        network_card: Option<usize>,
    ) -> Result<(), ApiError> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        let host = self.instance_for(account, instance)?;
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {interface} is a primary one, which cannot be attached."
            );
            return Err(ApiError::new(
                403,
                "InvalidOperation.InvalidEniType",
                message,
            ));
        }
        if found.status != EniStatus::Available {
            return Err(ApiError::interface_status(interface, found.status));
        }
        if !host.status.accepts_interfaces() {
            return Err(ApiError::instance_status(instance, host.status));
        }
        check_location(found, host)?;
        check_address_limits(found, host)?;
        // Interfaces that are being attached or detached count too: each occupies a slot.
        let (attached, allowed) = (self.interfaces_of(instance).count(), host.kind.interfaces);
        if attached >= allowed {
            let message = format!(
                "Instance {instance} has {attached} network interfaces, as many as its type allows."
            );
            return Err(ApiError::new(403, "EniPerInstanceLimitExceeded", message));
        }
        // The instance first: the status change that is recorded names it.
        self.set_instance(interface, Some(instance));
        if let Some(found) = self.interfaces.get_mut(interface) {
            found.network_card = network_card;
        }
        self.set_status(interface, EniStatus::Attaching);
        Ok(())
    }

    /// Sets the interface to `InUse`, or back to Available when the attachment failed.
    pub(super) fn finish_attach(&mut self, interface: &str, success: bool) {
        if success {
            self.set_status(interface, EniStatus::InUse);
        } else {
            self.set_instance(interface, None);
            self.set_status(interface, EniStatus::Available);
        }
    }
}

fn check_location(interface: &Interface, host: &Instance) -> Result<(), ApiError> {
    let (interface_id, instance) = (&interface.id, &host.id);
    if interface.vpc != host.vpc {
        let message =
            format!("Network interface {interface_id} and instance {instance} are not in one VPC.");
        return Err(ApiError::new(403, "InvalidOperation.VpcMismatch", message));
    }
    if interface.zone != host.zone {
        let message = format!(
            "Network interface {interface_id} and instance {instance} are not in one zone."
        );
        return Err(ApiError::new(
            403,
            "InvalidOperation.AvailabilityZoneMismatch",
            message,
        ));
    }
    Ok(())
}

fn check_address_limits(interface: &Interface, host: &Instance) -> Result<(), ApiError> {
    let code = if interface.addresses.ipv4_count() > host.kind.ipv4 {
        "InvalidOperation.Ipv4CountExceeded"
    } else if interface.addresses.ipv6.len() > host.kind.ipv6 {
        "InvalidOperation.Ipv6CountExceeded"
    } else {
        return Ok(());
    };
    let message = format!(
        "Network interface {} has more addresses than instance type {} allows.",
        interface.id, host.kind.name
    );
    Err(ApiError::new(403, code, message))
}
