//! `/events/{seq}`: one event, or another entry of the archive, with all that is known of it.

mod facts;
mod why;

use askama::Template;
use axum::extract::Path;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use reflexarc_event::Json;
use reflexarc_service::operate::trace;
use reflexarc_service::store::{Archived, DamagedEvent, EntryKind, PageLimits};

use self::facts::{Fact, Wait};
pub(crate) use self::why::{RuleExplanation, explain_native, show as show_why};
use crate::delivery_view::DeliveryView;
use crate::effects::{Effects, elements, text};
use crate::error::PageError;
use crate::events::{EntryRow, damaged_line};
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Count, When};
use crate::session::Session;
use crate::text::{Block, Shown, command_line};

/// Deliveries of an entry that a page shows with their attempts.
const SHOWN_DELIVERIES: usize = 100;
/// Rules whose verdicts a page shows, of those that match and of those that do not.
const SHOWN_VERDICTS: usize = 500;

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    page: Page,
    seq: i64,
    kind: &'static str,
    is_event: bool,
    id: Shown,
    source: Shown,
    received: When,
    envelope: Shown,
    /// What is known of an entry that is no event.
    facts: Vec<Fact>,
    body: Block,
    size: Count,
    raw: String,
    /// If it differs from the event as it was received.
    native: Option<Block>,
    matched: Vec<Verdict>,
    others: Vec<Verdict>,
    /// How many rules are not shown.
    verdicts_left_out: usize,
    effects: Effects,
    deliveries: Vec<DeliveryView>,
    deliveries_left_out: Count,
    damaged_deliveries: Vec<Shown>,
    waits: Vec<Wait>,
    related: Vec<EntryRow>,
}

#[derive(Template)]
#[template(path = "entry_damaged.html")]
struct DamagedPage {
    page: Page,
    seq: i64,
    message: Shown,
    deliveries: Vec<DeliveryView>,
}

/// Whether a rule matches the event now.
struct Verdict {
    rule: Shown,
    href: String,
    why: String,
    /// The element that shows why, for htmx.
    target: String,
    text: &'static str,
    is_disabled: bool,
}

/// What the page of an entry is made of.
enum Found {
    Entry {
        archived: Box<Archived>,
        trace: Json,
        waits: Vec<Wait>,
        related: Vec<EntryRow>,
    },
    Damaged(DamagedEvent, Vec<Json>),
}

/// The page.
pub(crate) async fn show(session: Session, Path(seq): Path<String>) -> Result<Response, PageError> {
    let seq = position(&seq)?;
    let (rules, now) = (session.handle().rules(), session.handle().now());
    let found = session.handle().query(move |store| {
        Ok(match store.entry(seq)? {
            None => None,
            Some(Ok(archived)) => {
                let trace = trace(store, &rules, &archived, None)?;
                let waits = facts::waits(store, &rules, &archived, now)?;
                let related = facts::related(store, &archived)?;
                let archived = Box::new(archived);
                Some(Found::Entry {
                    archived,
                    trace,
                    waits,
                    related,
                })
            }
            Some(Err(damaged)) => {
                // Its deliveries are rows of their own, and may be whole.
                let found = store.deliveries_of(seq, DAMAGED_DELIVERIES)?;
                let found = found.deliveries.iter();
                let found = found.map(|(record, attempts)| {
                    reflexarc_service::operate::delivery_to_json(record, Some(attempts))
                });
                Some(Found::Damaged(damaged, found.collect()))
            }
        })
    });
    match found.await? {
        None => Err(unknown()),
        Some(Found::Entry {
            archived,
            trace,
            waits,
            related,
        }) => {
            let page = session.page(Screen::Events, title(&archived));
            let page = page.command(command_line("reflexarc trace", &[&archived.name.id]));
            html(&entry_page(page, &archived, &trace, waits, related))
        }
        Some(Found::Damaged(damaged, deliveries)) => {
            let page = session.page(Screen::Events, format!("Entry {seq} is damaged"));
            let page = page.command("reflexarc archive verify");
            let deliveries = deliveries.iter();
            html(&DamagedPage {
                deliveries: deliveries.map(|one| DeliveryView::of(one, &page)).collect(),
                message: damaged_line(&damaged),
                page,
                seq,
            })
        }
    }
}

const DAMAGED_DELIVERIES: PageLimits = PageLimits {
    rows: SHOWN_DELIVERIES,
    bytes: 1 << 20,
};

/// The entry as it was received, as a file of text.
pub(crate) async fn raw(session: Session, Path(seq): Path<String>) -> Result<Response, PageError> {
    let seq = position(&seq)?;
    let found = session
        .handle()
        .query(move |store| store.entry(seq))
        .await?;
    let archived = match found.ok_or_else(unknown)? {
        Ok(archived) => archived,
        Err(damaged) => return Err(PageError::conflict(damaged.to_string())),
    };
    let headers = [
        // Never as what it may contain: a browser must not run it.
        (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"entry-{seq}.json\""),
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, archived.event.bytes().to_vec()).into_response())
}

fn entry_page(
    page: Page,
    archived: &Archived,
    trace: &Json,
    waits: Vec<Wait>,
    related: Vec<EntryRow>,
) -> EntryPage {
    let is_event = is_event(archived.entry);
    let deliveries = elements(trace, "deliveries");
    let left_out = trace.get("left_out").and_then(Json::as_i64).unwrap_or(0);
    let not_shown = deliveries.len().saturating_sub(SHOWN_DELIVERIES);
    let (matched, others): (Vec<&Json>, Vec<&Json>) =
        elements(trace, "verdicts").iter().partition(|verdict| {
            verdict.get("matched").and_then(Json::as_bool) == Some(true)
                || verdict.get("undecided").is_some()
        });
    let verdicts = |verdicts: &[&Json]| -> Vec<Verdict> {
        let shown = verdicts.iter().take(SHOWN_VERDICTS);
        shown.map(|one| Verdict::of(archived.seq, one)).collect()
    };
    let native = trace
        .get("normal")
        .filter(|native| Some(*native) != trace.get("received"));
    let verdicts_left_out =
        [&matched, &others].map(|list| list.len().saturating_sub(SHOWN_VERDICTS));
    EntryPage {
        seq: archived.seq,
        kind: archived.entry.as_str(),
        is_event,
        id: Shown::line(&archived.name.id),
        source: Shown::line(&archived.name.source),
        received: When(archived.received),
        envelope: Shown::field(trace, "envelope"),
        facts: if is_event {
            Vec::new()
        } else {
            facts::of(archived.event.tree())
        },
        body: if is_event {
            Block::bytes(archived.event.bytes())
        } else {
            Block::json(archived.event.tree())
        },
        size: Count(archived.event.bytes().len() as u64),
        raw: format!("{}/raw", links::entry(archived.seq)),
        native: native.map(Block::json),
        matched: verdicts(&matched),
        others: verdicts(&others),
        verdicts_left_out: verdicts_left_out.iter().sum(),
        effects: Effects::of(trace.get("evaluation").unwrap_or(&Json::Null)),
        deliveries: deliveries
            .iter()
            .take(SHOWN_DELIVERIES)
            .map(|one| DeliveryView::of(one, &page))
            .collect(),
        deliveries_left_out: Count(left_out.unsigned_abs() + not_shown as u64),
        damaged_deliveries: elements(trace, "damaged")
            .iter()
            .map(|damaged| Shown::field(damaged, "error"))
            .collect(),
        waits,
        related,
        page,
    }
}

impl Verdict {
    fn of(seq: i64, verdict: &Json) -> Self {
        let rule = text(verdict, "rule");
        let is_matched = verdict.get("matched").and_then(Json::as_bool) == Some(true);
        Self {
            rule: Shown::line(rule),
            href: links::rule(rule),
            why: links::why(seq, rule),
            target: why::element_id(rule),
            text: match (verdict.get("undecided").is_some(), is_matched) {
                (true, _) => "undecided",
                (false, true) => "matches",
                (false, false) => "does not match",
            },
            is_disabled: verdict.get("enabled").and_then(Json::as_bool) == Some(false),
        }
    }
}

/// Whether an entry has an event that rules match.
pub(crate) fn is_event(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Event | EntryKind::Emitted)
}

/// The archive position in a path.
fn position(text: &str) -> Result<i64, PageError> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> PageError {
    PageError::not_found(
        "The archive has no entry at this position. It may have been removed by retention.",
    )
}

fn title(archived: &Archived) -> String {
    let id = Shown::line(&archived.name.id);
    match archived.entry {
        EntryKind::Event if !id.is_empty() => format!("Event {id}"),
        EntryKind::Event => format!("Event at position {}", archived.seq),
        kind => format!("Entry {} ({})", archived.seq, kind.as_str()),
    }
}
