//! `/rules/{name}`: one rule, its tests, and what another text of it would match.

mod tests_page;
mod what_if;

use askama::Template;
use axum::extract::Path;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use reflexarc::Rule;
use reflexarc_service::operate::WhatIfLimits;

pub(crate) use self::tests_page::show as show_tests;
pub(crate) use self::what_if::compare as show_what_if;
use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::Count;
use crate::rules::{RuleRow, pending_counts};
use crate::session::Session;
use crate::text::{Block, Shown, command_line};

/// Targets of a rule that a page names.
const MAX_TARGETS: usize = 50;

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    page: Page,
    row: RuleRow,
    labels: Vec<Shown>,
    window: Shown,
    targets: Vec<(Shown, String)>,
    text: Block,
    /// The text for the form that compares.
    edited: String,
    raw: String,
    tests: String,
    what_if: String,
    events: String,
    dead_letters: String,
    pending: String,
    name: String,
    max_events: Count,
}

/// The page.
pub(crate) async fn show(
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let rules = session.handle().rules();
    let activity = session.handle().rule_activity(&rules);
    let mut activity = rules.rules().zip(activity);
    let Some((rule, activity)) = activity.find(|(rule, _)| rule.name() == name) else {
        return Err(unknown());
    };
    let pending = pending_counts(&session).await?;
    let pending = pending.get(&name).copied().unwrap_or(0);
    let command = command_line("reflexarc test", &[rule.file()]);
    let list = |path| links::list(path, &[("rule", &name)]);
    html(&RulePage {
        page: session
            .page(Screen::Rules, format!("Rule {}", Shown::line(&name)))
            .command(command),
        row: RuleRow::of(rule, &activity, pending),
        labels: labels(rule),
        window: Shown::line(&rule.window_description().unwrap_or_default()),
        targets: rule
            .targets()
            .iter()
            .take(MAX_TARGETS)
            .map(|(target, _)| (Shown::line(target), links::target(target)))
            .collect(),
        text: Block::new(rule.text()),
        edited: rule.text().to_owned(),
        raw: format!("{}/raw", links::rule(&name)),
        tests: format!("{}/tests", links::rule(&name)),
        what_if: format!("{}/what-if", links::rule(&name)),
        events: list("/events"),
        dead_letters: list("/dead-letters"),
        pending: list("/pending"),
        max_events: Count(WhatIfLimits::LIMITS.events as u64),
        name,
    })
}

/// The rule file as text.
pub(crate) async fn raw(session: Session, Path(name): Path<String>) -> Result<Response, PageError> {
    let rules = session.handle().rules();
    let rule = rules.get(&name).ok_or_else(unknown)?;
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"rule.toml\""),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, rule.text().to_owned()).into_response())
}

fn labels(rule: &Rule) -> Vec<Shown> {
    let labels = rule.labels().iter();
    labels
        .map(|(name, value)| Shown::line(&format!("{name}={value}")))
        .collect()
}

fn unknown() -> PageError {
    PageError::not_found("No rule in effect has this name.")
}
