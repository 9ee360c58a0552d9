//! `/events`: what has come, the newest first.

use askama::Template;
use axum::response::Response;
use reflexarc_service::store::{DamagedEvent, EntryKind, EntrySummary, EventFilter, PageLimits};

use crate::delivery_view::status_badge;
use crate::error::PageError;
use crate::fields::Fields;
use crate::inline;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Badge, Count, Pager, When};
use crate::session::Session;
use crate::text::{Shown, command_with};
use crate::times::{self, time_field};

/// Entries of a page.
const PAGE: PageLimits = PageLimits {
    rows: 50,
    bytes: 1 << 20,
};
/// Rules of an entry that a page names.
const NAMED_RULES: usize = 4;

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    page: Page,
    filter: FilterForm,
    rows: Vec<EntryRow>,
    damaged: Vec<Shown>,
    /// When the last entry was accepted that was looked at, if there are others.
    searched_until: Option<When>,
    pager: Pager,
    /// Where the page gets live entries from; `None` on later pages.
    live: Option<String>,
}

/// What the form of the list has.
struct FilterForm {
    id: String,
    source: String,
    name: String,
    rule: String,
    kind: String,
    from: String,
    until: String,
    kinds: Vec<&'static str>,
    expected_time: &'static str,
    is_set: bool,
}

/// One entry of a list.
pub(crate) struct EntryRow {
    pub(crate) seq: i64,
    pub(crate) href: String,
    pub(crate) kind: &'static str,
    pub(crate) is_event: bool,
    pub(crate) id: Shown,
    pub(crate) source: Shown,
    pub(crate) name: Shown,
    pub(crate) resource: Shown,
    pub(crate) received: When,
    pub(crate) rules: Vec<(Shown, String)>,
    /// How many rules are not named.
    pub(crate) more_rules: usize,
    /// Whether it is not known which rules have matched.
    pub(crate) is_unknown: bool,
    pub(crate) failures: Count,
    pub(crate) deliveries: Vec<(Count, Badge)>,
}

/// The list.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let now = session.handle().now();
    let own = |name| fields.get(name).map(str::to_owned);
    let filter = EventFilter {
        id: own("id"),
        source: own("source"),
        name: own("name"),
        rule: own("rule"),
        kind: kind_field(&fields)?,
        from: time_field(&fields, "from", now)?,
        until: time_field(&fields, "until", now)?,
    };
    let before = fields.parsed::<i64>("before", "an archive position")?;
    let is_set = filter != EventFilter::default();
    let search = filter.clone();
    let query = session.handle();
    let found = query
        .query(move |store| store.entry_page(&search, before, PAGE))
        .await?;
    let command = command_with(
        "reflexarc archive list",
        &[
            ("event", filter.id.as_deref()),
            ("kind", filter.kind.map(EntryKind::as_str)),
            ("from", filter.from.map(|at| at.to_string()).as_deref()),
            ("to", filter.until.map(|at| at.to_string()).as_deref()),
        ],
    );
    let command = match filter.kind {
        None => format!("{command} --all"),
        Some(_) => command,
    };
    // An empty page in the middle of a search says how far it has come.
    let searched_until = found.searched_until.filter(|_| is_set).map(When);
    html(&Events {
        page: session.page(Screen::Events, "Events").command(command),
        rows: found.entries.iter().map(EntryRow::of).collect(),
        damaged: found.damaged.iter().map(damaged_line).collect(),
        searched_until,
        pager: Pager::new(
            "/events",
            &fields,
            "before",
            found.next.map(|next| next.to_string()),
        ),
        live: (before.is_none() && filter.until.is_none()).then(|| live_address(&session, &filter)),
        filter: FilterForm {
            id: fields.or_empty("id"),
            source: fields.or_empty("source"),
            name: fields.or_empty("name"),
            rule: fields.or_empty("rule"),
            kind: fields.or_empty("kind"),
            from: fields.or_empty("from"),
            until: fields.or_empty("until"),
            kinds: EntryKind::ALL.map(EntryKind::as_str).to_vec(),
            expected_time: times::EXPECTED,
            is_set,
        },
    })
}

impl EntryRow {
    /// Of an entry.
    pub(crate) fn of(entry: &EntrySummary) -> Self {
        let rules = entry.rules.as_deref().unwrap_or_default();
        let named = rules.iter().take(NAMED_RULES);
        let deliveries = entry.deliveries.iter();
        Self {
            seq: entry.seq,
            href: links::entry(entry.seq),
            kind: entry.kind.as_str(),
            is_event: entry.kind == EntryKind::Event,
            id: Shown::line(&entry.event.id),
            source: Shown::line(&entry.event.source),
            name: Shown::line(&entry.name),
            resource: Shown::line(&entry.resource),
            received: When(entry.received),
            rules: named
                .map(|rule| (Shown::line(rule), links::rule(rule)))
                .collect(),
            more_rules: rules.len().saturating_sub(NAMED_RULES),
            is_unknown: entry.rules.is_none(),
            failures: Count(entry.failures),
            deliveries: deliveries
                .map(|(status, count)| (Count(*count), status_badge(*status)))
                .collect(),
        }
    }
}

/// What cannot be read, on one line.
pub(crate) fn damaged_line(damaged: &DamagedEvent) -> Shown {
    Shown::line(&damaged.to_string())
}

fn kind_field(fields: &Fields) -> Result<Option<EntryKind>, PageError> {
    let Some(name) = fields.get("kind") else {
        return Ok(None);
    };
    let kind = EntryKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == name);
    let invalid = || PageError::invalid(format!("invalid `kind`: no entries are of kind `{name}`"));
    kind.map(Some).ok_or_else(invalid)
}

/// The stream that says when the list has changed. It need not know the whole filter: the page reads
/// its list again. A rule that does not exist would be refused.
fn live_address(session: &Session, filter: &EventFilter) -> String {
    let rules = session.handle().rules();
    let rule = filter
        .rule
        .as_deref()
        .filter(|rule| rules.get(rule).is_some());
    let fields = [
        ("kinds", "event,firing,answer"),
        ("rule", rule.unwrap_or_default()),
    ];
    links::list("/live", &fields)
}
