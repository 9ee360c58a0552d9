//! The clock, and what happens between an accepted request and its completion.

use jiff::Timestamp;
use reflexarc_event::{EniStatus, Operation};

use super::Cloud;
use super::pending::PendingRequest;
use crate::FaultMode;
use crate::events::NoEventReason;
use crate::fault::take_fault;
use crate::request::RequestOrigin;

impl Cloud {
    /// Moves the clock forward to `to` and completes the operations that are due by then, in order,
    /// each at its own time. A time before [`Cloud::now`] changes nothing.
    pub fn advance(&mut self, to: Timestamp) {
        loop {
            // In the order of time, and at one instant interfaces before instances.
            let instance = self.transitions.next_due();
            let until = instance.map_or(to, |due| due.min(to));
            if let Some((due, request)) = self.pending.pop_due(until) {
                // The event of a completion carries its own time, not `to`.
                self.now = self.now.max(due);
                self.complete(request);
            } else if !self.complete_transition(to) {
                break;
            }
        }
        self.now = self.now.max(to);
    }

    /// When the next operation in progress, or change of an instance, completes.
    pub fn next_completion(&self) -> Option<Timestamp> {
        let due = [self.pending.next_due(), self.transitions.next_due()];
        due.into_iter().flatten().min()
    }

    /// Schedules the completion of an accepted request. An operation that takes no time is complete
    /// before this returns.
    pub(super) fn schedule(&mut self, origin: RequestOrigin, interface: &str) {
        // The fault is chosen when the request is accepted, not when it completes, so that the
        // order of requests alone decides which of them fail.
        let fault = take_fault(&mut self.faults, origin.operation, interface);
        let duration = self.timing.duration_of(origin.operation, fault);
        let request = PendingRequest {
            origin,
            interface: interface.to_owned(),
            fault,
        };
        if !duration.is_positive() {
            return self.complete(request);
        }
        let due = self.now.checked_add(duration).unwrap_or(Timestamp::MAX);
        self.pending.insert(due, request);
    }

    /// Ends a request, and with it every other pending request for the same operation on the same
    /// interface.
    ///
    /// A detachment may be requested again while it is in progress. Both requests want one change
    /// of the interface, so the first completion ends both, and each gets an event with its own
    /// request id: D1 at 0 s and D2 at 1 s, 2 s each, both end at 2 s.
    fn complete(&mut self, request: PendingRequest) {
        if request.fault == Some(FaultMode::Hang) {
            let status = self
                .interfaces
                .get(&request.interface)
                .map(|found| found.status);
            let reason = NoEventReason::NotCompleted { status };
            return self.record_no_event(request.origin, Some(request.interface), reason);
        }
        let Some(mut interface) = self.interfaces.get(&request.interface).cloned() else {
            return;
        };
        let success = request.fault.is_none();
        match request.origin.operation {
            Operation::Create => self.finish_create(&request.interface, success),
            Operation::Attach => self.finish_attach(&request.interface, success),
            Operation::Detach => self.finish_detach(&request.interface, success),
            Operation::Delete => self.finish_delete(&request.interface, success),
        }
        // The event has the addresses from before the completion, because a deleted interface and a
        // failed creation have given them back, and the status from after it.
        interface.status = self
            .interfaces
            .get(&interface.id)
            .map_or(EniStatus::Deleted, |found| found.status);
        let joined = self.pending.extract(|other| {
            other.interface == request.interface
                && other.origin.operation == request.origin.operation
                // A request that hangs never ends, whatever becomes of the others.
                && other.fault != Some(FaultMode::Hang)
        });
        for ended in std::iter::once(request).chain(joined) {
            self.publish(ended.origin, &interface, success);
        }
    }
}
