//! Who sends a request: the extractors of the handlers.

use std::time::Instant;

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use reflexarc_service::security::Role;
use reflexarc_service::{ConsoleClient, Login, ServiceHandle};

use crate::Console;
use crate::cookie::Cookie;
use crate::error::PageError;
use crate::fields::{Fields, query_of};
use crate::page::{Page, Screen, User, html_with};
use crate::secret::{Key, Purpose};
use crate::sessions::Cause;

/// The path of the stream that keeps pages up to date.
pub(crate) const LIVE: &str = "/live";
/// The header of a request by which a page keeps itself up to date.
const AUTOMATIC: &str = "x-automatic";

/// Largest body of a form in bytes: an event that is tried, or a rule.
const FORM_BYTES: usize = 2 << 20;

/// Somebody who has logged in with a token that has the role `read`.
pub(crate) struct Session {
    console: Console,
    login: Login,
    csrf: String,
    here: String,
    done: Option<String>,
}

/// A form posted by a user with the role `operate`, with a valid CSRF token.
pub(crate) struct OperatorForm {
    pub(crate) session: Session,
    pub(crate) fields: Fields,
}

/// A form posted by a user with the role `read`, with a valid CSRF token: it changes
/// nothing, but is too large for a query.
pub(crate) struct ReaderForm {
    pub(crate) session: Session,
    pub(crate) fields: Fields,
}

/// Where a request goes that has no session.
pub(crate) enum NoSession {
    /// To the page that logs in, and then back.
    Login { next: String, is_htmx: bool },
    /// To the same page: the request was a link of another site, with which the browser sends no
    /// cookie of ours. It sends them when our own page leads there.
    Again { next: String },
    /// Nowhere.
    Refused(PageError),
}

/// The page that leads to itself.
#[derive(Template)]
#[template(path = "again.html")]
struct Again {
    page: Page,
    next: String,
}

impl Session {
    /// The service.
    pub(crate) fn handle(&self) -> &ServiceHandle {
        &self.console.handle
    }

    /// The name of the token, for the audit.
    pub(crate) fn name(&self) -> &str {
        &self.login.name
    }

    /// Whether actions are allowed.
    pub(crate) fn operates(&self) -> bool {
        self.login.roles.contains(&Role::Operate)
    }

    /// The frame of a page.
    pub(crate) fn page(&self, screen: Screen, title: impl Into<String>) -> Page {
        let outcomes = &self.console.shared.outcomes;
        let done = self.done.as_deref();
        Page {
            title: title.into(),
            screen: Some(screen),
            user: Some(User {
                name: self.login.name.clone(),
                has_token: !self.handle().is_open(),
                operates: self.operates(),
                csrf: self.csrf.clone(),
            }),
            problems: self.handle().problem_count(),
            outcome: done.and_then(|done| outcomes.find(&self.login.name, done)),
            command: None,
            here: self.here.clone(),
        }
    }
}

impl Console {
    /// Whether this listener has TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.handle.has_tls()
    }

    pub(crate) fn key(&self) -> Result<&Key, PageError> {
        self.shared.key.as_ref().map_err(|error| (*error).into())
    }

    /// Who has the session of a request, and the text that its CSRF token belongs to.
    pub(crate) fn login_of(&self, parts: &Parts) -> Option<(Login, String)> {
        let client = ConsoleClient::of(&parts.extensions);
        if self.handle.is_open() {
            return Some((
                self.handle.renew(&client, &Login::anonymous())?,
                String::new(),
            ));
        }
        let id = Cookie::Session.value(&parts.headers, self.has_tls())?;
        let found = self.shared.sessions.find(&id, cause(parts), Instant::now());
        let login = found?;
        // A session ends with its token.
        let renewed = self.handle.renew(&client, &login);
        if renewed.is_none() {
            self.shared.sessions.end(&id);
        }
        Some((renewed?, id))
    }

    /// The fields of a form.
    pub(crate) async fn read_form(
        &self,
        client: &ConsoleClient,
        body: Body,
        limit: usize,
    ) -> Result<Fields, PageError> {
        let read = client.read_body(self.handle.limits(), body, limit).await;
        let bytes = read.map_err(|(status, message)| PageError::new(status, message))?;
        Ok(Fields::parse(&bytes))
    }

    async fn posted_form(
        &self,
        request: Request,
        role: Role,
    ) -> Result<(Session, Fields), NoSession> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, self).await?;
        let client = ConsoleClient::of(&parts.extensions);
        if !session.login.roles.contains(&role) {
            let message = "This needs a token with the role operate.";
            return Err(NoSession::Refused(PageError::forbidden(message)));
        }
        let fields = self.read_form(&client, body, FORM_BYTES).await;
        let fields = fields.map_err(NoSession::Refused)?;
        let key = self.key().map_err(NoSession::Refused)?;
        let (_, id) = self.login_of(&parts).ok_or_else(|| login_for(&parts))?;
        if !key.is_csrf_token(Purpose::Session, &id, fields.text("csrf")) {
            let message = "The form is not of this session, or is too old. Go back, reload the \
                           page, and try again.";
            return Err(NoSession::Refused(PageError::forbidden(message)));
        }
        Ok((session, fields))
    }
}

impl FromRequestParts<Console> for Session {
    type Rejection = NoSession;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, NoSession> {
        let key = console.key().map_err(NoSession::Refused)?;
        let Some((login, id)) = console.login_of(parts) else {
            return Err(login_for(parts));
        };
        if !login.roles.contains(&Role::Read) {
            let message = "The console needs a token with the role read.";
            return Err(NoSession::Refused(PageError::forbidden(message)));
        }
        let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            csrf: key.csrf_token(Purpose::Session, &id),
            console: console.clone(),
            login,
            here: here(&parts.uri, &fields),
            done: fields.get("done").map(str::to_owned),
        })
    }
}

impl FromRequest<Console> for OperatorForm {
    type Rejection = NoSession;

    async fn from_request(request: Request, console: &Console) -> Result<Self, NoSession> {
        let (session, fields) = console.posted_form(request, Role::Operate).await?;
        Ok(Self { session, fields })
    }
}

impl FromRequest<Console> for ReaderForm {
    type Rejection = NoSession;

    async fn from_request(request: Request, console: &Console) -> Result<Self, NoSession> {
        let (session, fields) = console.posted_form(request, Role::Read).await?;
        Ok(Self { session, fields })
    }
}

impl IntoResponse for NoSession {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => error.into_response(),
            Self::Again { next } => {
                let page = Page::bare("Opening the console");
                html_with(StatusCode::OK, &Again { page, next })
            }
            Self::Login { next, is_htmx } => {
                let query = query_of([("next", next.as_str())], &[]);
                let address = format!("/login?{query}");
                match HeaderValue::try_from(&address) {
                    // It follows a redirect by itself, and would show the login within a page.
                    Ok(address) if is_htmx => {
                        (StatusCode::UNAUTHORIZED, [("hx-redirect", address)]).into_response()
                    }
                    _ => Redirect::to(&address).into_response(),
                }
            }
        }
    }
}

/// A path within the console that a query or form names as the next page; `/` for anything else.
///
/// A browser takes `//host`, `/\host` and `/<tab>/host` for another site.
pub(crate) fn own_path(next: Option<&str>) -> &str {
    const MAX_BYTES: usize = 4_000;
    let is_own = |next: &str| {
        let bytes = next.as_bytes();
        bytes.first() == Some(&b'/')
            && bytes.get(1) != Some(&b'/')
            && next.len() <= MAX_BYTES
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
    };
    next.filter(|next| is_own(next)).unwrap_or("/")
}

/// The way to log in for a request: back to its page, which a form has none of.
fn login_for(parts: &Parts) -> NoSession {
    let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
    if is_link_of_another_site(parts) {
        let next = here(&parts.uri, &fields);
        return NoSession::Again {
            next: own_path(Some(&next)).to_owned(),
        };
    }
    NoSession::Login {
        next: match parts.method {
            Method::GET => here(&parts.uri, &fields),
            _ => "/".to_owned(),
        },
        is_htmx: is_htmx(&parts.headers),
    }
}

/// Whether the request is one of htmx, for a part of a page.
pub(crate) fn is_htmx(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// Whether a link of another site has led here; the guard refuses everything else of other sites.
pub(crate) fn is_link_of_another_site(parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site");
    let site = site.map(HeaderValue::as_bytes);
    parts.method == Method::GET && matches!(site, Some(b"cross-site" | b"same-site"))
}

/// What caused a request: the scripts of the pages mark those that they make without the user.
fn cause(parts: &Parts) -> Cause {
    if parts.uri.path() == LIVE || parts.headers.contains_key(AUTOMATIC) {
        Cause::Page
    } else {
        Cause::User
    }
}

/// Path and query of a page, without the outcome of an action.
fn here(uri: &Uri, fields: &Fields) -> String {
    let pairs = fields.pairs().iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
    match query_of(pairs, &["done"]) {
        query if query.is_empty() => uri.path().to_owned(),
        query => format!("{}?{query}", uri.path()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_requests_are_recognized() {
        let cause_of = |path: &str, header: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(name) = header {
                request = request.header(name, "true");
            }
            cause(&request.body(Body::empty()).unwrap().into_parts().0)
        };
        assert_eq!(cause_of("/live?rule=a", None), Cause::Page);
        assert_eq!(cause_of("/", Some("x-automatic")), Cause::Page);
        assert_eq!(cause_of("/", None), Cause::User);
        assert_eq!(cause_of("/events/1/why/a", Some("hx-request")), Cause::User);
    }

    #[test]
    fn only_paths_of_the_console_are_followed() {
        for own in ["/", "/events?id=a%20b&x=/..//", "/dead-letters", "/a//b"] {
            assert_eq!(own_path(Some(own)), own);
        }
        let long = format!("/{}", "a".repeat(4_000));
        for foreign in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/a\r\nset-cookie: a=b",
            "https://evil.example/",
            "javascript:alert(1)",
            "events",
            " /events",
            "/events ",
            "/\u{2028}",
            &long,
        ] {
            assert_eq!(own_path(Some(foreign)), "/", "{foreign:?}");
        }
        assert_eq!(own_path(None), "/");
    }
}
