//! `/audit`: what operators have done.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{authorize, query_store};
use super::query::Parameters;
use super::{AppState, HttpError, Role};
use crate::operate::audit_to_json;
use crate::store::AuditFilter;

/// How many entries a list has at most. The rest is in further pages.
const PAGE: usize = 200;

/// A page of what operators have done, the newest first; `?by=`, `operation=`, `from=` and `until=`
/// select some of it. The header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let (path, query) = (
        request.uri().path().to_owned(),
        Parameters::of(request.uri()),
    );
    authorize(&state, request, Role::Read)?;
    let text = |name| Ok::<_, HttpError>(query.text(name)?.map(str::to_owned));
    let filter = AuditFilter {
        by: text("by")?,
        operation: text("operation")?,
        from: query.parsed("from", "a timestamp")?,
        until: query.parsed("until", "a timestamp")?,
    };
    let (before, limit) = (query.cursor("before")?, query.limit(PAGE)?);
    let permit = list_permit(&state)?;
    let turn = state.large_work.acquire().await;
    let found = query_store(&state, move |store| {
        store.audit_page(&filter, before, limit)
    })
    .await?;
    let next = found.last().filter(|_| found.len() == limit);
    let kept = ["by", "operation", "from", "until", "limit"];
    let next = next.map(|last| query.next_page(&path, &kept, ("before", &last.id.to_string())));
    let body = Json::Array(found.iter().map(audit_to_json).collect());
    let response = list_response(&body, permit, next.as_deref());
    drop(turn);
    Ok(response)
}
