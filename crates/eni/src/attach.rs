//! `AttachNetworkInterface`: what must hold.

use reflexarc_event::EniStatus;

use crate::Refusal;
use crate::cloud::Cloud;
use crate::interface::InterfaceType;

impl Cloud {
    /// Puts the interface into Attaching, or refuses.
    ///
    /// It must be a secondary interface in Available, the instance running or stopped, both in one VPC and zone, and the
    /// instance must have room for one more interface and the interface no more addresses than the instance type takes.
    pub(crate) fn begin_attach(
        &mut self,
        caller: &str,
        interface: &str,
        instance: &str,
    ) -> Result<(), Refusal> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        let host = self.instance_for(account, instance)?;
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {interface} is a primary one, which cannot be attached."
            );
            return Err(Refusal::new(
                403,
                "InvalidOperation.InvalidEniType",
                message,
            ));
        }
        if found.status != EniStatus::Available {
            return Err(Refusal::interface_status(interface, found.status));
        }
        if !host.status.accepts_interfaces() {
            return Err(Refusal::instance_status(instance, host.status));
        }
        if found.vpc != host.vpc {
            let message = format!(
                "Network interface {interface} and instance {instance} are not in one VPC."
            );
            return Err(Refusal::new(403, "InvalidOperation.VpcMismatch", message));
        }
        if found.zone != host.zone {
            let message = format!(
                "Network interface {interface} and instance {instance} are not in one zone."
            );
            return Err(Refusal::new(
                403,
                "InvalidOperation.AvailabilityZoneMismatch",
                message,
            ));
        }
        let (ipv4, ipv6) = (found.addresses.ipv4_count(), found.addresses.ipv6.len());
        if ipv4 > host.kind.ipv4 || ipv6 > host.kind.ipv6 {
            let code = if ipv4 > host.kind.ipv4 {
                "InvalidOperation.Ipv4CountExceeded"
            } else {
                "InvalidOperation.Ipv6CountExceeded"
            };
            let message = format!(
                "Instance type {} takes fewer addresses than {interface} has.",
                host.kind.name
            );
            return Err(Refusal::new(403, code, message));
        }
        let (carried, room) = (self.interfaces_of(instance).count(), host.kind.interfaces);
        if carried >= room {
            let message = format!(
                "Instance {instance} has {carried} network interfaces, as many as its type allows."
            );
            return Err(Refusal::new(403, "EniPerInstanceLimitExceeded", message));
        }
        self.set_instance(interface, Some(instance));
        self.set_status(interface, EniStatus::Attaching);
        Ok(())
    }

    /// In use, or back to Available when the attachment failed.
    pub(crate) fn finish_attach(&mut self, interface: &str, success: bool) {
        if success {
            self.set_status(interface, EniStatus::InUse);
        } else {
            self.set_instance(interface, None);
            self.set_status(interface, EniStatus::Available);
        }
    }
}
