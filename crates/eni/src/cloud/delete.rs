//! `DeleteNetworkInterface`.

use reflexarc_event::EniStatus;

use super::Cloud;
use crate::ApiError;
use crate::resources::InterfaceType;

impl Cloud {
    /// Sets the interface to Deleting, or refuses.
    ///
    /// The interface must be a secondary one in Available, or in Deleting: requesting the deletion
    /// again is the documented way out of one that is stuck.
    pub(super) fn begin_delete(&mut self, caller: &str, interface: &str) -> Result<(), ApiError> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {interface} is a primary one, \
                 which is deleted with its instance."
            );
            return Err(ApiError::new(
                403,
                "InvalidOperation.InvalidEniType",
                message,
            ));
        }
        if !matches!(found.status, EniStatus::Available | EniStatus::Deleting) {
            return Err(ApiError::interface_status(interface, found.status));
        }
        self.set_status(interface, EniStatus::Deleting);
        Ok(())
    }

    /// Removes the interface and frees its addresses; it stays Deleting when the deletion failed.
    pub(super) fn finish_delete(&mut self, interface: &str, success: bool) {
        if success {
            // Recorded before the removal, or the timeline would end with Deleting.
            self.set_status(interface, EniStatus::Deleted);
            if let Some(removed) = self.interfaces.remove(interface) {
                self.release_addresses(&removed.vswitch, &removed.addresses);
            }
        }
    }
}
