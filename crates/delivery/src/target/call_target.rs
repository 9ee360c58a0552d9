//! A target that takes calls, as other targets are seen.

use std::sync::Arc;

use reflexarc_reaction::Action;

use super::{Preview, SendFuture, Target};
use crate::call::{CallApi, CallRequest};
use crate::delivery::Delivery;
use crate::outcome::SendError;
use crate::rendering::summary;

/// An API as a [`Target`]: it has a name and previews. Its calls are sent by
/// [`CallApi::call`], which has answers.
pub struct CallTarget {
    kind: &'static str,
    endpoint: String,
    api: Arc<dyn CallApi>,
}

impl CallTarget {
    /// An API of this kind at this host.
    pub fn new(kind: &'static str, endpoint: String, api: Arc<dyn CallApi>) -> Self {
        Self {
            kind,
            endpoint,
            api,
        }
    }

    fn takes_calls_only(&self) -> SendError {
        let kind = self.kind;
        SendError::Misconfigured {
            reason: format!("a target of type {kind} takes calls only; use `call` in the rule"),
        }
    }
}

impl Target for CallTarget {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let Action::Call {
            operation,
            parameters,
            ..
        } = &batch[0].action
        else {
            return Err(self.takes_calls_only());
        };
        let request = CallRequest {
            id: batch[0].id,
            operation,
            parameters,
        };
        let body = self.api.preview(&request);
        let body = body.map_err(|reason| SendError::Misconfigured { reason })?;
        Ok(Preview {
            summary: summary(&batch[0]),
            body,
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        // A call has an answer, for which a receipt has no place.
        let error = match &batch[0].action {
            Action::Call { .. } => SendError::Misconfigured {
                reason: "calls are sent by the queue of calls".to_owned(),
            },
            _ => self.takes_calls_only(),
        };
        Box::pin(async move { Err(error) })
    }
}
