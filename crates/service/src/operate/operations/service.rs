//! Reloading, accepting the clock, and removing the state of rules that are gone.

use std::sync::Arc;

use reflexarc::FileDiagnostics;
use reflexarc_event::Json;

use super::{OperationError, OperationErrorKind, Performed, Result, query};
use crate::http::AppState;
use crate::operate::check_clock;
use crate::reload::RefusedReload;
use crate::store::StoreError;
use crate::telemetry::ProblemKind;

pub(super) async fn forget(state: &Arc<AppState>, by: &str, name: String) -> Result {
    check_is_gone(state, &name)?;
    let rule = name.clone();
    let entries = query(state, move |store| store.forget_rule(&rule)).await?;
    if entries == 0 {
        let message = "no rule with this name has state";
        return Err(OperationError::not_found(message));
    }
    tracing::info!(
        rule = name,
        who = by,
        entries,
        "an operator removed the state of a rule"
    );
    // If deliveries of the rule are pending, the next check lists it again.
    let problems = &state.metrics.problems;
    problems.end(ProblemKind::RuleGone, &name);
    let body = Json::object([("entries", Json::count(entries))]);
    let summary = format!("removed the state of rule {name}: {entries} entries");
    Ok(Performed::new(summary, entries, body))
}

/// The state of a rule that runs is what it has counted and sent.
pub(in crate::operate) fn check_is_gone(state: &AppState, rule: &str) -> Result<()> {
    if state.intake.rules().load().get(rule).is_some() {
        let message = "the rule exists; remove its file and reload first";
        return Err(OperationError::conflict(message));
    }
    Ok(())
}

pub(super) async fn reload(state: &Arc<AppState>, by: &str, force: bool) -> Result {
    if force {
        tracing::info!(who = by, "an operator forces a reload");
    }
    let reloader = state.reloader.clone();
    // Reading and compiling rules takes long enough to hold up other requests.
    let reloaded = tokio::task::spawn_blocking(move || reloader.reload(force)).await;
    match reloaded.map_err(|error| StoreError::Failed(error.to_string()))? {
        Ok(reloaded) => {
            let mut body = Json::object([
                ("rules", Json::count(reloaded.rules)),
                ("targets", Json::count(reloaded.targets)),
                ("restart", Json::strings(&reloaded.restart)),
            ]);
            if let Json::Object(members) = &mut body {
                if !reloaded.removed.is_empty() {
                    members.push(("removed".to_owned(), Json::strings(&reloaded.removed)));
                }
                if reloaded.closed > 0 {
                    members.push(("closed".to_owned(), Json::count(reloaded.closed)));
                }
            }
            let (rules, targets) = (reloaded.rules, reloaded.targets);
            let summary = format!("reloaded: {rules} rules, {targets} targets");
            Ok(Performed::new(summary, rules, body))
        }
        Err(RefusedReload { errors, refusal }) => {
            let message = "invalid rules or configuration; the previous ones stay in effect";
            let files = Json::Array(errors.files().iter().map(file_json).collect());
            let error = OperationError::new(OperationErrorKind::Rejected, message);
            Err(error
                .with_member("files", files)
                .with_member("refused", Json::strings(refusal.refused()))
                .with_member("taken", Json::strings(refusal.taken()))
                .with_member("confirm", Json::optional(refusal.confirm())))
        }
    }
}

pub(super) async fn accept_clock(state: &Arc<AppState>, by: &str) -> Result {
    let accepted = state.clock.confirm();
    state.timeline.adopt_clock().await?;
    check_clock(&state.clock, &state.metrics);
    let offset = accepted.map_or(0, |jump| jump.offset.as_secs());
    tracing::info!(who = by, offset, "an operator accepts the clock");
    let body = Json::object([("offset", Json::from(offset))]);
    let summary = if offset == 0 {
        "no jump of the clock was suspected".to_owned()
    } else {
        format!("accepted the clock, which had jumped by {offset} s")
    };
    Ok(Performed::new(summary, u64::from(offset != 0), body))
}

fn file_json(file: &FileDiagnostics) -> Json {
    let rendered = file
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(&file.name, &file.text, false));
    Json::object([
        ("file", file.name.as_str().into()),
        (
            "diagnostics",
            Json::Array(rendered.map(Json::from).collect()),
        ),
    ])
}
