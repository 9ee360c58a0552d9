//! `/rules`: the rules in effect, and what they have done.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use reflexarc::Rule;
use reflexarc_service::operate::RuleActivity;

use crate::error::PageError;
use crate::fields::Fields;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Badge, Count, Pager, Tone};
use crate::session::Session;
use crate::text::Shown;

/// Rules of a page.
const ROWS: usize = 200;

#[derive(Template)]
#[template(path = "rules.html")]
struct Rules {
    page: Page,
    name: String,
    total: Count,
    rows: Vec<RuleRow>,
    pager: Pager,
}

/// A rule.
pub(crate) struct RuleRow {
    pub(crate) name: Shown,
    pub(crate) href: String,
    pub(crate) file: Shown,
    pub(crate) state: Badge,
    pub(crate) description: Shown,
    pub(crate) matched: Count,
    pub(crate) failed: Count,
    pub(crate) failing: Option<Shown>,
    pub(crate) pending: Count,
}

/// The list.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let rules = session.handle().rules();
    let activity = session.handle().rule_activity(&rules);
    let pending = pending_counts(&session).await?;
    let name = fields.or_empty("name");
    let after = fields.or_empty("after");
    let rows = rules.rules().zip(&activity);
    let rows = rows.filter(|(rule, _)| rule.name().contains(&name) && rule.name() > &*after);
    let mut found: Vec<(&str, RuleRow)> = rows
        .take(ROWS + 1)
        .map(|(rule, activity)| {
            let pending = pending.get(rule.name()).copied().unwrap_or(0);
            (rule.name(), RuleRow::of(rule, activity, pending))
        })
        .collect();
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let last = found.last().map(|(name, _)| (*name).to_owned());
    html(&Rules {
        page: session
            .page(Screen::Rules, "Rules")
            .command("reflexarc status"),
        total: Count(rules.len() as u64),
        pager: Pager::new("/rules", &fields, "after", last.filter(|_| has_more)),
        rows: found.into_iter().map(|(_, row)| row).collect(),
        name,
    })
}

/// How many matches wait, by rule.
pub(crate) async fn pending_counts(session: &Session) -> Result<BTreeMap<String, u64>, PageError> {
    let counts = session.handle().query(|store| store.match_counts()).await?;
    let counts = counts.into_iter();
    Ok(counts.map(|count| (count.rule, count.pending)).collect())
}

impl RuleRow {
    /// Of a rule.
    pub(crate) fn of(rule: &Rule, activity: &RuleActivity, pending: u64) -> Self {
        let failing = activity.failing.as_ref();
        let state = match (rule.enabled(), failing) {
            (false, _) => Badge::new("disabled", Tone::Plain),
            (true, Some(_)) => Badge::new("failing", Tone::Bad),
            (true, None) => Badge::new("enabled", Tone::Good),
        };
        Self {
            name: Shown::line(rule.name()),
            href: links::rule(rule.name()),
            file: Shown::line(rule.file()),
            state,
            description: Shown::line(rule.description()),
            matched: Count(activity.matched),
            failed: Count(activity.failed),
            failing: failing.map(|(in_a_row, message)| {
                Shown::line(&format!("{in_a_row} failures in a row: {message}"))
            }),
            pending: Count(pending),
        }
    }
}
