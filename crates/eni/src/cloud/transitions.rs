//! `StartInstance`, `StopInstance`, `RebootInstance`, `DeleteInstance` and their forms for several
//! instances: the status of an instance changes, and each change makes an event.
//!
//! Interfaces stay attached while their instance stops, starts and restarts. Their operations are
//! refused while it is neither running nor stopped.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;

use super::Cloud;
use super::tokens::TokenUse;
use crate::resources::{Addresses, Instance, InstanceStatus, InterfaceType};
use crate::{Answer, ApiError, InstanceOperation, InstanceRequest, Request};

/// The changes of instances that are in progress, in the order of their completion.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingTransitions {
    /// By time and sequence number: the instance and its next status.
    by_due: BTreeMap<(Timestamp, u64), (String, InstanceStatus)>,
    sequence: u64,
}

impl PendingTransitions {
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    fn pop(&mut self) -> Option<(Timestamp, String, InstanceStatus)> {
        let ((due, _), (instance, status)) = self.by_due.pop_first()?;
        Some((due, instance, status))
    }

    fn insert(&mut self, due: Timestamp, instance: &str, status: InstanceStatus) {
        self.sequence += 1;
        let key = (due, self.sequence);
        self.by_due.insert(key, (instance.to_owned(), status));
    }

    fn cancel(&mut self, instance: &str) {
        self.by_due.retain(|_, (pending, _)| pending != instance);
    }
}

impl Cloud {
    /// Starts, stops, restarts or releases instances, all of them or none.
    pub(super) fn change_instances(
        &mut self,
        request_id: &str,
        caller: &str,
        wanted: &InstanceRequest,
    ) -> Result<Answer, ApiError> {
        let token = wanted.client_token.clone();
        let request = Request::ChangeInstances(wanted.clone());
        if self
            .token_use(caller, token.as_deref(), &request)?
            .is_some()
        {
            return Ok(Answer::Accepted);
        }
        if wanted.ids.len() > self.limits.instances {
            let most = self.limits.instances;
            let message = format!("InstanceId: at most {most} instances.");
            return Err(ApiError::invalid_parameter(message));
        }
        for id in &wanted.ids {
            let account = self.account(caller)?;
            let found = self.instance_for(account, id);
            let found = found.map_err(|_| ApiError::unknown_instance_id(id))?;
            check_status(found, wanted)?;
        }
        if wanted.dry_run {
            let message = "Request validation has been passed with DryRun flag set.";
            return Err(ApiError::new(400, "DryRunOperation", message));
        }
        let mut changed = Vec::new();
        for id in &wanted.ids {
            let before = self.instances.get(id).map(|found| found.status);
            self.begin_transition(request_id, id, wanted)?;
            let after = self.instances.get(id).map(|found| found.status);
            changed.extend(
                before
                    .zip(after)
                    .map(|(before, after)| (id.clone(), before, after)),
            );
        }
        let used = TokenUse {
            request,
            request_id: request_id.to_owned(),
            interface: String::new(),
            addresses: Addresses::default(),
        };
        self.remember_token(caller, token, used);
        let reports = wanted.is_batch && wanted.operation != InstanceOperation::Release;
        Ok(if reports {
            Answer::InstancesChanged(changed)
        } else {
            Answer::Accepted
        })
    }

    /// Completes the next change of an instance, if it is due by `to`.
    pub(super) fn complete_transition(&mut self, to: Timestamp) -> bool {
        if self.transitions.next_due().is_none_or(|due| due > to) {
            return false;
        }
        let Some((due, instance, status)) = self.transitions.pop() else {
            return false;
        };
        self.now = self.now.max(due);
        self.set_status_of_instance(&instance, status);
        true
    }

    /// Ends changes of an instance that are in progress.
    pub(super) fn cancel_transitions(&mut self, instance: &str) {
        self.transitions.cancel(instance);
    }

    /// Changes an instance's status and publishes the event. Nothing happens when the status stays
    /// the same.
    pub(super) fn set_status_of_instance(&mut self, id: &str, status: InstanceStatus) {
        let now = self.now;
        let Some(instance) = self
            .instances
            .get_mut(id)
            .filter(|found| found.status != status)
        else {
            return;
        };
        instance.status = status;
        if status == InstanceStatus::Starting {
            instance.started = now;
        }
        if !matches!(status, InstanceStatus::Stopping | InstanceStatus::Stopped) {
            instance.stopped_mode = None;
        }
        let instance = instance.clone();
        self.publish_state(&instance, status.name());
    }

    /// Publishes the event of an instance's change to its owner.
    pub(super) fn publish_state(&mut self, instance: &Instance, state: &str) {
        let mut content = vec![
            ("resourceId", Json::from(instance.id.as_str())),
            ("resourceType", "ALIYUN::ECS::Instance".into()),
            ("state", state.into()),
            ("instanceName", instance.name.as_str().into()),
            ("instanceType", instance.kind.name.as_str().into()),
        ];
        let primary = self
            .interfaces_of(&instance.id)
            .find(|found| found.kind == InterfaceType::Primary);
        let address = primary.and_then(|primary| primary.addresses.primary);
        content.extend(address.map(|address| ("privateIpAddress", address.to_string().into())));
        let arn = self.arn(&instance.owner, "instance", &instance.id);
        let owner = instance.owner.clone();
        self.notify(&owner, "Instance:StateChange", Some(arn), content);
    }

    fn begin_transition(
        &mut self,
        request_id: &str,
        id: &str,
        wanted: &InstanceRequest,
    ) -> Result<(), ApiError> {
        let (first, last, duration) = match wanted.operation {
            InstanceOperation::Release => return self.release(request_id, id),
            InstanceOperation::Stop => {
                let (stopping, stopped) = (InstanceStatus::Stopping, InstanceStatus::Stopped);
                (stopping, stopped, self.timing.stop)
            }
            // A restart does not pass through Stopped, in the cloud either.
            InstanceOperation::Start | InstanceOperation::Restart => {
                let (starting, running) = (InstanceStatus::Starting, InstanceStatus::Running);
                (starting, running, self.timing.start)
            }
        };
        self.set_status_of_instance(id, first);
        if let Some(instance) = self.instances.get_mut(id)
            && wanted.operation == InstanceOperation::Stop
        {
            let mode = wanted.stopped_mode.clone();
            instance.stopped_mode = Some(mode.unwrap_or_else(|| "KeepCharging".to_owned()));
        }
        if duration <= SignedDuration::ZERO {
            self.set_status_of_instance(id, last);
        } else {
            let due = self.now.checked_add(duration).unwrap_or(Timestamp::MAX);
            self.transitions.insert(due, id, last);
        }
        Ok(())
    }
}

/// Checks that an operation is allowed in the status of an instance.
fn check_status(instance: &Instance, wanted: &InstanceRequest) -> Result<(), ApiError> {
    let status = instance.status;
    if status == InstanceStatus::Pending {
        let message = format!("Instance {} is being created.", instance.id);
        return Err(ApiError::new(
            403,
            "IncorrectInstanceStatus.Initializing",
            message,
        ));
    }
    let is_allowed = match wanted.operation {
        InstanceOperation::Start => status == InstanceStatus::Stopped,
        InstanceOperation::Stop | InstanceOperation::Restart => status == InstanceStatus::Running,
        InstanceOperation::Release => wanted.force || status == InstanceStatus::Stopped,
    };
    if is_allowed {
        return Ok(());
    }
    let message = format!(
        "The current status of instance {}, {}, does not support this operation.",
        instance.id,
        status.name()
    );
    Err(ApiError::new(403, "IncorrectInstanceStatus", message))
}
