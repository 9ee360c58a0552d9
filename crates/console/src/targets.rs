//! `/targets`: where deliveries go, whether they arrive, and what waits.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_delivery::BreakerState;
use reflexarc_service::operate::TargetOverview;
use reflexarc_service::store::{
    Attempt, DeliveryFilter, DeliveryRecord, DeliveryStatus, PageLimits, QueueDepth, Store,
    StoreError, TargetPause,
};

use crate::error::PageError;
use crate::links;
use crate::page::{Page, Screen, html};
use crate::parts::{self, Badge, Tone, length_text};
use crate::session::Session;

/// Deliveries of each status on the page of a target.
const NEWEST: PageLimits = PageLimits {
    rows: 10,
    bytes: 1 << 20,
};

#[derive(Template)]
#[template(path = "targets.html")]
struct TargetsPage {
    page: Page,
    targets: Vec<TargetRow>,
    /// Targets of dead letters that are not configured any more.
    gone: Vec<(String, u64)>,
    now: Timestamp,
}

#[derive(Template)]
#[template(path = "target.html")]
struct TargetPage {
    page: Page,
    row: TargetRow,
    pause: Option<TargetPause>,
    /// Each with its title.
    lists: Vec<(&'static str, Vec<DeliveryRow>)>,
    now: Timestamp,
}

/// A target with what waits for it.
pub(crate) struct TargetRow {
    pub(crate) target: TargetOverview,
    pub(crate) waiting: u64,
    pub(crate) delayed: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) dead: u64,
}

/// A delivery with its last attempt.
struct DeliveryRow {
    record: DeliveryRecord,
    last: Option<Attempt>,
}

impl TargetRow {
    /// All targets, with the numbers of the store.
    pub(crate) async fn all(
        session: &Session,
    ) -> Result<(Vec<Self>, Vec<(String, u64)>), PageError> {
        let handle = session.handle();
        let now = handle.now();
        let read =
            handle.query(move |store| Ok((store.queue_depths(now)?, store.dead_letter_counts()?)));
        let (depths, mut dead) = read.await?;
        let rows = handle.targets().into_iter().map(|target| {
            let letters = dead.iter().position(|(name, _)| *name == target.name);
            let letters = letters.map_or(0, |index| dead.swap_remove(index).1);
            Self::new(target, &depths, letters)
        });
        let rows = rows.collect();
        dead.sort();
        Ok((rows, dead))
    }

    fn new(target: TargetOverview, depths: &[QueueDepth], dead: u64) -> Self {
        let depth = depths.iter().find(|depth| depth.target == target.name);
        Self {
            waiting: depth.map_or(0, |depth| depth.waiting),
            delayed: depth.map_or(0, |depth| depth.delayed),
            oldest: depth.and_then(|depth| depth.oldest),
            dead,
            target,
        }
    }

    /// Whether nothing is wrong with it.
    pub(crate) fn is_healthy(&self) -> bool {
        self.target.state == BreakerState::Closed
            && self.target.changes_stopped.is_none()
            && self.target.flooding.is_empty()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.target.state == BreakerState::Paused
    }

    /// Whether resuming it changes anything.
    pub(crate) fn is_stopped(&self) -> bool {
        self.target.state != BreakerState::Closed || self.target.changes_stopped.is_some()
    }

    pub(crate) fn badge(&self) -> Badge {
        match self.target.state {
            BreakerState::Closed if self.target.changes_stopped.is_some() => {
                Badge::new("changes stopped", Tone::Bad)
            }
            BreakerState::Closed if !self.target.flooding.is_empty() => {
                Badge::new("flooded", Tone::Warning)
            }
            BreakerState::Closed => Badge::new("ok", Tone::Good),
            BreakerState::Paused => Badge::new("paused", Tone::Warning),
            BreakerState::Open => Badge::new("failing", Tone::Bad),
            BreakerState::HalfOpen => Badge::new("tries again", Tone::Bad),
            _ => Badge::new(self.target.state.as_str(), Tone::Warning),
        }
    }

    /// Why it is not as it should be.
    pub(crate) fn reason(&self) -> String {
        let target = &self.target;
        let mut parts = Vec::new();
        if let Some(by) = &target.paused_by {
            parts.push(format!("paused by {by}"));
        }
        parts.extend(target.reason.clone());
        parts.extend(target.changes_stopped.clone());
        if !target.flooding.is_empty() {
            let rules = target.flooding.join(", ");
            parts.push(format!("merges the firings of {rules}"));
        }
        parts.join("; ")
    }

    /// How many calls it gets at most.
    pub(crate) fn pace(&self) -> String {
        match self.target.pace {
            Some((calls, per)) => format!("{calls} in {}", length_text(per)),
            None => format!("{} at a time", self.target.concurrency),
        }
    }

    pub(crate) fn link(&self) -> String {
        links::target(&self.target.name)
    }

    pub(crate) fn dead_link(&self) -> String {
        dead_letters(&self.target.name)
    }

    /// The deliveries that wait for it.
    pub(crate) fn outbox_link(&self) -> String {
        links::list("/outbox", &[("target", &self.target.name)])
    }

    /// The page that confirms an operation on it.
    pub(crate) fn confirm(&self, page: &Page, operation: &str) -> String {
        page.confirm(operation, &[("target", &self.target.name)])
    }
}

impl DeliveryRow {
    fn link(&self) -> String {
        links::delivery(&self.record.delivery.id.to_string())
    }

    fn event_link(&self) -> String {
        links::entry(self.record.seq)
    }
}

/// The dead letters to a target.
pub(crate) fn dead_letters(target: &str) -> String {
    links::list("/dead-letters", &[("target", target)])
}

/// All targets.
pub(crate) async fn list(session: Session) -> Result<Response, PageError> {
    let (targets, gone) = TargetRow::all(&session).await?;
    html(&TargetsPage {
        now: session.handle().now(),
        page: session
            .page(Screen::Targets, "Targets")
            .command("reflexarc target list"),
        targets,
        gone,
    })
}

/// One target.
pub(crate) async fn show(
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let handle = session.handle();
    let Some(target) = handle.target(&name) else {
        let message = format!("The configuration has no target `{name}`.");
        return Err(PageError::not_found(message));
    };
    let now = handle.now();
    let of_target = name.clone();
    let read = handle.query(move |store| {
        let depths = store.queue_depths(now)?;
        let counts = store.dead_letter_counts()?;
        let letters = counts.iter().find(|(found, _)| *found == of_target);
        let letters = letters.map_or(0, |(_, count)| *count);
        let pauses = store.paused_targets()?.into_iter();
        let mut pauses = pauses.filter(|(found, _)| *found == of_target);
        let pause = pauses.next().map(|(_, pause)| pause);
        let dead = newest(store, DeliveryStatus::Dead, &of_target)?;
        let pending = newest(store, DeliveryStatus::Pending, &of_target)?;
        Ok((depths, letters, pause, dead, pending))
    });
    let (depths, letters, pause, dead, pending) = read.await?;
    html(&TargetPage {
        page: session
            .page(Screen::Targets, format!("Target {name}"))
            .command("reflexarc target list"),
        row: TargetRow::new(target, &depths, letters),
        pause,
        lists: vec![
            ("Newest deliveries that wait", pending),
            ("Newest dead letters", dead),
        ],
        now,
    })
}

/// The newest deliveries of a target with their last attempts.
fn newest(
    store: &dyn Store,
    status: DeliveryStatus,
    target: &str,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let filter = DeliveryFilter {
        target: Some(target.to_owned()),
        ..DeliveryFilter::of(status)
    };
    let page = store.filtered_page(&filter, true, None, NEWEST)?;
    let rows = page.deliveries.into_iter().map(|record| {
        let found = store.delivery(record.delivery.id)?;
        let last = found.and_then(|(_, attempts)| attempts.into_iter().last());
        Ok(DeliveryRow { record, last })
    });
    rows.collect()
}
