//! `/silences`: listing, adding, previewing and ending silences.

use std::error::Error;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use http_body_util::LengthLimitError;
use jiff::Timestamp;
use reflexarc_diagnostic::parse_duration;
use reflexarc_event::Json;

use super::events::{incomplete, too_large};
use super::operate::{HandlerResult, authorize, query_store};
use super::query::Parameters;
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{Operation, SilenceRequest, SilenceSpan, matches_pattern, silence_to_json};

/// Silences in a list.
const LISTED: usize = 1_000;
/// Bytes of a request body.
const BODY_BYTES: usize = 64 << 10;

/// The silences that are not over; with `?expired=true` those that are, the newest first.
pub(super) async fn list(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    let query = Parameters::of(request.uri());
    authorize(&state, request, Role::Read)?;
    let are_over = query.flag("expired")?;
    let now = state.clock.now();
    let found = query_store(&state, move |store| store.silences(are_over, now, LISTED)).await?;
    let found = found.iter().map(|silence| silence_to_json(silence, now));
    Ok(json_response(StatusCode::OK, &Json::Array(found.collect())))
}

/// One silence.
pub(super) async fn show(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let (id, now) = (parse_id(&id)?, state.clock.now());
    let found = query_store(&state, move |store| store.silence(id)).await?;
    let found = found.ok_or_else(unknown)?;
    Ok(json_response(StatusCode::OK, &silence_to_json(&found, now)))
}

/// What the pattern of `{"pattern"}` matches now.
pub(super) async fn preview(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    let (_, body) = read(&state, request, Role::Read).await?;
    let pattern = text(&body, "pattern")?.unwrap_or_default();
    let preview = matches_pattern(&state, pattern).await?;
    Ok(json_response(StatusCode::OK, &preview.to_json()))
}

/// Adds the silence of `{"pattern", "from", "until" or "for", "owner", "reason", "drop"}`. One that
/// matches nothing now is added only with `"confirm": true`; the answer has what it matches.
pub(super) async fn add(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    let (client, body) = read(&state, request, Role::Operate).await?;
    let operation = Operation::AddSilence(request_of(&body)?);
    let done = perform(&state, &client, operation).await?;
    Ok(json_response(StatusCode::CREATED, &done.body))
}

/// Ends a silence: what it withholds is released, or with `?drop=true` never sent.
pub(super) async fn end(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let drops = query.flag("drop")?;
    let id = parse_id(&id)?;
    let done = perform(&state, &client, Operation::EndSilence { id, drops }).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// Reads who sends a request, and its JSON object.
async fn read(
    state: &Arc<AppState>,
    request: Request,
    role: Role,
) -> Result<(String, Json), HttpError> {
    let (parts, body) = request.into_parts();
    let client = state.authorize(&parts, role)?;
    let reading = tokio::time::timeout(state.limits.body, to_bytes(body, BODY_BYTES)).await;
    let bytes = match reading {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_too_long(&error) => return Err(too_large(BODY_BYTES)),
        Ok(Err(_)) => return Err(incomplete()),
        Err(_) => {
            let message = "timeout while reading the body";
            return Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, message).closing());
        }
    };
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| invalid("invalid UTF-8".into()))?;
    let json = Json::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !matches!(json, Json::Object(_)) {
        return Err(invalid("expected a JSON object".to_owned()));
    }
    Ok((client, json))
}

/// The silence that a body describes.
fn request_of(body: &Json) -> Result<SilenceRequest, HttpError> {
    if let Json::Object(members) = body {
        let known = [
            "pattern", "from", "until", "for", "owner", "reason", "drop", "confirm",
        ];
        let unknown = members
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            return Err(invalid(format!("unknown member `{name}`")));
        }
    }
    let time = |name: &str| -> Result<Option<Timestamp>, HttpError> {
        let Some(value) = text(body, name)? else {
            return Ok(None);
        };
        let message = format!("invalid `{name}`: expected a timestamp, found `{value}`");
        value.parse().map(Some).map_err(|_| invalid(message))
    };
    let from = time("from")?;
    let end = match (time("until")?, text(body, "for")?) {
        (Some(until), None) => SilenceSpan::Until(until),
        (None, Some(lasts)) => {
            let lasts = parse_duration(&lasts)
                .map_err(|error| invalid(format!("invalid `for`: {error}")))?;
            SilenceSpan::For(lasts)
        }
        _ => return Err(invalid("expected `until` or `for`".to_owned())),
    };
    Ok(SilenceRequest {
        pattern: text(body, "pattern")?.unwrap_or_default(),
        from,
        end,
        owner: text(body, "owner")?,
        reason: text(body, "reason")?.unwrap_or_default(),
        drops: boolean(body, "drop")?,
        confirm: boolean(body, "confirm")?,
    })
}

/// A member that is a text, if it is there. A filter in JSON notation may be there as JSON.
fn text(body: &Json, name: &str) -> Result<Option<String>, HttpError> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value @ Json::Object(_)) if name == "pattern" => Ok(Some(value.to_string())),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(invalid(format!("invalid `{name}`: expected a string"))),
        },
    }
}

/// A member that is true or false; false if it is missing.
fn boolean(body: &Json, name: &str) -> Result<bool, HttpError> {
    match body.get(name) {
        None | Some(Json::Null) => Ok(false),
        Some(value) => value
            .as_bool()
            .ok_or_else(|| invalid(format!("invalid `{name}`: expected true or false"))),
    }
}

/// Whether reading a body failed because it is longer than allowed.
fn is_too_long(error: &axum::Error) -> bool {
    let source = error.source();
    source.is_some_and(<dyn Error>::is::<LengthLimitError>)
}

fn parse_id(id: &str) -> Result<i64, HttpError> {
    id.parse()
        .map_err(|_| invalid(format!("invalid number of a silence: `{id}`")))
}

fn invalid(message: String) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, message)
}

fn unknown() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "no silence has this number")
}
