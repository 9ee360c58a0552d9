//! `/dead-letters`: what could not be delivered.

use askama::Template;
use axum::response::Response;
use reflexarc_delivery::DeliveryId;
use reflexarc_service::store::{
    DeliveryFilter, DeliveryRecord, DeliveryStatus, PageCursor, PageLimits,
};

use crate::delivery_view::{OperationLink, operations};
use crate::error::PageError;
use crate::fields::Fields;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Ago, Count, Pager, When};
use crate::session::Session;
use crate::text::{Shown, command_with};
use crate::times::{self, time_field};

/// Dead letters of a page.
const PAGE: PageLimits = PageLimits {
    rows: 50,
    bytes: 1 << 20,
};
/// So many are counted; of more, the page says that there are at least so many.
const COUNTED: u64 = 1_000_000;
/// Targets that the page counts apart.
const MAX_TARGETS: usize = 50;

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLetters {
    page: Page,
    filter: FilterForm,
    count: Count,
    /// Whether there may be more than were counted.
    is_at_least: bool,
    rows: Vec<Row>,
    damaged: Vec<Shown>,
    /// What can be done with all that match.
    all: Vec<OperationLink>,
    targets: Vec<(Shown, String, Count)>,
    pager: Pager,
    /// Whether the page is empty although others follow.
    goes_on: bool,
}

struct FilterForm {
    target: String,
    rule: String,
    event: String,
    reason: String,
    since: String,
    until: String,
    expected_time: &'static str,
    is_set: bool,
}

struct Row {
    id: String,
    href: String,
    target: Shown,
    target_href: String,
    rule: Shown,
    rule_href: String,
    event: Shown,
    event_href: String,
    finished: Option<(When, Ago)>,
    reason: Shown,
    operations: Vec<OperationLink>,
}

/// The list.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let now = session.handle().now();
    let own = |name| fields.get(name).map(str::to_owned);
    let filter = DeliveryFilter {
        target: own("target"),
        rule: own("rule"),
        event: own("event"),
        reason: own("reason"),
        since: time_field(&fields, "since", now)?,
        finished_until: time_field(&fields, "until", now)?,
        ..DeliveryFilter::of(DeliveryStatus::Dead)
    };
    let after = fields.parsed::<PageCursor>("after", "a place in the list")?;
    let is_set = filter != DeliveryFilter::of(DeliveryStatus::Dead);
    let search = filter.clone();
    let found = session.handle().query(move |store| {
        let page = store.filtered_page(&search, true, after, PAGE)?;
        // Looking for a text in all reasons once more would take as long again.
        let is_whole = after.is_none() && page.next.is_none() && page.damaged.is_empty();
        let count = if is_whole {
            page.deliveries.len() as u64
        } else {
            store.count_deliveries(&search, COUNTED)?
        };
        Ok((page, count, store.dead_letter_counts()?))
    });
    let (found, count, targets) = found.await?;
    let times = [filter.since, filter.finished_until].map(|at| at.map(|at| at.to_string()));
    let options = [
        ("target", filter.target.as_deref()),
        ("rule", filter.rule.as_deref()),
        ("event", filter.event.as_deref()),
        ("reason", filter.reason.as_deref()),
        ("since", times[0].as_deref()),
        ("until", times[1].as_deref()),
    ];
    let page = session.page(Screen::DeadLetters, "Dead letters");
    let page = page.command(command_with("reflexarc dlq list", &options));
    let set = options.map(|(name, value)| (name, value.unwrap_or_default()));
    let set: Vec<_> = set
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let all = |name, operation| OperationLink {
        name,
        href: page.confirm(operation, &set),
    };
    let may_change = page.operates() && count > 0;
    html(&DeadLetters {
        all: if may_change {
            vec![
                all("Redrive all that match", "redrive_matching"),
                all("Drop all that match", "drop_matching"),
            ]
        } else {
            Vec::new()
        },
        count: Count(count),
        is_at_least: count >= COUNTED,
        goes_on: found.deliveries.is_empty() && found.next.is_some(),
        damaged: found
            .damaged
            .iter()
            .map(|one| Shown::line(&one.to_string()))
            .collect(),
        pager: Pager::new(
            "/dead-letters",
            &fields,
            "after",
            found.next.map(|next| next.to_string()),
        ),
        rows: found
            .deliveries
            .iter()
            .map(|one| row(one, now, &page))
            .collect(),
        targets: targets
            .iter()
            .take(MAX_TARGETS)
            .map(|(target, count)| {
                let href = links::list("/dead-letters", &[("target", target)]);
                (Shown::line(target), href, Count(*count))
            })
            .collect(),
        filter: FilterForm {
            target: own("target").unwrap_or_default(),
            rule: own("rule").unwrap_or_default(),
            event: own("event").unwrap_or_default(),
            reason: own("reason").unwrap_or_default(),
            since: own("since").unwrap_or_default(),
            until: own("until").unwrap_or_default(),
            expected_time: times::EXPECTED,
            is_set,
        },
        page,
    })
}

fn row(record: &DeliveryRecord, now: jiff::Timestamp, page: &Page) -> Row {
    let delivery = &record.delivery;
    let id = delivery.id.to_string();
    Row {
        href: links::delivery(&id),
        target: Shown::line(&delivery.target),
        target_href: links::target(&delivery.target),
        rule: Shown::line(&delivery.rule),
        rule_href: links::rule(&delivery.rule),
        event: Shown::line(&delivery.event.id),
        event_href: links::entry(record.seq),
        finished: record.finished.map(|at| (When(at), Ago { at, now })),
        reason: Shown::line(record.reason.as_deref().unwrap_or_default()),
        operations: operations(&id, "dead", delivery.action.is_call(), page),
        id,
    }
}

/// The id of a delivery in a path.
pub(crate) fn delivery_id(text: &str) -> Result<DeliveryId, PageError> {
    let unknown = || PageError::not_found("No delivery has this id.");
    text.parse().map_err(|_| unknown())
}
