//! `/silences`: what withholds deliveries, and what another silence would withhold.

use askama::Template;
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_service::operate::{SilenceLimits, SilencePreview, preview_silence};
use reflexarc_service::store::Silence;

use crate::delivery_view::{OperationLink, time};
use crate::effects::text;
use crate::error::PageError;
use crate::fields::Fields;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Badge, Count, Tone, When};
use crate::session::Session;
use crate::text::{Block, Shown};
use crate::times::{self, time_field};

/// Silences that are not over; the service allows no more.
const LISTED: usize = 1_000;
/// Silences that are over.
const LISTED_EXPIRED: usize = 100;

#[derive(Template)]
#[template(path = "silences.html")]
struct Silences {
    page: Page,
    active: Vec<SilenceRow>,
    future: Vec<SilenceRow>,
    expired: Vec<SilenceRow>,
    form: NewSilenceForm,
    preview: Option<Preview>,
    /// What is wrong with the pattern.
    error: Option<String>,
}

struct SilenceRow {
    id: i64,
    pattern: Shown,
    owner: Shown,
    reason: Shown,
    from: When,
    until: When,
    ended: Option<(When, Shown)>,
    drops: bool,
    withheld: Count,
    dropped: Count,
    open: Count,
    status: Badge,
    operations: Vec<OperationLink>,
}

#[derive(Default)]
struct NewSilenceForm {
    pattern: String,
    from: String,
    until: String,
    lasts: String,
    owner: String,
    reason: String,
    drops: bool,
    expected_time: &'static str,
}

/// What a silence would withhold.
struct Preview {
    pending: Count,
    withheld: Count,
    recent: Count,
    compared: Count,
    is_complete: bool,
    is_empty: bool,
    examples: Vec<Example>,
    nearest: Option<(Example, Block)>,
    /// The page that confirms the silence; `None` without the role, or while a field is missing.
    confirm: Option<String>,
}

struct Example {
    id: Shown,
    href: String,
    status: Shown,
    rule: Shown,
    target: Shown,
    event: Shown,
    created: Option<When>,
}

/// The lists, and the preview of the form.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let now = session.handle().now();
    let page = session.page(Screen::Silences, "Silences");
    let page = page.command("reflexarc silence list");
    let lists = session.handle().query(move |store| {
        let current = store.silences(false, now, LISTED)?;
        Ok((current, store.silences(true, now, LISTED_EXPIRED)?))
    });
    let (current, expired) = lists.await?;
    let (future, active): (Vec<_>, Vec<_>) = current
        .iter()
        .partition(|silence| silence.settings.from > now);
    let rows = |silences: &[&Silence]| -> Vec<SilenceRow> {
        let rows = silences.iter();
        rows.map(|silence| SilenceRow::of(silence, now, &page))
            .collect()
    };
    let (mut preview, mut error) = (None, None);
    if let Some(pattern) = fields.get("pattern") {
        match preview_of(&session, pattern).await? {
            Ok(found) => preview = Some(Preview::of(&found, confirm(&page, &fields, &found, now)?)),
            Err(message) => error = Some(message),
        }
    }
    html(&Silences {
        active: rows(&active),
        future: rows(&future),
        expired: rows(&expired.iter().collect::<Vec<_>>()),
        form: NewSilenceForm {
            pattern: fields.text("pattern").to_owned(),
            from: fields.text("from").to_owned(),
            until: fields.text("until").to_owned(),
            lasts: fields.text("for").to_owned(),
            owner: fields.text("owner").to_owned(),
            reason: fields.text("reason").to_owned(),
            drops: fields.get("drop").is_some(),
            expected_time: times::EXPECTED,
        },
        preview,
        error,
        page,
    })
}

async fn preview_of(
    session: &Session,
    pattern: &str,
) -> Result<Result<SilencePreview, String>, PageError> {
    let (rules, now) = (session.handle().rules(), session.handle().now());
    let pattern = pattern.to_owned();
    let preview = session.handle().query_large(move |store| {
        preview_silence(store, &rules, &pattern, now, &SilenceLimits::DEFAULT)
    });
    Ok(preview.await?)
}

/// The page that confirms the silence of the form.
fn confirm(
    page: &Page,
    fields: &Fields,
    found: &SilencePreview,
    now: Timestamp,
) -> Result<Option<String>, PageError> {
    let time = |name| -> Result<_, PageError> {
        let time = time_field(fields, name, now)?;
        Ok(time.map(|time| time.to_string()).unwrap_or_default())
    };
    let (from, until) = (time("from")?, time("until")?);
    let get = |name| fields.get(name).unwrap_or_default();
    let lasts = get("for");
    let is_complete = !get("reason").is_empty() && (until.is_empty() != lasts.is_empty());
    if !page.operates() || !is_complete {
        return Ok(None);
    }
    let all = [
        ("pattern", get("pattern")),
        ("from", &from),
        ("until", &until),
        ("for", lasts),
        ("owner", get("owner")),
        ("reason", get("reason")),
        ("drop", if get("drop").is_empty() { "" } else { "true" }),
        ("confirm", if found.is_empty() { "true" } else { "" }),
    ];
    let set: Vec<_> = all
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    Ok(Some(page.confirm("add_silence", &set)))
}

impl SilenceRow {
    fn of(silence: &Silence, now: Timestamp, page: &Page) -> Self {
        let settings = &silence.settings;
        let id = silence.id.to_string();
        let (is_over, is_active) = (silence.is_over(now), silence.is_active(now));
        let end = || {
            vec![
                OperationLink {
                    name: "End",
                    href: page.confirm("end_silence", &[("id", &id)]),
                },
                OperationLink {
                    name: "End and drop",
                    href: page.confirm("end_silence", &[("id", &id), ("drop", "true")]),
                },
            ]
        };
        let status = match (is_over, is_active) {
            (true, _) => Badge::new("over", Tone::Plain),
            (false, true) => Badge::new("active", Tone::Warning),
            (false, false) => Badge::new("future", Tone::Plain),
        };
        let ended = silence.ended.as_ref();
        Self {
            id: silence.id,
            pattern: Shown::line(&settings.pattern),
            owner: Shown::line(&settings.owner),
            reason: Shown::line(&settings.reason),
            from: When(settings.from),
            until: When(settings.until),
            ended: ended.map(|end| (When(end.at), Shown::line(&end.by))),
            drops: settings.drops,
            withheld: Count(silence.withheld),
            dropped: Count(silence.dropped),
            open: Count(silence.open),
            status,
            operations: if page.operates() && !is_over {
                end()
            } else {
                Vec::new()
            },
        }
    }
}

impl Preview {
    fn of(found: &SilencePreview, confirm: Option<String>) -> Self {
        let nearest = found.nearest.as_ref();
        Self {
            pending: Count(found.pending),
            withheld: Count(found.withheld),
            recent: Count(found.recent),
            compared: Count(found.compared),
            is_complete: found.is_complete,
            is_empty: found.is_empty(),
            examples: found.examples.iter().map(Example::of).collect(),
            nearest: nearest.map(|(delivery, why)| (Example::of(delivery), Block::new(why))),
            confirm,
        }
    }
}

impl Example {
    fn of(delivery: &Json) -> Self {
        let id = text(delivery, "delivery");
        Self {
            id: Shown::line(id),
            href: links::delivery(id),
            status: Shown::field(delivery, "status"),
            rule: Shown::field(delivery, "rule"),
            target: Shown::field(delivery, "target"),
            event: Shown::field(delivery, "event"),
            created: time(delivery, "created"),
        }
    }
}
