//! `/jobs`: changes of many deliveries, and how far they are.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use jiff::Timestamp;
use reflexarc_service::operate::JobStatus;
use reflexarc_service::store::{AuditEntry, AuditFilter};

use crate::error::PageError;
use crate::page::{Page, Screen, html};
use crate::parts;
use crate::session::Session;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    page: Page,
    job: JobView,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    page: Page,
    jobs: Vec<JobView>,
    now: Timestamp,
}

/// A job as it is shown.
pub(crate) struct JobView {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) by: String,
    pub(crate) started: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Unknown of a job of an earlier process.
    pub(crate) total: Option<u64>,
    pub(crate) message: String,
}

impl JobView {
    /// What it does with what.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.name, self.subject)
    }

    /// How far it is, in hundredths.
    pub(crate) fn percent(&self) -> u64 {
        let Some(total) = self.total else {
            return 100;
        };
        match total {
            0 => 100,
            total => ((self.done + self.failed) * 100 / total).min(100),
        }
    }
}

impl From<JobStatus> for JobView {
    fn from(job: JobStatus) -> Self {
        Self {
            id: job.id,
            name: words(job.operation),
            subject: job.subject,
            by: job.by,
            started: job.started,
            finished: job.finished,
            done: job.done,
            failed: job.failed,
            total: Some(job.total),
            message: job.message.unwrap_or_default(),
        }
    }
}

impl From<AuditEntry> for JobView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.unsigned_abs(),
            name: words(&entry.operation),
            subject: entry.subject,
            by: entry.by,
            started: entry.at,
            finished: entry.finished.or(Some(entry.at)),
            done: entry.count,
            failed: 0,
            total: None,
            message: entry.message,
        }
    }
}

/// The jobs since the start of the service.
pub(crate) async fn list(session: Session) -> Result<Response, PageError> {
    let handle = session.handle();
    html(&JobsPage {
        jobs: handle.jobs().into_iter().map(JobView::from).collect(),
        now: handle.now(),
        page: session
            .page(Screen::Now, "Background work")
            .command("reflexarc audit"),
    })
}

/// One job; of an earlier process, what was recorded of it.
pub(crate) async fn show(session: Session, Path(id): Path<String>) -> Result<Response, PageError> {
    let unknown = || PageError::not_found("There is no background work with this number.");
    let id: u64 = id.parse().map_err(|_| unknown())?;
    let handle = session.handle();
    let running = handle.jobs().into_iter().find(|job| job.id == id);
    let job = if let Some(job) = running {
        JobView::from(job)
    } else {
        let number = i64::try_from(id).map_err(|_| unknown())?;
        let found = handle.query(move |store| {
            let before = number.checked_add(1);
            store.audit_page(&AuditFilter::default(), before, 1)
        });
        let entry = found
            .await?
            .pop()
            .filter(|entry| entry.id == number && entry.operation.ends_with("_matching"));
        JobView::from(entry.ok_or_else(unknown)?)
    };
    html(&JobPage {
        page: session
            .page(Screen::Now, job.title())
            .command("reflexarc audit"),
        job,
    })
}

/// The name of an operation for people.
pub(crate) fn words(name: &str) -> String {
    let mut text = name.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_is_bounded() {
        let job = |done, failed, total| JobView {
            id: 1,
            name: words("redrive_matching"),
            subject: "all".to_owned(),
            by: "ops".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            finished: None,
            done,
            failed,
            total,
            message: String::new(),
        };
        assert_eq!(job(0, 0, Some(0)).percent(), 100);
        assert_eq!(job(1, 1, Some(4)).percent(), 50);
        assert_eq!(job(9, 0, Some(4)).percent(), 100);
        assert_eq!(job(9, 0, None).percent(), 100);
        assert_eq!(job(0, 0, None).title(), "Redrive matching: all");
    }
}
