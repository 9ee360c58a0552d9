//! What all pages share: their frame, and turning a template into a response.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::error::PageError;
use crate::outcome::Outcome;

/// The frame of a page: the field `page` of every template.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// The screen that it belongs to.
    pub(crate) screen: Option<Screen>,
    /// Who has logged in; `None` on pages without a login.
    pub(crate) user: Option<User>,
    /// How many problems are open.
    pub(crate) problems: usize,
    /// What became of the action before.
    pub(crate) outcome: Option<Outcome>,
    /// The command that prints the same.
    pub(crate) command: Option<String>,
    /// This page's path and query, for links and forms that come back to it.
    pub(crate) here: String,
}

/// Who sees a page.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Whether there are tokens; without them there is no login to end.
    pub(crate) has_token: bool,
    /// Whether the role allows actions; without it a page has no buttons.
    pub(crate) operates: bool,
    /// For the hidden input `csrf` of every form that posts.
    pub(crate) csrf: String,
}

/// A screen of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// `/`
    Now,
    /// `/events`
    Events,
    /// `/dead-letters`
    DeadLetters,
    /// `/targets`
    Targets,
    /// `/pending`
    Pending,
    /// `/silences`
    Silences,
    /// `/rules`
    Rules,
    /// `/audit`
    Audit,
}

impl Screen {
    /// All of them, in the order of the navigation.
    pub(crate) const ALL: [Self; 8] = [
        Self::Now,
        Self::Events,
        Self::DeadLetters,
        Self::Targets,
        Self::Pending,
        Self::Silences,
        Self::Rules,
        Self::Audit,
    ];

    /// Its name in the navigation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Events => "Events",
            Self::DeadLetters => "Dead letters",
            Self::Targets => "Targets",
            Self::Pending => "Pending",
            Self::Silences => "Silences",
            Self::Rules => "Rules",
            Self::Audit => "Audit",
        }
    }

    /// Whether it is the one that lists the problems.
    pub(crate) fn is_now(self) -> bool {
        self == Self::Now
    }

    /// Its path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::Events => "/events",
            Self::DeadLetters => "/dead-letters",
            Self::Targets => "/targets",
            Self::Pending => "/pending",
            Self::Silences => "/silences",
            Self::Rules => "/rules",
            Self::Audit => "/audit",
        }
    }
}

impl Page {
    /// A page without a session.
    pub(crate) fn bare(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            screen: None,
            user: None,
            problems: 0,
            outcome: None,
            command: None,
            here: "/".to_owned(),
        }
    }

    /// With the command that prints the same.
    #[must_use]
    pub(crate) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Whether the page belongs to a screen.
    pub(crate) fn is_of(&self, screen: Screen) -> bool {
        self.screen == Some(screen)
    }

    /// Whether actions are offered.
    pub(crate) fn operates(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.operates)
    }

    /// The value of the hidden input `csrf`.
    pub(crate) fn csrf(&self) -> &str {
        self.user.as_ref().map_or("", |user| &user.csrf)
    }

    /// The address of the page that confirms an operation, which comes back here.
    pub(crate) fn confirm(&self, operation: &str, fields: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("operation", operation);
        query.extend_pairs(fields);
        query.append_pair("next", &self.here);
        format!("/confirm?{}", query.finish())
    }
}

/// A rendered page.
///
/// # Errors
/// Never; handlers return the same type as their queries.
#[expect(clippy::unnecessary_wraps, reason = "the last line of every handler")]
pub(crate) fn html(template: &impl Template) -> Result<Response, PageError> {
    Ok(html_with(StatusCode::OK, template))
}

/// A rendered page with another status.
pub(crate) fn html_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
