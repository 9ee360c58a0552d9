//! Adding and ending silences.

use std::sync::Arc;

use jiff::Timestamp;
use reflexarc_event::Json;

use super::{OperationError, Performed, Result, query};
use crate::http::AppState;
use crate::operate::operation::{SilenceRequest, SilenceSpan};
use crate::operate::{
    SilenceLimits, SilencePreview, check_silence, preview_silence, silence_to_json,
};
use crate::store::{NewSilence, SilenceEnd, Store};

pub(super) async fn add(state: &Arc<AppState>, by: &str, request: SilenceRequest) -> Result {
    let now = state.clock.now();
    let confirm = request.confirm;
    let silence = request.into_silence(by, now);
    let limits = SilenceLimits::DEFAULT;
    check_silence(&silence, now, &limits).map_err(OperationError::invalid)?;
    let preview = preview(state, silence.pattern.clone()).await?;
    if preview.is_empty() && !confirm {
        let message = "the pattern matches no delivery now; add `\"confirm\": true` if that is \
                       intended";
        let error = OperationError::conflict(message);
        return Err(error.with_member("preview", preview.to_json()));
    }
    let most = limits.active;
    let added = query(state, move |store| store.add_silence(silence, most, now)).await?;
    let Some(added) = added else {
        let message = format!("there are {most} silences already; end one that is not needed");
        return Err(OperationError::conflict(message));
    };
    tracing::info!(
        silence = added.id,
        who = by,
        owner = added.settings.owner,
        reason = added.settings.reason,
        until = %added.settings.until,
        "an operator added a silence"
    );
    state.withholding_changed.notify_one();
    let summary = format!("added silence {} until {}", added.id, added.settings.until);
    let mut answer = silence_to_json(&added, now);
    if let Json::Object(members) = &mut answer {
        members.push(("preview".to_owned(), preview.to_json()));
    }
    Ok(Performed::new(summary, 1, answer))
}

pub(super) async fn end(state: &Arc<AppState>, by: &str, id: i64, drops: bool) -> Result {
    let now = state.clock.now();
    let end = SilenceEnd {
        at: now,
        by: by.to_owned(),
        drops,
    };
    let ended = query(state, move |store: &dyn Store| {
        let ended = store.end_silence(id, end)?;
        let is_known = ended.is_some() || store.silence(id)?.is_some();
        Ok((ended, is_known))
    })
    .await?;
    let ended = match ended {
        (Some(ended), _) => ended,
        (None, false) => return Err(unknown()),
        (None, true) => return Err(is_over()),
    };
    tracing::info!(silence = id, who = by, drops, "an operator ended a silence");
    state.withholding_changed.notify_one();
    let what = if drops { "dropped" } else { "released" };
    let summary = format!("ended silence {id}: {} withheld, {what} now", ended.open);
    Ok(Performed::new(summary, 1, silence_to_json(&ended, now)))
}

/// What a pattern matches now.
pub(crate) async fn preview(state: &Arc<AppState>, pattern: String) -> Result<SilencePreview> {
    // As many at one time as can run, because each reads thousands of deliveries.
    let turn = state.large_work.acquire().await;
    let (rules, now) = (state.intake.rules().load_full(), state.clock.now());
    let preview = query(state, move |store| {
        preview_silence(store, &rules, &pattern, now, &SilenceLimits::DEFAULT)
    })
    .await?;
    drop(turn);
    preview.map_err(OperationError::invalid)
}

pub(in crate::operate) fn unknown() -> OperationError {
    OperationError::not_found("no silence has this number")
}

pub(in crate::operate) fn is_over() -> OperationError {
    OperationError::conflict("the silence is over already")
}

impl SilenceRequest {
    /// The silence that `by` adds now.
    pub(in crate::operate) fn into_silence(self, by: &str, now: Timestamp) -> NewSilence {
        let from = self.from.unwrap_or(now);
        let until = match self.end {
            SilenceSpan::Until(until) => until,
            SilenceSpan::For(lasts) => from.saturating_add(lasts).unwrap_or(Timestamp::MAX),
        };
        NewSilence {
            pattern: self.pattern,
            from,
            until,
            owner: self.owner.unwrap_or_else(|| by.to_owned()),
            reason: self.reason,
            drops: self.drops,
        }
    }
}
