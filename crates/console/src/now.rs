//! `/`: what needs attention now.

use askama::Template;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_service::NodeOverview;
use reflexarc_service::operate::{OpenProblem, PendingFilter, soonest_page};
use reflexarc_service::store::{
    EntryPage, EventFilter, Incident, IncidentFilter, MatchCount, PageLimits, Silence, Store,
    StoreError,
};

use crate::error::PageError;
use crate::incidents::key as incident_key;
use crate::inline;
use crate::jobs::{JobView, words};
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{self, Badge, Tone};
use crate::session::Session;
use crate::targets::{TargetRow, dead_letters};

/// Problems, open incidents and silences that are listed.
const LISTED: usize = 5;
/// Problems that are listed or folded below those.
const MAX_PROBLEMS: usize = 50;
/// Background work is listed so long after it has ended; `/jobs` has all of it.
const ENDED_WORK: SignedDuration = SignedDuration::from_hours(1);
/// Pending matches that are listed.
const SOONEST: PageLimits = PageLimits {
    rows: 5,
    bytes: 1 << 20,
};
/// Entries of the archive that are listed.
const RECENT: PageLimits = PageLimits {
    rows: 10,
    bytes: 256 << 10,
};

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage {
    page: Page,
    now: Timestamp,
    problems: Vec<OpenProblem>,
    /// Those below the first ones, folded.
    other_problems: Vec<OpenProblem>,
    more_problems: usize,
    incidents: Vec<Incident>,
    more_incidents: bool,
    /// Those that are not as they should be, or have dead letters.
    targets: Vec<TargetRow>,
    healthy_targets: usize,
    gone: Vec<(String, u64)>,
    pending: Vec<MatchCount>,
    soonest: Vec<Soonest>,
    /// How many of the next ones cannot be read.
    damaged_matches: usize,
    next_deadline: Option<Timestamp>,
    silences: Vec<Silence>,
    more_silences: bool,
    jobs: Vec<JobView>,
    recent: EntryPage,
    nodes: Vec<NodeOverview>,
}

/// What the page reads of the store.
struct Found {
    incidents: Vec<Incident>,
    pending: Vec<MatchCount>,
    soonest: Vec<Soonest>,
    damaged_matches: usize,
    next_deadline: Option<Timestamp>,
    silences: Vec<Silence>,
    recent: EntryPage,
}

/// A pending match that is due next.
struct Soonest {
    rule: String,
    key: String,
    due: Timestamp,
}

/// The page.
pub(crate) async fn show(session: Session) -> Result<Response, PageError> {
    let handle = session.handle();
    let now = handle.now();
    let rules = handle.rules();
    let found = handle.query(move |store| read(store, &rules, now)).await?;
    let Found {
        mut incidents,
        pending,
        soonest,
        damaged_matches,
        next_deadline,
        mut silences,
        recent,
    } = found;
    let nodes = handle.nodes().await?;
    let (targets, gone) = TargetRow::all(&session).await?;
    let count = targets.len();
    let needs_attention = |row: &TargetRow| !row.is_healthy() || row.dead > 0;
    let targets: Vec<_> = targets.into_iter().filter(needs_attention).collect();
    let mut problems = handle.problems();
    let more_problems = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    let other_problems = problems.split_off(problems.len().min(LISTED));
    let more_incidents = incidents.len() > LISTED;
    incidents.truncate(LISTED);
    let more_silences = silences.len() > LISTED;
    silences.truncate(LISTED);
    let jobs = handle.jobs().into_iter().map(JobView::from);
    let is_recent = |job: &JobView| match job.finished {
        None => true,
        Some(finished) => now.duration_since(finished) < ENDED_WORK,
    };
    let jobs = jobs.filter(is_recent);
    html(&NowPage {
        page: session.page(Screen::Now, "Now").command("reflexarc status"),
        now,
        problems,
        other_problems,
        more_problems,
        incidents,
        more_incidents,
        healthy_targets: count - targets.len(),
        targets,
        gone,
        pending,
        soonest,
        damaged_matches,
        next_deadline,
        silences,
        more_silences,
        jobs: jobs.take(LISTED).collect(),
        recent,
        nodes,
    })
}

fn read(
    store: &dyn Store,
    rules: &reflexarc::RuleSet,
    now: Timestamp,
) -> Result<Found, StoreError> {
    let open = IncidentFilter {
        open: true,
        ..IncidentFilter::default()
    };
    let counts = store.match_counts()?.into_iter();
    let silences = store.silences(false, now, LISTED + 1)?.into_iter();
    let (soonest, damaged_matches) = soonest(store, rules, now)?;
    Ok(Found {
        incidents: store.incidents(&open, None, LISTED + 1)?,
        pending: counts.filter(|count| count.pending > 0).collect(),
        soonest,
        damaged_matches,
        next_deadline: store.next_deadline()?,
        silences: silences.collect(),
        recent: store.entry_page(&EventFilter::default(), None, RECENT)?,
    })
}

/// The pending matches that are due next, and how many of those cannot be read.
fn soonest(
    store: &dyn Store,
    rules: &reflexarc::RuleSet,
    now: Timestamp,
) -> Result<(Vec<Soonest>, usize), StoreError> {
    let page = soonest_page(store, rules, &PendingFilter::default(), None, SOONEST, now)?;
    let text = |found: &Json, name: &str| found.get(name).and_then(Json::as_str).map(str::to_owned);
    // Those without a deadline, which are the last, are not due next.
    let found = page.matches.iter().filter_map(|found| {
        Some(Soonest {
            rule: text(found, "rule")?,
            key: match found.get("key")? {
                Json::String(key) => key.clone(),
                key => key.to_string(),
            },
            due: text(found, "due")?.parse().ok()?,
        })
    });
    Ok((found.collect(), page.damaged.len()))
}

/// Whether a node works.
fn node_state(node: &NodeOverview) -> Badge {
    let tone = match node.state {
        "live" => Tone::Good,
        "left" => Tone::Plain,
        _ => Tone::Bad,
    };
    Badge::new(node.state, tone)
}

/// As much of a hash as tells two of them apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Whether an operator can end the problem by accepting the clock.
fn is_of_clock(problem: &OpenProblem) -> bool {
    problem.problem == "clock_jump"
}

/// How bad a problem is.
fn severity(problem: &OpenProblem) -> Badge {
    let tone = match problem.severity {
        "critical" => Tone::Bad,
        _ => Tone::Warning,
    };
    Badge::new(problem.severity, tone)
}

/// The page that shows more about the subject of a problem.
fn subject_link(problem: &OpenProblem) -> Option<String> {
    let subject = problem.subject.as_str();
    if subject.is_empty() {
        return None;
    }
    match problem.problem {
        "dead_letters" | "retries_exhausted" | "unknown_target" => Some(dead_letters(subject)),
        "changes_stopped" | "queue_aging" | "target_failing" | "target_paused" | "flood" => {
            Some(links::target(subject))
        }
        "reaction_failed" | "rule_failing" | "over_budget" | "call_failed" | "rule_noted" => {
            Some(links::rule(subject))
        }
        "pending_filling" => Some(links::list("/pending", &[("rule", subject)])),
        _ => None,
    }
}

/// The page that confirms an operation on an incident.
fn confirm(page: &Page, operation: &str, id: i64) -> String {
    page.confirm(operation, &[("id", &id.to_string())])
}
