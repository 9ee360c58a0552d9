//! What operators ask and order.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reflexarc_event::Json;
use reqwest::Url;

use super::{Door, Refusal, Role, json};
use crate::metrics::{RuleLabel, TargetLabel};
use crate::record::{number, object, strings};
use crate::store::{Status, Store, StoreError};
use crate::trace::{entry_to_json, trace};
use reflexarc_delivery::DeliveryId;

/// Entries of a list; more are asked for with `reflexarc outbox` and `reflexarc dlq` on the machine itself.
const LISTED: usize = 1_000;

type Answer = Result<Response, Refusal>;

/// The process lives.
pub(super) async fn healthz() -> Response {
    json(StatusCode::OK, &object([("status", "ok".into())]))
}

/// It can do its work: the store answers, and nobody told it to stop.
pub(super) async fn readyz(State(door): State<Arc<Door>>) -> Answer {
    if *door.stop.borrow() {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping"));
    }
    ask(&door, |store| store.used_bytes().map(drop)).await?;
    let rules = door.intake.rules().load_full();
    let failing = door.intake.failing().among(&rules).len();
    let body = [
        ("status", "ready".into()),
        ("rules", number(rules.len())),
        ("failing_rules", number(failing)),
    ];
    Ok(json(StatusCode::OK, &object(body)))
}

/// What is in force, and which rules go wrong again and again.
pub(super) async fn status(State(door): State<Arc<Door>>, request: Request) -> Answer {
    admit(&door, request, Role::Read)?;
    let rules = door.intake.rules().load_full();
    let failing = door
        .intake
        .failing()
        .among(&rules)
        .into_iter()
        .map(|(rule, trouble)| {
            object([
                ("rule", rule.into()),
                ("in_a_row", number(trouble.in_a_row)),
                ("message", trouble.message.into()),
            ])
        });
    let failing = Json::Array(failing.collect());
    let body = [
        ("rules", number(rules.len())),
        ("targets", strings(&door.wake.names())),
        ("failing", failing),
        ("restart", strings(&door.reloader.restart_needed())),
    ];
    Ok(json(StatusCode::OK, &object(body)))
}

/// Figures in the text form of `OpenMetrics`.
pub(super) async fn metrics(State(door): State<Arc<Door>>, request: Request) -> Answer {
    admit(&door, request, Role::Read)?;
    let depths = ask(&door, Store::depths).await?;
    let now = Timestamp::now();
    door.metrics.waiting.clear();
    door.metrics.oldest.clear();
    for target in door.wake.names() {
        let found = depths.iter().find(|(name, ..)| *name == target);
        let (count, age) = found.map_or((0, 0), |(_, count, oldest)| {
            (*count, now.duration_since(*oldest).as_secs())
        });
        let label = TargetLabel { target };
        door.metrics
            .waiting
            .get_or_create(&label)
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        door.metrics.oldest.get_or_create(&label).set(age.max(0));
    }
    door.metrics.failing.clear();
    for (rule, trouble) in door.intake.failing().among(&door.intake.rules().load()) {
        door.metrics
            .failing
            .get_or_create(&RuleLabel { rule })
            .set(trouble.in_a_row.into());
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], door.metrics.render()).into_response())
}

/// Puts rules and settings as they are in the files now in force, or says what is wrong with them.
pub(super) async fn reload(State(door): State<Arc<Door>>, request: Request) -> Answer {
    admit(&door, request, Role::Operate)?;
    let reloader = door.reloader.clone();
    let loaded = tokio::task::spawn_blocking(move || reloader.reload()).await;
    match loaded.map_err(|error| StoreError::Failed(error.to_string()))? {
        Ok(loaded) => {
            let restart = strings(&loaded.restart);
            let body = [
                ("rules", number(loaded.rules)),
                ("targets", number(loaded.targets)),
                ("restart", restart),
            ];
            Ok(json(StatusCode::OK, &object(body)))
        }
        Err(files) => {
            let one = |file: &reflexarc::FileDiagnostics| {
                let drawn = file
                    .diagnostics
                    .iter()
                    .map(|diagnostic| diagnostic.render(&file.name, &file.text, false));
                object([
                    ("file", file.name.as_str().into()),
                    ("diagnostics", Json::Array(drawn.map(Json::from).collect())),
                ])
            };
            let words = "the rules or settings are broken; the old ones stay in force";
            let files = Json::Array(files.iter().map(one).collect());
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, words).with("files", files))
        }
    }
}

/// Everything about an event, newest copy last; `?explain=RULE` says why that rule matches or does not.
pub(super) async fn trace_event(
    State(door): State<Arc<Door>>,
    Path(event): Path<String>,
    request: Request,
) -> Answer {
    let query = Url::parse(&format!(
        "http://localhost/?{}",
        request.uri().query().unwrap_or_default()
    ));
    let explain = query.ok().and_then(|url| {
        url.query_pairs()
            .find(|(key, _)| key == "explain")
            .map(|(_, rule)| rule.into_owned())
    });
    admit(&door, request, Role::Read)?;
    let rules = door.intake.rules().load_full();
    let traces = ask(&door, move |store| {
        let found = store.find(&event)?;
        found
            .iter()
            .map(|archived| trace(store, &rules, archived, explain.as_deref()))
            .collect::<Result<Vec<_>, _>>()
    })
    .await?;
    if traces.is_empty() {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no event of this id in the archive",
        ));
    }
    Ok(json(StatusCode::OK, &Json::Array(traces)))
}

pub(super) async fn outbox(State(door): State<Arc<Door>>, request: Request) -> Answer {
    admit(&door, request, Role::Read)?;
    list(&door, Status::Pending).await
}

pub(super) async fn dead_letters(State(door): State<Arc<Door>>, request: Request) -> Answer {
    admit(&door, request, Role::Read)?;
    list(&door, Status::Dead).await
}

pub(super) async fn delivery(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    admit(&door, request, Role::Read)?;
    let id = named(&id)?;
    let found = ask(&door, move |store| store.delivery(id)).await?;
    let (entry, attempts) = found.ok_or_else(unknown)?;
    Ok(json(
        StatusCode::OK,
        &entry_to_json(&entry, Some(&attempts)),
    ))
}

pub(super) async fn cancel(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    order(
        &door,
        request,
        &id,
        Store::cancel,
        "it is not in the outbox",
    )
    .await
}

pub(super) async fn redrive(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    order(
        &door,
        request,
        &id,
        Store::redrive,
        "it is not a dead letter",
    )
    .await
}

pub(super) async fn drop_dead(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    order(
        &door,
        request,
        &id,
        Store::drop_dead,
        "it is not a dead letter",
    )
    .await
}

async fn order(
    door: &Arc<Door>,
    request: Request,
    id: &str,
    what: impl FnOnce(&Store, DeliveryId, Timestamp) -> Result<bool, StoreError> + Send + 'static,
    otherwise: &str,
) -> Answer {
    let who = admit(door, request, Role::Operate)?;
    let id = named(id)?;
    let done = ask(door, move |store| what(store, id, Timestamp::now())).await?;
    if !done {
        return Err(Refusal::new(StatusCode::CONFLICT, otherwise));
    }
    tracing::info!(delivery = %id, who, "an operator changed a delivery");
    let found = ask(door, move |store| store.delivery(id)).await?;
    let (entry, attempts) = found.ok_or_else(unknown)?;
    door.wake.wake(
        std::slice::from_ref(&entry.delivery.target),
        &door.store,
        Timestamp::now(),
    );
    Ok(json(
        StatusCode::OK,
        &entry_to_json(&entry, Some(&attempts)),
    ))
}

async fn list(door: &Arc<Door>, status: Status) -> Answer {
    let entries = ask(door, move |store| store.deliveries(status, None, LISTED)).await?;
    Ok(json(
        StatusCode::OK,
        &Json::Array(
            entries
                .iter()
                .map(|entry| entry_to_json(entry, None))
                .collect(),
        ),
    ))
}

/// Asks the store on a thread that may wait.
async fn ask<T: Send + 'static>(
    door: &Arc<Door>,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let store = door.store.clone();
    let answer = tokio::task::spawn_blocking(move || question(&store)).await;
    Ok(answer.map_err(|error| StoreError::Failed(error.to_string()))??)
}

fn admit(door: &Door, request: Request, role: Role) -> Result<String, Refusal> {
    door.admit(&request.into_parts().0, role)
}

fn named(id: &str) -> Result<DeliveryId, Refusal> {
    id.parse()
        .map_err(|error: reflexarc_delivery::InvalidDeliveryId| {
            Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
        })
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no delivery of this id")
}
