//! `/live`: what happens, as a stream for the pages that show it.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use reflexarc_service::ConsoleClient;
use reflexarc_service::security::Role;

use crate::Console;
use crate::session::{NoSession, Session};

/// The stream. It ends with the session, which it does not prolong.
pub(crate) async fn show(
    State(console): State<Console>,
    session: Result<Session, NoSession>,
    request: Request,
) -> Response {
    match session {
        Ok(_) => {}
        Err(NoSession::Refused(error)) => return error.into_response(),
        // The browser would follow a redirect and take the login for a stream.
        Err(NoSession::Login { .. } | NoSession::Again { .. }) => {
            let message = "The stream needs a login.\n";
            let scheme = [(WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, scheme, message).into_response();
        }
    }
    let (parts, _) = request.into_parts();
    let client = ConsoleClient::of(&parts.extensions);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let id = parts.headers.get("last-event-id");
    let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let handle = console.handle.clone();
    let is_allowed = move || {
        let login = console.login_of(&parts);
        login.is_some_and(|(login, _)| login.roles.contains(&Role::Read))
    };
    handle.live(&client, &query, id.as_deref(), is_allowed)
}
