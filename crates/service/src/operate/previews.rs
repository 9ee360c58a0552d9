//! What operations would do now, for people who are about to confirm them.

use std::sync::Arc;

use reflexarc_delivery::DeliveryId;

use super::jobs::JobLimits;
use super::operation::{Operation, SilenceRequest};
use super::operations::{
    OperationError, check_is_gone, check_target, counted, incident_is_unknown, left,
    matches_pattern, no_match, query, show_delivery, silence_is_over, silence_is_unknown,
};
use super::{SilenceLimits, check_silence, pending_match};
use crate::http::AppState;
use crate::store::{BulkChange, DeliveryFilter, DeliveryRecord, DeliveryStatus};

/// How many things an operation would change, and which, for people.
type Result<T = (u64, String)> = std::result::Result<T, OperationError>;

/// What an operation would do now.
pub(super) async fn preview(state: &Arc<AppState>, operation: &Operation) -> Result {
    match operation {
        Operation::Redrive { id } => preview_of_delivery(state, BulkChange::Redrive, *id).await,
        Operation::Drop { id } => preview_of_delivery(state, BulkChange::Drop, *id).await,
        Operation::Cancel { id } => preview_of_delivery(state, BulkChange::Cancel, *id).await,
        Operation::RedriveSelected { ids } => {
            preview_of_selected(state, BulkChange::Redrive, ids).await
        }
        Operation::DropSelected { ids } => preview_of_selected(state, BulkChange::Drop, ids).await,
        Operation::CancelSelected { ids } => {
            preview_of_selected(state, BulkChange::Cancel, ids).await
        }
        Operation::RedriveMatching { filter }
        | Operation::DropMatching { filter }
        | Operation::CancelMatching { filter } => {
            let selected = filter.clone();
            let most = JobLimits::LIMITS.counted;
            let count = query(state, move |store| store.count_deliveries(&selected, most)).await?;
            Ok((count, many(filter, count)))
        }
        Operation::PauseTarget { target, .. } | Operation::ResumeTarget { target } => {
            check_target(state, target)?;
            let text = waiting(state, target).await?;
            one(format!("target {target}: {text}"))
        }
        Operation::TestTarget { target } => {
            check_target(state, target)?;
            one(format!("1 test message to {target}"))
        }
        Operation::AddSilence(request) => preview_of_silence(state, request).await,
        Operation::EndSilence { id, drops } => {
            let id = *id;
            let found = query(state, move |store| store.silence(id)).await?;
            let found = found.ok_or_else(silence_is_unknown)?;
            let is_over = found.ended.is_some() || found.settings.until <= state.clock.now();
            if is_over {
                return Err(silence_is_over());
            }
            let count = separated(found.open);
            let what = if *drops { "dropped" } else { "sent" };
            one(format!(
                "silence {id}: {count} deliveries that it withholds are {what}"
            ))
        }
        Operation::AcknowledgeIncident { id, .. } | Operation::CloseIncident { id, .. } => {
            let id = *id;
            let found = query(state, move |store| store.incident(id)).await?;
            let found = found.ok_or_else(incident_is_unknown)?;
            let is_done = match operation {
                Operation::CloseIncident { .. } => found.ended.is_some(),
                _ => found.status() != "open",
            };
            if is_done {
                let message = format!("the incident is not open: it is {}", found.status());
                return Err(OperationError::conflict(message));
            }
            let (rule, key) = (found.rule, found.key);
            one(format!("incident {id} of rule {rule} at the key {key}"))
        }
        Operation::ClosePending { rule, key, .. } => {
            let (rules, now) = (state.intake.rules().load_full(), state.clock.now());
            let (of_rule, at_key) = (rule.clone(), key.clone());
            let found = query(state, move |store| {
                pending_match(store, &rules, (&of_rule, &at_key), now)
            });
            found.await?.ok_or_else(no_match)?;
            one(format!("the match of rule {rule} at the key {key}"))
        }
        Operation::ForgetState { rule } => {
            check_is_gone(state, rule)?;
            one(format!("the state of rule {rule}"))
        }
        Operation::Reload { .. } => one("rules and configuration".to_owned()),
        Operation::AcceptClock => match state.clock.suspected() {
            Some(jump) => one(jump.message()),
            None => Ok((0, "no jump of the clock is suspected".to_owned())),
        },
    }
}

/// So many deliveries of a filter, for people: `100,000 dead letters to network-team`.
pub(super) fn many(filter: &DeliveryFilter, count: u64) -> String {
    let (one, several) = match filter.status {
        DeliveryStatus::Dead => ("dead letter", "dead letters"),
        DeliveryStatus::Withheld => ("withheld delivery", "withheld deliveries"),
        _ => ("pending delivery", "pending deliveries"),
    };
    let least = if count >= JobLimits::LIMITS.counted {
        "at least "
    } else {
        ""
    };
    let noun = if count == 1 { one } else { several };
    let mut text = format!("{least}{} {noun}", separated(count));
    for (label, value) in [
        ("to", &filter.target),
        ("of rule", &filter.rule),
        ("of event", &filter.event),
        ("whose reason has", &filter.reason),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {label} {value}"));
        }
    }
    if let Some(since) = filter.since {
        text.push_str(&format!(" since {since}"));
    }
    text
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "each kind of operation returns one expression"
)]
fn one(text: String) -> Result {
    Ok((1, text))
}

async fn preview_of_delivery(state: &Arc<AppState>, change: BulkChange, id: DeliveryId) -> Result {
    let (record, _) = show_delivery(state, id).await?;
    let (status, delivery) = (record.status, &record.delivery);
    if !is_changed(change, &record) {
        let message = if status == DeliveryStatus::Dead && change == BulkChange::Redrive {
            "a call is not redriven: it may have been executed".to_owned()
        } else {
            format!("the delivery is {} now", status.as_str())
        };
        return Err(OperationError::conflict(message));
    }
    let noun = match status {
        DeliveryStatus::Dead => "dead letter",
        DeliveryStatus::Withheld => "withheld delivery",
        _ => "pending delivery",
    };
    let (target, rule) = (&delivery.target, &delivery.rule);
    let event = &delivery.event.id;
    one(format!(
        "1 {noun} to {target}, of rule {rule} and event {event}"
    ))
}

/// How many of these deliveries would be changed.
async fn preview_of_selected(
    state: &Arc<AppState>,
    change: BulkChange,
    ids: &[DeliveryId],
) -> Result {
    let ids = ids.to_vec();
    let found = query(state, move |store| {
        let (mut count, mut unchanged, mut missing) = (0, 0, 0);
        for id in ids {
            match store.delivery(id)? {
                None => missing += 1,
                Some((record, _)) if is_changed(change, &record) => count += 1,
                Some(_) => unchanged += 1,
            }
        }
        Ok((count, unchanged, missing))
    });
    let (count, unchanged, missing) = found.await?;
    let noun = match change {
        BulkChange::Cancel => "waiting delivery",
        _ => "dead letter",
    };
    let left = left(unchanged, missing);
    Ok((count, format!("{}{left}", counted(count, noun))))
}

/// Whether a change makes something else of a delivery.
fn is_changed(change: BulkChange, record: &DeliveryRecord) -> bool {
    let status = record.status;
    match change {
        // A call that has died may have been executed.
        BulkChange::Redrive => status == DeliveryStatus::Dead && !record.delivery.action.is_call(),
        BulkChange::Drop => status == DeliveryStatus::Dead,
        _ => matches!(status, DeliveryStatus::Pending | DeliveryStatus::Withheld),
    }
}

/// How many deliveries of a target wait.
async fn waiting(state: &Arc<AppState>, target: &str) -> Result<String> {
    let filter = DeliveryFilter {
        target: Some(target.to_owned()),
        ..DeliveryFilter::of(DeliveryStatus::Pending)
    };
    let most = JobLimits::LIMITS.counted;
    let count = query(state, move |store| store.count_deliveries(&filter, most)).await?;
    Ok(match count {
        1 => "1 delivery waits".to_owned(),
        count => format!("{} deliveries wait", separated(count)),
    })
}

async fn preview_of_silence(state: &Arc<AppState>, request: &SilenceRequest) -> Result {
    let now = state.clock.now();
    let silence = request.clone().into_silence("operator", now);
    let limits = SilenceLimits::DEFAULT;
    check_silence(&silence, now, &limits).map_err(OperationError::invalid)?;
    let found = matches_pattern(state, silence.pattern).await?;
    let count = found.pending + found.withheld;
    let [pending, withheld, recent] = [found.pending, found.withheld, found.recent].map(separated);
    let mut text = format!(
        "{pending} pending and {withheld} withheld deliveries now, and {recent} others of the last \
         24 hours"
    );
    if let Some((_, explanation)) = &found.nearest {
        text.push_str(&format!("; the nearest does not match:\n{explanation}"));
    }
    Ok((count, text))
}

/// A number with separators of thousands.
fn separated(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_name_number_and_selection() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(separated(number), text);
        }
        let mut filter = DeliveryFilter::of(DeliveryStatus::Dead);
        assert_eq!(many(&filter, 1), "1 dead letter");
        filter.target = Some("network-team".to_owned());
        assert_eq!(
            many(&filter, 100_000),
            "100,000 dead letters to network-team"
        );
        filter.rule = Some("lost".to_owned());
        let text = "at least 1,000,000 dead letters to network-team of rule lost";
        assert_eq!(many(&filter, 1_000_000), text);
        let filter = DeliveryFilter::of(DeliveryStatus::Pending);
        assert_eq!(many(&filter, 2), "2 pending deliveries");
    }
}
