//! `/deliveries/{id}`: one delivery.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use reflexarc_service::operate::{delivery_to_json, with_withheld_periods};

use crate::deliveries::delivery_id;
use crate::delivery_view::DeliveryView;
use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::session::Session;
use crate::text::command_line;

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    page: Page,
    entry: String,
    delivery: DeliveryView,
}

/// The page.
pub(crate) async fn show(session: Session, Path(id): Path<String>) -> Result<Response, PageError> {
    let id = delivery_id(&id)?;
    let found = session.handle().query(move |store| {
        let Some((record, attempts)) = store.delivery(id)? else {
            return Ok(None);
        };
        let json = delivery_to_json(&record, Some(&attempts));
        Ok(Some((record, with_withheld_periods(store, json, id)?)))
    });
    let unknown = || PageError::not_found("No delivery has this id; it may have been removed.");
    let (record, json) = found.await?.ok_or_else(unknown)?;
    let kind = if record.delivery.action.is_call() {
        "Call"
    } else {
        "Delivery"
    };
    let page = session.page(Screen::DeadLetters, format!("{kind} {id}"));
    let page = page.command(command_line("reflexarc outbox show", &[&id.to_string()]));
    html(&DeliveryPage {
        entry: links::entry(record.seq),
        delivery: DeliveryView::of(&json, &page),
        page,
    })
}
