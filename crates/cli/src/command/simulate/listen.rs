//! `--listen`: the ECS API over HTTP, on the real clock.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reflexarc_eni::rpc::{Endpoint, HttpRequest, RequestLimits};
use reflexarc_eni::scenario::{Scenario, World};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::forward::Forwarder;
use super::shared_cloud::SharedCloud;
use super::timeline::Entry;
use super::{Args, faults};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// The maximum number of outcomes that wait to be printed and forwarded; when it is reached,
/// requests wait.
const OUTCOME_QUEUE: usize = 10_000;

/// Serves the API until the process is interrupted.
pub(super) fn run(
    address: SocketAddr,
    scenario: Scenario,
    args: &Args,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(address, scenario.world, args, output))
}

async fn serve(
    address: SocketAddr,
    world: World,
    args: &Args,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut forwarder = Forwarder::new(&world, args)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Runtime(format!("cannot listen on {address}: {error}")))?;
    let bound = listener.local_addr()?;
    let mut region = world.cloud.clone();
    if !world.has_seed {
        // With one seed for all runs, a second run would repeat the ids of the first one.
        region = region.with_seed(Timestamp::now().as_microsecond().unsigned_abs());
    }
    let (sender, mut outcomes) = mpsc::channel(OUTCOME_QUEUE);
    let endpoint = Endpoint::new(region, world.keys(), RequestLimits::DEFAULT);
    let cloud = Arc::new(SharedCloud::new(endpoint, sender));
    let control = if bound.ip().is_loopback() {
        faults::routes()
    } else {
        Router::new()
    };
    // One byte above the API's own limit, so that the API answers with its own error code.
    let body_limit = DefaultBodyLimit::max(RequestLimits::DEFAULT.bytes + 1);
    let app = control
        .fallback(answer)
        .layer(body_limit)
        .with_state(Arc::clone(&cloud));
    output.line(format_args!("listening on http://{bound}"))?;
    output.flush()?;
    // Times in the output are relative to this.
    let start = Timestamp::now();
    let server = async { axum::serve(listener, app).await };
    let clock = cloud.run_clock();
    tokio::pin!(server, clock);
    loop {
        tokio::select! {
            ended = &mut server => {
                ended?;
                return Ok(Exit::Done);
            }
            () = &mut clock => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            Some(outcome) = outcomes.recv() => {
                // Interfaces have no names here, because the script is not run.
                let entry = Entry::ended(&outcome, &world, str::to_owned);
                match args.format {
                    Format::Human => entry.print(start, output)?,
                    Format::Json | Format::Ndjson => output.json(&entry)?,
                }
                output.flush()?;
                if let Ok(published) = &outcome.published {
                    forwarder.send(published)?;
                }
            }
            warning = forwarder.warning() => output.error(&warning),
        }
    }
}

async fn answer(
    State(cloud): State<Arc<SharedCloud>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let request = HttpRequest {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let response = cloud.serve(&request).await;
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (
            header::CONTENT_TYPE.as_str(),
            "application/json;charset=utf-8".to_owned(),
        ),
        ("x-acs-request-id", response.request_id),
    ];
    (status, headers, response.body).into_response()
}
