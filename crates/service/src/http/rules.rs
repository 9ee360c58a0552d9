//! What operators do with rules that do not exist any more.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::operate::{HandlerResult, authorize};
use super::{AppState, Role, json_response, perform};
use crate::operate::Operation;

/// Removes the state of a rule that does not exist.
pub(super) async fn forget(
    State(state): State<Arc<AppState>>,
    Path(rule): Path<String>,
    request: Request,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let done = perform(&state, &client, Operation::ForgetState { rule }).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}
