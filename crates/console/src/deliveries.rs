//! `/dead-letters` and `/outbox`: dead letters, and pending and withheld deliveries.

use askama::Template;
use axum::response::Response;
use jiff::Timestamp;
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

/// Deliveries of a page: no more than an operation may select.
const PAGE: PageLimits = PageLimits {
    rows: 50,
    bytes: 1 << 20,
};
/// Largest number that is counted; above it, the page says "at least".
const COUNTED: u64 = 1_000_000;
/// Targets with a count of their own on the page.
const MAX_TARGETS: usize = 50;

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Deliveries {
    page: Page,
    list: List,
    filter: FilterForm,
    count: Count,
    /// Whether there may be more than were counted.
    is_at_least: bool,
    rows: Vec<Row>,
    damaged: Vec<Shown>,
    /// What can be done with all that match.
    all: Vec<OperationLink>,
    /// What can be done with those that are selected: names of buttons and operations.
    selected: &'static [(&'static str, &'static str)],
    targets: Vec<(Shown, String, Count)>,
    pager: Pager,
    /// Whether the page is empty although others follow.
    goes_on: bool,
}

/// Which deliveries a page lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Dead,
    Pending,
    Withheld,
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
    /// When it died, or is attempted next.
    time: Option<(When, Ago)>,
    reason: Shown,
    operations: Vec<OperationLink>,
}

impl FilterForm {
    /// With what was entered.
    fn of(fields: &Fields, is_set: bool) -> Self {
        Self {
            target: fields.or_empty("target"),
            rule: fields.or_empty("rule"),
            event: fields.or_empty("event"),
            reason: fields.or_empty("reason"),
            since: fields.or_empty("since"),
            until: fields.or_empty("until"),
            expected_time: times::EXPECTED,
            is_set,
        }
    }
}

impl List {
    fn status(self) -> DeliveryStatus {
        match self {
            Self::Dead => DeliveryStatus::Dead,
            Self::Pending => DeliveryStatus::Pending,
            Self::Withheld => DeliveryStatus::Withheld,
        }
    }

    fn is_dead(self) -> bool {
        self == Self::Dead
    }

    fn is_withheld(self) -> bool {
        self == Self::Withheld
    }

    fn path(self) -> &'static str {
        match self {
            Self::Dead => "/dead-letters",
            Self::Pending | Self::Withheld => "/outbox",
        }
    }

    fn screen(self) -> Screen {
        match self {
            Self::Dead => Screen::DeadLetters,
            Self::Pending | Self::Withheld => Screen::Pending,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Dead => "Dead letters",
            Self::Pending => "Pending deliveries",
            Self::Withheld => "Withheld deliveries",
        }
    }

    /// The title within a sentence.
    fn noun(self) -> &'static str {
        match self {
            Self::Dead => "dead letters",
            Self::Pending => "pending deliveries",
            Self::Withheld => "withheld deliveries",
        }
    }

    fn order(self) -> &'static str {
        if self.is_dead() {
            "the newest first"
        } else {
            "the soonest first"
        }
    }

    /// The header of the column of times, and what the bounds of the filter are about.
    fn times(self) -> (&'static str, &'static str) {
        match self {
            Self::Dead => ("Dead since", "Dead"),
            Self::Pending => ("Next attempt", "Created"),
            Self::Withheld => ("Was due", "Created"),
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Dead => "reflexarc dlq list",
            Self::Pending => "reflexarc outbox list",
            Self::Withheld => "reflexarc outbox list --withheld",
        }
    }

    /// What can be done with all that match.
    fn of_all(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Dead => &[
                ("Redrive all that match", "redrive_matching"),
                ("Drop all that match", "drop_matching"),
            ],
            _ => &[("Cancel all that match", "cancel_matching")],
        }
    }

    /// What can be done with those that are selected.
    fn of_selected(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Dead => &[
                ("Redrive selected", "redrive_selected"),
                ("Drop selected", "drop_selected"),
            ],
            _ => &[("Cancel selected", "cancel_selected")],
        }
    }
}

/// The dead letters.
pub(crate) async fn show_dead(session: Session, fields: Fields) -> Result<Response, PageError> {
    show(session, fields, List::Dead).await
}

/// The deliveries that wait, or are withheld.
pub(crate) async fn show_outbox(session: Session, fields: Fields) -> Result<Response, PageError> {
    let list = match fields.get("status") {
        None | Some("pending") => List::Pending,
        Some("withheld") => List::Withheld,
        Some(other) => {
            return Err(PageError::invalid(format!(
                "invalid `status`: expected pending or withheld, found `{other}`"
            )));
        }
    };
    show(session, fields, list).await
}

async fn show(session: Session, fields: Fields, list: List) -> Result<Response, PageError> {
    let now = session.handle().now();
    let own = |name| fields.get(name).map(str::to_owned);
    let filter = DeliveryFilter {
        target: own("target"),
        rule: own("rule"),
        event: own("event"),
        reason: own("reason"),
        since: time_field(&fields, "since", now)?,
        finished_until: time_field(&fields, "until", now)?,
        ..DeliveryFilter::of(list.status())
    };
    let after = fields.parsed::<PageCursor>("after", "a place in the list")?;
    let is_set = filter != DeliveryFilter::of(list.status());
    let search = filter.clone();
    let found = session.handle().query(move |store| {
        let page = store.filtered_page(&search, list.is_dead(), after, PAGE)?;
        // A search for an event or a text looks at all dead letters, which takes long. It is done once,
        // for the page, and not for a count too.
        let is_long = search.event.is_some() || search.reason.is_some();
        let is_whole = after.is_none() && page.next.is_none() && page.damaged.is_empty();
        let (count, is_at_least) = if is_whole || is_long {
            (page.deliveries.len() as u64, !is_whole)
        } else {
            let count = store.count_deliveries(&search, COUNTED)?;
            (count, count >= COUNTED)
        };
        let targets = if list.is_dead() {
            store.dead_letter_counts()?
        } else {
            Vec::new()
        };
        Ok((page, count, is_at_least, targets))
    });
    let (found, count, is_at_least, targets) = found.await?;
    let times = [filter.since, filter.finished_until].map(|at| at.map(|at| at.to_string()));
    let options = [
        ("target", filter.target.as_deref()),
        ("rule", filter.rule.as_deref()),
        ("event", filter.event.as_deref()),
        ("reason", filter.reason.as_deref()),
        ("since", times[0].as_deref()),
        ("until", times[1].as_deref()),
    ];
    let page = session.page(list.screen(), list.title());
    let page = page.command(command_with(list.command(), &options));
    let status = list.is_withheld().then_some(("status", "withheld"));
    let set = options.map(|(name, value)| (name, value.unwrap_or_default()));
    let set = set.into_iter().filter(|(_, value)| !value.is_empty());
    let set: Vec<_> = status.into_iter().chain(set).collect();
    let may_change = page.operates() && (count > 0 || is_at_least);
    let all = list.of_all().iter().filter(|_| may_change);
    html(&Deliveries {
        all: all
            .map(|(name, operation)| OperationLink {
                name,
                href: page.confirm(operation, &set),
            })
            .collect(),
        selected: if page.operates() {
            list.of_selected()
        } else {
            &[]
        },
        count: Count(count),
        is_at_least,
        goes_on: found.deliveries.is_empty() && found.next.is_some(),
        damaged: found
            .damaged
            .iter()
            .map(|one| Shown::line(&one.to_string()))
            .collect(),
        pager: Pager::new(
            list.path(),
            &fields,
            "after",
            found.next.map(|next| next.to_string()),
        ),
        rows: found
            .deliveries
            .iter()
            .map(|one| row(one, list, now, &page))
            .collect(),
        targets: targets
            .iter()
            .take(MAX_TARGETS)
            .map(|(target, count)| {
                let href = links::list(list.path(), &[("target", target)]);
                (Shown::line(target), href, Count(*count))
            })
            .collect(),
        filter: FilterForm::of(&fields, is_set),
        list,
        page,
    })
}

fn row(record: &DeliveryRecord, list: List, now: Timestamp, page: &Page) -> Row {
    let delivery = &record.delivery;
    let id = delivery.id.to_string();
    let status = list.status().as_str();
    let time = match list {
        List::Dead => record.finished,
        // It is attempted when the one before it has ended.
        List::Pending if record.waits => None,
        List::Pending | List::Withheld => Some(record.due),
    };
    Row {
        href: links::delivery(&id),
        target: Shown::line(&delivery.target),
        target_href: links::target(&delivery.target),
        rule: Shown::line(&delivery.rule),
        rule_href: links::rule(&delivery.rule),
        event: Shown::line(&delivery.event.id),
        event_href: links::entry(record.seq),
        time: time.map(|at| (When(at), Ago { at, now })),
        reason: Shown::line(record.reason.as_deref().unwrap_or_default()),
        operations: operations(&id, status, delivery.action.is_call(), page),
        id,
    }
}

/// The id of a delivery in a path.
pub(crate) fn delivery_id(text: &str) -> Result<DeliveryId, PageError> {
    let unknown = || PageError::not_found("No delivery has this id.");
    text.parse().map_err(|_| unknown())
}
