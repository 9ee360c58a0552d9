//! `/incidents/{id}`: one incident, from the firing of a match to its end.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use reflexarc_event::Json;
use reflexarc_service::operate::delivery_to_json;
use reflexarc_service::store::Incident;

use crate::delivery_view::{DeliveryView, OperationLink};
use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Badge, Count, Tone, When};
use crate::session::Session;
use crate::text::{Shown, command_line};

/// Deliveries of an incident that its page shows.
const DELIVERIES: usize = 100;

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    page: Page,
    incident: IncidentRow,
    deliveries: Vec<DeliveryView>,
    is_part: bool,
}

/// An incident.
pub(crate) struct IncidentRow {
    pub(crate) id: i64,
    pub(crate) href: String,
    pub(crate) status: Badge,
    pub(crate) rule: Shown,
    pub(crate) rule_href: String,
    pub(crate) key: Shown,
    pub(crate) opened: When,
    pub(crate) last: When,
    pub(crate) count: Count,
    /// The entry that fired first.
    pub(crate) entry: String,
    pub(crate) acknowledged: Option<(When, Shown)>,
    pub(crate) note: Shown,
    pub(crate) ended: Option<(When, Shown)>,
    pub(crate) reason: Shown,
    pub(crate) operations: Vec<OperationLink>,
}

/// The page.
pub(crate) async fn show(session: Session, Path(id): Path<String>) -> Result<Response, PageError> {
    let unknown = || PageError::not_found("No incident has this number.");
    let id: i64 = id.parse().map_err(|_| unknown())?;
    let found = session.handle().query(move |store| {
        let Some(incident) = store.incident(id)? else {
            return Ok(None);
        };
        Ok(Some((incident, store.incident_deliveries(id, DELIVERIES)?)))
    });
    let (incident, deliveries) = found.await?.ok_or_else(unknown)?;
    let page = session.page(Screen::Pending, format!("Incident {id}"));
    let page = page.command(command_line("reflexarc incident show", &[&id.to_string()]));
    html(&IncidentPage {
        incident: IncidentRow::of(&incident, &page),
        is_part: deliveries.len() == DELIVERIES,
        deliveries: deliveries
            .iter()
            .map(|one| DeliveryView::of(&delivery_to_json(one, None), &page))
            .collect(),
        page,
    })
}

impl IncidentRow {
    /// Of an incident.
    pub(crate) fn of(incident: &Incident, page: &Page) -> Self {
        let id = incident.id.to_string();
        let link = |name, operation| OperationLink {
            name,
            href: page.confirm(operation, &[("id", &id)]),
        };
        let mut operations = Vec::new();
        if page.operates() && incident.ended.is_none() {
            if incident.acknowledged.is_none() {
                operations.push(link("Acknowledge", "acknowledge_incident"));
            }
            operations.push(link("Close", "close_incident"));
        }
        let by = |name: &Option<String>| Shown::line(name.as_deref().unwrap_or_default());
        Self {
            href: links::incident(incident.id),
            id: incident.id,
            status: Badge::new(incident.status(), tone(incident)),
            rule: Shown::line(&incident.rule),
            rule_href: links::rule(&incident.rule),
            key: key(&incident.key),
            opened: When(incident.opened),
            last: When(incident.last),
            count: Count(incident.count),
            entry: links::entry(incident.seq),
            acknowledged: incident
                .acknowledged
                .map(|at| (When(at), by(&incident.acknowledged_by))),
            note: by(&incident.note),
            ended: incident.ended.map(|at| (When(at), by(&incident.ended_by))),
            reason: by(&incident.reason),
            operations,
        }
    }
}

fn tone(incident: &Incident) -> Tone {
    match (incident.ended, incident.acknowledged) {
        (Some(_), _) => Tone::Plain,
        (None, Some(_)) => Tone::Warning,
        (None, None) => Tone::Bad,
    }
}

/// The key as scripts see it; nothing for a rule without `by`.
pub(crate) fn key(key: &str) -> Shown {
    match Json::parse(key) {
        Ok(Json::Array(values)) if values.is_empty() => Shown::default(),
        Ok(key) => Shown::value(&key),
        Err(_) => Shown::line(key),
    }
}
