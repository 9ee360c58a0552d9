//! `/rules/{name}/what-if`: an edited rule against the last events of the archive.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use reflexarc_service::operate::{
    Changed, ChangedEvent, Outcome, ReactionChanges, ReactionEffect, ReactionExample, WhatIf,
    WhatIfLimits, WhatIfStop, what_if,
};

use super::unknown;
use crate::effects::ActionView;
use crate::error::PageError;
use crate::inline;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{Count, When};
use crate::session::ReaderForm;
use crate::text::{Block, Shown};

#[derive(Template)]
#[template(path = "what_if.html")]
struct WhatIfPage {
    page: Page,
    rule: Shown,
    back: String,
    action: String,
    edited: String,
    last: usize,
    max_events: Count,
    max_reactions: Count,
    max_seconds: u64,
    error: Option<Block>,
    result: Option<Comparison>,
}

/// A comparison for the page.
struct Comparison {
    compared: Count,
    since: Option<When>,
    before: Count,
    after: Count,
    newly: Change,
    no_longer: Change,
    undecided: Count,
    damaged: Count,
    stopped: Option<&'static str>,
    is_disabled: bool,
    has_window: bool,
    reactions: Option<Reactions>,
}

struct Change {
    count: Count,
    listed: Vec<Event>,
    left_out: Count,
}

struct Event {
    href: String,
    id: Shown,
    source: Shown,
    name: Shown,
    received: When,
    seq: i64,
}

/// What the reactions do.
struct Reactions {
    compared: Count,
    left_out: Count,
    changed: Count,
    examples: Vec<Example>,
    newly: Vec<Example>,
}

/// What both versions do with an event.
struct Example {
    event: Event,
    before: Did,
    after: Did,
}

/// The effects of a reaction.
struct Did {
    effects: Vec<Effect>,
    left_out: usize,
}

enum Effect {
    Action(ActionView),
    Emit(Block),
    Cancel(Shown),
    Failure(Block),
    Other,
}

/// Compares. It changes nothing; it is a form that is posted because a rule is too long for an
/// address.
pub(crate) async fn compare(
    Path(name): Path<String>,
    form: ReaderForm,
) -> Result<Response, PageError> {
    let ReaderForm { session, fields } = form;
    let rules = session.handle().rules();
    if rules.get(&name).is_none() {
        return Err(unknown());
    }
    let limits = WhatIfLimits::LIMITS;
    let last = fields.parsed::<usize>("last", "a number of events")?;
    let last = last.unwrap_or(1_000).clamp(1, limits.events);
    // Browsers send CR LF.
    let edited = fields.text("text").replace("\r\n", "\n");
    let (rule, text) = (name.clone(), edited.clone());
    let found = session
        .handle()
        .query_large(move |store| what_if(store, &rules, (&rule, &text), last, &limits));
    let (result, error) = match found.await? {
        Ok(found) => (Some(Comparison::of(&found)), None),
        Err(message) => (None, Some(Block::new(&message))),
    };
    html(&WhatIfPage {
        page: session.page(
            Screen::Rules,
            format!("What if rule {} was another", Shown::line(&name)),
        ),
        rule: Shown::line(&name),
        back: links::rule(&name),
        action: format!("{}/what-if", links::rule(&name)),
        edited,
        last,
        max_events: Count(limits.events as u64),
        max_reactions: Count(limits.reactions as u64),
        max_seconds: limits.reaction_time.as_secs(),
        error,
        result,
    })
}

impl Comparison {
    fn of(found: &WhatIf) -> Self {
        Self {
            compared: Count(found.compared),
            since: found.since.map(When),
            before: Count(found.before),
            after: Count(found.after),
            newly: Change::of(&found.newly),
            no_longer: Change::of(&found.no_longer),
            undecided: Count(found.undecided),
            damaged: Count(found.damaged),
            stopped: found.stopped.map(|stop| match stop {
                WhatIfStop::EndOfArchive => "The archive has no more events.",
                WhatIfStop::Bytes => "The comparison ended at the limit of 64 MiB.",
                WhatIfStop::Time => "The comparison ended at the limit of 5 seconds.",
                _ => "The comparison ended early.",
            }),
            is_disabled: found.is_disabled,
            has_window: found.has_window,
            reactions: found.reactions.as_ref().map(Reactions::of),
        }
    }
}

impl Change {
    fn of(changed: &Changed) -> Self {
        Self {
            count: Count(changed.count),
            listed: changed.listed.iter().map(Event::of).collect(),
            left_out: Count(changed.count.saturating_sub(changed.listed.len() as u64)),
        }
    }
}

impl Event {
    fn of(event: &ChangedEvent) -> Self {
        Self {
            href: links::entry(event.seq),
            id: Shown::line(&event.name.id),
            source: Shown::line(&event.name.source),
            name: Shown::line(&event.kind),
            received: When(event.received),
            seq: event.seq,
        }
    }
}

impl Reactions {
    fn of(found: &ReactionChanges) -> Self {
        Self {
            compared: Count(found.compared),
            left_out: Count(found.left_out),
            changed: Count(found.changed),
            examples: found.examples.iter().map(Example::of).collect(),
            newly: found.newly.iter().map(Example::of).collect(),
        }
    }
}

impl Example {
    fn of(example: &ReactionExample) -> Self {
        Self {
            event: Event::of(&example.event),
            before: Did::of(&example.before),
            after: Did::of(&example.after),
        }
    }
}

impl Did {
    fn of(outcome: &Outcome) -> Self {
        Self {
            effects: outcome.effects.iter().map(Effect::of).collect(),
            left_out: outcome.left_out,
        }
    }
}

impl Effect {
    fn of(effect: &ReactionEffect) -> Self {
        match effect {
            ReactionEffect::Action(action) => Self::Action(ActionView::of(action)),
            ReactionEffect::Emit(event) => Self::Emit(Block::json(event)),
            ReactionEffect::Cancel(name) => Self::Cancel(Shown::line(name)),
            ReactionEffect::Failure(message) => Self::Failure(Block::new(message)),
            _ => Self::Other,
        }
    }
}
