//! `/pending`: what rules wait for, and their incidents.

use askama::Template;
use axum::response::Response;
use reflexarc_event::Json;
use reflexarc_service::operate::{PendingFilter, pending_page, soonest_page};
use reflexarc_service::store::{DueCursor, IncidentFilter, MatchCursor, PageLimits};

use crate::delivery_view::{OperationLink, time};
use crate::effects::text;
use crate::error::PageError;
use crate::fields::Fields;
use crate::incidents::IncidentRow;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Pager, When};
use crate::session::Session;
use crate::text::{Shown, command_with};

/// Matches of a page.
const PAGE: PageLimits = PageLimits {
    rows: 100,
    bytes: 1 << 20,
};
/// Incidents of each list.
const INCIDENTS: usize = 50;

#[derive(Template)]
#[template(path = "pending.html")]
struct Pending {
    page: Page,
    filter: FilterForm,
    rows: Vec<MatchRow>,
    damaged: Vec<Shown>,
    /// The text of a page without matches.
    empty: &'static str,
    pager: Pager,
    open: Vec<IncidentRow>,
    ended: Vec<IncidentRow>,
    pager_of_incidents: Pager,
}

struct FilterForm {
    rule: String,
    key: String,
    is_by_rule: bool,
    has_fired: bool,
    is_set: bool,
}

struct MatchRow {
    rule: Shown,
    rule_href: String,
    key: Shown,
    status: Shown,
    window: Shown,
    opened: Option<When>,
    event: Shown,
    event_href: Option<String>,
    count: Shown,
    due: Option<When>,
    retries: bool,
    operations: Vec<OperationLink>,
}

/// The lists.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let (rules, now) = (session.handle().rules(), session.handle().now());
    let own = |name| fields.get(name).map(str::to_owned);
    let filter = PendingFilter {
        rule: own("rule"),
        key: own("key"),
        due_before: None,
        fired: fields.get("fired").is_some(),
    };
    let is_by_rule = fields.get("order") == Some("rule");
    let place = "a place in the list";
    let (by_rule, by_deadline) = if is_by_rule {
        (fields.parsed::<MatchCursor>("after", place)?, None)
    } else {
        (None, fields.parsed::<DueCursor>("after", place)?)
    };
    let before = fields.parsed::<i64>("before", "the number of an incident")?;
    let search = filter.clone();
    let found = session.handle().query(move |store| {
        let page = if is_by_rule {
            let page = pending_page(store, &rules, &search, by_rule.as_ref(), PAGE, now)?;
            let next = page.next.map(|next| next.to_string());
            (page.matches, page.damaged, next)
        } else {
            let page = soonest_page(store, &rules, &search, by_deadline.as_ref(), PAGE, now)?;
            let next = page.next.map(|next| next.to_string());
            (page.matches, page.damaged, next)
        };
        let of_rule = |open| IncidentFilter {
            rule: search.rule.clone(),
            open,
        };
        let open = store.incidents(&of_rule(true), None, INCIDENTS)?;
        let all = store.incidents(&of_rule(false), before, INCIDENTS)?;
        Ok((page, open, all))
    });
    let ((matches, damaged, next), open, all) = found.await?;
    let options = [
        ("rule", filter.rule.as_deref()),
        ("key", filter.key.as_deref()),
    ];
    let page = session.page(Screen::Pending, "Pending");
    let page = page.command(command_with("reflexarc pending list", &options));
    let next_incident = all.last().map(|last| last.id.to_string());
    let next_incident = next_incident.filter(|_| all.len() == INCIDENTS);
    html(&Pending {
        empty: if next.is_some() {
            "None on this page; the list continues on the next page."
        } else if fields.get("after").is_some() {
            "There are no further matches."
        } else if filter.rule.is_some() || filter.key.is_some() {
            "No pending match fits the filter."
        } else {
            "There are no pending matches."
        },
        pager: Pager::new("/pending", &fields, "after", next),
        rows: matches.iter().map(|one| match_row(one, &page)).collect(),
        damaged: damaged
            .iter()
            .map(|one| Shown::line(&one.to_string()))
            .collect(),
        open: open.iter().map(|one| IncidentRow::of(one, &page)).collect(),
        ended: all
            .iter()
            .filter(|one| one.ended.is_some())
            .map(|one| IncidentRow::of(one, &page))
            .collect(),
        pager_of_incidents: Pager::new("/pending", &fields, "before", next_incident),
        filter: FilterForm {
            is_set: filter.rule.is_some() || filter.key.is_some(),
            rule: fields.or_empty("rule"),
            key: fields.or_empty("key"),
            is_by_rule,
            has_fired: filter.fired,
        },
        page,
    })
}

fn match_row(found: &Json, page: &Page) -> MatchRow {
    let rule = text(found, "rule");
    let key = found.get("key").unwrap_or(&Json::Null);
    // As `keys_named` reads it.
    let key_text = key.to_string();
    let fields = [("rule", rule), ("key", key_text.as_str())];
    let close = || OperationLink {
        name: "Close",
        href: page.confirm("close_pending", &fields),
    };
    let position = found.get("position").and_then(Json::as_i64);
    MatchRow {
        rule_href: links::rule(rule),
        rule: Shown::line(rule),
        key: Shown::value(key),
        status: Shown::field(found, "status"),
        window: Shown::field(found, "window"),
        opened: time(found, "opened"),
        event: Shown::field(found, "event"),
        event_href: position.map(links::entry),
        count: Shown::field(found, "count"),
        due: time(found, "due"),
        retries: found.get("retries").and_then(Json::as_bool) == Some(true),
        operations: if page.operates() {
            vec![close()]
        } else {
            Vec::new()
        },
    }
}
