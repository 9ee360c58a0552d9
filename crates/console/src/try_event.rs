//! `/try`: what the rules would do with an event.

use askama::Template;
use axum::response::Response;
use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_service::operate::{TriedEvent, TryLimits, try_event};

use crate::effects::Effects;
use crate::entry::{RuleExplanation, explain_native};
use crate::error::PageError;
use crate::fields::Fields;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Count, When};
use crate::session::{ReaderForm, Session};
use crate::text::{Block, Shown};

#[derive(Template)]
#[template(path = "try_event.html")]
struct TryPage {
    page: Page,
    /// The text as it was entered.
    event: String,
    /// The rule that is explained.
    rule: String,
    rule_href: String,
    error: Option<Block>,
    events: Vec<Tried>,
    left_out: Count,
    has_run: bool,
}

/// One event with what the rules would do.
struct Tried {
    number: usize,
    title: Shown,
    at: When,
    is_assumed: bool,
    effects: Effects,
    explanation: Option<RuleExplanation>,
}

/// The form.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let rule = fields.or_empty("rule");
    html(&TryPage {
        page: page(&session),
        event: String::new(),
        rule_href: links::rule(&rule),
        rule,
        error: None,
        events: Vec::new(),
        left_out: Count(0),
        has_run: false,
    })
}

/// The form with the result. It changes nothing.
pub(crate) async fn run(form: ReaderForm) -> Result<Response, PageError> {
    let ReaderForm { session, fields } = form;
    let event = fields.text("event").to_owned();
    let rule = fields.or_empty("rule");
    let rules = session.handle().rules();
    let (text, explained) = (event.clone(), rule.clone());
    let tried = session.handle().query_large(move |_| {
        let tried = try_event(&rules, &text, &TryLimits::LIMITS);
        Ok(tried.map(|tried| {
            let events = tried.events.iter().zip(1..);
            let events = events.map(|(event, number)| Tried::of(&rules, event, number, &explained));
            (events.collect::<Vec<_>>(), tried.left_out)
        }))
    });
    let (events, left_out, error) = match tried.await? {
        Ok((events, left_out)) => (events, left_out, None),
        Err(message) => (Vec::new(), 0, Some(Block::new(&message))),
    };
    html(&TryPage {
        page: page(&session),
        event,
        rule_href: links::rule(&rule),
        rule,
        error,
        events,
        left_out: Count(left_out as u64),
        has_run: true,
    })
}

fn page(session: &Session) -> Page {
    let page = session.page(Screen::Rules, "Try an event");
    page.command("reflexarc run rules event.json")
}

impl Tried {
    fn of(rules: &RuleSet, tried: &TriedEvent, number: usize, rule: &str) -> Self {
        let tree = tried.event.tree();
        let name = ["name", "type", "id"].into_iter();
        let name = name.filter_map(|key| tree.get(key)).find_map(Json::as_str);
        Self {
            number,
            title: Shown::line(name.unwrap_or("event without a name")),
            at: When(tried.at),
            is_assumed: tried.is_assumed,
            effects: Effects::of(&tried.to_json()),
            explanation: explain_native(rules, &tried.event, rule),
        }
    }
}
