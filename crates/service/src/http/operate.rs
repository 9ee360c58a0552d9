//! Reading and operating the service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reflexarc::{Rule, RuleSet};
use reflexarc_delivery::{DeliveryId, InvalidDeliveryId};
use reflexarc_event::Json;

use super::lists::{list_permit, list_response};
use super::query::Parameters;
use super::targets::{set_target_metrics, target_states};
use super::{AppState, HttpError, Role, json_response, perform};
use crate::operate::{Operation, damaged_event_to_json, show_delivery, trace};
use crate::store::{MatchCount, PageLimits, Store, StoreError};
use crate::telemetry::{RuleLabel, TargetLabel};

/// How many of the newest dead letters `/status` lists.
const NEWEST_DEAD_LETTERS: usize = 10;
/// Traces in a response. The rest is in further pages.
const TRACE_PAGE: PageLimits = PageLimits {
    rows: 32,
    bytes: 1 << 20,
};

pub(super) type HandlerResult = Result<Response, HttpError>;

/// Liveness: the process runs.
pub(super) async fn healthz() -> Response {
    json_response(StatusCode::OK, &Json::object([("status", "ok".into())]))
}

/// Readiness: the store could write and sync in the last seconds, and the service is not stopping.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> HandlerResult {
    if *state.stop.borrow() {
        return Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping"));
    }
    if let Some(failure) = state.health.failure() {
        return Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, failure));
    }
    let rules = state.intake.rules().load_full();
    let failing = state.intake.failures().current(&rules).len();
    let body = Json::object([
        ("status", "ready".into()),
        ("rules", Json::count(rules.len())),
        ("failing_rules", Json::count(failing)),
    ]);
    Ok(json_response(StatusCode::OK, &body))
}

/// The problems, the number of live rules, the disabled ones among them, the targets, failing
/// rules, those that use most of their budgets, what rules wait for, incidents, silences, the clock,
/// the heartbeat, the sources, dead letters, why the last reload was refused, and settings that need a restart.
pub(super) async fn status(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let rules = state.intake.rules().load_full();
    let failing = state.intake.failures().current(&rules);
    let failing = failing.into_iter().map(|(rule, failing)| {
        Json::object([
            ("rule", rule.into()),
            ("in_a_row", Json::count(failing.in_a_row)),
            ("message", failing.message.into()),
        ])
    });
    let failing = Json::Array(failing.collect());
    let disabled = rules.rules().filter(|rule| !rule.enabled());
    let disabled = Json::strings(disabled.map(Rule::name));
    // A store that cannot be read is a problem that is listed here, not one that hides the others.
    let dropped = state.metrics.dead_letters_dropped.get();
    let letters = query_store(&state, move |store| dead_letters_json(store, dropped)).await;
    let dead_letters = letters.unwrap_or_else(|error| error.body());
    let (live, now) = (rules.clone(), state.clock.now());
    let pending = query_store(&state, move |store| pending_json(store, &live)).await;
    let pending = pending.unwrap_or_else(|error| error.body());
    let incidents = query_store(&state, incidents_json).await;
    let incidents = incidents.unwrap_or_else(|error| error.body());
    let silences = query_store(&state, move |store| silences_json(store, now)).await;
    let silences = silences.unwrap_or_else(|error| error.body());
    let known = state.nodes.clone();
    let nodes = query_store(&state, move |store| {
        let nodes = known.list(store)?.into_iter();
        Ok(Json::Array(nodes.map(|node| node.to_json()).collect()))
    });
    let nodes = nodes.await.unwrap_or_else(|error| error.body());
    let jump = state.clock.suspected();
    let jump = jump.map_or(Json::Null, |jump| {
        let offset = jump.offset.as_secs();
        Json::object([
            ("offset", Json::from(offset)),
            ("detail", jump.message().into()),
        ])
    });
    let clock = Json::object([("now", now.to_string().into()), ("suspected_jump", jump)]);
    let sources = state.sources.iter().map(|source| source.to_json());
    let refusal = state.reloader.refusal();
    let body = Json::object([
        ("problems", state.metrics.problems.to_json()),
        ("rules", Json::count(rules.len())),
        ("disabled", disabled),
        ("targets", Json::strings(state.wake.names())),
        ("target_states", target_states(&state)),
        ("failing", failing),
        ("budgets", state.intake.budgets().most_used()),
        ("store", state.health.to_json()),
        ("pending", pending),
        ("incidents", incidents),
        ("silences", silences),
        ("clock", clock),
        ("heartbeat", state.heartbeat.to_json(&state.live)),
        ("sources", Json::Array(sources.collect())),
        ("nodes", nodes),
        ("dead_letters", dead_letters),
        (
            "refused_reload",
            refusal.map_or(Json::Null, |refusal| refusal.to_json()),
        ),
        ("restart", Json::strings(state.reloader.restart_needed())),
    ]);
    Ok(json_response(StatusCode::OK, &body))
}

/// The number of open incidents of each rule that has any.
fn incidents_json(store: &dyn Store) -> Result<Json, StoreError> {
    let counts = store.incident_counts()?.into_iter();
    let counts = counts
        .map(|(rule, open)| Json::object([("rule", rule.into()), ("open", Json::count(open))]));
    Ok(Json::Array(counts.collect()))
}

/// The number of active silences, of withheld deliveries, and when something is released next.
fn silences_json(store: &dyn Store, now: Timestamp) -> Result<Json, StoreError> {
    let active = store.active_withholding(now)?.silences.len();
    let withheld = store.withheld_counts()?;
    let total: u64 = withheld.iter().map(|(_, count)| count).sum();
    let targets = withheld.into_iter();
    let targets = targets.map(|(target, count)| (target, Json::count(count)));
    let next = store.next_release()?.map(|next| next.to_string());
    Ok(Json::object([
        ("active", Json::count(active)),
        ("withheld", Json::count(total)),
        ("targets", Json::Object(targets.collect())),
        ("next_release", Json::optional(next.as_deref())),
    ]))
}

/// When the next deadline may be, and how many keys each rule with a time window waits for and
/// remembers.
fn pending_json(store: &dyn Store, rules: &RuleSet) -> Result<Json, StoreError> {
    let next = store.next_deadline()?.map(|next| next.to_string());
    let rules = pending_counts(store, rules)?.into_iter();
    let rules = rules.map(|(count, max)| {
        Json::object([
            ("rule", count.rule.into()),
            ("pending", Json::count(count.pending)),
            ("kept", Json::count(count.kept)),
            ("max_pending", max.map_or(Json::Null, Json::count)),
        ])
    });
    Ok(Json::object([
        ("next_deadline", Json::optional(next.as_deref())),
        ("rules", Json::Array(rules.collect())),
    ]))
}

/// The matches of each rule that has any or may have, with the largest number of keys; none of a
/// rule whose window is gone.
fn pending_counts(
    store: &dyn Store,
    rules: &RuleSet,
) -> Result<Vec<(MatchCount, Option<usize>)>, StoreError> {
    let mut counts: BTreeMap<String, MatchCount> = BTreeMap::new();
    for rule in rules
        .rules()
        .filter(|rule| rules.live_window(rule.name()).is_some())
    {
        let name = rule.name().to_owned();
        counts.insert(name.clone(), MatchCount::none(name));
    }
    let found = store.match_counts()?.into_iter();
    counts.extend(found.map(|count| (count.rule.clone(), count)));
    let with_max = |count: MatchCount| {
        let window = rules.live_window(&count.rule);
        (count, window.map(|window| window.max_pending))
    };
    Ok(counts.into_values().map(with_max).collect())
}

/// How many dead letters there are, for each target too, how many were dropped because of their age
/// since the start, and the newest ones.
fn dead_letters_json(store: &dyn Store, dropped: u64) -> Result<Json, StoreError> {
    let counts = store.dead_letter_counts()?;
    let newest = store.newest_dead_letters(NEWEST_DEAD_LETTERS)?;
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let newest = newest.iter().map(|record| {
        let delivery = &record.delivery;
        Json::object([
            ("delivery", delivery.id.to_string().into()),
            ("target", delivery.target.as_str().into()),
            ("rule", delivery.rule.as_str().into()),
            ("event", delivery.event.id.as_str().into()),
            ("source", delivery.event.source.as_str().into()),
            ("reason", Json::optional(record.reason.as_deref())),
            (
                "at",
                Json::optional(record.finished.map(|at| at.to_string()).as_deref()),
            ),
        ])
    });
    let newest = Json::Array(newest.collect());
    let targets = counts
        .into_iter()
        .map(|(target, count)| (target, Json::count(count)))
        .collect();
    Ok(Json::object([
        ("count", Json::count(total)),
        ("targets", Json::Object(targets)),
        ("dropped", Json::count(dropped)),
        ("newest", newest),
    ]))
}

/// Metrics in the `OpenMetrics` text format.
pub(super) async fn metrics(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    // Without these gauges if the store cannot be read: the other metrics say why.
    let now = state.clock.now();
    let live = state.intake.rules().load_full();
    let read = move |store: &dyn Store| {
        let depths = store.queue_depths(now).unwrap_or_default();
        let pending = pending_counts(store, &live).unwrap_or_default();
        let incidents = store.incident_counts().unwrap_or_default();
        let withheld = store.withheld_counts().unwrap_or_default();
        let active = store.active_withholding(now).unwrap_or_default();
        let silences = (withheld, active.silences.len());
        (
            depths,
            (pending, incidents),
            silences,
            store.used_bytes(),
            store.log_bytes(),
        )
    };
    let (depths, (pending, incidents), (withheld, silences), used, log) =
        query_store(&state, move |store| Ok(read(store))).await?;
    for (gauge, bytes) in [
        (&state.metrics.store_used, used),
        (&state.metrics.store_log, log),
    ] {
        if let Some(bytes) = bytes.ok().and_then(|bytes| i64::try_from(bytes).ok()) {
            gauge.set(bytes);
        }
    }
    let metrics = &state.metrics;
    // These gauges are read from the store when someone asks, instead of being kept up to date by
    // every queue. They are cleared first, so that a removed target leaves no stale series behind.
    metrics.waiting.clear();
    metrics.delayed.clear();
    metrics.oldest.clear();
    for target in state.wake.names() {
        let found = depths.iter().find(|depth| depth.target == target);
        let (waiting, delayed) = found.map_or((0, 0), |depth| (depth.waiting, depth.delayed));
        let oldest = found.and_then(|depth| depth.oldest);
        let age = oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs());
        let label = TargetLabel { target };
        for (gauge, count) in [(&metrics.waiting, waiting), (&metrics.delayed, delayed)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauge.get_or_create(&label).set(count);
        }
        metrics.oldest.get_or_create(&label).set(age.max(0));
    }
    metrics.incidents_open.clear();
    for (rule, open) in incidents {
        let gauge = metrics.incidents_open.get_or_create(&RuleLabel { rule });
        gauge.set(i64::try_from(open).unwrap_or(i64::MAX));
    }
    metrics.withheld.clear();
    for (target, count) in withheld {
        // Only of those that are configured, as all series of targets.
        if state.wake.get(&target).is_some() {
            let gauge = metrics.withheld.get_or_create(&TargetLabel { target });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    let silences = i64::try_from(silences).unwrap_or(i64::MAX);
    metrics.silences.set(silences);
    metrics.pending.clear();
    for (count, _) in pending {
        let gauge = metrics
            .pending
            .get_or_create(&RuleLabel { rule: count.rule });
        gauge.set(i64::try_from(count.pending).unwrap_or(i64::MAX));
    }
    set_target_metrics(&state);
    metrics.failing.clear();
    let rules = state.intake.rules().load();
    for (rule, failing) in state.intake.failures().current(&rules) {
        let gauge = metrics.failing.get_or_create(&RuleLabel { rule });
        gauge.set(failing.in_a_row.into());
    }
    metrics.noted.clear();
    for (rule, count) in state.intake.failures().noted(&rules) {
        let counter = metrics.noted.get_or_create(&RuleLabel { rule });
        counter.inner().store(count, Ordering::Relaxed);
    }
    metrics.over_budget.clear();
    for (rule, count) in state.intake.failures().over_budget(&rules) {
        let counter = metrics.over_budget.get_or_create(&RuleLabel { rule });
        counter.inner().store(count, Ordering::Relaxed);
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], metrics.render()).into_response())
}

/// Reloads rules and configuration, or reports their diagnostics; `?force=true` confirms that rules
/// are removed.
pub(super) async fn reload(State(state): State<Arc<AppState>>, request: Request) -> HandlerResult {
    let query = Parameters::of(request.uri());
    let client = authorize(&state, request, Role::Operate)?;
    let force = query.flag("force")?;
    let done = perform(&state, &client, Operation::Reload { force }).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// Accepts the wall clock as it is: deadlines are moved by as much as it was set, and what is too
/// old by it is dropped from now on.
pub(super) async fn accept_clock(
    State(state): State<Arc<AppState>>,
    request: Request,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let done = perform(&state, &client, Operation::AcceptClock).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// A page of the traces of the archived events with this id, the newest last: the header `Link` has
/// the address of the next page. `?explain=RULE` explains why that rule matches or does not.
pub(super) async fn trace_event(
    State(state): State<Arc<AppState>>,
    Path(event): Path<String>,
    request: Request,
) -> HandlerResult {
    let (path, query) = (
        request.uri().path().to_owned(),
        Parameters::of(request.uri()),
    );
    authorize(&state, request, Role::Read)?;
    let after: Option<i64> = query.cursor("after")?;
    let explain = query.text("explain")?.map(str::to_owned);
    let rules = state.intake.rules().load_full();
    let permit = list_permit(&state)?;
    // As many at one time as can run, because events may be large.
    let turn = state.large_work.acquire().await;
    let (traces, next) = query_store(&state, move |store| {
        let page = store.find_page(&event, after.unwrap_or_default(), TRACE_PAGE)?;
        let traces = page.events.iter().map(|found| match found {
            Ok(archived) => trace(store, &rules, archived, explain.as_deref()),
            Err(damaged) => Ok(damaged_event_to_json(damaged)),
        });
        Ok((traces.collect::<Result<Vec<_>, _>>()?, page.next))
    })
    .await?;
    if traces.is_empty() && next.is_none() && after.is_none() {
        let message = "no event with this id is in the archive";
        return Err(HttpError::new(StatusCode::NOT_FOUND, message));
    }
    let next = next.map(|next| query.next_page(&path, &["explain"], ("after", &next.to_string())));
    let response = list_response(&Json::Array(traces), permit, next.as_deref());
    drop(turn);
    Ok(response)
}

pub(super) async fn delivery(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
) -> HandlerResult {
    authorize(&state, request, Role::Read)?;
    let (_, body) = show_delivery(&state, parse_id(&id)?).await?;
    Ok(json_response(StatusCode::OK, &body))
}

pub(super) async fn cancel(
    state: State<Arc<AppState>>,
    id: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, id, request, |id| Operation::Cancel { id }).await
}

pub(super) async fn redrive(
    state: State<Arc<AppState>>,
    id: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, id, request, |id| Operation::Redrive { id }).await
}

pub(super) async fn drop_dead_letter(
    state: State<Arc<AppState>>,
    id: Path<String>,
    request: Request,
) -> HandlerResult {
    change(state, id, request, |id| Operation::Drop { id }).await
}

/// Applies an operator's change to a delivery.
async fn change(
    State(state): State<Arc<AppState>>,
    Path(id): Path<String>,
    request: Request,
    operation: fn(DeliveryId) -> Operation,
) -> HandlerResult {
    let client = authorize(&state, request, Role::Operate)?;
    let done = perform(&state, &client, operation(parse_id(&id)?)).await?;
    Ok(json_response(StatusCode::OK, &done.body))
}

/// Queries the store on a thread that may block.
pub(super) async fn query_store<T: Send + 'static>(
    state: &Arc<AppState>,
    query: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HttpError> {
    Ok(crate::operate::query(state, query).await?)
}

pub(super) fn authorize(
    state: &AppState,
    request: Request,
    role: Role,
) -> Result<String, HttpError> {
    state.authorize(&request.into_parts().0, role)
}

fn parse_id(id: &str) -> Result<DeliveryId, HttpError> {
    id.parse().map_err(|error: InvalidDeliveryId| {
        HttpError::new(StatusCode::BAD_REQUEST, error.to_string())
    })
}
