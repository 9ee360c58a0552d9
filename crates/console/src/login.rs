//! `/login` and `/logout`.

use std::time::Instant;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::{SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use reflexarc_service::ConsoleClient;
use reflexarc_service::security::Role;
use secrecy::SecretString;

use crate::Console;
use crate::cookie::{Cookie, is_from_https};
use crate::error::PageError;
use crate::fields::Fields;
use crate::page::{Page, html_with};
use crate::secret::{Purpose, random_text};
use crate::session::{NoSession, ReaderForm, is_link_of_another_site, own_path};

/// Largest body of the form in bytes.
const FORM_BYTES: usize = 16 << 10;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    page: Page,
    next: String,
    csrf: String,
    error: Option<&'static str>,
}

/// The form. Without tokens there is none: everybody is logged in.
pub(crate) async fn show(
    State(console): State<Console>,
    fields: Fields,
    request: Request,
) -> Result<Response, PageError> {
    let next = own_path(fields.get("next")).to_owned();
    let (parts, _) = request.into_parts();
    if console.login_of(&parts).is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    if is_link_of_another_site(&parts) {
        return Ok(NoSession::Again { next }.into_response());
    }
    form(&console, &parts.headers, StatusCode::OK, next, None)
}

/// Begins a session for the holder of a token.
pub(crate) async fn log_in(
    State(console): State<Console>,
    request: Request,
) -> Result<Response, PageError> {
    let (parts, body) = request.into_parts();
    let client = ConsoleClient::of(&parts.extensions);
    let fields = console.read_form(&client, body, FORM_BYTES).await?;
    let next = own_path(fields.get("next")).to_owned();
    if console.handle.is_open() {
        return Ok(Redirect::to(&next).into_response());
    }
    let again = |status, error| form(&console, &parts.headers, status, next.clone(), Some(error));
    let has_tls = console.has_tls();
    let cookie = Cookie::Login.value(&parts.headers, has_tls);
    let given = fields.text("csrf");
    let is_own = |cookie: &String| {
        let key = console.key();
        key.is_ok_and(|key| key.is_csrf_token(Purpose::Login, cookie, given))
    };
    // A page of another site could log the user in with its own token, and see what they do.
    if !cookie.as_ref().is_some_and(is_own) {
        let error = "The form was too old, or the browser sends no cookies. Try again.";
        return again(StatusCode::FORBIDDEN, error);
    }
    let token = SecretString::from(fields.get("token").unwrap_or_default());
    let Some(login) = console.handle.log_in(&client, &token).await else {
        let error = "Unknown or expired token.";
        return again(StatusCode::UNAUTHORIZED, error);
    };
    if !login.roles.contains(&Role::Read) {
        let error = "This token does not have the role read, which the console needs.";
        return again(StatusCode::FORBIDDEN, error);
    }
    // The session before, if there is one: an id never changes its owner.
    if let Some(id) = Cookie::Session.value(&parts.headers, has_tls) {
        console.shared.sessions.end(&id);
    }
    let secure = has_tls || is_from_https(&parts.headers);
    let id = console.shared.sessions.begin(login, Instant::now())?;
    let cookies = AppendHeaders([
        (SET_COOKIE, Cookie::Session.set(&id, secure)),
        (SET_COOKIE, Cookie::Login.clear(has_tls)),
    ]);
    Ok((cookies, Redirect::to(&next)).into_response())
}

/// Ends the session.
pub(crate) async fn log_out(
    State(console): State<Console>,
    headers: HeaderMap,
    _form: ReaderForm,
) -> Response {
    let has_tls = console.has_tls();
    if let Some(id) = Cookie::Session.value(&headers, has_tls) {
        console.shared.sessions.end(&id);
    }
    let secure = has_tls || is_from_https(&headers);
    let cookie = [(SET_COOKIE, Cookie::Session.clear(secure))];
    (cookie, Redirect::to("/login")).into_response()
}

fn form(
    console: &Console,
    headers: &HeaderMap,
    status: StatusCode,
    next: String,
    error: Option<&'static str>,
) -> Result<Response, PageError> {
    let has_tls = console.has_tls();
    let (cookie, is_new) = match Cookie::Login.value(headers, has_tls) {
        // Two forms in two windows have the same.
        Some(cookie) if is_random_text(&cookie) => (cookie, false),
        _ => (random_text()?, true),
    };
    let page = LoginPage {
        page: Page::bare("Log in"),
        next,
        csrf: console.key()?.csrf_token(Purpose::Login, &cookie),
        error,
    };
    let mut response = html_with(status, &page);
    if is_new && let Ok(cookie) = HeaderValue::try_from(Cookie::Login.set(&cookie, has_tls)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 requires it in a 401; browsers show nothing for this scheme.
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    Ok(response)
}

fn is_random_text(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
