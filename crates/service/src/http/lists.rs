//! `/outbox` and `/dlq`: lists in pages.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::Response;
use reflexarc_event::Json;

use super::held_body::held_response;
use super::operate::{authorize, query_store};
use super::{AppState, HttpError, Role};
use crate::operate::delivery_to_json;
use crate::store::{DeliveryStatus, InvalidPageCursor, PageCursor, PageLimits, Store};

/// Lists that may be in memory at one time until their clients have read them.
pub(crate) const MAX_LIST_RESPONSES: usize = 16;

/// How much a list has at most. The rest is in further pages.
// A response is built in memory, and 1,000 actions of 32 KB would be 32 MB, several times over
// while they are turned into JSON.
const PAGE: PageLimits = PageLimits {
    deliveries: 1_000,
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
/// header
/// `Link` has the address of the next page.
async fn list(
    state: &Arc<AppState>,
    request: Request,
    status: DeliveryStatus,
) -> Result<Response, HttpError> {
    let uri = request.uri().clone();
    authorize(state, request, Role::Read)?;
    let (after, limits) = page_of(uri.query().unwrap_or_default())?;
    let Ok(permit) = state.list_responses.clone().try_acquire_owned() else {
        let message = "too many lists are being read; try again later";
        return Err(HttpError::new(StatusCode::TOO_MANY_REQUESTS, message).with_retry_after(1));
    };
    // As many at one time as can run: here each is in memory twice, as a tree and as text.
    let turn = state.large_work.acquire().await;
    let query = move |store: &dyn Store| store.delivery_page(status, after, limits);
    let page = query_store(state, query).await?;
    let records = page.deliveries.iter();
    let body = Json::Array(
        records
            .map(|record| delivery_to_json(record, None))
            .collect(),
    );
    let mut response = held_response(&body, permit);
    drop(turn);
    if let Some(next) = page.next {
        let path = uri.path();
        let link = format!(
            "<{path}?limit={}&after={next}>; rel=\"next\"",
            limits.deliveries
        );
        // Path, numbers and hexadecimal digits: always a valid value.
        if let Ok(link) = link.parse() {
            response.headers_mut().insert(LINK, link);
        }
    }
    Ok(response)
}

/// `after` and `limit` of a query.
fn page_of(query: &str) -> Result<(Option<PageCursor>, PageLimits), HttpError> {
    let (mut after, mut limits) = (None, PAGE);
    let invalid = |message: String| HttpError::new(StatusCode::BAD_REQUEST, message);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "after" => {
                let cursor = value.parse();
                let cursor = cursor.map_err(|error: InvalidPageCursor| invalid(error.to_string()));
                after = Some(cursor?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                let limit = limit.ok_or_else(|| invalid(format!("invalid limit `{value}`")))?;
                limits.deliveries = PAGE.deliveries.min(limit);
            }
            // `token`, and whatever a proxy adds.
            _ => {}
        }
    }
    Ok((after, limits))
}
