//! `DetachNetworkInterface`: what must hold.

use reflexarc_event::EniStatus;

use crate::Refusal;
use crate::cloud::Cloud;
use crate::interface::InterfaceType;

impl Cloud {
    /// Puts the interface into Detaching, or refuses.
    ///
    /// It must be a secondary interface on that instance, in use or already in Detaching — repeating is how a stuck
    /// detachment is mended — and the instance must be running or stopped.
    pub(crate) fn begin_detach(
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
                "Network interface {interface} is a primary one, which cannot be detached."
            );
            return Err(Refusal::new(
                400,
                "InvalidOperation.DetachPrimaryEniNotAllowed",
                message,
            ));
        }
        if !matches!(found.status, EniStatus::InUse | EniStatus::Detaching) {
            return Err(Refusal::interface_status(interface, found.status));
        }
        if found.instance.as_deref() != Some(instance) {
            let message =
                format!("Network interface {interface} is not attached to instance {instance}.");
            return Err(Refusal::new(403, "InvalidInstanceId.NotFound", message));
        }
        if !host.status.accepts_interfaces() {
            return Err(Refusal::instance_status(instance, host.status));
        }
        self.set_status(interface, EniStatus::Detaching);
        Ok(())
    }

    /// Available, or still Detaching when the guest did not answer.
    pub(crate) fn finish_detach(&mut self, interface: &str, success: bool) {
        if success {
            self.set_instance(interface, None);
            self.set_status(interface, EniStatus::Available);
        }
    }
}
