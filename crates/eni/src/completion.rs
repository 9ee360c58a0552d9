//! What happens between an accepted request and its completion.

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::{EniStatus, Operation};

use crate::Silence;
use crate::cloud::{Cloud, StatusChange};
use crate::fault::{self, FaultOutcome};
use crate::interface::may_become;
use crate::notice::Told;

/// How long each operation takes from its answer to its completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A creation. Zero by default: it is documented as synchronous, so its answer says Available already.
    pub create: SignedDuration,
    /// An attachment; 2 s by default.
    pub attach: SignedDuration,
    /// A detachment; 2 s by default.
    pub detach: SignedDuration,
    /// A deletion; 1 s by default.
    pub delete: SignedDuration,
    /// How late a creation fails that was answered as if it would succeed; 1 s by default.
    pub late_failure: SignedDuration,
}

/// A request that was accepted and is not done.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) request_id: String,
    pub(crate) caller: String,
    pub(crate) operation: Operation,
    pub(crate) interface: String,
    fault: Option<FaultOutcome>,
}

impl Cloud {
    /// Lets the clock run to `to`, completing what falls due on the way, in order. The clock never runs back.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some(entry) = self.pending.first_entry() {
            let due = entry.key().0;
            if due > to {
                break;
            }
            let pending = entry.remove();
            self.move_clock(due);
            self.complete(pending);
        }
        self.move_clock(to);
    }

    /// When the next accepted request completes, if any is under way.
    pub fn next_completion(&self) -> Option<Timestamp> {
        self.pending.first_key_value().map(|((due, _), _)| *due)
    }

    /// Puts an accepted request on its way; one that takes no time is done before this returns.
    pub(crate) fn schedule(
        &mut self,
        request_id: &str,
        caller: &str,
        operation: Operation,
        interface: &str,
    ) {
        let fault = fault::strike(&mut self.faults, operation, interface);
        let pending = Pending {
            request_id: request_id.to_owned(),
            caller: caller.to_owned(),
            operation,
            interface: interface.to_owned(),
            fault,
        };
        let wait = match (operation, fault) {
            (Operation::Create, None) => self.timing.create,
            (Operation::Create, Some(_)) => self.timing.create.max(self.timing.late_failure),
            (Operation::Attach, _) => self.timing.attach,
            (Operation::Detach, _) => self.timing.detach,
            (Operation::Delete, _) => self.timing.delete,
        };
        if !wait.is_positive() {
            return self.complete(pending);
        }
        let due = self.now().checked_add(wait).unwrap_or(Timestamp::MAX);
        let number = self.next_number();
        self.pending.insert((due, number), pending);
    }

    /// Ends a request, and with it every other one for the same operation on the same interface: they asked for one
    /// change, and each is told of its end.
    fn complete(&mut self, pending: Pending) {
        if pending.fault == Some(FaultOutcome::Hang) {
            let status = self
                .interfaces
                .get(&pending.interface)
                .map(|interface| interface.status);
            let verdict = Err(Silence::NotCompleted { status });
            let told = Told {
                request_id: pending.request_id,
                caller: pending.caller,
                operation: pending.operation,
            };
            return self.note(told, Some(pending.interface), verdict);
        }
        let Some(mut interface) = self.interfaces.get(&pending.interface).cloned() else {
            return;
        };
        let success = pending.fault.is_none();
        match pending.operation {
            Operation::Create => self.finish_create(&pending.interface, success),
            Operation::Attach => self.finish_attach(&pending.interface, success),
            Operation::Detach => self.finish_detach(&pending.interface, success),
            Operation::Delete => self.finish_delete(&pending.interface, success),
        }
        // The event speaks of the interface with the addresses it had, and of its status now.
        interface.status = self
            .interfaces
            .get(&interface.id)
            .map_or(EniStatus::Deleted, |now| now.status);
        let joined = self.take_joined(&pending);
        for one in std::iter::once(pending).chain(joined) {
            let told = Told {
                request_id: one.request_id,
                caller: one.caller,
                operation: one.operation,
            };
            self.publish(told, &interface, success);
        }
    }

    fn take_joined(&mut self, done: &Pending) -> Vec<Pending> {
        let same = |one: &Pending| {
            one.interface == done.interface
                && one.operation == done.operation
                && one.fault != Some(FaultOutcome::Hang)
        };
        let keys: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, one)| same(one))
            .map(|(key, _)| *key)
            .collect();
        keys.iter()
            .filter_map(|key| self.pending.remove(key))
            .collect()
    }

    /// Changes a status and records it; staying where it is changes nothing.
    ///
    /// # Panics
    /// When the status machine knows no such step: the preconditions above have failed to rule it out.
    pub(crate) fn set_status(&mut self, id: &str, to: EniStatus) {
        let at = self.now();
        let Some(interface) = self.interfaces.get_mut(id) else {
            return;
        };
        let from = interface.status;
        if from == to {
            return;
        }
        assert!(
            may_become(from, to),
            "an interface went from {from} to {to}"
        );
        interface.status = to;
        let change = StatusChange {
            at,
            interface: id.to_owned(),
            from: Some(from),
            to,
            instance: interface.instance.clone(),
        };
        self.record(change);
    }
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        Self {
            create: seconds(0),
            attach: seconds(2),
            detach: seconds(2),
            delete: seconds(1),
            late_failure: seconds(1),
        }
    }
}
