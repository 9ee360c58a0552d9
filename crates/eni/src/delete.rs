//! `DeleteNetworkInterface`: what must hold.

use reflexarc_event::EniStatus;

use crate::Refusal;
use crate::cloud::Cloud;
use crate::interface::InterfaceType;

impl Cloud {
    /// Puts the interface into Deleting, or refuses.
    ///
    /// It must be a secondary interface in Available, or in Deleting: repeating is how a stuck deletion is mended.
    pub(crate) fn begin_delete(&mut self, caller: &str, interface: &str) -> Result<(), Refusal> {
        let account = self.account(caller)?;
        let found = self.interface_for(account, interface)?;
        if found.kind == InterfaceType::Primary {
            let message = format!(
                "Network interface {interface} is a primary one, which goes with its instance."
            );
            return Err(Refusal::new(
                403,
                "InvalidOperation.InvalidEniType",
                message,
            ));
        }
        if !matches!(found.status, EniStatus::Available | EniStatus::Deleting) {
            return Err(Refusal::interface_status(interface, found.status));
        }
        self.set_status(interface, EniStatus::Deleting);
        Ok(())
    }

    /// Gone with its addresses and its places in security groups, or still Deleting.
    pub(crate) fn finish_delete(&mut self, interface: &str, success: bool) {
        if success {
            self.set_status(interface, EniStatus::Deleted);
            if let Some(gone) = self.interfaces.remove(interface) {
                self.release_addresses(&gone.vswitch, &gone.addresses);
            }
        }
    }
}
