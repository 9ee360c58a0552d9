//! The entry point for requests: each goes to the operation that performs it.

use jiff::Timestamp;
use reflexarc_event::Operation;

use super::Cloud;
use crate::events::NoEventReason;
use crate::request::RequestOrigin;
use crate::{Answer, ApiError, Reply, Request};

impl Cloud {
    /// Performs a request of the account `caller` at `now`. Operations that are due by then
    /// complete first.
    pub fn call(&mut self, caller: &str, request: Request, now: Timestamp) -> Reply {
        self.advance(now);
        // Every reply has a request id, also when the request is refused.
        let request_id = self.ids.guid();
        let operation = request.operation();
        let interface = request.interface().map(str::to_owned);
        let result = self.perform(&request_id, caller, request);
        if let (Err(error), Some(operation)) = (&result, operation) {
            let origin = RequestOrigin::new(&request_id, caller, operation);
            self.record_no_event(origin, interface, NoEventReason::Refused(error.clone()));
        }
        Reply { request_id, result }
    }

    /// Refuses a request whose parameters could not be read, with the same effects as a request
    /// that [`Cloud::call`] refuses.
    pub(crate) fn refuse(
        &mut self,
        caller: &str,
        operation: Option<Operation>,
        interface: Option<&str>,
        error: ApiError,
        now: Timestamp,
    ) -> Reply {
        self.advance(now);
        let request_id = self.ids.guid();
        if let Some(operation) = operation {
            let origin = RequestOrigin::new(&request_id, caller, operation);
            let interface = interface.map(str::to_owned);
            self.record_no_event(origin, interface, NoEventReason::Refused(error.clone()));
        }
        Reply {
            request_id,
            result: Err(error),
        }
    }

    fn perform(
        &mut self,
        request_id: &str,
        caller: &str,
        request: Request,
    ) -> Result<Answer, ApiError> {
        // Descriptions are not limited: they are complete at once and hold no memory.
        if request.operation().is_some() && self.pending.len() >= self.limits.pending {
            let message = format!(
                "{} requests are in progress, the maximum.",
                self.pending.len()
            );
            return Err(ApiError::new(400, "Throttling", message));
        }
        match request {
            Request::Create(wanted) => self.create(request_id, caller, &wanted),
            Request::Attach {
                interface,
                instance,
                network_card,
            } => {
                self.begin_attach(caller, &interface, &instance, network_card)?;
                self.schedule(
                    RequestOrigin::new(request_id, caller, Operation::Attach),
                    &interface,
                );
                Ok(Answer::Accepted)
            }
            Request::Detach {
                interface,
                instance,
            } => {
                self.begin_detach(caller, &interface, &instance)?;
                self.schedule(
                    RequestOrigin::new(request_id, caller, Operation::Detach),
                    &interface,
                );
                Ok(Answer::Accepted)
            }
            Request::Delete { interface } => {
                self.begin_delete(caller, &interface)?;
                self.schedule(
                    RequestOrigin::new(request_id, caller, Operation::Delete),
                    &interface,
                );
                Ok(Answer::Accepted)
            }
            Request::Assign(wanted) => self.assign(request_id, caller, &wanted),
            Request::Unassign {
                interface,
                addresses,
            } => self.unassign(caller, &interface, &addresses),
            Request::Modify(change) => self.modify(caller, &change),
            Request::DescribeAttribute { interface } => self.describe_attribute(caller, &interface),
            Request::Describe { filter, paging } => self
                .describe(caller, &filter, &paging)
                .map(Answer::Described),
            Request::ChangeInstances(wanted) => self.change_instances(request_id, caller, &wanted),
            Request::DescribeInstances { filter, paging } => {
                self.describe_instances(caller, &filter, &paging)
            }
            Request::DescribeInstanceTypes {
                names,
                families,
                paging,
            } => self.describe_instance_types(caller, &names, &families, &paging),
            Request::Tag { resources, tags } => self.tag(caller, &resources, &tags),
            Request::Untag { resources, keys } => self.untag(caller, &resources, keys.as_deref()),
            Request::ListTags(wanted) => self.list_tags(caller, &wanted),
        }
    }
}
