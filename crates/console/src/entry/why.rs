//! `/events/{seq}/why/{rule}`: why a rule matches an event or not.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use reflexarc::{RuleSet, WindowExplanation};
use reflexarc_event::{Event, Json, NativeEvent};

use super::{is_event, position, unknown};
use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::session::Session;
use crate::text::{Block, Shown, command_line};

#[derive(Template)]
#[template(path = "why.html")]
struct Why {
    page: Page,
    rule: Shown,
    rule_href: String,
    back: String,
    explanation: RuleExplanation,
}

/// Why a rule matches an event or not.
pub(crate) struct RuleExplanation {
    pub(crate) verdict: &'static str,
    pub(crate) is_disabled: bool,
    pub(crate) text: Block,
    /// What the rule waits for, and what the event is to that.
    pub(crate) window: Option<Block>,
    pub(crate) lookups: Vec<(Shown, Shown)>,
}

/// The page, of which htmx takes a part.
pub(crate) async fn show(
    session: Session,
    Path((seq, rule)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let seq = position(&seq)?;
    let rules = session.handle().rules();
    let found = session
        .handle()
        .query(move |store| store.entry(seq))
        .await?;
    let archived = match found.ok_or_else(unknown)? {
        Ok(archived) if is_event(archived.entry) => archived,
        Ok(_) => return Err(PageError::not_found("This entry is not an event.")),
        Err(damaged) => return Err(PageError::conflict(damaged.to_string())),
    };
    let id = archived.name.id.clone();
    let explanation = {
        let rule = rule.clone();
        // On a thread that may block: an explanation compares the whole event.
        let explain =
            move |_: &dyn reflexarc_service::Store| Ok(explain(&rules, archived.event, &rule));
        session.handle().query(explain).await?
    };
    let explanation = explanation.ok_or_else(no_rule)?;
    let command = command_line("reflexarc trace", &[&id]);
    let command = format!("{command} {}", command_line("--explain", &[&rule]));
    html(&Why {
        page: session
            .page(
                Screen::Events,
                format!("Why rule {} {}", Shown::line(&rule), explanation.verdict),
            )
            .command(command),
        rule_href: links::rule(&rule),
        rule: Shown::line(&rule),
        back: links::entry(seq),
        explanation,
    })
}

/// The id of the element that shows why.
pub(super) fn element_id(rule: &str) -> String {
    // Ids have no white space, and each rule has one of its own.
    format!("why-{}", hex::encode(rule))
}

/// `None` if no rule has this name, or the event cannot be converted.
pub(super) fn explain(rules: &RuleSet, event: Event, rule: &str) -> Option<RuleExplanation> {
    let native = NativeEvent::new(event).ok()?;
    explain_native(rules, &native, rule)
}

/// As [`explain`].
pub(crate) fn explain_native(
    rules: &RuleSet,
    native: &NativeEvent,
    rule: &str,
) -> Option<RuleExplanation> {
    let explanation = rules.explain(native, rule)?;
    let lookups = rules.explain_lookups(native, rule);
    Some(RuleExplanation {
        verdict: match (explanation.undecided(), explanation.matched()) {
            (true, _) => "is undecided",
            (false, true) => "matches",
            (false, false) => "does not match",
        },
        is_disabled: rules.get(rule).is_some_and(|rule| !rule.enabled()),
        text: Block::new(&explanation.render(true)),
        window: rules
            .explain_window(native, rule)
            .map(|window| window_text(&window)),
        lookups: lookups
            .into_iter()
            .map(|lookup| {
                let name = format!("lookup.{}", lookup.name);
                (Shown::line(&name), Shown::line(&value(&lookup.row)))
            })
            .collect(),
    })
}

fn window_text(window: &WindowExplanation) -> Block {
    let mut text = format!("{}\n", window.description);
    if window.key.as_ref().ok().and_then(Json::as_str) != Some("") {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "key: {}", value(&window.key));
    }
    if let Some(distinct) = &window.distinct {
        let _ = writeln!(text, "counted value: {}", value(distinct));
    }
    for filter in &window.filters {
        let verdict = if filter.explanation.matched() {
            "matches"
        } else {
            "does not match"
        };
        let _ = writeln!(text, "\n{} {verdict}", filter.name);
        let _ = writeln!(text, "{}", filter.explanation.render(true));
        if let Some(key) = &filter.key {
            let _ = writeln!(text, "its key: {}", value(key));
        }
    }
    Block::new(text.trim_end())
}

fn value(found: &Result<Json, String>) -> String {
    match found {
        Ok(value) => value.to_string(),
        Err(reason) => format!("none, {reason}"),
    }
}

fn no_rule() -> PageError {
    PageError::not_found("No rule in effect has this name.")
}
