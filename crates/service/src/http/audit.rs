//! `/audit`: what operators have done.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::operate::{authorize, query_store};
use super::{AppState, HttpError, Role};
use crate::operate::audit_to_json;
use crate::store::AuditFilter;

/// How many entries a list has at most. The rest is in further pages.
const PAGE: usize = 200;

/// What a query selects.
#[derive(Default)]
struct ListQuery {
    filter: AuditFilter,
    before: Option<i64>,
    limit: Option<usize>,
}

/// A page of what operators have done, the newest first; `?by=`, `operation=`, `from=` and `until=`
/// select some of it. The header `Link` has the address of the next page.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> Result<Response, HttpError> {
    let uri = request.uri().clone();
    authorize(&state, request, Role::Read)?;
    let query = uri.query().unwrap_or_default();
    let ListQuery {
        filter,
        before,
        limit,
    } = list_query(query)?;
    let limit = limit.unwrap_or(PAGE);
    let permit = list_permit(&state)?;
    let turn = state.large_work.acquire().await;
    let found = query_store(&state, move |store| {
        store.audit_page(&filter, before, limit)
    })
    .await?;
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|last| next_address(uri.path(), query, last.id));
    let body = Json::Array(found.iter().map(audit_to_json).collect());
    let response = list_response(&body, permit, next.as_deref());
    drop(turn);
    Ok(response)
}

fn list_query(query: &str) -> Result<ListQuery, HttpError> {
    let mut found = ListQuery::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let invalid = |expected: &str| {
            let message = format!("invalid `{name}`: expected {expected}, found `{value}`");
            HttpError::new(StatusCode::BAD_REQUEST, message)
        };
        let time = || -> Result<Option<Timestamp>, HttpError> {
            let time = value.parse();
            time.map(Some).map_err(|_| invalid("a timestamp"))
        };
        match &*name {
            "by" => found.filter.by = Some(value.into_owned()),
            "operation" => found.filter.operation = Some(value.into_owned()),
            "from" => found.filter.from = time()?,
            "until" => found.filter.until = time()?,
            "before" => {
                let before = value.parse().map_err(|_| invalid("a number"))?;
                found.before = Some(before);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                let limit: usize = limit.ok_or_else(|| invalid("a number of at least 1"))?;
                found.limit = Some(limit.min(PAGE));
            }
            // `token`, and whatever a proxy adds.
            _ => {}
        }
    }
    Ok(found)
}

/// The same list before an entry.
fn next_address(path: &str, query: &str, last: i64) -> String {
    let mut address = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // Not `token`: it would be in the header of the answer.
        if ["by", "operation", "from", "until", "limit"].contains(&&*name) {
            address.append_pair(&name, &value);
        }
    }
    address.append_pair("before", &last.to_string());
    format!("{path}?{}", address.finish())
}
