//! `/`: what needs attention now.

use askama::Template;
use axum::response::Response;

use crate::error::PageError;
use crate::page::{Page, Screen, html};
use crate::parts::When;
use crate::session::Session;

#[derive(Template)]
#[template(path = "now.html")]
struct Now {
    page: Page,
    now: When,
    rules: usize,
}

/// The page.
pub(crate) async fn show(session: Session) -> Result<Response, PageError> {
    let handle = session.handle();
    html(&Now {
        now: When(handle.now()),
        rules: handle.rules().len(),
        page: session.page(Screen::Now, "Now").command("reflexarc status"),
    })
}
