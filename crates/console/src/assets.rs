//! Files that the pages load: one style sheet, three scripts and an icon, in the binary.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::{PageError, unknown_path};

const CSS: &str = include_str!("../assets/console.css");
const SCRIPT: &str = include_str!("../assets/console.js");
const LIVE: &str = include_str!("../assets/live.js");
const ICON: &str = include_str!("../assets/icon.svg");
/// htmx 2.0.11, unchanged; its license is beside it.
const HTMX: &str = include_str!("../assets/htmx.min.js");

/// One of the files.
pub(crate) async fn get(
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (kind, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", CSS),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "live.js" => ("text/javascript; charset=utf-8", LIVE),
        "htmx.min.js" => ("text/javascript; charset=utf-8", HTMX),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Err(unknown_path().await),
    };
    // Asked for each time, so that pages of a new version never have the files of the one before.
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(text)[..16]));
    let known = headers.get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let head = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, kind)], text).into_response())
}
