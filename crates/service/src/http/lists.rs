//! `/outbox` and `/dlq`: lists in pages, and what all lists share.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::Response;
use reflexarc_event::Json;
use tokio::sync::OwnedSemaphorePermit;

use super::held_body::held_response;
use super::operate::{authorize, query_store};
use super::query::Parameters;
use super::{AppState, HttpError, Role};
use crate::operate::{damaged_delivery_to_json, delivery_to_json};
use crate::store::{DeliveryStatus, PageLimits};

/// Lists that may be in memory at one time until their clients have read them.
pub(crate) const MAX_LIST_RESPONSES: usize = 16;

/// How much a list has at most. The rest is in further pages.
// A response is built in memory, and 1,000 actions of 32 KB would be 32 MB, several times over
// while they are turned into JSON.
const PAGE: PageLimits = PageLimits {
    rows: 1_000,
    bytes: 1 << 20,
};

pub(super) async fn outbox(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    list(&state, request, DeliveryStatus::Pending).await
}

pub(super) async fn dead_letters(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    list(&state, request, DeliveryStatus::Dead).await
}

/// A page of deliveries; `limit` is their largest number, `after` the cursor of the page. The
/// header `Link` has the address of the next page.
async fn list(
    state: &Arc<AppState>,
    request: Request,
    status: DeliveryStatus,
) -> Result<Response, HttpError> {
    let (path, query) = (
        request.uri().path().to_owned(),
        Parameters::of(request.uri()),
    );
    authorize(state, request, Role::Read)?;
    let (after, rows) = (query.cursor("after")?, query.limit(PAGE.rows)?);
    let limits = PageLimits { rows, ..PAGE };
    let permit = list_permit(state)?;
    // As many at one time as can run: here each is in memory twice, as a tree and as text.
    let turn = state.large_work.acquire().await;
    let page = query_store(state, move |store| {
        store.delivery_page(status, None, after, limits)
    })
    .await?;
    let records = page.deliveries.iter();
    let records = records.map(|record| delivery_to_json(record, None));
    // What cannot be read has an element too, so that the list does not seem to be complete.
    let damaged = page.damaged.iter().map(damaged_delivery_to_json);
    let body = Json::Array(records.chain(damaged).collect());
    let next = page
        .next
        .map(|next| query.next_page(&path, &["limit"], ("after", &next.to_string())));
    let response = list_response(&body, permit, next.as_deref());
    drop(turn);
    Ok(response)
}

/// The right to have a list in memory until its client has read it.
pub(super) fn list_permit(state: &AppState) -> Result<OwnedSemaphorePermit, HttpError> {
    state
        .list_responses
        .clone()
        .try_acquire_owned()
        .map_err(|_| {
            let message = "too many lists are being read; try again later";
            HttpError::new(StatusCode::TOO_MANY_REQUESTS, message).with_retry_after(1)
        })
}

/// A list, with the address of its next page.
pub(super) fn list_response(
    body: &Json,
    permit: OwnedSemaphorePermit,
    next: Option<&str>,
) -> Response {
    let mut response = held_response(body, permit);
    let link = next.map(|next| format!("<{next}>; rel=\"next\""));
    // Absent only if a path or cursor could not be in a header, and both are plain ASCII.
    if let Some(Ok(link)) = link.map(|link| link.parse()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}
