//! `/audit`: what operators have done.

use askama::Template;
use axum::response::Response;
use reflexarc_service::operate::Operation;
use reflexarc_service::store::{AuditEntry, AuditFilter, AuditOutcome};

use crate::error::PageError;
use crate::fields::Fields;
use crate::jobs::words;
use crate::page::{Page, Screen, html};
use crate::parts::{self, Badge, Pager, Tone};
use crate::session::Session;
use crate::text::command_with;
use crate::times::{EXPECTED, time_field};

/// Entries of a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Page,
    form: Form,
    entries: Vec<AuditEntry>,
    pager: Pager,
}

/// The filter as it was entered.
struct Form {
    by: String,
    operation: String,
    from: String,
    until: String,
}

impl Form {
    fn is_set(&self) -> bool {
        let fields = [&self.by, &self.operation, &self.from, &self.until];
        fields.iter().any(|field| !field.is_empty())
    }
}

/// The page.
pub(crate) async fn show(session: Session, fields: Fields) -> Result<Response, PageError> {
    let handle = session.handle();
    let now = handle.now();
    let filter = AuditFilter {
        by: fields.get("by").map(str::to_owned),
        operation: fields.get("operation").map(str::to_owned),
        from: time_field(&fields, "from", now)?,
        until: time_field(&fields, "until", now)?,
    };
    let before = fields.parsed("before", "the number of an entry")?;
    let selected = filter.clone();
    let found = handle.query(move |store| store.audit_page(&selected, before, PAGE + 1));
    let mut entries = found.await?;
    // One more than fits says whether there is another page.
    let has_more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let last = entries.last().filter(|_| has_more);
    let next = last.map(|last| last.id.to_string());
    html(&Audit {
        page: session
            .page(Screen::Audit, "Audit")
            .command(command(&filter)),
        form: Form {
            by: fields.or_empty("by"),
            operation: fields.or_empty("operation"),
            from: fields.or_empty("from"),
            until: fields.or_empty("until"),
        },
        entries,
        pager: Pager::new("/audit", &fields, "before", next),
    })
}

/// The command that prints the same.
fn command(filter: &AuditFilter) -> String {
    let times = [filter.from, filter.until].map(|at| at.map(|at| at.to_string()));
    let options = [
        ("by", filter.by.as_deref()),
        ("operation", filter.operation.as_deref()),
        ("from", times[0].as_deref()),
        ("until", times[1].as_deref()),
    ];
    command_with("reflexarc audit", &options)
}

fn badge(outcome: AuditOutcome) -> Badge {
    let tone = match outcome {
        AuditOutcome::Done => Tone::Good,
        AuditOutcome::Refused => Tone::Warning,
        AuditOutcome::Failed => Tone::Bad,
        _ => Tone::Plain,
    };
    Badge::new(outcome.as_str(), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_the_filter() {
        let filter = AuditFilter {
            by: Some("al'ice; rm".to_owned()),
            operation: Some("pause_target".to_owned()),
            from: Some(jiff::Timestamp::UNIX_EPOCH),
            until: None,
        };
        let expected = "reflexarc audit --by 'al'\\''ice; rm' --operation pause_target \
                        --from 1970-01-01T00:00:00Z";
        assert_eq!(command(&filter), expected);
    }
}
