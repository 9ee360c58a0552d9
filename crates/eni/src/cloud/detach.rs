//! `DetachNetworkInterface`.

use reflexarc_event::EniStatus;

use super::Cloud;
use crate::ApiError;
use crate::resources::InterfaceType;

impl Cloud {
    /// Sets the interface to Detaching, or refuses.
    ///
    /// The interface must be a secondary one on that instance, `InUse` or already Detaching, and
    /// the instance running or stopped. Detaching is allowed because requesting the detachment
    /// again is the documented way out of one that is stuck.
    pub(super) fn begin_detach(
        &mut self,
        caller: &str,
        interface: &str,
        instance: &str,
    ) -> Result<(), ApiError> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        let host = self.instance_for(account, instance)?;
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {interface} is a primary one, which cannot be detached."
            );
            let code = "InvalidOperation.DetachPrimaryEniNotAllowed";
            return Err(ApiError::new(400, code, message));
        }
        if !matches!(found.status, EniStatus::InUse | EniStatus::Detaching) {
            return Err(ApiError::interface_status(interface, found.status));
        }
        // After the status: an interface without an instance has another error, its status.
        if found.instance.as_deref() != Some(instance) {
            let message =
                format!("Network interface {interface} is not attached to instance {instance}.");
            return Err(ApiError::new(403, "InvalidInstanceId.NotFound", message));
        }
        if !host.status.accepts_interfaces() {
            return Err(ApiError::instance_status(instance, host.status));
        }
        self.set_status(interface, EniStatus::Detaching);
        Ok(())
    }

    /// Sets the interface to Available; it stays Detaching when the detachment failed, because the
    /// guest system did not release it.
    pub(super) fn finish_detach(&mut self, interface: &str, success: bool) {
        if success {
            // Before the status, so that Available is recorded without an instance.
            self.set_instance(interface, None);
            self.set_status(interface, EniStatus::Available);
        }
    }
}
